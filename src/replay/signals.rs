//! What could have been measured, for what the fleet serves in the replay.
//!
//! Invariant: a signal shows only while its cause holds, so that what was never served was never seen either. Numbers are
//! those of the incident's file; a gate of which it says nothing is not asked, and that is said.

use super::fleet::{Fleet, Serving};
use crate::config::incident::spec::{Cause, Incident, Shows, Signal};
use crate::gate::reading::{Answered, ReadError, Reading, Shown, Tally, What};
use crate::gate::scope::Scope;
use crate::gate::signature::{Seen, sample, signature};
use crate::gate::spec::numbers::Rule;
use crate::gate::spec::{Gate, Kind};
use crate::model::names::HostName;
use crate::model::time::Time;
use crate::model::verdict::{Count, HostCounts};
use std::collections::BTreeMap;

/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// A time in which a cause held; `None`: it still does.
type Interval = (Time, Option<Time>);

/// Signals, and since when the cause of each holds where.
pub struct Signals<'a> {
    incident: &'a Incident,
    held: BTreeMap<(&'a str, HostName), Vec<Interval>>,
}

impl<'a> Signals<'a> {
    /// Before anything is served.
    pub fn new(incident: &'a Incident) -> Self {
        Self { incident, held: BTreeMap::new() }
    }

    /// Looks at what hosts serve now.
    pub fn update(&mut self, fleet: &mut Fleet, now: Time) {
        fleet.serving();
        let incident = self.incident;
        let hosts: Vec<HostName> = fleet.serving().keys().cloned().collect();
        for host in hosts {
            let (serving, lacks) = (fleet.serving()[&host].clone(), fleet.lacks(&host));
            for signal in &incident.signals {
                let holds = holds(&signal.cause, &host, &serving, lacks);
                let intervals = self.held.entry((&signal.name, host.clone())).or_default();
                match intervals.last_mut() {
                    Some((_, end @ None)) if !holds => *end = Some(now),
                    Some((_, None)) => {}
                    _ if holds => intervals.push((now, None)),
                    _ => {}
                }
            }
        }
    }

    /// Whether a signal has shown anywhere by now.
    pub fn shown(&self, name: &str, now: Time) -> bool {
        let Some(signal) = self.incident.signals.iter().find(|signal| signal.name == name) else { return false };
        self.first(signal, |_| true).is_some_and(|first| first <= now)
    }

    /// Whether a gate can be asked at all.
    pub fn knows(incident: &Incident, gate: &Gate) -> bool {
        let named = |signal: &Signal| match &signal.shows {
            Shows::Series { gates, .. } | Shows::Fails { gates, .. } => gates.contains(&gate.name),
            Shows::Errors { .. } => matches!(gate.kind, Kind::Signatures(_) | Kind::Counts(_)),
        };
        matches!(gate.kind, Kind::Approval | Kind::Soak(_) | Kind::Blockers(_)) || incident.signals.iter().any(named)
    }

    /// What a gate would have read.
    pub fn read(&self, gate: &Gate, scope: &Scope, now: Time) -> Result<Reading, ReadError> {
        let what = match &gate.kind {
            Kind::Signatures(kind) => What::Signatures(self.signatures(scope, kind.look_back_ms, now)),
            Kind::Counts(_) => What::Counts(self.counts(scope, now)),
            Kind::Probe(_) => What::Probed(self.probed(gate, scope, now)),
            Kind::Contract(_) => What::Contract(self.differences(gate, scope, now)),
            Kind::Threshold(threshold) => match &threshold.rule {
                Rule::Number { .. } => What::Number(self.number(gate, now)),
                Rule::PercentAbove(_) => What::Points(self.points(gate, threshold.window_ms, now)),
            },
            Kind::Soak(_) => What::Soaked { time_ms: None, requests: Some(self.requests(scope, now)) },
            Kind::Approval => What::Answer(Some(Answered {
                yes: true,
                by: "the replay".to_owned(),
                reason: "people are taken to agree".to_owned(),
            })),
            Kind::Blockers(_) => What::Blockers(Vec::new()),
            _ => {
                let why = "the incident has no such signal".to_owned();
                return Err(ReadError { query: gate.name.to_string(), why });
            }
        };
        let query = format!("the incident's signals for {}", gate.name);
        Ok(Reading { what, query, window_ms: now.ms_since(scope.since), newest_age_ms: Some(0) })
    }

