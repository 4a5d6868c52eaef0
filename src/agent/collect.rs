//! Removing versions that nobody needs any more.
//!
//! Invariant: only what this agent brought is removed, which its marker or its index says; what a hand put beside it stays.
//! What is served, and what was confirmed last and the time before, stays whatever the controller says. The marker goes
//! before the tree and the index after it, so that a kill in between leaves something that the next collection knows.

use super::guard::{self, Stop};
use super::hostfs::{HostFs, Kind, Place, present};
use super::prepare;
use super::signed;
use super::state::{self, Ready};
use crate::model::component::Component;
use crate::model::limits::AGENTS_KEPT_MAX;
use crate::model::map::VersionMap;
use crate::model::names::Version;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Collected, Stamp};
use std::collections::BTreeSet;
use std::io;

/// Removes all versions but those in `keep` and those that the host itself knows to be needed.
pub(super) fn collect(fs: &mut impl HostFs, stamp: &Stamp, keep: &BTreeSet<Version>) -> Result<Collected, Stop> {
    let mut collected = Collected::default();
    {
        let _lock = fs.lock()?;
        guard::still_admitted(fs, stamp)?;
        let needed = needed(fs)?;
        for version in ours(fs)?.difference(keep).filter(|version| !needed.contains(*version)) {
            collected.bytes = collected.bytes.saturating_add(remove(fs, version)?);
            collected.versions.insert(version.clone());
        }
    }
    prepare::clear(fs)?;
    collected.agents = fs.remove_old_agents(AGENTS_KEPT_MAX)?;
    Ok(collected)
}

/// Versions of the served map and of the confirmed ones.
fn needed(fs: &impl HostFs) -> io::Result<BTreeSet<Version>> {
    let served = state::load_map(fs)?.and_then(|(bytes, _)| VersionMap::from_php(&bytes).ok());
    let confirmed = state::load_confirmed(fs)?.into_iter().map(|confirmed| confirmed.map);
    let confirmed = confirmed.filter(|_| !planted(Bug::ConfirmedIsRemoved));
    Ok(served.into_iter().chain(confirmed).flat_map(|map| map.0.into_values()).collect())
}

/// Versions that this agent brought, whole or in part.
fn ours(fs: &impl HostFs) -> io::Result<BTreeSet<Version>> {
    let mut found = BTreeSet::new();
    let trees = fs.list(&Place::root(""))?.into_iter().filter(|listed| listed.stat.kind == Kind::Directory);
    let indexes = present(fs.list(&Place::state("index")))?.unwrap_or_default();
    for listed in trees.chain(indexes) {
        let component = listed.name.to_str().and_then(|name| name.parse::<Component>().ok());
        let Some(component @ Component::Version(_)) = component else { continue };
        let marked = [state::ready_place(&component), state::index_place(&component)];
        let [ready, index] = [fs.lstat(&marked[0])?, fs.lstat(&marked[1])?];
        if let (true, Component::Version(version)) = (ready.or(index).is_some(), component) {
            found.insert(version);
        }
    }
    Ok(found)
}

/// Removes a version's marker, takes its tree away and forgets its index; its length, bytes.
fn remove(fs: &mut impl HostFs, version: &Version) -> io::Result<u64> {
    let component = Component::Version(version.clone());
    let (ready, tree) = (state::ready_place(&component), state::component_place(&component));
    let bytes = state::load::<Ready>(fs, &ready)?.map_or(0, |ready| ready.bytes);
    fs.remove_file(&ready)?;
    fs.sync_dir(&ready.split().0)?;
    if fs.lstat(&tree)?.is_some() {
        prepare::take_away(fs, &tree)?;
        fs.sync_dir(&Place::root(""))?;
    }
    fs.remove_file(&state::seal_place(&component))?;
    let signed = signed::place(&component);
    if fs.lstat(&signed)?.is_some() {
        fs.remove_file(&signed)?;
    }
    let index = state::index_place(&component);
    fs.remove_file(&index)?;
    fs.sync_dir(&index.split().0)?;
    Ok(bytes)
}
