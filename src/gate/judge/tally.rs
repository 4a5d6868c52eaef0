//! A measurement as events by host, for attribution.

use super::counts::of;
use super::signatures::{counts, failing};
use crate::gate::attribution::SURE;
use crate::gate::reading::{Reading, Shown, What};
use crate::gate::scope::Scope;
use crate::gate::spec::{Gate, Kind, hosts::Command};
use crate::model::names::{HostName, Wiki};
use crate::model::verdict::{Count, HostCounts};
use std::collections::{BTreeMap, BTreeSet};

/// Switched hosts, the others, and the switched hosts' events by wiki.
pub type Tallies = (HostCounts, HostCounts, BTreeMap<Wiki, Count>);

/// Events by host, as far as the gate's kind has them; `None`: it has none. A check that does not depend on chance is
/// [`SURE`] events of as many on a host that fails it; a host that could not be asked is left out.
pub fn tallies(gate: &Gate, scope: &Scope, reading: &Reading) -> Option<Tallies> {
    let scope = scope.only(gate.hosts.as_ref());
    match (&gate.kind, &reading.what) {
        (Kind::Counts(_), What::Counts(tally)) => {
            Some((of(&tally.hosts, &scope.rolled), of(&tally.hosts, &scope.control), tally.wikis.clone()))
        }
        (Kind::Signatures(kind), What::Signatures(seen)) => {
            // Attribution has no clock; what was acknowledged when the switch began is not what fails.
            let failing = failing(kind, &scope, seen, scope.since);
            let all = |hosts: &BTreeSet<HostName>| {
                failing.iter().map(|seen| counts(seen, hosts)).reduce(joined).unwrap_or_default()
            };
            Some((all(&scope.rolled), all(&scope.control), BTreeMap::new()))
        }
        (Kind::Probe(_), What::Probed(shown)) => checks(
            &scope,
            shown.iter().map(|(host, shown)| {
                (
                    host,
                    match shown {
                        Shown::Good => Some(false),
                        Shown::Bad(_) => Some(true),
                        Shown::Unreachable(_) => None,
                    },
                )
            }),
        ),
        (Kind::Command(command), What::Plugins(said)) if command.on_hosts => {
            let known = said.iter().filter_map(|(host, said)| Some((host.as_ref()?, plugin(command, said.code))));
            checks(&scope, known)
        }
        (Kind::Host(kind), What::Facts(facts)) => {
            let bad = |values: &Vec<Option<f64>>| {
                let mut pairs = kind.conditions.iter().zip(values);
                pairs.any(|((_, c), value)| value.is_some_and(|value| !c.holds(value)))
            };
            checks(&scope, facts.iter().map(|(host, facts)| (host, facts.as_ref().ok().map(bad))))
        }
        (Kind::Served(_), What::Served(said)) => served(
            &scope,
            said.iter().map(|(host, wikis)| {
                let wrong = |(wiki, said): (&Wiki, &Result<_, String>)| {
                    let wanted = scope.wikis.get(wiki).map(|(_, version)| version);
                    said.as_ref().is_ok_and(|version| wanted.is_some_and(|wanted| wanted != version))
                };
                (host, Some(wikis.iter().any(wrong)))
            }),
        ),
        _ => None,
    }
}

fn plugin(command: &Command, code: Option<i32>) -> Option<bool> {
    match code {
        Some(0) => Some(false),
        Some(1) => Some(command.warning_fails),
        Some(2) => Some(true),
        _ => None,
    }
}

fn checks<'a>(scope: &Scope, known: impl Iterator<Item = (&'a HostName, Option<bool>)>) -> Option<Tallies> {
    let count = |bad: bool| Count { events: if bad { SURE } else { 0 }, exposure: SURE };
    let all: HostCounts = known.filter_map(|(host, bad)| Some((host.clone(), count(bad?)))).collect();
    Some((of(&all, &scope.rolled), of(&all, &scope.control), BTreeMap::new()))
}

/// Hosts that were not switched rightly serve something else: they are all fine.
fn served<'a>(scope: &Scope, known: impl Iterator<Item = (&'a HostName, Option<bool>)>) -> Option<Tallies> {
    checks(scope, known.map(|(host, bad)| (host, if scope.control.contains(host) { Some(false) } else { bad })))
}

fn joined(mut one: HostCounts, other: HostCounts) -> HostCounts {
    for (host, count) in other {
        let sum = one.entry(host).or_default();
        sum.events = sum.events.saturating_add(count.events);
        sum.exposure = sum.exposure.max(count.exposure);
    }
    one
}

#[cfg(test)]
mod tests;
