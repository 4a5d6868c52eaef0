//! Each host for itself.

use super::*;
use crate::model::ids::{BooksId, Generation, RolloutId};
use crate::model::limits::HOST_ATTEMPTS_MAX;
use crate::plan::back::{self, Scope};
use crate::plan::fixture::opened;

/// Group0 runs `.11` by the books, and hosts still serve that while all goes back.
fn rollback(hosts: usize) -> Trial {
    let policy = policy(hosts);
    let mut books = books(&policy);
    let goal = promote_group0(site(&policy, &books, 1)).expect("it is planned");
    done(&mut books, goal, 1);
    Trial::new(policy, books, |site| back::rollback(site, &Scope::Last, "5xx"))
}

fn converge(hosts: usize) -> Trial {
    let policy = policy(hosts);
    let books = books(&policy);
    Trial::new(policy, books, converge_all)
}

/// The tree that all go back to.
fn old() -> Component {
    Component::Version(wmf(10))
}

fn is_prepare(command: &Command) -> bool {
    matches!(command, Command::Prepare { .. })
}

#[test]
fn a_rollback_asks_nobody_sets_a_hold_and_takes_all_back() {
    let story = rollback(12).run();
    assert!(story.is_done(), "{:?}", story.outcome);
    assert_eq!((story.asked, story.count(is_switch), story.count(is_prepare)), (0, 12, 0));
    let held = |record: &&Record| matches!(record, Record::Held { reason, .. } if reason.contains("5xx"));
    assert_eq!(story.records.iter().filter(held).count(), 1);
    assert_eq!(story.ends(), [(2, Status::Done)]);
    assert_eq!(story.told[0], Told::Wave { number: 1, of: 1, hosts: 12 });
    assert_eq!(story.told.iter().filter(|told| matches!(told, Told::Fresh(_))).count(), 12);
}

#[test]
fn where_all_is_as_wanted_a_converge_does_nothing() {
    let story = converge(3).run();
    assert_eq!(story.ended(), &Outcome::Nothing);
    assert_eq!((story.count(is_switch), story.count(is_prepare), story.ends()), (0, 0, vec![(1, Status::Done)]));
}

#[test]
fn a_host_that_lacks_something_is_repaired_and_holds_up_nobody() {
    let mut trial = rollback(3);
    trial.host(2).lacks = [old()].into();
    let name = trial.name(2);
    let story = trial.run();
    assert!(story.is_done(), "{:?}", story.outcome);
    let repairing = |told: &&Told| matches!(told, Told::Repairing { host, .. } if *host == name);
    assert_eq!(story.told.iter().filter(repairing).count(), 1);
    let of_it: Vec<&Command> =
        story.sent.iter().filter(|(host, _)| *host == name).map(|(_, command)| command).collect();
    let Command::Observe { peek, .. } = of_it[2] else { panic!("{of_it:?}") };
    let looked_at: Vec<&Component> = peek.prove.iter().map(|want| &want.component).collect();
    assert_eq!(looked_at, [&old()], "the rest was proven a moment ago");
    assert_eq!(story.count_to(&name, is_prepare), 1);
}

#[test]
fn a_repair_that_takes_too_long_leaves_the_host_behind_in_a_rollback_only() {
    for (of, ms, repaired) in [(rollback as fn(usize) -> Trial, 0, 0), (converge, 0, 1), (rollback, 60_000, 1)] {
        let mut trial = of(3);
        trial.policy.limits.repair_budget_ms_max = ms;
        trial.host(2).lacks = [old()].into();
        let story = trial.run();
        assert_eq!((story.count(is_prepare), story.left().len()), (repaired, 1 - repaired));
    }
}

#[test]
fn what_never_becomes_ready_is_tried_a_few_times() {
    let mut trial = converge(3);
    trial.host(2).lacks = [old()].into();
    let name = trial.name(2);
    let story = trial.run_with(|number, command, host| {
        let reply = host.obeys(command);
        if number == 2 {
            host.lacks = [old()].into();
        }
        Some(Ok(reply))
    });
    assert!(matches!(story.left()[&name].reason, StaleReason::NotReady(_)), "{:?}", story.outcome);
    assert_eq!(story.count(is_prepare) as u32, HOST_ATTEMPTS_MAX);
}

