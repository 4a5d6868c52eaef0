//! A host in memory that keeps account of what would outlast a power cut after each of its changes.
//!
//! Invariant: each change of a directory, each writing of bytes and each sync is a moment of its own, in the order in which
//! `DiskFs` does them. What a hook does is seen afterwards, by comparing.

use super::disk::{Change, Disk, Spot};
use crate::agent::hostfs::{
    Base, Ended, HostFs, Kind, Listed, OpenLog, Place, Program, Space, Stat, SwitchLock, Written,
};
use crate::agent::memfs::MemFs;
use crate::model::digest::Digest;
use crate::model::question::{MachineFacts, PluginSaid};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

/// A host whose disk is watched.
pub struct Recording {
    pub inner: MemFs,
    disk: Disk,
    /// The disk after each change, once they are wanted.
    moments: Option<Vec<Disk>>,
    /// The syncs since then, by what they make last.
    pub syncs: Vec<String>,
    /// The sync that does nothing, counted from 0 on: a mistake that a test plants.
    pub ignored: Option<usize>,
}

impl Recording {
    /// A host on which everything that is there lasts.
    pub fn new(mut inner: MemFs) -> Self {
        inner.lock().expect("its directories can be made");
        let disk = Disk::lasting(&inner);
        Self { inner, disk, moments: None, syncs: Vec::new(), ignored: None }
    }

    /// From now on each moment is kept.
    pub fn watch(&mut self) {
        self.moments = Some(vec![self.disk.clone()]);
        self.syncs.clear();
    }

    /// What was kept, and the host.
    pub fn end(self) -> (Vec<Disk>, MemFs) {
        (self.moments.unwrap_or_default(), self.inner)
    }

    fn moment(&mut self) {
        let disk = &self.disk;
        self.moments.iter_mut().for_each(|moments| moments.push(disk.clone()));
    }

    fn change(&mut self, change: Change) {
        self.disk.change(change);
        self.moment();
    }

    /// One sync, unless it is the one that a test takes away.
    fn sync(&mut self, what: String, sync: impl FnOnce(&mut Disk)) {
        let ignored = self.moments.is_some() && self.ignored == Some(self.syncs.len());
        self.syncs.push(what);
        if !ignored {
            sync(&mut self.disk);
        }
        self.moment();
    }

    fn spot(&self, at: &Place) -> io::Result<Spot> {
        let (parent, name) = at.split();
        let parent = self.inner.lstat(&parent)?.ok_or(io::ErrorKind::NotFound)?;
        Ok((parent.inode, name.to_owned()))
    }

    /// What stood there is removed before a new file is made, as on a disk.
    fn unlink(&mut self, at: &Place) -> io::Result<()> {
        if self.inner.lstat(at)?.is_some_and(|stat| stat.kind != Kind::Directory) {
            let spot = self.spot(at)?;
            self.inner.remove_file(at)?;
            self.change(Change::Gone(spot));
        }
        Ok(())
    }

    /// A node that is new there; its bytes, if it has some, are not synced.
    fn made(&mut self, at: &Place) -> io::Result<Stat> {
        let spot = self.spot(at)?;
        let stat = self.disk.know(&self.inner, at);
        if stat.kind == Kind::File {
            self.disk.write(stat.inode);
        }
        self.change(Change::Put(spot, stat.inode));
        Ok(stat)
    }

    fn remove_below(&mut self, at: &Place, stat: &Stat) -> io::Result<()> {
        let spot = self.spot(at)?;
        if stat.kind == Kind::Directory {
            for listed in self.inner.list(at)? {
                self.remove_below(&at.join(listed.name.to_str().expect("ours are UTF-8")), &listed.stat)?;
            }
            self.inner.remove_tree(at)?;
        } else {
            self.inner.remove_file(at)?;
        }
        self.change(Change::Gone(spot));
        Ok(())
    }
}

/// A place in words.
fn name(at: &Place) -> String {
    let base = if at.base == Base::Root { "root" } else { "state" };
    format!("{base}/{}", at.path)
}

/// Everything below a place, with its inode; directories before what is in them.
fn below(fs: &MemFs, at: &Place, found: &mut BTreeMap<Place, u64>) {
    for listed in fs.list(at).expect("it is a directory") {
        let at = at.join(listed.name.to_str().expect("ours are UTF-8"));
        found.insert(at.clone(), listed.stat.inode);
        if listed.stat.kind == Kind::Directory {
            below(fs, &at, found);
        }
    }
}

impl HostFs for Recording {
    fn read(&self, at: &Place, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.inner.read(at, bytes_max)
    }

    fn hash(&self, at: &Place) -> io::Result<(Digest, u64)> {
        self.inner.hash(at)
    }

    fn lstat(&self, at: &Place) -> io::Result<Option<Stat>> {
        self.inner.lstat(at)
    }

    fn list(&self, at: &Place) -> io::Result<Vec<Listed>> {
        self.inner.list(at)
    }

    fn read_link(&self, at: &Place) -> io::Result<String> {
        self.inner.read_link(at)
    }

