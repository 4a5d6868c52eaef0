//! Checks of all stages together: names, what follows what, and the order of groups.

use super::Read;
use super::spec::{Moves, Stage, Verb};
use crate::config::diagnostic::{Sink, did_you_mean};
use crate::config::policy::Policy;
use crate::model::names::{Group, Version};
use std::collections::BTreeSet;

/// The stages with what follows each; every mistake is noted.
pub fn check(read: Vec<Read>, policy: &Policy, sink: &mut Sink) -> Vec<Stage> {
    let names: Vec<String> = read.iter().map(|read| read.stage.name.clone()).collect();
    for (at, one) in read.iter().enumerate().filter(|(at, one)| names[..*at].contains(&one.stage.name)) {
        sink.add(one.place, format!("the stage `{}` stands twice; {} came before", one.stage.name, at));
    }
    let mut nexts = Vec::new();
    for (at, one) in read.iter().enumerate() {
        nexts.push(next(at, one, &names, sink));
    }
    reachable(&read, &nexts, sink);
    groups_in_order(&read, &nexts, policy, sink);
    let with_next = read.into_iter().zip(nexts);
    with_next.map(|(read, next)| Stage { next, ..read.stage }).collect()
}

fn next(at: usize, read: &Read, names: &[String], sink: &mut Sink) -> Option<usize> {
    let following = Some(at + 1).filter(|next| *next < names.len());
    let Some((place, name)) = &read.next else { return following };
    if name == "end" {
        return None;
    }
    match names.iter().position(|known| known == name) {
        Some(found) if found <= at => {
            let message = format!("`{name}` leads back to where it came from: a cycle");
            sink.hint(*place, message, Some("`next` names a later stage, or `end`".to_owned()));
            following
        }
        Some(found) => Some(found),
        None => {
            let hint = did_you_mean(name, names.iter().map(String::as_str).chain(["end"]));
            sink.hint(*place, format!("there is no stage `{name}`"), hint);
            following
        }
    }
}

/// The stages from the first one on, in the order in which they are carried out.
fn path(nexts: &[Option<usize>]) -> BTreeSet<usize> {
    let mut path = BTreeSet::new();
    let mut at = Some(0).filter(|_| !nexts.is_empty());
    while let Some(stage) = at {
        path.insert(stage);
        at = nexts[stage];
    }
    path
}

fn reachable(read: &[Read], nexts: &[Option<usize>], sink: &mut Sink) {
    let path = path(nexts);
    for (_, one) in read.iter().enumerate().filter(|(at, _)| !path.contains(at)) {
        let hint = "a `next` before it jumps over it".to_owned();
        sink.hint(one.place, format!("the stage `{}` is never reached", one.stage.name), Some(hint));
    }
}

/// A group goes after the one before it, in the same playbook and to the same version, unless the stage says why not;
/// and a soak has a promotion to watch.
fn groups_in_order(read: &[Read], nexts: &[Option<usize>], policy: &Policy, sink: &mut Sink) {
    let mut promoted: Vec<(&Group, &Version)> = Vec::new();
    for at in path(nexts) {
        let one = &read[at];
        match &one.stage.verb {
            Verb::Commands(commands) => {
                let Moves::Promote(group, version) = &commands.moves else { continue };
                let place = policy.groups.iter().position(|known| known.name == *group).unwrap_or(0);
                let before = place.checked_sub(1).map(|before| &policy.groups[before].name);
                let missing = before.filter(|before| !promoted.contains(&(before, version)));
                if let Some(before) = missing.filter(|_| one.out_of_order.is_none()) {
                    let hint = format!("promote {before} first, or write `out_of_order: WHY` in this promote");
                    sink.hint(one.place, format!("{group} is promoted before {before}"), Some(hint));
                }
                promoted.push((group, version));
            }
            Verb::Soak(_) if promoted.is_empty() => {
                let hint = "a soak watches a promotion; `gate` asks gates at any time".to_owned();
                sink.hint(one.place, "nothing was promoted before this soak", Some(hint));
            }
            _ => {}
        }
    }
}
