//! What cleaning up must leave.

use super::Oracle;
use crate::agent::hostfs::Place;
use crate::agent::memfs::MemFs;
use crate::model::books::{Books, Snapshot};
use crate::model::component::Component;
use crate::model::names::{HostName, Version};
use crate::sim::look;
use crate::sim::site::Contents;
use std::collections::BTreeSet;

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

/// What the host holds of all that it serves, is wanted to serve, may have to go back to, or served before.
pub(super) fn held(host: &HostName, books: &Books, fs: &MemFs, contents: &Contents) -> Vec<Component> {
    let wanted = books.current.and_then(|id| books.snapshots.get(&id));
    let open = books.open().flat_map(|rollout| [Some(rollout.to), rollout.from].into_iter().flatten());
    let states: Vec<&Snapshot> = open.filter_map(|id| books.snapshots.get(&id)).chain(wanted).collect();
    let mut versions: BTreeSet<Version> = look::served(fs).into_values().collect();
    versions.extend(states.iter().flat_map(|state| look::map_for(state, host).into_values()));
    versions.extend(confirmed(fs));
    let components = versions.into_iter().map(Component::Version);
    components.filter(|component| look::holds_any(fs, contents, component)).collect()
}

/// The versions of the maps that the host itself wrote down as confirmed.
fn confirmed(fs: &MemFs) -> BTreeSet<Version> {
    let bytes = fs.bytes(&Place::state("confirmed")).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let maps = value.get("body").and_then(|body| body.as_array()).into_iter().flatten();
    let versions = maps.filter_map(|one| one.get("map")?.as_object()).flat_map(|map| map.values());
    versions.filter_map(|version| version.as_str()?.trim_start_matches("php-").parse().ok()).collect()
}
