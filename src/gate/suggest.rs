//! Limits for a threshold gate, out of what its source measured in the past.
//!
//! Invariant: every limit is shown with how often it would have alarmed; what is proposed is a start and no promise, since
//! the past may have had faults that should alarm. Percentiles are by nearest rank.

use super::spec::numbers::{Condition, Op, Rule};

/// Percentiles of badness for which a limit is proposed; the last is the worst value itself.
const PROPOSED: [f64; 3] = [99.0, 99.9, 100.0];
/// Percentiles that are shown.
const SHOWN: [f64; 5] = [1.0, 50.0, 90.0, 99.0, 99.9];

/// What the past says.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Suggestion {
    /// Points with a number.
    pub points: usize,
    /// Points without one.
    pub missing: usize,
    /// The smallest number.
    pub smallest: f64,
    /// The largest number.
    pub largest: f64,
    /// Percent, and the number that so many are at most.
    pub percentiles: Vec<(f64, f64)>,
    /// The limits of now, then those proposed, the strictest first.
    pub limits: Vec<Alarmed>,
}

/// A limit, and what it would have done.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Alarmed {
    /// What is bad: `> 5`.
    pub bad: String,
    /// Where it comes from: `now`, `99 %`, `99.9 %`, `worst`.
    pub why: String,
    /// At how many points it would have alarmed.
    pub points: usize,
    /// How many times: points in a row are one time.
    pub times: usize,
}

/// How a gate looks at points: as many at a time, and the share of them that makes an alarm.
struct Look {
    at_a_time: usize,
    percent: f64,
}

/// What is made of the past; `step_ms` is from one point to the next. `None`: there is not one number.
pub fn suggest(rule: &Rule, window_ms: u64, points: &[Option<f64>], step_ms: u64) -> Option<Suggestion> {
    let mut sorted: Vec<f64> = points.iter().flatten().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let (smallest, largest) = (*sorted.first()?, *sorted.last()?);
    let (now, look) = match rule {
        Rule::Number { success, failure } => {
            let now = failure.or_else(|| success.map(opposite)).into_iter().collect();
            (now, Look { at_a_time: 1, percent: 100.0 })
        }
        Rule::PercentAbove(alert) => {
            let op = if alert.under { Op::Below } else { Op::Above };
            let at_a_time = usize::try_from(window_ms / step_ms.max(1)).unwrap_or(usize::MAX).max(1);
            let limits = [alert.warn, alert.crit].map(|limit| Condition { op, limit }).to_vec();
            (limits, Look { at_a_time, percent: alert.percent })
        }
    };
    let now: Vec<Condition> = now;
    let low_is_bad = now.first().is_some_and(|bad| matches!(bad.op, Op::Below | Op::AtMost));
    let proposed = PROPOSED.iter().map(|&percent| {
        let rank = if low_is_bad { 100.0 - percent } else { percent };
        let op = if low_is_bad { Op::Below } else { Op::Above };
        let why = if percent < 100.0 { format!("{percent} %") } else { "worst".to_owned() };
        (Condition { op, limit: beyond(percentile(&sorted, rank), low_is_bad) }, why)
    });
    let all = now.iter().map(|bad| (*bad, "now".to_owned())).chain(proposed);
    Some(Suggestion {
        points: sorted.len(),
        missing: points.len() - sorted.len(),
        smallest,
        largest,
        percentiles: SHOWN.map(|percent| (percent, percentile(&sorted, percent))).to_vec(),
        limits: all.map(|(bad, why)| alarmed(bad, why, points, &look)).collect(),
    })
}

/// What fails when only the good is said.
fn opposite(good: Condition) -> Condition {
    let op = match good.op {
        Op::Below => Op::AtLeast,
        Op::AtMost => Op::Above,
        Op::Above => Op::AtMost,
        Op::AtLeast => Op::Below,
    };
    Condition { op, ..good }
}

/// The number that `percent` of all are at most.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The next number with two digits that is not better than this one.
fn beyond(value: f64, low_is_bad: bool) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 1.0);
    // A unit that came out of a power is not exact, and neither is what it divides.
    let digits = (value / unit * 1e6).round() / 1e6;
    let whole = if low_is_bad { digits.floor() } else { digits.ceil() };
    format!("{:.1e}", whole * unit).parse().unwrap_or(value)
}

