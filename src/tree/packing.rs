//! Bundles out of the content store: made once, kept, and sent to every host that is in the same state.
//!
//! Invariant: what is packed was hashed while it was read. A bundle that is kept is only ever a way to save work: hosts
//! verify every file of it, and one that a host could not use is forgotten and files go by hash instead. Which bundle
//! suits depends on what a host says it holds, so a host can ask for no other than one to the content it is to have.

use super::bundle::{self, Group};
use super::content::{ContentError, ContentStore, at, threads};
use super::manifest::{EntryKind, Manifest};
use crate::model::digest::Digest;
use crate::model::limits::{BUNDLE_FRAMES_KEPT_MAX, BUNDLE_WORTH_BYTES};
use crate::model::protocol::Held;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
            let threads: Vec<_> = (0..threads()).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("packing never panics"))
        })?;
        self.thin(BUNDLE_FRAMES_KEPT_MAX.max(way.wanted.len()))?;
        let frame = |number: &usize| u32::try_from(*number).ok().map(|n| (n, path(*number)));
        let base = way.base.as_ref().map(|(held, _)| (*held).clone());
        Ok(Bundle { base, frames: way.wanted.iter().filter_map(frame).collect() })
    }

    /// Removes the oldest frames while there are more than `kept`; one that is missed later is made again.
    fn thin(&self, kept: usize) -> Result<(), ContentError> {
        let directory = self.bundle_directory();
        let mut frames = Vec::new();
        for entry in at(&directory, std::fs::read_dir(&directory))? {
            let entry = at(&directory, entry)?;
            // Another command may remove it first.
            let Ok(made) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
            frames.push((made, entry.path()));
        }
        frames.sort();
        let many = frames.len().saturating_sub(kept);
        frames.iter().take(many).for_each(|(_, path)| _ = std::fs::remove_file(path));
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    /// A store with two contents of one large file that differ in one byte.
    fn store() -> (tempfile::TempDir, ContentStore, Manifest, Manifest) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = ContentStore::open(&dir.path().join("books")).expect("nothing is there yet");
        let mut bytes: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let mut import = |name: &str| {
            bytes[5000] ^= 1;
            let tree = dir.path().join(name);
            std::fs::create_dir(&tree).expect("it is new");
            std::fs::write(tree.join("large"), &bytes).expect("written");
            store.import(&tree, &[]).expect("taken in")
        };
        let (old, new) = (import("old"), import("new"));
        (dir, store, old, new)
    }

    fn all(manifest: &Manifest) -> Vec<Digest> {
        sizes(manifest).map(|(digest, _)| digest).collect()
    }

    #[test]
    fn the_base_decides_and_what_was_made_is_made_again_only_when_it_is_gone() {
        let (_dir, store, old, new) = store();
        let held = [Held { component: "conf".parse().expect("a component"), id: old.id() }];
        let stranger = [Held { id: Digest::of(b"not here"), ..held[0].clone() }];
        let needs = all(&new);
        let delta = store.bundle(&held, &needs, &new).expect("made").expect("worth it");
        assert_eq!(delta.base.as_ref(), Some(&held[0]));
        let pack = store.bundle(&stranger, &needs, &new).expect("made").expect("worth it");
        assert_eq!(pack.base, None, "nobody knows what that host holds");
        let size = |bundle: &Bundle| std::fs::metadata(&bundle.frames[0].1).expect("made").len();
        assert!(size(&delta) * 100 < size(&pack), "{} and {} bytes", size(&delta), size(&pack));
        let unknown = store.bundle(&held, &[Digest::of(b"else")], &new).expect("asked");
        assert_eq!(unknown, None, "only what the target has is packed");

        let made = std::fs::metadata(&delta.frames[0].1).and_then(|m| m.modified()).expect("made");
        assert_eq!(store.bundle(&held, &needs, &new).expect("kept").as_ref(), Some(&delta));
        store.forget(&delta);
        assert!(delta.open().is_err());
        let again = store.bundle(&held, &needs, &new).expect("made").expect("worth it");
        assert!(std::fs::metadata(&again.frames[0].1).and_then(|m| m.modified()).expect("made") >= made);
    }

    #[test]
    fn damaged_content_is_not_packed() {
        let (dir, store, _, new) = store();
        let name = all(&new)[0].to_string();
        let path = dir.path().join("books/content/files").join(&name[..2]).join(&name[2..]);
        std::fs::write(path, "damaged").expect("ours");
        assert!(store.bundle(&[], &all(&new), &new).is_err());
        assert_eq!(std::fs::read_dir(store.bundle_directory()).expect("made").count(), 0);
    }

    #[test]
    fn the_oldest_frames_go() {
        let (_dir, store, ..) = store();
        store.make_bundle_directory().expect("made");
        for n in 0..4_u64 {
            let file = File::create(store.bundle_directory().join(n.to_string())).expect("ours");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(n)).expect("ours");
        }
        store.thin(2).expect("thinned");
        let there = |n: u64| store.bundle_directory().join(n.to_string()).exists();
        assert_eq!([0, 1, 2, 3].map(there), [false, false, true, true]);
    }
}
