//! Promotions that are gated, with gates that need no server: people, time, plugins, numbers that a program prints.

use crate::gated::{Running, answers, site};
use crate::site::{Ran, Site, V10, V11};
use rustix::process::Signal;

/// Nothing is soaked longer than it must be, and nobody is asked.
const SHORT: &str = "wave: 1ms, group: 1ms, max: 400ms, watch: 0s";
/// A gate that has not passed is waited for.
const LONG: &str = "wave: 1ms, group: 1ms, max: 1h, watch: 0s";
const PLUGIN: &str = "name: plugin, kind: command, argv: [checks/plugin.sh], at: [wave]";

const AGAIN: [&str; 9] = ["promote", "group0", V11, "--yes", "-m", "train", "--again", "--reason", "fixed"];

fn promote<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["promote", "group0", V11, "--yes", "-m", "train"].iter().chain(more).copied().collect()
}

fn gated(site: &Site) -> Ran {
    site.promote("group0", V11)
}

#[test]
fn an_open_blocker_is_10_until_it_is_accepted_or_closed() {
    let site = Site::small("");
    site.run(&["blocker", "add", "T124143", "-m", "sessions are lost"]).ends(0);
    gated(&site)
        .ends(10)
        .says("T124143")
        .says("sessions are lost")
        .says("pointsman blocker close T124143 -m WHY")
        .says("--accept T124143=REASON");
    site.run(&["status"]).ends(0).says("blockers: 1").says("T124143: sessions are lost");
    site.run(&["blocker", "list"]).ends(0).says("T124143");
    site.run(&promote(&["--accept", "T999=known"])).ends(10);
    site.run(&promote(&["--accept", "T124143="])).ends(2).says("say why");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&promote(&["--accept", "T124143=only on beta"])).ends(0);
    site.run(&["show", "r2"]).ends(0).says("accepted T124143: only on beta");
    // Accepted once is not accepted for ever.
    site.promote("group1", V11).ends(10).says("T124143");
    site.run(&["blocker", "close", "T124143", "-m", "fixed"]).ends(0);
    site.run(&["blocker", "close", "T124143", "-m", "fixed"]).ends(2).says("no blocker T124143 is open");
    site.run(&["status"]).ends(0).hides("blockers");
    site.promote("group1", V11).ends(0);
    site.run(&["blocker", "add", "../x", "-m", "y"]).ends(2);
}

#[test]
fn an_approval_from_another_terminal_lets_it_go_on() {
    let site = site(LONG, &["name: release-manager, kind: approval"]);
    let mut waits = Running::start(&site, &promote(&[]));
    waits.says("pointsman approve r2 -m WHY");
    let status = site.run(&["status"]).ends(0).says("approvals: 1");
    status.says("release-manager: r2 promote group0 to 1.27.0-wmf.11").says("pointsman deny r2 -m WHY");
    assert_eq!(site.counts(), ".10: 7", "nothing is switched before");
    site.run(&["approve", "r9", "-m", "yes"]).ends(2).says("nothing of r9 waits");
    site.run(&["approve", "r2", "no-such", "-m", "yes"]).ends(2);
    site.run(&["approve", "r2", "-m", "the error rate is known"]).ends(0).says("r2: release-manager is approved");
    waits.ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["show", "r2"]).ends(0).says("gate release-manager: pass").says("approved by");
    site.run(&["status"]).ends(0).hides("approvals");
    site.run(&["approve", "r2", "-m", "once more"]).ends(2).says("nothing of r2 waits");
}

#[test]
fn a_denied_approval_is_3_and_nothing_was_switched() {
    let site = site(LONG, &["name: release-manager, kind: approval"]);
    let mut waits = Running::start(&site, &promote(&[]));
    waits.says("pointsman deny r2 -m WHY");
    site.run(&["deny", "r2", "-m", "not before Monday"]).ends(0);
    let said = waits.ends(3);
    assert!(said.contains("not before Monday") && said.contains("nothing was switched"), "{said}");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["status"]).ends(0).hides("unfinished").hides("approvals").says("hold: none");
    site.run(&["show", "r2", "--json"]).ends(0).says("\"yes\":false").says("not before Monday");
}

#[test]
fn nobody_answering_is_4_and_nothing_was_switched() {
    let site = site(SHORT, &["name: release-manager, kind: approval"]);
    gated(&site).ends(4).says("nobody has answered yet");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["status"]).ends(0).hides("approvals").hides("unfinished");
    site.run(&["approve", "r2", "-m", "late"]).ends(2);
}

