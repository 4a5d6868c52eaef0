//! The site of a recording: names, and what decides.

use super::Source;
use crate::config::incident::recorded;
use crate::config::policy::{Policy, Role};
use crate::config::raw::ROLES;
use crate::model::books::{Rollout, Snapshot};
use crate::model::names::{Group, Version, Wiki};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version that most wikis of each group run; a group of which the state has no wiki is left out.
pub fn most(policy: &Policy, state: &Snapshot) -> BTreeMap<Group, Version> {
    let of = |wikis: &std::collections::BTreeSet<Wiki>| {
        let mut counts: BTreeMap<&Version, usize> = BTreeMap::new();
        wikis
            .iter()
            .filter_map(|wiki| state.map.0.get(wiki))
            .for_each(|version| *counts.entry(version).or_default() += 1);
        counts.into_iter().max_by_key(|(_, wikis)| *wikis).map(|(version, _)| version.clone())
    };
    policy.groups.iter().filter_map(|group| Some((group.name.clone(), of(&group.wikis)?))).collect()
}

/// `group1`, `group0, group1`, `all groups`.
pub fn groups(rollout: &Rollout) -> String {
    let names: Vec<&str> = rollout.groups.iter().map(Group::as_str).collect();
    if names.is_empty() { "all groups".to_owned() } else { names.join(", ") }
}

/// The key `site` with everything below it.
pub fn text(source: Source<'_>) -> String {
    let Policy { groups, hosts, configuration, artefacts, soak, limits, .. } = source.policy;
    let (gates, left_out) = recorded::gates(source.groups_yaml);
    let deploy = json!({"root": "/recorded/root", "state": "/recorded/state", "staging": "staging", "books": "books"});
    let wikis: Vec<&Wiki> = groups.iter().flat_map(|group| &group.wikis).collect();
    let configuration: Vec<String> = configuration.iter().map(ToString::to_string).collect();
    let mut out = String::from("site:\n");
    let mut line = |key: &str, value: Value| out += &format!("  {key}: {value}\n");
    line("deploy", deploy);
    line("configuration", json!(configuration));
    line("wikis", json!(wikis));
    line("groups", groups.iter().map(|group| json!({"name": group.name, "wikis": group.wikis})).collect());
    line(
        "hosts",
        hosts
            .iter()
            .map(|(name, host)| {
                let roles: Vec<&str> = host.roles.iter().filter_map(|role| role_name(*role)).collect();
                json!({"name": name, "roles": roles, "datacenter": host.datacenter})
            })
            .collect(),
    );
    line("pins", pins(source));
    if !artefacts.is_empty() {
        line("hooks", json!({"build": ["build"]}));
        line(
            "artefacts",
            artefacts.iter().map(|a| json!({"path": a.path, "files": a.files, "inputs": a.inputs})).collect(),
        );
    }
    let ms = |ms: u64| format!("{ms}ms");
    let (wave, group, max, watch) = (ms(soak.wave_ms), ms(soak.group_ms), ms(soak.max_ms), ms(soak.watch_ms));
    line("soak", json!({"wave": wave, "group": group, "max": max, "watch": watch}));
    line("limits", json!({"stale_hosts_max": limits.stale_hosts_max}));
    if !gates.is_empty() {
        out += "  gates:\n";
        gates.iter().for_each(|gate| out += &format!("    - {gate}\n"));
    }
    if !left_out.is_empty() {
        out += &format!("# A replay can't ask these gates: {}\n", left_out.join(", "));
    }
    out
}

fn role_name(role: Role) -> Option<&'static str> {
    ROLES.iter().find(|(_, known)| *known == role).map(|(name, _)| *name)
}

/// Pins as they were, and every wiki that was not where most of its group was.
fn pins(source: Source<'_>) -> Value {
    let (before, most) = (source.start, most(source.policy, source.start));
    let pin = |key: &str, name: &str, version: &Version| json!({key: name, "version": version, "reason": "recorded", "owner": "recorded"});
    let elsewhere = source.policy.groups.iter().flat_map(|group| {
        let usual = most.get(&group.name);
        let runs = group.wikis.iter().filter_map(|wiki| Some((wiki, before.map.0.get(wiki)?)));
        runs.filter(move |(_, version)| Some(*version) != usual)
    });
    let pinned = before.pins.wikis.iter().map(|(wiki, pin)| (wiki, &pin.version));
    let wikis: BTreeMap<&Wiki, &Version> = elsewhere.chain(pinned).collect();
    let hosts = before.pins.hosts.iter().map(|(host, held)| pin("host", host.as_str(), &held.version));
    wikis.into_iter().map(|(wiki, version)| pin("wiki", wiki.as_str(), version)).chain(hosts).collect()
}
