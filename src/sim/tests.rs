//! Thousands of seeds without a broken promise.

mod museum;

use super::campaign::Campaign;
use super::faults::{Faults, KINDS, Kind};
use super::{Founded, Report};
use crate::report::simulation::{Took, text};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Hosts of the fleet.
const HOSTS: usize = 30;
/// Seeds that a test runs when `POINTSMAN_SEEDS` says nothing, and the rollouts that they are at least.
const SEEDS: u64 = 1_900;
const ROLLOUTS: u64 = 20_000;

fn story(report: &Report) -> String {
    format!("seed {}\n{}\n{}", report.seed, report.trace.concat(), report.violations.join("\n"))
}

/// Each kind of fault, each promise but those that gates and files of other rooms keep, and each end is reached.
#[test]
fn no_seed_breaks_a_promise() {
    let seeds = std::env::var("POINTSMAN_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let campaign = Campaign { seeds: 0..seeds, hosts: None, faults: Faults::default() };
    let all = campaign.run(2, &|| (), &|seed, hosts| format!("seed {seed} on {hosts} hosts"));
    let said = text(&all, Took { seconds: 0.0, threads: 2 });
    assert_eq!((all.broken, all.seeds), (0, seeds), "{said}");
    assert!(all.rollouts >= ROLLOUTS.min(ROLLOUTS * seeds / SEEDS), "{said}");
    assert!(all.faults.values().sum::<u64>() >= 3 * all.rollouts, "{said}");
    assert!(all.rollouts_on_many * 2 >= all.rollouts, "{said}");
    for (kind, fault, _) in KINDS {
        // A clone costs two hosts until somebody mends it, so there are fewer.
        let part = if kind == Kind::Cloned { 20 } else { 10 };
        assert!(all.faults.get(fault).is_some_and(|n| *n >= seeds / part), "{fault} hardly happened: {said}");
    }
    for number in (1..=14).chain(18..=20) {
        let promise = format!("P{number}");
        assert!(all.reached.get(promise.as_str()).is_some_and(|n| *n >= seeds / 50), "{promise} hardly tried: {said}");
    }
    let words = ["done", "done, some owed", "goes back", "stale", "superseded", "crashed"].map(|word| (word, 20));
    let gates = ["gates pass", "a gate fails", "a gate pauses", "a gate blames a host"].map(|word| (word, 40));
    for (word, part) in words.into_iter().chain(gates) {
        assert!(all.outcomes.get(word).is_some_and(|n| *n >= seeds / part), "`{word}` hardly happened: {said}");
    }
}

#[test]
fn on_how_many_threads_does_not_matter() {
    let campaign = Campaign { seeds: 40..60, hosts: Some(3), faults: Faults::default() };
    let one = campaign.run(1, &|| (), &|_, _| String::new());
    assert_eq!(one, campaign.run(3, &|| (), &|_, _| String::new()));
    assert!(one.seeds == 20 && one.commands > 0, "{one:?}");
}

/// Each broke a promise once; what it found is in the history of the commit that mended it.
#[test]
fn seeds_that_found_something_stay_good() {
    for (seed, hosts) in [(163, HOSTS), (550, HOSTS), (1942, 4), (4005, 7), (4621, 3), (5022, 4)] {
        let report = Founded::new(hosts).run(seed, &Faults::default());
        assert!(report.violations.is_empty(), "{}", story(&report));
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let (faults, few) = (Faults::default(), 5);
    let (one, other) = (Founded::new(few), Founded::new(few));
    let hashes = |founded: &Founded| (0..200).map(|seed| founded.run(seed, &faults).trace_hash).collect::<Vec<_>>();
    let first = hashes(&one);
    assert_eq!(first, hashes(&other));
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "two seeds had the same story");
    assert_eq!(one.run(0, &faults), other.run(0, &faults));
}

/// What the oracle may know: words of the field, files of hosts, and what the simulator itself is made of.
const MAY_NAME: [&str; 4] = ["crate::model::", "crate::agent::hostfs::", "crate::agent::memfs::", "crate::sim::"];

/// The places in a source that name what the oracle judges.
fn judged(source: &str) -> Vec<&str> {
    let named = source.match_indices("crate::").map(|(at, _)| &source[at..]);
    named
        .filter(|rest| !MAY_NAME.iter().any(|name| rest.starts_with(name)))
        .map(|rest| &rest[..40.min(rest.len())])
        .collect()
}

#[test]
fn the_oracle_shares_no_code_with_what_it_judges() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sim");
    let parts =
        std::fs::read_dir(room.join("oracle")).expect("it has parts").map(|entry| entry.expect("it is listed").path());
    let files: Vec<PathBuf> = parts.chain([room.join("oracle.rs"), room.join("look.rs")]).collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let source = std::fs::read_to_string(&file).expect("it is text");
        assert!(judged(&source).is_empty(), "{} names {:?}", file.display(), judged(&source));
    }
    assert_eq!(judged("use crate::model::books::Books;\nuse crate::plan::back;"), ["crate::plan::back;"]);
}
