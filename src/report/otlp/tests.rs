//! A trace of a small promotion, and of a rollback.

use super::*;
use crate::model::ids::{Generation, RolloutId, SnapshotId};
use expect_test::{Expect, expect};

const BOOKS: BooksId = BooksId(7);

fn rollout(kind: Kind, status: Status) -> Rollout {
    Rollout {
        id: RolloutId(12),
        kind,
        groups: vec!["group1".parse().expect("a group")],
        version: Some("1.27.0-wmf.11".parse().expect("a version")),
        from: None,
        to: SnapshotId(3),
        by: "alice@deploy1".to_owned(),
        why: "train\u{1b}[31m".to_owned(),
        at: Time(1000),
        status,
        dispatched: true,
        effect: "1 host owed".to_owned(),
        playbook: None,
    }
}

/// A command at a time, and its answer.
fn step(command: &str, host: &str, sent: u64, outcome: Option<(u64, &str)>) -> Step {
    let generation = Generation { epoch: 1, seq: sent };
    let outcome = outcome.map(|(at, text)| (Time(at), text.to_owned()));
    Step { command: command.to_owned(), host: host.parse().expect("a host"), generation, sent: Time(sent), outcome }
}

fn steps() -> Vec<Step> {
    vec![
        step("observe", "mw1", 1001, Some((1100, "ok"))),
        step("observe", "mw2", 1001, Some((1200, "ok"))),
        step("switch", "mw1", 1300, Some((1400, "ok"))),
        step("observe", "mw2", 1450, Some((1460, "ok"))),
        step("switch", "mw2", 1500, None),
        step("confirm", "mw1", 1500, Some((1550, "ok"))),
        step("observe", "mw2", 1700, Some((1800, "refused: \u{7}"))),
    ]
}

fn document_of(rollout: &Rollout, steps: &[Step]) -> Value {
    document(Recorded { books: BOOKS, rollout, steps, gates: None })
}

/// The tree, indented, with times in ms.
fn tree(document: &Value) -> String {
    let spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans");
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = String::new();
    for span in spans {
        let parent = span["parentSpanId"].as_str().expect("a text");
        let depth = if parent.is_empty() { 0 } else { depths[parent] + 1 };
        assert!(depths.insert(span["spanId"].as_str().expect("an id"), depth).is_none(), "an id is of one span");
        let ms = |key: &str| span[key].as_str().expect("a text").strip_suffix("000000").expect("whole ms").to_owned();
        let (from, to) = (ms("startTimeUnixNano"), ms("endTimeUnixNano"));
        let events: Vec<&str> =
            span["events"].as_array().expect("a list").iter().filter_map(|e| e["name"].as_str()).collect();
        let (name, status) = (span["name"].as_str().expect("a name"), &span["status"]);
        text += &format!("{}{name} {from}..{to} {status} {}\n", "  ".repeat(depth), events.join(", "));
    }
    text
}

fn check(document: &Value, want: Expect) {
    want.assert_eq(&tree(document));
}

#[test]
fn a_promotion_is_a_tree_of_its_stages_waves_and_hosts() {
    let document = document_of(&rollout(Kind::Promote, Status::Owed), &steps());
    check(
        &document,
        expect![[r#"
        promote group1 1000..1800 {"code":2,"message":"1 host owed"} 
          prove 1001..1200 {} 
            mw1 1001..1100 {"code":1} observe sent, observe answered
            mw2 1001..1200 {"code":1} observe sent, observe answered
          switch 1300..1800 {} 
            wave 1 of 2 1300..1550 {} 
              mw1 1300..1550 {"code":1} switch sent, switch answered, confirm sent, confirm answered
            wave 2 of 2 1450..1800 {} 
              mw2 1450..1800 {"code":2,"message":"refused: \\u{7}"} observe sent, observe answered, switch sent, observe sent, observe answered
    "#]],
    );
}

#[test]
fn a_span_is_of_the_encoding() {
    let document = document_of(&rollout(Kind::Promote, Status::Owed), &steps());
    let root = &document["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    expect![[r#"
        {
          "attributes": [
            {
              "key": "pointsman.rollout",
              "value": {
                "stringValue": "r12"
              }
            },
            {
              "key": "pointsman.kind",
              "value": {
                "stringValue": "promote"
              }
            },
            {
              "key": "pointsman.groups",
              "value": {
                "stringValue": "group1"
              }
            },
            {
              "key": "pointsman.by",
              "value": {
                "stringValue": "alice@deploy1"
              }
            },
            {
              "key": "pointsman.why",
              "value": {
                "stringValue": "train\\u{1b}[31m"
              }
            },
            {
              "key": "pointsman.version",
              "value": {
                "stringValue": "1.27.0-wmf.11"
              }
            }
          ],
          "endTimeUnixNano": "1800000000",
          "events": [],
          "kind": 1,
          "name": "promote group1",
          "parentSpanId": "",
          "spanId": "70e0affa92bfb951",
          "startTimeUnixNano": "1000000000",
          "status": {
            "code": 2,
            "message": "1 host owed"
          },
          "traceId": "555148dc211297bc175c2854f63a7639"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(root).expect("it is plain"));
    let events = &document["resourceSpans"][0]["scopeSpans"][0]["spans"][2]["events"];
    expect![[r#"{"attributes":[{"key":"pointsman.result","value":{"stringValue":"ok"}}],"name":"observe answered","timeUnixNano":"1100000000"}"#]].assert_eq(&events[1].to_string());
}

#[test]
fn a_rollback_is_one_wave_in_which_each_host_goes_for_itself() {
    check(
        &document_of(&rollout(Kind::Rollback, Status::Done), &steps()),
        expect![[r#"
        rollback group1 1000..1800 {"code":1} 
          switch 1001..1800 {} 
            wave 1 of 1 1001..1800 {} 
              mw1 1001..1550 {"code":1} observe sent, observe answered, switch sent, switch answered, confirm sent, confirm answered
              mw2 1001..1800 {"code":2,"message":"refused: \\u{7}"} observe sent, observe answered, observe sent, observe answered, switch sent, observe sent, observe answered
    "#]],
    );
    check(
        &document_of(&rollout(Kind::Promote, Status::Open), &steps()[..2]),
        expect![[r#"
        promote group1 1000..1200 {} 
          prove 1001..1200 {} 
            mw1 1001..1100 {"code":1} observe sent, observe answered
            mw2 1001..1200 {"code":1} observe sent, observe answered
    "#]],
    );
    check(
        &document_of(&rollout(Kind::Promote, Status::Dropped), &[]),
        expect![[r#"
        promote group1 1000..1000 {"code":2,"message":"1 host owed"} 
    "#]],
    );
}

#[test]
fn the_same_books_give_the_same_trace_and_others_another() {
    let rollout = rollout(Kind::Promote, Status::Done);
    let steps = steps();
    let of = |books| document(Recorded { books, rollout: &rollout, steps: &steps, gates: None }).to_string();
    assert_eq!(of(BOOKS), of(BOOKS));
    assert_ne!(of(BOOKS), of(BooksId(8)));
}

#[test]
fn s12_what_a_host_says_is_harmless() {
    let text = document_of(&rollout(Kind::Promote, Status::Owed), &steps()).to_string();
    assert!(!text.contains("\\u001b") && !text.contains("\\u0007"), "{text}");
    assert!(text.contains("refused: \\\\u{7}"), "{text}");
}
