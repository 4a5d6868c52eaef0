//! Errors among requests, in two arms: interval of the rate ratio, or the sequential test.

use super::{Found, brief};
use crate::gate::reading::Tally;
use crate::gate::scope::Scope;
use crate::gate::spec::counts::CountLimits;
use crate::gate::stat::counts::{Arms, PHI_MAX, overdispersion};
use crate::gate::stat::sequential::log_likelihood;
use crate::model::names::HostName;
use crate::model::verdict::{Against, Count, HostCounts, Verdict};
use std::collections::BTreeSet;

/// Counts of these hosts alone.
pub(super) fn of(counts: &HostCounts, hosts: &BTreeSet<HostName>) -> HostCounts {
    counts.iter().filter(|(host, _)| hosts.contains(*host)).map(|(host, count)| (host.clone(), *count)).collect()
}

pub(super) fn sum(counts: &HostCounts) -> Count {
    counts.values().fold(Count::default(), |sum, count| Count {
        events: sum.events.saturating_add(count.events),
        exposure: sum.exposure.saturating_add(count.exposure),
    })
}

pub(super) fn judge(limits: &CountLimits, scope: &Scope, tally: &Tally) -> Found {
    let rolled = of(&tally.hosts, &scope.rolled);
    let beside = of(&tally.hosts, &scope.control);
    let (control, whom) = match (beside.is_empty(), &tally.before) {
        (false, _) => (beside, "on the other hosts"),
        (true, Some(before)) if !before.is_empty() => (before.clone(), "before the switch"),
        _ => {
            return Found::new(
                Verdict::Inconclusive,
                "there is nothing to compare with: no other host, and nothing of before the switch",
            );
        }
    };
    let mut found = compare(limits, sum(&rolled), &control, whom);
    let line = |(host, count): (&HostName, &Count)| format!("{host} {} of {}", count.events, count.exposure);
    let mut worst: Vec<(&HostName, &Count)> = rolled.iter().collect();
    worst.sort_by_key(|(_, count)| std::cmp::Reverse(count.events));
    found.samples = worst.into_iter().map(line).collect();
    found
}

/// The arms against each other; `whom` says where the control's counts are from.
pub(super) fn compare(limits: &CountLimits, ours: Count, control: &HostCounts, whom: &str) -> Found {
    let theirs = sum(control);
    let said = format!("{} of {} against {} of {} {whom}", ours.events, ours.exposure, theirs.events, theirs.exposure);
    let found = |verdict, value: Option<f64>, against: Against, limit: String, why: String| Found {
        verdict,
        value,
        against,
        n: ours.events.saturating_add(theirs.events),
        says: format!("{said}: {why}"),
        limit,
        samples: Vec::new(),
    };
    let least = limits.min_exposure.max(1);
    if ours.exposure < least || theirs.exposure < least {
        let why = format!("too little to judge, {least} on either side are needed");
        return found(Verdict::Inconclusive, None, Against::default(), format!("exposure of at least {least}"), why);
    }
    let (arms, thinned) = thinned(Arms::new(ours, theirs), control);
    let (low, high) = arms.ratio_interval(limits.alpha);
    let interval = format!("{} to {} times the rate{thinned}", brief(low), brief(high));
    if let Some((value, against, limit, why)) = worse(limits, &arms, low) {
        return found(Verdict::Fail, Some(value), against, limit, format!("{interval}, {why}"));
    }
    if theirs.events == 0 {
        let bound = arms.rate_bound(limits.alpha);
        let limit = format!("rate below {}", brief(limits.max_rate));
        let verdict = if bound < limits.max_rate { Verdict::Pass } else { Verdict::Inconclusive };
        return found(
            verdict,
            Some(bound),
            Against::bound(limits.max_rate),
            limit.clone(),
            format!("the rate is at most {}, {limit} passes", brief(bound)),
        );
    }
    let limit = format!("ratio below {}", brief(limits.max_ratio));
    let verdict = if high < limits.max_ratio { Verdict::Pass } else { Verdict::Inconclusive };
    found(verdict, Some(high), ratio(limits.max_ratio), limit.clone(), format!("{interval}, {limit} passes"))
}

/// Events that come in clusters count less.
fn thinned(arms: Arms, control: &HostCounts) -> (Arms, String) {
    let phi = overdispersion(control.values());
    match phi > PHI_MAX {
        true => {
            (arms.thinned(phi), format!(" (hosts vary {} times as much as chance, so events count less)", brief(phi)))
        }
        false => (arms, String::new()),
    }
}

/// A limit of a ratio of rates: the others' rate is its baseline.
fn ratio(bound: f64) -> Against {
    Against { bounds: vec![bound], baseline: Some(1.0) }
}

/// The number that fails, its limit as a number and in words, and why; `None`: no evidence that it is worse.
fn worse(limits: &CountLimits, arms: &Arms, low: f64) -> Option<(f64, Against, String, String)> {
    if arms.events < limits.min_events as f64 {
        return None;
    }
    if limits.sequential {
        let (l, least) = (log_likelihood(arms, limits.tolerated_ratio), -limits.alpha.ln());
        let limit = format!("log likelihood ratio below {}", brief(least));
        return (l >= least).then(|| {
            (
                l,
                Against::bound(least),
                limit,
                format!("log likelihood ratio {} of {} at this look", brief(l), brief(least)),
            )
        });
    }
    let limit = format!("ratio not surely above {}", brief(limits.min_ratio));
    (low > limits.min_ratio)
        .then(|| (low, ratio(limits.min_ratio), limit, format!("surely above {}", brief(limits.min_ratio))))
}

#[cfg(test)]
mod tests;