#[test]
fn a_tracker_that_lists_a_blocker_stops_a_promotion() {
    let site = site(SHORT, &["name: tracker, kind: blockers, argv: [checks/number.sh]"]);
    answers(&site, "number", 124143);
    gated(&site).ends(3).says("124143");
    assert_eq!(site.counts(), ".10: 7");
    // What lists nothing: an empty file.
    site.write("checks/number.code", "");
    gated(&site).ends(0);
}

#[test]
fn a_soak_wants_requests_too() {
    let served = "{exposure: {program: [checks/served.sh]}, events: {program: [checks/served.sh]}}";
    let soak = format!("name: used, kind: soak, time: 1ms, groups: [group1], min_requests: 100, requests: {served}");
    let site = site(SHORT, &[&soak]);
    site.write("checks/served.sh", "#!/bin/sh\ncat \"${0%.sh}.lines\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(site.path("checks/served.sh"), mode).expect("chmod");
    let serves = |numbers: [u32; 3]| {
        let lines: String = site.hosts().iter().zip(numbers).map(|(host, n)| format!("{host} {n}\n")).collect();
        site.write("checks/served.lines", &lines);
    };
    serves([40, 30, 20]);
    gated(&site).ends(0);
    site.promote("group1", V11).ends(4).says("90");
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    serves([40, 40, 20]);
    site.promote("group1", V11).ends(0);
}

#[test]
fn a_soak_is_waited_for_before_anything_is_switched_and_a_hot_fix_begins_it_anew() {
    let site = site(SHORT, &["name: aged, kind: soak, time: 12s, groups: [group1], at: [before, canary]"]);
    gated(&site).ends(0);
    site.promote("group1", V11).ends(4).says("wanted: 12 s of soaking");
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    let aged = |site: &Site| (0..1_000).map(|_| site.run(&["canary"])).find(|ran| ran.code == 0);
    assert!(aged(&site).is_some(), "it never grew old enough");
    site.stage(&format!("php-{V11}/includes/Session.php"), "<?php\n// a hot fix\n");
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "hot fix"]).ends(0);
    site.promote("group1", V11).ends(4).says("wanted: 12 s of soaking");
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    assert!(aged(&site).is_some(), "it never grew old enough again");
    site.promote("group1", V11).ends(0);
    assert_eq!(site.counts(), ".10: 2, .11: 5");
}

