//! Playbooks while other people act on the same fleet, with the real program over local hosts.

use crate::gated::{Running, answers, site as gated_site};
use crate::site::{Site, V11};

fn promote(group: &str) -> String {
    format!("promote: {{group: {group}, version: \"{V11}\", message: m, out_of_order: a test}}")
}

/// Writes a playbook of these stages, each with a name.
fn write(site: &Site, name: &str, stages: &[(&str, &str)]) {
    let stages: String = stages.iter().map(|(name, stage)| format!("  - {{name: {name}, {stage}}}\n")).collect();
    site.write(&format!("playbooks/{name}.yaml"), &format!("name: {name}\nstages:\n{stages}"));
}

#[test]
fn what_others_promoted_meanwhile_stays_when_a_playbook_is_taken_back() {
    let site = Site::small("");
    write(&site, "a", &[("go", &promote("group0")), ("ask", "approve: {text: go on}")]);
    site.run(&["run", "a"]).ends(4);
    site.run(&["promote", "group1", V11, "--yes", "-m", "by hand"]).ends(0);
    assert_eq!(site.counts(), ".10: 2, .11: 5");
    site.run(&["abort", "--rollback", "-m", "no more"]).ends(0).says("$ pointsman rollback group0");
    assert_eq!(site.counts(), ".10: 4, .11: 3", "group1 stays where it was put by hand");
}

#[test]
fn a_sync_of_others_over_that_of_a_playbook_is_left_to_a_person() {
    let site = Site::small("");
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    let sync = "sync-file: {paths: [wmf-config/limits.json], message: m}";
    write(&site, "a", &[("fix", sync), ("ask", "approve: {text: go on}")]);
    site.run(&["run", "a"]).ends(4);
    site.stage("wmf-config/limits.json", "{\"a\": 3}\n");
    site.run(&["sync-file", "wmf-config/limits.json", "--yes", "-m", "by hand"]).ends(0);
    let said = site.run(&["abort", "--rollback"]).ends(5);
    said.says("r2 can't be taken back without r3").says("pointsman undo r3").says("is not through");
    // They take theirs back, and the playbook goes on going back.
    site.run(&["undo", "r3", "--yes"]).ends(0);
    site.run(&["resume"]).ends(3).says("$ pointsman undo r2");
    for host in site.hosts() {
        let text = std::fs::read_to_string(site.served(host, "wmf-config/limits.json")).expect("it is there");
        assert_eq!(text, "{\"a\": 1}\n", "{host}");
    }
}

#[test]
fn a_rollback_by_others_ends_a_playbook_whose_stage_was_under_way() {
    let gate = "name: number, kind: threshold, source: {program: [checks/number.sh]}, failure: \"> 5\", at: [watch]";
    let site = gated_site("wave: 1ms, group: 1ms, max: 1h, watch: 1h", &[gate]);
    write(&site, "a", &[("go", &promote("group0")), ("soak", "soak: {time: 1h}"), ("end", "check: {}")]);
    let mut run = Running::start(&site, &["run", "a"]);
    run.says("watching");
    site.run(&["rollback", "--yes", "-m", "users say so"]).ends(0);
    let said = run.ends(5);
    assert!(said.contains("is no longer what the fleet is wanted at") && !said.contains("stage 3"), "{said}");
    site.run(&["resume"]).ends(2).says("no playbook is unfinished");
}

#[test]
fn a_soak_watches_its_own_promotion_and_bears_a_sync() {
    let gate = "name: number, kind: threshold, source: {program: [checks/number.sh]}, failure: \"> 5\", at: [watch]";
    let site = gated_site("wave: 1ms, group: 1ms, max: 1h, watch: 1h", &[gate]);
    write(&site, "a", &[("go", &promote("group0")), ("soak", "soak: {time: 1h}, on_fail: rollback")]);
    let mut run = Running::start(&site, &["run", "a"]);
    run.says("$ pointsman watch r2 --for");
    run.says("watching r2");
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    site.run(&["sync-file", "wmf-config/limits.json", "--yes", "-m", "a hotfix"]).ends(0);
    // It is looked every two seconds whether the fleet is still wanted there.
    std::thread::sleep(std::time::Duration::from_secs(3));
    answers(&site, "number", 9);
    run.ends(3);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn the_process_of_a_playbook_that_others_aborted_does_not_call_it_paused() {
    let site = Site::small("");
    write(&site, "a", &[("ask", "approve: {text: go on, within: 1h}")]);
    let mut run = Running::start(&site, &["run", "a"]);
    run.says("hint: pointsman approve p1");
    site.run(&["status"]).says("playbook: p1 a by").says("is under way");
    site.run(&["abort"]).ends(0);
    let said = run.ends(4);
    assert!(said.contains("aborted: no new step") && !said.contains("paused"), "{said}");
    site.run(&["status"]).hides("playbook");
}

#[test]
fn the_same_playbook_is_not_begun_twice_and_status_tells_of_it() {
    let site = Site::small("");
    write(&site, "a", &[("ask", "approve: {text: go on}")]);
    site.run(&["run", "a"]).ends(4);
    site.run(&["run", "a"]).ends(10).says("p1 of").says("pointsman resume p1, or pointsman abort p1");
    site.run(&["status"])
        .says("playbook: p1 a by")
        .says("is paused (ask: ended with code 4); type: pointsman resume p1");
    site.run(&["abort"]).ends(0);
    site.run(&["run", "a"]).ends(4).says("p2: a begins");
}

#[test]
fn a_dry_run_heeds_the_overriding_of_a_freeze() {
    let site = Site::small("");
    write(&site, "a", &[("go", &promote("group0"))]);
    let text = std::fs::read_to_string(site.path("playbooks/a.yaml")).expect("it was written");
    let freeze = "freeze: [{timezone: UTC, from: \"2020-01-01\", to: \"2090-01-01\", reason: always}]\n";
    site.write("playbooks/a.yaml", &format!("{text}{freeze}"));
    site.run(&["run", "a", "--dry-run"]).ends(10).says("now it would be refused").says("always");
    site.run(&["run", "a", "--dry-run", "--override-freeze", "a test"]).ends(0).hides("refused");
}
