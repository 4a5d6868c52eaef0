//! What is written for programs, held against the schemas that are published.

use crate::gated::{answers, site};
use crate::site::{Ran, Site, V11};
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

struct Published {
    schemas: Schemas,
    index: SchemaIndex,
}

/// The schema that the program prints.
fn published(of: &str) -> Published {
    let text: Value =
        serde_json::from_str(&Site::unsynced("").run(&["schema", of]).ends(0).stdout).expect("it is JSON");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("published.json", text).expect("it has a name");
    let index = compiler.compile("published.json", &mut schemas).unwrap_or_else(|why| panic!("{of}: {why:#}"));
    Published { schemas, index }
}

impl Published {
    fn holds(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.index).map_err(|why| format!("{why:#}"))
    }

    /// Every line of what a command wrote; the kinds of events and of steps go to `seen`.
    #[track_caller]
    fn check(&self, ran: Ran, seen: &mut BTreeSet<String>) {
        assert!(!ran.stdout.is_empty(), "{ran}");
        for line in ran.stdout.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
            self.holds(&event).unwrap_or_else(|why| panic!("{}: {line}\n{why}", ran.arguments));
            seen.insert(event["type"].as_str().expect("it has a type").to_owned());
            seen.extend(event["step"].as_str().map(|step| format!("step {step}")));
            seen.extend(event["outcome"].as_str().map(|outcome| format!("ended {outcome}")));
        }
    }
}

const PLAYBOOK: &str = "name: small\nstages:\n  - name: log\n    notify: {sal: small train}\n";

/// The site, and a way to run a command on it whose every line is held against the schema.
fn held(gates: &[&str]) -> (Site, impl FnMut(&Site, &[&str], i32) -> BTreeSet<String> + use<>) {
    let schema = published("events");
    let mut seen = BTreeSet::new();
    let check = move |site: &Site, arguments: &[&str], code: i32| {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        schema.check(site.run(&arguments).ends(code), &mut seen);
        seen.clone()
    };
    (site("wave: 1ms, group: 1ms, max: 200ms, watch: 1ms", gates), check)
}

fn promote(group: &'static str) -> [&'static str; 6] {
    ["promote", group, V11, "-m", "x", "--yes"]
}

#[track_caller]
fn all_of(seen: &BTreeSet<String>, wanted: &[&str]) {
    let missing: Vec<&&str> = wanted.iter().filter(|kind| !seen.contains(**kind)).collect();
    assert!(missing.is_empty(), "no {missing:?} in {seen:#?}");
}

#[test]
fn every_event_of_a_gated_train_is_of_the_published_schema() {
    let (site, mut check) = held(&[
        "name: plugin, kind: command, argv: [checks/plugin.sh], at: [wave, canary]",
        "name: manager, kind: approval, groups: [group2]",
    ]);
    check(&site, &["promote", "group0", V11, "-m", "x", "--dry-run"], 0);
    check(&site, &promote("group0"), 0);
    check(&site, &promote("group0"), 0);
    check(&site, &promote("group2"), 4);
    check(&site, &["promote", "group1", V11, "-m", "x"], 4);
    site.write("playbooks/small.yaml", PLAYBOOK);
    answers(&site, "plugin", 2);
    check(&site, &["canary"], 3);
    check(&site, &promote("group1"), 3);
    answers(&site, "plugin", 0);
    check(&site, &["watch", "--for", "1ms"], 0);
    let seen = check(&site, &["run", "small"], 0);
    all_of(&seen, &["plan", "step", "ended", "watched", "gate", "canary", "playbook", "note"]);
    all_of(&seen, &["step wave", "step wave-done", "step switched", "step proven", "step gates", "step judged"]);
    all_of(&seen, &["ended nothing", "ended done", "ended denied", "ended gate-failed", "ended paused"]);
}

#[test]
fn every_event_of_a_way_back_and_of_repairs_is_of_the_published_schema() {
    let (site, mut check) = held(&[]);
    check(&site, &promote("group0"), 0);
    site.run(&["blocker", "add", "T1", "-m", "x"]).ends(0);
    check(&site, &["blocker", "list"], 0);
    site.run(&["blocker", "close", "T1", "-m", "x"]).ends(0);
    check(&site, &["check"], 0);
    let gone = site.hosts()[2].clone();
    fs::rename(site.host(&gone), site.path("away")).expect("moved");
    check(&site, &["check"], 7);
    check(&site, &promote("group1"), 7);
    check(&site, &["rollback"], 8);
    fs::rename(site.path("away"), site.host(&gone)).expect("moved");
    fs::remove_dir_all(site.served(&gone, "php-1.27.0-wmf.10/includes")).expect("ours");
    check(&site, &["rollback"], 0);
    check(&site, &["rollback"], 0);
    check(&site, &["sync-common"], 0);
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    check(&site, &["sync-file", "wmf-config/limits.json", "-m", "x", "--yes"], 0);
    check(&site, &["converge"], 0);
    let seen = check(&site, &["gc"], 0);
    all_of(&seen, &["step", "ended", "stale", "ready", "blocker", "collected"]);
    all_of(&seen, &["step repairing", "step left", "step collected"]);
    all_of(&seen, &["ended nothing", "ended done", "ended stale"]);
}

#[test]
fn a_schema_refuses_what_is_not_written() {
    let schema = published("events");
    let good = serde_json::json!({"v": 1, "type": "step", "step": "switched", "host": "mw1017.eqiad.wmnet"});
    assert_eq!(schema.holds(&good), Ok(()));
    let changes: [(&str, Value); 6] = [
        ("v", 2.into()),
        ("type", "stop".into()),
        ("step", "switch".into()),
        ("host", 1.into()),
        ("host", Value::Null),
        ("more", 1.into()),
    ];
    for (key, value) in changes {
        let mut event = good.clone();
        event[key] = value;
        assert!(schema.holds(&event).is_err(), "{event}");
    }
    for key in ["v", "type", "step", "host"] {
        let mut event = good.clone();
        event.as_object_mut().expect("an object").remove(key);
        assert!(schema.holds(&event).is_err(), "{event}");
    }
}

#[test]
fn a_status_is_of_the_published_schema_and_a_notice_too() {
    let schema = published("status");
    let site = site("wave: 1ms, group: 1ms, max: 1h, watch: 0s", &["name: manager, kind: approval"]);
    let mut waits = crate::gated::Running::start(&site, &["promote", "group0", V11, "--yes", "-m", "train"]);
    waits.says("pointsman approve r2 -m WHY");
    fs::rename(site.host(&site.hosts()[2]), site.path("away")).expect("moved");
    site.run(&["hold", "-m", "x"]);
    for arguments in [vec!["status", "--json"], vec!["status", "--live", "--json"]] {
        let ran = site.run(&arguments);
        let view: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran}"));
        schema.holds(&view).unwrap_or_else(|why| panic!("{why}"));
        let mut wrong = view.clone();
        wrong["books"]["epoch"] = "1".into();
        assert!(schema.holds(&wrong).is_err());
    }
    let notice = published("notice");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/notifications.md")).expect("it is there");
    let (_, example) = text.split_once("    {\"v\":1,").expect("the page has an example");
    let (example, _) = example.split_once("\n\n").expect("it ends");
    let example: Value = serde_json::from_str(&format!("{{\"v\":1,{example}")).expect("it is JSON");
    notice.holds(&example).unwrap_or_else(|why| panic!("{why}"));
}
