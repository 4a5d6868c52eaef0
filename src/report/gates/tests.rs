//! The words, for a promotion that went badly.

use super::*;
use crate::model::books::{Kind, Rollout};
use crate::model::health::HealthRecord;
use crate::model::ids::{BooksId, RolloutId, SnapshotId};
use expect_test::expect;

const NOW: Time = Time(1_453_511_640_000);
const THEN: Time = Time(1_453_427_280_000);

fn judgement(gate: &str, verdict: Verdict, sentence: &str) -> Judgement {
    Judgement {
        gate: gate.parse().expect("a name"),
        verdict,
        at: THEN,
        value: Some(8.5),
        limit: "ratio below 1.5".into(),
        n: 340,
        window_ms: 60_000,
        query: "errors".into(),
        sentence: sentence.into(),
        samples: vec!["mw2020.codfw.wmnet 340 of 1000".into()],
        against: Default::default(),
    }
}

fn open(id: u64, status: Status) -> Rollout {
    Rollout {
        id: RolloutId(id),
        kind: Kind::Promote,
        groups: vec!["group1".parse().expect("a group")],
        version: Some("1.27.0-wmf.11".parse().expect("a version")),
        from: None,
        to: SnapshotId(1),
        by: "alice@deploy".into(),
        why: "train".into(),
        at: THEN,
        status,
        dispatched: false,
        effect: String::new(),
        playbook: None,
    }
}

fn books(records: &[HealthRecord]) -> Books {
    let mut books = Books::new(BooksId(1));
    books.rollouts.insert(RolloutId(4), open(4, Status::Dropped));
    books.rollouts.insert(RolloutId(5), open(5, Status::Open));
    records.iter().for_each(|record| books.health.apply(THEN, record));
    books
}

fn asked(rollout: u64, gate: &str) -> HealthRecord {
    HealthRecord::Asked { rollout: RolloutId(rollout), gate: gate.parse().expect("a name") }
}

#[test]
fn who_waits_since_when_and_what_to_type() {
    let blocked = |id: &str, text: &str, version: Option<&str>| HealthRecord::Blocked {
        id: id.into(),
        by: "alice@deploy".into(),
        text: text.into(),
        version: version.map(|version| version.parse().expect("a version")),
    };
    let books = books(&[
        asked(4, "release-manager"),
        asked(5, "release-manager"),
        blocked("T124143", "sessions are lost\non logout", None),
        blocked("sig-1f2e3d4c", "Infinite recursion\x1b[2J", Some("1.27.0-wmf.11")),
    ]);
    expect![[r#"
        release-manager: r5 promote group1 to 1.27.0-wmf.11 by alice@deploy waits, since 2016-01-22 01:48 UTC, 23 h ago; type: pointsman approve r5 -m WHY, or pointsman deny r5 -m WHY
        T124143: sessions are lost\u{a}on logout (by alice@deploy, since 2016-01-22 01:48 UTC, 23 h ago); type: pointsman blocker close T124143 -m WHY
        sig-1f2e3d4c (1.27.0-wmf.11): Infinite recursion\u{1b}[2J (by alice@deploy, since 2016-01-22 01:48 UTC, 23 h ago); type: pointsman blocker close sig-1f2e3d4c -m WHY"#]]
    .assert_eq(&[waiting(&books, NOW), blockers(&books, NOW)].concat().join("\n"));
}

#[test]
fn of_two_approvals_that_wait_each_is_named() {
    let lines = waiting(&books(&[asked(5, "ops"), asked(5, "security")]), NOW);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("pointsman approve r5 ops -m WHY"), "{lines:?}");
}

#[test]
fn what_gates_said_of_one_rollout() {
    let (rollout, by) = (RolloutId(5), "bob@deploy".to_owned());
    let judged = |judgement: Judgement| HealthRecord::Judged { rollout, moment: "wave 1 of 3".into(), judgement };
    let answered = |gate: &str, yes: bool, reason: &str| HealthRecord::Answered {
        rollout,
        gate: gate.parse().expect("a name"),
        yes,
        by: by.clone(),
        reason: reason.into(),
    };
    let blame = "340 of 340 events come from mw2020.codfw.wmnet".to_owned();
    let books = books(&[
        judged(judgement("errors", Verdict::Fail, "8.5 times the control's errors")),
        HealthRecord::Attributed { rollout, gate: "errors".parse().expect("a name"), blame },
        judged(judgement("errors", Verdict::Pass, "0.9 times the control's errors")),
        judged(judgement("plugin", Verdict::Error, "it ended with 3")),
        answered("plugin", true, "the plugin is broken, T1"),
        asked(5, "release-manager"),
        judged(judgement("release-manager", Verdict::Fail, "denied")),
        answered("release-manager", false, "not before Monday"),
    ]);
    expect![[r#"
        gate errors: pass, 2016-01-22 01:48 UTC: 0.9 times the control's errors
          before that: fail, 2016-01-22 01:48 UTC: 8.5 times the control's errors
          340 of 340 events come from mw2020.codfw.wmnet
        gate plugin: error, 2016-01-22 01:48 UTC: it ended with 3
          mw2020.codfw.wmnet 340 of 1000
          overruled by bob@deploy, 2016-01-22 01:48 UTC: the plugin is broken, T1
        gate release-manager: fail, 2016-01-22 01:48 UTC: denied
          mw2020.codfw.wmnet 340 of 1000
          denied by bob@deploy, 2016-01-22 01:48 UTC: not before Monday"#]]
    .assert_eq(&rows(&books.health.gates[&rollout]).join("\n"));
}
