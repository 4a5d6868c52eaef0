//! The story of a seed: undertakings under faults, then peace and one converge.

use super::engine::{BY, Engine};
use super::site;
use crate::model::books::{PinSource, Record};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::names::{Group, HostName, Version};
use crate::model::time::Time;
use crate::plan::back::{Scope, rollback};
use crate::plan::content;
use crate::plan::forward::{self, Subject};
use crate::plan::goal::{Extent, Site};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// The longest pause between two undertakings, ms.
const PAUSE_MS_MAX: u64 = 600_000;

/// The weathers of an undertaking. In the first a promotion of many hosts mostly succeeds, so that there is something to
/// take back; in the second hosts often fail when others were switched already; in the last, which is as likely as the
/// others together, it hardly ever succeeds.
const WEATHER_PERCENT: [u32; 4] = [10, 50, 200, 200];

/// Three to seven undertakings at random.
pub fn troubles(engine: &mut Engine<'_>) {
    for _ in 0..engine.random.between(3, 7) {
        let pause = engine.random.between(1, PAUSE_MS_MAX);
        engine.pass(pause);
        engine.weather = *engine.random.pick(&WEATHER_PERCENT);
        let unfinished = engine.store.books().open().next().is_some();
        let choice = if unfinished { engine.random.between(0, 4) } else { engine.random.between(0, 19) };
        match choice {
            0..=1 => go_back(engine),
            2..=4 => converge(engine),
            5..=8 => promote_any(engine),
            9..=11 => train(engine),
            12..=13 => pin(engine),
            14 => unpin(engine),
            15 => sync(engine),
            16..=17 => sync_all(engine),
            18 => clean_up(engine),
            _ => week(engine),
        }
        engine.run();
    }
}

/// Everybody lives, clones are made machines of their own, nothing fails, and one converge.
pub fn peace(engine: &mut Engine<'_>) {
    engine.faults = None;
    let now = engine.now;
    let mut machines = BTreeSet::new();
    for host in engine.fleet.values_mut() {
        host.dead_until = host.dead_until.min(now);
        host.fs.capacity_bytes = None;
        if !machines.insert(host.fs.machine_id.clone()) {
            host.fs.machine_id = format!("{:032x}", engine.random.any());
        }
    }
    engine.pass(1);
    engine.oracle.peace(engine.store.books());
    engine.begin("last converge", &|site| content::converge(site, Extent::Wanted, "the end"));
    engine.run();
    // What nobody needs goes, and nothing else: every host still is as wanted, and a rollback has to bring nothing.
    clean_up(engine);
    engine.run();
    engine.oracle.end(engine.store.books(), &engine.fleet, engine.contents);
    engine.oracle.all_in_place();
    go_back(engine);
    engine.run();
}

/// The first sync of an empty fleet.
pub fn found(engine: &mut Engine<'_>) {
    let (content, map) = (engine.contents.first(), site::first_map(engine.policy));
    engine.begin("first sync", &|site| content::sync(site, &content, Some(&map), false, "the first"));
    engine.run();
}

fn go_back(engine: &mut Engine<'_>) {
    if let Some(blocked) = engine.begin("rollback", &|site| rollback(site, &Scope::Last, "worse")) {
        engine.oracle.no_way_back(&blocked.to_string());
    }
}

fn clean_up(engine: &mut Engine<'_>) {
    engine.begin("gc", &|site| content::collect(site, "room"));
}

fn converge(engine: &mut Engine<'_>) {
    let extent = if engine.random.chance(7_000) { Extent::Wanted } else { Extent::Served };
    engine.begin("converge", &|site| content::converge(site, extent, "repair"));
}

/// Hosts are put back into service and the hold is let go, as a person does before going forward; now and then one is
/// taken out of service.
fn release(engine: &mut Engine<'_>) {
    let now = Time(engine.now);
    let books = engine.store.books();
    let by = || BY.to_owned();
    let mut records: Vec<Record> = books.hold.iter().map(|_| Record::Released { by: by() }).collect();
    let well = books.hosts.iter().filter(|(_, row)| row.depooled.is_some() && row.stale.is_none());
    records.extend(well.map(|(host, _)| Record::Pooled { host: host.clone(), by: by() }));
    if engine.random.chance(1_000) {
        let (host, reason) = (any_host(engine), "a new disk".to_owned());
        records.push(Record::Depooled { host, by: by(), reason });
    }
    let claim = engine.store.take_lock(now, BY, "release", true).expect("the lock can always be taken over");
    engine.oracle.claimed(claim.epoch);
    engine.store.append(now, claim.epoch, &records).expect("the lock is held");
    engine.store.release_lock(now, claim.epoch).expect("the lock is held");
}