    fn log(&self, file: &Path) -> io::Result<Option<OpenLog>> {
        self.inner.log(file)
    }

    fn machine(&self) -> io::Result<MachineFacts> {
        self.inner.machine()
    }

    fn plugin(&self, argv: &[String], ms_max: u64) -> io::Result<PluginSaid> {
        self.inner.plugin(argv, ms_max)
    }

    fn space(&self) -> io::Result<Space> {
        self.inner.space()
    }

    fn boot_id(&self) -> io::Result<String> {
        self.inner.boot_id()
    }

    fn machine_id(&self) -> io::Result<String> {
        self.inner.machine_id()
    }

    fn arch(&self) -> String {
        self.inner.arch()
    }

    fn clock_ms(&self) -> u64 {
        self.inner.clock_ms()
    }

    fn uptime_ms(&self) -> u64 {
        self.inner.uptime_ms()
    }

    fn stand_back(&self) {
        self.inner.stand_back();
    }

    fn lock(&mut self) -> io::Result<SwitchLock> {
        self.inner.lock()
    }

    fn now_ns(&mut self) -> io::Result<i64> {
        self.inner.now_ns()
    }

    fn random(&mut self) -> io::Result<u128> {
        self.inner.random()
    }

    fn write(&mut self, at: &Place, bytes: &[u8]) -> io::Result<()> {
        self.unlink(at)?;
        self.inner.write(at, bytes)?;
        let inode = self.made(at)?.inode;
        self.sync(format!("bytes of {}", name(at)), |disk| disk.sync_file(inode));
        Ok(())
    }

    fn receive(&mut self, at: &Place, exec: bool, size: u64, from: &mut dyn Read) -> io::Result<Written> {
        self.unlink(at)?;
        let written = self.inner.receive(at, exec, size, from)?;
        self.made(at)?;
        Ok(written)
    }

    fn copy(&mut self, from: &Place, to: &Place, exec: bool) -> io::Result<Written> {
        self.unlink(to)?;
        let written = self.inner.copy(from, to, exec)?;
        self.made(to)?;
        Ok(written)
    }

    fn symlink(&mut self, target: &str, at: &Place) -> io::Result<()> {
        self.inner.symlink(target, at)?;
        self.made(at).map(drop)
    }

    fn make_dir(&mut self, at: &Place) -> io::Result<()> {
        let ends = at.path.match_indices('/').map(|(end, _)| end).chain([at.path.len()]);
        for part in ends.map(|end| Place { base: at.base, path: at.path[..end].to_owned() }) {
            if self.inner.lstat(&part)?.is_none() {
                self.inner.make_dir(&part)?;
                self.made(&part)?;
            }
        }
        self.inner.make_dir(at)
    }

    fn rename(&mut self, from: &Place, to: &Place) -> io::Result<()> {
        let spots = (self.spot(from)?, self.spot(to)?);
        self.inner.rename(from, to)?;
        self.change(Change::Move(spots.0, spots.1));
        Ok(())
    }

    fn exchange(&mut self, a: &Place, b: &Place) -> io::Result<()> {
        let spots = (self.spot(a)?, self.spot(b)?);
        self.inner.exchange(a, b)?;
        self.change(Change::Swap(spots.0, spots.1));
        Ok(())
    }

    fn remove_file(&mut self, at: &Place) -> io::Result<()> {
        match self.inner.lstat(at)? {
            Some(stat) if stat.kind != Kind::Directory => self.unlink(at),
            _ => self.inner.remove_file(at),
        }
    }

    fn remove_tree(&mut self, at: &Place) -> io::Result<()> {
        match self.inner.lstat(at)? {
            Some(stat) => self.remove_below(at, &stat),
            None => Ok(()),
        }
    }

    fn remove_old_agents(&mut self, kept: usize) -> io::Result<u64> {
        self.inner.remove_old_agents(kept)
    }

    fn sync_dir(&mut self, at: &Place) -> io::Result<()> {
        self.inner.sync_dir(at)?;
        let directory = self.inner.lstat(at)?.expect("it was synced").inode;
        self.sync(format!("names in {}", name(at)), |disk| disk.sync_directory(directory));
        Ok(())
    }

    fn sync_root(&mut self) -> io::Result<()> {
        self.inner.sync_root()?;
        self.sync("everything below root".to_owned(), Disk::sync_root);
        Ok(())
    }

    fn run(&mut self, program: &Program) -> io::Result<Ended> {
        let [mut before, mut after] = [BTreeMap::new(), BTreeMap::new()];
        below(&self.inner, &Place::root(""), &mut before);
        let ended = self.inner.run(program)?;
        below(&self.inner, &Place::root(""), &mut after);
        for (at, inode) in after {
            if before.get(&at) == Some(&inode) {
                continue;
            }
            if before.contains_key(&at) {
                let spot = self.spot(&at)?;
                self.change(Change::Gone(spot));
            }
            self.made(&at)?;
        }
        Ok(ended)
    }
}