#[test]
fn a_plugin_says_0_1_2_or_3_as_nagios_does() {
    let site = site(SHORT, &[PLUGIN]);
    gated(&site).ends(0).says("plugin pass").says("1 host said OK");
    site.run(&["rollback"]).ends(0);
    site.run(&["release"]).ends(0);

    answers(&site, "plugin", 2);
    site.run(&AGAIN).ends(3).says("plugin fail").says("code 2, PLUGIN 2").says("brought back");
    assert_eq!(site.counts(), ".10: 7");

    answers(&site, "plugin", 1);
    site.run(&AGAIN).ends(4).says("plugin: Undecided: the deploy host: code 1").says("pointsman converge --forward");
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V11, "it stays where it is for a person");
    assert_eq!(site.map(&site.hosts()[1])["testwiki"], V10);
    answers(&site, "plugin", 0);
    site.run(&["converge", "--forward", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["rollback"]).ends(0);
    site.run(&["release"]).ends(0);

    answers(&site, "plugin", 3);
    site.run(&AGAIN).ends(4).says("5 errors in a row").hides("brought back");
    site.run(&["converge"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_number_that_a_program_prints_is_held_against_a_limit() {
    let gate = "name: lag, kind: threshold, source: {program: [checks/number.sh]}, success: \"< 5\", at: [group]";
    let site = site(SHORT, &[gate]);
    answers(&site, "number", 3);
    gated(&site).ends(0).says("lag pass");
    site.run(&["rollback"]).ends(0);
    site.run(&["release"]).ends(0);
    answers(&site, "number", 9);
    site.run(&AGAIN).ends(3).says("lag fail").says("9");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["show", "r4"]).ends(0).says("gate lag: fail").says("went back");
}

#[test]
fn what_differs_from_production_is_said_beforehand() {
    let gate = "name: logins, kind: command, argv: [checks/plugin.sh], needs: [tls]";
    let site = site(SHORT, &[gate]);
    site.edit(
        "soak:",
        "environments:\n  - {name: beta, groups: [group0], differs: [{trait: tls, how: no TLS here}]}\nsoak:",
    );
    let dry = site.run(&["promote", "group0", V11, "-m", "x", "--dry-run"]).ends(0);
    dry.says("beta differs from production: tls: no TLS here; not covered here: logins");
    site.run(&["promote", "group1", V11, "-m", "x", "--dry-run"]).ends(0).hides("beta");
}

#[test]
fn a_person_overrides_a_gate_once_and_it_is_written_down() {
    let site = site(SHORT, &[PLUGIN]);
    answers(&site, "plugin", 2);
    site.run(&promote(&["--override", "plugin="])).ends(2).says("say why");
    site.run(&promote(&["--override", "plugin=the plugin is broken, T1"])).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["show", "r2"]).ends(0).says("overruled by").says("the plugin is broken, T1");
    site.promote("group1", V11).ends(3).says("plugin fail");
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn a_gate_that_observes_says_what_it_would_have_done() {
    let lag = "name: lag, kind: threshold, source: {program: [checks/number.sh]}, success: \"< 5\", failure: \"> 8\", at: [wave]";
    let site = site(LONG, &[&format!("{PLUGIN}, mode: observe"), lag]);
    answers(&site, "plugin", 2);
    // Not decided until both were heard.
    answers(&site, "number", 6);
    let mut soaks = Running::start(&site, &promote(&[]));
    soaks.says("plugin would have stopped this; it only observes");
    soaks.says("lag inconclusive");
    answers(&site, "number", 0);
    soaks.ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["show", "r2"]).ends(0).says("gate plugin: fail");
}

/// A promotion that ended and is watched by another process.
fn watched() -> (Site, Running) {
    let site = site("wave: 1ms, group: 1ms, max: 400ms, watch: 1h", &[&PLUGIN.replace("wave", "watch")]);
    site.run(&promote(&["--detach"])).ends(0).says("pointsman watch r2");
    let mut watch = Running::start(&site, &["watch"]);
    watch.says("plugin pass");
    (site, watch)
}

#[test]
fn a_watch_that_finds_nothing_ends_well() {
    let site = site(SHORT, &[&PLUGIN.replace("wave", "watch")]);
    site.run(&["watch"]).ends(2).says("no promotion");
    site.run(&promote(&["--detach"])).ends(0);
    site.run(&["watch", "r2", "--for", "50ms"]).ends(0).says("its gates passed");
    site.run(&["watch", "r1", "--for", "50ms"]).ends(2).says("r1 is neither a promotion");
}

#[test]
fn a_watch_takes_back_what_turns_bad_and_the_evidence_is_shown_to_whoever_tries_again() {
    let (site, watch) = watched();
    answers(&site, "plugin", 2);
    let said = watch.ends(3);
    assert!(said.contains("plugin fail") && said.contains("taken back by its watch"), "{said}");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["status"]).ends(0).says("by the watch");
    site.run(&["release"]).ends(0);
    gated(&site).ends(10).says("--again --reason");
    let again: Vec<&str> = AGAIN.iter().chain(&["--dry-run"]).copied().collect();
    site.run(&again).ends(0).says("before: r2, ").says("the gate plugin: Fails: ").says("code 2, PLUGIN 2");
}

#[test]
fn a_rollback_waits_for_no_watch_and_the_watch_ends_with_5() {
    let (site, watch) = watched();
    site.run(&["rollback", "-m", "sessions"]).ends(0).hides("took over");
    assert_eq!(site.counts(), ".10: 7");
    let said = watch.ends(5);
    assert!(said.contains("somebody else moved it"), "{said}");
}

/// A promotion whose first host was switched and whose gate is not content yet.
fn soaking() -> (Site, Running) {
    let site = site(LONG, &[PLUGIN]);
    answers(&site, "plugin", 1);
    let mut soaks = Running::start(&site, &promote(&[]));
    soaks.says("plugin inconclusive");
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V11);
    (site, soaks)
}

#[test]
fn a_rollback_waits_for_no_gate() {
    let (site, soaks) = soaking();
    site.run(&["rollback", "-m", "sessions"]).ends(0).says("took over");
    assert_eq!(site.counts(), ".10: 7");
    // What the gates say now is written by nobody: the books obey the newer epoch.
    answers(&site, "plugin", 0);
    soaks.ends(5);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_signal_while_gates_soak_ends_it_and_says_what_to_type() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (site, soaks) = soaking();
        soaks.signal(signal);
        let said = soaks.ends(code);
        assert!(said.contains("pointsman converge"), "{said}");
        assert_eq!(site.map(&site.hosts()[1])["testwiki"], V10, "the next wave was not begun");
        site.run(&["converge"]).ends(0);
        assert_eq!(site.counts(), ".10: 7");
    }
}
