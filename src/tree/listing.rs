//! A manifest as hosts are sent it: packed, and once for all of them.
//!
//! Invariant: what was packed begins as zstd has it and a plain manifest never does, so a reader need not be told; what
//! unpacks to more than a manifest may have is refused before it is held.

use super::content::{ContentError, ContentStore};
use super::manifest::{Entry, EntryKind, Manifest, ManifestError};
use super::packed;
use crate::model::digest::Digest;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// zstd's level: half of a manifest is digests, which no level makes smaller than they are.
const LEVEL: i32 = 3;

/// What a component is to hold, for every host that is brought it.
#[derive(Debug)]
pub struct Listing {
    /// The content.
    pub manifest: Arc<Manifest>,
    /// Its files' lengths, bytes.
    pub files: BTreeMap<Digest, u64>,
    /// What goes over the wire.
    pub packed: Vec<u8>,
}

/// The listings that were asked for in this run, by the id of their content.
#[derive(Debug, Default)]
pub struct Listings(Mutex<BTreeMap<Digest, Arc<Listing>>>);

impl Listing {
    /// Of this manifest.
    pub fn of(manifest: Manifest) -> Self {
        let file = |entry: &Entry| match entry.kind {
            EntryKind::File { digest, size, .. } => Some((digest, size)),
            EntryKind::Symlink { .. } => None,
        };
        let files = manifest.entries().iter().filter_map(file).collect();
        Self { files, packed: pack(&manifest), manifest: Arc::new(manifest) }
    }
}

impl ContentStore {
    /// The listing of the content `id`; `None` when it is not here.
    ///
    /// # Errors
    ///
    /// It is damaged, or the system's own.
    pub fn listing(&self, id: Digest) -> Result<Option<Arc<Listing>>, ContentError> {
        let mut known = self.listings().0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = known.get(&id) {
            return Ok(Some(Arc::clone(listing)));
        }
        let Some(manifest) = self.manifest(id)? else { return Ok(None) };
        let listing = Arc::new(Listing::of(manifest));
        known.insert(id, Arc::clone(&listing));
        Ok(Some(listing))
    }
}

/// The bytes of a manifest, packed where that makes them fewer.
pub fn pack(manifest: &Manifest) -> Vec<u8> {
    let plain = manifest.to_bytes();
    match zstd::bulk::compress(&plain, LEVEL) {
        Ok(packed) if packed.len() < plain.len() => packed,
        _ => plain,
    }
}

/// The manifest that such bytes are of, packed or not, when it has at most `bytes_max` of its own.
pub fn read(bytes: &[u8], bytes_max: usize) -> Result<Manifest, ManifestError> {
    if !packed::is_packed(bytes) {
        return Manifest::from_bytes(bytes);
    }
    let broken = |_| ManifestError::Malformed("what was packed cannot be unpacked");
    let plain = packed::unpack(bytes, &[], bytes_max).map_err(broken)?;
    match plain.len() > bytes_max {
        true => Err(ManifestError::TooLarge),
        false => Manifest::from_bytes(&plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::MESSAGE_BYTES_MAX;

    fn manifest(files: usize) -> Manifest {
        let entry = |n: usize| Entry {
            path: format!("includes/libs/{}/File{n}.php", n / 20).parse().expect("a path"),
            kind: EntryKind::File { exec: false, size: n as u64, digest: Digest::of(&n.to_be_bytes()) },
        };
        Manifest::new((0..files).map(entry).collect()).expect("consistent")
    }

    #[test]
    fn it_reads_back_packed_or_not_and_takes_half() {
        for files in [0, 1, 5000] {
            let manifest = manifest(files);
            assert_eq!(read(&pack(&manifest), MESSAGE_BYTES_MAX), Ok(manifest.clone()));
            assert_eq!(read(&manifest.to_bytes(), MESSAGE_BYTES_MAX), Ok(manifest));
        }
        let (packed, plain) = (pack(&manifest(5000)).len(), manifest(5000).to_bytes().len());
        assert!(packed * 2 < plain, "{packed} of {plain} bytes");
    }

    #[test]
    fn s16_what_unpacks_to_more_than_a_manifest_may_have_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; MESSAGE_BYTES_MAX + 1], LEVEL).expect("memory takes it");
        assert!(bomb.len() < 10_000, "{} bytes", bomb.len());
        assert_eq!(read(&bomb, MESSAGE_BYTES_MAX), Err(ManifestError::TooLarge));
        let plain = manifest(100).to_bytes().len();
        assert_eq!(read(&pack(&manifest(100)), plain), Ok(manifest(100)));
        assert_eq!(read(&pack(&manifest(100)), plain - 1), Err(ManifestError::TooLarge));
        let mut cut = pack(&manifest(100));
        cut.pop();
        assert!(matches!(read(&cut, MESSAGE_BYTES_MAX), Err(ManifestError::Malformed(_))));
        assert!(read(&packed::MAGIC, MESSAGE_BYTES_MAX).is_err());
    }

    #[test]
    fn it_is_read_once_for_all_hosts() {
        let books = tempfile::tempdir().expect("a directory");
        let staging = tempfile::tempdir().expect("a directory");
        std::fs::write(staging.path().join("index.php"), "<?php").expect("it is ours");
        let store = ContentStore::open(books.path()).expect("it opens");
        let id = store.import(staging.path(), &[]).expect("it is taken in").id();
        let first = store.listing(id).expect("it reads").expect("it is here");
        assert_eq!(first.manifest.id(), id);
        assert!(Arc::ptr_eq(&first, &store.clone().listing(id).expect("it reads").expect("it is here")));
        assert!(store.listing(Digest::of(b"other")).expect("it reads").is_none());
    }
}
