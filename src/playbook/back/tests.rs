//! What a run moved, beside what others move at the same time: goals of the real planner, carried out in the books.

use super::{by_others, lines};
use crate::config::policy::Policy;
use crate::model::books::{Books, Pin, PinSource, Record, Status};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::ids::{PlaybookId, RolloutId};
use crate::model::playbook::PlaybookRun;
use crate::model::time::Time;
use crate::plan::back::{Scope, rollback};
use crate::plan::content::{sync, undo};
use crate::plan::fixture::{self, group, wmf};
use crate::plan::forward::{Subject, pin, promote};
use crate::plan::goal::{Blocked, Goal, Site};
use std::collections::BTreeMap;

const MESSAGE: &str = "--message=playbook p1: x";

/// Whose doing something is.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Run,
    Others,
}
use By::{Others, Run};

struct Fleet {
    policy: Policy,
    books: Books,
    run: PlaybookRun,
    now: u64,
}

impl Fleet {
    fn new() -> Self {
        let policy = fixture::policy(12);
        let books = fixture::books(&policy);
        Self { policy, books, run: super::super::tests::begun(), now: 1000 }
    }

    fn goal(&mut self, by: By, goal: impl FnOnce(Site<'_>) -> Result<Goal, Blocked>) -> Goal {
        self.now += 1000;
        let mut goal = goal(fixture::site(&self.policy, &self.books, self.now)).expect("it is planned");
        goal.rollout.playbook = (by == Run).then_some(PlaybookId(1));
        goal
    }

    fn done(&mut self, by: By, goal: impl FnOnce(Site<'_>) -> Result<Goal, Blocked>) -> RolloutId {
        let goal = self.goal(by, goal);
        let (id, is_back, effect) = (goal.rollout.id, goal.hold.is_some(), goal.rollout.effect.clone());
        fixture::done(&mut self.books, goal, self.now);
        let row = self.books.rollouts.get_mut(&id).expect("it was recorded");
        row.effect = effect;
        if is_back {
            self.books.hold = None;
        }
        id
    }

    fn promotes(&mut self, by: By, name: &str, version: u32) -> RolloutId {
        self.done(by, |site| promote(site, &group(name), &wmf(version), "x", Some("again")))
    }

    fn syncs(&mut self, by: By, text: &str) -> RolloutId {
        let content = BTreeMap::from([(Component::Config("wmf-config".to_owned()), Digest::of(text.as_bytes()))]);
        self.done(by, |site| sync(site, &content, None, false, "x"))
    }

    fn rolls_back(&mut self, by: By, scope: Scope) -> RolloutId {
        self.done(by, |site| rollback(site, &scope, "x"))
    }

    /// What would be typed, without the options that are always there.
    fn lines(&self) -> Result<Vec<String>, String> {
        let lines = lines(&self.run, &self.books, "x")?;
        let rest = |line: &Vec<String>| {
            assert_eq!(line.last().map(String::as_str), Some("--yes"));
            let words = line[..line.len() - 1].iter().map(String::as_str);
            words.filter(|word| *word != MESSAGE).collect::<Vec<_>>().join(" ")
        };
        Ok(lines.iter().map(rest).collect())
    }

    #[track_caller]
    fn takes_back(&self, expected: &[&str]) {
        assert_eq!(self.lines().as_deref(), Ok(owned(expected).as_slice()));
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn pinned(fleet: &mut Fleet, by: By, host: &str) -> RolloutId {
    let made = Pin {
        version: wmf(9),
        reason: "r".to_owned(),
        owner: "o".to_owned(),
        since: Time(fleet.now),
        until: None,
        source: PinSource::Books,
    };
    let subject = Subject::Host(host.parse().expect("a host"));
    fleet.done(by, |site| pin(site, &subject, made))
}

#[test]
fn what_was_moved_is_taken_back_newest_first_and_only_once() {
    let mut fleet = Fleet::new();
    fleet.takes_back(&[]);
    fleet.syncs(Others, "before");
    let ours = fleet.syncs(Run, "ours");
    pinned(&mut fleet, Run, "mw2005.codfw.wmnet");
    pinned(&mut fleet, Others, "mw2006.codfw.wmnet");
    fleet.promotes(Run, "group0", 11);
    let undo_ours = format!("undo {ours}");
    let unpin = "unpin mw2005.codfw.wmnet --reason=playbook p1: x";
    fleet.takes_back(&["rollback", unpin, &undo_ours]);
    // A process that dies while it goes back.
    let goal = fleet.goal(Run, |site| rollback(site, &Scope::Last, "x"));
    let (rollout, id) = (goal.rollout, RolloutId(fleet.books.next_rollout().0));
    let snapshot = Some(goal.snapshot);
    fleet.books.apply(Time(fleet.now), &Record::Opened { rollout, snapshot, moves_current: true });
    fleet.takes_back(&["converge", unpin, &undo_ours]);
    let ended = Record::Ended { rollout: id, status: Status::Done, moves_current: false, effect: String::new() };
    fleet.books.apply(Time(fleet.now), &ended);
    fleet.takes_back(&[unpin, &undo_ours]);
    fleet.done(Run, |site| undo(site, Some(ours), "x"));
    fleet.takes_back(&[unpin]);
}

#[test]
fn a_promotion_that_moved_nothing_is_not_taken_back() {
    for (status, switched, expected) in [
        (Status::Dropped, false, &[][..]),
        (Status::WentBack, true, &[]),
        (Status::Open, false, &["converge"]),
        (Status::Open, true, &["rollback"]),
        (Status::Owed, true, &["rollback"]),
    ] {
        let mut fleet = Fleet::new();
        fleet.promotes(Others, "group0", 11);
        let goal = fleet.goal(Run, |site| promote(site, &group("group1"), &wmf(12), "x", None));
        let id = goal.rollout.id;
        fixture::opened(&mut fleet.books, goal, switched, fleet.now);
        if status != Status::Open {
            let (moves_current, effect) = (status == Status::Owed, String::new());
            fleet.books.apply(Time(fleet.now), &Record::Ended { rollout: id, status, moves_current, effect });
        }
        assert_eq!(fleet.lines(), Ok(owned(expected)), "{status:?}");
    }
    // What is there already is nobody's to take back.
    let mut fleet = Fleet::new();
    fleet.promotes(Others, "group0", 11);
    fleet.promotes(Run, "group0", 11);
    fleet.takes_back(&[]);
}

#[test]
fn what_others_promoted_is_not_taken_along() {
    // Another version to another group, later.
    let mut fleet = Fleet::new();
    fleet.promotes(Run, "group0", 11);
    fleet.promotes(Others, "group1", 12);
    fleet.takes_back(&["rollback group0"]);
    // The same version to another group, before or later.
    for first in [Run, Others] {
        let mut fleet = Fleet::new();
        fleet.promotes(first, "group0", 11);
        fleet.promotes(if first == Run { Others } else { Run }, "group1", 11);
        fleet.takes_back(&[if first == Run { "rollback group0" } else { "rollback group1" }]);
    }
    // The same group, so that ours is no longer there.
    let mut fleet = Fleet::new();
    fleet.promotes(Run, "group0", 11);
    fleet.promotes(Others, "group0", 12);
    fleet.takes_back(&[]);
    // Two versions of our own.
    let mut fleet = Fleet::new();
    fleet.promotes(Run, "group0", 11);
    fleet.promotes(Run, "group1", 12);
    fleet.takes_back(&["rollback group1", "rollback group0"]);
}

#[test]
fn what_a_rollback_by_hand_would_mistake_is_left_to_a_person() {
    let mut fleet = Fleet::new();
    let ours = fleet.promotes(Run, "group0", 11);
    let theirs = fleet.promotes(Others, "group0", 12);
    let back = fleet.rolls_back(Others, Scope::Last);
    // Ours is served again, and a rollback of the group would take theirs back once more.
    let why = fleet.lines().expect_err("a person decides");
    assert_eq!(
        why,
        format!(
            "{ours} can't be taken back without {theirs}, which operator@deploy1001 made after it, so nothing was: \
             pointsman history, then pointsman rollback --to s1"
        )
    );
    assert_eq!(by_others(&fleet.books, &fleet.run).map(|r| r.id), Some(back));
}

#[test]
fn the_promised_lines_do_what_they_promise() {
    let mut fleet = Fleet::new();
    fleet.promotes(Others, "group0", 11);
    fleet.promotes(Run, "group1", 11);
    fleet.takes_back(&["rollback group1"]);
    fleet.rolls_back(Run, Scope::Group(group("group1")));
    let wanted = fleet.books.wanted().expect("there is a state");
    assert_eq!(fixture::counts(&wanted.map), "1.27.0-wmf.10: 887, 1.27.0-wmf.11: 5, 1.27.0-wmf.9: 2");
    fleet.takes_back(&[]);
    assert_eq!(by_others(&fleet.books, &fleet.run), None, "it was our own");
}

#[test]
fn only_a_rollback_of_others_since_the_run_began_ends_it() {
    let mut fleet = Fleet::new();
    fleet.promotes(Others, "group0", 11);
    let before = fleet.rolls_back(Others, Scope::Last);
    fleet.run.seen = before.0;
    fleet.promotes(Run, "group0", 12);
    assert_eq!(by_others(&fleet.books, &fleet.run), None);
    let back = fleet.rolls_back(Others, Scope::Last);
    assert_eq!(by_others(&fleet.books, &fleet.run).map(|r| r.id), Some(back));
}

#[test]
fn a_sync_of_others_over_ours_is_left_to_a_person() {
    let mut fleet = Fleet::new();
    let first = fleet.syncs(Run, "one");
    let second = fleet.syncs(Run, "two");
    fleet.takes_back(&[&format!("undo {second}"), &format!("undo {first}")]);
    let theirs = fleet.syncs(Others, "three");
    let why = fleet.lines().expect_err("a person decides");
    assert!(why.contains(&format!("{second} can't be taken back without {theirs}")), "{why}");
    fleet.done(Others, |site| undo(site, Some(theirs), "x"));
    fleet.takes_back(&[&format!("undo {second}"), &format!("undo {first}")]);
}
