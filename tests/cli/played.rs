//! Playbooks that fail, are stopped, killed, taken up again and taken back, with the real program over local hosts.

use crate::gated::{Running, answers, site as gated_site};
use crate::site::{Site, V11};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The name of a stage that waits until the file `go` is there.
const WAITS: &str = "waits";

fn promote() -> String {
    format!("promote: {{group: group0, version: \"{V11}\", message: m}}")
}

/// Writes a playbook of these stages, each with a name.
fn write(site: &Site, name: &str, stages: &[(&str, &str)]) {
    let stages: String = stages.iter().map(|(name, stage)| format!("  - {{name: {name}, {stage}}}\n")).collect();
    site.write(&format!("playbooks/{name}.yaml"), &format!("name: {name}\nstages:\n{stages}"));
}

/// A stage that notes that it began, waits, and ends with a code.
fn waits(site: &Site, code: u8) -> String {
    let (began, go) = (site.path("began").display().to_string(), site.path("go").display().to_string());
    site.write(
        "wait.sh",
        &format!("#!/bin/sh\necho >> {began}\nwhile [ ! -e {go} ]; do sleep 0.05; done\nexit {code}\n"),
    );
    fs::set_permissions(site.path("wait.sh"), PermissionsExt::from_mode(0o755)).expect("chmod");
    format!("run: {{argv: [{}], items: [one]}}", site.path("wait.sh").display())
}

/// Waits until the stage that waits has begun.
fn until_it_began(site: &Site, run: &mut Running) {
    run.says(WAITS);
    let has_begun = || site.path("began").exists();
    (0..3_000).take_while(|_| !has_begun()).for_each(|_| std::thread::sleep(std::time::Duration::from_millis(20)));
    assert!(has_begun(), "it does not begin");
}

fn promotions(site: &Site) -> usize {
    let said = site.run(&["history", "--json"]).ends(0);
    let all: serde_json::Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    all.as_array().expect("a list").iter().filter(|rollout| rollout["kind"] == "promote").count()
}

#[test]
fn abort_with_rollback_takes_back_what_a_paused_playbook_moved() {
    let site = Site::small("");
    write(&site, "a", &[("go", &promote()), ("ask", "approve: {text: go on}")]);
    site.run(&["run", "a"]).ends(4);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["abort", "--rollback", "-m", "sessions are lost"]).ends(0).says("$ pointsman rollback");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["resume"]).ends(2).says("no playbook is unfinished");
    // A second time there is nothing to be taken back.
    site.run(&["abort", "p1", "--rollback"]).ends(2).says("p1 is not a playbook that is unfinished");
}

#[test]
fn abort_without_rollback_begins_no_new_step_and_moves_nothing() {
    let site = Site::small("");
    let wait = waits(&site, 0);
    write(&site, "a", &[("go", &promote()), (WAITS, &wait), ("never", "notify: {sal: never}")]);
    let mut run = Running::start(&site, &["run", "a"]);
    until_it_began(&site, &mut run);
    site.run(&["abort", "-m", "not today"]).ends(0);
    site.write("go", "");
    let said = run.ends(4);
    assert!(said.contains("aborted: no new step") && !said.contains("stage 3"), "{said}");
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["timeline"]).ends(0).says("not today");
}

#[test]
fn a_playbook_whose_process_was_killed_goes_on_where_it_was() {
    let site = Site::small("");
    let wait = waits(&site, 0);
    write(&site, "a", &[("go", &promote()), (WAITS, &wait), ("look", "check: {}")]);
    let mut run = Running::start(&site, &["run", "a"]);
    until_it_began(&site, &mut run);
    site.run(&["resume"]).ends(5).says("p1 is run by another process");
    run.signal(Signal::KILL);
    drop(run);
    site.write("go", "");
    site.run(&["resume"]).ends(0).says("stage 2 of 3").hides("stage 1 of 3").says("a is done");
    assert_eq!(promotions(&site), 1, "it is not promoted again");
    assert_eq!(fs::read_to_string(site.path("began")).expect("it is there"), "\n\n", "what was under way is run again");
}