    fn of<'s>(&'s self, gate: &'s Gate) -> impl Iterator<Item = &'a Signal> + 's {
        self.incident.signals.iter().filter(move |signal| match &signal.shows {
            Shows::Series { gates, .. } | Shows::Fails { gates, .. } => gates.contains(&gate.name),
            Shows::Errors { .. } => false,
        })
    }

    fn errors(&self) -> impl Iterator<Item = (&'a Signal, &'a str, f64)> {
        self.incident.signals.iter().filter_map(|signal| match &signal.shows {
            Shows::Errors { text, per_minute } => Some((signal, text.as_str(), *per_minute)),
            _ => None,
        })
    }

    /// When it shows on a host: its cause's times, later by its delay, within its own times.
    fn shows(&self, signal: &'a Signal, host: &HostName) -> impl Iterator<Item = Interval> {
        let (from, until) = (signal.from.unwrap_or(Time(0)), signal.until);
        let held = self.held.get(&(signal.name.as_str(), host.clone())).map(Vec::as_slice).unwrap_or_default();
        held.iter().filter_map(move |(begin, end)| {
            let begin = Time(begin.0.saturating_add(signal.after_ms)).max(from);
            let end = [*end, until].into_iter().flatten().min();
            end.is_none_or(|end| end > begin).then_some((begin, end))
        })
    }

    /// For how long it showed on a host between two moments, ms.
    fn ms(&self, signal: &'a Signal, host: &HostName, from: Time, to: Time) -> u64 {
        let within = |(begin, end): Interval| end.unwrap_or(to).min(to).ms_since(begin.max(from));
        self.shows(signal, host).map(within).sum()
    }

    fn on(&self, signal: &'a Signal, host: &HostName, at: Time) -> bool {
        self.shows(signal, host).any(|(begin, end)| begin <= at && end.is_none_or(|end| at < end))
    }

    fn anywhere(&self, signal: &'a Signal, at: Time) -> bool {
        self.hosts(signal).any(|host| self.on(signal, host, at))
    }

    fn hosts<'s>(&'s self, signal: &'s Signal) -> impl Iterator<Item = &'s HostName> + 's {
        self.held.keys().filter(move |(name, _)| *name == signal.name).map(|(_, host)| host)
    }

    /// When it showed first on any of these hosts.
    fn first(&self, signal: &'a Signal, among: impl Fn(&HostName) -> bool) -> Option<Time> {
        let hosts = self.hosts(signal).filter(|host| among(host));
        hosts.flat_map(|host| self.shows(signal, host).map(|(begin, _)| begin)).min()
    }

    /// Events of a signal since the switch, by host; hosts without any are left out.
    fn events(&self, signal: &'a Signal, per_minute: f64, scope: &Scope, now: Time) -> BTreeMap<HostName, u64> {
        let of = |host: &HostName| {
            let minutes = self.ms(signal, host, scope.since, now) as f64 / MINUTE_MS as f64;
            (host.clone(), (per_minute * minutes) as u64)
        };
        let hosts = scope.rolled.iter().chain(&scope.control);
        hosts.map(of).filter(|(_, events)| *events > 0).collect()
    }

    fn exposure(&self, scope: &Scope, now: Time) -> u64 {
        self.incident.requests_per_minute.saturating_mul(now.ms_since(scope.since)) / MINUTE_MS
    }

    fn requests(&self, scope: &Scope, now: Time) -> u64 {
        self.exposure(scope, now).saturating_mul(scope.hosts().len() as u64)
    }

    fn signatures(&self, scope: &Scope, look_back_ms: u64, now: Time) -> Vec<Seen> {
        let exposure = self.exposure(scope, now);
        let all: HostCounts = scope.hosts().into_iter().map(|host| (host, Count { events: 0, exposure })).collect();
        let mut seen = Vec::new();
        for (signal, text, per_minute) in self.errors() {
            let (hosts, Some(signature)) = (self.events(signal, per_minute, scope, now), signature(text)) else {
                continue;
            };
            let before = self.first(signal, |_| true).filter(|first| *first < scope.since);
            let known_since = before.filter(|first| scope.since.ms_since(*first) <= look_back_ms);
            if !hosts.is_empty() {
                seen.push(Seen { signature, sample: sample(text), hosts, exposure: all.clone(), known_since });
            }
        }
        seen
    }

    /// Since the switch, and in as long a time before.
    fn counts(&self, scope: &Scope, now: Time) -> Tally {
        let earlier = Scope { since: Time(scope.since.0.saturating_sub(now.ms_since(scope.since))), ..scope.clone() };
        let before = Some(self.tally(&earlier, scope.since));
        Tally { hosts: self.tally(scope, now), wikis: BTreeMap::new(), before }
    }

    fn tally(&self, scope: &Scope, until: Time) -> HostCounts {
        let exposure = self.exposure(scope, until);
        let mut hosts: HostCounts =
            scope.hosts().into_iter().map(|host| (host, Count { events: 0, exposure })).collect();
        let errors = self.errors().flat_map(|(signal, _, per_minute)| self.events(signal, per_minute, scope, until));
        for (host, events) in errors {
            let count = hosts.entry(host).or_default();
            count.events = count.events.saturating_add(events);
            count.exposure = count.exposure.max(count.events);
        }
        hosts
    }

    fn probed(&self, gate: &Gate, scope: &Scope, now: Time) -> BTreeMap<HostName, Shown> {
        let shown = |host: &HostName| match self.of(gate).find(|signal| self.on(signal, host, now)) {
            Some(Signal { shows: Shows::Fails { text, .. }, .. }) => Shown::Bad(text.clone()),
            _ => Shown::Good,
        };
        scope.rolled.iter().chain(&scope.control).map(|host| (host.clone(), shown(host))).collect()
    }

    fn differences(&self, gate: &Gate, scope: &Scope, now: Time) -> Vec<String> {
        let mut lines = Vec::new();
        for signal in self.of(gate).filter(|signal| scope.rolled.iter().any(|host| self.on(signal, host, now))) {
            if let Shows::Fails { text, .. } = &signal.shows {
                lines.push(text.clone());
            }
        }
        lines
    }

    fn number(&self, gate: &Gate, at: Time) -> Option<f64> {
        let signal = self.of(gate).next()?;
        match signal.shows {
            Shows::Series { base, value, .. } => Some(if self.anywhere(signal, at) { value } else { base }),
            _ => None,
        }
    }

    /// A point a minute.
    fn points(&self, gate: &Gate, window_ms: u64, now: Time) -> Vec<Option<f64>> {
        let minutes = window_ms / MINUTE_MS;
        (1..=minutes).rev().map(|back| self.number(gate, Time(now.0.saturating_sub((back - 1) * MINUTE_MS)))).collect()
    }
}

fn holds(cause: &Cause, host: &HostName, serving: &Serving, lacks: bool) -> bool {
    let of_group = |group: &crate::model::names::Group| match cause.group.as_ref() {
        Some(wanted) => wanted == group,
        None => true,
    };
    let mut served = serving.iter().filter(|(group, _)| of_group(group)).flat_map(|(_, versions)| versions);
    served.any(|version| cause.version.as_ref().is_none_or(|wanted| wanted == version))
        && cause.hosts.as_ref().is_none_or(|hosts| hosts.contains(host))
        && (!cause.lacks_artefacts || lacks)
}
