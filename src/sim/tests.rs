//! Hundreds of seeds without a broken promise, and mistakes that must be found.

use super::faults::{Faults, Kind};
use super::{Founded, Report};
use crate::model::planted::{Bug, plant};
use std::collections::BTreeMap;

/// Hosts of the fleet.
const HOSTS: usize = 30;
/// Seeds that a test runs when `POINTSMAN_SEEDS` says nothing.
const SEEDS: u64 = 1000;
/// Seeds within which a planted mistake must be found.
const SEEDS_TO_FIND: u64 = 300;

fn story(report: &Report) -> String {
    format!("seed {}\n{}\n{}", report.seed, report.trace.concat(), report.violations.join("\n"))
}

fn run_all(seeds: u64) -> Vec<Report> {
    let founded = Founded::new(HOSTS);
    let half = |odd: u64| (0..seeds).filter(move |s| s % 2 == odd).map(|s| founded.run(s, &Faults::default()));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1).collect::<Vec<_>>());
        let mut all: Vec<Report> = half(0).collect();
        all.extend(other.join().expect("no seed panics"));
        all
    })
}

#[test]
fn no_seed_breaks_a_promise() {
    let seeds = std::env::var("POINTSMAN_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let reports = run_all(seeds);
    let broken: Vec<&Report> = reports.iter().filter(|report| !report.violations.is_empty()).collect();
    let first = broken.iter().min_by_key(|report| report.seed).map(|report| story(report));
    assert!(
        broken.is_empty(),
        "{} of {seeds} seeds break a promise; the first:\n{}",
        broken.len(),
        first.unwrap_or_default()
    );
    let mut faults: BTreeMap<Kind, u64> = BTreeMap::new();
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for report in &reports {
        report.faults.iter().for_each(|(kind, n)| *faults.entry(*kind).or_default() += n);
        report.outcomes.iter().for_each(|(word, n)| *outcomes.entry(word).or_default() += n);
    }
    let all = format!("{faults:?} {outcomes:?} {}", reports.iter().map(|r| r.dispatches).sum::<u64>());
    for (kind, rate) in Faults::default().0 {
        assert!(rate > 0 && faults.get(&kind).is_some_and(|n| *n >= seeds / 10), "{kind:?} hardly happened: {all}");
    }
    let words = ["done", "done, some owed", "goes back", "stale", "superseded", "crashed"].map(|word| (word, 20));
    let gates = ["gates pass", "a gate fails", "a gate pauses", "a gate blames a host"].map(|word| (word, 40));
    for (word, part) in words.into_iter().chain(gates) {
        assert!(outcomes.get(word).is_some_and(|n| *n >= seeds / part), "`{word}` hardly happened: {all}");
    }
}

/// Each broke a promise once; what it found is in the history of the commit that mended it.
#[test]
fn seeds_that_found_something_stay_good() {
    let founded = Founded::new(HOSTS);
    for seed in [163, 550] {
        let report = founded.run(seed, &Faults::default());
        assert!(report.violations.is_empty(), "{}", story(&report));
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let faults = Faults::default();
    let (one, other) = (Founded::new(HOSTS), Founded::new(HOSTS));
    for seed in 0..5 {
        assert_eq!(one.run(seed, &faults), other.run(seed, &faults));
    }
    assert_ne!(one.run(0, &faults).trace_hash, one.run(1, &faults).trace_hash);
}

/// Plants a mistake and runs seeds until one of these promises is broken.
fn check(bug: Bug, promises: &[&str]) {
    let founded = Founded::new(HOSTS);
    plant(Some(bug));
    let found = (0..SEEDS_TO_FIND).map(|seed| founded.run(seed, &Faults::default())).find_map(|report| {
        let named = |v: &&String| promises.iter().any(|p| v.starts_with(&format!("{p}:")));
        report.violations.iter().find(named).map(|v| (report.seed, v.clone()))
    });
    plant(None);
    assert!(found.is_some(), "{bug:?} was not found in {SEEDS_TO_FIND} seeds by {promises:?}");
}

#[test]
fn a_failed_sync_that_counts_as_ok_breaks_p1() {
    check(Bug::FailedSyncCountsAsOk, &["P1"]);
}

#[test]
fn sending_before_the_intent_is_committed_breaks_p2() {
    check(Bug::SendBeforePersist, &["P2"]);
}

#[test]
fn an_observe_without_a_fence_breaks_p3_or_p4() {
    check(Bug::NoFenceOnObserve, &["P3", "P4"]);
}

#[test]
fn obeying_late_commands_breaks_p4() {
    check(Bug::LateCommandAccepted, &["P4"]);
}

#[test]
fn obeying_what_another_installation_was_told_breaks_p6() {
    check(Bug::NoIncarnationCheck, &["P6"]);
}

#[test]
fn calling_unreachable_hosts_done_breaks_p14() {
    check(Bug::LeftBehindCalledDone, &["P14"]);
}

#[test]
fn a_wanted_state_that_moves_before_the_proof_breaks_p8() {
    check(Bug::WantedMovesAtTheStart, &["P8"]);
}

#[test]
fn a_failed_gate_that_counts_as_passed_breaks_p13() {
    check(Bug::GateFailureCountsAsPass, &["P13"]);
}
