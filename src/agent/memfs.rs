//! A host in memory: deterministic, cheap to clone, with the faults that a disk has.
//!
//! Invariant: the same operations on the same seed give the same host, to the last inode and time. A file's digest is
//! computed once, when its bytes come in; copies share the bytes. Used by tests and the simulator.

mod hand;
#[cfg(test)]
mod laid;

use super::hostfs::{Base, Ended, HostFs, Kind, Listed, OpenLog, Place, Program, Space, Stat, SwitchLock, Written};
use super::memhost::MemHost;
use crate::model::digest::Digest;
use crate::model::question::{MachineFacts, PluginSaid};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// What a hook does to the host that it runs on.
pub type HookFn = dyn Fn(&mut MemFs, &Program) -> io::Result<Ended> + Send + Sync;

/// What runs when the agent runs a hook.
#[derive(Clone)]
pub struct Hook(pub Arc<HookFn>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// A host in memory.
#[derive(Debug, Clone)]
pub struct MemFs {
    root: Tree,
    state: Tree,
    /// Counts changes; gives inodes and times.
    ticks: u64,
    /// The time that all changes are given; `None`: each its own.
    stopped_at: Option<u64>,
    random: u64,
    /// Raised by [`MemFs::reboot`].
    boots: u64,
    /// What [`HostFs::machine_id`] says.
    pub machine_id: String,
    /// What [`HostFs::clock_ms`] says.
    pub clock_ms: u64,
    /// What [`HostFs::uptime_ms`] says.
    pub uptime_ms: u64,
    /// How many bytes fit in all; `None`: any number.
    pub capacity_bytes: Option<u64>,
    /// How many inodes are free; what is made takes none of them.
    pub inodes_free: u64,
    /// Whether the file systems are mounted read-only.
    pub read_only: bool,
    /// What runs as a hook; `None`: every hook fails.
    pub hook: Option<Hook>,
    /// What is there beside the two directories.
    pub host: MemHost,
}

/// Paths below a base, the base itself under the empty path; without it the base is missing.
type Tree = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    what: What,
    exec: bool,
    mtime: u64,
    ctime: u64,
    inode: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Directory,
    File { bytes: Arc<[u8]>, digest: Digest },
    Symlink { target: String },
}

impl MemFs {
    /// An empty host, on which not even the deploy root is there; `seed` makes its random numbers.
    pub fn new(seed: u64) -> Self {
        Self {
            root: Tree::new(),
            state: Tree::new(),
            ticks: 0,
            stopped_at: None,
            random: seed,
            boots: 0,
            machine_id: format!("{seed:032x}"),
            clock_ms: 0,
            uptime_ms: 0,
            capacity_bytes: None,
            inodes_free: u64::MAX,
            read_only: false,
            hook: None,
            host: MemHost::default(),
        }
    }

    fn time(&self) -> u64 {
        self.stopped_at.unwrap_or(self.ticks)
    }

    fn next_random(&mut self) -> u64 {
        // SplitMix64: https://prng.di.unimi.it/splitmix64.c
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn tree(&self, base: Base) -> &Tree {
        match base {
            Base::Root => &self.root,
            Base::State => &self.state,
        }
    }

    fn tree_mut(&mut self, base: Base) -> &mut Tree {
        match base {
            Base::Root => &mut self.root,
            Base::State => &mut self.state,
        }
    }

    fn node(&self, at: &Place) -> io::Result<&Node> {
        self.tree(at.base).get(&at.path).ok_or_else(|| Errno::NOENT.into())
    }

    fn file(&self, at: &Place) -> io::Result<(&Arc<[u8]>, Digest)> {
        match &self.node(at)?.what {
            What::File { bytes, digest } => Ok((bytes, *digest)),
            What::Directory => Err(Errno::ISDIR.into()),
            What::Symlink { .. } => Err(Errno::LOOP.into()),
        }
    }

    fn below<'a>(&'a self, at: &Place) -> impl Iterator<Item = (&'a String, &'a Node)> {
        let prefix = match at.path.is_empty() {
            true => String::new(),
            false => format!("{}/", at.path),
        };
        let start = prefix.clone();
        let own = at.path.clone();
        let within = move |(path, _): &(&String, &Node)| path.starts_with(&prefix);
        self.tree(at.base).range(start..).take_while(within).filter(move |(path, _)| **path != own)
    }

    fn writable(&self, more_bytes: u64) -> io::Result<()> {
        if self.read_only {
            return Err(Errno::ROFS.into());
        }
        match more_bytes <= self.space()?.bytes_free {
            true => Ok(()),
            false => Err(Errno::NOSPC.into()),
        }
    }

