//! What cleaning up must leave.

use super::Oracle;
use crate::agent::hostfs::Place;
use crate::agent::memfs::MemFs;
use crate::model::books::{Books, Snapshot};
use crate::model::component::Component;
use crate::model::names::{HostName, Version, Wiki};
use crate::sim::look;
use crate::sim::site::Contents;
use std::collections::{BTreeMap, BTreeSet};

impl Oracle {
    /// A host cleaned up, or was killed while it did.
    pub(super) fn still_kept(&mut self, host: &HostName, fs: &MemFs, contents: &Contents) {
        for component in std::mem::take(&mut self.kept) {
            if !look::holds_any(fs, contents, &component) {
                self.broken("P19", format!("{host} removed {component}"));
            }
        }
    }
}

/// What the host holds of all that it serves, is wanted to serve, may have to go back to, or was confirmed at before.
pub(super) fn held(host: &HostName, books: &Books, fs: &MemFs, contents: &Contents) -> Vec<Component> {
    let wanted = books.current.and_then(|id| books.snapshots.get(&id));
    let open = books.open().flat_map(|rollout| [Some(rollout.to), rollout.from].into_iter().flatten());
    let states: Vec<&Snapshot> = open.filter_map(|id| books.snapshots.get(&id)).chain(wanted).collect();
    let served = look::served(fs);
    let mut versions: BTreeSet<Version> =
        states.iter().flat_map(|state| look::map_for(state, host).into_values()).collect();
    versions.extend(confirmed_before(&served, fs).into_values());
    versions.extend(served.into_values());
    let components = versions.into_iter().map(Component::Version);
    components.filter(|component| look::holds_any(fs, contents, component)).collect()
}

/// The map that the host itself wrote down as confirmed before `served`, which is confirmed now.
fn confirmed_before(served: &BTreeMap<Wiki, Version>, fs: &MemFs) -> BTreeMap<Wiki, Version> {
    let bytes = fs.bytes(&Place::state("confirmed")).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let maps = value.get("body").and_then(|body| body.as_array()).into_iter().flatten();
    let entry = |(wiki, version): (&String, &serde_json::Value)| {
        Some((wiki.parse().ok()?, version.as_str()?.trim_start_matches("php-").parse().ok()?))
    };
    let mut maps = maps.filter_map(|one| Some(one.get("map")?.as_object()?.iter().filter_map(entry).collect()));
    maps.find(|map| map != served).unwrap_or_default()
}