#[test]
fn a_lost_answer_is_followed_by_a_look_and_nothing_is_repeated_blindly() {
    let mut losses = 1;
    let story = rollback(3).run_with(|number, command, host| {
        if number != 1 || !is_switch(command) || losses == 0 {
            return None;
        }
        losses -= 1;
        let _ = host.obeys(command);
        Some(Err(Fault::ClosedEarly))
    });
    assert!(story.is_done(), "{:?}", story.outcome);
    assert_eq!(story.count(is_switch), 3, "the look showed that it had switched");
    let trial = rollback(3);
    let name = trial.name(1);
    let story = trial.run_with(lost_switch(1));
    assert!(matches!(story.left()[&name].reason, StaleReason::MapDiffers { .. }), "{:?}", story.outcome);
    assert_eq!(story.owed(), [&name]);
    assert_eq!(story.count_to(&name, is_switch) as u32, HOST_ATTEMPTS_MAX / 2, "each with a look after it");
}

#[test]
fn a_switch_that_is_never_answered_is_left_with_the_fault_and_books_keep_that_there_was_none() {
    let mut trial = rollback(3);
    trial.host(1).lacks = [old()].into();
    let name = trial.name(1);
    let story = trial.run_with(lost_switch(1));
    assert_eq!(story.left()[&name].reason, StaleReason::Unanswered(Fault::ClosedEarly));
    let kept =
        |record: &&Record| matches!(record, Record::Stale { host, reason: StaleReason::Unknown } if *host == name);
    assert_eq!(story.records.iter().filter(kept).count(), 1);
}

#[test]
fn a_refusal_that_a_look_may_clear_up_is_followed_by_one_and_others_are_not() {
    let refusals = [(Refusal::Reborn(None), true), (Refusal::Conflict(None), true), (Refusal::ReadOnly, false)];
    for (refusal, looks) in refusals {
        let (trial, mut refused) = (rollback(3), false);
        let name = trial.name(1);
        let story = trial.run_with(|number, command, _| {
            let refuses = number == 1 && is_switch(command) && !std::mem::replace(&mut refused, true);
            refuses.then(|| Ok(Reply::Refused(refusal.clone())))
        });
        assert_eq!(story.is_done(), looks, "{refusal:?}: {:?}", story.outcome);
        if !looks {
            assert_eq!(story.left()[&name].reason, StaleReason::Refused(refusal));
        }
    }
}

#[test]
fn who_is_left_behind_by_a_rollback_is_taken_out_of_service_and_by_nothing_else() {
    for (of, depools) in [(rollback as fn(usize) -> Trial, 1), (converge, 0)] {
        let mut trial = of(3);
        trial.policy.hooks.depool = vec!["depool".to_owned()];
        let name = trial.name(1);
        let story = trial.run_with(|number, _, _| (number == 1).then_some(Err(Fault::ClosedEarly)));
        assert_eq!(story.left()[&name].reason, StaleReason::Fault(Fault::ClosedEarly));
        assert_eq!(story.depooled().len(), depools);
        assert_eq!(story.left()[&name].depooled, depools > 0);
    }
}

/// Books with a promotion of group0 that was begun, and moved hosts or not.
fn unfinished(policy: &Policy, dispatched: bool) -> Books {
    let mut books = books(policy);
    let goal = promote_group0(site(policy, &books, 1)).expect("it is planned");
    opened(&mut books, goal, dispatched, 1);
    books
}

#[test]
fn what_was_unfinished_is_settled_once_all_hosts_take_part() {
    for (dispatched, status) in [(false, Status::Dropped), (true, Status::WentBack)] {
        let policy = policy(3);
        let books = unfinished(&policy, dispatched);
        let story = Trial::new(policy, books, converge_all).run();
        assert_eq!(story.ends().into_iter().find(|(rollout, _)| *rollout == 1), Some((1, status)));
    }
    let policy = policy(3);
    let books = unfinished(&policy, true);
    let back = |site: Site<'_>| back::rollback(site, &Scope::Last, "5xx");
    let story = Trial::new(policy.clone(), books.clone(), back).run();
    assert!(story.ends().contains(&(1, Status::Superseded)), "the rollback stands for it: {:?}", story.ends());
    let trial = Trial::new(policy, books, converge_all).without(2);
    assert!(trial.run().ends().iter().all(|(rollout, _)| *rollout != 1), "of one host nothing is known");
}