    fn is_directory(&self, at: &Place) -> io::Result<()> {
        match self.node(at)?.what {
            What::Directory => Ok(()),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    fn insert(&mut self, at: &Place, what: What, exec: bool) -> io::Result<()> {
        self.is_directory(&at.split().0)?;
        self.ticks += 1;
        let node = Node { what, exec, mtime: self.time(), ctime: self.time(), inode: self.ticks };
        self.tree_mut(at.base).insert(at.path.clone(), node);
        self.names_changed(at);
        Ok(())
    }

    /// The directory that `at` is or was in gets another time.
    fn names_changed(&mut self, at: &Place) {
        self.ticks += 1;
        let time = self.time();
        if let Some(above) = self.tree_mut(at.base).get_mut(&at.split().0.path).filter(|_| !at.path.is_empty()) {
            (above.mtime, above.ctime) = (time, time);
        }
    }

    fn insert_file(&mut self, at: &Place, bytes: Arc<[u8]>, digest: Digest, exec: bool) -> io::Result<Written> {
        self.writable(bytes.len() as u64)?;
        if self.is_directory(at).is_ok() {
            return Err(Errno::ISDIR.into());
        }
        self.insert(at, What::File { bytes, digest }, exec)?;
        Ok(Written { digest, stat: stat_of(self.node(at)?) })
    }

    /// Takes out what stands there, with paths relative to it.
    fn take(&mut self, at: &Place) -> io::Result<Vec<(String, Node)>> {
        self.node(at)?;
        let mut paths: Vec<String> = self.below(at).map(|(path, _)| path.clone()).collect();
        paths.push(at.path.clone());
        let tree = self.tree_mut(at.base);
        let taken = |path: String| tree.remove(&path).map(|node| (path[at.path.len()..].to_owned(), node));
        Ok(paths.into_iter().filter_map(taken).collect())
    }

    /// What came to stand at `at` gets another time of change, and so does the directory that it is in.
    fn moved(&mut self, at: &Place) {
        self.names_changed(at);
        let time = self.time();
        if let Some(node) = self.tree_mut(at.base).get_mut(&at.path) {
            node.ctime = time;
        }
    }

    fn put_back(&mut self, at: &Place, nodes: Vec<(String, Node)>) {
        let tree = self.tree_mut(at.base);
        for (below, node) in nodes {
            tree.insert(format!("{}{below}", at.path), node);
        }
    }
}

fn stat_of(node: &Node) -> Stat {
    let (kind, size) = match &node.what {
        What::Directory => (Kind::Directory, 0),
        What::File { bytes, .. } => (Kind::File, bytes.len() as u64),
        What::Symlink { target } => (Kind::Symlink, target.len() as u64),
    };
    let time = |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX);
    Stat { kind, exec: node.exec, size, mtime_ns: time(node.mtime), ctime_ns: time(node.ctime), inode: node.inode }
}

impl HostFs for MemFs {
    fn read(&self, at: &Place, bytes_max: usize) -> io::Result<Vec<u8>> {
        let (bytes, _) = self.file(at)?;
        match bytes.len() > bytes_max {
            true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{at} has more than {bytes_max} bytes"))),
            false => Ok(bytes.to_vec()),
        }
    }

    fn hash(&self, at: &Place) -> io::Result<(Digest, u64)> {
        self.file(at).map(|(bytes, digest)| (digest, bytes.len() as u64))
    }

    fn lstat(&self, at: &Place) -> io::Result<Option<Stat>> {
        Ok(self.tree(at.base).get(&at.path).map(stat_of))
    }

    fn list(&self, at: &Place) -> io::Result<Vec<Listed>> {
        self.is_directory(at)?;
        let skip = if at.path.is_empty() { 0 } else { at.path.len() + 1 };
        let direct = self.below(at).filter(|(path, _)| !path[skip..].contains('/'));
        Ok(direct.map(|(path, node)| Listed { name: path[skip..].into(), stat: stat_of(node) }).collect())
    }

