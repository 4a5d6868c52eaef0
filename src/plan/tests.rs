//! The incident's week, planned: the version map's true history is in the numbers.

use super::back::{self, Scope};
use super::content;
use super::fixture::{books, counts, done, ended, group, hand_pin, opened, policy, promotion, site, wiki, wmf};
use super::forward::{self, Subject, pin, promote, unpin};
use super::goal::{Extent, Goal, PinFate, Why};
use super::hosts::{HostPlan, Plan, plan};
use super::lint::lint;
use crate::model::books::{Books, Kind, Record, Status};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::ids::SnapshotId;
use crate::model::time::Time;
use expect_test::expect;

fn lines(goal: &Goal) -> String {
    let change = |c: &super::goal::Change| {
        let from = c.from.as_ref().map_or("nothing".to_owned(), ToString::to_string);
        format!("{}: {} from {from} to {}\n", c.group, c.wikis, c.to)
    };
    let pin = |p: &super::goal::PinNote| format!("pin {} on {}: {:?}\n", p.subject, p.version, p.fate);
    goal.changes.iter().map(change).chain(goal.pins.iter().map(pin)).collect()
}

/// Promotes a group and notes it as done.
fn promoted(books: &mut Books, name: &str, version: u32, again: Option<&str>, now: u64) {
    let policy = policy(12);
    let goal = promote(site(&policy, books, now), &group(name), &wmf(version), "train", again).expect("it is planned");
    done(books, goal, now);
}

