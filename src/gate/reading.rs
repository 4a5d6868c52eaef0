//! What a provider measured, before anybody judges it.

use super::signature::Seen;
use crate::model::names::{HostName, Version, Wiki};
use crate::model::question::PluginSaid;
use crate::model::verdict::{Count, HostCounts};
use std::collections::BTreeMap;

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What was measured.
    pub what: What,
    /// What was asked: a query, a URL, a file.
    pub query: String,
    /// The time that it covers, ms; 0: a moment.
    pub window_ms: u64,
    /// How old the newest sample is, ms; `None` where a source has no samples of its own (a probe).
    pub newest_age_ms: Option<u64>,
}

/// Why there is no measurement; the gate's verdict is Error. A fragment that fits "GATE: {...}".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{query}: {why}")]
pub struct ReadError {
    /// What was asked.
    pub query: String,
    /// What went wrong, made of bounded and harmless text.
    pub why: String,
}

/// What was measured, by kind of gate.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Probe: what each host showed.
    Probed(BTreeMap<HostName, Shown>),
    /// Served: what each host said for each wiki; `Err`: it did not answer as it should, in words.
    Served(BTreeMap<HostName, BTreeMap<Wiki, Result<Version, String>>>),
    /// Contract: differences between the arms, one line each; empty: none.
    Contract(Vec<String>),
    /// Threshold: one number; `None`: the source has none.
    Number(Option<f64>),
    /// Threshold by percent: points in order of time; `None`: null.
    Points(Vec<Option<f64>>),
    /// Ranks: one number a host.
    Numbers(BTreeMap<HostName, f64>),
    /// Counts since the switch.
    Counts(Tally),
    /// Signatures since the switch.
    Signatures(Vec<Seen>),
    /// Command: what the plugin said, by host, or once for the deploy host (`None`).
    Plugins(BTreeMap<Option<HostName>, PluginSaid>),
    /// Host: each fact that was asked for, in the order of the gate's conditions; `Err`: the host did not answer.
    /// An inner `None`: not known there, as a rate is after one reading.
    Facts(BTreeMap<HostName, Result<Vec<Option<f64>>, String>>),
    /// Blockers: each open one, one line each.
    Blockers(Vec<String>),
    /// Approval: nobody answered yet, or who did, whether yes, and why.
    Answer(Option<Answered>),
    /// Soak: for how long the version has run at its content of now, ms, and how many requests it has served.
    Soaked {
        /// `None`: it has not run anywhere yet.
        time_ms: Option<u64>,
        /// `None`: not asked for.
        requests: Option<u64>,
    },
}

/// What a host showed to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Every assertion held.
    Good,
    /// One did not, and which, in words.
    Bad(String),
    /// It could not be asked: refused, timed out, TLS.
    Unreachable(String),
}

/// Somebody's answer to an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Whether yes.
    pub yes: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Counts of one time, of all hosts that were asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Since the switch, by host; all hosts of the scope that the source knows.
    pub hosts: HostCounts,
    /// Since the switch, by wiki, on rolled hosts; empty where the source cannot tell.
    pub wikis: BTreeMap<Wiki, Count>,
    /// In as long a time before the switch, by host; `None`: the source cannot tell.
    pub before: Option<HostCounts>,
}
