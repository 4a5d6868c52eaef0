//! Errors and requests counted in log files on hosts.
//!
//! Invariant: a host's count is of one version only: when a host is switched, it begins anew. What was counted between the
//! provider's first reading and the switch is `before`. Lines that were written between the last reading before the switch and
//! the first one after it count as after: whoever switches reads right before.
//!
//! Deliberately absent: the times within lines, whose forms are many and whose clocks are the hosts'.

use super::ask::query;
use super::tail::Follower;
use super::{Provider, World};
use crate::gate::reading::{ReadError, Reading, Tally, What};
use crate::gate::scope::Scope;
use crate::gate::spec::counts::LogCounts;
use crate::model::names::{HostName, Wiki};
use crate::model::time::Time;
use crate::model::verdict::Count;
use crate::model::words::count;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// Counts from log files.
#[derive(Debug)]
pub struct Logs {
    rules: Rules,
    follower: Follower,
    hosts: BTreeMap<HostName, Counted>,
}

#[derive(Debug)]
struct Rules {
    exposure: Option<Regex>,
    events: Regex,
    wiki: Option<Regex>,
    /// Which of the followed files has the errors.
    events_file: usize,
}

/// What was counted on one host.
#[derive(Debug, Default)]
struct Counted {
    /// The switch that it is counted from, and whether this host was part of it.
    since: Option<(Time, bool)>,
    /// The switch that it was part of, even if it was left out afterwards: what it wrote then is of no time before.
    switched: Option<Time>,
    now: Lines,
    before: Count,
    lost: bool,
}

/// Lines of one reading, or of several.
#[derive(Debug, Default)]
struct Lines {
    all: Count,
    wikis: BTreeMap<Wiki, Count>,
}

impl Logs {
    /// Counts as groups.yaml says; an error when an expression of it is none.
    pub fn new(spec: &LogCounts) -> Result<Self, ReadError> {
        let query = spec.file.display().to_string();
        let regex = |text: &String| {
            Regex::new(text).map_err(|error| ReadError { query: query.clone(), why: error.to_string() })
        };
        let other = spec.events_file.clone().filter(|file| *file != spec.file);
        let rules = Rules {
            exposure: spec.exposure.as_ref().map(regex).transpose()?,
            events: regex(&spec.events)?,
            wiki: spec.wiki.as_ref().map(regex).transpose()?,
            events_file: usize::from(other.is_some()),
        };
        let files: Vec<_> = [spec.file.clone()].into_iter().chain(other).collect();
        let aged = files.len();
        Ok(Self { rules, follower: Follower::new(files, aged), hosts: BTreeMap::new() })
    }

    fn tally(&self, scope: &Scope) -> Tally {
        let mut tally = Tally::default();
        let mut before = BTreeMap::new();
        let within = scope.hosts();
        for (host, counted) in self.hosts.iter().filter(|(host, _)| within.contains(*host)) {
            tally.hosts.insert(host.clone(), counted.now.all);
            before.insert(host.clone(), counted.before);
            if scope.rolled.contains(host) {
                for (wiki, count) in &counted.now.wikis {
                    add(tally.wikis.entry(wiki.clone()).or_default(), *count);
                }
            }
        }
        tally.before = before.values().any(|count: &Count| count.exposure > 0).then_some(before);
        tally
    }
}

impl Provider for Logs {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let hosts = scope.hosts();
        let known: BTreeSet<&Wiki> = scope.wikis.keys().collect();
        let rules = &self.rules;
        let fold = |lines: &mut Lines, file: usize, line: &str| rules.add(lines, file, line, &known);
        let answers = self.follower.read(&hosts, world, fold).await;
        let mut query = query(&self.follower.files(), &answers)?;
        let now = world.now();
        for (host, fresh) in answers.into_iter().filter_map(|(host, answer)| Some((host, answer.ok()?))) {
            let counted = self.hosts.entry(host.clone()).or_default();
            counted.begin(scope, &host, now);
            counted.lost |= fresh.lost;
            counted.take(fresh.found, now >= scope.since);
        }
        let lost = self.hosts.iter().filter(|(host, counted)| counted.lost && hosts.contains(*host)).count();
        if lost > 0 {
            query.push_str(&format!(", lines are missing from {}", count(lost, "host")));
        }
        Ok(Reading {
            what: What::Counts(self.tally(scope)),
            query,
            window_ms: now.ms_since(scope.since),
            newest_age_ms: Some(self.follower.newest_age_ms(now)),
        })
    }
}

impl Rules {
    fn add(&self, lines: &mut Lines, file: usize, line: &str, known: &BTreeSet<&Wiki>) {
        let exposed = file == 0 && self.exposure.as_ref().is_none_or(|regex| regex.is_match(line));
        let event = file == self.events_file && self.events.is_match(line);
        let one = Count { events: event.into(), exposure: exposed.into() };
        if one == Count::default() {
            return;
        }
        add(&mut lines.all, one);
        let wiki = self.wiki.as_ref().and_then(|regex| regex.captures(line)?.get(1)?.as_str().parse().ok());
        if let Some(wiki) = wiki.filter(|wiki| known.contains(wiki)) {
            add(lines.wikis.entry(wiki).or_default(), one);
        }
    }
}

impl Counted {
    /// Begins anew when this host was switched since the last reading, or when it is another switch that is judged.
    fn begin(&mut self, scope: &Scope, host: &HostName, now: Time) {
        let this = (scope.since, scope.rolled.contains(host));
        if now < scope.since || self.since == Some(this) {
            return;
        }
        if let Some((_, rolled)) = self.since.replace(this) {
            let old = std::mem::take(&mut self.now).all;
            if !rolled && self.switched != Some(scope.since) {
                add(&mut self.before, old);
            }
        }
        if this.1 {
            self.switched = Some(scope.since);
        }
    }

    fn take(&mut self, lines: Lines, after: bool) {
        if !after {
            add(&mut self.before, lines.all);
            return;
        }
        add(&mut self.now.all, lines.all);
        for (wiki, count) in lines.wikis {
            add(self.now.wikis.entry(wiki).or_default(), count);
        }
    }
}

fn add(sum: &mut Count, more: Count) {
    sum.events += more.events;
    sum.exposure += more.exposure;
}

#[cfg(test)]
mod tests;
