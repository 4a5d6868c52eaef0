//! Nodes laid into a host in memory as a disk would give them back after a power cut.

use super::{Kind, MemFs, Node, Place, Stat, What};
use crate::model::digest::Digest;

impl MemFs {
    /// Takes everything away that is on the disk; clock, random numbers and hooks stay.
    pub fn clear(&mut self) {
        self.root.clear();
        self.state.clear();
    }

    /// Lays a node there as it was known: `bytes` are a file's content or where a link points to. The length follows
    /// from them; inode and times are those of `stat`.
    pub fn lay(&mut self, at: &Place, stat: &Stat, bytes: &[u8]) {
        let what = match stat.kind {
            Kind::Directory => What::Directory,
            Kind::Symlink => What::Symlink { target: String::from_utf8_lossy(bytes).into_owned() },
            Kind::File | Kind::Other => What::File { bytes: bytes.into(), digest: Digest::of(bytes) },
        };
        let ticks = |ns: i64| u64::try_from(ns).unwrap_or(0);
        let (mtime, ctime) = (ticks(stat.mtime_ns), ticks(stat.ctime_ns));
        let node = Node { what, exec: stat.exec, mtime, ctime, inode: stat.inode };
        self.tree_mut(at.base).insert(at.path.clone(), node);
    }
}
