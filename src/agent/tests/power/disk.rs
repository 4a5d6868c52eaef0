//! A disk that forgets: what a power cut may leave of changes that nobody synced.
//!
//! The model, which is weaker than any file system that we know:
//! - The bytes of a file last once it is synced, or the file system is. Until then there may be all of them, the first
//!   half, none, or as many zeros. Syncing a file says nothing of its name, syncing a directory nothing of its files' bytes.
//! - A directory keeps its changes in order: after a cut it has those up to some point. A rename or an exchange is one
//!   change of both directories, which happens or does not. Beyond that directories are independent of each other.
//! - Syncing a directory makes its changes so far last, and with them whatever the order of other directories needs
//!   before. It says nothing of the name that the directory itself has in the one above.
//! - The two base directories are there: [`HostFs::lock`] has to see to that.

use crate::agent::hostfs::{Base, HostFs, Kind, Place, Stat};
use crate::agent::memfs::MemFs;
use std::collections::{BTreeMap, BTreeSet};

/// A name in a directory, which is given by its inode.
pub type Spot = (u64, String);

/// A change of one or two directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Put(Spot, u64),
    Gone(Spot),
    Move(Spot, Spot),
    Swap(Spot, Spot),
}

impl Change {
    fn directories(&self) -> impl Iterator<Item = u64> {
        let (one, other) = match self {
            Self::Put(spot, _) | Self::Gone(spot) => (spot.0, None),
            Self::Move(a, b) | Self::Swap(a, b) => (a.0, Some(b.0)),
        };
        [one].into_iter().chain(other)
    }

    /// Whether it cannot happen without the other before it.
    fn follows(&self, before: &Change) -> bool {
        self.directories().any(|directory| before.directories().any(|other| other == directory))
    }

    fn apply(&self, names: &mut BTreeMap<Spot, u64>) {
        match self {
            Self::Put(spot, inode) => _ = names.insert(spot.clone(), *inode),
            Self::Gone(spot) => _ = names.remove(spot),
            Self::Move(from, to) => {
                let inode = names.remove(from).expect("what is renamed was put there before");
                names.insert(to.clone(), inode);
            }
            Self::Swap(a, b) => {
                let [x, y] = [a, b].map(|spot| names.remove(spot).expect("both were put there before"));
                names.extend([(a.clone(), y), (b.clone(), x)]);
            }
        }
    }
}

/// What is there of a file or directory beside its names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    stat: Stat,
    bytes: Vec<u8>,
}

/// A disk at one moment: what lasts, and what may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disk {
    known: BTreeMap<u64, Known>,
    /// Names that outlast a cut.
    names: BTreeMap<Spot, u64>,
    /// Changes of names that may not, in order.
    pending: Vec<Change>,
    /// Files whose bytes may not.
    unsynced: BTreeSet<u64>,
    /// What is below the deploy root, itself among it.
    of_root: BTreeSet<u64>,
}

impl Disk {
    /// All that is on a host, lasting.
    pub fn lasting(fs: &MemFs) -> Self {
        let mut disk = Self::default();
        for base in [Base::Root, Base::State] {
            disk.meet(fs, &Place { base, path: String::new() });
        }
        disk
    }

    /// Takes what stands there, and all below it, as lasting.
    fn meet(&mut self, fs: &MemFs, at: &Place) {
        let stat = self.know(fs, at);
        if stat.kind != Kind::Directory {
            return;
        }
        for listed in fs.list(at).expect("it is a directory") {
            let name = listed.name.into_string().expect("ours are UTF-8");
            self.names.insert((stat.inode, name.clone()), listed.stat.inode);
            self.meet(fs, &at.join(&name));
        }
    }

    /// Notes what stands there, as it is now.
    pub fn know(&mut self, fs: &MemFs, at: &Place) -> Stat {
        let stat = fs.lstat(at).expect("asked").expect("it stands there");
        let bytes = match stat.kind {
            Kind::File => fs.read(at, usize::MAX - 1).expect("readable"),
            Kind::Symlink => fs.read_link(at).expect("readable").into_bytes(),
            _ => Vec::new(),
        };
        if at.base == Base::Root {
            self.of_root.insert(stat.inode);
        }
        self.known.insert(stat.inode, Known { stat, bytes });
        stat
    }

    /// A change that nobody synced yet.
    pub fn change(&mut self, change: Change) {
        self.pending.push(change);
    }

    /// Bytes that nobody synced yet.
    pub fn write(&mut self, inode: u64) {
        self.unsynced.insert(inode);
    }

    /// The bytes of a file last from now on.
    pub fn sync_file(&mut self, inode: u64) {
        self.unsynced.remove(&inode);
    }

