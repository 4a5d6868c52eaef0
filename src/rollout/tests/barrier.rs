//! All proven before any is switched, then wave after wave.

use super::*;
use crate::model::protocol::Expect;
use crate::plan::fixture::{hand_pin, wiki};

#[test]
fn a_promotion_proves_asks_and_goes_wave_after_wave() {
    let story = Trial::promotion(12).run();
    assert!(story.is_done(), "{:?}", story.outcome);
    assert_eq!((story.asked, story.count(is_observe), story.count(is_switch)), (1, 12, 12));
    let waves = story.told.iter().filter_map(|told| match told {
        Told::Wave { number, of, hosts } => Some(format!("{number} of {of}: {hosts}")),
        Told::WaveDone { number, of, proven, hosts } => Some(format!("{number} of {of}: {proven} of {hosts}")),
        _ => None,
    });
    let waves: Vec<String> = waves.collect();
    assert_eq!(waves, ["1 of 3: 1", "1 of 3: 1 of 1", "2 of 3: 2", "2 of 3: 2 of 2", "3 of 3: 9", "3 of 3: 9 of 9"]);
}

#[test]
fn a_host_that_is_another_one_than_was_planned_ends_it_before_anybody_is_asked() {
    for (seen, asked) in [(1, 1), (9, 0)] {
        let mut trial = Trial::promotion(2);
        for (number, part) in trial.plan.hosts.values_mut().enumerate() {
            let active = trial.books.wanted().map(|wanted| wanted.map.digest());
            part.expect = Some(Expect { incarnation: Incarnation(number as u128 + 1), active });
        }
        trial.host(0).incarnation = Some(Incarnation(seen));
        let story = trial.run();
        assert_eq!((story.asked, story.count(is_switch) > 0), (asked, asked > 0));
        if asked == 0 {
            let Outcome::Changed(lines) = story.ended() else { panic!("{:?}", story.outcome) };
            assert!(lines[0].starts_with("mw2001.codfw.wmnet is another installation"), "{lines:?}");
        }
    }
}

#[test]
fn a_host_that_serves_the_target_already_is_accepted_only_where_a_promotion_is_taken_up() {
    for (resumes, active, stale) in [(false, true, true), (true, true, false), (true, false, true)] {
        let mut trial = Trial::promotion(3);
        trial.operator.resumes = resumes;
        let target = trial.plan.hosts.values().next().expect("hosts").map;
        trial.host(0).active = Some(if active { target } else { Digest::of(b"neither") });
        let name = trial.name(0);
        let story = trial.run();
        match stale {
            true => assert!(matches!(stale_at_once(&story)[&name], StaleReason::MapDiffers { .. })),
            false => assert!(story.is_done(), "{:?}", story.outcome),
        }
    }
}

#[test]
fn two_new_hosts_that_are_one_installation_are_clones() {
    let mut trial = Trial::promotion(4);
    trial.host(2).incarnation = Some(Incarnation(1));
    let story = trial.run();
    let stale = stale_at_once(&story);
    assert!(stale.values().all(|reason| matches!(reason, StaleReason::Cloned { .. })), "{stale:?}");
    let mut none = Trial::promotion(4);
    none.hosts.values_mut().for_each(|host| host.incarnation = None);
    let stale = none.run();
    assert!(!format!("{:?}", stale.ended()).contains("Cloned"), "who has no state is nobody's twin");
}

#[test]
fn who_is_left_behind_is_told_once_something_was_switched() {
    let lost = || Some(Err(Fault::ClosedEarly));
    let story = Trial::promotion(4).run_with(|number, _, _| if number == 3 { lost() } else { None });
    assert_eq!(stale_at_once(&story).len(), 1);
    assert!(!story.told.iter().any(|told| matches!(told, Told::Left(..))), "the end names those who are not ready");
    // The answer to its switch is lost, and nothing is heard of it afterwards.
    let (mut trial, mut switched) = (Trial::promotion(4), false);
    trial.policy.limits.stale_hosts_max = 1;
    let name = trial.name(3);
    let story = trial.run_with(|number, command, _| {
        switched |= number == 3 && is_switch(command);
        if number == 3 && switched { lost() } else { None }
    });
    let left = story
        .told
        .iter()
        .find(|told| matches!(told, Told::Left(host, StaleReason::Unanswered(Fault::ClosedEarly)) if *host == name));
    assert!(left.is_some(), "{:?}", story.told);
    assert_eq!(story.left()[&name].reason, StaleReason::Fault(Fault::ClosedEarly), "what came of the look after it");
    assert_eq!((story.owed(), story.depooled()), (vec![&name], vec![]));
}

