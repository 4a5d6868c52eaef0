//! Timelines out of records that were made by hand.

use super::super::fixture::{BEGIN, host, rollout};
use super::*;
use crate::model::books::{Kind, Pin, PinSource, Pins, Rollout, Snapshot, Status};
use crate::model::fault::Fault;
use crate::model::ids::{Generation, PlaybookId, RolloutId};
use crate::model::map::VersionMap;
use crate::model::playbook::{PlaybookRecord, PlaybookRun, PlaybookStatus};
use crate::model::stale::StaleReason;
use crate::model::verdict::{Judgement, Verdict};
use crate::store::Store;
use expect_test::{Expect, expect};

const NOW: Time = Time(BEGIN + 3_600_000);

fn span() -> Span {
    Span { since: None, until: NOW }
}

/// The lines of records that come ten seconds after each other, in one epoch.
fn told(records: &[Record], span: Span) -> Vec<Row> {
    let mut teller = Teller::new(span);
    for (n, record) in (0..).zip(records) {
        teller.take(Mark { seq: n + 1, at: Time(BEGIN + n * 10_000), epoch: 1 }, record);
    }
    teller.rows()
}

/// The table's lines, without their frame.
fn check(records: &[Record], want: Expect) {
    let shown = text(&told(records, span()), span());
    let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with("| 0")).collect();
    want.assert_eq(&lines.join("\n"));
}

fn opened(id: u64, kind: Kind, pins: Pins) -> Record {
    let rollout = Rollout { status: Status::Open, dispatched: false, ..rollout(id, kind) };
    let snapshot =
        Snapshot { id: rollout.to, map: VersionMap::default(), pins, wanted: Default::default(), at: Time(BEGIN) };
    Record::Opened { rollout, snapshot: Some(snapshot), moves_current: kind == Kind::Rollback }
}

fn intents(id: u64, hosts: impl IntoIterator<Item = u32>) -> Record {
    let generation = Generation { epoch: 1, seq: 1 };
    let hosts = hosts.into_iter().map(|n| (host(n), generation)).collect();
    Record::Intents { rollout: RolloutId(id), command: "switch".into(), hosts }
}

fn outcome(id: u64, n: u32, result: &str) -> Record {
    let generation = Generation { epoch: 1, seq: 1 };
    Record::Outcome {
        rollout: RolloutId(id),
        command: "switch".into(),
        host: host(n),
        generation,
        result: result.into(),
    }
}

fn fresh(n: u32) -> Record {
    Record::Fresh { host: host(n) }
}

fn ended(id: u64, status: Status, effect: &str) -> Record {
    Record::Ended { rollout: RolloutId(id), status, moves_current: false, effect: effect.into() }
}

fn judged(verdict: Verdict, value: f64) -> Record {
    let judgement = Judgement {
        gate: "new-errors".parse().expect("a gate"),
        verdict,
        at: Time(BEGIN),
        value: Some(value),
        limit: "below 3".into(),
        n: 10,
        window_ms: 90_000,
        query: "Q".into(),
        sentence: format!("Fails: {value} new errors (n 10, over 90 s, asked: Q)."),
        samples: ["a | b", "<b>", "c", "d", "e"].map(String::from).to_vec(),
        against: Default::default(),
    };
    Record::Health(HealthRecord::Judged { rollout: RolloutId(2), moment: "wave 1 of 3".into(), judgement })
}

