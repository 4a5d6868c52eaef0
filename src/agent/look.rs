//! Whether a component is there as wanted: the proof that every switch rests on.
//!
//! Invariant: a look changes nothing. Nothing is called ready without its marker, an index that fits the marker, every
//! file of the index unchanged, no file that nobody sent, and every wanted artefact complete and built from the wanted
//! input. A file whose stat says nothing (another boot, a touched time) is hashed, whatever the level.

use super::hostfs::{HostFs, Kind, Place, Stat};
use super::index::{Here, Index, Indexed};
use super::state::{self, Ready};
use crate::model::component::{ArtefactRule, Component, Want};
use crate::model::limits::{INDEX_BYTES_MAX, TREE_FILES_MAX};
use crate::model::protocol::{ArtefactCount, Level, Readiness};
use crate::tree::manifest::EntryKind;
use crate::tree::path::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// What a look found.
#[derive(Debug)]
pub(super) struct Look {
    pub readiness: Readiness,
    /// The index with the stats of now; `None` when the one on disk is as good, or the component is not ready.
    pub renewed: Option<Index>,
}

/// Everything below a directory but directories themselves.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub files: BTreeMap<RelPath, Stat>,
    /// What no manifest can name: not UTF-8, too deep. In a form fit to be shown.
    pub odd: Vec<String>,
}

/// The circumstances of now.
pub(super) fn here(fs: &impl HostFs) -> io::Result<Here> {
    Ok(Here { boot_id: fs.boot_id()?, incarnation: state::load_incarnation(fs)? })
}

/// The index of a component; `None` when absent or damaged.
pub(super) fn load_index(fs: &impl HostFs, component: &Component) -> io::Result<Option<Index>> {
    let bytes = state::load_bytes(fs, &state::index_place(component), INDEX_BYTES_MAX)?;
    Ok(bytes.and_then(|bytes| Index::from_bytes(&bytes)))
}

/// Lists all below `top`, which must be a directory. Follows no link.
pub(super) fn walk(fs: &impl HostFs, top: &Place) -> io::Result<Walk> {
    let mut walk = Walk::default();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        let at = if directory.is_empty() { top.clone() } else { top.join(&directory) };
        for listed in fs.list(&at)? {
            let name = listed.name.to_string_lossy();
            let path = if directory.is_empty() { name.to_string() } else { format!("{directory}/{name}") };
            match path.parse::<RelPath>() {
                Ok(_) if listed.name.to_str().is_some() && listed.stat.kind == Kind::Directory => open.push(path),
                Ok(path) if listed.name.to_str().is_some() => {
                    walk.files.insert(path, listed.stat);
                }
                _ => walk.odd.push(path),
            }
            if walk.files.len() + walk.odd.len() + open.len() > 2 * TREE_FILES_MAX {
                return Err(io::Error::other(format!("{top} has more than {} files", 2 * TREE_FILES_MAX)));
            }
        }
    }
    Ok(walk)
}

/// Looks at one component.
pub(super) fn look(fs: &impl HostFs, want: &Want, level: Level, here: &Here) -> io::Result<Look> {
    let found = |readiness| Ok(Look { readiness, renewed: None });
    let top = state::component_place(&want.component);
    match fs.lstat(&top)? {
        None => return found(Readiness::Absent),
        Some(stat) if stat.kind != Kind::Directory => return found(Readiness::Unproven { artefacts: Vec::new() }),
        Some(_) => {}
    }
    let Some(ready) = state::load::<Ready>(fs, &state::ready_place(&want.component))? else {
        return found(unproven(fs, want)?);
    };
    if ready.id != want.id {
        return found(Readiness::Differs { have: ready.id });
    }
    match load_index(fs, &want.component)?.filter(|index| index.fits(&ready)) {
        Some(index) => Proof { fs, want, ready, index, here, level, top }.run(),
        None => found(unproven(fs, want)?),
    }
}

fn unproven(fs: &impl HostFs, want: &Want) -> io::Result<Readiness> {
    let walk = walk(fs, &state::component_place(&want.component))?;
    let count = |rule: &ArtefactRule| ArtefactCount {
        path: rule.path.clone(),
        have: walk.files.keys().filter(|path| path.is_within(&rule.path)).count() as u64,
        want: rule.files,
    };
    Ok(Readiness::Unproven { artefacts: want.artefacts.iter().map(count).collect() })
}

/// A component with a marker of the wanted id and an index that fits it.
struct Proof<'a, F> {
    fs: &'a F,
    want: &'a Want,
    ready: Ready,
    index: Index,
    here: &'a Here,
    level: Level,
    top: Place,
}

/// What differs from the index.
#[derive(Debug, Default)]
struct Damage {
    missing: u64,
    changed: u64,
    extra: u64,
    first: Option<String>,
}

