//! What is said of each occasion.

use super::*;
use crate::model::fault::Fault;
use crate::model::stale::StaleReason;
use crate::plan::fixture::promotion as plan;
use expect_test::{Expect, expect};

const AT: Time = Time(1_453_402_560_000);

fn rollback() -> Plan {
    let mut plan = plan();
    plan.goal.rollout.kind = Kind::Rollback;
    plan
}

fn left(plan: &Plan) -> BTreeMap<HostName, Left> {
    let left = |host: &HostName| {
        let reason = StaleReason::Fault(Fault::Refused);
        (host.clone(), Left { reason, serves: BTreeMap::new(), depooled: false })
    };
    plan.hosts.keys().take(NOTICE_LINES_MAX + 2).map(left).collect()
}

fn why() -> Vec<String> {
    vec!["errors Fails: ratio 4.1".to_owned(), "logout Fails: 3 of 3".to_owned()]
}

fn check(notices: impl IntoIterator<Item = Notice>, want: Expect) {
    let said = |notice: Notice| {
        let lines: String = notice.lines.iter().map(|line| format!("  {line}\n")).collect();
        let hint = notice.hint.map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        format!("{} {}: {}\n{lines}{hint}", notice.on, notice.subject, notice.text)
    };
    want.assert_eq(&notices.into_iter().map(said).collect::<String>());
}

#[test]
fn what_is_begun_is_said_when_it_moves_something() {
    check(
        opened(AT, &plan()),
        expect![[r#"
        approved r1 promote group0 1.27.0-wmf.11: approved, by operator@deploy1001: train, T119517
          group0: 5 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11
          12 hosts in 3 waves
    "#]],
    );
    check(
        opened(AT, &rollback()),
        expect![[r#"
        approved r1 rollback group0 1.27.0-wmf.11: begun, by operator@deploy1001: train, T119517
          group0: 5 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11
          12 hosts in 3 waves
    "#]],
    );
    for kind in [Kind::Rollback, Kind::Sync, Kind::Converge] {
        let mut plan = plan();
        (plan.goal.rollout.kind, plan.goal.is_new) = (kind, false);
        assert_eq!(opened(AT, &plan), None, "a second rollback and a timer's converge are no news");
    }
}

#[test]
fn each_end_is_said_by_its_effect() {
    let done = |left| Outcome::Done { effect: "group0: 5 wikis; 12 of 12 hosts proven".to_owned(), left };
    let plan = plan();
    for outcome in [
        Outcome::Nothing,
        Outcome::Denied,
        Outcome::Lint(why()),
        Outcome::Stale(BTreeMap::new()),
        Outcome::GoBack(BTreeMap::new()),
    ] {
        assert_eq!(ended(AT, &plan, &outcome), [], "{outcome:?}");
    }
    check(
        ended(AT, &plan, &done(BTreeMap::new())),
        expect![[r#"
        ended r1 promote group0 1.27.0-wmf.11: done: group0: 5 wikis; 12 of 12 hosts proven
    "#]],
    );
    check(
        ended(AT, &rollback(), &done(left(&plan).into_iter().take(2).collect())),
        expect![[r#"
        rolled-back r1 rollback group0 1.27.0-wmf.11: rolled back: group0: 5 wikis; 12 of 12 hosts proven
        owed r1 rollback group0 1.27.0-wmf.11: 2 hosts are owed what the others have: mw[2001-2002].codfw.wmnet
          mw2001.codfw.wmnet: connection refused; type: pointsman depool mw2001.codfw.wmnet (or pointsman sync-common mw2001.codfw.wmnet when it is back)
          mw2002.codfw.wmnet: connection refused; type: pointsman depool mw2002.codfw.wmnet (or pointsman sync-common mw2002.codfw.wmnet when it is back)
          hint: pointsman status, then pointsman converge HOST
    "#]],
    );
}

#[test]
fn what_gates_and_signals_end_is_said_with_why() {
    let plan = plan();
    check(
        ended(AT, &plan, &Outcome::GateFailed(why())),
        expect![[r#"
        gate-failed r1 promote group0 1.27.0-wmf.11: a gate failed; everything is taken back: errors Fails: ratio 4.1
          logout Fails: 3 of 3
    "#]],
    );
    check(
        ended(AT, &plan, &Outcome::Held(why())),
        expect![[r#"
        gate-failed r1 promote group0 1.27.0-wmf.11: a gate failed; nothing was switched: errors Fails: ratio 4.1
          logout Fails: 3 of 3
    "#]],
    );
    check(
        ended(AT, &plan, &Outcome::Paused { why: why(), begun: true }),
        expect![[r#"
        paused r1 promote group0 1.27.0-wmf.11: paused, a person is needed: errors Fails: ratio 4.1
          logout Fails: 3 of 3
          hint: pointsman converge --forward goes on, pointsman converge takes it back
    "#]],
    );
    check(
        ended(AT, &plan, &Outcome::Paused { why: why(), begun: false }),
        expect![[r#"
            paused r1 promote group0 1.27.0-wmf.11: paused, a person is needed: errors Fails: ratio 4.1
              logout Fails: 3 of 3
              hint: nothing was switched; when that is settled, the same command once more
        "#]],
    );
    check(
        ended(AT, &plan, &Outcome::Stopped),
        expect![[r#"
        ended r1 promote group0 1.27.0-wmf.11: stopped: no new step was begun, the fleet may be on two states
          hint: pointsman converge, or pointsman rollback
    "#]],
    );
}

#[test]
fn a_converge_is_said_only_by_whom_it_left_behind() {
    let mut converge = plan();
    converge.goal.rollout.kind = Kind::Converge;
    let done = |left| Outcome::Done { effect: "no wiki moved".to_owned(), left };
    assert_eq!(ended(AT, &converge, &done(BTreeMap::new())), []);
    assert_eq!(ended(AT, &converge, &done(left(&converge))).len(), 1);
}

#[test]
fn waves_waits_and_ways_back_are_said() {
    let (rollout, back) = (plan().goal.rollout, rollback().goal.rollout);
    let wave = Told::WaveDone { number: 2, of: 3, proven: 4, hosts: 5 };
    check(
        told(AT, &rollout, &wave),
        expect![[r#"
        wave-done r1 promote group0 1.27.0-wmf.11: wave 2 of 3 is done: 4 of 5 hosts proven
    "#]],
    );
    assert_eq!(told(AT, &rollout, &Told::Blamed("x".to_owned())), None);
    check(
        [asked(AT, &rollout, &"release-manager".parse().expect("a gate"))],
        expect![[r#"
        paused r1 promote group0 1.27.0-wmf.11: the gate release-manager waits for a person's approval
          hint: pointsman approve r1 -m WHY, or pointsman deny r1 -m WHY
    "#]],
    );
    check(
        [went_back(AT, &rollout, &back)],
        expect![[r#"
            rolled-back r1 promote group0 1.27.0-wmf.11: was taken back by r1: train, T119517
        "#]],
    );
}

#[test]
fn a_long_list_is_counted_at_its_end() {
    let why: Vec<String> = (0..NOTICE_LINES_MAX + 5).map(|n| format!("line {n}")).collect();
    let said = gate_failed(AT, &plan().goal.rollout, &why, "x");
    assert_eq!((said.lines.len(), said.lines.last().map(String::as_str)), (NOTICE_LINES_MAX + 1, Some("and 4 more")));
}
