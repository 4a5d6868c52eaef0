//! `canary`: every output, and that not one byte moves on any host.

use crate::gated::{Running, answers, site};
use crate::site::{Site, V10, V11};
use expect_test::{Expect, expect};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const SOAK: &str = "max: 1s, watch: 0s";
const PLUGIN: &str = "name: plugin, kind: command, argv: [checks/plugin.sh]";
const LAG: &str =
    "name: lag, kind: threshold, source: {program: [checks/number.sh]}, success: \"< 5\", failure: \"> 8\"";

fn checked() -> Site {
    site(SOAK, &[PLUGIN, LAG, "name: person, kind: approval, at: [before, canary]"])
}

/// What is below the directories of the hosts.
fn on_hosts(site: &Site) -> BTreeMap<PathBuf, String> {
    let below = site.path("hosts");
    site.digest().into_iter().filter(|(path, _)| path.starts_with(&below)).collect()
}

/// A text without what differs from run to run.
fn steady(site: &Site, text: &str) -> String {
    let text = text.replace(site.path("").to_str().expect("it is UTF-8"), "SITE/");
    let mut steady = String::new();
    let mut rest = text.as_str();
    // The time that it took, and since when.
    while let Some((before, after)) = ["time=", "time=\"", "since ", "_seconds "]
        .iter()
        .filter_map(|mark| Some(rest.find(mark)? + mark.len()))
        .min()
        .map(|at| rest.split_at(at))
    {
        steady += before;
        let value = |c: char| c.is_ascii_digit() || "-:. UTC,".contains(c);
        let left = after.trim_start_matches('"').trim_start_matches(value);
        steady += if left.len() < after.len() { "T" } else { "" };
        rest = left;
    }
    steady + rest
}

#[track_caller]
fn says(site: &Site, arguments: &[&str], code: i32, expected: &Expect) {
    let before = on_hosts(site);
    let ran = site.run(arguments).ends(code);
    expected.assert_eq(&steady(site, &(ran.stdout + &ran.stderr)));
    assert_eq!(on_hosts(site), before, "{arguments:?} moved something on a host");
}

#[test]
fn all_is_well() {
    let site = checked();
    says(&site, &["canary"], 0, &expect![[r#""#]]);
    says(&site, &["canary", "--nagios"], 0, &expect![[r#""#]]);
    says(&site, &["canary", "--nagios", "--hosts", "role:canary"], 0, &expect![[r#""#]]);
    site.run(&["canary", "--hosts", "role:canari"]).ends(2);
}

#[test]
fn a_gate_that_failed_is_3_and_for_nagios_critical() {
    let site = checked();
    answers(&site, "plugin", 2);
    says(&site, &["canary"], 3, &expect![[r#""#]]);
    says(&site, &["canary", "--nagios"], 2, &expect![[r#""#]]);
    site.run(&["status"]).ends(0).hides("approvals").hides("blockers");
}

#[test]
fn a_gate_that_is_inconclusive_or_broken_is_4_and_for_nagios_warning_or_unknown() {
    let site = checked();
    answers(&site, "number", 6);
    says(&site, &["canary"], 4, &expect![[r#""#]]);
    says(&site, &["canary", "--nagios"], 1, &expect![[r#""#]]);
    answers(&site, "number", 1);
    answers(&site, "plugin", 3);
    says(&site, &["canary"], 4, &expect![[r#""#]]);
    says(&site, &["canary", "--nagios"], 3, &expect![[r#""#]]);
}

#[test]
fn a_host_that_is_not_ready_is_7_and_for_nagios_critical() {
    let site = checked();
    fs::remove_dir_all(site.served(&site.hosts()[2], &format!("php-{V10}/cache"))).expect("removed");
    says(&site, &["canary"], 7, &expect![[r#""#]]);
    says(&site, &["canary", "--nagios"], 2, &expect![[r#""#]]);
    site.run(&["status"]).ends(0).says("stale: 1 host");
}

#[test]
fn a_site_that_cannot_be_read_is_unknown_for_nagios() {
    let site = checked();
    site.edit("kind: approval", "kind: aproval");
    let ran = site.run(&["canary", "--nagios"]).ends(3);
    assert!(ran.stdout.starts_with("POINTSMAN UNKNOWN - ") && ran.stdout.lines().count() == 1, "{ran}");
    assert!(ran.stdout.contains("aproval"), "{ran}");
    site.run(&["canary"]).ends(2);
    let unsynced = Site::unsynced("");
    unsynced.run(&["canary", "--nagios"]).ends(3).says("POINTSMAN UNKNOWN - ");
}

#[test]
fn files_for_ci_and_for_prometheus_are_whole_and_readable_by_others() {
    let site = checked();
    answers(&site, "plugin", 2);
    let out = tempfile::tempdir().expect("a directory");
    let file = |name: &str| out.path().join(name).to_str().expect("it is UTF-8").to_owned();
    let (junit, metrics) = (file("junit.xml"), file("pointsman.prom"));
    fs::write(&metrics, "old\n").expect("written");
    site.run(&["canary", "--junit", &junit, "--prometheus", &metrics]).ends(3);
    let text = |name: &str| steady(&site, &fs::read_to_string(name).expect("it is there"));
    expect![[r#""#]].assert_eq(&text(&junit));
    expect![[r#""#]].assert_eq(&text(&metrics));
    for written in [&junit, &metrics] {
        let mode = fs::metadata(written).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{written}");
    }
    assert_eq!(fs::read_dir(out.path()).expect("listed").count(), 2, "nothing else is left there");
    site.run(&["canary", "--prometheus", "/no/such/directory/x.prom"]).ends(1).says("/no/such/directory/x.prom");
}

#[test]
fn programs_read_events() {
    let site = checked();
    answers(&site, "plugin", 2);
    let ran = site.run(&["canary", "--json"]).ends(3);
    let events: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["gate", "gate", "canary"], "{ran}");
    assert_eq!((&events[0]["verdict"], &events[1]["verdict"]), (&"fail".into(), &"pass".into()));
    assert_eq!((&events[2]["code"], &events[2]["well"]), (&3.into(), &false.into()));
    site.run(&["canary", "--json", "--nagios"]).ends(3).says("POINTSMAN UNKNOWN");
}

#[test]
fn it_waits_for_nobody_and_what_it_found_is_evidence_about_the_promotion() {
    let site = checked();
    let mut holder = Running::start(&site, &["lock", "-m", "moving"]);
    holder.says("locked: moving");
    site.run(&["canary"]).ends(0);
    drop(holder);
    site.run(&["promote", "group0", V11, "--yes", "-m", "train", "--override", "person=x", "--soak", "1ms"]).ends(0);
    answers(&site, "plugin", 2);
    site.run(&["canary"]).ends(3);
    site.run(&["show", "r2"]).ends(0).says("gate plugin: fail");
    let dry = site.run(&["promote", "group1", V11, "-m", "x", "--dry-run"]).ends(0);
    dry.says("before: r2, ").says("the gate plugin failed");
}
