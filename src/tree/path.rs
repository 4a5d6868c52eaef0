//! Paths below a component.
//!
//! Invariant: a [`RelPath`] can be joined to a directory without leaving it, as long as no part of it is a link there.

use crate::model::limits::TREE_DEPTH_MAX;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest name of one file or directory, bytes; Linux allows no more.
pub const SEGMENT_BYTES_MAX: usize = 255;
/// The longest path or link target, bytes; Linux allows no more.
pub const PATH_BYTES_MAX: usize = 4095;

/// A path below a component: relative, normalised, UTF-8, without `.`, `..`, empty parts and NUL.
///
/// Sorted part by part, so that what is below a directory follows it at once (`a`, `a/b`, `a-b`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelPath(String);

/// Why a path is not one of a tree; a fragment that fits "`PATH`: {...}".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(&'static str);

impl RelPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, from the outside in; never empty.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The name in its directory.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directory it is in; `None` at the top of the tree.
    pub fn parent(&self) -> Option<RelPath> {
        self.0.rsplit_once('/').map(|(parent, _)| RelPath(parent.to_owned()))
    }

    /// Whether it is `directory` or below it.
    pub fn is_within(&self, directory: &str) -> bool {
        is_within(&self.0, directory)
    }
}

/// Whether a path is `directory` or below it, for texts that are known to be paths.
pub fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl FromStr for RelPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let why = match text {
            _ if text.is_empty() => "it is empty",
            _ if text.len() > PATH_BYTES_MAX => "it is longer than 4095 bytes",
            _ if text.starts_with('/') => "it is absolute",
            _ if text.contains('\0') => "it contains a NUL",
            _ if text.split('/').any(str::is_empty) => "it has an empty part",
            _ if text.split('/').any(|part| part == "." || part == "..") => "it has a part `.` or `..`",
            _ if text.split('/').any(|part| part.len() > SEGMENT_BYTES_MAX) => "a part is longer than 255 bytes",
            _ if text.split('/').count() > TREE_DEPTH_MAX => "it is too deep",
            _ => return Ok(Self(text.to_owned())),
        };
        Err(PathError(why))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

/// The order of paths, for texts that are known to be paths: that of a walk which takes the names of a directory in
/// order and goes into each directory where its name stands.
pub fn order(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    match mismatch(a, b) {
        Some(at) => rank(a[at]).cmp(&rank(b[at])),
        None => a.len().cmp(&b.len()),
    }
}

/// Where two texts differ first, within the shorter one; eight bytes at a time, because neighbours in a tree share much.
fn mismatch(a: &[u8], b: &[u8]) -> Option<usize> {
    let (common, mut at) = (a.len().min(b.len()), 0);
    while at + 8 <= common && a[at..at + 8] == b[at..at + 8] {
        at += 8;
    }
    (at..common).find(|&at| a[at] != b[at])
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn path(text: &str) -> RelPath {
        text.parse().expect("a path")
    }

    #[test]
    fn s05_paths_that_leave_the_tree_are_refused() {
        for good in ["a", "a/b", "a b", "..a", "a\nb", ".git", "\u{e9}"] {
            assert!(good.parse::<RelPath>().is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        let deep = ["d"; TREE_DEPTH_MAX + 1].join("/");
        for bad in ["", ".", "..", "/a", "a/", "a//b", "a/../b", "./a", "a/.", "a\0b", &long, &deep] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_difference_is_found_wherever_it_is() {
        let same = b"includes/session/SessionManager.php";
        for at in 0..same.len() {
            let mut other = *same;
            other[at] ^= 1;
            assert_eq!(mismatch(same, &other), Some(at));
            assert_eq!(mismatch(same, &same[..at]), None);
        }
    }

    #[test]
    fn what_is_below_a_directory_follows_it_at_once() {
        let mut paths: Vec<RelPath> = ["a-b", "a/c", "a", "b", "a/b/c", "a/b-c"].map(path).into();
        paths.sort();
        expect![[r#"["a", "a/b/c", "a/b-c", "a/c", "a-b", "b"]"#]].assert_eq(&format!("{paths:?}"));
    }
}
