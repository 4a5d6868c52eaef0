//! What a bundle holds: the files that one content has and another lacks, in an order that both sides know. Pure.
//!
//! A bundle brings a host from content that it holds (its base; nothing for a host that is empty) to another. It is a
//! row of groups. A group is one zstd frame of whole files, one after the other, whose prefix is the base's files at
//! the same paths, or of the same name where a directory was renamed. Controller and agent make the same groups from the same two manifests, so that nothing has to be
//! said about what is in a frame but its number.
//!
//! Invariant: every content of the target that the base has nowhere, but the empty one, is in exactly one group. What a
//! group takes of memory, its prefix included, is bounded but for a single file that is larger.

use super::manifest::{EntryKind, Manifest};
use super::path::RelPath;
use crate::model::digest::Digest;
use crate::model::limits::{BUNDLE_FRAME_BYTES_MAX, PACK_FRAME_BYTES_MAX};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, BufRead, Read, Write};

/// zstd's level for bundles with a base: once for all hosts, and small.
const DELTA_LEVEL: i32 = 9;
/// zstd's level for bundles without one: those are large, and every host waits.
const PACK_LEVEL: i32 = 3;
/// So many files of one name that the target has no more are compared with a new one of that name.
const LENDERS_MAX: usize = 32;
/// The largest window of a frame as a power of two, bytes: twice [`BUNDLE_FRAME_BYTES_MAX`].
const WINDOW_LOG_MAX: u32 = 26;

/// A file of the base that lends its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Where it is in the base.
    pub path: RelPath,
    /// Its content.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
}

/// A file that a group brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its content.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
    /// What the base has at its path, or had under its name, where that lends its bytes.
    pub old: Option<Old>,
}

/// The files of one frame, in their order; their prefix is what lends its bytes, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// The files.
    pub pieces: Vec<Piece>,
    /// Their lengths together, bytes.
    pub bytes: u64,
    /// The length of the prefix, bytes.
    pub prefix_bytes: u64,
}

/// The groups that bring a host from `base` to `target`.
pub fn groups(base: Option<&Manifest>, target: &Manifest) -> Vec<Group> {
    let mut seen: BTreeSet<Digest> =
        base.map(|base| files(base).map(|(.., digest)| digest).collect()).unwrap_or_default();
    let bytes_max = if base.is_some() { BUNDLE_FRAME_BYTES_MAX } else { PACK_FRAME_BYTES_MAX };
    let mut groups: Vec<Group> = Vec::new();
    let mut lenders = base.map(|base| Lenders::new(base, target));
    for (path, size, digest) in files(target) {
        if size == 0 || !seen.insert(digest) {
            continue;
        }
        let lends = |old: &Old| old.size > 0 && old.size.saturating_add(size) <= bytes_max;
        let old = lenders.as_mut().and_then(|lenders| lenders.old(path)).filter(lends);
        let lent = old.as_ref().map_or(0, |old| old.size);
        let fits = |group: &&mut Group| {
            group.bytes.saturating_add(group.prefix_bytes).saturating_add(size).saturating_add(lent) <= bytes_max
        };
        let piece = Piece { digest, size, old };
        match groups.last_mut().filter(fits) {
            Some(group) => {
                group.bytes += size;
                group.prefix_bytes += lent;
                group.pieces.push(piece);
            }
            None => groups.push(Group { pieces: vec![piece], bytes: size, prefix_bytes: lent }),
        }
    }
    groups
}

fn files(manifest: &Manifest) -> impl Iterator<Item = (&RelPath, u64, Digest)> {
    manifest.entries().iter().filter_map(|entry| match entry.kind {
        EntryKind::File { size, digest, .. } => Some((&entry.path, size, digest)),
        EntryKind::Symlink { .. } => None,
    })
}

/// The files of a base that may lend their bytes.
struct Lenders<'a> {
    base: &'a Manifest,
    /// Those whose paths the target has no more, by their names, in order of their paths; each lends once.
    gone: BTreeMap<&'a str, VecDeque<Old>>,
}

impl<'a> Lenders<'a> {
    fn new(base: &'a Manifest, target: &Manifest) -> Self {
        let mut gone: BTreeMap<&str, VecDeque<Old>> = BTreeMap::new();
        for (path, size, digest) in files(base).filter(|(path, ..)| target.get(path).is_none()) {
            gone.entry(name(path)).or_default().push_back(Old { path: path.clone(), digest, size });
        }
        Self { base, gone }
    }

    /// What lends its bytes to a file at this path: the file at the same path; where the base has nothing there, the one of
    /// the same name whose path is most like it.
    fn old(&mut self, path: &RelPath) -> Option<Old> {
        match self.base.get(path) {
            Some(EntryKind::File { size, digest, .. }) => {
                return Some(Old { path: path.clone(), digest: *digest, size: *size });
            }
            Some(EntryKind::Symlink { .. }) => return None,
            None => {}
        }
        let gone = self.gone.get_mut(name(path))?;
        let likest = (0..gone.len().min(LENDERS_MAX)).rev().max_by_key(|at| alike(&gone[*at].path, path))?;
        gone.remove(likest)
    }
}

fn name(path: &RelPath) -> &str {
    path.as_str().rsplit('/').next().unwrap_or_default()
}

/// How many parts two paths have in common at their ends and at their beginnings.
fn alike(a: &RelPath, b: &RelPath) -> usize {
    let (a, b) = (a.as_str().split('/'), b.as_str().split('/'));
    let same = |(a, b): &(&str, &str)| a == b;
    a.clone().rev().zip(b.clone().rev()).take_while(same).count() + a.zip(b).take_while(same).count()
}

