//! Checks of hosts that do not depend on chance: probes, served versions, contracts, plugins and facts of machines.
//!
//! Invariant: a host in scope of which nothing is known keeps the gate from passing.

use super::{Found, brief, gravest, judged, shown};
use crate::gate::reading::Shown;
use crate::gate::scope::Scope;
use crate::gate::spec::hosts::{Command, Fact, Host};
use crate::gate::spec::probe::{Contract, Served};
use crate::model::names::{HostName, Version, Wiki};
use crate::model::question::PluginSaid;
use crate::model::verdict::{Against, Verdict};
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};

/// One host's part.
type Part = (Verdict, String);

/// Puts parts together: the gravest decides, and the first of those is named.
fn together(parts: Vec<(String, Part)>, fine: &str, what: &str) -> Found {
    let Some(verdict) = gravest(parts.iter().map(|(_, (verdict, _))| *verdict)) else {
        return Found::new(Verdict::Inconclusive, format!("no host was there to be asked for {what}"));
    };
    let alike: Vec<&(String, Part)> = parts.iter().filter(|(_, (other, _))| *other == verdict).collect();
    let n = parts.len() as u64;
    let says = match (verdict, alike.as_slice()) {
        (Verdict::Pass, _) => format!("{} {fine}", count(parts.len(), "host")),
        (_, [(host, (_, why)), rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!("; {} more like it", rest.len()) };
            format!("{host}: {why} ({} of {}{more})", alike.len(), count(parts.len(), "host"))
        }
        (_, []) => String::new(),
    };
    let value = (verdict != Verdict::Inconclusive).then_some(alike.len() as f64);
    let samples = alike.iter().map(|(host, (_, why))| format!("{host}: {why}")).collect();
    let limit = format!("every host {fine}");
    // Its value counts hosts that are well or hosts that are not: no series to hold against one number.
    Found { verdict, value, limit, n, says, samples, against: Against::default() }
}

/// Each host that decides, with what is known of it.
fn parts<T>(
    hosts: &BTreeSet<HostName>,
    known: &BTreeMap<HostName, T>,
    part: impl Fn(&HostName, &T) -> Part,
) -> Vec<(String, Part)> {
    let of = |host: &HostName| match known.get(host) {
        Some(known) => part(host, known),
        None => (Verdict::Inconclusive, "was not asked".to_owned()),
    };
    hosts.iter().map(|host| (host.to_string(), of(host))).collect()
}

/// Hosts that decide, or, where the gate is about machines that serve no wikis, all that were asked.
fn deciding<T>(scope: &Scope, known: &BTreeMap<HostName, T>) -> BTreeSet<HostName> {
    let hosts = judged(scope);
    if hosts.is_empty() { known.keys().cloned().collect() } else { hosts }
}

pub(super) fn probe(scope: &Scope, known: &BTreeMap<HostName, Shown>) -> Found {
    let parts = parts(&deciding(scope, known), known, |_, seen| match seen {
        Shown::Good => (Verdict::Pass, String::new()),
        Shown::Bad(why) => (Verdict::Fail, shown(why)),
        Shown::Unreachable(why) => (Verdict::Error, format!("could not be asked: {}", shown(why))),
    });
    together(parts, "answered as wanted", "a probe")
}

pub(super) fn served(
    gate: &Served,
    scope: &Scope,
    known: &BTreeMap<HostName, BTreeMap<Wiki, Result<Version, String>>>,
) -> Found {
    let wanted: Vec<(&Wiki, &Version)> =
        gate.wikis.iter().filter_map(|wiki| Some((wiki, &scope.wikis.get(wiki)?.1))).collect();
    if wanted.is_empty() {
        return Found::new(Verdict::Inconclusive, "no version is known that its wikis are wanted at");
    }
    let parts = parts(&scope.rolled, known, |_, said| {
        let each = wanted.iter().map(|(wiki, wanted)| match said.get(*wiki) {
            Some(Ok(version)) if version == *wanted => (Verdict::Pass, String::new()),
            Some(Ok(version)) => (Verdict::Fail, format!("serves {wiki} at {version}, and {wanted} is wanted")),
            Some(Err(why)) => (Verdict::Error, format!("{wiki}: {}", shown(why))),
            None => (Verdict::Fail, format!("said no version for {wiki}, and {wanted} is wanted")),
        });
        let each: Vec<Part> = each.collect();
        let worst = gravest(each.iter().map(|(verdict, _)| *verdict));
        each.into_iter().find(|(verdict, _)| Some(*verdict) == worst).unwrap_or((Verdict::Inconclusive, String::new()))
    });
    together(parts, "served the wanted version", "what it serves")
}