#[test]
fn a_way_back_that_was_stopped_half_way_is_gone_on_with() {
    let site = Site::small("");
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    let sync = "sync-file: {paths: [wmf-config/limits.json], message: m}";
    let fails = format!("{}, on_fail: rollback", waits(&site, 1));
    write(&site, "a", &[("go", &promote()), ("fix", sync), (WAITS, &fails)]);
    let mut run = Running::start(&site, &["run", "a"]);
    until_it_began(&site, &mut run);
    // Somebody else takes the lock meanwhile, for which an undo does not wait.
    let mut lock = Running::start(&site, &["lock", "-m", "I am looking"]);
    lock.says("locked");
    site.write("go", "");
    let said = run.ends(5);
    assert!(said.contains("p1: goes back and is not through") && said.contains("pointsman resume p1"), "{said}");
    site.run(&["abort"]).ends(2).says("p1 is going back already");
    site.run(&["resume"]).ends(5);
    lock.signal(Signal::TERM);
    lock.ends(0);
    site.run(&["resume"]).ends(3).says("$ pointsman undo r3").says("$ pointsman rollback").hides("stage");
    assert_eq!(site.counts(), ".10: 7");
    for host in site.hosts() {
        let text = fs::read_to_string(site.served(host, "wmf-config/limits.json")).expect("it is there");
        assert_ne!(text, "{\"a\": 2}\n", "{host}");
    }
    site.run(&["resume"]).ends(2);
}

#[test]
fn a_soak_asks_its_gates_and_a_failure_takes_the_promotion_back() {
    let gate = "name: number, kind: threshold, source: {program: [checks/number.sh]}, failure: \"> 5\", at: [watch]";
    let site = gated_site("wave: 1ms, group: 1ms, max: 1h, watch: 1h", &[gate]);
    write(&site, "a", &[("go", &promote()), ("soak", "soak: {time: 1h}, on_fail: rollback"), ("end", "check: {}")]);
    let mut run = Running::start(&site, &["run", "a"]);
    run.says("stage 2 of 3");
    answers(&site, "number", 9);
    let said = run.ends(3);
    assert!(said.contains("nothing is left to be taken back"), "{said}");
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_stage_asks_gates_by_name() {
    let gate = "name: number, kind: threshold, source: {program: [checks/number.sh]}, failure: \"> 5\"";
    let site = gated_site("wave: 0s, group: 0s, watch: 0s", &[gate]);
    write(&site, "a", &[("ask", "gate: {gates: [number]}"), ("tell", "notify: {sal: it is good}")]);
    site.run(&["run", "a"]).ends(0).says("it is good");
    answers(&site, "number", 9);
    site.run(&["run", "a"]).ends(3).says("p2: paused: ask: ended with code 3").hides("it is good");
    answers(&site, "number", 0);
    site.run(&["resume", "p2"]).ends(0);
}

#[test]
fn a_program_runs_on_hosts_in_batches_and_stops_at_its_budget() {
    let site = Site::small("");
    let (log, bad) = (site.path("log").display().to_string(), site.path("bad").display().to_string());
    site.write("each.sh", &format!("#!/bin/sh\necho \"$1\" >> {log}\n! grep -qx \"$1\" {bad}\n"));
    site.write("bad", "mw1017.eqiad.wmnet\n");
    fs::set_permissions(site.path("each.sh"), PermissionsExt::from_mode(0o755)).expect("chmod");
    let program = site.path("each.sh").display().to_string();
    let run = format!("run: {{argv: [{program}, $item], hosts: all, batch: 1, parallel: 1}}");
    write(&site, "a", &[("each", &run)]);
    site.run(&["run", "a"]).ends(3).says("1 target of 3 failed, 0 may").hides("wave 2 of 3");
    assert_eq!(fs::read_to_string(site.path("log")).expect("it ran"), "mw1017.eqiad.wmnet\n");
    write(&site, "b", &[("each", &format!("{run}, budget: {{hosts: 1}}"))]);
    site.run(&["abort"]).ends(0);
    fs::remove_file(site.path("log")).expect("it is there");
    site.run(&["run", "b"]).ends(8).says("wave 3 of 3: 2 of 3 through, 1 failed");
    let mut ran: Vec<String> =
        fs::read_to_string(site.path("log")).expect("it ran").lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(ran, site.hosts());
}

#[test]
fn programs_read_how_a_playbook_ended() {
    let site = Site::small("");
    write(&site, "a", &[("fails", "notify: {argv: [\"false\"]}")]);
    let said = site.run(&["run", "a", "--json"]).ends(1);
    let events: Vec<serde_json::Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let last = events.last().expect("there is one");
    assert_eq!((&last["status"], &last["id"]), (&"paused".into(), &"p1".into()), "{said}");
}
