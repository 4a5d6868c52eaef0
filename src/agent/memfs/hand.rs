//! What tests and the simulator do to a host in memory behind the agent's back, and how they look at it.

use super::{MemFs, What};
use crate::agent::hostfs::{HostFs, Place};
use crate::model::digest::Digest;
use std::io;

impl MemFs {
    /// The bytes of a file; `None` when there is none.
    pub fn bytes(&self, at: &Place) -> Option<&[u8]> {
        self.file(at).ok().map(|(bytes, _)| &**bytes)
    }

    /// Another boot id from now on.
    pub fn reboot(&mut self) {
        self.boots += 1;
    }

    /// The disk becomes a copy of another one's, in this machine.
    pub fn image(&mut self, of: &MemFs) {
        (self.root, self.state) = (of.root.clone(), of.state.clone());
        self.ticks = self.ticks.max(of.ticks);
    }

    /// Reinstalled: nothing is left but the machine's clock, disk size and hook.
    pub fn wipe(&mut self) {
        self.root.clear();
        self.state.clear();
        self.host.logs.clear();
        self.boots += 1;
        self.machine_id = format!("{:016x}{:016x}", self.next_random(), self.next_random());
    }

    /// All that is on the disk and can be seen, in order: two equal answers mean that nothing was changed in between.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(format!("{:?}{:?}", self.root, self.state).as_bytes())
    }

    /// Puts a file there by hand, with the directories above it.
    pub fn put(&mut self, at: &Place, bytes: &[u8]) -> io::Result<()> {
        self.make_dir(&at.split().0)?;
        self.write(at, bytes)
    }

    /// The time that all changes are given from now on; `None`: each its own again.
    pub fn stop_clock(&mut self, at: Option<u64>) {
        self.stopped_at = at;
    }

    /// Puts other bytes into a file that is there, which stays the file it is.
    pub fn overwrite(&mut self, at: &Place, bytes: &[u8]) -> io::Result<()> {
        let mut node = self.node(at)?.clone();
        self.ticks += 1;
        node.what = What::File { bytes: bytes.into(), digest: Digest::of(bytes) };
        (node.mtime, node.ctime) = (self.time(), self.time());
        self.tree_mut(at.base).insert(at.path.clone(), node);
        Ok(())
    }
}
