//! What changed between two contents of a component. Pure.
//!
//! Invariant: every path of either content is in exactly one of the three lists or the same in both; lists are sorted.

use super::manifest::{Entry, Manifest};
use super::path::RelPath;
use std::cmp::Ordering;

/// What changed from one content to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeDiff {
    /// Only in the new one.
    pub added: Vec<RelPath>,
    /// In both, with other bytes, another kind, target or exec bit.
    pub changed: Vec<RelPath>,
    /// Only in the old one.
    pub removed: Vec<RelPath>,
}

impl TreeDiff {
    /// Whether both contents are the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// What changed from `old` to `new`.
pub fn diff(old: &Manifest, new: &Manifest) -> TreeDiff {
    let mut found = TreeDiff::default();
    let (mut old, mut new) = (old.entries().iter().peekable(), new.entries().iter().peekable());
    loop {
        match order(old.peek(), new.peek()) {
            None => return found,
            Some(Ordering::Less) => found.removed.extend(old.next().map(|entry| entry.path.clone())),
            Some(Ordering::Greater) => found.added.extend(new.next().map(|entry| entry.path.clone())),
            Some(Ordering::Equal) => {
                let (was, is) = (old.next(), new.next());
                if was.map(|entry| &entry.kind) != is.map(|entry| &entry.kind) {
                    found.changed.extend(is.map(|entry| entry.path.clone()));
                }
            }
        }
    }
}

/// Which of two sorted lists comes first; `None` when both are at their ends.
fn order(old: Option<&&Entry>, new: Option<&&Entry>) -> Option<Ordering> {
    match (old, new) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(old), Some(new)) => Some(old.path.cmp(&new.path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::tree::manifest::EntryKind;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    /// A manifest of `path=content` words; content `!` makes it executable, `>` a link.
    fn manifest(text: &str) -> Manifest {
        let entry = |word: &str| {
            let (path, content) = word.split_once('=').expect("path=content");
            let digest = Digest::of(content.as_bytes());
            let kind = match content.strip_prefix('>') {
                Some(target) => EntryKind::Symlink { target: target.to_owned() },
                None => EntryKind::File { exec: content.starts_with('!'), size: 1, digest },
            };
            Entry { path: path.parse().expect("a path"), kind }
        };
        Manifest::new(text.split_whitespace().map(entry).collect()).expect("a manifest")
    }

    fn check(old: &str, new: &str, want: Expect) {
        let found = diff(&manifest(old), &manifest(new));
        want.assert_eq(&format!("+{:?} ~{:?} -{:?}", found.added, found.changed, found.removed));
    }

    #[test]
    fn paths_are_added_changed_or_removed() {
        check("a=1 b=2", "a=1 b=2", expect!["+[] ~[] -[]"]);
        check("a=1 b=2 c=3", "b=9 c=3 d=4", expect![[r#"+["d"] ~["b"] -["a"]"#]]);
        check("a=1", "a=>x", expect![[r#"+[] ~["a"] -[]"#]]);
        check("a=1", "a/b=1 a/c=1", expect![[r#"+["a/b", "a/c"] ~[] -["a"]"#]]);
        check("", "a=1", expect![[r#"+["a"] ~[] -[]"#]]);
    }

    proptest! {
        #[test]
        fn the_other_way_round_is_the_opposite(
            a in prop::collection::btree_map("[a-d]{1,2}", "[12]", 0..12),
            b in prop::collection::btree_map("[a-d]{1,2}", "[12]", 0..12),
        ) {
            let words = |m: &std::collections::BTreeMap<String, String>| {
                manifest(&m.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "))
            };
            let (a, b) = (words(&a), words(&b));
            let (forth, back) = (diff(&a, &b), diff(&b, &a));
            prop_assert_eq!(forth.is_empty(), a == b);
            prop_assert_eq!((forth.added, forth.changed, forth.removed), (back.removed, back.changed, back.added));
        }
    }
}
