//! Taking a source tree of staging into the content store.
//!
//! Invariant: the manifest that comes back is of bytes that were read here and are in the store, or (`look`) of bytes
//! that were read and nothing was written at all. A file that somebody changes while it is read is an error, never a
//! mixture. An empty or missing source is refused: it would wipe a component from the whole fleet.

use super::content::{ContentError, ContentStore, at, create, threads};
use super::manifest::{Entry, EntryKind, Manifest};
use super::path::RelPath;
use super::scan::{self, Found, FoundKind, ScanError, Stat};
use super::stat_index::StatIndex;
use crate::model::digest::Digest;
use crate::model::limits::MESSAGE_BYTES_MAX;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A stat index has longer lines than a manifest.
const INDEX_BYTES_MAX: u64 = 3 * MESSAGE_BYTES_MAX as u64;

type Result<T> = std::result::Result<T, ContentError>;

impl ContentStore {
    /// Takes in a whole component, but what is `excluded` (artefacts' paths); gives the manifest, which is then stored.
    ///
    /// # Errors
    ///
    /// A missing or empty source; something in it that is never sent; a file changed meanwhile; the system's own.
    pub fn import(&self, component_dir: &Path, excluded: &[String]) -> Result<Manifest> {
        let tree = open(component_dir)?;
        let held = self.begin()?;
        let taken_ns = self.file_clock()?;
        let found = scan::walk(tree.as_fd(), excluded)?;
        let index = self.index(component_dir);
        let read = read_all(&Reading { store: self, tree: tree.as_fd(), index: &index, stage: true }, &found)?;
        let manifest = filled(component_dir, Manifest::new(read.entries)?)?;
        self.place(&held, &read.staged)?;
        self.keep_manifest(&held, &manifest)?;
        let index = StatIndex { taken_ns, files: read.stats };
        self.write(&held, &self.index_path(component_dir), &index.to_bytes())?;
        Ok(manifest)
    }

    /// The content `base` with only `paths` (files, or directories with all below) taken anew from the source; what is
    /// gone there is gone in it. What is `excluded` stays out.
    ///
    /// # Errors
    ///
    /// As of [`Self::import`]; also a path that is neither in the source nor in `base`.
    pub fn import_paths(
        &self,
        base: &Manifest,
        component_dir: &Path,
        paths: &[RelPath],
        excluded: &[String],
    ) -> Result<Manifest> {
        let tree = open(component_dir)?;
        let held = self.begin()?;
        let (manifest, staged) = self.read_paths(base, (component_dir, tree.as_fd()), paths, excluded, true)?;
        self.place(&held, &staged)?;
        self.keep_manifest(&held, &manifest)?;
        Ok(manifest)
    }

    /// The manifest that [`Self::import_paths`] would give; writes nothing, takes no lock.
    ///
    /// # Errors
    ///
    /// As of [`Self::import_paths`].
    pub fn look_paths(
        &self,
        base: &Manifest,
        component_dir: &Path,
        paths: &[RelPath],
        excluded: &[String],
    ) -> Result<Manifest> {
        let tree = open(component_dir)?;
        Ok(self.read_paths(base, (component_dir, tree.as_fd()), paths, excluded, false)?.0)
    }

    /// Reads `paths` of a source over `base`; with `stage`, files that the store lacks are staged for it.
    fn read_paths(
        &self,
        base: &Manifest,
        (component_dir, tree): (&Path, BorrowedFd<'_>),
        paths: &[RelPath],
        excluded: &[String],
        stage: bool,
    ) -> Result<(Manifest, BTreeMap<Digest, PathBuf>)> {
        let mut found = BTreeMap::new();
        for path in paths {
            let below = scan::walk_below(tree, path, excluded)?;
            if below.is_empty() && !base.entries().iter().any(|entry| entry.path.is_within(path.as_str())) {
                return Err(ContentError::NoSuchPath(path.to_string()));
            }
            found.extend(below.into_iter().map(|found| (found.path.clone(), found)));
        }
        let found: Vec<Found> = found.into_values().collect();
        let index = self.index(component_dir);
        let read = read_all(&Reading { store: self, tree, index: &index, stage }, &found)?;
        let stays = |entry: &&Entry| !paths.iter().any(|path| entry.path.is_within(path.as_str()));
        let kept: Vec<Entry> = base.entries().iter().filter(stays).cloned().collect();
        if let Some(lacking) = kept.iter().find(|entry| !self.has(entry)) {
            return Err(ContentError::Lacking(lacking.path.to_string()));
        }
        let entries = kept.into_iter().chain(read.entries).collect();
        Ok((filled(component_dir, Manifest::new(entries)?)?, read.staged))
    }

    /// The manifest that [`Self::import`] would give; writes nothing, takes no lock.
    ///
    /// # Errors
    ///
    /// As of [`Self::import`].
    pub fn look(&self, component_dir: &Path, excluded: &[String]) -> Result<Manifest> {
        let tree = open(component_dir)?;
        let found = scan::walk(tree.as_fd(), excluded)?;
        let index = self.index(component_dir);
        let read = read_all(&Reading { store: self, tree: tree.as_fd(), index: &index, stage: false }, &found)?;
        filled(component_dir, Manifest::new(read.entries)?)
    }

    fn has(&self, entry: &Entry) -> bool {
        match entry.kind {
            EntryKind::File { digest, size, .. } => self.holds(digest, size),
            EntryKind::Symlink { .. } => true,
        }
    }

    /// The index of the last import; an unreadable or malformed one counts as none.
    fn index(&self, component_dir: &Path) -> StatIndex {
        let mut bytes = Vec::new();
        let read = File::open(self.index_path(component_dir))
            .and_then(|file| file.take(INDEX_BYTES_MAX).read_to_end(&mut bytes));
        read.ok().and_then(|_| StatIndex::from_bytes(&bytes)).unwrap_or_default()
    }

    /// Now, by the clock that gives files their times.
    fn file_clock(&self) -> Result<i128> {
        let path = self.staged_path(0);
        let file = at(&path, create(&path))?;
        let name: RelPath = "clock".parse().map_err(|why| ScanError::Path { path: "clock".to_owned(), why })?;
        Ok(scan::stat_file(&file, &name)?.mtime_ns)
    }
}

fn open(component_dir: &Path) -> Result<OwnedFd> {
    match scan::open_tree(component_dir) {
        Err(ScanError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Err(ContentError::Missing(component_dir.to_owned()))
        }
        opened => Ok(opened?),
    }
}

fn filled(component_dir: &Path, manifest: Manifest) -> Result<Manifest> {
    match manifest.entries().is_empty() {
        true => Err(ContentError::Empty(component_dir.to_owned())),
        false => Ok(manifest),
    }
}

/// What every reading thread needs.
struct Reading<'a> {
    store: &'a ContentStore,
    tree: BorrowedFd<'a>,
    index: &'a StatIndex,
    /// Whether files that the store lacks are staged for it.
    stage: bool,
}

