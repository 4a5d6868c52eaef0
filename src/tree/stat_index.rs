//! What files of a source tree hashed to when they were last read, so that an unchanged tree costs an lstat a file.
//!
//! Invariant (git's racy rule): a digest is trusted only if size, times, inode and exec bit are what they were, and both
//! times are older than the moment when the scan that made the index began. A file that was changed in the same tick of
//! the clock in which it was read is read again. An index that is malformed is no index; losing it costs time only.

use super::path::RelPath;
use super::scan::Stat;
use crate::model::digest::Digest;
use std::collections::BTreeMap;
use std::str::FromStr;

const HEAD: &str = "pointsman stat index 1";

/// Digests by path, and since when they hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatIndex {
    /// When the scan that made it began, by the clock that gives files their times, ns since 1970.
    pub taken_ns: i128,
    /// What was found.
    pub files: BTreeMap<RelPath, (Stat, Digest)>,
}

impl StatIndex {
    /// The digest of the file, if it is certain without reading it.
    pub fn lookup(&self, path: &RelPath, stat: &Stat) -> Option<Digest> {
        let (known, digest) = self.files.get(path)?;
        let old = stat.mtime_ns < self.taken_ns && stat.ctime_ns < self.taken_ns;
        (old && known == stat).then_some(*digest)
    }

    /// The byte form: a head, the moment, and `SIZE MTIME CTIME INODE EXEC DIGEST PATH\0` for each file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{HEAD}\0{}\0", self.taken_ns);
        for (path, (stat, digest)) in &self.files {
            let Stat { size, mtime_ns, ctime_ns, inode, exec } = stat;
            text.push_str(&format!("{size} {mtime_ns} {ctime_ns} {inode} {} {digest} {path}\0", u8::from(*exec)));
        }
        text.into_bytes()
    }

    /// Reads the byte form; `None` when it is not one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(bytes).ok()?.strip_suffix('\0')?.split('\0');
        if fields.next() != Some(HEAD) {
            return None;
        }
        let taken_ns = fields.next()?.parse().ok()?;
        let files = fields.map(parse).collect::<Option<_>>()?;
        Some(Self { taken_ns, files })
    }
}

fn parse(field: &str) -> Option<(RelPath, (Stat, Digest))> {
    fn next<'a, T: FromStr>(parts: &mut impl Iterator<Item = &'a str>) -> Option<T> {
        parts.next()?.parse().ok()
    }
    let parts = &mut field.splitn(7, ' ');
    let (size, mtime_ns, ctime_ns, inode) = (next(parts)?, next(parts)?, next(parts)?, next(parts)?);
    let exec = next::<u8>(parts)? == 1;
    let digest = next(parts)?;
    Some((next(parts)?, (Stat { size, mtime_ns, ctime_ns, inode, exec }, digest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stat(mtime_ns: i128, ctime_ns: i128) -> Stat {
        Stat { size: 3, mtime_ns, ctime_ns, inode: 7, exec: false }
    }

    fn index(known: Stat) -> StatIndex {
        let path = "a b/c".parse().expect("a path");
        StatIndex { taken_ns: 100, files: BTreeMap::from([(path, (known, Digest::of(b"x")))]) }
    }

    #[test]
    fn only_what_is_the_same_and_older_than_the_scan_is_trusted() {
        let path: RelPath = "a b/c".parse().expect("a path");
        let trusted = |known: Stat, now: Stat| index(known).lookup(&path, &now).is_some();
        assert!(trusted(stat(98, 99), stat(98, 99)));
        assert!(!trusted(stat(98, 100), stat(98, 100)), "changed in the tick in which the scan began");
        assert!(!trusted(stat(100, 99), stat(100, 99)));
        assert!(!trusted(stat(98, 500), stat(98, 500)), "a clock that was set back");
        assert!(!trusted(stat(98, 99), stat(98, 97)));
        assert!(!trusted(stat(98, 99), Stat { size: 4, ..stat(98, 99) }));
        assert!(!trusted(stat(98, 99), Stat { inode: 8, ..stat(98, 99) }));
        assert!(!trusted(stat(98, 99), Stat { exec: true, ..stat(98, 99) }));
        assert_eq!(index(stat(1, 1)).lookup(&"other".parse().expect("a path"), &stat(1, 1)), None);
    }

    #[test]
    fn the_byte_form_reads_back_and_damage_is_no_index() {
        let index = index(stat(-5, 99));
        let bytes = index.to_bytes();
        assert_eq!(StatIndex::from_bytes(&bytes), Some(index));
        for end in 0..bytes.len() {
            let cut = StatIndex::from_bytes(&bytes[..end]);
            assert!(cut.is_none_or(|index| index.files.is_empty()), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = StatIndex::from_bytes(&[format!("{HEAD}\0").as_bytes(), &bytes].concat());
        }
    }
}
