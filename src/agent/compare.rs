//! What lies below a component laid beside its index, line by line.
//!
//! Invariant: both come in the order of paths, so each is gone through once and nothing is looked up. An index whose
//! lines are not in that order shows files as missing and as foreign: a mistake there never makes a proof. Where it is known
//! already that the names are those of the index, directories are not read, and each file is looked at all the same.

use super::hostfs::{AT_ONCE, HostFs, Place, Stat};
use super::index::{Line, Sealed};
use super::proven::Directory;
use super::walk::{self, Met};
use crate::model::component::ArtefactRule;
use crate::tree::path;
use std::cmp::Ordering;
use std::io;

/// A line of the index that something is wrong with, or may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    /// Its number, from 0.
    pub number: usize,
    pub line: Line<'a>,
}

/// A file whose bytes have to be read before anything can be said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt<'a> {
    pub spot: Spot<'a>,
    /// As it lies there.
    pub stat: Stat,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Compared<'a> {
    pub missing: Vec<Spot<'a>>,
    /// By their stat alone: another kind, mode or length.
    pub changed: Vec<Spot<'a>>,
    pub doubts: Vec<Doubt<'a>>,
    /// What nobody sent and no rule explains; the first of each sort.
    pub extra: u64,
    pub first_extra: Option<String>,
    pub first_odd: Option<String>,
    /// Files that are built or may be, for each rule.
    pub built: Vec<u64>,
    /// Every directory below the top, if [`With::notes_directories`] and names were read.
    pub directories: Vec<Directory>,
    /// Whether a line could not be read.
    pub unreadable: bool,
}

/// What there is to compare with.
pub(super) struct With<'w, 'a> {
    pub sealed: &'w Sealed<'a>,
    /// What is built on the host, in the order of [`Compared::built`].
    pub rules: &'w [ArtefactRule],
    /// Directories in which a file that nobody sent is no stranger.
    pub may_be_built: Vec<&'w str>,
    /// Whether directories are noted.
    pub notes_directories: bool,
    /// Whether no name can have changed since all were found to be as the index says. Then no directory is read or noted.
    pub names_known: bool,
}

impl<'a> With<'_, 'a> {
    /// Goes through the tree at `top`. `doubtful` says of a line whose file has the stat that it had, whether its bytes
    /// are to be read all the same.
    pub fn compare(
        &self,
        fs: &impl HostFs,
        top: &Place,
        doubtful: impl Fn(&Spot<'a>) -> bool,
    ) -> io::Result<Compared<'a>> {
        let lines = Lines { lines: self.sealed.lines(), number: 0, unreadable: false };
        let found = Compared { built: vec![0; self.rules.len()], ..Compared::default() };
        let mut merge = Merge { with: self, found, lines, next: None, doubtful };
        match self.names_known {
            true => merge.files(fs, top)?,
            false => merge.names(fs, top)?,
        }
        merge.found.unreadable = merge.lines.unreadable;
        Ok(merge.found)
    }
}

/// Lines with their numbers; ends at one that cannot be read.
struct Lines<I> {
    lines: I,
    number: usize,
    unreadable: bool,
}

impl<'a, I: Iterator<Item = Option<Line<'a>>>> Lines<I> {
    fn next(&mut self) -> Option<Spot<'a>> {
        let line = self.lines.next()?;
        self.unreadable |= line.is_none();
        let spot = line.map(|line| Spot { number: self.number, line });
        self.number += 1;
        spot
    }
}

struct Merge<'w, 'a, I, D> {
    with: &'w With<'w, 'a>,
    found: Compared<'a>,
    lines: Lines<I>,
    /// The first line that is not behind the walk.
    next: Option<Spot<'a>>,
    doubtful: D,
}

impl<'a, I: Iterator<Item = Option<Line<'a>>>, D: Fn(&Spot<'a>) -> bool> Merge<'_, 'a, I, D> {
    /// Meets every name below `top` in order.
    fn names(&mut self, fs: &impl HostFs, top: &Place) -> io::Result<()> {
        self.next = self.lines.next();
        walk::each(fs, top, &mut |met| match met {
            Met::File(path, stat) => self.file(path, stat),
            Met::Directory(path, stat) if self.with.notes_directories => {
                self.found.directories.push(Directory::new(path, stat));
            }
            Met::Directory(..) => {}
            Met::Odd(path) => {
                self.found.extra += 1;
                self.found.first_odd.get_or_insert_with(|| path.to_owned());
            }
        })?;
        while let Some(spot) = self.next.take() {
            self.found.missing.push(spot);
            self.next = self.lines.next();
        }
        Ok(())
    }

    /// Looks at the file of every line.
    fn files(&mut self, fs: &impl HostFs, top: &Place) -> io::Result<()> {
        loop {
            let spots: Vec<Spot<'a>> = std::iter::from_fn(|| self.lines.next()).take(AT_ONCE).collect();
            if spots.is_empty() {
                return Ok(());
            }
            let paths: Vec<&str> = spots.iter().map(|spot| spot.line.path).collect();
            for (spot, stat) in spots.into_iter().zip(fs.lstat_all(top, &paths)?) {
                match stat {
                    Some(stat) => self.known(spot, &stat),
                    None => self.found.missing.push(spot),
                }
            }
        }
    }

    fn file(&mut self, at: &str, stat: &Stat) {
        while let Some(spot) = self.next {
            match if spot.line.path == at { Ordering::Equal } else { path::order(spot.line.path, at) } {
                Ordering::Less => self.found.missing.push(spot),
                Ordering::Equal => {
                    self.next = self.lines.next();
                    return self.known(spot, stat);
                }
                Ordering::Greater => break,
            }
            self.next = self.lines.next();
        }
        self.count(at);
        if !self.with.may_be_built.iter().any(|directory| path::is_within(at, directory)) {
            self.found.extra += 1;
            self.found.first_extra.get_or_insert_with(|| at.to_owned());
        }
    }

    fn known(&mut self, spot: Spot<'a>, stat: &Stat) {
        if spot.line.built {
            self.count(spot.line.path);
        }
        if !spot.line.same_shape(stat) {
            self.found.changed.push(spot);
        } else if !spot.line.same_stat(stat) || (self.doubtful)(&spot) {
            self.found.doubts.push(Doubt { spot, stat: *stat });
        }
    }

    fn count(&mut self, at: &str) {
        for (rule, built) in self.with.rules.iter().zip(&mut self.found.built) {
            *built += u64::from(path::is_within(at, &rule.path));
        }
    }
}
