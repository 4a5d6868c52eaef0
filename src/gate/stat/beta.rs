//! The regularised incomplete beta function in logarithms, and its inverse.
//!
//! `statrs` is not used for it: its continued fraction ends after 140 terms, which a few ten thousand events exceed, its
//! leading factor loses digits with them, and it has no logarithm, so that small tails vanish. Here the factor is Loader's
//! binomial probability, and the smaller tail is always the one that is reckoned.
//!
//! Sources: continued fraction DLMF 8.17.22 (<https://dlmf.nist.gov/8.17#E22>) by the modified Lentz algorithm; factor:
//! C. Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000.

use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// Terms of the continued fraction; about the root of the larger parameter is needed.
const TERMS_MAX: u32 = 200_000;

/// Beyond this the exact logarithm of a probability is of no interest, and the odds have left every double.
const LOG_ODDS_MAX: f64 = 700.0;
/// So often is the range of the logarithm halved, after which it is known to 1e-14.
const HALVINGS: u32 = 57;

/// Odds of a point of [0, 1], so that neither end loses digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The point.
    pub p: f64,
    /// One minus the point.
    pub q: f64,
}

impl Point {
    /// Of a probability.
    pub fn of(p: f64) -> Self {
        Self { p, q: 1.0 - p }
    }

    /// Of the logarithm of the odds p/q.
    pub fn of_log_odds(t: f64) -> Self {
        Self { p: 1.0 / (1.0 + (-t).exp()), q: 1.0 / (1.0 + t.exp()) }
    }
}

/// Both tails of the beta distribution at a point, as natural logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tails {
    /// ln I_p(a, b).
    pub lower: f64,
    /// ln(1 - I_p(a, b)).
    pub upper: f64,
}

/// The tails of Beta(a, b), a and b positive.
pub fn tails(a: f64, b: f64, at: Point) -> Tails {
    if at.p <= 0.0 {
        return Tails { lower: f64::NEG_INFINITY, upper: 0.0 };
    }
    if at.q <= 0.0 {
        return Tails { lower: 0.0, upper: f64::NEG_INFINITY };
    }
    if at.p < (a + 1.0) / (a + b + 2.0) {
        let lower = ln_small(a, b, at).min(0.0);
        Tails { lower, upper: complement(lower) }
    } else {
        let upper = ln_small(b, a, Point { p: at.q, q: at.p }).min(0.0);
        Tails { lower: complement(upper), upper }
    }
}

/// ln(1 - e^x).
fn complement(x: f64) -> f64 {
    (-x.exp_m1()).ln()
}

