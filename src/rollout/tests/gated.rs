//! What gates lead to.

use super::*;
use crate::gate::spec::{Gate, Kind as GateKind, Moment};

/// A promotion over hosts in three waves, with a gate at every moment.
fn gated(ends: impl IntoIterator<Item = GateEnd>) -> Trial {
    let mut policy = policy(5);
    let at = [Moment::Before, Moment::Wave, Moment::Group];
    policy.gates = vec![Gate::new("g".parse().expect("a name"), at, GateKind::Approval)];
    let books = books(&policy);
    Trial { gates: ends.into_iter().collect(), ..Trial::new(policy, books, promote_group0) }
}

fn passes() -> GateEnd {
    GateEnd::GoOn { leave_out: BTreeMap::new() }
}

fn why() -> Vec<String> {
    vec!["errors: Fails".to_owned()]
}

#[test]
fn gates_are_asked_before_between_and_after_waves() {
    let story = gated([]).run();
    assert!(story.is_done(), "{:?}", story.outcome);
    let calls: Vec<String> = story
        .calls
        .iter()
        .map(|call| {
            format!(
                "{}: {} ms, {} against {}",
                call.what,
                call.least_ms,
                call.scope.rolled.len(),
                call.scope.control.len()
            )
        })
        .collect();
    assert_eq!(
        calls,
        [
            "before the first wave: 0 ms, 0 against 5",
            "after wave 1 of 3: 20000 ms, 1 against 4",
            "after wave 2 of 3: 20000 ms, 3 against 2",
            "after the last of 3 waves: 60000 ms, 5 against 0",
        ]
    );
    let told = |told: &&Told| matches!(told, Told::Gating { gates: 1, .. });
    assert_eq!(story.told.iter().filter(told).count(), 4);
    let switched = story.calls[1].scope.since;
    assert!(story.calls[1..].iter().all(|call| call.scope.since == switched), "since the first switch");
}

#[test]
fn gates_that_say_no_before_anything_was_switched_leave_nothing_to_finish() {
    for (end, outcome) in [
        (GateEnd::Failed(why()), Outcome::Held(why())),
        (GateEnd::Paused(why()), Outcome::Paused { why: why(), begun: false }),
    ] {
        let story = gated([end]).run();
        assert_eq!((story.ended(), story.ends()), (&outcome, vec![(1, Status::Dropped)]));
        assert_eq!((story.asked, story.count(is_switch)), (1, 0));
    }
}

#[test]
fn gates_that_say_no_between_waves_stop_it_there_and_it_stays_open() {
    for (end, outcome) in [
        (GateEnd::Failed(why()), Outcome::GateFailed(why())),
        (GateEnd::Paused(why()), Outcome::Paused { why: why(), begun: true }),
    ] {
        let story = gated([passes(), passes(), end]).run();
        assert_eq!((story.ended(), story.ends(), story.count(is_switch)), (&outcome, vec![], 3));
    }
}

#[test]
fn a_host_that_is_at_fault_is_left_out_named_and_owed_and_the_others_go_on() {
    for hook in [vec![], vec!["depool".to_owned()]] {
        let mut trial = gated([]);
        trial.policy.hooks.depool = hook.clone();
        let name = trial.name(1);
        let stranger: HostName = "mw9999.codfw.wmnet".parse().expect("a host");
        let leave_out = [(name.clone(), "its disk".to_owned()), (stranger, "not of this".to_owned())].into();
        trial.gates = [passes(), passes(), GateEnd::GoOn { leave_out }].into();
        let story = trial.run();
        let left = story.left();
        assert_eq!(left.keys().collect::<Vec<_>>(), [&name]);
        assert_eq!((&left[&name].reason, left[&name].is_suspect()), (&StaleReason::Suspect("its disk".into()), true));
        assert_eq!((story.depooled().len(), story.count(is_switch)), (hook.len(), 5));
        assert!(story.owed().contains(&&name));
        let last = story.calls.last().expect("there are some");
        assert_eq!((last.scope.rolled.len(), last.scope.control.len()), (4, 1), "it is judged no more");
    }
}
