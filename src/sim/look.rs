//! The oracle's own look at a host's files: nothing of the agent's is believed or used.

use super::site::{self, Contents};
use crate::agent::hostfs::Place;
use crate::agent::memfs::MemFs;
use crate::model::books::Snapshot;
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::Incarnation;
use crate::model::names::{HostName, Version, Wiki};
use serde::Deserialize;
use std::collections::BTreeMap;

fn read<'a>(fs: &'a MemFs, path: &str) -> Option<&'a [u8]> {
    fs.bytes(&Place::root(path))
}

/// The digest of the served map's bytes; `None` when there is none.
pub fn active(fs: &MemFs) -> Option<Digest> {
    read(fs, "wikiversions.php").map(Digest::of)
}

/// The incarnation in the agent's file, if that file is of this machine.
pub fn incarnation(fs: &MemFs) -> Option<Incarnation> {
    #[derive(Deserialize)]
    struct File {
        body: Body,
    }
    #[derive(Deserialize)]
    struct Body {
        machine_id: String,
        incarnation: String,
    }
    let File { body } = serde_json::from_slice(fs.bytes(&Place::state("incarnation"))?).ok()?;
    body.incarnation.try_into().ok().filter(|_| body.machine_id == fs.machine_id)
}

/// The map that the host serves, read line by line; empty when there is none.
pub fn served(fs: &MemFs) -> BTreeMap<Wiki, Version> {
    let bytes = read(fs, "wikiversions.php").unwrap_or_default();
    let entry = |line: &str| -> Option<(Wiki, Version)> {
        let (wiki, version) = line.trim().strip_prefix('\'')?.split_once("' => 'php-")?;
        Some((wiki.parse().ok()?, version.strip_suffix("',")?.parse().ok()?))
    };
    String::from_utf8_lossy(bytes).lines().filter_map(entry).collect()
}

/// Whether the served map has a copy in JSON that says something else.
pub fn json_disagrees(fs: &MemFs) -> bool {
    let Some(bytes) = read(fs, "wikiversions.json").filter(|_| active(fs).is_some()) else { return false };
    let map: BTreeMap<Wiki, String> = serde_json::from_slice(bytes).unwrap_or_default();
    let plain = |(wiki, version): (Wiki, String)| Some((wiki, version.strip_prefix("php-")?.parse().ok()?));
    map.into_iter().filter_map(plain).collect::<BTreeMap<Wiki, Version>>() != served(fs)
}

/// The map that a state wants of a host.
pub fn map_for(state: &Snapshot, host: &HostName) -> BTreeMap<Wiki, Version> {
    let pinned = state.pins.hosts.get(host).map(|pin| &pin.version);
    state.map.0.iter().map(|(wiki, version)| (wiki.clone(), pinned.unwrap_or(version).clone())).collect()
}

/// What a host must hold for these versions: their trees and all configuration.
pub fn wants<'a>(state: &Snapshot, versions: impl Iterator<Item = &'a Version>) -> Vec<Want> {
    let served: Vec<&Version> = versions.collect();
    let needed = |component: &Component| match component {
        Component::Version(version) => served.contains(&version),
        Component::Config(_) => true,
    };
    let want =
        |(component, id): (&Component, &Digest)| Want { component: component.clone(), id: *id, artefacts: Vec::new() };
    state.wanted.iter().filter(|(component, _)| needed(component)).map(want).collect()
}

/// What is not complete on a host: of `wants` at their ids, of the other versions at any content; `None`: all is.
pub fn lacking<'a>(
    fs: &MemFs,
    contents: &Contents,
    wants: &[Want],
    versions: impl Iterator<Item = &'a Version>,
) -> Option<Component> {
    if let Some(want) = wants.iter().find(|want| !holds(fs, contents, &want.component, &want.id)) {
        return Some(want.component.clone());
    }
    let others = versions.map(|version| Component::Version(version.clone()));
    let mut others = others.filter(|component| !wants.iter().any(|want| want.component == *component));
    others.find(|component| !holds_any(fs, contents, component))
}

/// Whether any whole content of a component is there.
pub fn holds_any(fs: &MemFs, contents: &Contents, component: &Component) -> bool {
    contents.variants.get(component).is_some_and(|ids| ids.iter().any(|id| holds(fs, contents, component, id)))
}

/// Whether every file of a content is there, whatever is in it, with what is built from it.
pub fn has_all_files(fs: &MemFs, contents: &Contents, want: &Want) -> bool {
    let Some(files) = contents.files.get(&want.id) else { return false };
    let there = |path: &str| read(fs, &format!("{}/{path}", want.component)).is_some();
    let (directory, names) = site::ARTEFACTS;
    let built = |name: &&str| there(&format!("{directory}/{name}"));
    files.keys().all(|path| there(path)) && (!files.contains_key(site::ARTEFACT_INPUT) || names.iter().all(built))
}

/// Whether every byte of a content is there, with what is built from it.
fn holds(fs: &MemFs, contents: &Contents, component: &Component, id: &Digest) -> bool {
    let Some(files) = contents.files.get(id) else { return false };
    let there = |(path, bytes): (&String, &Vec<u8>)| read(fs, &format!("{component}/{path}")) == Some(bytes.as_slice());
    if !files.iter().all(there) {
        return false;
    }
    let Some(input) = files.get(site::ARTEFACT_INPUT) else { return true };
    let (directory, names) = site::ARTEFACTS;
    names.iter().all(|n| read(fs, &format!("{component}/{directory}/{n}")) == Some(site::built(n, input).as_slice()))
}