    /// The names of a directory last from now on.
    pub fn sync_directory(&mut self, directory: u64) {
        self.sync_changes(|change| change.directories().any(|touched| touched == directory));
    }

    /// Everything below the deploy root lasts from now on.
    pub fn sync_root(&mut self) {
        let of_root = self.of_root.clone();
        self.sync_changes(|change| change.directories().any(|directory| of_root.contains(&directory)));
        self.unsynced.retain(|inode| !of_root.contains(inode));
    }

    fn sync_changes(&mut self, chosen: impl Fn(&Change) -> bool) {
        let pending = std::mem::take(&mut self.pending);
        let mut lasts: Vec<bool> = pending.iter().map(chosen).collect();
        for later in (0..pending.len()).rev().filter(|later| lasts[*later]).collect::<Vec<_>>() {
            mark_before(&pending, later, &mut lasts);
        }
        for (change, lasts) in pending.into_iter().zip(lasts) {
            match lasts {
                true => change.apply(&mut self.names),
                false => self.pending.push(change),
            }
        }
    }

    /// Sets of pending changes that a cut may leave: all of them where there are at most `most`, else that many.
    pub fn choices(&self, most: usize, random: &mut Random) -> Vec<Vec<bool>> {
        let n = self.pending.len();
        // A file system that journals has those up to some moment.
        let mut found: BTreeSet<Vec<bool>> = (0..=n).map(|first| (0..n).map(|i| i < first).collect()).collect();
        let mut open: Vec<Vec<bool>> = vec![Vec::new()];
        while let Some(begun) = open.pop() {
            if found.len() > most {
                break;
            }
            if begun.len() == n {
                found.insert(begun);
                continue;
            }
            let may = self.may_follow(&begun);
            open.extend(
                [false, true]
                    .into_iter()
                    .filter(|chosen| may || !chosen)
                    .map(|chosen| [&begun[..], &[chosen]].concat()),
            );
        }
        let mut found: Vec<Vec<bool>> = found.into_iter().collect();
        if found.len() > most {
            found = (0..most).map(|_| self.some_choice(random)).collect();
            found.extend([vec![false; n], vec![true; n]]);
        }
        found
    }

    /// Whether the change after these can have happened.
    fn may_follow(&self, begun: &[bool]) -> bool {
        let change = &self.pending[begun.len()];
        !self.pending.iter().zip(begun).any(|(before, happened)| !happened && change.follows(before))
    }

    fn some_choice(&self, random: &mut Random) -> Vec<bool> {
        let likely = 1 + random.below(15);
        let mut chosen = Vec::new();
        while chosen.len() < self.pending.len() {
            let happens = random.below(16) < likely && self.may_follow(&chosen);
            chosen.push(happens);
        }
        chosen
    }

    /// A host after a cut: these pending changes happened, and of unsynced files there is what `left` says.
    pub fn after_cut(&self, like: &MemFs, happened: &[bool], left: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> MemFs {
        let mut names = self.names.clone();
        for (change, _) in self.pending.iter().zip(happened).filter(|(_, happened)| **happened) {
            change.apply(&mut names);
        }
        let mut fs = like.clone();
        fs.clear();
        for base in [Base::Root, Base::State] {
            let at = Place { base, path: String::new() };
            let inode = like.lstat(&at).expect("asked").expect("bases are there").inode;
            self.lay(&mut fs, &names, &at, inode, left);
        }
        fs.reboot();
        fs
    }

    fn lay(
        &self,
        fs: &mut MemFs,
        names: &BTreeMap<Spot, u64>,
        at: &Place,
        inode: u64,
        left: &mut dyn FnMut(&[u8]) -> Vec<u8>,
    ) {
        let known = &self.known[&inode];
        match self.unsynced.contains(&inode) {
            true => fs.lay(at, &known.stat, &left(&known.bytes)),
            false => fs.lay(at, &known.stat, &known.bytes),
        }
        for ((_, name), below) in names.range((inode, String::new())..(inode + 1, String::new())) {
            self.lay(fs, names, &at.join(name), *below, left);
        }
    }

    /// Whether some file's bytes may be lost.
    pub fn may_tear(&self) -> bool {
        !self.unsynced.is_empty()
    }
}

/// Marks what has to have happened before a change.
fn mark_before(changes: &[Change], later: usize, marked: &mut [bool]) {
    for before in (0..later).rev().filter(|before| changes[later].follows(&changes[*before])).collect::<Vec<_>>() {
        if !std::mem::replace(&mut marked[before], true) {
            mark_before(changes, before, marked);
        }
    }
}

/// Numbers that follow from a seed.
pub struct Random(pub u64);

impl Random {
    /// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