fn promote_any(engine: &mut Engine<'_>) {
    let group = engine.random.pick(&engine.policy.groups).name.clone();
    let version = site::wmf(engine.random.between(11, 12));
    promote(engine, &group, &version);
}

/// One version for every group, one after the other as long as nothing stays unfinished.
fn train(engine: &mut Engine<'_>) {
    let version = site::wmf(engine.random.between(11, 12));
    for group in &engine.policy.groups {
        promote(engine, &group.name, &version);
        engine.run();
        if engine.store.books().open().next().is_some() {
            return;
        }
    }
}

/// A week as it goes: a train, staging without the versions that nobody serves any more, a host that is pinned for a
/// look and let go, and room is made. What a rollback needs must outlive all of it.
fn week(engine: &mut Engine<'_>) {
    train(engine);
    let served = engine.store.books().wanted().map(|wanted| wanted.map.clone()).unwrap_or_default();
    let is_served = |component: &Component| served.0.values().any(|v| *component == Component::Version(v.clone()));
    let held = |component: &Component| matches!(component, Component::Config(_)) || is_served(component);
    let newest = |(component, ids): (&Component, &Vec<Digest>)| (component.clone(), ids[ids.len() - 1]);
    let content: BTreeMap<Component, Digest> =
        engine.contents.variants.iter().filter(|(component, _)| held(component)).map(newest).collect();
    engine.begin("sync all", &|site| content::sync(site, &content, None, true, "what staging holds"));
    engine.run();
    pin(engine);
    engine.run();
    unpin(engine);
    engine.run();
    clean_up(engine);
}

fn promote(engine: &mut Engine<'_>, group: &Group, version: &Version) {
    release(engine);
    let goal = |site: Site<'_>| forward::promote(site, group, version, "train", Some("fixed"));
    engine.begin(&format!("promote {group} to {version}"), &goal);
}

fn pin(engine: &mut Engine<'_>) {
    release(engine);
    let host = any_host(engine);
    let n = engine.random.between(9, 12);
    let goal = |site: Site<'_>| forward::pin(site, &Subject::Host(host.clone()), self::site::pin(n, PinSource::Books));
    engine.begin(&format!("pin {host} to .{n}"), &goal);
}

fn unpin(engine: &mut Engine<'_>) {
    release(engine);
    let wanted = engine.store.books().wanted();
    let Some(host) = wanted.and_then(|wanted| wanted.pins.hosts.keys().next().cloned()) else {
        return promote_any(engine);
    };
    engine.begin("unpin", &|site| forward::unpin(site, &Subject::Host(host.clone()), "debugged"));
}

fn sync(engine: &mut Engine<'_>) {
    let components: Vec<_> = engine.contents.variants.iter().collect();
    let (component, ids) = *engine.random.pick(&components);
    let content = [(component.clone(), *engine.random.pick(ids))].into();
    engine.begin(&format!("sync {component}"), &|site| content::sync(site, &content, None, false, "hot fix"));
}

/// All that staging holds, which may lack a version.
fn sync_all(engine: &mut Engine<'_>) {
    let mut content = BTreeMap::new();
    for (component, ids) in &engine.contents.variants {
        let lacks = matches!(component, Component::Version(_)) && engine.random.chance(5_000);
        let id = *engine.random.pick(&ids.iter().collect::<Vec<_>>());
        if !lacks {
            content.insert(component.clone(), *id);
        }
    }
    engine.begin("sync all", &|site| content::sync(site, &content, None, true, "what staging holds"));
}

fn any_host(engine: &mut Engine<'_>) -> HostName {
    let hosts: Vec<HostName> = engine.policy.hosts.keys().cloned().collect();
    engine.random.pick(&hosts).clone()
}
