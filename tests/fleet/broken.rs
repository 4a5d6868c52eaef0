//! One broken host among sixteen: a promotion moves nobody, a rollback moves everybody else.

use crate::harness::TestFleet;
use crate::site::OLD;
use crate::sshd::Broken;
use std::fs;

/// The host that breaks.
const ONE: usize = 11;
/// Its name.
const NAME: &str = "mw012.test";

/// Breaks the host with the fleet at a rest, tries to promote group2, goes to the recorded state `to`, heals, converges.
fn break_and_heal(fleet: &mut TestFleet, broken: Broken, promote: &str, rollback: &str, to: (&str, usize)) {
    if broken == Broken::OtherMachine {
        fs::remove_dir_all(fleet.hosts[ONE].home.join(".pointsman")).expect("an agent is there");
    }
    fleet.set(ONE, Some(broken));
    let maps = |fleet: &TestFleet| (0..16).map(|i| fleet.file_of(i, "mediawiki/wikiversions.php")).collect::<Vec<_>>();
    let before = maps(fleet);
    let refused = fleet.promote("group2", &["--again", "--reason", "it is a test"]);
    let refused = refused.is(7).names(NAME, promote);
    assert!(refused.said().contains("nothing was switched: 1 host is not ready"), "{}", refused.said());
    assert!(maps(fleet) == before, "somebody was switched");
    let owed = fleet.run(&["rollback", "--to", to.0, "-m", "it is a test"]);
    owed.is(8).names(NAME, rollback);
    fleet.all_serve(to.1, &[ONE]);
    assert!(fleet.file_of(ONE, "mediawiki/wikiversions.php") == before[ONE], "it did not hear of it");
    fleet.set(ONE, None);
    let healed = fleet.run(&["converge"]);
    healed.is(0);
    fleet.all_serve(to.1, &[]);
    fleet.run(&["release"]).is(0);
}

/// Runs through faults, going from one recorded state to another and back.
fn through(faults: &[(Broken, &str, &str)]) {
    let mut fleet = TestFleet::promoted(16, &["group0", "group1"]);
    for (n, (broken, promote, rollback)) in faults.iter().enumerate() {
        let to = [("s1", 0), ("s3", 5)][n % 2];
        break_and_heal(&mut fleet, *broken, promote, rollback, to);
    }
}

#[test]
fn hosts_that_cannot_be_reached() {
    through(&[
        (Broken::Refused, "connection refused", "connection refused"),
        (Broken::Silent, "timed out waiting for the SSH banner", "timed out waiting for the SSH banner"),
        (Broken::Closed, "closed the connection early", "closed the connection early"),
        (Broken::Blackhole, "timed out connecting", "timed out connecting"),
    ]);
}

#[test]
fn hosts_that_are_not_to_be_trusted() {
    through(&[
        (Broken::KeyChanged, "host key changed", "host key changed"),
        (Broken::KeyUnknown, "host key unknown", "host key unknown"),
        (Broken::Password, "asks for a password", "asks for a password"),
        (Broken::Denied, "permission denied", "permission denied"),
    ]);
}

#[test]
fn hosts_that_cannot_be_changed() {
    through(&[
        (Broken::RootReadOnly, "read-only", "read-only"),
        (Broken::RootFull, "rebuilt", "disk full"),
        (Broken::OtherMachine, "wrong architecture: it is i686", "wrong architecture: it is i686"),
    ]);
}

#[test]
fn a_noisy_login_shell_is_no_fault() {
    let mut fleet = TestFleet::promoted(16, &["group0"]);
    fleet.set(ONE, Some(Broken::Motd));
    fleet.promote("group1", &[]).is(0);
    fleet.all_serve(5, &[]);
}

#[test]
fn a_host_without_the_artefacts_of_the_version_to_go_back_to() {
    let fleet = TestFleet::promoted(16, &["group0", "group1"]);
    let cache = fleet.hosts[ONE].root.join("mediawiki").join(OLD).join("cache/l10n");
    for entry in fs::read_dir(&cache).expect("it was built").flatten() {
        fs::remove_file(entry.path()).expect("it is ours");
    }
    fleet.run(&["check"]).is(7).names(NAME, "0 of 3 files");
    fleet.promote("group2", &[]).is(7).names(NAME, "0 of 3 files");
    fleet.all_serve(5, &[]);
    fleet.run(&["rollback", "-m", "sessions are lost"]).is(0).names(NAME, "0 of 3 files");
    fleet.all_serve(0, &[]);
    assert_eq!(fs::read_dir(cache).expect("it is built again").count(), 3);
    fleet.run(&["check"]).is(0);
}

#[test]
fn a_host_that_was_rebuilt() {
    let fleet = TestFleet::promoted(16, &["group0", "group1"]);
    for name in ["mediawiki", "state"] {
        fs::remove_dir_all(fleet.hosts[ONE].root.join(name)).expect("it is ours");
    }
    fs::remove_dir_all(fleet.hosts[ONE].home.join(".pointsman")).expect("it is ours");
    fs::create_dir(fleet.hosts[ONE].root.join("mediawiki")).expect("it is ours");
    let said = fleet.run(&["check"]);
    said.is(7).names(NAME, "no agent");
    let said = fleet.promote("group2", &[]);
    said.is(7).names(NAME, "rebuilt");
    fleet.all_serve(5, &[ONE]);
    let said = fleet.run(&["rollback", "-m", "sessions are lost"]);
    said.is(0);
    fleet.all_serve(0, &[]);
    fleet.run(&["check"]).is(0);
}

#[test]
fn a_doctor_names_each_host_with_its_fault_and_puts_no_agent_there() {
    // Before the first sync.
    let mut fleet = TestFleet::site(6);
    let faults = [Broken::Refused, Broken::KeyChanged, Broken::Password, Broken::KeyUnknown];
    for (i, broken) in faults.into_iter().enumerate() {
        fleet.set(i, Some(broken));
    }
    let said = fleet.run(&["doctor"]).is(7).said();
    for line in [
        "ok    mw[005-006].test: reached; it has no agent yet, the first sync brings it",
        "BAD   mw001.test: connection refused",
        "BAD   mw002.test: host key changed\n      mend: pointsman hosts trust mw002.test",
        "BAD   mw003.test: asks for a password",
        "BAD   mw004.test: host key unknown\n      mend: pointsman hosts trust mw004.test",
        "ok    ssh: OpenSSH_",
    ] {
        assert!(said.contains(line), "`{line}`: {said}");
    }
    assert!((0..6).all(|i| fleet.agents(i).is_empty()), "no agent was put on any host");
}