/// What was read of a tree.
#[derive(Default)]
struct Taken {
    entries: Vec<Entry>,
    stats: BTreeMap<RelPath, (Stat, Digest)>,
    staged: BTreeMap<Digest, PathBuf>,
}

/// Reads on several threads; of several errors the first in the order of `found` is told.
fn read_all(reading: &Reading<'_>, found: &[Found]) -> Result<Taken> {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(usize::MAX);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            match found.get(number) {
                Some(_) if failed.load(Ordering::Relaxed) < number => return done,
                Some(one) => done.push((number, read_one(reading, number, one))),
                None => return done,
            }
            if matches!(done.last(), Some((_, Err(_)))) {
                failed.fetch_min(number, Ordering::Relaxed);
            }
        }
    };
    let threads = threads();
    let mut done: Vec<_> = match threads {
        1 => work(),
        _ => std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("reading a file never panics")).collect()
        }),
    };
    done.sort_by_key(|(number, _)| *number);
    let mut all = Taken::default();
    for (number, one) in done {
        let (entry, staged) = one?;
        if let (EntryKind::File { digest, .. }, FoundKind::File(stat)) = (&entry.kind, &found[number].kind) {
            all.stats.insert(entry.path.clone(), (*stat, *digest));
            all.staged.extend(staged.map(|path| (*digest, path)));
        }
        all.entries.push(entry);
    }
    Ok(all)
}

/// The entry of one thing found, and where its bytes were staged if the store lacks them.
fn read_one(reading: &Reading<'_>, number: usize, found: &Found) -> Result<(Entry, Option<PathBuf>)> {
    let path = found.path.clone();
    let stat = match &found.kind {
        FoundKind::Symlink { target } => {
            return Ok((Entry { path, kind: EntryKind::Symlink { target: target.clone() } }, None));
        }
        FoundKind::File(stat) => stat,
    };
    let Stat { size, exec, .. } = *stat;
    let entry = |digest| Entry { path: path.clone(), kind: EntryKind::File { exec, size, digest } };
    let lacks = |digest| reading.stage && !reading.store.holds(digest, size);
    if let Some(digest) = reading.index.lookup(&found.path, stat).filter(|digest| !lacks(*digest)) {
        return Ok((entry(digest), None));
    }
    let mut file = scan::open_file(reading.tree, &found.path)?;
    unchanged(&file, found, stat)?;
    let digest = hash(&mut file, found, size)?;
    let staged = match lacks(digest) {
        true => Some(stage(&reading.store.staged_path(number), &mut file, found, size, digest)?),
        false => None,
    };
    unchanged(&file, found, stat)?;
    Ok((entry(digest), staged))
}

fn unchanged(file: &File, found: &Found, stat: &Stat) -> Result<()> {
    match scan::stat_file(file, &found.path)? == *stat {
        true => Ok(()),
        false => Err(ContentError::Changed(found.path.to_string())),
    }
}

/// The digest of a file of exactly `size` bytes, from its beginning.
fn hash(file: &mut File, found: &Found, size: u64) -> Result<Digest> {
    let path = Path::new(found.path.as_str());
    let mut hasher = blake3::Hasher::new();
    at(path, file.rewind())?;
    let read = at(path, hasher.update_reader(file.take(size.saturating_add(1))).map(|hasher| hasher.count()))?;
    match read == size {
        true => Ok(Digest::from_bytes(*hasher.finalize().as_bytes())),
        false => Err(ContentError::Changed(found.path.to_string())),
    }
}

/// Copies a file, reads the copy back and finds that it hashes to `digest`.
fn stage(to: &Path, file: &mut File, found: &Found, size: u64, digest: Digest) -> Result<PathBuf> {
    let path = Path::new(found.path.as_str());
    let mut copy = at(to, create(to))?;
    at(path, file.rewind())?;
    at(to, std::io::copy(&mut file.take(size), &mut copy).and_then(|_| copy.flush()))?;
    match hash(&mut copy, found, size)? == digest {
        true => Ok(to.to_owned()),
        false => Err(ContentError::Changed(found.path.to_string())),
    }
}

#[cfg(test)]
mod tests;
