//! A test that may be looked at again and again: the likelihood of a worse canary, mixed over a uniform prior on
//! (p0, 1], against that of p0. By Ville's inequality it exceeds 1/alpha at any look of a healthy canary with a
//! probability of at most alpha (Robbins, 1970).

use super::beta::tails;
use super::counts::Arms;
use statrs::function::gamma::ln_gamma;

/// ln L of the arms; the test fails when it reaches ln(1/alpha).
pub fn log_likelihood(arms: &Arms, tolerated: f64) -> f64 {
    let (x, y) = (arms.events, arms.control_events);
    let null = arms.share(tolerated);
    if null.q <= 0.0 {
        return 0.0;
    }
    let upper = tails(1.0 + x, 1.0 + y, null).upper;
    ln_beta(1.0 + x, 1.0 + y) + upper - null.q.ln() - at(x, null.p) - at(y, null.q)
}

/// k ln p, 0 when there is nothing to count.
fn at(k: f64, p: f64) -> f64 {
    if k > 0.0 { k * p.ln() } else { 0.0 }
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

#[cfg(test)]
mod tests;
