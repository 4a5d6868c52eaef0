//! What programs and people who look things up are told: JSON lines and help.

use crate::site::{Site, V11};
use serde_json::Value;
use std::process::Command;

#[test]
fn json_is_one_typed_event_a_line() {
    let site = Site::small("");
    let mut kinds = Vec::new();
    for arguments in [
        vec!["promote", "group0", V11, "-m", "x", "--dry-run", "--json"],
        vec!["promote", "group0", V11, "-m", "x", "--yes", "--json"],
        vec!["check", "--json"],
        vec!["rollback", "--json"],
        vec!["rollback", "--json"],
        vec!["sync-common", "--json"],
        vec!["converge", "--json"],
    ] {
        let said = site.run(&arguments).ends(0);
        for line in said.stdout.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {said}"));
            assert_eq!(event["v"], 1, "{line}");
            let kind = event["type"].as_str().expect("an event has a type").to_owned();
            if kind == "ended" {
                assert_eq!(event["code"], said.code, "{line}");
            }
            kinds.push(kind);
        }
    }
    for kind in ["plan", "step", "ended"] {
        assert!(kinds.iter().any(|k| k == kind), "no {kind} in {kinds:?}");
    }
    for arguments in [vec!["status", "--json"], vec!["history", "--json"], vec!["show", "r1", "--json"]] {
        let said = site.run(&arguments).ends(0);
        serde_json::from_str::<Value>(&said.stdout).unwrap_or_else(|why| panic!("{why}: {said}"));
    }
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pointsman")).args(arguments).arg("--help").output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn every_command_has_help_with_an_example() {
    let all = help(&[]);
    let (_, commands) = all.split_once("Commands:\n").expect("commands are listed");
    let names: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|l| !l.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 20 && names.contains(&"rollback"), "{names:?}");
    for name in names {
        let text = help(&[name]);
        assert!(text.contains(&format!("Example:\n  pointsman {name}")), "{name}: {text}");
    }
}
