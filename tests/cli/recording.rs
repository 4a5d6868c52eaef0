//! Real undertakings, recorded as incidents, replayed with the same gates and with others, and kept as tests.

use crate::gated::{answers, site as gated_site};
use crate::replay::{edit, run};
use crate::site::{Site, V10, V11, ran};
use std::fs;
use std::process::Command;

const NUMBER: &str = "name: number, kind: threshold, source: {program: [checks/number.sh, CANARY-argv]}, failure: \"> 5\", at: [wave, group]";

/// A site on which group0 went forward and group1 was taken back by a gate.
fn taken_back() -> Site {
    let site = gated_site("wave: 1ms, group: 1ms, max: 1h, watch: 0s", &[NUMBER]);
    site.run(&["promote", "group0", V11, "--yes", "-m", "CANARY-why"]).ends(0);
    answers(&site, "number", 9);
    site.run(&["promote", "group1", V11, "--yes", "-m", "CANARY-why"]).ends(3);
    site.run(&["blocker", "add", "T1", "-m", "CANARY-text"]).ends(0);
    site
}

/// The recording of an undertaking in a directory of its own, as `recorded.yaml`.
fn recorded(site: &Site, id: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a directory");
    let said = site.run(&["history", "export", id]).ends(0);
    assert_eq!(said.stderr, "");
    fs::write(home.path().join("recorded.yaml"), &said.stdout).expect("it can be written");
    home
}

fn acts(home: &tempfile::TempDir, more: &[&str]) -> Vec<String> {
    let said = run(home, &[&["replay", "recorded.yaml", "--json"], more].concat()).ends(0);
    let played: serde_json::Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    let acts = played["chapters"][0]["acts"].as_array().expect("there are acts").clone();
    acts.iter().map(|act| format!("{} {}", act["what"], act["end"]).replace('"', "")).collect()
}

#[test]
fn a_rollout_is_replayed_with_its_gates_and_with_others_and_kept_as_a_test() {
    let site = taken_back();
    let home = recorded(&site, "r2");
    let text = fs::read_to_string(home.path().join("recorded.yaml")).expect("it was written");
    assert!(text.contains(r#""promote":"group1""#) && text.contains(r#""rollback":"group1""#), "{text}");
    assert!(text.contains(r#""fails""#) || text.contains(r#""series":["number"]"#), "{text}");

    let same = [format!("promote group0 {V11} promoted"), format!("promote group1 {V11} rolled-back")];
    assert_eq!(acts(&home, &[])[..2], same, "{text}");

    // What if the limit had been 50?
    site.edit("\"> 5\"", "\"> 50\"");
    let policy = site.path("groups.yaml");
    let lax = acts(&home, &["--policy", policy.to_str().expect("it is text")]);
    assert_eq!(lax[..2], [format!("promote group0 {V11} promoted"), format!("promote group1 {V11} promoted")]);

    let test = "name: nine is too much\nincident: recorded.yaml\nexpect:\n  \
        - {act: promote group1, is: rolled-back, because: number}\n";
    fs::write(home.path().join("nine.test.yaml"), test).expect("it can be written");
    run(&home, &["test", "nine.test.yaml"]).ends(0).says("1 passed");
    edit(&home, "recorded.yaml", "> 5", "> 50");
    run(&home, &["test", "nine.test.yaml"]).ends(1).says("nine.test.yaml:4: expected rolled-back");
}

#[test]
fn s10_a_recording_has_no_secrets() {
    let site = taken_back();
    let arguments = ["history", "export", "r2"];
    let mut command = site.command(&arguments);
    let said = ran(command.env("TOKEN", "CANARY-env"), &arguments).ends(0).hides("CANARY").hides("checks/");
    assert!(!said.stdout.contains(site.path("").to_str().expect("it is text")), "{said}");
    let who = Command::new("id").arg("-un").output().expect("there is id").stdout;
    let who = String::from_utf8(who).expect("a name").trim().to_owned();
    said.hides(&format!("{who}@"));
    // Everything that people typed, when it is asked for.
    site.run(&["history", "export", "r2", "--words"])
        .ends(0)
        .says("CANARY-why")
        .hides("CANARY-argv")
        .hides("CANARY-text");
}

#[test]
fn a_rollback_by_hand_ends_the_recording() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    site.run(&["rollback", "--yes", "-m", "sessions are lost"]).ends(0);
    site.run(&["release"]).ends(0);
    site.run(&["pin", "labswiki", V11, "--reason", "debug the loss", "--yes"]).ends(0);
    let said = site.run(&["history", "export", "r2"]).ends(0).hides("pin is done");
    assert!(said.stdout.contains(r#""rollback":"group0""#), "{said}");
    let home = recorded(&site, "r2");
    assert_eq!(acts(&home, &[]), [format!("promote group0 {V11} promoted"), "rollback group0 done".to_owned()]);
    // The rollback alone, from where it began.
    let home = recorded(&site, "r3");
    assert_eq!(acts(&home, &[]), ["rollback group0 done"], "{V10}");
}

#[test]
fn what_is_no_promotion_and_no_rollback_is_refused() {
    let site = Site::small("");
    site.run(&["history", "export", "r1"]).ends(2).says("r1");
    site.run(&["history", "export", "r9"]).ends(2).says("the books have no r9");
    site.run(&["pin", "labswiki", V11, "--reason", "debug the loss", "--yes"]).ends(0);
    site.run(&["history", "export", "r2"]).ends(2).says("r2 is a pin: a replay is about promotions and rollbacks");
    site.run(&["history", "-n", "1"]).ends(0).says("r2");
}
