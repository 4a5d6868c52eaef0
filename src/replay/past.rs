//! What was before a chapter: the start, and what people did, with nothing in their way.
//!
//! Invariant: the same core carries it out, without gates, so that the books know it as if pointsman had been there to
//! write it down.

use super::engine::{BY, Engine, ReplayError, Wanted};
use super::words::history;
use crate::config::incident::spec::{Event, HostEvent, Incident, What};
use crate::config::policy::Policy;
use crate::model::books::Record;
use crate::model::map::VersionMap;
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::time::Time;
use crate::plan::back::{self, Scope};
use crate::plan::content;
use crate::plan::forward;
use crate::plan::goal::{Extent, Site};
use std::collections::{BTreeMap, BTreeSet};

/// Every version that is served, pinned or moved to.
pub fn versions(incident: &Incident) -> BTreeSet<Version> {
    let mut versions: BTreeSet<Version> = incident.map.values().cloned().collect();
    versions.insert(incident.version.clone());
    versions.extend(incident.site.pins.wikis.values().map(|pin| pin.version.clone()));
    versions.extend(incident.events.iter().filter_map(|event| match &event.what {
        What::Promote(_, version) | What::Rollback(_, version) => Some(version.clone()),
        _ => None,
    }));
    versions.extend(incident.events.iter().flat_map(|event| match &event.what {
        What::Host(_, HostEvent::Reinstalled { lacks }) => lacks.clone(),
        _ => BTreeSet::new(),
    }));
    versions
}

/// Every host holds every version and serves the map of the start.
pub fn found(engine: &mut Engine<'_>, incident: &Incident, policy: &Policy) -> Result<(), ReplayError> {
    let pinned = |wiki: &Wiki| incident.site.pins.wikis.get(wiki).map(|pin| pin.version.clone());
    let wikis = policy.groups.iter().flat_map(|group| group.wikis.iter().map(move |wiki| (wiki, &group.name)));
    let version = |(wiki, group): (&Wiki, &Group)| {
        let version = pinned(wiki).or_else(|| incident.map.get(group).cloned())?;
        Some((wiki.clone(), version))
    };
    let map = VersionMap(wikis.filter_map(version).collect());
    let content = engine.fleet.contents.first();
    let goal = |site: Site<'_>| content::sync(site, &content, Some(&map), false, "the start");
    carry(engine, policy, "the start", &goal)
}

/// The hosts that need a past of their own: one to which nothing happens, and those to which something does.
pub fn few(incident: &Incident) -> (Option<HostName>, BTreeSet<HostName>) {
    let happens = |event: &Event| match &event.what {
        What::Host(host, _) | What::Repair(host) => Some(host.clone()),
        _ => None,
    };
    let mut few: BTreeSet<HostName> = incident.events.iter().filter_map(happens).collect();
    let serving = incident.site.hosts.iter().filter(|(_, host)| host.serves());
    let first = serving.map(|(name, _)| name).find(|name| !few.contains(*name)).cloned();
    few.extend(first.clone());
    (first, few)
}

/// All other hosts join: they had the past of the first one, and are copies of it. That spares proving hundreds of hosts again
/// and again for moves in which nothing could differ.
pub fn muster(engine: &mut Engine<'_>, incident: &Incident, policy: &Policy) -> Result<(), ReplayError> {
    let (first, few) = few(incident);
    let serving = policy.hosts.iter().filter(|(_, host)| host.serves()).map(|(name, _)| name.clone());
    let others: BTreeSet<HostName> = serving.filter(|name| !few.contains(name)).collect();
    if let (Some(host), false) = (first, others.is_empty()) {
        engine.fleet.image(&host, &others).map_err(|error| ReplayError::Host { host, error })?;
        let goal = |site: Site<'_>| content::converge(site, Extent::Wanted, "the start");
        let outcome = engine.act(policy, "the start", Some(&others), &goal)?;
        outcome.map_err(|blocked| ReplayError::AsItWas { what: "the start".to_owned(), blocked })?;
    }
    Ok(())
}

/// What people did before the chapter, with nothing in their way.
pub fn as_it_was(
    engine: &mut Engine<'_>,
    incident: &Incident,
    policy: &Policy,
    event: &Event,
) -> Result<(), ReplayError> {
    let freed: Vec<Record> = engine.store.books().hold.iter().map(|_| Record::Released { by: BY.to_owned() }).collect();
    match &event.what {
        What::Promote(group, version) => {
            engine.write("as it was", &freed)?;
            let goal = |site: Site<'_>| forward::promote(site, group, version, &event.text, Some("as it was"));
            carry(engine, policy, &history(event), &goal)
        }
        What::Rollback(group, version) => {
            let last = policy.groups.last().map(|group| group.name.clone());
            let scope = group.clone().map_or(Scope::Last, Scope::Group);
            match group.clone().or(last) {
                Some(group) if *version == incident.version => {
                    engine.write("as it was", &freed)?;
                    let goal = |site: Site<'_>| forward::promote(site, &group, version, "", Some("as it was"));
                    carry(engine, policy, &history(event), &goal)
                }
                _ => carry(engine, policy, &history(event), &|site| back::rollback(site, &scope, &event.text)),
            }
        }
        What::Repair(host) => {
            let only: BTreeSet<HostName> = [host.clone()].into();
            let goal = |site: Site<'_>| content::converge(site, Extent::Served, "as it was");
            let outcome = engine.act(policy, "as it was", Some(&only), &goal)?;
            outcome.map(drop).map_err(|blocked| ReplayError::AsItWas { what: history(event), blocked })
        }
        What::LostPins(_) | What::Host(..) | What::Note => Ok(()),
    }
}

fn carry(engine: &mut Engine<'_>, policy: &Policy, what: &str, goal: Wanted<'_>) -> Result<(), ReplayError> {
    let outcome = engine.act(policy, what, None, goal)?;
    outcome.map(drop).map_err(|blocked| ReplayError::AsItWas { what: what.to_owned(), blocked })
}

/// For how long a group was wanted at the incident's version in history between two moments, ms.
pub fn history_ms(incident: &Incident, group: &Group, from: Time, to: Time) -> u64 {
    let mut at: BTreeMap<&Group, &Version> = incident.map.iter().collect();
    let (mut all, mut since) = (0, incident.from);
    let mut counted = |bad: bool, until: Time| {
        let ms = until.min(to).ms_since(since.max(from));
        all += if bad { ms } else { 0 };
        since = until;
    };
    for event in &incident.events {
        let (groups, version): (Vec<&Group>, &Version) = match &event.what {
            What::Promote(group, version) => (vec![group], version),
            What::Rollback(Some(group), version) => (vec![group], version),
            What::Rollback(None, version) => (incident.map.keys().collect(), version),
            _ => continue,
        };
        counted(at.get(group) == Some(&&incident.version), event.at);
        at.extend(groups.into_iter().map(|group| (group, version)));
    }
    counted(at.get(group) == Some(&&incident.version), to);
    all
}
