//! The gates of a groups.yaml as an incident carries them: what decides is kept, where it was measured is not.
//!
//! Invariant: what comes out has only keys that are named here, so that no address, program, header or query of a site
//! gets into a file that is passed around. It is JSON, which YAML reads.

use crate::config::diagnostic::Sink;
use crate::config::yaml::{self, Node, Value};
use serde_json::{Map, json};
use std::path::Path;

/// When and how often a gate is asked, and what decides.
const KEPT: &[&str] = &[
    "name",
    "kind",
    "at",
    "groups",
    "hosts",
    "mode",
    "on_fail",
    "interval",
    "initial_delay",
    "count",
    "failure_limit",
    "inconclusive_limit",
    "consecutive_error_limit",
    "consecutive_success_limit",
    "success",
    "failure",
    "percent_above",
    "newest_age",
    "window",
    "look_back",
    "min_events",
    "min_hosts",
    "tolerated_ratio",
    "alpha",
    "min_ratio",
    "max_ratio",
    "min_exposure",
    "max_rate",
    "sequential",
    "time",
];

/// Gates that can be replayed, each a mapping in one line, and the names of those that can't. A text that is no
/// groups.yaml has none.
pub fn gates(groups_yaml: &str) -> (Vec<String>, Vec<String>) {
    let mut sink = Sink::new(Path::new("groups.yaml"));
    let tree = yaml::read(groups_yaml, &mut sink);
    let gates = tree.as_ref().and_then(|tree| entry(tree, "gates")).map(|node| &node.value);
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    let Some(Value::List(nodes)) = gates else { return (found, left_out) };
    for node in nodes {
        match gate(node) {
            Some(text) => found.push(text),
            None => left_out.extend(text(node, "name").map(str::to_owned)),
        }
    }
    (found, left_out)
}

fn gate(node: &Node) -> Option<String> {
    let Value::Map(entries) = &node.value else { return None };
    // Stands where it was measured.
    let source = match text(node, "kind")? {
        "threshold" => Some(("source", json!({"graphite": "http://recorded.invalid", "target": "recorded"}))),
        "counts" => Some(("logs", json!({"file": "/recorded", "events": "recorded"}))),
        "signatures" => Some(("files", json!(["/recorded"]))),
        "probe" => Some(("url", json!({"host_header": "recorded.invalid", "expect": {"status": 200}}))),
        "contract" => Some(("urls", json!([{"host_header": "recorded.invalid", "path": "/"}]))),
        "blockers" | "approval" | "soak" => None,
        _ => return None,
    };
    let kept = entries.iter().filter(|(key, _)| KEPT.contains(&key.text.as_str()));
    let mut gate: Map<String, serde_json::Value> = kept.map(|(key, node)| (key.text.clone(), as_json(node))).collect();
    gate.extend(source.map(|(key, value)| (key.to_owned(), value)));
    Some(serde_json::Value::Object(gate).to_string())
}

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node)
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &entry(node, key)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn as_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Text(text) => json!(text),
        Value::Number(number) => json!(number),
        // A number with a fraction, `true`; what is neither was refused when the file was read.
        Value::Other(written) => serde_json::from_str(written).unwrap_or_else(|_| json!(written)),
        Value::List(nodes) => nodes.iter().map(as_json).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, node)| (key.text.clone(), as_json(node))).collect::<Map<_, _>>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_kept_and_where_it_is_measured_is_not() {
        let text = r#"gates:
  - {name: load, kind: threshold, source: {program: [/bin/x, CANARY]}, failure: "> 9.5", mode: observe, alpha: 0.5}
  - {name: page, kind: probe, url: {path: /CANARY, headers: {X: CANARY}, expect: {status: 200}}, tries: 3}
  - {name: plugin, kind: command, argv: [CANARY]}
"#;
        let (found, left_out) = gates(text);
        expect_test::expect![[r#"
            {"alpha":0.5,"failure":"> 9.5","kind":"threshold","mode":"observe","name":"load","source":{"graphite":"http://recorded.invalid","target":"recorded"}}
            {"kind":"probe","name":"page","url":{"expect":{"status":200},"host_header":"recorded.invalid"}}"#]]
        .assert_eq(&found.join("\n"));
        assert_eq!(left_out, ["plugin"]);
        assert_eq!(gates("gates: ["), (Vec::new(), Vec::new()));
    }
}
