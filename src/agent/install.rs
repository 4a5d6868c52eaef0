//! Bringing a component to its wanted content, second half: artefacts, the last look, and the tree takes its place.
//!
//! Invariant: nothing takes its place that was not hashed here, byte for byte. The marker of the old tree goes before
//! the exchange and that of the new one comes last; in between the journal says which of the two is there.

use super::guard::{self, Stop};
use super::hostfs::{EnvValue, HostFs, Kind, Place, Program};
use super::index::{Index, Indexed};
use super::look;
use super::prepare::{self, Transfer};
use super::seal::Seal;
use super::state::{self, Built, Journal, Ready, STAGING, Step};
use super::switch::words;
use super::walk::walk;
use crate::model::component::{ArtefactRule, Component};
use crate::model::limits::HOOK_MS_MAX;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Level, Readiness, Refusal};
use crate::tree::manifest::EntryKind;
use std::collections::BTreeMap;
use std::io;

/// Ends a transfer: all files have come.
pub(super) fn finish(fs: &mut impl HostFs, transfer: &Transfer, build: &[String]) -> Result<Readiness, Stop> {
    if let Some(readiness) = &transfer.already {
        return Ok(readiness.clone());
    }
    match transfer.pending() {
        0 => {}
        1 => return Err(Refusal::Failed("one file did not come".to_owned()).into()),
        n => return Err(Refusal::Failed(format!("{n} files did not come")).into()),
    }
    guard::still_admitted(fs, &transfer.stamp)?;
    let before_build_ns = fs.now_ns()?;
    make_artefacts(fs, transfer, build)?;
    let taken_ns = fs.now_ns()?;
    let (index, ready) = seal(fs, transfer, before_build_ns)?;
    fs.sync_root()?;
    let readiness = Readiness::Ready { files: ready.files, bytes: ready.bytes, level: Level::L3, age_ms: 0 };
    {
        let _lock = fs.lock()?;
        guard::still_admitted(fs, &transfer.stamp)?;
        guard::recover(fs)?;
        let staged = fs.lstat(&transfer.staged)?.map(|stat| stat.inode);
        let staged = staged.ok_or_else(|| io::Error::other("another prepare of it began meanwhile"))?;
        if let Err(error) = install(fs, transfer, staged, &index, &ready, taken_ns) {
            // It is ended or undone here, or else by the next command that comes; the answer says what is there.
            guard::recover(fs)?;
            let there = fs.lstat(&state::component_place(&transfer.want.component))?;
            if there.is_none_or(|stat| stat.inode != staged) {
                return Err(error.into());
            }
        }
    }
    // The old tree. It may stay if it must: the next prepare removes it.
    let _ = fs.remove_tree(&transfer.staged);
    Ok(readiness)
}

/// Carries over what was built from the same input, and builds the rest.
fn make_artefacts(fs: &mut impl HostFs, transfer: &Transfer, build: &[String]) -> Result<(), Stop> {
    let mut lacking = None;
    for rule in &transfer.want.artefacts {
        if !carry_over(fs, transfer, rule)? {
            lacking = Some(rule);
        }
    }
    let Some(rule) = lacking else { return Ok(()) };
    if build.is_empty() {
        let why = format!("`{}` is not built, and there is no build step", rule.path.escape_debug());
        return Err(Refusal::BuildFailed(why).into());
    }
    let name = match &transfer.want.component {
        Component::Version(version) => version.to_string(),
        Component::Config(name) => name.clone(),
    };
    let env = BTreeMap::from([
        ("POINTSMAN_VERSION", EnvValue::Text(name)),
        ("POINTSMAN_TREE", EnvValue::Path(transfer.staged.clone())),
        ("POINTSMAN_ROOT", EnvValue::Path(Place::root(""))),
    ]);
    let program = Program { argv: build.to_vec(), directory: transfer.staged.clone(), env, ms_max: HOOK_MS_MAX };
    match fs.run(&program) {
        Ok(ended) if ended.success => Ok(()),
        Ok(ended) => Err(Refusal::BuildFailed(words(&ended.how, &ended.output)).into()),
        Err(error) => Err(Refusal::BuildFailed(format!("{}: {error}", build[0].escape_debug())).into()),
    }
}