fn alarmed(bad: Condition, why: String, points: &[Option<f64>], look: &Look) -> Alarmed {
    let mut found = Alarmed { bad: bad.to_string(), why, points: 0, times: 0 };
    let (mut valid, mut beyond, mut before) = (0usize, 0usize, false);
    let counted = |point: &Option<f64>| point.filter(|value| value.is_finite()).map(|value| bad.holds(value));
    for (at, point) in points.iter().enumerate() {
        let gone = at.checked_sub(look.at_a_time).and_then(|at| counted(&points[at]));
        valid = valid + usize::from(counted(point).is_some()) - usize::from(gone.is_some());
        beyond = beyond + usize::from(counted(point) == Some(true)) - usize::from(gone == Some(true));
        if valid == 0 {
            continue;
        }
        let alarms = beyond > 0 && beyond as f64 >= valid as f64 * look.percent / 100.0;
        found.points += usize::from(alarms);
        found.times += usize::from(alarms && !before);
        before = alarms;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::spec::numbers::PercentAbove;

    fn number(success: &str, limit: f64) -> Rule {
        let op = if success == "<" { Op::Below } else { Op::AtLeast };
        Rule::Number { success: Some(Condition { op, limit }), failure: None }
    }

    fn limits(found: &Suggestion) -> Vec<(String, usize, usize)> {
        found.limits.iter().map(|one| (format!("{} {}", one.why, one.bad), one.points, one.times)).collect()
    }

    #[test]
    fn limits_and_how_often_they_would_have_alarmed() {
        let mut points: Vec<Option<f64>> = (1..=1000).map(|n| Some(f64::from(n % 100))).collect();
        points[500] = Some(412.0);
        points[501] = None;
        points[502] = Some(413.0);
        let found = suggest(&number("<", 99.0), 0, &points, 60_000).expect("there are numbers");
        assert_eq!((found.points, found.missing, found.smallest, found.largest), (999, 1, 0.0, 413.0));
        assert_eq!(found.percentiles, [(1.0, 0.0), (50.0, 50.0), (90.0, 90.0), (99.0, 99.0), (99.9, 413.0)]);
        let want = [("now >= 99", 12, 11), ("99 % > 99", 2, 1), ("99.9 % > 420", 0, 0), ("worst > 420", 0, 0)];
        assert_eq!(limits(&found), want.map(|(limit, points, times)| (limit.to_owned(), points, times)));
    }

    #[test]
    fn small_numbers_may_be_the_bad_ones() {
        let points: Vec<Option<f64>> = (0..200).map(|n| Some(if n == 7 { 0.123 } else { 10.0 })).collect();
        let found = suggest(&number(">=", 5.0), 0, &points, 60_000).expect("there are numbers");
        let want = [("now < 5", 1, 1), ("99 % < 10", 1, 1), ("99.9 % < 0.12", 0, 0), ("worst < 0.12", 0, 0)];
        assert_eq!(limits(&found), want.map(|(limit, points, times)| (limit.to_owned(), points, times)));
    }

    #[test]
    fn a_share_of_a_window_alarms() {
        let alert = PercentAbove { warn: 5.0, crit: 50.0, percent: 40.0, under: false, warning_fails: false };
        let points: Vec<Option<f64>> = (0..20).map(|n| Some(if n == 3 || n == 5 { 9.0 } else { 1.0 })).collect();
        let found = suggest(&Rule::PercentAbove(alert), 300_000, &points, 60_000).expect("there are numbers");
        assert_eq!(limits(&found)[..2], [("now > 5".to_owned(), 3, 1), ("now > 50".to_owned(), 0, 0)]);
    }

    #[test]
    fn where_nothing_is_beyond_a_limit_nothing_alarms() {
        let alert = PercentAbove { warn: 5.0, crit: 50.0, percent: 0.0, under: false, warning_fails: false };
        let points = [Some(1.0), Some(9.0), None, None, None];
        let found = suggest(&Rule::PercentAbove(alert), 1, &points, 60_000).expect("there are numbers");
        assert_eq!((found.points, found.missing), (2, 3));
        assert_eq!(limits(&found)[..2], [("now > 5".to_owned(), 1, 1), ("now > 50".to_owned(), 0, 0)]);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert_eq!(suggest(&number("<", 1.0), 0, &[None, Some(f64::NAN)], 1), None);
        assert_eq!((beyond(0.0, false), beyond(-41.5, false), beyond(-41.5, true)), (0.0, -41.0, -42.0));
    }
}
