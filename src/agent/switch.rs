//! Another map becomes the served one; and a served map is noted as confirmed.
//!
//! Invariant: `wikiversions.php` is renamed last and alone decides. Before its rename the old map is active, after it
//! the new one; a journal makes `wikiversions.json` follow.

use super::guard::{self, Stop};
use super::hostfs::{EnvValue, HostFs, Place, Program};
use super::look::{self, Depth};
use super::state::{self, Journal, MAP_JSON, MAP_PHP, Ready, Step};
use crate::model::component::{Component, Want};
use crate::model::ids::Generation;
use crate::model::limits::{CONFIRMED_MAX, HOOK_MS_MAX, MAP_BYTES_MAX};
use crate::model::map::VersionMap;
use crate::model::names::Version;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{ConfirmNote, Confirmed, Expect, NotReady, Readiness, Refusal, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Proves what is needed, then switches.
pub(super) fn switch(
    fs: &mut impl HostFs,
    stamp: &Stamp,
    expect: &Expect,
    map: &VersionMap,
    needs: &[Want],
    proof_age_ms_max: Option<u64>,
) -> Result<(), Stop> {
    let (json, php) = (map.to_json(), map.to_php());
    if json.len().max(php.len()) > MAP_BYTES_MAX {
        return Err(Refusal::Failed(format!("the version map has more than {MAP_BYTES_MAX} bytes")).into());
    }
    let _lock = fs.lock()?;
    guard::admit(fs, stamp, expect)?;
    let served = state::load_map(fs)?.and_then(|(bytes, _)| VersionMap::from_php(&bytes).ok()).unwrap_or_default();
    check_needs(fs, &moved_to(&served, map), needs, proof_age_ms_max)?;
    check_uncovered(fs, map, &served, needs)?;
    guard::raise_with_next(fs, stamp)?;
    let Err(error) = put_map(fs, stamp.generation, map, &json, &php) else { return Ok(()) };
    // It is ended or undone here, or else by the next command that comes; the answer says what is there.
    guard::recover(fs)?;
    match state::active(fs)? == Some(map.digest()) {
        true => Ok(()),
        false => Err(error.into()),
    }
}

/// The versions that some wiki is moved to.
fn moved_to(served: &VersionMap, map: &VersionMap) -> BTreeSet<Version> {
    map.0
        .iter()
        .filter(|(wiki, version)| served.0.get(*wiki) != Some(*version))
        .map(|(_, version)| version.clone())
        .collect()
}

/// Every file of what wikis move to and of all configuration is looked at. For a version that is only the way back, or
/// that wikis stay on, a proof will do that was written down and that no directory speaks against.
fn check_needs(
    fs: &impl HostFs,
    moved_to: &BTreeSet<Version>,
    needs: &[Want],
    proof_age_ms_max: Option<u64>,
) -> Result<(), Stop> {
    let here = look::here(fs)?;
    for want in needs.iter().filter(|_| !planted(Bug::SwitchUnproven)) {
        let stays = matches!(&want.component, Component::Version(version) if !moved_to.contains(version));
        let depth = Depth::YOUNG.aged(proof_age_ms_max.filter(|_| stays));
        let readiness = look::look(fs, want, depth, &here, None)?.readiness;
        if !readiness.is_ready() {
            return Err(not_ready(want.component.clone(), readiness));
        }
    }
    Ok(())
}

/// A version of the map that nobody named an id for must at least be served already or be marked.
fn check_uncovered(fs: &impl HostFs, map: &VersionMap, served: &VersionMap, needs: &[Want]) -> Result<(), Stop> {
    let served = served.counts();
    for version in map.counts().into_keys().filter(|version| !served.contains_key(version)) {
        let component = Component::Version(version);
        if needs.iter().any(|want| want.component == component) {
            continue;
        }
        if fs.lstat(&state::component_place(&component))?.is_none() {
            return Err(not_ready(component, Readiness::Absent));
        }
        if state::load::<Ready>(fs, &state::ready_place(&component))?.is_none() {
            return Err(not_ready(component, Readiness::Unproven { artefacts: Vec::new() }));
        }
    }
    Ok(())
}

fn not_ready(component: Component, readiness: Readiness) -> Stop {
    Refusal::NotReady(Box::new(NotReady { component, readiness })).into()
}

fn put_map(fs: &mut impl HostFs, generation: Generation, map: &VersionMap, json: &[u8], php: &[u8]) -> io::Result<()> {
    let (json_at, php_at) = (Place::root(MAP_JSON), Place::root(MAP_PHP));
    let before = state::load_bytes(fs, &json_at, MAP_BYTES_MAX)?;
    fs.write(&state::next(&json_at), json)?;
    fs.write(&state::next(&php_at), php)?;
    let json_before = before.and_then(|bytes| String::from_utf8(bytes).ok());
    let journal = Journal { generation, step: Step::Switch { map: map.digest(), json_before } };
    state::store(fs, &state::journal_place(), &journal)?;
    fs.rename(&state::next(&json_at), &json_at)?;
    match planted(Bug::MapWrittenInPlace) {
        true => fs.write(&php_at, php)?,
        false => fs.rename(&state::next(&php_at), &php_at)?,
    }
    fs.sync_dir(&Place::root(""))?;
    // If a power cut brings it back, it is found done: this is not waited for.
    fs.remove_file(&state::journal_place())
}

/// Runs the restart hook; `Some`: how it failed. Without the lock, since it may take its time.
pub(super) fn restart(fs: &mut impl HostFs, argv: &[String]) -> Option<String> {
    if argv.is_empty() {
        return None;
    }
    let root = Place::root("");
    let env = BTreeMap::from([("POINTSMAN_ROOT", EnvValue::Path(root.clone()))]);
    match fs.run(&Program { argv: argv.to_vec(), directory: root, env, ms_max: HOOK_MS_MAX }) {
        Ok(ended) if ended.success => None,
        Ok(ended) => Some(words(&ended.how, &ended.output)),
        Err(error) => Some(error.to_string()),
    }
}

/// How a hook ended, with its last words.
pub(super) fn words(how: &str, output: &str) -> String {
    match output.trim() {
        "" => how.to_owned(),
        output => format!("{how}: {output}"),
    }
}

/// Notes the served map as confirmed, newest first; the same map again replaces the newest note.
pub(super) fn confirm(fs: &mut impl HostFs, stamp: &Stamp, expect: &Expect, note: &ConfirmNote) -> Result<(), Stop> {
    let _lock = fs.lock()?;
    guard::admit(fs, stamp, expect)?;
    let served = state::load_map(fs)?.ok_or_else(|| Refusal::Failed("no version map is served".to_owned()))?;
    let map = VersionMap::from_php(&served.0).map_err(|why| Refusal::Failed(why.to_string()))?;
    guard::raise_with_next(fs, stamp)?;
    let mut confirmed = state::load_confirmed(fs)?;
    if confirmed.first().is_some_and(|newest| newest.map == map) {
        confirmed.remove(0);
    }
    confirmed.insert(0, Confirmed { map, note: note.clone() });
    confirmed.truncate(CONFIRMED_MAX);
    Ok(state::store(fs, &state::confirmed_place(), &confirmed)?)
}