#[test]
fn where_all_is_as_wanted_nothing_is_begun_and_a_pin_alone_is_something() {
    let policy = policy(3);
    let mut promoted = books(&policy);
    let goal = promote_group0(site(&policy, &promoted, 1)).expect("it is planned");
    done(&mut promoted, goal, 1);
    let story = Trial::new(policy.clone(), promoted.clone(), promote_group0).run();
    assert_eq!((story.ended(), story.asked), (&Outcome::Nothing, 0));
    let subject = forward::Subject::Wiki(wiki("enwiki"));
    let story = Trial::new(policy, promoted, |site| forward::pin(site, &subject, hand_pin(10, None))).run();
    assert_eq!(story.asked, 1, "{:?}", story.outcome);
    assert!(story.is_done(), "{:?}", story.outcome);
}

#[test]
fn a_proof_that_is_as_old_as_it_may_be_will_do_and_an_older_one_is_made_anew() {
    // From the looks to the switches one second passes, in which a person is asked.
    for (age_ms, observes) in [(59_000, 3), (59_001, 3 + 3)] {
        let mut trial = Trial::promotion(3);
        trial.policy.limits.proof_age_ms_max = 60_000;
        trial.plan.waves = vec![trial.plan.waves.concat()];
        trial.hosts.values_mut().for_each(|host| host.age_ms = age_ms);
        let story = trial.run();
        assert!(story.is_done(), "{:?}", story.outcome);
        assert_eq!(story.count(is_observe), observes, "{age_ms}");
    }
}

#[test]
fn who_could_not_be_proven_anew_is_not_switched() {
    let mut trial = Trial::promotion(5);
    trial.policy.limits.stale_hosts_max = 1;
    trial.policy.limits.proof_age_ms_max = 60_000;
    trial.hosts.values_mut().for_each(|host| host.age_ms = 60_001);
    let (name, mut looks) = (trial.name(3), 0);
    let story = trial.run_with(|number, command, _| {
        looks += usize::from(number == 3 && is_observe(command));
        (number == 3 && looks > 1).then_some(Err(Fault::ClosedEarly))
    });
    assert_eq!(story.left().keys().collect::<Vec<_>>(), [&name]);
    assert_eq!(story.count_to(&name, is_switch), 0);
}

#[test]
fn a_switch_that_shows_nothing_is_read_back() {
    let story = Trial::promotion(3).run_with(|number, command, host| {
        let reply = host.obeys(command);
        match reply {
            Reply::Switched { .. } if number == 1 => Some(Ok(Reply::Switched { restart_failed: None, seen: None })),
            reply => Some(Ok(reply)),
        }
    });
    assert!(story.is_done(), "{:?}", story.outcome);
    assert_eq!(story.count(is_observe), 3 + 1);
}

#[test]
fn who_is_left_behind_in_the_last_wave_is_owed_and_out_of_service_where_that_is_possible() {
    for hook in [vec![], vec!["depool".to_owned()]] {
        let mut trial = Trial::promotion(4);
        trial.policy.limits.stale_hosts_max = 1;
        trial.policy.hooks.depool = hook.clone();
        let name = trial.name(3);
        let story = trial.run_with(|number, command, host| {
            let failed = Reply::Switched { restart_failed: Some("exit code 1".to_owned()), seen: None };
            (number == 3 && is_switch(command)).then(|| {
                let _ = host.obeys(command);
                Ok(failed)
            })
        });
        let left = &story.left()[&name];
        assert_eq!(left.reason, StaleReason::RestartFailed("exit code 1".to_owned()));
        assert_eq!((story.owed(), left.depooled), (vec![&name], !hook.is_empty()));
        assert_eq!(story.depooled(), vec![&name; hook.len()]);
        assert_eq!(story.ends(), [(1, Status::Owed)]);
    }
}

#[test]
fn too_many_failures_in_a_wave_lead_back_and_no_further_wave_goes() {
    let story = Trial::promotion(12).run_with(|number, command, _| {
        (number == 1 && is_switch(command)).then_some(Ok(Reply::Refused(Refusal::BuildFailed("no".to_owned()))))
    });
    assert!(matches!(story.ended(), Outcome::GoBack(hosts) if hosts.len() == 1), "{:?}", story.outcome);
    assert_eq!((story.count(is_switch), story.ends()), (3, vec![]), "it stays open until all are back");
}

#[test]
fn a_person_who_says_no_or_stops_it_is_obeyed() {
    let story = Trial { agrees: false, ..Trial::promotion(3) }.run();
    assert_eq!((story.ended(), story.count(is_switch), story.ends()), (&Outcome::Denied, 0, vec![]));
    let story = Trial { stops_after: Some(1), ..Trial::promotion(3) }.run();
    assert_eq!((story.ended(), story.asked), (&Outcome::Denied, 0), "before anybody was asked");
    let story = Trial { stops_after: Some(4), ..Trial::promotion(3) }.run();
    assert_eq!((story.ended(), story.count(is_switch)), (&Outcome::Stopped, 1), "between two waves");
}
