//! The stat index of a component: what each file was when it was proven, so that another look costs one `lstat` a file.
//!
//! Invariant: an index names the boot and the incarnation under which its stats were taken; under any other they prove
//! nothing, and every file is hashed. An index whose own digest does not fit is damaged and counts as absent.
//!
//! The byte form: [`HEAD`], `BOOT\0INCARNATION\0`, then in order of paths `K SIZE MTIME CTIME INODE DIGEST PATH\0` for
//! files and `l MTIME CTIME INODE PATH\0TARGET\0` for links, then the digest of all that as 64 digits. `K` is `f` or,
//! executable, `x`. In front of what the host built itself stands a `+`.

use super::hostfs::{Kind, Stat};
use super::state::{self, Ready};
use crate::model::digest::Digest;
use crate::model::ids::Incarnation;
use crate::tree::manifest::{Entry, EntryKind, Manifest};
use crate::tree::path::RelPath;
use std::collections::BTreeMap;

/// The first bytes; the number is the format's version.
const HEAD: &str = "pointsman index 1\n";

/// Under which circumstances stats were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Here {
    pub boot_id: String,
    pub incarnation: Option<Incarnation>,
}

/// One proven file or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indexed {
    pub kind: EntryKind,
    /// Whether the host built it, so that the manifest does not have it.
    pub built: bool,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub inode: u64,
}

/// What a component was when it was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub here: Here,
    pub entries: BTreeMap<RelPath, Indexed>,
}

impl Indexed {
    pub fn new(kind: EntryKind, built: bool, stat: &Stat) -> Self {
        Self { kind, built, mtime_ns: stat.mtime_ns, ctime_ns: stat.ctime_ns, inode: stat.inode }
    }
}

impl Index {
    /// What of it came from the controller; `None` when it is no consistent manifest.
    pub fn content(&self) -> Option<Manifest> {
        self.part(|_, indexed| !indexed.built)
    }

    /// What the host built in a directory.
    pub fn built_in(&self, directory: &str) -> Option<Manifest> {
        self.part(|path, indexed| indexed.built && path.is_within(directory))
    }

    fn part(&self, wanted: impl Fn(&RelPath, &Indexed) -> bool) -> Option<Manifest> {
        let chosen = self.entries.iter().filter(|(path, indexed)| wanted(path, indexed));
        let entry = |(path, indexed): (&RelPath, &Indexed)| Entry { path: path.clone(), kind: indexed.kind.clone() };
        Manifest::new(chosen.map(entry).collect()).ok()
    }

    /// Whether it describes what the marker claims.
    pub fn fits(&self, ready: &Ready) -> bool {
        let output = |path: &str| self.built_in(path).map(|files| files.id());
        self.content().is_some_and(|content| content.id() == ready.id)
            && ready.artefacts.iter().all(|built| output(&built.path) == Some(built.output))
    }

    /// Whether both are of the same files, whenever these were looked at.
    pub fn same_content(&self, other: &Index) -> bool {
        let same = |((a, one), (b, two)): ((&RelPath, &Indexed), (&RelPath, &Indexed))| {
            a == b && one.kind == two.kind && one.built == two.built
        };
        self.entries.len() == other.entries.len() && self.entries.iter().zip(&other.entries).all(same)
    }

    /// The byte form, and the seal at its end.
    pub fn to_bytes(&self) -> (Vec<u8>, Digest) {
        let incarnation = self.here.incarnation.map_or(String::new(), |id| id.to_string());
        let mut text = format!("{HEAD}{}\0{incarnation}\0", self.here.boot_id.replace('\0', ""));
        for (path, Indexed { kind, built, mtime_ns, ctime_ns, inode }) in &self.entries {
            text.push_str(if *built { "+" } else { "" });
            match kind {
                EntryKind::File { exec, size, digest } => {
                    let letter = if *exec { 'x' } else { 'f' };
                    text.push_str(&format!("{letter} {size} {mtime_ns} {ctime_ns} {inode} {digest} {path}\0"));
                }
                EntryKind::Symlink { target } => {
                    text.push_str(&format!("l {mtime_ns} {ctime_ns} {inode} {path}\0{target}\0"));
                }
            }
        }
        state::seal(text)
    }

    /// Reads the byte form; `None` for anything damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Sealed::open(bytes)?.index()
    }
}

/// The bytes of an index whose seal is right, read line by line.
#[derive(Debug, Clone)]
pub(super) struct Sealed<'a> {
    pub here: Here,
    pub seal: Digest,
    lines: &'a str,
}

/// One file or link as it stands in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub path: &'a str,
    pub what: What<'a>,
    pub built: bool,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub inode: u64,
}

/// Of what kind a [`Line`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'a> {
    File { exec: bool, size: u64, digest: &'a str },
    Symlink { target: &'a str },
}

impl<'a> Sealed<'a> {
    /// `None` when the seal does not fit: then nothing in the bytes is believed.
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        let (body, seal) = state::unseal(bytes)?;
        let (boot_id, rest) = body.strip_prefix(HEAD)?.split_once('\0')?;
        let (incarnation, lines) = rest.split_once('\0')?;
        let incarnation = match incarnation {
            "" => None,
            id => Some(Incarnation::try_from(id.to_owned()).ok()?),
        };
        Some(Self { here: Here { boot_id: boot_id.to_owned(), incarnation }, seal, lines })
    }

    /// Its lines in order; a `None` in between is one that cannot be read.
    pub fn lines(&self) -> impl Iterator<Item = Option<Line<'a>>> + use<'a> {
        let mut rest = self.lines.split_terminator('\0');
        std::iter::from_fn(move || rest.next().map(|first| line(first, &mut rest)))
    }

    /// Whether these digits stand anywhere in it, for a digest then.
    pub fn mentions(&self, digits: &str) -> bool {
        self.lines.contains(digits)
    }

    /// All of it.
    pub fn index(&self) -> Option<Index> {
        let entry = |line: Option<Line<'_>>| line.and_then(|line| Some((line.path.parse().ok()?, line.indexed()?)));
        // They were written in order, so that a map is made of them at once.
        let entries: Option<Vec<(RelPath, Indexed)>> = self.lines().map(entry).collect();
        Some(Index { here: self.here.clone(), entries: entries?.into_iter().collect() })
    }
}

