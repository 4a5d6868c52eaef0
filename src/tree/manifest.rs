//! What a component consists of: its files and links by path, and the id that names exactly this content.
//!
//! Invariant: a [`Manifest`] is sorted, names nothing twice, has no file that is also a directory, and no path or link
//! target in it leads out of the tree. Nothing checks again.
//!
//! Deliberately absent: times, owners and empty directories. They are policy, not content.
//!
//! The id is that of the root in a Merkle tree. A directory's digest is BLAKE3 in derive-key mode with the context
//! [`DIRECTORY_CONTEXT`] over its children, sorted by the bytes of their names, each one as
//! `f SIZE DIGEST NAME\0` (file), `x SIZE DIGEST NAME\0` (executable file), `l NAME\0TARGET\0` (symbolic link) or
//! `d DIGEST NAME\0` (directory). No field can hold a NUL, so no two directories give the same bytes.
//!
//! The byte form is [`MANIFEST_HEAD`] and then the entries in order as `f SIZE DIGEST PATH\0`, `x SIZE DIGEST PATH\0`
//! or `l PATH\0TARGET\0`. Numbers are decimal without leading zeros. The same manifest gives the same bytes always.

use super::path::{PATH_BYTES_MAX, PathError, RelPath};
use crate::model::digest::Digest;
use crate::model::limits::{MESSAGE_BYTES_MAX, TREE_FILES_MAX};
use std::cmp::Ordering;

/// Separates directory digests from all other uses of BLAKE3.
pub const DIRECTORY_CONTEXT: &str = "pointsman 2026 release tree directory v1";
/// The first bytes of every manifest; the number is the format's version.
pub const MANIFEST_HEAD: &str = "pointsman manifest 1\n";
/// One file or link of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where, relative to the component.
    pub path: RelPath,
    /// What.
    pub kind: EntryKind,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Whether it may be executed.
        exec: bool,
        /// Its length, bytes.
        size: u64,
        /// The digest of its bytes.
        digest: Digest,
    },
    /// A symbolic link that stays inside of the tree.
    Symlink {
        /// Relative to the link's directory; `..` only at its beginning.
        target: String,
    },
}

/// The content of a component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    entries: Vec<Entry>,
}

/// Why entries or bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A path is not relative, normalised and short enough.
    #[error("bad path `{}`: {why}", .path.escape_debug())]
    Path {
        /// What was to be one.
        path: String,
        /// Why it is none.
        why: PathError,
    },
    /// A link leads out of the tree, or may.
    #[error("the link `{}` has a bad target: {why}", .link.as_str().escape_debug())]
    Target {
        /// Which link.
        link: RelPath,
        /// What is wrong with its target.
        why: &'static str,
    },
    /// Two entries have the same path.
    #[error("`{}` stands there twice", .0.as_str().escape_debug())]
    Duplicate(RelPath),
    /// Entries are not in order.
    #[error("`{}` is not in its place in the order", .0.as_str().escape_debug())]
    Unsorted(RelPath),
    /// Something that is not a directory has entries below it.
    #[error("`{}` is a file or a link and has entries below it", .0.as_str().escape_debug())]
    FileAndDirectory(RelPath),
    /// More files or bytes than the limits allow.
    #[error("more than {TREE_FILES_MAX} files, or more than {MESSAGE_BYTES_MAX} bytes of manifest")]
    TooLarge,
    /// The bytes are not of the form; the text says where.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}

impl Manifest {
    /// A manifest of these entries, in any order.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, ManifestError> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Self::from_sorted(entries)?;
        match manifest.encoded_len() > MESSAGE_BYTES_MAX {
            true => Err(ManifestError::TooLarge),
            false => Ok(manifest),
        }
    }

    fn from_sorted(entries: Vec<Entry>) -> Result<Self, ManifestError> {
        if entries.len() > TREE_FILES_MAX {
            return Err(ManifestError::TooLarge);
        }
        for pair in entries.windows(2) {
            let (before, after) = (&pair[0].path, &pair[1].path);
            match before.cmp(after) {
                Ordering::Equal => return Err(ManifestError::Duplicate(after.clone())),
                Ordering::Greater => return Err(ManifestError::Unsorted(after.clone())),
                Ordering::Less if after.is_within(before.as_str()) => {
                    return Err(ManifestError::FileAndDirectory(before.clone()));
                }
                Ordering::Less => {}
            }
        }
        for entry in &entries {
            if let EntryKind::Symlink { target } = &entry.kind {
                check_target(&entry.path, target)
                    .map_err(|why| ManifestError::Target { link: entry.path.clone(), why })?;
            }
        }
        Ok(Self { entries })
    }

    /// The entries in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What stands at `path`.
    pub fn get(&self, path: &RelPath) -> Option<&EntryKind> {
        let at = self.entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        Some(&self.entries[at].kind)
    }

    /// How many entries there are, links included.
    pub fn files(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The bytes of all files together.
    pub fn bytes(&self) -> u64 {
        let size = |entry: &Entry| match entry.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Symlink { .. } => 0,
        };
        self.entries.iter().map(size).fold(0, u64::saturating_add)
    }

    /// The entries that are one of `prefixes` or below one, under their full paths; no prefixes: all of them.
    ///
    /// The id of what an artefact rule reads is the id of the subset that its `inputs` name.
    pub fn subset(&self, prefixes: &[String]) -> Manifest {
        let wanted = |entry: &&Entry| prefixes.is_empty() || prefixes.iter().any(|p| entry.path.is_within(p));
        Manifest { entries: self.entries.iter().filter(wanted).cloned().collect() }
    }

    /// The id that names exactly this content; the module says of what it is the digest.
    pub fn id(&self) -> Digest {
        directory_digest(&self.entries, 0)
    }

    /// The byte form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        bytes.extend_from_slice(MANIFEST_HEAD.as_bytes());
        for entry in &self.entries {
            push_entry(&mut bytes, entry.path.as_str(), &entry.kind);
        }
        bytes
    }

    fn encoded_len(&self) -> usize {
        let one = |entry: &Entry| match &entry.kind {
            EntryKind::File { size, .. } => entry.path.as_str().len() + 70 + size.max(&1).ilog10() as usize,
            EntryKind::Symlink { target } => entry.path.as_str().len() + target.len() + 4,
        };
        MANIFEST_HEAD.len() + self.entries.iter().map(one).sum::<usize>()
    }

    /// Reads the byte form; whatever is not exactly what [`Self::to_bytes`] writes is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ManifestError::TooLarge);
        }
        let rest = bytes.strip_prefix(MANIFEST_HEAD.as_bytes()).ok_or(ManifestError::Malformed("another format"))?;
        let text = std::str::from_utf8(rest).map_err(|_| ManifestError::Malformed("not UTF-8"))?;
        let mut fields = text.split_terminator('\0');
        let mut entries = Vec::new();
        while let Some(field) = fields.next() {
            if entries.len() == TREE_FILES_MAX {
                return Err(ManifestError::TooLarge);
            }
            entries.push(parse_entry(field, &mut fields)?);
        }
        if !text.is_empty() && !text.ends_with('\0') {
            return Err(ManifestError::Malformed("cut off"));
        }
        Self::from_sorted(entries)
    }
}