pub(super) fn contract(gate: &Contract, differences: &[String]) -> Found {
    let (n, found) = (gate.urls.len(), differences.len());
    let verdict = match (n, found) {
        (_, 1..) => Verdict::Fail,
        (0, _) => Verdict::Inconclusive,
        _ => Verdict::Pass,
    };
    let says = match differences.first() {
        Some(first) => {
            format!("{} from the hosts that were not switched: {}", count(found, "difference"), shown(first))
        }
        None => format!("{} answered alike on both sides", count(n, "URL")),
    };
    let samples = differences.iter().map(|line| shown(line)).collect();
    let (limit, against) = ("no difference".to_owned(), Against::bound(0.0));
    Found { verdict, value: Some(found as f64), limit, n: n as u64, says, samples, against }
}

pub(super) fn command(gate: &Command, scope: &Scope, said: &BTreeMap<Option<HostName>, PluginSaid>) -> Found {
    let mut found = match gate.on_hosts {
        true => {
            let known = said.iter().filter_map(|(host, said)| Some((host.clone()?, said))).collect();
            together(parts(&deciding(scope, &known), &known, |_, said| plugin(gate, said)), "said OK", "a plugin")
        }
        false => {
            let parts = said.get(&None).map(|said| ("the deploy host".to_owned(), plugin(gate, said)));
            together(parts.into_iter().collect(), "said OK", "a plugin")
        }
    };
    let line = |(host, said): (&Option<HostName>, &PluginSaid)| {
        let host = host.as_ref().map_or("the deploy host", HostName::as_str);
        format!("{host}: {}", shown(&said.output))
    };
    // What failed stands first, and everybody's perfdata after it.
    found.samples.extend(said.iter().filter(|(_, said)| said.output.contains('|')).map(line));
    found.samples.dedup();
    found
}

fn plugin(gate: &Command, said: &PluginSaid) -> Part {
    let verdict = match said.code {
        Some(0) => Verdict::Pass,
        Some(1) if gate.warning_fails => Verdict::Fail,
        Some(1) => Verdict::Inconclusive,
        Some(2) => Verdict::Fail,
        _ => Verdict::Error,
    };
    let code = said.code.map_or_else(|| "was killed".to_owned(), |code| format!("code {code}"));
    (verdict, format!("{code}, {}", shown(said.output.split('|').next().unwrap_or_default())))
}

pub(super) fn facts(gate: &Host, scope: &Scope, known: &BTreeMap<HostName, Result<Vec<Option<f64>>, String>>) -> Found {
    let hosts: BTreeSet<HostName> = scope.hosts().into_iter().chain(known.keys().cloned()).collect();
    let parts = parts(&hosts, known, |_, facts| match facts {
        Err(why) => (Verdict::Error, format!("could not be asked: {}", shown(why))),
        Ok(values) => machine(gate, values),
    });
    together(parts, "was within its limits", "its facts")
}

/// One machine: its worst fact, with the limit.
fn machine(gate: &Host, values: &[Option<f64>]) -> Part {
    let one = |(at, (fact, condition)): (usize, &(Fact, crate::gate::spec::numbers::Condition))| {
        let limit = format!("{} {}", super::numbers::word(condition.op), brief(condition.limit));
        // A disk that does not fill is full in an infinity of hours.
        let known = |value: &f64| value.is_finite() || *fact == Fact::DiskFullHours && *value == f64::INFINITY;
        match values.get(at).copied().flatten().filter(known) {
            None => (Verdict::Inconclusive, format!("{} is not known", called(fact))),
            Some(value) => {
                let good = condition.holds(value);
                let verdict = if good { Verdict::Pass } else { Verdict::Fail };
                (verdict, format!("{} is {}, and {limit} is wanted", called(fact), brief(value)))
            }
        }
    };
    let each: Vec<Part> = gate.conditions.iter().enumerate().map(one).collect();
    let worst = gravest(each.iter().map(|(verdict, _)| *verdict));
    each.into_iter()
        .find(|(verdict, _)| Some(*verdict) == worst)
        .unwrap_or((Verdict::Inconclusive, "nothing was asked".to_owned()))
}

fn called(fact: &Fact) -> String {
    match fact {
        Fact::DiskFreePercent => "free disk in percent".to_owned(),
        Fact::DiskFullHours => "hours until the disk is full".to_owned(),
        Fact::InodesFreePercent => "free inodes in percent".to_owned(),
        Fact::LoadPerProcessor => "load by processor".to_owned(),
        Fact::MemoryAvailablePercent => "available memory in percent".to_owned(),
        Fact::UptimeSeconds => "uptime in seconds".to_owned(),
        Fact::LogBytesPerSecond(file) => format!("growth of {} in bytes a second", file.display()),
    }
}