impl Line<'_> {
    fn indexed(&self) -> Option<Indexed> {
        let kind = match self.what {
            What::File { exec, size, digest } => EntryKind::File { exec, size, digest: digest.parse().ok()? },
            What::Symlink { target } => EntryKind::Symlink { target: target.to_owned() },
        };
        let Self { built, mtime_ns, ctime_ns, inode, .. } = *self;
        Some(Indexed { kind, built, mtime_ns, ctime_ns, inode })
    }

    /// Whether what lies there is, by its stat alone, what was proven.
    pub fn same_stat(&self, stat: &Stat) -> bool {
        let times = (self.mtime_ns, self.ctime_ns, self.inode) == (stat.mtime_ns, stat.ctime_ns, stat.inode);
        times && self.same_shape(stat)
    }

    /// Whether kind, mode and length fit, without which the bytes need no look.
    pub fn same_shape(&self, stat: &Stat) -> bool {
        match self.what {
            What::File { exec, size, .. } => (Kind::File, exec, size) == (stat.kind, stat.exec, stat.size),
            What::Symlink { .. } => stat.kind == Kind::Symlink,
        }
    }

    /// Whether a change right after it was looked at could have left the times as they are.
    pub fn is_young(&self, taken_ns: i64) -> bool {
        self.mtime_ns.max(self.ctime_ns) >= taken_ns
    }
}

fn line<'a>(field: &'a str, rest: &mut impl Iterator<Item = &'a str>) -> Option<Line<'a>> {
    let (built, field) = match field.strip_prefix('+') {
        Some(field) => (true, field),
        None => (false, field),
    };
    let (letter, field) = field.split_once(' ')?;
    if letter == "l" {
        let mut parts = field.splitn(4, ' ');
        let (mtime_ns, ctime_ns) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (inode, path) = (parts.next()?.parse().ok()?, parts.next()?);
        return Some(Line { path, what: What::Symlink { target: rest.next()? }, built, mtime_ns, ctime_ns, inode });
    }
    let exec = match letter {
        "f" => false,
        "x" => true,
        _ => return None,
    };
    let mut parts = field.splitn(6, ' ');
    let size = parts.next()?.parse().ok()?;
    let (mtime_ns, ctime_ns) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (inode, digest) = (parts.next()?.parse().ok()?, parts.next()?);
    let path = parts.next()?;
    Some(Line { path, what: What::File { exec, size, digest }, built, mtime_ns, ctime_ns, inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let stat = Stat { kind: Kind::File, exec: true, size: 3, mtime_ns: -1, ctime_ns: 2, inode: 3 };
        let file = EntryKind::File { exec: true, size: 3, digest: Digest::of(b"abc") };
        let link = EntryKind::Symlink { target: "a b".to_owned() };
        let (sent, built) = (file.clone(), file.clone());
        let entries = [("a b", file, false), ("l", link, false), ("out/sent", sent, false), ("out/x\ny", built, true)];
        let entry = |(path, kind, built): (&str, EntryKind, bool)| {
            (path.parse().expect("a path"), Indexed::new(kind, built, &stat))
        };
        let here = Here { boot_id: "boot".to_owned(), incarnation: Some(Incarnation(7)) };
        Index { here, entries: entries.map(entry).into() }
    }

    #[test]
    fn it_reads_back_what_it_wrote() {
        assert_eq!(Index::from_bytes(&index().to_bytes().0), Some(index()));
    }

    #[test]
    fn what_was_built_is_told_from_what_was_sent() {
        let paths = |manifest: Option<Manifest>| {
            let entries = manifest.expect("it is consistent").entries().to_vec();
            entries.iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(paths(index().built_in("out")), ["out/x\ny"]);
        assert_eq!(paths(index().built_in("in")), [""; 0]);
        assert_eq!(paths(index().content()), ["a b", "l", "out/sent"]);
    }

    #[test]
    fn the_same_content_is_the_same_whenever_it_was_looked_at() {
        let later = || {
            let mut later = index();
            later.here.boot_id = "another".to_owned();
            later.entries.values_mut().for_each(|indexed| indexed.mtime_ns += 1);
            later
        };
        assert!(index().same_content(&later()));
        let changes: [fn(&mut Index); 4] = [
            |of| of.entries.values_mut().last().expect("it has some").built = false,
            |of| {
                of.entries.values_mut().next().expect("it has some").kind =
                    EntryKind::Symlink { target: "a".to_owned() }
            },
            |of| _ = of.entries.pop_last(),
            |of| {
                let (_, last) = of.entries.pop_last().expect("it has some");
                of.entries.insert("out/y".parse().expect("a path"), last);
            },
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut other = later();
            change(&mut other);
            assert!(!index().same_content(&other) && !other.same_content(&index()), "{n}");
        }
    }

    #[test]
    fn any_flipped_or_missing_byte_makes_it_absent() {
        let (bytes, _) = index().to_bytes();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(Index::from_bytes(&flipped), None, "byte {at}");
            assert_eq!(Index::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }
}
