//! Events among exposure in two arms: exact conditional test and the interval of the rate ratio.
//!
//! Given n = x + y events in all, x is binomial with p0 = r0 E_c / (r0 E_c + E_b) when the canary's rate is r0 times the
//! control's (Przyborowski and Wilenski, 1940); the interval is Clopper's and Pearson's (1934).

use super::beta::{Point, Tails, inverse_log_odds, tails};
use crate::model::verdict::Count;

/// More events than this are scaled down, which only widens the interval: beyond, the fractions would take too long.
const EVENTS_MAX: f64 = 1e8;
/// Counts of control hosts that vary more than so many times as much as chance lets them thin the evidence.
pub const PHI_MAX: f64 = 1.5;

/// Events and exposure of both arms, after whatever thinned them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arms {
    /// x: events of the canary.
    pub events: f64,
    /// y: events of the control.
    pub control_events: f64,
    /// E_c: exposure of the canary.
    pub exposure: f64,
    /// E_b: exposure of the control.
    pub control_exposure: f64,
}

impl Arms {
    /// Both arms as they were counted.
    pub fn new(canary: Count, control: Count) -> Self {
        let arms = Self {
            events: canary.events as f64,
            control_events: control.events as f64,
            exposure: canary.exposure as f64,
            control_exposure: control.exposure as f64,
        };
        arms.thinned((arms.total() / EVENTS_MAX).max(1.0))
    }

    /// With events divided, so that clusters of events count once.
    pub fn thinned(self, by: f64) -> Self {
        Self { events: self.events / by, control_events: self.control_events / by, ..self }
    }

    /// n.
    pub fn total(&self) -> f64 {
        self.events + self.control_events
    }

    /// p0: the canary's share of events when its rate is `tolerated` times the control's.
    pub fn share(&self, tolerated: f64) -> Point {
        let sum = tolerated * self.exposure + self.control_exposure;
        Point { p: tolerated * self.exposure / sum, q: self.control_exposure / sum }
    }

    /// P(Bin(n, p0) >= x): how likely so many events are when the canary is no worse than tolerated.
    pub fn p_greater(&self, tolerated: f64) -> f64 {
        at_least(self.events, self.total(), self.share(tolerated))
    }

    /// The rate ratio's exact interval at 1 - alpha; the upper bound is infinite when the control has no events.
    pub fn ratio_interval(&self, alpha: f64) -> (f64, f64) {
        let exposures = self.control_exposure / self.exposure;
        let (x, y) = (self.events, self.control_events);
        let lower = if x > 0.0 { inverse_log_odds(alpha / 2.0, x, y + 1.0).exp() * exposures } else { 0.0 };
        let upper =
            if y > 0.0 { inverse_log_odds(1.0 - alpha / 2.0, x + 1.0, y).exp() * exposures } else { f64::INFINITY };
        (lower, upper)
    }

    /// The exact upper bound of the canary's own rate x / E_c at 1 - alpha; 1 when there are as many events as exposure.
    pub fn rate_bound(&self, alpha: f64) -> f64 {
        let free = self.exposure - self.events;
        match free > 0.0 {
            true => Point::of_log_odds(inverse_log_odds(1.0 - alpha / 2.0, self.events + 1.0, free)).p,
            false => 1.0,
        }
    }
}

/// P(Bin(n, p) >= x) = I_p(x, n - x + 1); 1 when x is 0.
pub fn at_least(x: f64, n: f64, p: Point) -> f64 {
    match x > 0.0 {
        true => ln_tails(x, n, p).lower.exp(),
        false => 1.0,
    }
}

fn ln_tails(x: f64, n: f64, p: Point) -> Tails {
    tails(x, n - x + 1.0, p)
}

/// How much more the hosts' counts vary than chance lets them: Pearson's chi-square by degree of freedom, which is
/// variance / mean where all have the same exposure. 1 when there are fewer than two hosts or no events.
pub fn overdispersion<'a>(hosts: impl IntoIterator<Item = &'a Count>) -> f64 {
    let hosts: Vec<&Count> = hosts.into_iter().filter(|count| count.exposure > 0).collect();
    let sum = |of: fn(&Count) -> u64| hosts.iter().map(|count| of(count) as f64).sum::<f64>();
    let (events, exposure) = (sum(|count| count.events), sum(|count| count.exposure));
    if hosts.len() < 2 || events == 0.0 {
        return 1.0;
    }
    let square = |count: &&Count| {
        let expected = events * (count.exposure as f64 / exposure);
        (count.events as f64 - expected).powi(2) / expected
    };
    hosts.iter().map(square).sum::<f64>() / (hosts.len() - 1) as f64
}