#[test]
fn the_weeks_map_is_the_true_history_but_for_the_pins_that_stay() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    expect!["1.27.0-wmf.10: 887, 1.27.0-wmf.11: 5, 1.27.0-wmf.9: 2"]
        .assert_eq(&counts(&books.wanted().expect("it is").map));
    let goal = promote(site(&policy, &books, 2), &group("group1"), &wmf(11), "train", None).expect("it is planned");
    expect![[r#"
        group1: 592 from 1.27.0-wmf.10 to 1.27.0-wmf.11
        pin labswiki on 1.27.0-wmf.9: SteppedAround
        pin labtestwiki on 1.27.0-wmf.9: SteppedAround
    "#]]
    .assert_eq(&lines(&goal));
    done(&mut books, goal, 2);
    let goal = back::rollback(site(&policy, &books, 3), &Scope::Group(group("group1")), "5xx").expect("it is planned");
    expect![[r#"
        group1: 592 from 1.27.0-wmf.11 to 1.27.0-wmf.10
        pin labswiki on 1.27.0-wmf.9: Kept
        pin labtestwiki on 1.27.0-wmf.9: Kept
    "#]]
    .assert_eq(&lines(&goal));
    done(&mut books, goal, 3);
    let map = &books.wanted().expect("it is").map;
    expect!["1.27.0-wmf.10: 887, 1.27.0-wmf.11: 5, 1.27.0-wmf.9: 2"].assert_eq(&counts(map));
    assert_eq!(map.0[&wiki("labswiki")], wmf(9));
}

#[test]
fn a_rollback_without_arguments_takes_back_the_version_and_not_only_the_last_step() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    promoted(&mut books, "group1", 11, None, 2);
    let goal = back::rollback(site(&policy, &books, 3), &Scope::Group(group("group1")), "5xx").expect("it is planned");
    done(&mut books, goal, 3);
    promoted(&mut books, "group1", 11, Some("fixed"), 4);
    promoted(&mut books, "group2", 11, None, 5);
    let goal = back::rollback(site(&policy, &books, 6), &Scope::Last, "sessions").expect("it is planned");
    expect![[r#"
        group0: 5 from 1.27.0-wmf.11 to 1.27.0-wmf.10
        group1: 592 from 1.27.0-wmf.11 to 1.27.0-wmf.10
        group2: 295 from 1.27.0-wmf.11 to 1.27.0-wmf.10
        pin labswiki on 1.27.0-wmf.9: Kept
        pin labtestwiki on 1.27.0-wmf.9: Kept
    "#]]
    .assert_eq(&lines(&goal));
    assert!(goal.hold.is_some(), "a rollback sets the hold");
    done(&mut books, goal, 6);
    let again = back::rollback(site(&policy, &books, 7), &Scope::Last, "sessions").expect("it is planned");
    assert_eq!((again.is_new, again.changes.len()), (false, 0), "a second one only finishes the first");
}

#[test]
fn a_rollback_of_a_promotion_under_way_takes_it_back_too() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    let goal = promote(site(&policy, &books, 2), &group("group1"), &wmf(11), "train", None).expect("it is planned");
    opened(&mut books, goal, true, 2);
    let goal = back::rollback(site(&policy, &books, 3), &Scope::Last, "no").expect("it is planned");
    expect![[r#"
        group0: 5 from 1.27.0-wmf.11 to 1.27.0-wmf.10
        group1: 592 from 1.27.0-wmf.11 to 1.27.0-wmf.10
        pin labswiki on 1.27.0-wmf.9: Kept
        pin labtestwiki on 1.27.0-wmf.9: Kept
    "#]]
    .assert_eq(&lines(&goal));
}

#[test]
fn a_version_that_was_taken_back_needs_a_reason_to_go_forward_again() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    let goal = back::rollback(site(&policy, &books, 2), &Scope::Last, "broken").expect("it is planned");
    done(&mut books, goal, 2);
    let blocked = promote(site(&policy, &books, 3), &group("group0"), &wmf(11), "train", None).expect_err("it is not");
    assert_eq!(blocked.why, Why::Refused);
    expect!["1.27.0-wmf.11 was taken back by operator@deploy1001 at 1970-01-01 00:00 UTC, 0 s ago (r2: broken)"]
        .assert_eq(&blocked.what);
    assert!(promote(site(&policy, &books, 3), &group("group0"), &wmf(11), "train", Some("fixed")).is_ok());
    assert!(promote(site(&policy, &books, 3), &group("group0"), &wmf(12), "train", None).is_ok());
}

#[test]
fn unknown_names_come_with_the_nearest_known_one() {
    let policy = policy(12);
    let books = books(&policy);
    let site = site(&policy, &books, 1);
    let blocked = promote(site, &group("grop1"), &wmf(11), "train", None).expect_err("it is not");
    assert_eq!((blocked.why, blocked.hint.as_deref()), (Why::Usage, Some("did you mean `group1`?")));
    let blocked = promote(site, &group("group1"), &wmf(21), "train", None).expect_err("it is not");
    assert_eq!(blocked.why, Why::Usage);
    assert!(blocked.what.starts_with("version 1.27.0-wmf.21 was never synced"), "{}", blocked.what);
}

#[test]
fn a_hold_an_expired_pin_and_an_unfinished_undertaking_stop_forward_moves_only() {
    let policy = policy(12);
    let fresh = books(&policy);
    let mut held = fresh.clone();
    held.apply(Time(1), &Record::Held { by: "ori".to_owned(), reason: "sessions".to_owned() });
    let refused = promote(site(&policy, &held, 2), &group("group0"), &wmf(11), "train", None);
    assert_eq!(refused.expect_err("it is not").why, Why::Refused);
    assert!(content::converge(site(&policy, &held, 2), super::goal::Extent::Wanted, "repair").is_ok());
    let debug = Subject::Host("mw2001.codfw.wmnet".parse().expect("a host"));
    assert!(pin(site(&policy, &held, 2), &debug, hand_pin(11, None)).is_ok(), "to find out why");

    let mut pinned = fresh.clone();
    let subject = Subject::Host("mw2001.codfw.wmnet".parse().expect("a host"));
    let goal = pin(site(&policy, &pinned, 1), &subject, hand_pin(11, Some(50))).expect("it is planned");
    done(&mut pinned, goal, 1);
    assert!(promote(site(&policy, &pinned, 49), &group("group0"), &wmf(11), "train", None).is_ok());
    let expired = promote(site(&policy, &pinned, 50), &group("group0"), &wmf(11), "train", None);
    assert_eq!(expired.expect_err("it is not").why, Why::Paused);

    let mut unfinished = fresh;
    let goal =
        promote(site(&policy, &unfinished, 1), &group("group0"), &wmf(11), "train", None).expect("it is planned");
    opened(&mut unfinished, goal, true, 2);
    let second = promote(site(&policy, &unfinished, 3), &group("group1"), &wmf(11), "train", None);
    let blocked = second.expect_err("it is not");
    assert_eq!((blocked.why, blocked.hint.as_deref()), (Why::Paused, Some("pointsman converge")));
    assert!(back::rollback(site(&policy, &unfinished, 3), &Scope::Last, "no").is_ok());
}

#[test]
fn a_rollback_that_was_dropped_has_taken_nothing_back() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    let goal = back::rollback(site(&policy, &books, 2), &Scope::Last, "5xx").expect("it is planned");
    ended(&mut books, goal, Status::Dropped, 2);
    assert!(promote(site(&policy, &books, 3), &group("group1"), &wmf(11), "train", None).is_ok());
}

#[test]
fn what_is_proven_before_a_promotion_is_what_its_own_rollback_needs() {
    let policy = policy(12);
    let mut books = books(&policy);
    for (now, name) in [(1, "group0"), (2, "group1"), (3, "group2")] {
        promoted(&mut books, name, 11, None, now);
    }
    let goal = promote(site(&policy, &books, 4), &group("group0"), &wmf(12), "train", None).expect("it is planned");
    let fallback: Vec<String> = goal.fallback.iter().map(ToString::to_string).collect();
    expect!["1.27.0-wmf.11 1.27.0-wmf.9"].assert_eq(&fallback.join(" "));
}

#[test]
fn a_host_pin_beats_wiki_pins_and_survives_a_rollback() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    let debug: crate::model::names::HostName = "mw2001.codfw.wmnet".parse().expect("a host");
    let goal = pin(site(&policy, &books, 2), &Subject::Host(debug.clone()), hand_pin(11, None)).expect("it is planned");
    done(&mut books, goal, 2);
    let goal = back::rollback(site(&policy, &books, 3), &Scope::Last, "sessions").expect("it is planned");
    expect!["1.27.0-wmf.11: 894"].assert_eq(&counts(&goal.snapshot.map_of(&debug)));
    assert!(goal.pins.iter().any(|p| p.subject == debug.as_str() && p.fate == PinFate::Kept));
}

#[test]
fn a_lost_pin_comes_back_with_the_rollback() {
    let mut policy = policy(12);
    policy.pins = Default::default();
    let mut books = books(&policy);
    let subject = Subject::Wiki(wiki("labswiki"));
    let goal = pin(site(&policy, &books, 1), &subject, hand_pin(9, None)).expect("it is planned");
    done(&mut books, goal, 1);
    promoted(&mut books, "group1", 11, None, 2);
    let goal = unpin(site(&policy, &books, 3), &subject, "by mistake").expect("it is planned");
    expect![[r#"
        group1: 1 from 1.27.0-wmf.9 to 1.27.0-wmf.11
        pin labswiki on 1.27.0-wmf.9: Removed
    "#]]
    .assert_eq(&lines(&goal));
    done(&mut books, goal, 3);
    let goal = back::rollback(site(&policy, &books, 4), &Scope::Last, "sessions").expect("it is planned");
    assert_eq!(goal.snapshot.map.0[&wiki("labswiki")], wmf(9));
    assert!(goal.pins.iter().any(|p| p.subject == "labswiki" && p.fate == PinFate::Restored), "{:?}", goal.pins);
}

#[test]
fn only_a_recorded_snapshot_can_be_named() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    let to = |id| back::rollback(site(&policy, &books, 2), &Scope::To(SnapshotId(id)), "x");
    expect!["1.27.0-wmf.10: 892, 1.27.0-wmf.9: 2"].assert_eq(&counts(&to(1).expect("it is planned").snapshot.map));
    assert_eq!(to(77).expect_err("it is not").why, Why::Usage);
}

#[test]
fn before_a_promotion_every_host_proves_the_way_back_too() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    promoted(&mut books, "group1", 11, None, 2);
    let site = site(&policy, &books, 3);
    let goal = promote(site, &group("group2"), &wmf(11), "train", None).expect("it is planned");
    let plan = plan(site, goal, None).expect("it is planned");
    assert_eq!(lint(&policy, &books, &plan), Vec::<String>::new());
    let part = plan.hosts.values().next().expect("there are hosts");
    let proven: Vec<String> = part.prove().iter().map(|want| want.component.to_string()).collect();
    expect!["wmf-config php-1.27.0-wmf.11 php-1.27.0-wmf.9 php-1.27.0-wmf.10"].assert_eq(&proven.join(" "));
    let waves: Vec<usize> = plan.waves.iter().map(Vec::len).collect();
    assert_eq!(waves, [1, 2, 9], "debug hosts, canaries, the rest");
    let mut one_way = plan.clone();
    one_way.hosts.values_mut().for_each(|part| part.fallback.clear());
    assert!(!lint(&policy, &books, &one_way).is_empty(), "the lint sees that there is no way back");
}

/// What the lint says of a promotion of group0 to `.11` that was changed so; hosts serve what the changed map says.
fn lint_of(change: impl FnOnce(&mut Plan)) -> Vec<String> {
    let mut plan = promotion();
    let policy = policy(12);
    change(&mut plan);
    for (host, part) in &mut plan.hosts {
        part.map = plan.goal.snapshot.map_of(host).digest();
    }
    lint(&policy, &books(&policy), &plan)
}

#[test]
fn the_lint_finds_what_a_wrong_planner_would_do() {
    assert_eq!(lint_of(|_| ()), [""; 0]);
    let wikis = [
        ("enwiki", Some(wmf(11)), "enwiki is in no group of this promotion and would move"),
        ("labswiki", Some(wmf(10)), "labswiki is pinned on 1.27.0-wmf.9 and would move"),
        ("enwiki", None, "enwiki would have no version"),
    ];
    for (name, version, wrong) in wikis {
        let found = lint_of(|plan| match version {
            Some(version) => _ = plan.goal.snapshot.map.0.insert(wiki(name), version),
            None => _ = plan.goal.snapshot.map.0.remove(&wiki(name)),
        });
        assert_eq!(found, [wrong]);
    }
    assert_eq!(lint_of(|plan| plan.waves.truncate(2)), ["mw2004.codfw.wmnet stands in no wave"]);
    let twice = lint_of(|plan| plan.waves.push(plan.waves[0].clone()));
    assert_eq!(twice, ["mw2001.codfw.wmnet stands in two waves"]);
}

#[test]
fn the_lint_finds_what_a_host_would_serve_without_a_proof() {
    let of_one =
        |change: &dyn Fn(&mut HostPlan)| lint_of(|plan| change(plan.hosts.values_mut().next().expect("hosts")));
    let (new, old) = (Component::Version(wmf(11)), Component::Version(wmf(10)));
    let no_proof = of_one(&|part| part.needs.retain(|want| want.component != new));
    assert_eq!(no_proof, ["mw2001.codfw.wmnet would serve php-1.27.0-wmf.11 without a proof of it"]);
    let other_id = of_one(&|part| part.needs[0].id = Digest::of(b"other"));
    assert_eq!(other_id, ["mw2001.codfw.wmnet would be proven for wmf-config at an id nobody wants"]);
    let one_way = of_one(&|part| {
        part.needs.retain(|want| want.component != old);
        part.fallback.retain(|want| want.component != old);
    });
    let why = "mw2001.codfw.wmnet would go forward without a proof of php-1.27.0-wmf.10, which it would go back to";
    assert_eq!(one_way.last().map(String::as_str), Some(why));
    let (mut plan, policy) = (promotion(), policy(12));
    plan.hosts.values_mut().next().expect("hosts").map = Digest::of(b"another map");
    let wrong = lint(&policy, &books(&policy), &plan);
    assert_eq!(wrong, ["mw2001.codfw.wmnet would serve another map than the snapshot's"]);
}

#[test]
fn where_each_goes_for_itself_there_is_one_wave() {
    let policy = policy(12);
    let books = books(&policy);
    let site = site(&policy, &books, 1);
    let goal = content::converge(site, Extent::Wanted, "to be sure").expect("it is planned");
    assert_eq!(plan(site, goal, None).expect("it is planned").waves.iter().map(Vec::len).collect::<Vec<_>>(), [12]);
}

#[test]
fn undo_moves_the_wanted_content_of_the_last_sync_back() {
    let policy = policy(12);
    let mut books = books(&policy);
    let tree = Component::Version(wmf(10));
    let before = books.wanted().expect("it is").wanted[&tree];
    let content = [(tree.clone(), Digest::of(b"hot fix"))].into();
    let goal = content::sync(site(&policy, &books, 1), &content, None, false, "fix").expect("it is planned");
    done(&mut books, goal, 1);
    let goal = content::undo(site(&policy, &books, 2), None, "worse").expect("it is planned");
    assert_eq!((goal.rollout.kind, goal.snapshot.wanted[&tree]), (Kind::Undo, before));
    let nothing = content::undo(site(&policy, &super::fixture::books(&policy), 2), None, "worse");
    assert_eq!(nothing.expect_err("it is not").why, Why::Usage);
}

#[test]
fn pins_declared_in_the_file_are_removed_there() {
    let policy = policy(12);
    let books = books(&policy);
    let refused = forward::unpin(site(&policy, &books, 1), &Subject::Wiki(wiki("labswiki")), "x");
    assert_eq!(refused.expect_err("it is not").why, Why::Usage);
}

#[test]
fn a_new_wiki_runs_what_its_group_runs_and_one_that_is_gone_leaves() {
    let mut policy = policy(12);
    let books = books(&policy);
    let groups = &mut policy.groups;
    groups[2].wikis.insert(wiki("newwiki"));
    groups[1].wikis.remove(&wiki("hewiki"));
    let site = site(&policy, &books, 1);
    let goal = promote(site, &group("group0"), &wmf(11), "train", None).expect("it is planned");
    expect![[r#"
        group0: 5 from 1.27.0-wmf.10 to 1.27.0-wmf.11
        group2: 1 from nothing to 1.27.0-wmf.10
    "#]]
    .assert_eq(&lines(&goal));
    assert!(!goal.snapshot.map.0.contains_key(&wiki("hewiki")));
    let plan = plan(site, goal, None).expect("it is planned");
    assert_eq!(lint(&policy, &books, &plan), Vec::<String>::new());
}

#[test]
fn a_sync_of_all_staging_lets_go_of_what_nobody_uses() {
    let policy = policy(12);
    let books = books(&policy);
    let content = [(Component::Version(wmf(13)), Digest::of(b"13"))].into();
    let goal = content::sync(site(&policy, &books, 1), &content, None, true, "cut").expect("it is planned");
    let wanted: Vec<String> = goal.snapshot.wanted.keys().map(ToString::to_string).collect();
    expect!["wmf-config php-1.27.0-wmf.10 php-1.27.0-wmf.13 php-1.27.0-wmf.9"].assert_eq(&wanted.join(" "));
    let goal = content::sync(site(&policy, &books, 1), &content, None, false, "fix").expect("it is planned");
    assert_eq!(goal.snapshot.wanted.len(), 6, "a sync of single files lets go of nothing");
}

#[test]
fn a_promotion_that_never_moved_a_host_is_neither_taken_back_nor_taken_up() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 11, None, 1);
    let goal = promote(site(&policy, &books, 2), &group("group1"), &wmf(11), "train", None).expect("it is planned");
    opened(&mut books, goal, false, 2);
    let goal = back::rollback(site(&policy, &books, 3), &Scope::Last, "no").expect("it is planned");
    expect![[r#"
        group0: 5 from 1.27.0-wmf.11 to 1.27.0-wmf.10
        pin labswiki on 1.27.0-wmf.9: Kept
        pin labtestwiki on 1.27.0-wmf.9: Kept
    "#]]
    .assert_eq(&lines(&goal));
    let resumed = forward::resume(site(&policy, &books, 3)).expect_err("it was not begun");
    assert_eq!(resumed.what, "no promotion is unfinished");
}

#[test]
fn a_rollback_takes_back_one_version_and_no_other_that_moved_meanwhile() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 12, None, 1);
    promoted(&mut books, "group2", 11, None, 2);
    promoted(&mut books, "group1", 12, None, 3);
    let taken: Vec<u64> = back::taken_back(&books, &Scope::Last).iter().map(|rollout| rollout.id.0).collect();
    assert_eq!(taken, [3, 1], "newest first");
    let goal = back::rollback(site(&policy, &books, 4), &Scope::Last, "5xx").expect("it is planned");
    expect![[r#"
        group0: 5 from 1.27.0-wmf.12 to 1.27.0-wmf.10
        group1: 592 from 1.27.0-wmf.12 to 1.27.0-wmf.10
        pin labswiki on 1.27.0-wmf.9: Kept
        pin labtestwiki on 1.27.0-wmf.9: Kept
    "#]]
    .assert_eq(&lines(&goal));
}

#[test]
fn a_rollback_leaves_alone_what_went_back_by_itself() {
    let policy = policy(12);
    let mut books = books(&policy);
    promoted(&mut books, "group0", 12, None, 1);
    let goal = promote(site(&policy, &books, 2), &group("group2"), &wmf(12), "train", None).expect("it is planned");
    ended(&mut books, goal, Status::WentBack, 2);
    promoted(&mut books, "group1", 12, Some("it was a gate's fault"), 3);
    let taken: Vec<u64> = back::taken_back(&books, &Scope::Last).iter().map(|rollout| rollout.id.0).collect();
    assert_eq!(taken, [3, 1]);
}

#[test]
fn a_version_that_came_again_goes_back_to_what_ran_before_it_came_last() {
    let policy = policy(12);
    let mut books = books(&policy);
    for (now, version) in [(1, 11), (2, 12), (3, 11)] {
        promoted(&mut books, "group0", version, Some("to find out"), now);
    }
    let goal = back::rollback(site(&policy, &books, 4), &Scope::Last, "5xx").expect("it is planned");
    assert_eq!(goal.changes.iter().map(|change| change.to.clone()).collect::<Vec<_>>(), [wmf(12)]);
}

#[test]
fn a_rollback_is_finished_and_not_made_anew_though_content_moved_since() {
    let policy = policy(12);
    let mut books = books(&policy);
    assert!(back::taken_back(&books, &Scope::Last).is_empty(), "nothing has moved");
    promoted(&mut books, "group0", 11, None, 1);
    promoted(&mut books, "group0", 12, None, 2);
    let goal = back::rollback(site(&policy, &books, 3), &Scope::Last, "5xx").expect("it is planned");
    done(&mut books, goal, 3);
    let content = [(Component::Version(wmf(10)), Digest::of(b"hot fix"))].into();
    let goal = content::sync(site(&policy, &books, 4), &content, None, false, "fix").expect("it is planned");
    done(&mut books, goal, 4);
    let again = back::rollback(site(&policy, &books, 5), &Scope::Last, "5xx").expect("it is planned");
    assert_eq!((again.is_new, again.changes.len()), (false, 0));
    assert!(back::taken_back(&books, &Scope::Last).is_empty(), "it would finish one");
}