impl Damage {
    fn note(&mut self, count: fn(&mut Damage) -> &mut u64, path: &str) {
        *count(self) += 1;
        self.first.get_or_insert_with(|| path.to_owned());
    }

    fn readiness(self) -> Option<Readiness> {
        let Self { missing, changed, extra, first } = self;
        first.map(|first| Readiness::Damaged { missing, changed, extra, first })
    }
}

impl<F: HostFs> Proof<'_, F> {
    fn run(mut self) -> io::Result<Look> {
        let walk = walk(self.fs, &self.top)?;
        let trusted = self.index.here == *self.here && self.here.incarnation.is_some();
        let hash_all = !trusted || self.level == Level::L3;
        let mut renewed = !trusted;
        let mut changed = BTreeSet::new();
        for (path, indexed) in &mut self.index.entries {
            let Some(stat) = walk.files.get(path) else { continue };
            let same_stat = indexed.same_stat(stat);
            if same_stat && !hash_all {
                continue;
            }
            match indexed.same_shape(stat) && same_bytes(self.fs, &self.top.join(path.as_str()), &indexed.kind)? {
                false => _ = changed.insert(path.clone()),
                true => {
                    renewed |= !same_stat;
                    *indexed = Indexed::new(indexed.kind.clone(), indexed.built, stat);
                }
            }
        }
        let readiness = self.verdict(&walk, &changed, hash_all);
        self.index.here = self.here.clone();
        let renewed = (renewed && readiness.is_ready()).then_some(self.index);
        Ok(Look { readiness, renewed })
    }

    fn verdict(&self, walk: &Walk, changed: &BTreeSet<RelPath>, hashed: bool) -> Readiness {
        if let Some(damaged) = self.damage(walk, changed, |indexed, _| !indexed.built).readiness() {
            return damaged;
        }
        for rule in &self.want.artefacts {
            if let Some(problem) = self.artefact_problem(rule, walk, changed) {
                return problem;
            }
        }
        let level = if hashed { Level::L3 } else { Level::L1 };
        Readiness::Ready { files: self.ready.files, bytes: self.ready.bytes, level }
    }

    /// Compares the part of the index that `chosen` picks; files that nobody sent count with the content.
    fn damage(&self, walk: &Walk, changed: &BTreeSet<RelPath>, chosen: impl Fn(&Indexed, &RelPath) -> bool) -> Damage {
        let mut damage = Damage::default();
        for (path, _) in self.index.entries.iter().filter(|(path, indexed)| chosen(indexed, path)) {
            match walk.files.contains_key(path) {
                false => damage.note(|d| &mut d.missing, path.as_str()),
                true if changed.contains(path) => damage.note(|d| &mut d.changed, path.as_str()),
                true => {}
            }
        }
        let stranger = |path: &&RelPath| !self.index.entries.contains_key(path) && !self.may_be_built(path);
        walk.files.keys().filter(stranger).for_each(|path| damage.note(|d| &mut d.extra, path.as_str()));
        walk.odd.iter().for_each(|path| damage.note(|d| &mut d.extra, path));
        damage
    }

    fn may_be_built(&self, path: &RelPath) -> bool {
        let wanted = self.want.artefacts.iter().map(|rule| &rule.path);
        wanted.chain(self.ready.artefacts.iter().map(|built| &built.path)).any(|directory| path.is_within(directory))
    }

    fn artefact_problem(&self, rule: &ArtefactRule, walk: &Walk, changed: &BTreeSet<RelPath>) -> Option<Readiness> {
        let is_built = |path: &RelPath| self.index.entries.get(path).is_none_or(|indexed| indexed.built);
        let have = walk.files.keys().filter(|path| path.is_within(&rule.path) && is_built(path)).count() as u64;
        if have != rule.files {
            let count = ArtefactCount { path: rule.path.clone(), have, want: rule.files };
            return Some(Readiness::ArtefactsMissing(count));
        }
        let input = self.index.content().map(|content| content.subset(&rule.inputs).id());
        let built = self.ready.artefacts.iter().find(|built| built.path == rule.path);
        if built.is_none_or(|built| Some(built.input) != input) {
            return Some(Readiness::ArtefactsStale { path: rule.path.clone() });
        }
        self.damage(walk, changed, |indexed, path| indexed.built && path.is_within(&rule.path)).readiness()
    }
}

/// Whether the bytes, or a link's target, are these.
fn same_bytes(fs: &impl HostFs, at: &Place, kind: &EntryKind) -> io::Result<bool> {
    Ok(match kind {
        EntryKind::File { size, digest, .. } => fs.hash(at)? == (*digest, *size),
        EntryKind::Symlink { target } => fs.read_link(at).is_ok_and(|found| found == *target),
    })
}
