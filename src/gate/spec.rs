//! Gates as groups.yaml declares them: what is asked, of whom, how often, and what decides.
//!
//! Invariant: a [`Gate`] that was read from a file has a condition and can be asked; whether it can fail and can pass
//! with the hosts at hand is [`super::feasible`]'s business.

pub mod counts;
pub mod hosts;
pub mod numbers;
pub mod people;
pub mod probe;
pub mod signatures;

use crate::model::names::{GateName, Group, HostName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A named check with limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its name.
    pub name: GateName,
    /// When it is asked.
    pub at: BTreeSet<Moment>,
    /// For which groups; `None`: for all.
    pub groups: Option<BTreeSet<Group>>,
    /// Which hosts it is about; `None`: those that serve wikis.
    pub hosts: Option<BTreeSet<HostName>>,
    /// How often, and how many of each verdict are borne.
    pub counters: Counters,
    /// Whether it decides.
    pub mode: Mode,
    /// What follows when it fails and attribution does not know better.
    pub on_fail: OnFail,
    /// What its evidence needs of an environment, `tls` for instance: where that is missing, it is said.
    pub needs: BTreeSet<String>,
    /// What it asks and how it judges.
    pub kind: Kind,
}

impl Gate {
    /// One that is asked at these moments, about every group, and decides, with nothing said but its kind.
    pub fn new(name: GateName, at: impl IntoIterator<Item = Moment>, kind: Kind) -> Self {
        Self {
            name,
            at: at.into_iter().collect(),
            groups: None,
            hosts: None,
            counters: Counters::default(),
            mode: Mode::Enforce,
            on_fail: OnFail::Rollback,
            needs: BTreeSet::new(),
            kind,
        }
    }
}

/// When a gate is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before a promotion switches anything.
    Before,
    /// After each wave of a promotion, before the next.
    Wave,
    /// After the last wave of a group, before the promotion ends.
    Group,
    /// While a promotion is watched, after it ended.
    Watch,
    /// By `pointsman canary`.
    Canary,
}

impl Moment {
    /// Whether hosts are switched next, if all goes well.
    pub fn precedes_a_switch(self) -> bool {
        matches!(self, Self::Before | Self::Wave)
    }
}

/// The moments by name.
pub const MOMENTS: [(&str, Moment); 5] = [
    ("before", Moment::Before),
    ("wave", Moment::Wave),
    ("group", Moment::Group),
    ("watch", Moment::Watch),
    ("canary", Moment::Canary),
];

/// Whether a gate decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// It measures and says what it would have done.
    Observe,
}

/// What follows a failed gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// The rollout is taken back.
    Rollback,
    /// It stops where it is, for a person.
    Pause,
}

/// How often a gate is asked and how many of each verdict are borne; names and strict `>` as in Argo Rollouts' analysis
/// (<https://argo-rollouts.readthedocs.io/en/stable/features/analysis/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// From one asking to the next, ms.
    pub interval_ms: u64,
    /// From the switch to the first asking, ms.
    pub initial_delay_ms: u64,
    /// Verdicts that make a whole, at least 1.
    pub count: u32,
    /// More failures than this are a failure.
    pub failure_limit: u32,
    /// More inconclusive verdicts than this do not count, and the soak goes on.
    pub inconclusive_limit: u32,
    /// More errors than this in a row end the asking.
    pub consecutive_error_limit: u32,
    /// So many passes in a row are enough; 0: off.
    pub consecutive_success_limit: u32,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            interval_ms: 10_000,
            initial_delay_ms: 0,
            count: 1,
            failure_limit: 0,
            inconclusive_limit: 0,
            consecutive_error_limit: 4,
            consecutive_success_limit: 0,
        }
    }
}

/// What a gate asks and how it judges.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Requests to the web server of every host.
    Probe(probe::Probe),
    /// Which version every host really serves.
    Served(probe::Served),
    /// Fixed URLs, candidate hosts against baseline hosts.
    Contract(probe::Contract),
    /// A number, or a series by `percent_above`.
    Threshold(numbers::Threshold),
    /// One number a host, switched hosts against the others.
    Ranks(numbers::Ranks),
    /// Errors among requests, switched hosts against the others.
    Counts(counts::Counts),
    /// New and more frequent log lines.
    Signatures(signatures::Signatures),
    /// A Nagios or Icinga plugin.
    Command(hosts::Command),
    /// Facts of machines.
    Host(hosts::Host),
    /// No open blocker.
    Blockers(people::Blockers),
    /// A person says yes.
    Approval,
    /// Time and exposure.
    Soak(people::Soak),
}

impl Kind {
    /// Its name in groups.yaml.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Probe(_) => "probe",
            Self::Served(_) => "served",
            Self::Contract(_) => "contract",
            Self::Threshold(_) => "threshold",
            Self::Ranks(_) => "ranks",
            Self::Counts(_) => "counts",
            Self::Signatures(_) => "signatures",
            Self::Command(_) => "command",
            Self::Host(_) => "host",
            Self::Blockers(_) => "blockers",
            Self::Approval => "approval",
            Self::Soak(_) => "soak",
        }
    }

    /// Whether what was before a switch matters to it, so that it has to look then.
    pub fn compares_with_before(&self) -> bool {
        matches!(self, Self::Counts(_) | Self::Signatures(_) | Self::Host(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_switched_after_two_of_the_moments() {
        let names = MOMENTS.iter().filter(|(_, moment)| moment.precedes_a_switch()).map(|(name, _)| *name);
        assert_eq!(names.collect::<Vec<_>>(), ["before", "wave"]);
    }

    #[test]
    fn what_a_kind_is_called_and_whether_it_looks_back() {
        let host = Kind::Host(hosts::Host { conditions: Vec::new() });
        let kinds = [host, Kind::Approval].map(|kind| (kind.name(), kind.compares_with_before()));
        assert_eq!(kinds, [("host", true), ("approval", false)]);
    }
}
