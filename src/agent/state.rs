//! The agent's own files: versioned, read strictly, replaced whole.
//!
//! Invariant: a state file that is damaged, too large or of another format counts as absent, so that the host is seen
//! as unproven or rebuilt; it is never half understood, and never a panic. Each is written beside, synced and renamed.

use super::hostfs::{HostFs, Place, present};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::ids::{Generation, Incarnation};
use crate::model::limits::{MAP_BYTES_MAX, STATE_BYTES_MAX};
use crate::model::protocol::{Confirmed, Fence};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;

/// The number that every state file begins with; another one is another format.
const FORMAT: u32 = 1;
/// Digits of the digest at the end of what [`seal`] makes.
const SEAL_DIGITS: usize = 64;

/// The served map as data; follows [`MAP_PHP`].
pub(super) const MAP_JSON: &str = "wikiversions.json";
/// The served map: renamed last, so it alone says which map is active.
pub(super) const MAP_PHP: &str = "wikiversions.php";
/// Where trees are assembled, below the deploy root since a rename does not cross file systems. No component can have
/// this name, because none begins with a dot; so it can be neither synced nor selected.
pub(super) const STAGING: &str = ".pointsman-staging";

/// Which installation the host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub incarnation: Incarnation,
    /// As the system had it; another one means that the disk was copied to another machine.
    pub machine_id: String,
}

/// The marker of a complete component; written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    pub id: Digest,
    /// Entries of the manifest, artefacts not counted.
    pub files: u64,
    pub bytes: u64,
    pub artefacts: Vec<Built>,
}

/// What the build step made for one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Built {
    /// The rule's directory, relative to the component.
    pub path: String,
    pub files: u64,
    pub bytes: u64,
    /// The id of the part of the manifest that the build read.
    pub input: Digest,
    /// The id of the files that it made.
    pub output: Digest,
}

/// The one staged change; while it is there, the change is to be finished or undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub generation: Generation,
    pub step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Step {
    /// Both map files are being renamed.
    Switch {
        /// Digest of the new map.
        map: Digest,
        /// `wikiversions.json` as it was; `None` when there was none or it was not text.
        json_before: Option<String>,
    },
    /// A staged tree takes its place.
    Install {
        component: Component,
        /// The staged directory's inode: whether it stands in its place tells how far the change came.
        inode: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned<T> {
    format: u32,
    body: T,
}

pub(super) fn fence_place() -> Place {
    Place::state("fence")
}

pub(super) fn identity_place() -> Place {
    Place::state("incarnation")
}

pub(super) fn confirmed_place() -> Place {
    Place::state("confirmed")
}

pub(super) fn journal_place() -> Place {
    Place::state("journal")
}

pub(super) fn ready_place(component: &Component) -> Place {
    Place::state(format!("ready/{component}"))
}

pub(super) fn index_place(component: &Component) -> Place {
    Place::state(format!("index/{component}"))
}

pub(super) fn seal_place(component: &Component) -> Place {
    Place::state(format!("seal/{component}"))
}

pub(super) fn component_place(component: &Component) -> Place {
    Place::root(component.to_string())
}

/// The name under which a state file waits for its turn.
pub(super) fn next(place: &Place) -> Place {
    Place { base: place.base, path: format!("{}.next", place.path) }
}

/// Reads a state file; `None` when it is absent or damaged.
pub(super) fn load<T: DeserializeOwned>(fs: &impl HostFs, at: &Place) -> io::Result<Option<T>> {
    Ok(load_bytes(fs, at, STATE_BYTES_MAX)?.and_then(|bytes| decode(&bytes)))
}

/// What a state file's bytes say; `None` when they are damaged or of another format.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let read: Option<Versioned<T>> = serde_json::from_slice(bytes).ok();
    read.filter(|file| file.format == FORMAT).map(|file| file.body)
}

/// The bytes of a file; `None` when it is absent or too large to be ours.
pub(super) fn load_bytes(fs: &impl HostFs, at: &Place, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    match present(fs.read(at, bytes_max)) {
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Ok(None),
        read => read,
    }
}

/// The bytes of a state file.
pub(super) fn encode<T: Serialize>(body: &T) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(&Versioned { format: FORMAT, body })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A text with its digest at the end, and that digest.
pub(super) fn seal(text: String) -> (Vec<u8>, Digest) {
    let digest = Digest::of(text.as_bytes());
    ((text + &digest.to_string()).into_bytes(), digest)
}

/// The text of such bytes, and its digest; `None` when that does not fit: then nothing in them is believed.
pub(super) fn unseal(bytes: &[u8]) -> Option<(&str, Digest)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (text, digest) = text.split_at_checked(text.len().checked_sub(SEAL_DIGITS)?)?;
    let digest = digest.parse().ok().filter(|digest| *digest == Digest::of(text.as_bytes()))?;
    Some((text, digest))
}

/// Replaces a state file.
pub(super) fn store<T: Serialize>(fs: &mut impl HostFs, at: &Place, body: &T) -> io::Result<()> {
    replace(fs, at, &encode(body)?)
}

/// Replaces a file at one moment; afterwards it outlasts a power cut.
pub(super) fn replace(fs: &mut impl HostFs, at: &Place, bytes: &[u8]) -> io::Result<()> {
    put(fs, at, bytes)?;
    fs.sync_dir(&at.split().0)
}

/// Replaces a file at one moment; it outlasts a power cut when its directory is synced next.
pub(super) fn put(fs: &mut impl HostFs, at: &Place, bytes: &[u8]) -> io::Result<()> {
    fs.write(&next(at), bytes)?;
    fs.rename(&next(at), at)
}

pub(super) fn load_fence(fs: &impl HostFs) -> io::Result<Option<Fence>> {
    load(fs, &fence_place())
}

/// The confirmed maps, newest first.
pub(super) fn load_confirmed(fs: &impl HostFs) -> io::Result<Vec<Confirmed>> {
    Ok(load(fs, &confirmed_place())?.unwrap_or_default())
}

/// The installation, unless its file is of another machine.
pub(super) fn load_incarnation(fs: &impl HostFs) -> io::Result<Option<Incarnation>> {
    let machine_id = fs.machine_id()?;
    let identity: Option<Identity> = load(fs, &identity_place())?;
    Ok(identity.filter(|known| known.machine_id == machine_id).map(|known| known.incarnation))
}

/// The bytes of the served map, and their digest; `None` when there is none.
pub(super) fn load_map(fs: &impl HostFs) -> io::Result<Option<(Vec<u8>, Digest)>> {
    let bytes = present(fs.read(&Place::root(MAP_PHP), MAP_BYTES_MAX))?;
    Ok(bytes.map(|bytes| {
        let digest = Digest::of(&bytes);
        (bytes, digest)
    }))
}

/// Digest of the served map; `None` when there is none.
pub(super) fn active(fs: &impl HostFs) -> io::Result<Option<Digest>> {
    Ok(load_map(fs)?.map(|(_, digest)| digest))
}