#[test]
fn hosts_that_are_gone_are_forgotten_once_all_others_take_part() {
    for (whole, forgotten) in [(true, 1), (false, 0)] {
        let mut trial = converge(3);
        let host: HostName = "mw9999.codfw.wmnet".parse().expect("a host");
        let what = "something".to_owned();
        trial.books.apply(Time(1), &Record::Owed { host, what });
        let story = if whole { trial } else { trial.without(2) }.run();
        let is_forgotten = |record: &&Record| matches!(record, Record::Forgotten { .. });
        assert_eq!(story.records.iter().filter(is_forgotten).count(), forgotten);
    }
}

#[test]
fn a_rollback_that_is_stopped_stays_open() {
    let story = Trial { stops_after: Some(3), ..rollback(3) }.run();
    assert_eq!((story.ended(), story.ends()), (&Outcome::Stopped, vec![]));
    let opened = |record: &&Record| matches!(record, Record::Opened { rollout, .. } if rollout.id == RolloutId(2));
    assert_eq!((story.records.iter().filter(opened).count(), story.count(is_switch)), (1, 0));
}

#[test]
fn a_host_of_other_books_is_taken_over_only_where_that_was_asked_for() {
    for adopt in [false, true] {
        let mut trial = rollback(3);
        trial.operator.adopt = adopt;
        let (name, others) = (trial.name(1), BooksId(99));
        trial.host(1).fence = Some(Fence { books: others, generation: Generation { epoch: 1, seq: 1 } });
        let story = trial.run();
        match adopt {
            true => assert!(story.is_done(), "{:?}", story.outcome),
            false => assert_eq!(story.left()[&name].reason, StaleReason::Refused(Refusal::Foreign(others))),
        }
    }
}

#[test]
fn what_hosts_removed_is_told_where_they_were_asked_to() {
    let policy = policy(3);
    let books = books(&policy);
    let collected = |story: &Story| story.told.iter().filter(|told| matches!(told, Told::Collected { .. })).count();
    let story = Trial::new(policy.clone(), books.clone(), |site| content::collect(site, "room")).run();
    assert_eq!(collected(&story), 3);
    let old = |_: usize, command: &Command, _: &mut Host| {
        matches!(command, Command::Confirm { .. }).then_some(Ok(Reply::Confirmed))
    };
    let story = Trial::new(policy, books, |site| content::collect(site, "room")).run_with(old);
    let why = |told: &&Told| matches!(told, Told::Collected { collected: Err(why), .. } if why.contains("older"));
    assert_eq!(story.told.iter().filter(why).count(), 3, "{:?}", story.told);
    assert_eq!(collected(&rollback(3).run()), 0);
}

/// Hosts of which the books know that the first is the installation 1, which the second shows too.
fn twins(first_shows: u128) -> Trial {
    let mut trial = rollback(3);
    let (host, boot_id) = (trial.name(0), String::new());
    let incarnation = Some(Incarnation(1));
    trial.books.apply(Time(1), &Record::Seen { host, incarnation, active: None, boot_id, generation: None });
    trial.host(0).incarnation = Some(Incarnation(first_shows));
    trial.host(1).incarnation = incarnation;
    trial
}

#[test]
fn a_clone_is_left_and_looked_at_again_once_its_twin_is_proven_to_be_another() {
    for (first_shows, looks, is_left) in [(1, 1, true), (9, 2, false)] {
        let trial = twins(first_shows);
        let (first, second) = (trial.name(0), trial.name(1));
        let story = trial.run();
        assert_eq!(story.count_to(&second, is_observe), looks, "the first shows {first_shows}");
        let cloned = StaleReason::Cloned { twin: first };
        let left = story.left().get(&second).map(|left| &left.reason);
        assert_eq!(left, is_left.then_some(&cloned), "the first shows {first_shows}");
    }
}
