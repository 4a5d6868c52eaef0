//! Who is obeyed, and in which order.
//!
//! Invariant: nothing here is called without the switch lock. A refused command has changed nothing but, at most, an
//! unfinished change of an earlier command that it found and ended.

use super::hostfs::{HostFs, Place, present};
use super::state::{self, Journal, MAP_JSON, MAP_PHP, Step};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::map::VersionMap;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Expect, Fence, Refusal, Stamp};
use std::io;

/// Why a command ends early.
#[derive(Debug)]
pub(super) enum Stop {
    Refused(Refusal),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Stop {
    /// As the controller is told.
    pub fn refusal(self, fs: &impl HostFs) -> Refusal {
        let error = match self {
            Self::Refused(refusal) => return refusal,
            Self::Io(error) => error,
        };
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refusal::DiskFull(match fs.space() {
                Ok(space) => format!("{} bytes and {} inodes free", space.bytes_free, space.inodes_free),
                Err(_) => error.to_string(),
            }),
            io::ErrorKind::ReadOnlyFilesystem => Refusal::ReadOnly,
            _ => Refusal::Failed(error.to_string()),
        }
    }
}

/// Refuses a command that is not above the fence of its own books.
pub(super) fn check_order(fence: &Fence, stamp: &Stamp) -> Result<(), Refusal> {
    match fence {
        fence if fence.books != stamp.books => Err(Refusal::Foreign(fence.books)),
        _ if planted(Bug::LateCommandAccepted) => Ok(()),
        fence if stamp.generation <= fence.generation => Err(Refusal::Fenced(fence.generation)),
        _ => Ok(()),
    }
}

/// Lets a command pass that is in order and believes what is true.
///
/// A host without a fence was never observed or lost its state: what the sender believes of it is no longer so.
pub(super) fn admit(fs: &mut impl HostFs, stamp: &Stamp, expect: &Expect) -> Result<(), Stop> {
    let Some(fence) = state::load_fence(fs)? else {
        return Err(Refusal::Reborn(None).into());
    };
    check_order(&fence, stamp)?;
    recover(fs)?;
    let incarnation = state::load_incarnation(fs)?;
    if incarnation != Some(expect.incarnation) && !planted(Bug::NoIncarnationCheck) {
        return Err(Refusal::Reborn(incarnation).into());
    }
    let active = state::active(fs)?;
    match active == expect.active || planted(Bug::NoMapCheck) {
        true => Ok(()),
        false => Err(Refusal::Conflict(active).into()),
    }
}

/// Refuses to go on with a command that was admitted before the lock was let go, when a newer epoch has come since.
pub(super) fn still_admitted(fs: &impl HostFs, stamp: &Stamp) -> Result<(), Stop> {
    match state::load_fence(fs)? {
        None => Err(Refusal::Reborn(None).into()),
        Some(fence) if fence.books != stamp.books => Err(Refusal::Foreign(fence.books).into()),
        Some(fence) if fence.generation.epoch > stamp.generation.epoch => Err(Refusal::Fenced(fence.generation).into()),
        Some(_) => Ok(()),
    }
}

/// Raises the fence; it outlasts a power cut before this returns.
pub(super) fn raise(fs: &mut impl HostFs, stamp: &Stamp) -> io::Result<()> {
    raise_with_next(fs, stamp)?;
    fs.sync_dir(&Place::state(""))
}

/// Raises the fence; it outlasts a power cut when the state directory is synced next, which the caller does for something
/// else, and before anything is changed that the fence guards.
pub(super) fn raise_with_next(fs: &mut impl HostFs, stamp: &Stamp) -> io::Result<()> {
    let fence = Fence { books: stamp.books, generation: stamp.generation };
    state::put(fs, &state::fence_place(), &state::encode(&fence)?)
}

/// Ends a change that was not finished, so that it has happened or has not.
pub(super) fn recover(fs: &mut impl HostFs) -> io::Result<()> {
    if fs.lstat(&state::journal_place())?.is_none() || planted(Bug::NoRecovery) {
        return Ok(());
    }
    match state::load::<Journal>(fs, &state::journal_place())?.map(|journal| journal.step) {
        Some(Step::Switch { map, json_before }) => recover_switch(fs, map, json_before)?,
        Some(Step::Install { component, inode }) => recover_install(fs, &component, inode)?,
        None => recover_unreadable(fs)?,
    }
    fs.remove_file(&state::journal_place())?;
    fs.sync_dir(&Place::state(""))
}

/// The served file says which map is active; the other one follows it.
fn recover_switch(fs: &mut impl HostFs, map: Digest, json_before: Option<String>) -> io::Result<()> {
    let served = state::load_map(fs)?;
    let json = match served {
        Some((bytes, digest)) if digest == map => VersionMap::from_php(&bytes).ok().map(|map| map.to_json()),
        _ => json_before.map(String::into_bytes),
    };
    restore_json(fs, json)
}

/// A journal that cannot be read: the map files are made to agree where that is possible, and markers that wait for
/// their turn are left, so that what they speak of stays unproven.
fn recover_unreadable(fs: &mut impl HostFs) -> io::Result<()> {
    let map = state::load_map(fs)?.and_then(|(bytes, _)| VersionMap::from_php(&bytes).ok());
    match map {
        Some(map) => restore_json(fs, Some(map.to_json())),
        None => Ok(()),
    }
}

fn restore_json(fs: &mut impl HostFs, json: Option<Vec<u8>>) -> io::Result<()> {
    let (at, served) = (Place::root(MAP_JSON), Place::root(MAP_PHP));
    match json {
        Some(json) => state::replace(fs, &at, &json)?,
        None => fs.remove_file(&at)?,
    }
    fs.remove_file(&state::next(&at))?;
    fs.remove_file(&state::next(&served))?;
    fs.sync_dir(&Place::root(""))
}

/// The name under which the marker of the tree that is being replaced is kept until that is done.
pub(super) fn old_ready(component: &Component) -> Place {
    Place::state(format!("ready/{component}.old"))
}

fn recover_install(fs: &mut impl HostFs, component: &Component, inode: u64) -> io::Result<()> {
    let in_place = fs.lstat(&state::component_place(component))?.is_some_and(|stat| stat.inode == inode);
    match in_place {
        true => finish_install(fs, component),
        false => undo_install(fs, component),
    }
}

/// The new tree is in its place: its index and, last, its marker follow.
pub(super) fn finish_install(fs: &mut impl HostFs, component: &Component) -> io::Result<()> {
    let (index, ready) = (state::index_place(component), state::ready_place(component));
    if fs.lstat(&state::next(&index))?.is_some() {
        fs.rename(&state::next(&index), &index)?;
    }
    if fs.lstat(&state::next(&ready))?.is_some() {
        fs.rename(&state::next(&ready), &ready)?;
    }
    fs.remove_file(&old_ready(component))?;
    // Both before the journal goes, which brings either again where a power cut took it back.
    for directory in ["index", "ready"] {
        present(fs.sync_dir(&Place::state(directory)))?;
    }
    Ok(())
}

/// The old tree is still in its place, and so is its index: it gets its marker back.
fn undo_install(fs: &mut impl HostFs, component: &Component) -> io::Result<()> {
    let (index, ready) = (state::index_place(component), state::ready_place(component));
    fs.remove_file(&state::next(&index))?;
    fs.remove_file(&state::next(&ready))?;
    if fs.lstat(&old_ready(component))?.is_some() {
        fs.rename(&old_ready(component), &ready)?;
    }
    fs.sync_dir(&Place::state("ready"))
}