/// The least events, all of them on the canary, for which p is at most alpha when the canary has this share of exposure.
pub fn events_needed(alpha: f64, share: f64) -> u64 {
    (alpha.ln() / share.ln() - 1e-9).ceil().max(1.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::stat::vectors::{assert_close, list, number, stat};

    fn count(pair: &serde_json::Value) -> Count {
        Count { events: number(&pair[0]) as u64, exposure: number(&pair[1]) as u64 }
    }

    #[test]
    fn the_vectors_hold() {
        let vectors = stat();
        let rows = list(&vectors["counts"]);
        assert_eq!(rows.len(), 12);
        for row in rows {
            let arms = Arms::new(count(&row["canary"]), count(&row["control"]));
            assert_close(arms.p_greater(1.0), number(&row["binom_p_greater"]), &format!("p of {row}"));
            let Some(interval) = row.get("rate_ratio_ci95") else { continue };
            let (low, high) = arms.ratio_interval(0.05);
            assert_close(low, number(&interval[0]), &format!("lower bound of {row}"));
            assert_close(high, interval[1].as_f64().unwrap_or(f64::INFINITY), &format!("upper bound of {row}"));
        }
    }

    #[test]
    fn least_events_are_those_of_the_vectors() {
        let vectors = stat();
        for (alpha, row) in vectors["min_events_all_canary"].as_object().expect("by alpha") {
            for (share, want) in row.as_object().expect("by share") {
                let got = events_needed(alpha.parse().expect("alpha"), share.parse().expect("share"));
                assert_eq!(Some(got), want.as_u64(), "alpha {alpha}, share {share}");
            }
        }
    }

    #[test]
    fn a_tolerated_ratio_moves_the_share() {
        let arms = Arms::new(Count { events: 20, exposure: 1000 }, Count { events: 10, exposure: 1000 });
        assert!((arms.share(2.0).p - 2.0 / 3.0).abs() < 1e-15);
        assert!(arms.p_greater(2.0) > 0.5 && arms.p_greater(1.0) < 0.05);
    }

    #[test]
    fn overdispersion_is_variance_by_mean_for_equal_hosts() {
        let hosts = [3u64, 9, 0, 4, 14].map(|events| Count { events, exposure: 700 });
        // Mean 6, squares 9 + 9 + 36 + 4 + 64 = 122, by 4 and by 6.
        assert_close(overdispersion(&hosts), 122.0 / 24.0, "phi");
        // A host with twice the traffic and twice the events is not strange.
        let fair = [Count { events: 10, exposure: 1000 }, Count { events: 20, exposure: 2000 }];
        assert_eq!(overdispersion(&fair), 0.0);
        assert_eq!(overdispersion(&hosts[..1]), 1.0);
        // Nor does one without any count.
        let idle = [hosts.as_slice(), &[Count { events: 0, exposure: 0 }]].concat();
        assert_close(overdispersion(&idle), 122.0 / 24.0, "phi beside a host without traffic");
    }

    #[test]
    fn the_bound_of_a_rate_without_events_has_a_closed_form() {
        let arms = Arms::new(Count { events: 0, exposure: 5000 }, Count { events: 0, exposure: 5000 });
        assert_close(arms.rate_bound(0.01), 1.0 - 0.005f64.powf(1.0 / 5000.0), "upper bound");
        assert_eq!(Arms { events: 6.0, exposure: 6.0, ..arms }.rate_bound(0.01), 1.0);
    }

    #[test]
    fn absurd_counts_are_reckoned_in_bounded_time_and_stay_finite() {
        let huge = Count { events: u64::MAX, exposure: u64::MAX };
        let (low, high) = Arms::new(huge, huge).ratio_interval(0.01);
        assert!(low > 0.99 && low < 1.0 && high > 1.0 && high < 1.01, "{low} {high}");
    }
}
