//! Numbers from monitoring: conditions, Graphite's classic alert, and ranks.

use super::{Found, brief};
use crate::gate::scope::Scope;
use crate::gate::spec::numbers::{Condition, Op, PercentAbove, Ranks, Rule};
use crate::gate::stat::ranks::{Ranked, compare, control_to_fail, smallest_p};
use crate::model::names::HostName;
use crate::model::verdict::{Against, Verdict};
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};

/// A comparison in words.
pub(super) fn word(op: Op) -> &'static str {
    match op {
        Op::Below => "below",
        Op::AtMost => "at most",
        Op::Above => "above",
        Op::AtLeast => "at least",
    }
}

pub(super) fn number(rule: &Rule, value: Option<f64>) -> Found {
    let Rule::Number { success, failure } = rule else {
        return Found::new(Verdict::Error, "the source gave one number, and this gate judges a series");
    };
    let named = |what: &str, condition: &Option<Condition>| {
        condition.map(|c| format!("{what} {} {}", word(c.op), brief(c.limit)))
    };
    let limits: Vec<String> = [named("good", success), named("bad", failure)].into_iter().flatten().collect();
    let limit = limits.join(", ");
    let Some(value) = value.filter(|value| value.is_finite()) else {
        let says = format!("the source has no number to hold against: {limit}");
        return Found { limit, ..Found::new(Verdict::Inconclusive, says) };
    };
    let (good, bad) = (success.map(|c| c.holds(value)), failure.map(|c| c.holds(value)));
    let verdict = match (good, bad) {
        (Some(true), Some(false) | None) | (None, Some(false)) => Verdict::Pass,
        (Some(false) | None, Some(true)) | (Some(false), None) => Verdict::Fail,
        _ => Verdict::Inconclusive,
    };
    let says = format!("{} was measured; {limit}", brief(value));
    let bounds = [success, failure].into_iter().flatten().map(|condition| condition.limit).collect();
    let against = Against { bounds, baseline: None };
    Found { verdict, value: Some(value), limit, n: 1, says, samples: vec![brief(value)], against }
}

pub(super) fn points(rule: &Rule, points: &[Option<f64>]) -> Found {
    let Rule::PercentAbove(alert) = rule else {
        return Found::new(Verdict::Error, "the source gave a series, and this gate judges one number");
    };
    let valid: Vec<f64> = points.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    let (all, nulls) = (valid.len(), points.len() - valid.len());
    let limit = format!("less than {}% of data {} {:?}", brief(alert.percent), side(alert), alert.warn);
    if all == 0 || nulls > all {
        let says = format!("{} of {} have no number", nulls, count(points.len(), "point"));
        return Found { limit, n: all as u64, ..Found::new(Verdict::Inconclusive, says) };
    }
    let beyond = |value: f64, limit: f64| if alert.under { value < limit } else { value > limit };
    let critical = valid.iter().filter(|value| beyond(**value, alert.crit)).count();
    let warning = valid.iter().filter(|value| beyond(**value, alert.warn) && !beyond(**value, alert.crit)).count();
    let enough = |n: usize| n as f64 >= all as f64 * alert.percent / 100.0;
    let share = |n: usize| n as f64 * 100.0 / all as f64;
    let text = |n: usize, name: &str, limit: f64| {
        format!("{:.2}% of data {} the {name} threshold [{limit:?}]", share(n), side(alert))
    };
    let (verdict, value, says) = match () {
        () if enough(critical) => (Verdict::Fail, share(critical), text(critical, "critical", alert.crit)),
        () if enough(warning) => {
            let verdict = if alert.warning_fails { Verdict::Fail } else { Verdict::Inconclusive };
            (verdict, share(warning), text(warning, "warning", alert.warn))
        }
        () => (Verdict::Pass, share(critical + warning), limit.clone()),
    };
    let written: Vec<String> = points.iter().map(|point| point.map_or("null".to_owned(), brief)).collect();
    let samples = vec![super::shown(&written.join(" "))];
    Found { verdict, value: Some(value), limit, n: all as u64, says, samples, against: Against::bound(alert.percent) }
}

fn side(alert: &PercentAbove) -> &'static str {
    if alert.under { "below" } else { "above" }
}

pub(super) fn ranks(gate: &Ranks, scope: &Scope, values: &BTreeMap<HostName, f64>) -> Found {
    let of = |hosts: &BTreeSet<HostName>| -> Vec<f64> {
        hosts.iter().filter_map(|host| values.get(host)).copied().filter(|value| value.is_finite()).collect()
    };
    let (ours, theirs) = (of(&scope.rolled), of(&scope.control));
    let (m, n) = (ours.len(), theirs.len());
    let limit = format!(
        "p below {}, A12 at least {} and shift above {}",
        brief(gate.alpha),
        brief(gate.effect_min),
        brief(gate.floor)
    );
    let found = |verdict, value, says| Found {
        verdict,
        value,
        limit: limit.clone(),
        n: (m + n) as u64,
        says,
        samples: Vec::new(),
        against: Against { bounds: vec![gate.floor], baseline: Some(0.0) },
    };
    let Some(ranked) = compare(&ours, &theirs) else {
        let says = format!("numbers of {} and {} to compare with are not enough", count(m, "switched host"), n);
        return found(Verdict::Inconclusive, None, says);
    };
    let Ranked { p, a12, shift, .. } = ranked;
    let larger = a12 >= gate.effect_min && shift > gate.floor;
    let mut says = format!(
        "{} against {}: shift {}, A12 {}, p {}; fails with {limit}",
        count(m, "switched host"),
        count(n, "other host"),
        brief(shift),
        brief(a12),
        brief(p)
    );
    let missing = scope.rolled.len() - m;
    let verdict = match () {
        () if p < gate.alpha && larger => Verdict::Fail,
        // It fails strictly below alpha.
        () if smallest_p(m, n) >= gate.alpha => {
            let needs = control_to_fail(m, gate.alpha).map_or("more".to_owned(), |n| n.to_string());
            says.push_str(&format!("; with so few hosts it can't fail, {needs} to compare with are needed"));
            Verdict::Inconclusive
        }
        () if missing > 0 => {
            says.push_str(&format!("; {} gave no number", count(missing, "switched host")));
            Verdict::Inconclusive
        }
        () if larger => Verdict::Inconclusive,
        () => Verdict::Pass,
    };
    let line = |host: &HostName| Some(format!("{host} {}", brief(*values.get(host)?)));
    Found { samples: scope.rolled.iter().filter_map(line).collect(), ..found(verdict, Some(shift), says) }
}
