//! A host on which the agent is killed after some steps: what was done stays, what was not done never happens.
//!
//! Invariant: looking is free; each change counts one. The change at which it is killed leaves the most awkward thing
//! it can: half a file. Used by tests and the simulator.

use super::hostfs::{Ended, HostFs, Listed, OpenLog, Place, Program, Space, Stat, SwitchLock, Written};
use crate::model::digest::Digest;
use crate::model::question::{MachineFacts, PluginSaid};
use std::io::{self, Read};
use std::path::Path;

/// A host that allows this many more changes.
#[derive(Debug)]
pub struct KillAt<F> {
    /// The host.
    pub inner: F,
    changes_left: u64,
    killed: bool,
    once: bool,
}

impl<F> KillAt<F> {
    /// Kills the agent at the change after `changes` ones.
    pub fn new(inner: F, changes: u64) -> Self {
        Self { inner, changes_left: changes, killed: false, once: false }
    }

    /// Lets only the change after `changes` ones fail, as a disk does now and then; the agent lives on.
    pub fn failing_once(inner: F, changes: u64) -> Self {
        Self { once: true, ..Self::new(inner, changes) }
    }

    /// Whether it came to that, or the one change failed.
    pub fn killed(&self) -> bool {
        self.killed
    }

    fn step(&mut self) -> io::Result<&mut F> {
        if self.dies_here() {
            self.killed = true;
            return Err(killed());
        }
        self.changes_left = self.changes_left.saturating_sub(1);
        Ok(&mut self.inner)
    }

    fn dies_here(&self) -> bool {
        self.changes_left == 0 && !(self.once && self.killed)
    }
}

fn killed() -> io::Error {
    io::Error::other("killed")
}

impl<F: HostFs> HostFs for KillAt<F> {
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

    fn lock(&mut self) -> io::Result<SwitchLock> {
        self.step()?.lock()
    }

    fn stand_back(&self) {
        self.inner.stand_back();
    }

    fn now_ns(&mut self) -> io::Result<i64> {
        self.inner.now_ns()
    }

    fn random(&mut self) -> io::Result<u128> {
        self.inner.random()
    }

    fn write(&mut self, at: &Place, bytes: &[u8]) -> io::Result<()> {
        if !self.killed && self.dies_here() {
            self.inner.write(at, &bytes[..bytes.len() / 2])?;
        }
        self.step()?.write(at, bytes)
    }

    fn receive(&mut self, at: &Place, exec: bool, size: u64, from: &mut dyn Read) -> io::Result<Written> {
        if !self.killed && self.dies_here() {
            self.inner.receive(at, exec, size / 2, &mut from.take(size / 2))?;
        }
        self.step()?.receive(at, exec, size, from)
    }

    fn copy(&mut self, from: &Place, to: &Place, exec: bool) -> io::Result<Written> {
        self.step()?.copy(from, to, exec)
    }

    fn symlink(&mut self, target: &str, at: &Place) -> io::Result<()> {
        self.step()?.symlink(target, at)
    }

    fn make_dir(&mut self, at: &Place) -> io::Result<()> {
        self.step()?.make_dir(at)
    }

    fn rename(&mut self, from: &Place, to: &Place) -> io::Result<()> {
        self.step()?.rename(from, to)
    }

    fn exchange(&mut self, a: &Place, b: &Place) -> io::Result<()> {
        self.step()?.exchange(a, b)
    }

    fn remove_file(&mut self, at: &Place) -> io::Result<()> {
        self.step()?.remove_file(at)
    }

    fn remove_tree(&mut self, at: &Place) -> io::Result<()> {
        self.step()?.remove_tree(at)
    }

    fn remove_old_agents(&mut self, kept: usize) -> io::Result<u64> {
        self.step()?.remove_old_agents(kept)
    }

    fn sync_dir(&mut self, at: &Place) -> io::Result<()> {
        self.step()?.sync_dir(at)
    }

    fn sync_root(&mut self) -> io::Result<()> {
        self.step()?.sync_root()
    }

    fn run(&mut self, program: &Program) -> io::Result<Ended> {
        self.step()?.run(program)
    }
}
