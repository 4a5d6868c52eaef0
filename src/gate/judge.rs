//! From a measurement to a verdict with its evidence in one sentence. One file a family of kinds.
//!
//! Invariants. No data, and no number that is not finite, is ever a pass; what could not be measured is an error. Evidence
//! of harm weighs more than a gap in the data: fail, then error, then inconclusive, then pass.
//! Absent on purpose: whether a gate only observes, which is for those who decide.

mod counts;
mod hosts;
mod numbers;
mod people;
mod signatures;
mod tally;

use super::reading::{ReadError, Reading, What};
use super::scope::Scope;
use super::signature::harmless;
use super::spec::{Gate, Kind};
use crate::model::limits::{LINE_BYTES_MAX, SAMPLES_KEPT_MAX, UNTRUSTED_SHOWN_MAX};
use crate::model::names::HostName;
use crate::model::time::Time;
use crate::model::verdict::{Against, Judgement, Verdict};
use std::collections::BTreeSet;
pub use tally::tallies;

/// What a kind found.
struct Found {
    verdict: Verdict,
    value: Option<f64>,
    limit: String,
    n: u64,
    /// Value and limit in words, no full stop.
    says: String,
    samples: Vec<String>,
    against: Against,
}

impl Found {
    fn new(verdict: Verdict, says: impl Into<String>) -> Self {
        let (limit, samples, against) = (String::new(), Vec::new(), Against::default());
        Self { verdict, value: None, limit, n: 0, says: says.into(), samples, against }
    }
}

/// Judges one measurement of `gate`; what could not be measured is an error and never a pass.
pub fn judge(gate: &Gate, scope: &Scope, reading: &Result<Reading, ReadError>, now: Time) -> Judgement {
    let scope = scope.only(gate.hosts.as_ref());
    let (found, query, window_ms) = match reading {
        Err(error) => (Found::new(Verdict::Error, format!("not measured: {}", shown(&error.why))), &error.query, 0),
        Ok(reading) => {
            let mut found = blind(gate, reading).unwrap_or_else(|| by_kind(gate, &scope, reading, now));
            let sampled = matches!(gate.kind, Kind::Threshold(_) | Kind::Ranks(_) | Kind::Counts(_));
            if sampled && reading.newest_age_ms.is_none() {
                found.says.push_str("; how old its newest sample is is not known");
            }
            (found, &reading.query, reading.window_ms)
        }
    };
    let query = harmless(query, LINE_BYTES_MAX);
    Judgement {
        gate: gate.name.clone(),
        verdict: found.verdict,
        at: now,
        value: found.value.filter(|value| value.is_finite()),
        sentence: sentence(&found, &query, window_ms),
        limit: found.limit,
        n: found.n,
        window_ms,
        query,
        samples: found.samples.into_iter().take(SAMPLES_KEPT_MAX).collect(),
        against: found.against.finite(),
    }
}

/// A source whose newest sample is too old decides nothing.
fn blind(gate: &Gate, reading: &Reading) -> Option<Found> {
    let max = match &gate.kind {
        Kind::Threshold(threshold) => threshold.newest_age_ms_max,
        Kind::Ranks(ranks) => ranks.newest_age_ms_max,
        Kind::Counts(counts) => counts.newest_age_ms_max?,
        Kind::Signatures(signatures) => signatures.newest_age_ms_max?,
        _ => return None,
    };
    let age = reading.newest_age_ms.filter(|age| *age > max)?;
    let says = format!("the source went blind: its newest sample is {} old, and {} is borne", span(age), span(max));
    Some(Found { limit: format!("samples at most {} old", span(max)), ..Found::new(Verdict::Inconclusive, says) })
}

fn by_kind(gate: &Gate, scope: &Scope, reading: &Reading, now: Time) -> Found {
    match (&gate.kind, &reading.what) {
        (Kind::Probe(_), What::Probed(shown)) => hosts::probe(scope, shown),
        (Kind::Served(served), What::Served(said)) => hosts::served(served, scope, said),
        (Kind::Contract(contract), What::Contract(differences)) => hosts::contract(contract, differences),
        (Kind::Command(command), What::Plugins(said)) => hosts::command(command, scope, said),
        (Kind::Host(host), What::Facts(facts)) => hosts::facts(host, scope, facts),
        (Kind::Threshold(threshold), What::Number(value)) => numbers::number(&threshold.rule, *value),
        (Kind::Threshold(threshold), What::Points(points)) => numbers::points(&threshold.rule, points),
        (Kind::Ranks(ranks), What::Numbers(values)) => numbers::ranks(ranks, scope, values),
        (Kind::Counts(counts), What::Counts(tally)) => counts::judge(&counts.limits, scope, tally),
        (Kind::Signatures(signatures), What::Signatures(seen)) => signatures::judge(signatures, scope, seen, now),
        (Kind::Blockers(_), What::Blockers(open)) => people::blockers(open),
        (Kind::Approval, What::Answer(answer)) => people::approval(answer.as_ref()),
        (Kind::Soak(soak), What::Soaked { time_ms, requests }) => people::soak(soak, *time_ms, *requests),
        _ => Found::new(Verdict::Error, "the source measured something else than this gate judges"),
    }
}

/// `Fails: RATIO ... (n 85, over the last 90 s, asked: QUERY).`
fn sentence(found: &Found, query: &str, window_ms: u64) -> String {
    let word = match found.verdict {
        Verdict::Pass => "Passes",
        Verdict::Fail => "Fails",
        Verdict::Inconclusive => "Undecided",
        Verdict::Error => "Error",
    };
    let mut rests = Vec::new();
    rests.extend((found.n > 0).then(|| format!("n {}", found.n)));
    rests.extend((window_ms > 0).then(|| format!("over {}", span(window_ms))));
    rests.extend((!query.is_empty()).then(|| format!("asked: {}", harmless(query, UNTRUSTED_SHOWN_MAX))));
    match rests.is_empty() {
        true => format!("{word}: {}.", found.says),
        false => format!("{word}: {} ({}).", found.says, rests.join(", ")),
    }
}

/// A text that somebody else made.
fn shown(text: &str) -> String {
    harmless(text, UNTRUSTED_SHOWN_MAX)
}

/// `90 s`, `10 min`, `2 h`.
fn span(ms: u64) -> String {
    match ms {
        0..=1999 => format!("{ms} ms"),
        2000..=119_999 => format!("{} s", ms / 1000),
        120_000..=7_199_999 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// A number for people: at most four digits behind the point.
pub fn brief(value: f64) -> String {
    match value.abs() {
        v if v.is_infinite() => if value.is_sign_positive() { "any number" } else { "minus any number" }.to_owned(),
        v if v != 0.0 && !(1e-3..1e9).contains(&v) => format!("{value:.2e}"),
        v if v >= 100.0 => format!("{value:.1}").trim_end_matches(".0").to_owned(),
        _ => format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// Who decides: hosts that were switched, or all when none was yet.
fn judged(scope: &Scope) -> BTreeSet<HostName> {
    if scope.rolled.is_empty() { scope.control.clone() } else { scope.rolled.clone() }
}

/// What is left of several hosts' verdicts: the gravest.
fn gravest(verdicts: impl IntoIterator<Item = Verdict>) -> Option<Verdict> {
    let order = [Verdict::Pass, Verdict::Inconclusive, Verdict::Error, Verdict::Fail];
    verdicts.into_iter().max_by_key(|verdict| order.iter().position(|other| other == verdict))
}

#[cfg(test)]
mod tests;