fn parse_entry<'a>(field: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<Entry, ManifestError> {
    let path = |text: &str| text.parse::<RelPath>().map_err(|why| ManifestError::Path { path: text.to_owned(), why });
    if let Some(text) = field.strip_prefix("l ") {
        let target = rest.next().ok_or(ManifestError::Malformed("a link without a target"))?;
        return Ok(Entry { path: path(text)?, kind: EntryKind::Symlink { target: target.to_owned() } });
    }
    let mut parts = field.splitn(4, ' ');
    let (kind, size, digest, text) = (parts.next(), parts.next(), parts.next(), parts.next());
    let exec = match kind {
        Some("f") => false,
        Some("x") => true,
        _ => return Err(ManifestError::Malformed("an entry of no known kind")),
    };
    let size = size.and_then(parse_decimal).ok_or(ManifestError::Malformed("a size is not a number"))?;
    let digest = digest.and_then(|d| d.parse().ok()).ok_or(ManifestError::Malformed("a digest is not one"))?;
    let text = text.ok_or(ManifestError::Malformed("an entry without a path"))?;
    Ok(Entry { path: path(text)?, kind: EntryKind::File { exec, size, digest } })
}

/// A number in its one canonical decimal form.
fn parse_decimal(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with('0');
    (plain && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// A target may begin with `..` as often as the link is deep, and not go up again once it went down: what it went down
/// through may itself be a link.
fn check_target(link: &RelPath, target: &str) -> Result<(), &'static str> {
    let depth = link.segments().count() - 1;
    let parts = || target.split('/').filter(|part| !part.is_empty() && *part != ".");
    let ups = parts().take_while(|part| *part == "..").count();
    match target {
        _ if target.is_empty() => Err("it is empty"),
        _ if target.len() > PATH_BYTES_MAX => Err("it is longer than 4095 bytes"),
        _ if target.contains('\0') => Err("it contains a NUL"),
        _ if target.starts_with('/') => Err("it is absolute"),
        _ if ups > depth => Err("it leaves the tree"),
        _ if parts().skip(ups).any(|part| part == "..") => Err("it goes up after it went down"),
        _ => Ok(()),
    }
}

fn push_entry(bytes: &mut Vec<u8>, path: &str, kind: &EntryKind) {
    let line = match kind {
        EntryKind::File { exec, size, digest } => {
            format!("{} {size} {digest} {path}\0", if *exec { 'x' } else { 'f' })
        }
        EntryKind::Symlink { target } => format!("l {path}\0{target}\0"),
    };
    bytes.extend_from_slice(line.as_bytes());
}

/// The digest of the directory that `entries` are all below; its own path is their first `skip` bytes.
///
/// Entries are sorted part by part, so the children come in the order of their names' bytes.
fn directory_digest(entries: &[Entry], skip: usize) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(DIRECTORY_CONTEXT);
    let mut line = Vec::new();
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let below = &first.path.as_str()[skip..];
        line.clear();
        let taken = match below.split_once('/') {
            None => {
                push_entry(&mut line, below, &first.kind);
                1
            }
            Some((name, _)) => {
                let directory = &first.path.as_str()[..skip + name.len()];
                let taken = rest.iter().take_while(|entry| entry.path.is_within(directory)).count();
                let digest = directory_digest(&rest[..taken], directory.len() + 1);
                line.extend_from_slice(format!("d {digest} {name}\0").as_bytes());
                taken
            }
        };
        hasher.update(&line);
        rest = &rest[taken..];
    }
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests;
