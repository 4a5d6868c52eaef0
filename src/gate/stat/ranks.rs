//! One number a host, canary hosts against control hosts: Mann and Whitney's U, one-sided.
//!
//! Exact by counting arrangements (Mann and Whitney, 1947) where that is cheap and nothing is tied, else by the normal
//! approximation with the tie term and a continuity correction of a half. A12 is Vargha's and Delaney's effect (2000),
//! the shift is Hodges' and Lehmann's (1963).

use statrs::function::erf::erfc;

/// m n up to which, without ties, the distribution is counted out.
const EXACT_PAIRS_MAX: usize = 400;
/// Values of an arm from which the shift is made; of more, evenly spaced ones are taken.
const SHIFT_VALUES_MAX: usize = 1000;

/// How two arms compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Pairs in which the canary host has the larger number; ties count a half.
    pub u: f64,
    /// How likely so large a U is when the arms are alike.
    pub p: f64,
    /// U / (m n): the share of pairs in which the canary host has the larger number.
    pub a12: f64,
    /// The median of all differences canary - control, in the unit of the numbers.
    pub shift: f64,
}

/// Compares finite numbers; `None` when an arm has none.
pub fn compare(canary: &[f64], control: &[f64]) -> Option<Ranked> {
    let (m, n) = (canary.len(), control.len());
    if m == 0 || n == 0 || canary.iter().chain(control).any(|value| !value.is_finite()) {
        return None;
    }
    let (u, ties) = u_and_ties(canary, control);
    let p = match ties == 0.0 && m * n <= EXACT_PAIRS_MAX {
        true => exact(u, m, n),
        false => normal(u, m, n, ties, 0.5),
    };
    Some(Ranked { u, p, a12: u / (m as f64 * n as f64), shift: shift(canary, control) })
}

/// U of the canary, and the sum of t^3 - t over groups of t tied numbers.
fn u_and_ties(canary: &[f64], control: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> =
        canary.iter().map(|v| (*v, true)).chain(control.iter().map(|v| (*v, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut u, mut ties) = (0.0, 0.0, 0.0);
    // `==` and not the total order, so that 0 and -0 are tied.
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let ours = group.iter().filter(|(_, canary)| *canary).count() as f64;
        let theirs = group.len() as f64 - ours;
        u += ours * (below + theirs / 2.0);
        below += theirs;
        ties += (group.len() as f64).powi(3) - group.len() as f64;
    }
    (u, ties)
}

/// P(U >= u) by counting arrangements.
fn exact(u: f64, m: usize, n: usize) -> f64 {
    // The number of arrangements with each U is the coefficient of the Gaussian binomial (m+n choose m); whole and, with
    // m n at most 400, below 2^53: C(40, 20) is the largest.
    let mut ways = vec![0.0; m * n + 1];
    ways[0] = 1.0;
    for i in 1..=m {
        for at in (n + i..=m * n).rev() {
            ways[at] -= ways[at - n - i];
        }
        for at in i..=m * n {
            ways[at] += ways[at - i];
        }
    }
    let total: f64 = ways.iter().sum();
    ways[(u.ceil() as usize).min(m * n)..].iter().sum::<f64>() / total
}

/// P(U >= u) by the normal approximation; 1 when all numbers are the same.
fn normal(u: f64, m: usize, n: usize, ties: f64, continuity: f64) -> f64 {
    let (m, n) = (m as f64, n as f64);
    let all = m + n;
    let variance = m * n / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (u - m * n / 2.0 - continuity) / variance.sqrt();
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

fn shift(canary: &[f64], control: &[f64]) -> f64 {
    let (ours, theirs) = (spaced(canary), spaced(control));
    let mut differences: Vec<f64> = ours.iter().flat_map(|a| theirs.iter().map(move |b| a - b)).collect();
    let middle = differences.len() / 2;
    let (below, upper, _) = differences.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    match (ours.len() * theirs.len()).is_multiple_of(2) {
        true => f64::midpoint(below.iter().copied().fold(f64::NEG_INFINITY, f64::max), upper),
        false => upper,
    }
}

/// At most [`SHIFT_VALUES_MAX`] of the values, evenly spaced by rank.
fn spaced(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let step = sorted.len().div_ceil(SHIFT_VALUES_MAX);
    sorted.into_iter().skip(step / 2).step_by(step).collect()
}

/// The smallest p that m canary and n control hosts can ever give: 1 / C(m+n, m).
pub fn smallest_p(m: usize, n: usize) -> f64 {
    let few = m.min(n);
    (1..=few).map(|i| i as f64 / (m + n - few + i) as f64).product()
}

/// The least control hosts with which m canary hosts can reach alpha; `None`: no number can (no canary host, or more
/// than a million).
pub fn control_needed(m: usize, alpha: f64) -> Option<usize> {
    const HOSTS_MAX: usize = 1_000_000;
    let reaches = |n: usize| smallest_p(m, n) <= alpha * (1.0 + 1e-12);
    if m == 0 || !reaches(HOSTS_MAX) {
        return None;
    }
    let (mut low, mut high) = (1, HOSTS_MAX);
    while low < high {
        let middle = usize::midpoint(low, high);
        if reaches(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

/// The same for a judge, who fails strictly below alpha.
pub fn control_to_fail(m: usize, alpha: f64) -> Option<usize> {
    control_needed(m, alpha).map(|n| if smallest_p(m, n) < alpha { n } else { n + 1 })
}

#[cfg(test)]
mod tests;
