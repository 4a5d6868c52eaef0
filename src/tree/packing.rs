//! Bundles out of the content store: made once, kept, and sent to every host that is in the same state.
//!
//! Invariant: what is packed was hashed while it was read. A bundle that is kept is only ever a way to save work: hosts
//! verify every file of it, and one that a host could not use is forgotten and files go by hash instead. Which bundle
//! suits depends on what a host says it holds, so a host can ask for no other than one to the content it is to have.

use super::bundle::{self, Group};
use super::content::{ContentError, ContentStore, at};
use super::manifest::{EntryKind, Manifest};
use crate::model::digest::Digest;
use crate::model::limits::BUNDLE_WORTH_BYTES;
use crate::model::protocol::Held;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Frames that are made at the same time.
const THREADS: usize = 2;

/// A bundle for hosts in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What such a host holds and the frames stand on; `None`: nothing.
    pub base: Option<Held>,
    /// The numbers of the groups that it lacks something of, each with its frame.
    pub frames: Vec<(u32, PathBuf)>,
}

/// The bundles that were chosen in this run, by what was asked.
#[derive(Debug, Default)]
pub struct Chosen(Mutex<BTreeMap<Digest, Option<Bundle>>>);

/// A way from a base to a target.
struct Way<'a> {
    base: Option<(&'a Held, Manifest)>,
    groups: Vec<Group>,
    /// The groups that have something needed.
    wanted: Vec<usize>,
    bytes: u64,
}

impl ContentStore {
    /// The bundle that brings a host which holds `held` and lacks `needs` to `target`; `None` when files by hash are as
    /// good. Made when it is asked for first; the next host in the same state waits for that.
    ///
    /// # Errors
    ///
    /// Content is missing or damaged here, or the system's own.
    pub fn bundle(&self, held: &[Held], needs: &[Digest], target: &Manifest) -> Result<Option<Bundle>, ContentError> {
        let mut chosen = self.chosen().0.lock().unwrap_or_else(PoisonError::into_inner);
        let question = question(held, needs, target);
        if let Some(bundle) = chosen.get(&question) {
            return Ok(bundle.clone());
        }
        let way = self.choose(held, &needs.iter().copied().collect(), target)?;
        let bundle = way.map(|way| self.make(&way, target.id())).transpose()?;
        chosen.insert(question, bundle.clone());
        Ok(bundle)
    }

    /// Forgets a bundle that a host could not use.
    pub fn forget(&self, bundle: &Bundle) {
        self.chosen().0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, kept| kept.as_ref() != Some(bundle));
        for (_, path) in &bundle.frames {
            let _ = std::fs::remove_file(path);
        }
    }

    /// The way with the fewest bytes before compression. One without a base is for a host that lacks most.
    fn choose<'a>(
        &self,
        held: &'a [Held],
        needs: &BTreeSet<Digest>,
        target: &Manifest,
    ) -> Result<Option<Way<'a>>, ContentError> {
        let needed: u64 = sizes(target).filter(|(digest, _)| needs.contains(digest)).map(|(_, size)| size).sum();
        if needed < BUNDLE_WORTH_BYTES {
            return Ok(None);
        }
        let mut ways = Vec::new();
        for held in held {
            if let Some(base) = self.manifest(held.id)? {
                ways.extend(way(Some((held, base)), needs, target));
            }
        }
        let best = ways.into_iter().min_by_key(|way| way.bytes).filter(|way| way.bytes / 4 <= needed);
        let whole = || way(None, needs, target).filter(|way| way.bytes / 2 <= needed);
        Ok(best.or_else(whole))
    }

    fn make(&self, way: &Way<'_>, target: Digest) -> Result<Bundle, ContentError> {
        let base = way.base.as_ref().map(|(held, _)| held.id);
        let path = |number: usize| self.bundle_path(base, target, number);
        let missing: Vec<usize> = way.wanted.iter().copied().filter(|number| !path(*number).is_file()).collect();
        self.make_bundle_directory()?;
        let next = Mutex::new(missing.into_iter());
        let work = || -> Result<(), ContentError> {
            loop {
                let number = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(number) = number else { return Ok(()) };
                let path = path(number);
                at(&path, self.pack(&way.groups[number], &path))?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("packing never panics"))
        })?;
        let frame = |number: &usize| u32::try_from(*number).ok().map(|n| (n, path(*number)));
        let base = way.base.as_ref().map(|(held, _)| (*held).clone());
        Ok(Bundle { base, frames: way.wanted.iter().filter_map(frame).collect() })
    }

    /// Writes one group's frame, beside at first.
    fn pack(&self, group: &Group, path: &Path) -> io::Result<()> {
        let mut prefix = Vec::new();
        for old in group.pieces.iter().filter_map(|piece| piece.old.as_ref()) {
            self.pour(old.digest, old.size, &mut prefix)?;
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        let staged = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
        let file = bundle::compress(group, &prefix, staged.as_file(), |to| {
            group.pieces.iter().try_for_each(|piece| self.pour(piece.digest, piece.size, to))
        })?;
        file.sync_all()?;
        staged.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Copies a stored file, which must be what its name says.
    fn pour(&self, digest: Digest, size: u64, to: &mut dyn Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.open_file(digest)?.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
        match Digest::of(&bytes) == digest {
            true => to.write_all(&bytes),
            false => Err(io::Error::other(format!("the stored content {} is damaged", digest.short()))),
        }
    }
}

impl Bundle {
    /// Opens its frames in order, each with its number.
    ///
    /// # Errors
    ///
    /// The system's own; a cleaning up may have taken one.
    pub fn open(&self) -> io::Result<Vec<(u32, File)>> {
        self.frames.iter().map(|(number, path)| Ok((*number, File::open(path)?))).collect()
    }
}

/// The way from a base, if it brings all that is needed.
fn way<'a>(base: Option<(&'a Held, Manifest)>, needs: &BTreeSet<Digest>, target: &Manifest) -> Option<Way<'a>> {
    let groups = bundle::groups(base.as_ref().map(|(_, manifest)| manifest), target);
    let count = |group: &Group| group.pieces.iter().filter(|piece| needs.contains(&piece.digest)).count();
    let found: Vec<usize> = groups.iter().map(count).collect();
    let wanted: Vec<usize> = (0..groups.len()).filter(|number| found[*number] > 0).collect();
    let bytes = wanted.iter().map(|number| groups[*number].bytes).sum();
    (found.iter().sum::<usize>() == needs.len()).then_some(Way { base, groups, wanted, bytes })
}

fn sizes(manifest: &Manifest) -> impl Iterator<Item = (Digest, u64)> {
    let file = |kind: &EntryKind| match kind {
        EntryKind::File { size, digest, .. } => Some((*digest, *size)),
        EntryKind::Symlink { .. } => None,
    };
    let each: BTreeMap<Digest, u64> = manifest.entries().iter().filter_map(|entry| file(&entry.kind)).collect();
    each.into_iter()
}

/// What tells one host's question from another's.
fn question(held: &[Held], needs: &[Digest], target: &Manifest) -> Digest {
    let mut text = format!("{}\n", target.id());
    held.iter().for_each(|held| text.push_str(&format!("{} {}\n", held.component, held.id)));
    let mut bytes = text.into_bytes();
    needs.iter().for_each(|digest| bytes.extend_from_slice(digest.to_string().as_bytes()));
    Digest::of(&bytes)
}
