//! What a host must hold for a map: the trees of its versions with their artefacts, and the configuration.

use super::goal::{Blocked, Site, Why};
use crate::model::books::Snapshot;
use crate::model::component::{Component, Want};
use crate::model::names::{HostName, Version};
use std::collections::BTreeSet;

/// Components for `versions` and all configuration, at the snapshot's wanted ids.
pub fn wants(site: Site<'_>, snapshot: &Snapshot, versions: &BTreeSet<Version>) -> Result<Vec<Want>, Blocked> {
    let trees = versions.iter().map(|version| Component::Version(version.clone()));
    let components = site.policy.configuration.iter().cloned().chain(trees);
    components.map(|component| want(site, snapshot, component)).collect()
}

fn want(site: Site<'_>, snapshot: &Snapshot, component: Component) -> Result<Want, Blocked> {
    let Some(id) = snapshot.wanted.get(&component) else {
        return Err(Blocked::new(Why::Paused, format!("the books have no wanted content for {component}"))
            .hint("pointsman sync-common --from-staging"));
    };
    let artefacts = match component {
        Component::Version(_) => site.policy.artefacts.clone(),
        Component::Config(_) => Vec::new(),
    };
    Ok(Want { component, id: *id, artefacts })
}

/// The versions that `host` serves in `snapshot`.
pub fn versions_of(snapshot: &Snapshot, host: &HostName) -> BTreeSet<Version> {
    match snapshot.pins.hosts.get(host) {
        Some(pin) => BTreeSet::from([pin.version.clone()]),
        None => snapshot.map.0.values().cloned().collect(),
    }
}

/// Every version whose content the books want.
pub fn all_versions(snapshot: &Snapshot) -> BTreeSet<Version> {
    let version = |component: &Component| match component {
        Component::Version(version) => Some(version.clone()),
        Component::Config(_) => None,
    };
    snapshot.wanted.keys().filter_map(version).collect()
}