/// Copies what the host built for a rule, if it was built from the input that is wanted now and is still whole.
fn carry_over(fs: &mut impl HostFs, transfer: &Transfer, rule: &ArtefactRule) -> Result<bool, Stop> {
    let component = &transfer.want.component;
    let ready: Option<Ready> = state::load(fs, &state::ready_place(component))?;
    let index = look::load_index(fs, component)?;
    let (Some(ready), Some(index)) = (ready, index) else { return Ok(false) };
    let input = prepare::input_id(&transfer.manifest, rule);
    let same_input = |b: &Built| b.input == input || planted(Bug::ArtefactsOfOtherInputs);
    let built = |b: &&Built| b.path == rule.path && same_input(b) && b.files == rule.files;
    let output = index.built_in(&rule.path).filter(|files| files.files() == rule.files);
    let (Some(built), Some(output)) = (ready.artefacts.iter().find(built), output) else { return Ok(false) };
    if output.id() != built.output || output.entries().iter().any(|entry| transfer.manifest.get(&entry.path).is_some())
    {
        return Ok(false);
    }
    let top = state::component_place(component);
    for (done, entry) in output.entries().iter().enumerate() {
        let (from, to) = (top.join(entry.path.as_str()), transfer.staged.join(entry.path.as_str()));
        fs.make_dir(&to.split().0)?;
        let same = match &entry.kind {
            EntryKind::Symlink { target } => fs.symlink(target, &to).map(|()| true)?,
            EntryKind::File { exec, digest, .. } => {
                fs.copy(&from, &to, *exec).is_ok_and(|written| written.digest == *digest)
            }
        };
        if !same {
            for entry in &output.entries()[..=done] {
                fs.remove_file(&transfer.staged.join(entry.path.as_str()))?;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// Looks at all that is staged and writes down what it is; refuses whatever is not exactly as wanted.
///
/// A file that came in the last moment before the build, which may have changed it in the same tick, is hashed again.
fn seal(fs: &impl HostFs, transfer: &Transfer, before_build_ns: i64) -> Result<(Index, Ready), Stop> {
    let walk = walk(fs, &transfer.staged)?;
    if let Some(odd) = walk.odd.first() {
        return Err(changed(odd));
    }
    let mut entries = BTreeMap::new();
    for (path, stat) in &walk.files {
        let at = transfer.staged.join(path.as_str());
        let wanted = transfer.manifest.get(path);
        let built = wanted.is_none();
        if built && !transfer.want.artefacts.iter().any(|rule| path.is_within(&rule.path)) {
            return Err(changed(path.as_str()));
        }
        let written = transfer.written.get(path).filter(|written| written.stat == *stat);
        let untouched = written.is_some_and(|written| written.stat.ctime_ns < before_build_ns);
        let kind = match (stat.kind, wanted) {
            (Kind::File, Some(kind)) if untouched => kind.clone(),
            (Kind::File, _) => {
                let (digest, size) = fs.hash(&at)?;
                EntryKind::File { exec: stat.exec, size, digest }
            }
            (Kind::Symlink, _) => EntryKind::Symlink { target: fs.read_link(&at)? },
            (Kind::Directory | Kind::Other, _) => return Err(changed(path.as_str())),
        };
        if wanted.is_some_and(|wanted| *wanted != kind) {
            return Err(changed(path.as_str()));
        }
        entries.insert(path.clone(), Indexed::new(kind, built, stat));
    }
    let missing = transfer.manifest.entries().iter().find(|entry| !entries.contains_key(&entry.path));
    if let Some(missing) = missing {
        return Err(changed(missing.path.as_str()));
    }
    let index = Index { here: look::here(fs)?, entries };
    let ready = marker(transfer, &index)?;
    Ok((index, ready))
}

fn changed(path: &str) -> Stop {
    let why =
        format!("`{}` is not as it was sent; a build may only write where artefacts are declared", path.escape_debug());
    Refusal::BuildFailed(why).into()
}

fn marker(transfer: &Transfer, index: &Index) -> Result<Ready, Stop> {
    let mut artefacts = Vec::new();
    for rule in &transfer.want.artefacts {
        let output = index.built_in(&rule.path);
        let found = output.as_ref().map_or(0, crate::tree::manifest::Manifest::files);
        let Some(output) = output.filter(|_| found == rule.files) else {
            let path = rule.path.escape_debug();
            let why = format!("`{path}` has {found} files of {} after it", rule.files);
            return Err(Refusal::BuildFailed(why).into());
        };
        artefacts.push(Built {
            path: rule.path.clone(),
            files: found,
            bytes: output.bytes(),
            input: prepare::input_id(&transfer.manifest, rule),
            output: output.id(),
        });
    }
    let Transfer { want, manifest, .. } = transfer;
    Ok(Ready { id: want.id, files: manifest.files(), bytes: manifest.bytes(), artefacts })
}

/// The tree takes its place. Called with the lock held and no journal open.
fn install(
    fs: &mut impl HostFs,
    transfer: &Transfer,
    inode: u64,
    index: &Index,
    ready: &Ready,
    taken_ns: i64,
) -> io::Result<()> {
    let component = &transfer.want.component;
    let (index_at, ready_at) = (state::index_place(component), state::ready_place(component));
    let ((index_bytes, digest), marker) = (index.to_bytes(), state::encode(ready)?);
    for (at, bytes) in [(&index_at, &index_bytes), (&ready_at, &marker)] {
        let directory = at.split().0;
        fs.make_dir(&directory)?;
        fs.write(&state::next(at), bytes)?;
        fs.sync_dir(&directory)?;
    }
    // It speaks of these bytes, so that it says nothing as long as others are there.
    if let Some(seal) = Seal::of(index, digest, &marker, taken_ns, &transfer.want.artefacts) {
        seal.store(fs, component)?;
    }
    fs.remove_file(&guard::old_ready(component))?;
    let step = Step::Install { component: component.clone(), inode };
    let generation = transfer.stamp.generation;
    state::store(fs, &state::journal_place(), &Journal { generation, step })?;
    if fs.lstat(&ready_at)?.is_some() {
        fs.rename(&ready_at, &guard::old_ready(component))?;
        fs.sync_dir(&Place::state("ready"))?;
    }
    let place = state::component_place(component);
    match fs.lstat(&place)? {
        None => fs.rename(&transfer.staged, &place)?,
        Some(_) => fs.exchange(&transfer.staged, &place)?,
    }
    fs.sync_dir(&Place::root(""))?;
    fs.sync_dir(&Place::root(STAGING))?;
    guard::finish_install(fs, component)?;
    // If a power cut brings it back, it is found done: this is not waited for. What comes next raises the fence, and so syncs
    // it, before it puts anything where this journal would look for it.
    fs.remove_file(&state::journal_place())
}

/// Forgets a transfer that will not be finished.
pub(super) fn abandon(fs: &mut impl HostFs, transfer: &Transfer) {
    let _ = fs.remove_tree(&transfer.staged);
}