#[test]
fn an_undertaking_is_told_at_its_end_with_hosts_by_name() {
    let left = StaleReason::Fault(Fault::NoRoute);
    let mut records = vec![opened(2, Kind::Promote, Pins::default()), intents(2, 2016..=2020)];
    records.extend((2016..=2019).map(|n| outcome(2, n, "ok")));
    records.push(Record::Stale { host: host(2020), reason: left });
    records.push(Record::Owed { host: host(2020), what: "the state s3 of r2".into() });
    records.extend((2016..=2019).map(fresh));
    records.push(ended(2, Status::Owed, "group1: 594 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11; 4 of 5 hosts proven"));
    records.push(fresh(2020));
    check(
        &records,
        expect![[r#"
            | 01:17:00 | `mw2020.codfw.wmnet` stale: no route to host |
            | 01:18:00 | **r2** promote group1 to 1.27.0-wmf.11 **done, hosts owed**: group1: 594 wikis 1.27.0-wmf.10 -&gt; 1.27.0-wmf.11; 4 of 5 hosts proven. Proven on `mw[2016-2019].codfw.wmnet`. Left behind and owed: `mw2020.codfw.wmnet`. By alice\@deploy: train; begun 01:16:00 |
            | 01:18:10 | `mw2020.codfw.wmnet` proven again; was stale: no route to host |"#]],
    );
}

#[test]
fn what_never_ended_is_never_done() {
    let mut records = vec![opened(2, Kind::Rollback, Pins::default()), intents(2, 2016..=2019)];
    records.extend([outcome(2, 2016, "ok"), outcome(2, 2017, "disk full: <script>")]);
    check(
        &records,
        expect![[
            r#"| 01:16:00 | **r2** rollback group1 from 1.27.0-wmf.11 was begun at 01:16:00 and **never ended** within this time; the wanted state moved at its beginning. Switched: `mw2016.codfw.wmnet`. Did not switch: `mw2017.codfw.wmnet`. Told to switch and never answered, so it may have: `mw[2018-2019].codfw.wmnet`. By alice\@deploy: train |"#
        ]],
    );
    check(
        &[opened(2, Kind::Promote, Pins::default())],
        expect![[
            r#"| 01:16:00 | **r2** promote group1 to 1.27.0-wmf.11 was begun at 01:16:00 and **never ended** within this time. No host was switched. By alice\@deploy: train |"#
        ]],
    );
    // An end after the span is not known in it.
    records.push(ended(2, Status::Done, "all is well"));
    let before = Span { since: None, until: Time(BEGIN + 35_000) };
    let rows = told(&records, before);
    assert!(rows.len() == 1 && rows[0].text.contains("never ended"), "{rows:?}");
    assert!(!rows[0].text.contains("all is well"), "{rows:?}");
}

#[test]
fn what_was_taken_back_says_which_hosts_had_moved() {
    let moved = [opened(2, Kind::Promote, Pins::default()), intents(2, [2016, 2017]), outcome(2, 2016, "ok")];
    let back = ended(2, Status::WentBack, "taken back by r3");
    check(
        &[&moved[..], &[back]].concat(),
        expect![[
            r#"| 01:16:30 | **r2** promote group1 to 1.27.0-wmf.11 **went back**: taken back by r3. Switched: `mw2016.codfw.wmnet`. Told to switch and never answered, so it may have: `mw2017.codfw.wmnet`. By alice\@deploy: train; begun 01:16:00 |"#
        ]],
    );
    let dropped = [opened(2, Kind::Promote, Pins::default()), ended(2, Status::Dropped, "mw2020 is stale")];
    check(
        &dropped,
        expect![[
            r#"| 01:16:10 | **r2** promote group1 to 1.27.0-wmf.11 **dropped**: mw2020 is stale. No host was switched. By alice\@deploy: train; begun 01:16:00 |"#
        ]],
    );
}

#[test]
fn pins_are_told_by_what_moved() {
    let pin = |version: &str| Pin {
        version: version.parse().expect("a version"),
        reason: "logins | beta".into(),
        owner: "labs".into(),
        since: Time(BEGIN),
        until: Some(NOW),
        source: PinSource::Books,
    };
    let of = |version: &str| Pins {
        wikis: [("labswiki".parse().expect("a wiki"), pin(version))].into(),
        hosts: [(host(1017), pin(version))].into(),
    };
    let unpinned = Pins { wikis: Default::default(), ..of("1.27.0-wmf.9") };
    check(
        &[
            opened(2, Kind::Pin, Pins::default()),
            ended(2, Status::Done, ""),
            opened(3, Kind::Pin, of("1.27.0-wmf.9")),
            ended(3, Status::Done, "no wiki moved"),
            opened(4, Kind::Unpin, unpinned),
            ended(4, Status::Done, "no wiki moved"),
        ],
        expect![[r#"
            | 01:16:10 | **r2** pin group1 1.27.0-wmf.11 **done**. By alice\@deploy: train; begun 01:16:00 |
            | 01:16:30 | **r3** pin group1 1.27.0-wmf.11 **done**: no wiki moved. Pins: labswiki pinned to 1.27.0-wmf.9 (logins \| beta; labs, until 2016-01-23T02:16:00Z); mw1017.codfw.wmnet pinned to 1.27.0-wmf.9 (logins \| beta; labs, until 2016-01-23T02:16:00Z). By alice\@deploy: train; begun 01:16:20 |
            | 01:16:50 | **r4** unpin group1 1.27.0-wmf.11 **done**: no wiki moved. Pins: labswiki no longer pinned to 1.27.0-wmf.9. By alice\@deploy: train; begun 01:16:40 |"#]],
    );
}

#[test]
fn verdicts_that_decided_are_told_with_their_evidence() {
    use Verdict::{Fail, Inconclusive, Pass};
    check(
        &[
            judged(Inconclusive, 1.0),
            judged(Fail, 5.0),
            judged(Fail, 7.0),
            judged(Inconclusive, 2.0),
            judged(Pass, 0.5),
        ],
        expect![[r#"
            | 01:16:10 | gate new-errors **fails** (r2, wave 1 of 3): 5 against below 3. 5 new errors (n 10, over 90 s, asked: Q). Measured: a \| b; &lt;b&gt;; c and 2 more. It failed 1 more time until 01:16:20 |
            | 01:16:40 | gate new-errors passes (r2, wave 1 of 3): 0.5 against below 3. 0.5 new errors (n 10, over 90 s, asked: Q) |"#]],
    );
    check(
        &[judged(Pass, 1.0), judged(Pass, 0.25)],
        expect![
            "| 01:16:10 | gate new-errors passes (r2, wave 1 of 3): 0.25 against below 3. 0.25 new errors (n 10, over 90 s, asked: Q) |"
        ],
    );
    check(
        &[judged(Pass, 1.0), judged(Inconclusive, 2.0)],
        expect![[
            r#"| 01:16:10 | gate new-errors **is undecided** (r2, wave 1 of 3): 2 against below 3. 2 new errors (n 10, over 90 s, asked: Q). Measured: a \| b; &lt;b&gt;; c and 2 more |"#
        ]],
    );
}

#[test]
fn decisions_of_people_have_their_name_and_reason() {
    let (rollout, gate) = (RolloutId(2), || "sre".parse().expect("a gate"));
    let answered = |yes| {
        let (by, reason) = ("bob@deploy".into(), "known `bug`".into());
        Record::Health(HealthRecord::Answered { rollout, gate: gate(), yes, by, reason })
    };
    let blocked = || {
        let (by, text) = ("new-errors".into(), "Session lost\n| 01:16 | all is well |".into());
        Record::Health(HealthRecord::Blocked { id: "sig-1f2e3d4c".into(), by, text, version: None })
    };
    let closed = HealthRecord::Unblocked { id: "sig-1f2e3d4c".into(), by: "bob".into(), reason: "fixed".into() };
    let blame = HealthRecord::Attributed { rollout, gate: gate(), blame: "the release is to blame".into() };
    check(
        &[
            answered(true),
            Record::Health(HealthRecord::Asked { rollout, gate: gate() }),
            answered(true),
            answered(false),
            Record::Health(blame),
            blocked(),
            blocked(),
            Record::Health(closed),
            Record::Health(HealthRecord::Signatures { seen: vec!["known".into()] }),
            Record::Held { by: "bob".into(), reason: "S7 at noon".into() },
            Record::Released { by: "alice".into() },
            Record::Note { by: "bob".into(), text: "took the lock: no I did not".into() },
            Record::Depooled { host: host(2020), by: "bob".into(), reason: "reinstall".into() },
            Record::Pooled { host: host(2020), by: "bob".into() },
        ],
        expect![[r#"
            | 01:16:00 | **gate overruled**: sre of r2, by bob\@deploy: known \`bug\` |
            | 01:16:10 | **r2** waits for a person: approval sre |
            | 01:16:20 | **approved**: sre of r2, by bob\@deploy: known \`bug\` |
            | 01:16:30 | **denied**: sre of r2, by bob\@deploy: known \`bug\` |
            | 01:16:40 | blame (r2, sre): the release is to blame |
            | 01:16:50 | **blocker** sig-1f2e3d4c opened by new-errors: Session lost\\u{a}\| 01:16 \| all is well \| |
            | 01:17:10 | blocker sig-1f2e3d4c closed by bob: fixed |
            | 01:17:30 | **hold** by bob: S7 at noon |
            | 01:17:40 | hold released by alice |
            | 01:17:50 | note by bob: took the lock: no I did not |
            | 01:18:00 | `mw2020.codfw.wmnet` **depooled** by bob: reinstall |
            | 01:18:10 | `mw2020.codfw.wmnet` pooled again by bob |"#]],
    );
}

#[test]
fn hosts_with_the_same_trouble_share_a_line() {
    let stale = |n, reason| Record::Stale { host: host(n), reason };
    check(
        &[
            stale(2018, StaleReason::Fault(Fault::NoRoute)),
            stale(2019, StaleReason::Fault(Fault::NoRoute)),
            stale(2019, StaleReason::Fault(Fault::NoRoute)),
            stale(2020, StaleReason::Suspect("x".into())),
            stale(2020, StaleReason::Suspect("y".into())),
            fresh(2017),
            fresh(2018),
            fresh(2019),
            Record::Forgotten { host: host(2019) },
        ],
        expect![[r#"
            | 01:16:00 | `mw[2018-2019].codfw.wmnet` stale: no route to host |
            | 01:16:30 | `mw2020.codfw.wmnet` stale: at fault, and not the release: x |
            | 01:17:00 | `mw[2018-2019].codfw.wmnet` proven again; was stale: no route to host |
            | 01:17:20 | `mw2019.codfw.wmnet` taken off the books: groups.yaml no longer has it |"#]],
    );
}

#[test]
fn playbooks_are_told_by_their_stages() {
    let id = PlaybookId(1);
    let run = PlaybookRun {
        id,
        file: "/srv/secret/train.yaml".into(),
        text: String::new(),
        vars: Default::default(),
        by: "alice@deploy".into(),
        at: Time(BEGIN),
        status: PlaybookStatus::Open,
        why: String::new(),
        override_freeze: Some("the fix | now".into()),
        seen: 0,
        stages: Default::default(),
    };
    let stage = |stage: &str| Record::Playbook(PlaybookRecord::Stage { id, stage: stage.into() });
    let end = |stage: &str, code, passed| {
        Record::Playbook(PlaybookRecord::StageEnded { id, stage: stage.into(), code, passed })
    };
    let items = [("1".to_owned(), true), ("2".to_owned(), true), ("3".to_owned(), false)].into();
    let mut records = vec![
        Record::Playbook(PlaybookRecord::Began { run: Box::new(run) }),
        stage("expire"),
        Record::Playbook(PlaybookRecord::Items { id, stage: "expire".into(), items }),
        end("expire", 8, true),
        stage("promote"),
    ];
    check(
        &records,
        expect![[r#"
        | 01:16:00 | playbook p1 (train) begun by alice\@deploy; **freeze overridden**: the fix \| now; it has **not ended** within this time |
        | 01:16:30 | playbook p1: stage expire passed with code 8, 2 items through, 1 failed |
        | 01:16:40 | playbook p1: stage promote was begun and **never ended** within this time |"#]],
    );
    let (status, why, by) = (PlaybookStatus::Aborted, "enough".into(), "bob".into());
    records.extend([
        end("promote", 3, false),
        Record::Playbook(PlaybookRecord::Answered {
            id,
            stage: "ask".into(),
            yes: false,
            by: "bob".into(),
            reason: "no".into(),
        }),
        Record::Playbook(PlaybookRecord::Stands { id, status, why, by }),
    ]);
    check(
        &records,
        expect![[r#"
        | 01:16:00 | playbook p1 (train) begun by alice\@deploy; **freeze overridden**: the fix \| now |
        | 01:16:30 | playbook p1: stage expire passed with code 8, 2 items through, 1 failed |
        | 01:16:50 | playbook p1: stage promote **did not pass** with code 3 |
        | 01:17:00 | playbook p1: stage ask **denied** by bob: no |
        | 01:17:10 | playbook p1 **aborted** by bob: enough |"#]],
    );
}

/// The words about the lock are a store's: this is told by one.
#[test]
fn a_lock_is_told_when_it_is_all_there_was_or_was_taken_over() {
    let mut store = crate::store::memory::MemoryStore::new(crate::model::ids::BooksId(1));
    let hold = Record::Held { by: "bob@deploy".into(), reason: "S7".into() };
    for (n, reason) in [(0, "hold"), (1, "switchover of S7")] {
        let claim = store.take_lock(Time(BEGIN + n * 60_000), "bob@deploy pid 7", reason, false).expect("taken");
        if n == 0 {
            store.append(Time(BEGIN), claim.epoch, std::slice::from_ref(&hold)).expect("written");
        }
        store.release_lock(Time(BEGIN + n * 60_000 + 30_000), claim.epoch).expect("given back");
    }
    store.take_lock(Time(BEGIN + 120_000), "bob@deploy pid 8", "left alone", false).expect("taken");
    store.take_lock(Time(BEGIN + 180_000), "eve@deploy pid 9", "rollback", true).expect("taken over");
    let mut teller = Teller::new(span());
    for event in store.events(0, 100).expect("read") {
        teller.take(Mark { seq: event.seq, at: event.at, epoch: event.epoch }, &event.record);
    }
    let shown = text(&teller.rows(), span());
    expect![[r#"
        # Timeline: 2016-01-23 01:16 UTC to 2016-01-23 02:16 UTC

        Times are UTC. What is said to be done, the journal has as done. `pointsman journal verify` proves the journal,
        `pointsman show ID` has an undertaking whole.

        ## 2016-01-23

        | time UTC | what |
        |---|---|
        | 01:16:00 | **hold** by bob\@deploy: S7 |
        | 01:17:00 | lock held by bob\@deploy pid 7, until 01:17:30; nothing was undertaken under it: switchover of S7 |
        | 01:18:00 | lock held by bob\@deploy pid 8, and nothing was undertaken under it until it was taken: left alone |
        | 01:19:00 | eve\@deploy pid 9 took the lock over from bob\@deploy pid 8: rollback |
    "#]]
    .assert_eq(&shown);
}

#[test]
fn only_the_span_is_told_and_days_have_tables_of_their_own() {
    let note = |text: &str| Record::Note { by: "sal".into(), text: text.into() };
    let mut teller = Teller::new(Span { since: Some(Time(BEGIN)), until: NOW });
    let day = 86_400_000;
    for (n, at) in [(1, BEGIN - day), (2, BEGIN), (3, BEGIN - 1), (4, NOW.0), (5, NOW.0 + 1)] {
        teller.take(Mark { seq: n, at: Time(at), epoch: 1 }, &note(&format!("event {n}")));
    }
    let rows = teller.rows();
    let seen: Vec<u64> = rows.iter().map(|row| row.mark.seq).collect();
    assert_eq!(seen, [2, 4], "both ends belong to it, and nothing else");

    let late = Span { since: None, until: Time(BEGIN + day) };
    let mut teller = Teller::new(late);
    teller.take(Mark { seq: 1, at: Time(BEGIN), epoch: 1 }, &note("first"));
    teller.take(Mark { seq: 2, at: Time(BEGIN + day), epoch: 1 }, &note("second"));
    let rows = teller.rows();
    expect![[r#"
        # Timeline: 2016-01-23 01:16 UTC to 2016-01-24 01:16 UTC

        Times are UTC. What is said to be done, the journal has as done. `pointsman journal verify` proves the journal,
        `pointsman show ID` has an undertaking whole.

        ## 2016-01-23

        | time UTC | what |
        |---|---|
        | 01:16:00 | note by sal: first |

        ## 2016-01-24

        | time UTC | what |
        |---|---|
        | 01:16:00 | note by sal: second |
    "#]]
    .assert_eq(&text(&rows, late));
    expect![[r#"{"rows":[{"at":1453511760000,"epoch":1,"seq":1,"text":"note by sal: first"}],"since":null,"until":1453598160000}"#]].assert_eq(&json(&rows[..1], late).to_string());
    expect![[r#"
        # Timeline: 2016-01-24 01:16 UTC

        The journal has nothing of this time.
    "#]]
    .assert_eq(&text(&[], late));
}
