//! The vectors, and what the test promises over many seeded rollouts.

use super::*;
use crate::gate::stat::vectors::{assert_close, list, number, sequential, stat};
use crate::model::verdict::Count;

fn count(pair: &serde_json::Value) -> Count {
    Count { events: number(&pair[0]) as u64, exposure: number(&pair[1]) as u64 }
}

fn arms(row: &serde_json::Value) -> Arms {
    Arms::new(count(&row["canary"]), count(&row["control"]))
}

#[test]
fn the_vectors_hold() {
    let vectors = sequential();
    let rows = list(&vectors["vectors"]);
    assert_eq!(rows.len(), 10);
    for row in rows {
        let arms = arms(row);
        assert_close(arms.share(1.0).p, number(&row["p0"]), "p0");
        assert_close(log_likelihood(&arms, 1.0), number(&row["log_one_sided"]), &format!("one-sided {row}"));
        assert_close(two_sided(&arms), number(&row["log_two_sided"]), &format!("two-sided {row}"));
    }
    let rows = stat();
    for row in list(&rows["counts"]).iter().filter(|row| row.get("beta_mixture_logLR").is_some()) {
        assert_close(two_sided(&arms(row)), number(&row["beta_mixture_logLR"]), &format!("mixture {row}"));
    }
}

#[test]
fn a_canary_without_traffic_says_nothing() {
    let none = Count { events: 0, exposure: 0 };
    let l = log_likelihood(&Arms::new(none, Count { events: 0, exposure: 10 }), 1.0);
    assert!(l.abs() < 1e-12, "{l}");
}

/// ln L without the truncation, which grows for a better canary too: what the vectors compare with.
fn two_sided(arms: &Arms) -> f64 {
    let null = arms.share(1.0);
    let (x, y) = (arms.events, arms.control_events);
    ln_beta(1.0 + x, 1.0 + y) - at(x, null.p) - at(y, null.q)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

const LOOKS: usize = 56;
/// With so many, power is about that of the vectors: 0.853, half of it by look 26.
const EVENTS_A_LOOK: usize = 6;
const ALPHA: f64 = 0.02;

/// At which look a rollout alarms by the sequential test, and whether a test that knows nothing of looks would have.
fn rollout(seed: u64, share: f64, ratio: f64) -> (Option<usize>, bool) {
    let mut random = Random(seed);
    let truth = ratio * share / (ratio * share + 1.0 - share);
    let mut arms = Arms { events: 0.0, control_events: 0.0, exposure: share, control_exposure: 1.0 - share };
    let (mut alarm, mut naive) = (None, false);
    for look in 1..=LOOKS {
        for _ in 0..EVENTS_A_LOOK {
            match random.share() < truth {
                true => arms.events += 1.0,
                false => arms.control_events += 1.0,
            }
        }
        naive |= arms.p_greater(1.0) < ALPHA;
        if log_likelihood(&arms, 1.0) >= -ALPHA.ln() {
            alarm = alarm.or(Some(look));
        }
    }
    (alarm, naive)
}

#[test]
fn a_healthy_release_passes_500_rollouts_of_56_looks() {
    let runs: Vec<_> = (0..500).map(|seed| rollout(seed, 0.1, 1.0)).collect();
    let alarms = runs.iter().filter(|(alarm, _)| alarm.is_some()).count();
    let naive = runs.iter().filter(|(_, naive)| *naive).count();
    assert!(alarms <= 10, "{alarms} of 500 is more than alpha 0.02");
    assert!(naive >= 25, "looking so often without it was to alarm in about a tenth: {naive} of 500");
    expect_test::expect!["2 alarms, 52 naive ones"].assert_eq(&format!("{alarms} alarms, {naive} naive ones"));
}

#[test]
fn a_release_that_is_twice_as_bad_is_caught() {
    let mut looks: Vec<_> = (0..500).filter_map(|seed| rollout(1000 + seed, 0.1, 2.0).0).collect();
    looks.sort_unstable();
    assert!(looks.len() >= 400, "caught {} of 500", looks.len());
    let said = format!("{} of 500, half of them by look {}", looks.len(), looks[looks.len() / 2]);
    expect_test::expect!["421 of 500, half of them by look 25"].assert_eq(&said);
}
