//! The one place where a gate's kind meets its provider.

use super::contract::Comparer;
use super::facts::Facts;
use super::logs::Logs;
use super::numbers::{CountsReader, RanksReader, ThresholdReader};
use super::plugin::Plugin;
use super::probe::Prober;
use super::search::readers::{SearchCounts, SearchSignatures};
use super::served::Asker;
use super::signatures::FileSignatures;
use super::{Provider, World, process};
use crate::config::policy::Policy;
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::spec::counts::CountSource;
use crate::gate::spec::people::{Blockers, Soak};
use crate::gate::spec::signatures::LogSource;
use crate::gate::spec::{Gate, Kind};
use crate::model::time::Time;
use std::collections::BTreeMap;

/// A gate's provider.
pub enum Reader {
    /// Requests.
    Probe(Prober),
    /// Versions.
    Served(Asker),
    /// Fixed URLs.
    Contract(Comparer),
    /// A number or a series.
    Threshold(ThresholdReader),
    /// One number a host.
    Ranks(RanksReader),
    /// Counts of a monitoring system.
    Counts(CountsReader),
    /// Counts of log files.
    Logs(Logs),
    /// Counts of an index.
    SearchCounts(SearchCounts),
    /// Signatures of log files.
    Signatures(FileSignatures),
    /// Signatures of an index.
    SearchSignatures(SearchSignatures),
    /// A plugin.
    Plugin(Plugin),
    /// Facts of machines.
    Facts(Facts),
    /// Requests that a version has served, counted by the provider of counts.
    Soaked(Box<Reader>),
    /// Open blockers of a tracker.
    Tracker(Blockers),
    /// What it was declared with cannot be read; its gate never passes.
    Unread(ReadError),
}

impl Reader {
    /// The provider of a gate; `None` for a kind that the books answer alone. `known` are signatures that the books
    /// remember, with when each was last seen.
    pub fn of(gate: &Gate, policy: &Policy, known: &BTreeMap<String, Time>) -> Option<Self> {
        Some(match &gate.kind {
            Kind::Probe(probe) => Self::Probe(Prober::new(probe, &policy.web)),
            Kind::Served(served) => Self::Served(Asker::new(served, &policy.web)),
            Kind::Contract(contract) => Self::Contract(Comparer::new(contract, &policy.web)),
            Kind::Threshold(threshold) => Self::Threshold(ThresholdReader(threshold.clone())),
            Kind::Ranks(ranks) => Self::Ranks(RanksReader(ranks.clone())),
            Kind::Counts(counts) => Self::counts(&counts.source),
            Kind::Signatures(gate) => match &gate.source {
                LogSource::Files(files) => {
                    let requests = gate.requests_file.clone();
                    Self::Signatures(FileSignatures::new(files.clone(), requests, gate.look_back_ms, known.clone()))
                }
                LogSource::Search { .. } => {
                    let source = gate.source.clone();
                    Self::SearchSignatures(SearchSignatures::new(source, gate.look_back_ms, known.clone()))
                }
            },
            Kind::Command(command) => Self::Plugin(Plugin::new(command.clone())),
            Kind::Host(host) => Self::Facts(Facts::new(host)),
            Kind::Soak(Soak { min_requests: Some((_, source)), .. }) => Self::Soaked(Box::new(Self::counts(source))),
            Kind::Blockers(blockers) if !blockers.argv.is_empty() => Self::Tracker(blockers.clone()),
            Kind::Blockers(_) | Kind::Approval | Kind::Soak(_) => return None,
        })
    }

    fn counts(source: &CountSource) -> Self {
        match source {
            CountSource::Monitoring { events, exposure, wiki_label } => {
                let (events, exposure, wiki_label) = (events.clone(), exposure.clone(), wiki_label.clone());
                Self::Counts(CountsReader::new(events, exposure, wiki_label))
            }
            CountSource::Logs(logs) => Logs::new(logs).map_or_else(Self::Unread, Self::Logs),
            CountSource::Search { .. } => Self::SearchCounts(SearchCounts(source.clone())),
        }
    }

    /// Measures once.
    pub async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        match self {
            Self::Probe(provider) => provider.read(scope, world).await,
            Self::Served(provider) => provider.read(scope, world).await,
            Self::Contract(provider) => provider.read(scope, world).await,
            Self::Threshold(provider) => provider.read(scope, world).await,
            Self::Ranks(provider) => provider.read(scope, world).await,
            Self::Counts(provider) => provider.read(scope, world).await,
            Self::Logs(provider) => provider.read(scope, world).await,
            Self::SearchCounts(provider) => provider.read(scope, world).await,
            Self::SearchSignatures(provider) => provider.read(scope, world).await,
            Self::Signatures(provider) => provider.read(scope, world).await,
            Self::Plugin(provider) => provider.read(scope, world).await,
            Self::Facts(provider) => provider.read(scope, world).await,
            Self::Soaked(counts) => Box::pin(counts.read(scope, world)).await.map(requests),
            Self::Tracker(blockers) => tracker(blockers).await,
            Self::Unread(error) => Err(error.clone()),
        }
    }
}

/// All that was served, by whichever host; for how long is on the books.
fn requests(reading: Reading) -> Reading {
    let What::Counts(tally) = &reading.what else { return reading };
    let requests = tally.hosts.values().fold(0, |sum: u64, count| sum.saturating_add(count.exposure));
    Reading { what: What::Soaked { time_ms: None, requests: Some(requests) }, ..reading }
}

/// What a tracker's program lists, one blocker a line.
async fn tracker(blockers: &Blockers) -> Result<Reading, ReadError> {
    let query = blockers.argv.join(" ");
    let failed = |why| ReadError { query: query.clone(), why };
    let said = process::output(&blockers.argv, &[], blockers.deadline_ms).await.map_err(failed)?;
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    Ok(Reading { what: What::Blockers(lines.collect()), query, window_ms: 0, newest_age_ms: None })
}
