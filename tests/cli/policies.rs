//! Tests of policies: small ones made here, and the shipped ones about the incident of 2016.

use crate::replay::{documented, edit, run};
use crate::site::ran;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

/// A test of the incident of docs/replay.md as `small.yaml`.
pub const TEST: &str = "\
name: the new error ends the train
incident: small.yaml
chapter: train
expect:
  - {act: promote group0, is: rolled-back, because: new-errors, within: 30m}
  - {act: promote group1, is: held, because: blocker}
  - {served: group1, at_most: 0m}
";

#[test]
fn tests_below_a_directory_run_in_the_order_of_their_names() {
    let home = documented();
    fs::create_dir_all(home.path().join("incidents/more")).expect("it can be made");
    fs::create_dir_all(home.path().join("incidents/.hidden")).expect("it can be made");
    let text = TEST.replace("small.yaml", "../small.yaml");
    for name in ["b.test.yaml", "a.test.yaml", "a.yaml", ".hidden/c.test.yaml"] {
        fs::write(home.path().join("incidents").join(name), &text).expect("it can be written");
    }
    let failing = text.replace("../", "../../").replace("held", "promoted");
    fs::write(home.path().join("incidents/more/d.test.yaml"), failing).expect("it can be written");
    symlink("a.test.yaml", home.path().join("incidents/e.test.yaml")).expect("it can be made");

    let said = run(&home, &["test", "--junit", "policy.xml"]).ends(1);
    let lines: Vec<&str> = said.stdout.lines().map(|line| line.split("  (").next().expect("a part")).collect();
    let [a, b, d, missed, "", sum] = lines.as_slice() else { panic!("{said}") };
    assert_eq!((*a, *b), ("ok    the new error ends the train", "ok    the new error ends the train"));
    assert_eq!((*d, *sum), ("FAIL  the new error ends the train", "2 passed, 1 failed"));
    assert!(
        missed.starts_with(
            "      incidents/more/d.test.yaml:6: expected promoted: promote group1 1.27.0-wmf.11 ended held"
        ),
        "{said}"
    );
    let xml = fs::read_to_string(home.path().join("policy.xml")).expect("it was written");
    assert!(xml.contains(r#"tests="3""#) && xml.contains(r#"failures="1""#), "{xml}");
    assert!(xml.contains(r#"classname="incidents/more/d.test.yaml""#), "{xml}");

    let said = run(&home, &["test", "incidents/a.test.yaml", "--json"]).ends(0);
    let all: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    assert_eq!(all["tests"][0]["passed"], true, "{said}");
}

#[test]
fn a_changed_limit_that_would_miss_the_incident_fails_the_test() {
    let home = documented();
    fs::write(home.path().join("small.test.yaml"), TEST).expect("it can be written");
    run(&home, &["test", "small.test.yaml"]).ends(0).says("1 passed");
    edit(&home, "small.yaml", "kind: signatures,", "kind: signatures, min_events: 100000,");
    run(&home, &["test", "small.test.yaml"])
        .ends(1)
        .says("small.test.yaml:5: expected rolled-back: promote group0 1.27.0-wmf.11 ended promoted");
}

#[test]
fn no_test_is_no_success_and_every_bad_file_is_named() {
    let home = documented();
    run(&home, &["test"]).ends(2).says("incidents");
    run(&home, &["test", "."]).ends(2).says("there is no test below .");
    fs::write(home.path().join("a.test.yaml"), TEST.replace("chapter: train", "chapter: tran")).expect("written");
    fs::write(home.path().join("b.test.yaml"), TEST.replace("small.yaml", "smal.yaml")).expect("written");
    fs::write(home.path().join("c.test.yaml"), TEST).expect("written");
    let said = run(&home, &["test", "."]).ends(2).says("a.test.yaml:3:10").says("b.test.yaml:2:11");
    assert_eq!(said.stdout, "", "nothing ran");
}

/// In 2016's own numbers; see incidents/2016-01-23.yaml for where they are known from.
#[test]
fn the_shipped_incident_has_the_fleet_and_the_map_of_2016() {
    let arguments = ["config", "check", "-C", "incidents/2016-01-23.groups.yaml"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let said = ran(command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments), &arguments).ends(0);
    let fleet = "477 hosts; group0 5 wikis, group1 594 wikis, group2 295 wikis";
    let told = said.stdout.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("the whole path is said");
    assert_eq!(told, format!("/incidents/2016-01-23.groups.yaml: {fleet}\n"));
}

/// The whole of 2016 with its variants, and its tests: what the policy decides there is what it must.
#[test]
fn the_shipped_tests_pass() {
    let arguments = ["test", "incidents", "--json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let said = ran(command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments), &arguments).ends(0);
    let all: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    let names: Vec<&str> = all["tests"].as_array().expect("a list").iter().filter_map(|t| t["file"].as_str()).collect();
    let expected =
        ["alert", "everywhere", "intact", "night", "train"].map(|name| format!("incidents/{name}.test.yaml"));
    assert_eq!(names, expected);
}
