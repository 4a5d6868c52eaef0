//! From a measurement to a verdict with its evidence in one sentence.

use super::reading::{ReadError, Reading};
use super::scope::Scope;
use super::spec::Gate;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};

/// Judges one measurement of `gate`; what could not be measured is an error and never a pass.
pub fn judge(gate: &Gate, scope: &Scope, reading: &Result<Reading, ReadError>, now: Time) -> Judgement {
    let _ = (scope, reading);
    Judgement {
        gate: gate.name.clone(),
        verdict: Verdict::Error,
        at: now,
        value: None,
        limit: String::new(),
        n: 0,
        window_ms: 0,
        query: String::new(),
        sentence: String::new(),
        samples: Vec::new(),
    }
}

/// Stub.
pub fn tallies(
    gate: &Gate,
    scope: &Scope,
    reading: &Reading,
) -> Option<(
    crate::model::verdict::HostCounts,
    crate::model::verdict::HostCounts,
    std::collections::BTreeMap<crate::model::names::Wiki, crate::model::verdict::Count>,
)> {
    let _ = (gate, scope, reading);
    None
}
