//! What hosts wrote, by signature, and which of it is known: the same rules for log files and for indices.
//!
//! Invariant: a signature is known when the books knew it, when it was seen before the switch, or when a host shows it that
//! was not switched. How many are told apart is bounded; all further ones are one.

use crate::gate::scope::Scope;
use crate::gate::signature::{Seen, sample, signature};
use crate::model::limits::SIGNATURES_MAX;
use crate::model::names::HostName;
use crate::model::time::Time;
use crate::model::verdict::Count;
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};

/// Stands for all signatures beyond [`SIGNATURES_MAX`].
pub const FURTHER: &str = "more different signatures than are told apart";

/// Signatures of several hosts since the switch.
#[derive(Debug)]
pub struct Clusters {
    look_back_ms: u64,
    /// When each was last seen where or when the new version did not run.
    known: BTreeMap<String, Time>,
    hosts: BTreeMap<HostName, OneHost>,
}

/// What one host wrote since its switch.
#[derive(Debug, Default)]
struct OneHost {
    since: Option<(Time, bool)>,
    lines: Lines,
    lost: bool,
}

/// Lines of one host.
#[derive(Debug, Default)]
pub struct Lines {
    /// How many of them were requests.
    pub requests: u64,
    /// How often, and one of them.
    pub found: BTreeMap<String, (u64, String)>,
}

impl Clusters {
    /// `known`: the signatures on the books and when each was seen, of which those within `look_back_ms` before the
    /// switch count.
    pub fn new(look_back_ms: u64, known: BTreeMap<String, Time>) -> Self {
        Self { look_back_ms, known, hosts: BTreeMap::new() }
    }

    /// What is known now, for the books: each signature and when it was seen.
    pub fn known(&self) -> &BTreeMap<String, Time> {
        &self.known
    }

    /// A signature that was seen at this time, where or when the new version did not run.
    pub fn know(&mut self, signature: &str, at: Time) {
        let seen = self.known.entry(signature.to_owned()).or_insert(at);
        *seen = at.max(*seen);
    }

    /// What a host wrote since the last reading; `lost`: lines are missing.
    pub fn take(&mut self, scope: &Scope, host: &HostName, now: Time, lines: Lines, lost: bool) {
        let rolled = now >= scope.since && scope.rolled.contains(host);
        if !rolled {
            lines.found.keys().for_each(|signature| self.know(signature, now));
        }
        let one = self.hosts.entry(host.clone()).or_default();
        one.lost |= lost;
        if one.since.replace((scope.since, rolled)) != Some((scope.since, rolled)) {
            one.lines = Lines::default();
        }
        if now >= scope.since {
            one.lines.join(lines);
        }
    }

    /// Every signature since the switch; `exposed`: whether requests are counted.
    pub fn seen(&self, scope: &Scope, exposed: bool) -> Vec<Seen> {
        let within = scope.hosts();
        let hosts: Vec<_> = self.hosts.iter().filter(|(host, _)| within.contains(*host)).collect();
        let all: BTreeSet<&String> = hosts.iter().flat_map(|(_, one)| one.lines.found.keys()).collect();
        let back = Time(scope.since.0.saturating_sub(self.look_back_ms));
        let seen = |signature: &String| {
            let on = hosts.iter().filter_map(|(host, one)| Some((host, one.lines.found.get(signature)?)));
            let exposure = hosts.iter().map(|(host, one)| {
                let events = one.lines.found.get(signature).map_or(0, |(events, _)| *events);
                ((*host).clone(), Count { events, exposure: one.lines.requests })
            });
            Seen {
                signature: signature.clone(),
                sample: on.clone().next().map(|(_, (_, sample))| sample.clone()).unwrap_or_default(),
                hosts: on.map(|(host, (events, _))| ((*host).clone(), *events)).collect(),
                exposure: if exposed { exposure.collect() } else { BTreeMap::new() },
                known_since: self.known.get(signature).copied().filter(|seen| *seen >= back),
            }
        };
        all.into_iter().map(seen).collect()
    }

    /// `, lines are missing from 2 hosts`, or nothing.
    pub fn lost(&self, hosts: &BTreeSet<HostName>) -> String {
        let lost = self.hosts.iter().filter(|(host, one)| one.lost && hosts.contains(*host)).count();
        if lost > 0 { format!(", lines are missing from {}", count(lost, "host")) } else { String::new() }
    }
}

impl Lines {
    /// One more line, or one more document as JSON.
    pub fn add(&mut self, line: &str) {
        if let Some(signature) = signature(line) {
            self.count(signature, 1, || sample(line));
        }
    }

    /// So many more events of a signature.
    pub fn count(&mut self, signature: String, events: u64, sample: impl FnOnce() -> String) {
        let room = self.found.len() < SIGNATURES_MAX || self.found.contains_key(&signature);
        let signature = if room { signature } else { FURTHER.to_owned() };
        self.found.entry(signature).or_insert_with(|| (0, sample())).0 += events;
    }

    fn join(&mut self, more: Lines) {
        self.requests += more.requests;
        for (signature, (events, sample)) in more.found {
            self.count(signature, events, || sample);
        }
    }
}
