//! What a proof found, written down, so that one soon after it need not look at every file again.
//!
//! Invariant: a note is believed for the very want that was proven, under the same boot and installation, with the same
//! marker, as long as no directory of the tree has changed. Then nothing is missing and nothing is there that nobody sent,
//! and directories need not be read. A file that was changed in place since is not noticed by that: who asks says for how
//! long a note stands for files too, and whoever names no age has every file looked at. A note may be lost or torn: then it is none.

use super::hostfs::{AT_ONCE, HostFs, Kind, Place, Stat};
use super::index::Here;
use super::state;
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::Incarnation;
use crate::model::limits::INDEX_BYTES_MAX;
use crate::model::protocol::Level;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::io;

/// The first bytes of a note; the number is the format's version.
const HEAD: &str = "pointsman proof 1\n";

/// A directory of a component as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A proof as it is written down: [`HEAD`], a line of JSON, `MTIME CTIME INODE PATH\0` for each directory, and the digest of
/// all that as 64 digits. Trees have thousands of directories, which JSON would take longer to read than the disk to show.
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
    #[serde(skip)]
    pub directories: Vec<Directory>,
}

/// A proof that still speaks of what is there: no name in the tree has changed since.
#[derive(Debug)]
pub(super) struct Recalled {
    pub proven: Proven,
    /// How long ago the look began, ms.
    pub age_ms: u64,
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
        let (at, bytes) = (place(&self.want.component), self.to_bytes()?);
        fs.make_dir(&at.split().0)?;
        fs.receive(&at, false, bytes.len() as u64, &mut bytes.as_slice()).map(drop)
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut text = format!("{HEAD}{}\n", serde_json::to_string(self)?);
        for Directory { path, mtime_ns, ctime_ns, inode } in &self.directories {
            // Writing to a text cannot fail.
            let _ = write!(text, "{mtime_ns} {ctime_ns} {inode} {path}\0");
        }
        Ok(state::seal(text).0)
    }

    /// `None` for anything that is not whole.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (proven, lines) = state::unseal(bytes)?.0.strip_prefix(HEAD)?.split_once('\n')?;
        let directories: Option<Vec<_>> = lines.split_terminator('\0').map(directory).collect();
        Some(Self { directories: directories?, ..serde_json::from_str(proven).ok()? })
    }
}

fn directory(line: &str) -> Option<Directory> {
    let mut parts = line.splitn(4, ' ');
    let (mtime_ns, ctime_ns) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (inode, path) = (parts.next()?.parse().ok()?, parts.next()?.to_owned());
    Some(Directory { path, mtime_ns, ctime_ns, inode })
}

/// The proof that was written down, if it still speaks of what is there, however old it is. `marker`: the digest of the bytes
/// of the marker that is there.
pub(super) fn recall(fs: &impl HostFs, want: &Want, marker: Digest, here: &Here) -> io::Result<Option<Recalled>> {
    let bytes = state::load_bytes(fs, &place(&want.component), INDEX_BYTES_MAX)?;
    let Some(proven) = bytes.and_then(|bytes| Proven::from_bytes(&bytes)) else { return Ok(None) };
    let Some(age_ms) = fs.uptime_ms().checked_sub(proven.uptime_ms) else { return Ok(None) };
    let same_host =
        proven.boot_id == here.boot_id && proven.incarnation == here.incarnation && here.incarnation.is_some();
    if !same_host || proven.want != *want || proven.marker != marker {
        return Ok(None);
    }
    let top = state::component_place(&want.component);
    let is_still = |directory: &Directory, stat: Option<Stat>| stat.is_some_and(|stat| directory.is_still(&stat));
    let Some((first, below)) = proven.directories.split_first() else { return Ok(None) };
    if !is_still(first, fs.lstat(&top)?) {
        return Ok(None);
    }
    // From the top down, so that what is below a directory that is still there was not reached over a link.
    for directories in below.chunks(AT_ONCE) {
        let paths: Vec<&str> = directories.iter().map(|directory| directory.path.as_str()).collect();
        // A path that leads nowhere any more, in circles for instance, is one that has changed.
        let Ok(stats) = fs.lstat_all(&top, &paths) else { return Ok(None) };
        if !directories.iter().zip(stats).all(|(directory, stat)| is_still(directory, stat)) {
            return Ok(None);
        }
    }
    Ok(Some(Recalled { proven, age_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Proven {
        let component = "php-1.27.0-wmf.10".parse().expect("a component");
        let want = Want { component, id: Digest::of(b"it"), artefacts: Vec::new() };
        let directory = |path: &str| Directory { path: path.to_owned(), mtime_ns: -1, ctime_ns: 2, inode: 3 };
        let directories = ["", "a b", "a b/c\nd"].map(directory).into();
        let (boot_id, incarnation) = ("boot".to_owned(), Some(Incarnation(7)));
        Proven { want, marker: Digest::of(b"m"), level: Level::L2, uptime_ms: 9, boot_id, incarnation, directories }
    }

    #[test]
    fn a_note_reads_back_what_was_written() {
        assert_eq!(Proven::from_bytes(&note().to_bytes().expect("written")), Some(note()));
    }

    #[test]
    fn any_flipped_or_missing_byte_makes_it_none() {
        let bytes = note().to_bytes().expect("written");
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(Proven::from_bytes(&flipped), None, "byte {at}");
            assert_eq!(Proven::from_bytes(&bytes[..at]), None, "cut at {at}");
        }
    }
}
