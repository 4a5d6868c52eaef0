//! The one place where a gate's kind meets its provider.

use super::numbers::{CountsReader, RanksReader, ThresholdReader};
use super::{Provider, World};
use crate::config::policy::Policy;
use crate::gate::reading::{ReadError, Reading};
use crate::gate::scope::Scope;
use crate::gate::spec::counts::CountSource;
use crate::gate::spec::{Gate, Kind};
use crate::model::time::Time;
use std::collections::BTreeMap;

/// A gate's provider.
pub enum Reader {
    /// A number or a series.
    Threshold(ThresholdReader),
    /// One number a host.
    Ranks(RanksReader),
    /// Counts of a monitoring system.
    Counts(CountsReader),
    /// Counts of a source that nothing here reads: an error, so that its gate never passes.
    Unread,
}

impl Reader {
    /// The provider of a gate; `None` for a kind that the books answer.
    pub fn of(gate: &Gate, policy: &Policy, known: &BTreeMap<String, Time>) -> Option<Self> {
        let _ = (policy, known);
        match &gate.kind {
            Kind::Threshold(threshold) => Some(Self::Threshold(ThresholdReader(threshold.clone()))),
            Kind::Ranks(ranks) => Some(Self::Ranks(RanksReader(ranks.clone()))),
            Kind::Counts(counts) => match &counts.source {
                CountSource::Monitoring { events, exposure, wiki_label } => Some(Self::Counts(CountsReader {
                    events: events.clone(),
                    exposure: exposure.clone(),
                    wiki_label: wiki_label.clone(),
                })),
                _ => Some(Self::Unread),
            },
            _ => None,
        }
    }

    /// Measures once.
    pub async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        match self {
            Self::Threshold(reader) => reader.read(scope, world).await,
            Self::Ranks(reader) => reader.read(scope, world).await,
            Self::Counts(reader) => reader.read(scope, world).await,
            Self::Unread => {
                let why = "this source of counts can't be read by this version".to_owned();
                Err(ReadError { query: "counts".to_owned(), why })
            }
        }
    }
}
