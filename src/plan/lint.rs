//! A second look at every plan before it runs, written without the planner's own functions.
//!
//! Invariant: it only says what is wrong with a plan; it never mends one.

use super::goal::Mode;
use super::hosts::Plan;
use crate::config::policy::Policy;
use crate::model::books::{Books, Kind};
use crate::model::component::Component;
use crate::model::map::VersionMap;
use crate::model::names::Wiki;
use std::collections::BTreeSet;

/// Everything that is wrong with `plan`; empty: it may run.
pub fn lint(policy: &Policy, books: &Books, plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(every_wiki_once(policy, plan));
    wrong.extend(hosts_in_one_wave(plan));
    wrong.extend(hosts_hold_what_they_serve(plan));
    wrong.extend(pins_hold(plan));
    wrong.extend(only_named_groups_move(policy, books, plan));
    wrong.extend(forward_has_a_way_back(books, plan));
    wrong
}

fn every_wiki_once(policy: &Policy, plan: &Plan) -> Option<String> {
    let known: BTreeSet<&Wiki> = policy.groups.iter().flat_map(|g| &g.wikis).collect();
    let lost = known.iter().find(|wiki| !plan.goal.snapshot.map.0.contains_key(*wiki))?;
    Some(format!("{lost} would have no version"))
}

fn hosts_in_one_wave(plan: &Plan) -> Option<String> {
    let mut seen = BTreeSet::new();
    let twice = plan.waves.iter().flatten().find(|host| !seen.insert(*host));
    if let Some(host) = twice {
        return Some(format!("{host} stands in two waves"));
    }
    let lost = plan.hosts.keys().find(|host| !seen.contains(host))?;
    Some(format!("{lost} stands in no wave"))
}

fn hosts_hold_what_they_serve(plan: &Plan) -> Vec<String> {
    let mut wrong = Vec::new();
    for (host, part) in &plan.hosts {
        let map = match plan.goal.snapshot.pins.hosts.get(host) {
            Some(pin) => {
                VersionMap(plan.goal.snapshot.map.0.keys().map(|w| (w.clone(), pin.version.clone())).collect())
            }
            None => plan.goal.snapshot.map.clone(),
        };
        if map.digest() != part.map {
            wrong.push(format!("{host} would serve another map than the snapshot's"));
        }
        for version in map.counts().into_keys() {
            let tree = Component::Version(version);
            if !part.needs.iter().any(|want| want.component == tree) {
                wrong.push(format!("{host} would serve {tree} without a proof of it"));
            }
        }
        let other = part.needs.iter().find(|want| plan.goal.snapshot.wanted.get(&want.component) != Some(&want.id));
        wrong.extend(other.map(|want| format!("{host} would be proven for {} at an id nobody wants", want.component)));
    }
    wrong
}

fn pins_hold(plan: &Plan) -> Option<String> {
    let snapshot = &plan.goal.snapshot;
    let broken = snapshot.pins.wikis.iter().find(|(wiki, pin)| {
        snapshot.map.0.get(*wiki).is_some_and(|version| *version != pin.version) && plan.goal.mode == Mode::Barrier
    });
    broken.map(|(wiki, pin)| format!("{wiki} is pinned on {} and would move", pin.version))
}

fn only_named_groups_move(policy: &Policy, books: &Books, plan: &Plan) -> Option<String> {
    let goal = &plan.goal;
    if goal.rollout.kind != Kind::Promote {
        return None;
    }
    let before = &books.wanted()?.map;
    let named =
        |wiki: &Wiki| policy.groups.iter().any(|g| goal.rollout.groups.contains(&g.name) && g.wikis.contains(wiki));
    let (pins, map) = (&goal.snapshot.pins.wikis, &goal.snapshot.map.0);
    let changed = |wiki: &Wiki, now| before.0.get(wiki).is_some_and(|old| old != now);
    let moved = map.iter().find(|(wiki, v)| changed(wiki, *v) && !named(wiki) && !pins.contains_key(*wiki));
    moved.map(|(wiki, _)| format!("{wiki} is in no group of this promotion and would move"))
}

fn forward_has_a_way_back(books: &Books, plan: &Plan) -> Option<String> {
    if plan.goal.mode == Mode::Each {
        return None;
    }
    let before = &books.wanted()?.map;
    for (host, part) in &plan.hosts {
        if plan.goal.snapshot.pins.hosts.contains_key(host) {
            continue;
        }
        for version in before.counts().into_keys().map(Component::Version) {
            if !part.prove().iter().any(|want| want.component == version) {
                return Some(format!(
                    "{host} would go forward without a proof of {version}, which it would go back to"
                ));
            }
        }
    }
    None
}
