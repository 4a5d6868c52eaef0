//! What a gate said of a release: the verdict, and the evidence in one sentence. The books keep it, people read it.

use super::names::{GateName, HostName};
use super::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The four verdicts, which are never merged into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Evidence that it is not worse than allowed.
    Pass,
    /// Evidence that it is worse.
    Fail,
    /// Too little data, or the interval straddles the limit.
    Inconclusive,
    /// The check could not be made.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
        })
    }
}

/// One verdict of one gate, with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// Which gate.
    pub gate: GateName,
    /// What it says.
    pub verdict: Verdict,
    /// When, by the controller's clock.
    pub at: Time,
    /// The number that decided, in the unit of the limit; `None` where there is none.
    pub value: Option<f64>,
    /// What it was held against: `ratio below 1.5`.
    pub limit: String,
    /// How many samples, hosts or events it rests on.
    pub n: u64,
    /// The time that was looked at, ms; 0: a moment.
    pub window_ms: u64,
    /// What was asked: a query, a URL, a file.
    pub query: String,
    /// The decision in one sentence, with value, limit, n, window and query.
    pub sentence: String,
    /// What was measured, at most [`super::limits::SAMPLES_KEPT_MAX`] lines: `mw2020.codfw.wmnet 340 of 1000`.
    pub samples: Vec<String>,
    /// The limit and the baseline as numbers, for a plot.
    #[serde(default, skip_serializing_if = "Against::is_empty")]
    pub against: Against,
}

/// What a judgement's value is held against, in its unit. Empty where the limit is no number, and in books of before it
/// was kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Against {
    /// The limits; finite.
    pub bounds: Vec<f64>,
    /// What the value would be if nothing had changed; finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
}

impl Against {
    /// One limit, and no baseline.
    pub fn bound(bound: f64) -> Self {
        Self { bounds: vec![bound], baseline: None }
    }

    fn is_empty(&self) -> bool {
        self.bounds.is_empty() && self.baseline.is_none()
    }

    /// Without what is no number: JSON has none.
    pub fn finite(self) -> Self {
        let bounds = self.bounds.into_iter().filter(|bound| bound.is_finite()).collect();
        Self { bounds, baseline: self.baseline.filter(|baseline| baseline.is_finite()) }
    }
}

/// Events among so much exposure: errors among requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// What is counted.
    pub events: u64,
    /// What it is counted among.
    pub exposure: u64,
}

/// Counts by host.
pub type HostCounts = BTreeMap<HostName, Count>;

impl Eq for Judgement {}
