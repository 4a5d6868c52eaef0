//! The calls that a drill interferes with, each under a name that is the same every night.
//!
//! Agents that do the same on other hosts are not tried thrice. That they do the same is found by comparing what was
//! recorded: agents are alike when they have at least [`ALIKE_PERCENT`] of their calls in common, that is with the same
//! files, the same outcome and as the so-manieth of their kind. Such a call is one point, at one of the agents that made it;
//! the name says which. All other calls are points of their own.

use crate::amount::number;
use crate::stand::{Stand, Who};
use crate::trace::{self, Call};
use std::collections::{BTreeMap, BTreeSet};

/// How many calls of a hundred agents must have in common to be taken for alike.
const ALIKE_PERCENT: usize = 95;

/// A call of a process.
#[derive(Clone)]
pub struct Point {
    pub who: Who,
    pub call: Call,
    /// Where it lies: before the first intent, after the last reply, or between them.
    pub place: &'static str,
}

/// The calls of the controller, each with its name.
pub fn of_controller(stand: &Stand) -> Vec<(String, Point)> {
    let calls = &stand.recorded[0].1;
    let within = trace::between_intent_and_reply(calls, trace::Books::File);
    let first = calls.iter().position(|call| *call == within[0]).expect("it is a part of them");
    let place = |n| match n {
        n if n < first => "before the first intent",
        n if n < first + within.len() => "between first intent and last reply",
        _ => "after the last reply",
    };
    let named = names(stand, calls).into_iter().zip(calls).enumerate();
    let point = |call: &Call, n| Point { who: Who::Controller, call: call.clone(), place: place(n) };
    named.map(|(n, (name, call))| (format!("controller {name}"), point(call, n))).collect()
}

/// The calls of agents, each with its name.
pub fn of_agents(stand: &Stand) -> Vec<(String, Point)> {
    let agents = stand.recorded[1..].iter().map(|(who, calls)| (*who, names(stand, calls), calls));
    let mut groups: Vec<Vec<(Who, Vec<String>, &Vec<Call>)>> = Vec::new();
    for agent in agents {
        match groups.iter_mut().find(|group| are_alike(&group[0].1, &agent.1)) {
            Some(group) => group.push(agent),
            None => groups.push(vec![agent]),
        }
    }
    groups.iter().enumerate().flat_map(|(n, group)| merged(n + 1, group)).collect()
}

fn are_alike(a: &[String], b: &[String]) -> bool {
    let [a, b] = [a, b].map(|names| names.iter().collect::<BTreeSet<_>>());
    a.intersection(&b).count() * 100 >= ALIKE_PERCENT * a.len().max(b.len())
}

/// The calls of agents that are alike, in order of the first that makes each.
fn merged(group: usize, agents: &[(Who, Vec<String>, &Vec<Call>)]) -> Vec<(String, Point)> {
    let mut found: BTreeMap<&String, Vec<(Who, &Call)>> = BTreeMap::new();
    let mut order = Vec::new();
    for (who, names, calls) in agents {
        for (name, call) in names.iter().zip(*calls) {
            let made = found.entry(name).or_default();
            if made.is_empty() {
                order.push(name);
            }
            made.push((*who, call));
        }
    }
    let point = |name: &String| {
        let made = &found[name];
        let (who, call) = made[number(name) as usize % made.len()];
        (format!("agents {group} {name}"), Point { who, call: call.clone(), place: "of agents" })
    };
    order.into_iter().map(point).collect()
}

/// The name of each call: what it does, to which files, with which outcome, and which of that kind it is.
fn names(stand: &Stand, calls: &[Call]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut named = Vec::new();
    for call in calls {
        let kind = kind(stand, call);
        let nth = counts.entry(kind.clone()).or_default();
        *nth += 1;
        named.push(format!("{kind} {nth}"));
    }
    named
}

/// What a call does, without what differs from host to host and from run to run.
fn kind(stand: &Stand, call: &Call) -> String {
    let moves_bytes = ["read", "write", "pread64", "pwrite64", "getrandom"].contains(&call.name.as_str());
    let about = if moves_bytes { call.rest.split(',').next().unwrap_or_default() } else { &call.rest };
    let host = |part: &&str| !stand.site.hosts().iter().any(|host| host == part);
    let part = |part: &str| match part {
        temporary if temporary.starts_with(".tmp") => String::new(),
        digest if digest.len() >= 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => "#".to_owned(),
        _ => part.replace(|c: char| c.is_ascii_digit(), ""),
    };
    let path = |path: &str| path.split('/').filter(host).map(part).collect::<Vec<_>>().join("/");
    let paths = about.split(['<', '>', '"']).filter(|words| words.contains('/')).map(path);
    let failed = call.rest.split_once(" = -1 ").and_then(|(_, error)| error.split(' ').next());
    let words = [call.name.clone()].into_iter().chain(paths).chain(failed.map(str::to_owned));
    words.collect::<Vec<_>>().join(" ")
}