/// Writes a group's frame: `write` gives the files' bytes, `group.bytes` in all.
pub fn compress<W: Write>(
    group: &Group,
    prefix: &[u8],
    to: W,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    let level = if prefix.is_empty() { PACK_LEVEL } else { DELTA_LEVEL };
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(to, level, prefix)?;
    // The window must reach over the files to the beginning of the prefix.
    let reach = group.bytes.saturating_add(group.prefix_bytes).max(1 << 17);
    encoder.window_log(reach.next_power_of_two().ilog2().min(WINDOW_LOG_MAX))?;
    encoder.long_distance_matching(!prefix.is_empty())?;
    encoder.include_checksum(true)?;
    write(&mut encoder)?;
    encoder.finish()
}

/// The files' bytes out of a frame, which may come from anybody: what it says is to be hashed, and its window is bounded.
pub fn decompress<'a>(from: impl BufRead + 'a, prefix: &'a [u8]) -> io::Result<impl Read + 'a> {
    let mut decoder = zstd::stream::read::Decoder::with_ref_prefix(from, prefix)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(decoder.single_frame())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::manifest::Entry;

    fn manifest(files: &[(&str, &str)]) -> Manifest {
        let entry = |(path, text): &(&str, &str)| Entry {
            path: path.parse().expect("a path"),
            kind: EntryKind::File { exec: false, size: text.len() as u64, digest: Digest::of(text.as_bytes()) },
        };
        Manifest::new(files.iter().map(entry).collect()).expect("consistent")
    }

    #[test]
    fn only_what_the_base_has_nowhere_comes_and_each_content_once() {
        let base = manifest(&[("a", "one"), ("b", "two"), ("c", "three")]);
        let target = manifest(&[("a", "ONE"), ("b", "two"), ("moved", "three"), ("n", "new"), ("o", "new"), ("p", "")]);
        let [group] = &groups(Some(&base), &target)[..] else { panic!("one group") };
        let found: Vec<_> =
            group.pieces.iter().map(|piece| (piece.digest, piece.old.as_ref().map(|old| old.digest))).collect();
        assert_eq!(found, [(Digest::of(b"ONE"), Some(Digest::of(b"one"))), (Digest::of(b"new"), None)]);
        assert_eq!((group.bytes, group.prefix_bytes), (6, 3));
        let all: u64 = groups(None, &target).iter().map(|group| group.bytes).sum();
        assert_eq!(all, 3 + 3 + 5 + 3, "without a base all but the empty file");
    }

    #[test]
    fn what_was_renamed_with_its_directory_lends_its_bytes_once() {
        let base =
            manifest(&[("a-1/x/index.php", "ax"), ("a-1/y/index.php", "ay"), ("b/y/index.php", "by"), ("c", "c")]);
        let new = [
            ("a-2/y/index.php", "AY"),
            ("a-2/z/index.php", "AZ"),
            ("a-2/zz/index.php", "AZZ"),
            ("b/y/index.php", "BY"),
        ];
        let target = manifest(&new);
        let [group] = &groups(Some(&base), &target)[..] else { panic!("one group") };
        let lent = |piece: &Piece| piece.old.as_ref().map(|old| old.path.as_str().to_owned());
        let lent: Vec<_> = group.pieces.iter().map(lent).collect();
        // The likest, then what is left, then nothing; the one at the same path lends to its own only.
        let expected = [Some("a-1/y/index.php"), Some("a-1/x/index.php"), None, Some("b/y/index.php")];
        assert_eq!(lent, expected.map(|path| path.map(str::to_owned)));
        assert_eq!((group.bytes, group.prefix_bytes), (9, 6));
    }

    #[test]
    fn groups_are_bounded_and_a_larger_file_stands_alone() {
        let file = |(name, size): &(&str, u64)| Entry {
            path: name.parse().expect("a path"),
            kind: EntryKind::File { exec: false, size: *size, digest: Digest::of(format!("{name} {size}").as_bytes()) },
        };
        let manifest = |files: &[(&str, u64)]| Manifest::new(files.iter().map(file).collect()).expect("consistent");
        let max = BUNDLE_FRAME_BYTES_MAX;
        let old = manifest(&[("b", max / 2), ("c", max - 5), ("e", 1)]);
        let new = manifest(&[("a", 1), ("b", max / 2 - 1), ("c", 6), ("d", max + 1), ("e", 2)]);
        let sizes: Vec<_> = groups(Some(&old), &new).iter().map(|group| (group.bytes, group.prefix_bytes)).collect();
        assert_eq!(
            sizes,
            [(max / 2, max / 2), (6, 0), (max + 1, 0), (2, 1)],
            "c's old version would not fit beside it"
        );
    }

    #[test]
    fn a_frame_reads_back_and_damage_is_an_error() {
        let prefix: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let mut text = prefix.clone();
        text[4000] ^= 1;
        let bytes = text.len() as u64;
        let group = Group { pieces: Vec::new(), bytes, prefix_bytes: bytes };
        let frame = compress(&group, &prefix, Vec::new(), |to| to.write_all(&text)).expect("memory takes it");
        assert!(frame.len() < 1000, "{} bytes for one that changed", frame.len());
        let read = |frame: &[u8], prefix: &[u8]| {
            let mut found = Vec::new();
            decompress(frame, prefix).and_then(|mut from| from.read_to_end(&mut found)).map(|_| found)
        };
        assert_eq!(read(&frame, &prefix).expect("whole"), text);
        assert!(read(&frame[..frame.len() - 1], &prefix).is_err());
        assert!(read(&frame, &prefix[1..]).is_err(), "another prefix");
    }
}
