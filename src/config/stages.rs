//! The sections `soak`, `web` and `environments`.

use super::diagnostic::{Sink, did_you_mean};
use super::policy::{Environment, GroupPolicy, Soak, Web};
use super::raw::{At, EnvironmentEntry, SoakEntry, WebEntry};
use super::resolve::{local_path, parsed};
use crate::model::limits::LINE_BYTES_MAX;
use crate::model::names::{GateName, Group};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How long gates are asked; what is not said has its default.
pub fn soak(entry: Option<&SoakEntry>) -> Soak {
    let default = Soak::default();
    let Some(entry) = entry else { return default };
    Soak {
        wave_ms: entry.wave.unwrap_or(default.wave_ms),
        group_ms: entry.group.unwrap_or(default.group_ms),
        max_ms: entry.max.unwrap_or(default.max_ms),
        watch_ms: entry.watch.unwrap_or(default.watch_ms),
    }
}

/// Where web servers listen.
pub fn web(entry: Option<&WebEntry>, base: &Path, sink: &mut Sink) -> Web {
    let Some(entry) = entry else { return Web::default() };
    let tls = entry.tls.as_ref().is_some_and(|at| at.value);
    let port = entry.port.as_ref().map_or(if tls { 443 } else { 80 }, |at| at.value);
    let mut path = |at: &Option<At<String>>| at.as_ref().and_then(|at| local_path(at, base, sink));
    Web { tls, port, addresses: path(&entry.addresses), ca: path(&entry.ca) }
}

/// How stages differ from production.
pub fn environments(entries: &[EnvironmentEntry], groups: &[GroupPolicy], sink: &mut Sink) -> Vec<Environment> {
    let mut found: Vec<Environment> = Vec::new();
    for entry in entries {
        if found.iter().any(|other| other.name == entry.name.value) {
            sink.add(entry.name.place, format!("the environment `{}` is listed twice", entry.name.value));
        }
        let name: Option<GateName> = parsed(&entry.name, "the name of an environment", sink);
        let groups = groups_of(&entry.groups, groups, sink);
        let mut differs = BTreeMap::new();
        for difference in &entry.differs.value {
            let word: Option<GateName> = parsed(&difference.word, "a trait", sink);
            if difference.how.value.trim().is_empty() || difference.how.value.len() > LINE_BYTES_MAX {
                sink.add(difference.how.place, "say in one line what differs");
            }
            if let Some(word) = word
                && differs.insert(word.to_string(), difference.how.value.clone()).is_some()
            {
                sink.add(difference.word.place, format!("`{word}` stands twice"));
            }
        }
        if let Some(name) = name {
            found.push(Environment { name: name.to_string(), groups, differs });
        }
    }
    found
}

/// Groups by name, each known.
pub fn groups_of(names: &At<Vec<At<String>>>, groups: &[GroupPolicy], sink: &mut Sink) -> BTreeSet<Group> {
    let mut found = BTreeSet::new();
    for name in &names.value {
        match groups.iter().find(|group| group.name.as_str() == name.value) {
            Some(group) => drop(found.insert(group.name.clone())),
            None => {
                let hint = did_you_mean(&name.value, groups.iter().map(|group| group.name.as_str()));
                sink.hint(name.place, format!("there is no group `{}`", name.value), hint);
            }
        }
    }
    if names.value.is_empty() {
        sink.add(names.place, "at least one group must stand here");
    }
    found
}
