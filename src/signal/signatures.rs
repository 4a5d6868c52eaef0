//! Signatures of log lines in files on hosts.
//!
//! Invariant: a signature is known when the books knew it, when it was seen before the switch, or when a host shows it that
//! was not switched. How many are told apart is bounded; all further ones are one.

use super::ask::query;
use super::tail::Follower;
use super::{Provider, World};
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::signature::{Seen, sample, signature};
use crate::model::limits::SIGNATURES_MAX;
use crate::model::names::HostName;
use crate::model::time::Time;
use crate::model::verdict::Count;
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Stands for all signatures beyond [`SIGNATURES_MAX`].
const FURTHER: &str = "more different signatures than are told apart";

/// Signatures from log files.
#[derive(Debug)]
pub struct FileSignatures {
    follower: Follower,
    /// The number of the file whose lines are requests.
    requests_file: Option<usize>,
    look_back_ms: u64,
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

#[derive(Debug, Default)]
struct Lines {
    requests: u64,
    /// How often, and one of them.
    found: BTreeMap<String, (u64, String)>,
}

impl FileSignatures {
    /// Follows these files; `known`: the signatures on the books and when each was seen, of which those within
    /// `look_back_ms` (before the switch) count; `requests_file`: a log whose lines are requests.
    pub fn new(
        mut files: Vec<PathBuf>,
        requests_file: Option<PathBuf>,
        look_back_ms: u64,
        known: BTreeMap<String, Time>,
    ) -> Self {
        let number = requests_file.is_some().then_some(files.len());
        files.extend(requests_file);
        let follower = Follower::new(files);
        Self { follower, requests_file: number, look_back_ms, known, hosts: BTreeMap::new() }
    }

    /// What is known now, for the books: each signature and when it was seen.
    pub fn known(&self) -> &BTreeMap<String, Time> {
        &self.known
    }

    fn seen(&self, scope: &Scope) -> Vec<Seen> {
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
                exposure: if self.requests_file.is_some() { exposure.collect() } else { BTreeMap::new() },
                known_since: self.known.get(signature).copied().filter(|seen| *seen >= back),
            }
        };
        all.into_iter().map(seen).collect()
    }
}

impl Provider for FileSignatures {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let hosts = scope.hosts();
        let requests_file = self.requests_file;
        let fold = |lines: &mut Lines, file: usize, line: &str| match requests_file == Some(file) {
            true => lines.requests += 1,
            false => lines.add(line),
        };
        let answers = self.follower.read(&hosts, world, fold).await;
        let mut query = query(&self.follower.files(), &answers)?;
        let now = world.now();
        for (host, fresh) in answers.into_iter().filter_map(|(host, answer)| Some((host, answer.ok()?))) {
            let rolled = now >= scope.since && scope.rolled.contains(&host);
            if !rolled {
                for signature in fresh.found.found.keys() {
                    self.known.entry(signature.clone()).or_insert(now);
                }
            }
            let one = self.hosts.entry(host).or_default();
            one.lost |= fresh.lost;
            if one.since.replace((scope.since, rolled)) != Some((scope.since, rolled)) {
                one.lines = Lines::default();
            }
            if now >= scope.since {
                one.lines.join(fresh.found);
            }
        }
        let lost = self.hosts.iter().filter(|(host, one)| one.lost && hosts.contains(*host)).count();
        if lost > 0 {
            query.push_str(&format!(", lines are missing from {}", count(lost, "host")));
        }
        Ok(Reading {
            what: What::Signatures(self.seen(scope)),
            query,
            window_ms: now.ms_since(scope.since),
            newest_age_ms: Some(self.follower.newest_age_ms(now)),
        })
    }
}

impl Lines {
    fn add(&mut self, line: &str) {
        if let Some(signature) = signature(line) {
            self.count(signature, 1, || sample(line));
        }
    }

    fn count(&mut self, signature: String, events: u64, sample: impl FnOnce() -> String) {
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

#[cfg(test)]
mod tests;
