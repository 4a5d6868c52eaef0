//! What a proof found, written down, so that one soon after it need not look at every file again.
//!
//! Invariant: a note is believed for the very want that was proven, under the same boot and installation, with the same
//! marker, as long as no directory of the tree has changed and no longer than who asks allows. So nothing is missing and
//! nothing is there that nobody sent; a file that was changed in place since then is not noticed, and whoever cannot
//! accept that asks without an age. A note may be lost or torn: then it is none.

use super::hostfs::{HostFs, Kind, Place, Stat};
use super::index::Here;
use super::state::{self, Ready};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::Incarnation;
use crate::model::limits::STATE_BYTES_MAX;
use crate::model::protocol::{Level, Readiness};
use serde::{Deserialize, Serialize};
use std::io;

/// A directory of a component as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    /// Below the component; empty for its top.
    pub path: String,
    /// When names in it changed last, ns since 1970.
    pub mtime_ns: i64,
    /// When anything of it changed last, ns since 1970.
    pub ctime_ns: i64,
    pub inode: u64,
}

impl Directory {
    /// One that was just looked at.
    pub fn new(path: &str, stat: &Stat) -> Self {
        Self { path: path.to_owned(), mtime_ns: stat.mtime_ns, ctime_ns: stat.ctime_ns, inode: stat.inode }
    }

    fn is_still(&self, stat: &Stat) -> bool {
        let is = (stat.kind, stat.mtime_ns, stat.ctime_ns, stat.inode);
        is == (Kind::Directory, self.mtime_ns, self.ctime_ns, self.inode)
    }
}

/// A proof as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proven {
    /// What was proven.
    pub want: Want,
    /// The digest of the marker's bytes.
    pub marker: Digest,
    pub level: Level,
    /// When the look began, by [`HostFs::uptime_ms`].
    pub uptime_ms: u64,
    pub boot_id: String,
    /// The installation.
    pub incarnation: Option<Incarnation>,
    /// All of the tree, each after the one that it is in, as they were before they were read.
    pub directories: Vec<Directory>,
}

fn place(component: &Component) -> Place {
    Place::state(format!("proven/{component}"))
}

impl Proven {
    /// Whether every directory is too old, by what the clock of files said before the look, to have been changed after
    /// it was read without another time.
    pub fn is_settled(&self, now_ns: i64) -> bool {
        self.directories.iter().all(|directory| directory.ctime_ns < now_ns && directory.mtime_ns < now_ns)
    }

    /// Writes it down. It need not outlast a power cut, since another boot voids it.
    pub fn store(&self, fs: &mut impl HostFs) -> io::Result<()> {
        let (at, bytes) = (place(&self.want.component), state::encode(self)?);
        fs.make_dir(&at.split().0)?;
        fs.receive(&at, false, bytes.len() as u64, &mut bytes.as_slice()).map(drop)
    }
}

/// The proof that was written down, if it still speaks of what is there and is at most so old; its age is in it.
pub(super) fn recall(fs: &impl HostFs, want: &Want, here: &Here, age_ms_max: u64) -> io::Result<Option<Readiness>> {
    let Some(proven) = state::load::<Proven>(fs, &place(&want.component))? else { return Ok(None) };
    let Some(age_ms) = fs.uptime_ms().checked_sub(proven.uptime_ms) else { return Ok(None) };
    let same_host =
        proven.boot_id == here.boot_id && proven.incarnation == here.incarnation && here.incarnation.is_some();
    if !same_host || proven.want != *want || age_ms > age_ms_max {
        return Ok(None);
    }
    let marker = state::load_bytes(fs, &state::ready_place(&want.component), STATE_BYTES_MAX)?;
    let marker = marker.filter(|bytes| Digest::of(bytes) == proven.marker);
    let Some(ready) = marker.and_then(|bytes| state::decode::<Ready>(&bytes)) else { return Ok(None) };
    let top = state::component_place(&want.component);
    for directory in &proven.directories {
        let at = if directory.path.is_empty() { top.clone() } else { top.join(&directory.path) };
        if !fs.lstat(&at)?.is_some_and(|stat| directory.is_still(&stat)) {
            return Ok(None);
        }
    }
    Ok(Some(Readiness::Ready { files: ready.files, bytes: ready.bytes, level: proven.level, age_ms }))
}
