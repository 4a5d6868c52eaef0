//! Playbooks with the real program over local hosts: each one that is shipped runs here.

use crate::site::{Site, V10, V11};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const HOST: &str = "mw1019.eqiad.wmnet";

/// A small site with the playbooks of the repository.
fn site() -> Site {
    let site = Site::small("soak: {wave: 0s, group: 0s, watch: 0s}\n");
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks")).expect("they are shipped") {
        let file = file.expect("listed").path();
        let name = file.file_name().expect("it has a name").to_string_lossy().into_owned();
        site.write(&format!("playbooks/{name}"), &fs::read_to_string(&file).expect("it is text"));
    }
    site
}

/// A program that notes its item, and fails for those that the file `bad` names.
fn program(site: &Site) -> String {
    let log = site.path("through").display().to_string();
    let bad = site.path("bad").display().to_string();
    site.write("shard.sh", &format!("#!/bin/sh\ngrep -qx \"$1\" {bad} && exit 1\necho \"$1\" >> {log}\n"));
    site.write("bad", "");
    fs::set_permissions(site.path("shard.sh"), PermissionsExt::from_mode(0o755)).expect("chmod");
    format!("program={}", site.path("shard.sh").display())
}

fn through(site: &Site) -> Vec<u64> {
    let text = fs::read_to_string(site.path("through")).unwrap_or_default();
    let mut all: Vec<u64> = text.lines().map(|line| line.parse().expect("a shard")).collect();
    all.sort_unstable();
    all
}

#[test]
fn the_train_goes_through_and_a_dry_run_changes_not_one_byte() {
    let site = site();
    let version = format!("version={V11}");
    let before = site.digest();
    let dry = site.run(&["run", "train", "--var", &version, "--dry-run"]);
    assert!([0, 10].contains(&dry.code), "in and out of hours: {dry}");
    let planned = site.run(&["plan", "run", "train", "--var", &version]);
    // A plan is for another hour.
    planned.ends(0).says("stage group2: 1 command").says("group2: 2 wikis");
    dry.says("stage group2: 1 command").says("group2: 2 wikis");
    assert_eq!(site.digest(), before);
    let arguments = ["run", "train", "--var", &version, "--var", "soak=10ms", "--override-freeze", "a test"];
    site.run(&arguments).ends(0).says("p1: train is done");
    assert_eq!(site.counts(), ".11: 7");
    site.run(&["resume"]).ends(2).says("no playbook is unfinished");
    site.run(&["run", "rollback", "--var", "message=a test"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn outside_of_its_hours_the_train_is_refused_and_nothing_is_written() {
    let site = site();
    site.write("playbooks/frozen.yaml", &format!(
        "name: frozen\nfreeze: [{{timezone: Europe/Berlin, from: \"2000-01-01\", to: \"2199-01-01\", reason: for ever}}]\n\
         stages: [{{name: a, promote: {{group: group0, version: \"{V11}\", message: m}}}}]\n"
    ));
    let before = site.digest();
    site.run(&["run", "frozen"]).ends(10).says("for ever").says("--override-freeze");
    assert_eq!(site.digest(), before);
}

#[test]
fn a_hotfix_goes_through_debug_canaries_and_all() {
    let site = site();
    let file = "wmf-config/limits.json";
    site.stage(file, "{\"a\": 2}\n");
    site.run(&["run", "hotfix", "--var", &format!("file={file}"), "--var", "message=fix"]).ends(0);
    for host in site.hosts() {
        assert_eq!(fs::read_to_string(site.served(host, file)).expect("it is there"), "{\"a\": 2}\n", "{host}");
    }
}

#[test]
fn a_host_is_repaired_and_comes_back() {
    let site = site();
    fs::remove_file(site.served(HOST, "wmf-config/limits.json")).expect("it was there");
    site.run(&["run", "canary-check"]).ends(7);
    site.run(&["abort"]).ends(0);
    site.run(&["run", "repair-host", "--var", &format!("host={HOST}"), "--var", "reason=broken"]).ends(0);
    site.run(&["run", "canary-check"]).ends(0);
    site.run(&["run", "repair-host", "--var", "host=mw1018", "--var", "reason=x"])
        .ends(2)
        .says("groups.yaml has no host");
}

#[test]
fn a_debug_host_is_held_until_a_person_says() {
    let site = site();
    let host = "mw1017.eqiad.wmnet";
    let (name, version) = (format!("host={host}"), format!("version={V11}"));
    let mut run = site.start(&["run", "debug-host", "--var", &name, "--var", &version, "--var", "reason=why"]);
    // It is answered as soon as it is asked.
    while site.run(&["approve", "p1", "-m", "found"]).code != 0 {
        assert!(run.try_wait().expect("ours").is_none(), "it ended before it was answered");
    }
    assert!(run.wait().expect("ours").success());
    assert!(site.map(host).values().all(|version| version == V10));
}

#[test]
fn a_thousand_shards_stop_at_the_budget_and_only_the_rest_is_run_again() {
    let site = site();
    let program = program(&site);
    site.write("bad", &(300..320).map(|n| format!("{n}\n")).collect::<String>());
    site.run(&["run", "expire-sessions", "--var", &program]).ends(3).says("p1: paused");
    let first = through(&site);
    assert!(first.len() > 199 && first.len() < 1000, "{} were through", first.len());
    site.write("bad", "");
    site.run(&["resume", "p1"]).ends(0).says("are through already");
    assert_eq!(through(&site), (0..1000).collect::<Vec<u64>>(), "each exactly once");
}

#[test]
fn a_stage_that_fails_takes_the_playbook_back_and_a_rollback_by_others_ends_it() {
    let site = site();
    let promote = format!("promote: {{group: group0, version: \"{V11}\", message: m}}");
    let wait = "approve: {text: go on}";
    site.write("playbooks/back.yaml", &format!(
        "name: back\nstages:\n  - {{name: a, {promote}}}\n  - {{name: b, notify: {{argv: [\"false\"]}}, on_fail: rollback}}\n"
    ));
    site.run(&["run", "back"]).ends(3);
    assert_eq!(site.counts(), ".10: 7");
    let again = promote.replace("message: m", "message: m, again: fixed");
    site.write(
        "playbooks/wait.yaml",
        &format!(
            "name: wait\nstages:\n  - {{name: a, {again}}}\n  - {{name: b, {wait}}}\n  - {{name: c, check: {{}}}}\n"
        ),
    );
    site.run(&["release"]).ends(0);
    site.run(&["run", "wait"]).ends(4).says("pointsman resume p2");
    site.run(&["rollback", "-m", "somebody else", "--yes"]).ends(0);
    site.run(&["resume", "p2"]).ends(5).says("took the fleet back meanwhile");
}

#[test]
fn a_bad_playbook_is_refused_with_line_and_column() {
    let site = site();
    site.write(
        "playbooks/bad.yaml",
        "name: bad\nvariables:\n  unused: {type: text, default: x}\nstages:\n\
        \x20 - {name: a, promot: {group: group0}}\n",
    );
    let said = site.run(&["run", "bad"]).ends(2);
    said.says("bad.yaml:5:15: `promot` is not a verb")
        .says("did you mean `promote`?")
        .says("3:3: the variable `unused`");
}
