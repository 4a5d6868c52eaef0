//! The commands in their order on sixteen hosts, each effect read from the hosts' own files.

use crate::harness::TestFleet;
use crate::site::{NEW, OLD, Output, SETTINGS};
use std::fs;

/// The number that an `ended` event carries under `key`.
fn ended(output: &Output, key: &str) -> u64 {
    let mut events = output.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let last = events.next_back().expect("it says how it ended");
    assert_eq!(last["type"], "ended", "{last}");
    last[key].as_u64().unwrap_or_else(|| panic!("no {key} in {last}"))
}

/// Every host has taken part in a command that began when it had `before` sessions.
#[track_caller]
fn all_took_part(fleet: &TestFleet, before: &mut Vec<usize>) {
    let now: Vec<usize> = (0..fleet.hosts.len()).map(|i| fleet.sessions(i)).collect();
    for (i, sessions) in now.iter().enumerate() {
        assert!(*sessions > before.get(i).copied().unwrap_or_default(), "{} heard nothing", fleet.name(i));
    }
    *before = now;
}

fn settings(fleet: &TestFleet, i: usize) -> String {
    let bytes = fleet.file_of(i, &format!("mediawiki/{SETTINGS}")).expect("every host has it");
    String::from_utf8(bytes).expect("it is text")
}

#[test]
fn from_an_empty_fleet_to_the_last_group_and_back() {
    let fleet = TestFleet::site(16);
    let mut sessions = Vec::new();
    fleet.run(&["sync-common", "--from-staging", "-y", "-m", "the first"]).is(0);
    all_took_part(&fleet, &mut sessions);
    fleet.all_serve(0, &[]);
    let agent = fs::read(fleet.hosts[0].home.join(".pointsman").join(&fleet.agents(0)[0])).expect("it was sent");
    assert!(agent == fs::read(fleet.path("pointsman-agent")).expect("it lies beside"), "hosts get the agent alone");
    let bundles = fs::read_dir(fleet.path("books/content/bundles")).expect("a pack and deltas were made").count();
    assert_eq!(bundles, 3, "one a version for all hosts: a pack for the first, deltas for the others");
    for (group, wikis) in [("group0", 2), ("group1", 5), ("group2", 7)] {
        fleet.promote(group, &[]).is(0);
        all_took_part(&fleet, &mut sessions);
        fleet.all_serve(wikis, &[]);
    }
    for i in 0..16 {
        let confirmed = fleet.file_of(i, "state/confirmed").expect("the agent keeps it");
        let confirmed = String::from_utf8(confirmed).expect("it is text");
        assert!(confirmed.contains("wmf.11") && confirmed.contains("wmf.10"), "{}: {confirmed}", fleet.name(i));
        for artefact in ["de", "en", "fr"] {
            assert!(fleet.file_of(i, &format!("mediawiki/{OLD}/cache/l10n/{artefact}.cdb")).is_some());
            assert!(fleet.file_of(i, &format!("mediawiki/{NEW}/cache/l10n/{artefact}.cdb")).is_some());
        }
    }
    fleet.run(&["pin", "mw001.test", "1.27.0-wmf.10", "--reason", "debug", "-y"]).is(0);
    fleet.all_serve(7, &[0]);
    assert_eq!(fleet.serves(0, OLD), 8, "a host's pin is for all its wikis");
    let heard: Vec<usize> = (0..16).filter(|i| fleet.sessions(*i) > sessions[*i]).collect();
    assert_eq!(heard, [0], "a host's pin concerns that host only");
    sessions = (0..16).map(|i| fleet.sessions(i)).collect();

    fs::write(fleet.path("staging").join(SETTINGS), "<?php\n$wgSettings = 2;\n").expect("staging is ours");
    fleet.run(&["sync-file", SETTINGS, "-m", "the second", "-y"]).is(0);
    all_took_part(&fleet, &mut sessions);
    (0..16).for_each(|i| assert_eq!(settings(&fleet, i), "<?php\n$wgSettings = 2;\n"));
    fleet.run(&["undo", "-m", "worse", "-y"]).is(0);
    all_took_part(&fleet, &mut sessions);
    (0..16).for_each(|i| assert_eq!(settings(&fleet, i), "<?php\n$wgSettings = 1;\n"));

    fleet.run(&["rollback", "-m", "sessions are lost"]).is(0);
    all_took_part(&fleet, &mut sessions);
    fleet.all_serve(0, &[0]);
    assert_eq!(fleet.serves(0, OLD), 8);
    fleet.run(&["check"]).is(0);
    fleet.promote("group0", &[]).is(10);
    fleet.all_serve(0, &[0]);
}

#[test]
fn a_promotion_asks_no_host_more_often_when_there_are_more_hosts() {
    let asked = [4, 16].map(|count| {
        let fleet = TestFleet::promoted(count, &[]);
        let round_trips = ended(&fleet.promote("group0", &["--json"]).is(0), "round_trips_max");
        fleet.all_serve(2, &[]);
        round_trips
    });
    assert_eq!(asked[0], asked[1]);
    assert!(asked[0] <= 4, "{asked:?}");
}

#[test]
fn a_dry_run_changes_not_one_byte() {
    let fleet = TestFleet::promoted(16, &["group0"]);
    let before = fleet.everything();
    assert!(before.contains("wikiversions.php") && before.contains("books.sqlite"), "{before}");
    let connections = fleet.connections(15);
    fleet.promote("group1", &["--dry-run"]).is(0).names("group1", "1.27.0-wmf.11");
    assert_eq!(fleet.everything(), before);
    fleet.run(&["rollback", "--dry-run"]).is(0).names("group0", "1.27.0-wmf.10");
    assert_eq!(fleet.everything(), before);
    assert!(fleet.connections(15) > connections, "a dry run looks at the hosts");
}