    fn read_link(&self, at: &Place) -> io::Result<String> {
        match &self.node(at)?.what {
            What::Symlink { target } => Ok(target.clone()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let inodes_free = self.inodes_free;
        let Some(capacity) = self.capacity_bytes else { return Ok(Space { bytes_free: u64::MAX, inodes_free }) };
        let used: u64 = self.root.values().chain(self.state.values()).map(|node| stat_of(node).size).sum();
        Ok(Space { bytes_free: capacity.saturating_sub(used), inodes_free })
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(format!("boot-{}", self.boots))
    }

    fn machine_id(&self) -> io::Result<String> {
        Ok(self.machine_id.clone())
    }

    fn arch(&self) -> String {
        "memory".to_owned()
    }

    fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    fn uptime_ms(&self) -> u64 {
        self.uptime_ms
    }

    fn log(&self, file: &Path) -> io::Result<Option<OpenLog>> {
        self.host.open(file)
    }

    fn machine(&self) -> io::Result<MachineFacts> {
        Ok(self.host.machine.clone())
    }

    fn plugin(&self, argv: &[String], _: u64) -> io::Result<PluginSaid> {
        self.host.plugin(argv)
    }

    fn lock(&mut self) -> io::Result<SwitchLock> {
        self.make_dir(&Place::root(""))?;
        self.make_dir(&Place::state(""))?;
        Ok(SwitchLock { handle: None })
    }

    fn stand_back(&self) {
        self.host.stand_back();
    }

    fn now_ns(&mut self) -> io::Result<i64> {
        let next = self.stopped_at.unwrap_or(self.ticks + 1);
        Ok(i64::try_from(next).unwrap_or(i64::MAX))
    }

    fn random(&mut self) -> io::Result<u128> {
        Ok(u128::from(self.next_random()) << 64 | u128::from(self.next_random()))
    }

    fn write(&mut self, at: &Place, bytes: &[u8]) -> io::Result<()> {
        self.insert_file(at, bytes.into(), Digest::of(bytes), false).map(drop)
    }

    fn receive(&mut self, at: &Place, exec: bool, size: u64, from: &mut dyn Read) -> io::Result<Written> {
        let mut bytes = Vec::new();
        from.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more or fewer bytes than announced"));
        }
        let digest = Digest::of(&bytes);
        self.insert_file(at, bytes.into(), digest, exec)
    }

    fn copy(&mut self, from: &Place, to: &Place, exec: bool) -> io::Result<Written> {
        let (bytes, digest) = self.file(from).map(|(bytes, digest)| (Arc::clone(bytes), digest))?;
        self.insert_file(to, bytes, digest, exec)
    }

    fn symlink(&mut self, target: &str, at: &Place) -> io::Result<()> {
        self.writable(0)?;
        match self.node(at) {
            Ok(_) => Err(Errno::EXIST.into()),
            Err(_) => self.insert(at, What::Symlink { target: target.to_owned() }, false),
        }
    }

    fn make_dir(&mut self, at: &Place) -> io::Result<()> {
        self.writable(0)?;
        if self.is_directory(at).is_ok() {
            return Ok(());
        }
        let ends = at.path.match_indices('/').map(|(end, _)| end).chain([at.path.len()]);
        for end in [0].into_iter().chain(ends) {
            let part = Place { base: at.base, path: at.path[..end].to_owned() };
            match self.node(&part) {
                Ok(_) => self.is_directory(&part)?,
                Err(_) => {
                    self.ticks += 1;
                    let (time, what) = (self.time(), What::Directory);
                    let node = Node { what, exec: true, mtime: time, ctime: time, inode: self.ticks };
                    self.tree_mut(part.base).insert(part.path.clone(), node);
                    self.names_changed(&part);
                }
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &Place, to: &Place) -> io::Result<()> {
        self.writable(0)?;
        self.node(from)?;
        self.is_directory(&to.split().0)?;
        if from.base != to.base {
            return Err(Errno::XDEV.into());
        }
        if self.below(to).next().is_some() {
            return Err(Errno::NOTEMPTY.into());
        }
        let nodes = self.take(from)?;
        self.put_back(to, nodes);
        self.moved(to);
        self.names_changed(from);
        Ok(())
    }

    fn exchange(&mut self, a: &Place, b: &Place) -> io::Result<()> {
        self.writable(0)?;
        self.node(a)?;
        self.node(b)?;
        let (from_a, from_b) = (self.take(a)?, self.take(b)?);
        self.put_back(a, from_b);
        self.put_back(b, from_a);
        self.moved(a);
        self.moved(b);
        Ok(())
    }

    fn remove_file(&mut self, at: &Place) -> io::Result<()> {
        self.writable(0)?;
        match self.is_directory(at) {
            Ok(()) => Err(Errno::ISDIR.into()),
            Err(_) => {
                if self.tree_mut(at.base).remove(&at.path).is_some() {
                    self.names_changed(at);
                }
                Ok(())
            }
        }
    }

    fn remove_tree(&mut self, at: &Place) -> io::Result<()> {
        self.writable(0)?;
        if super::hostfs::present(self.take(at))?.is_some() {
            self.names_changed(at);
        }
        Ok(())
    }

    fn remove_old_agents(&mut self, _kept: usize) -> io::Result<u64> {
        Ok(0)
    }

    fn sync_dir(&mut self, at: &Place) -> io::Result<()> {
        self.is_directory(at)
    }

    fn sync_root(&mut self) -> io::Result<()> {
        self.is_directory(&Place::root(""))
    }

    fn run(&mut self, program: &Program) -> io::Result<Ended> {
        match self.hook.clone() {
            Some(hook) => (hook.0)(self, program),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}