/// The logarithm of the odds of the point whose tail below is `share`: B^-1(share; a, b), `share` within (0, 1).
pub fn inverse_log_odds(share: f64, a: f64, b: f64) -> f64 {
    let below = |t: f64| {
        let tails = tails(a, b, Point::of_log_odds(t));
        // The smaller tail has the digits.
        if share < 0.5 { tails.lower < share.ln() } else { tails.upper > (-share).ln_1p() }
    };
    let (mut low, mut high) = (-LOG_ODDS_MAX, LOG_ODDS_MAX);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if below(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// ln I_p(a, b) where p is below the mean, about.
fn ln_small(a: f64, b: f64, at: Point) -> f64 {
    (b / (a + b)).ln() + ln_binomial(a, b, at) + fraction(a, b, at.p).ln()
}

/// DLMF 8.17.22 without its factor.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let solid = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / solid(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..=TERMS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / solid(1.0 + term * d);
            c = solid(1.0 + term / c);
            step = c * d;
            h *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

/// ln of Gamma(a+b+1) / (Gamma(a+1) Gamma(b+1)) p^a q^b: the probability of a in a+b (Loader's saddle point expansion).
fn ln_binomial(a: f64, b: f64, at: Point) -> f64 {
    let n = a + b;
    let corrections = stirling_error(n) - stirling_error(a) - stirling_error(b);
    let root = 0.5 * (2.0 * PI * a * (b / n)).ln();
    corrections - deviance(a, n * at.p) - deviance(b, n * at.q) - root
}

/// ln Gamma(n+1) less Stirling's (n + 1/2) ln n - n + ln(2 pi)/2.
fn stirling_error(n: f64) -> f64 {
    if n <= 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
    }
    let square = n * n;
    let series = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
    series.iter().rev().fold(0.0, |sum, term| sum / square + term) / n
}

/// x ln(x/m) + m - x, by a series where the two are near.
fn deviance(x: f64, m: f64) -> f64 {
    if (x - m).abs() >= 0.1 * (x + m) {
        return x * (x / m).ln() + m - x;
    }
    let v = (x - m) / (x + m);
    let mut sum = (x - m) * v;
    let mut power = 2.0 * x * v;
    for j in 1..1000 {
        power *= v * v;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::stat::vectors::assert_close;

    /// I_p(a, b) for whole a and b, as the sum of binomial probabilities.
    fn summed(a: u32, b: u32, p: f64) -> f64 {
        let n = a + b - 1;
        let term = |k: u32| {
            let choose: f64 = (0..k).map(|i| f64::from(n - i) / f64::from(i + 1)).product();
            choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
        };
        (a..=n).map(term).sum()
    }

    #[test]
    fn tails_agree_with_sums_of_binomial_probabilities() {
        for (a, b) in [(1, 1), (1, 9), (2, 60), (5, 5), (12, 61), (25, 61), (40, 3), (100, 100)] {
            for p in [1e-6, 0.01, 0.1, 0.3, 0.5, 0.77, 0.99] {
                let got = tails(f64::from(a), f64::from(b), Point::of(p));
                assert_close(got.lower.exp(), summed(a, b, p), &format!("I_{p}({a}, {b})"));
                assert_close(got.upper.exp(), summed(b, a, 1.0 - p), &format!("1 - I_{p}({a}, {b})"));
            }
        }
    }

    #[test]
    fn a_closed_form_holds_with_a_million_events() {
        // I_p(a, 1) = p^a and I_p(1, b) = 1 - q^b.
        for n in [1e3_f64, 1e5, 1e6, 1e8] {
            let at = Point::of_log_odds((n / 3.0).ln());
            assert_close(tails(n, 1.0, at).lower, n * (-at.q).ln_1p(), "p^a");
            let at = Point { p: at.q, q: at.p };
            assert_close(tails(1.0, n, at).upper, n * (-at.p).ln_1p(), "q^b");
        }
        // Symmetry: the median of Beta(a, a) is a half.
        for n in [1e2, 1e4, 1e6, 1e8] {
            assert_close(tails(n, n, Point::of(0.5)).lower.exp(), 0.5, "the median");
        }
    }

    #[test]
    fn the_parts_of_the_factor_hold_by_themselves() {
        // 17! and 20! are whole numbers that a double has exactly.
        for (n, factorial) in [(17.0_f64, 355_687_428_096_000.0_f64), (20.0, 2_432_902_008_176_640_000.0)] {
            let want = factorial.ln() - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
            assert!((stirling_error(n) - want).abs() < 1e-13, "{n}: {} and {want}", stirling_error(n));
        }
        // Far apart, and so near that the closed form would lose its digits: x ln(x/m) + m - x = (x-m)^2 / 2m + ...
        assert_close(deviance(1e6, 1e3), 1e6 * 1e3_f64.ln() + 1e3 - 1e6, "far apart");
        assert_close(deviance(1e8 + 1.0, 1e8), 0.5e-8 - 1e-16 / 6.0, "near");
    }

    #[test]
    fn the_inverse_undoes_the_function() {
        for (a, b) in [(1.0, 9.0), (6.0, 1.0), (200.0, 1501.0), (3.5, 2.25), (5e5, 2e6)] {
            for share in [1e-12, 0.005, 0.025, 0.5, 0.975, 0.995] {
                let t = inverse_log_odds(share, a, b);
                assert_close(tails(a, b, Point::of_log_odds(t)).lower.exp(), share, &format!("{share} of {a}, {b}"));
            }
        }
    }
}
