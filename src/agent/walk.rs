//! What lies below a directory of the host, in the order of a manifest.
//!
//! Invariant: no link is followed, and what comes comes in the order of [`RelPath`], so that it can be laid beside an
//! index without looking anything up. A directory is held in memory one at a time for each level.

use super::hostfs::{HostFs, Kind, Place, Stat};
use crate::model::limits::{TREE_DEPTH_MAX, TREE_FILES_MAX};
use crate::tree::path::{PATH_BYTES_MAX, RelPath, SEGMENT_BYTES_MAX};
use std::collections::BTreeMap;
use std::io;

/// A tree has at most [`TREE_FILES_MAX`] files; let it have as many directories.
const ENTRIES_MAX: usize = 2 * TREE_FILES_MAX;

/// Everything below a directory but directories themselves.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub files: BTreeMap<RelPath, Stat>,
    /// What no manifest can name: not UTF-8, too deep. In a form fit to be shown.
    pub odd: Vec<String>,
}

/// One thing on the way.
pub(super) enum Met<'a> {
    /// Its path below the top, and what it is.
    File(&'a str, &'a Stat),
    /// A directory below the top, before what is in it.
    Directory(&'a str, &'a Stat),
    /// What no manifest can name, in a form fit to be shown.
    Odd(&'a str),
}

/// Lists all below `top`, which must be a directory.
pub(super) fn walk(fs: &impl HostFs, top: &Place) -> io::Result<Walk> {
    let mut walk = Walk::default();
    each(fs, top, &mut |met| match met {
        Met::File(path, stat) => match path.parse() {
            Ok(path) => drop(walk.files.insert(path, *stat)),
            Err(_) => walk.odd.push(path.to_owned()),
        },
        Met::Directory(..) => {}
        Met::Odd(path) => walk.odd.push(path.to_owned()),
    })?;
    Ok(walk)
}

/// Shows all below `top`, which must be a directory, one after another.
pub(super) fn each(fs: &impl HostFs, top: &Place, visit: &mut impl FnMut(Met<'_>)) -> io::Result<()> {
    Going { fs, top, at: top.clone(), path: String::new(), left: ENTRIES_MAX, visit }.directory(1)
}

struct Going<'a, F, V> {
    fs: &'a F,
    top: &'a Place,
    /// The directory that is being listed, and its path below the top.
    at: Place,
    path: String,
    /// How many more may come.
    left: usize,
    visit: &'a mut V,
}

impl<F: HostFs, V: FnMut(Met<'_>)> Going<'_, F, V> {
    /// Lists one directory, whose entries are `depth` parts below the top.
    fn directory(&mut self, depth: usize) -> io::Result<()> {
        let (above, place_above) = (self.path.len(), self.at.path.len());
        for listed in self.fs.list(&self.at)? {
            let too_many = || io::Error::other(format!("{} has more than {ENTRIES_MAX} files", self.top));
            self.left = self.left.checked_sub(1).ok_or_else(too_many)?;
            let name = listed.name.to_str().filter(|name| name.len() <= SEGMENT_BYTES_MAX);
            if above > 0 {
                self.path.push('/');
            }
            self.path.push_str(&listed.name.to_string_lossy());
            match name {
                Some(name) if self.path.len() <= PATH_BYTES_MAX && depth <= TREE_DEPTH_MAX => match listed.stat.kind {
                    Kind::Directory => {
                        (self.visit)(Met::Directory(&self.path, &listed.stat));
                        self.at = self.at.join(name);
                        self.directory(depth + 1)?;
                        self.at.path.truncate(place_above);
                    }
                    _ => (self.visit)(Met::File(&self.path, &listed.stat)),
                },
                _ => (self.visit)(Met::Odd(&self.path)),
            }
            self.path.truncate(above);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::memfs::MemFs;

    #[test]
    fn what_comes_comes_in_the_order_of_a_manifest() {
        let mut fs = MemFs::new(1);
        fs.make_dir(&Place::root("")).expect("made");
        for path in ["top/a-b", "top/a/c", "top/a/b/c", "top/a.b", "top/b", "top/a/b-c"] {
            fs.put(&Place::root(path), b"").expect("put");
        }
        let mut seen: Vec<RelPath> = Vec::new();
        let top = Place::root("top");
        let mut note = |met: Met<'_>| {
            if let Met::File(path, _) = met {
                seen.push(path.parse().expect("a path"));
            }
        };
        each(&fs, &top, &mut note).expect("a directory");
        assert!(seen.len() == 6 && seen.is_sorted(), "{seen:?}");
        assert_eq!(seen, walk(&fs, &top).expect("a directory").files.into_keys().collect::<Vec<_>>());
    }

    #[test]
    fn so_many_and_no_more() {
        let mut fs = MemFs::new(1);
        fs.make_dir(&Place::root("")).expect("made");
        for path in ["top/a/b", "top/c"] {
            fs.put(&Place::root(path), b"").expect("put");
        }
        let top = Place::root("top");
        let of = |left: usize| {
            let (at, path) = (top.clone(), String::new());
            Going { fs: &fs, top: &top, at, path, left, visit: &mut |_: Met<'_>| {} }.directory(1)
        };
        of(3).expect("there are three");
        assert_eq!(of(2).expect_err("a third").to_string(), format!("{top} has more than {ENTRIES_MAX} files"));
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_odd_and_nobody_goes_into_it() {
        let mut fs = MemFs::new(1);
        fs.make_dir(&Place::root("")).expect("made");
        let deep = vec!["d"; TREE_DEPTH_MAX + 1].join("/");
        let long = vec!["n".repeat(SEGMENT_BYTES_MAX); PATH_BYTES_MAX / SEGMENT_BYTES_MAX + 1].join("/");
        for path in [&deep, &long] {
            fs.put(&Place::root(format!("top/{path}/a")), b"").expect("put");
        }
        let walk = walk(&fs, &Place::root("top")).expect("a directory");
        assert_eq!((walk.files.len(), walk.odd), (0, vec![deep, long]));
    }
}
