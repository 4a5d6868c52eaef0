//! One undertaking over hosts that do what they are told, but where a test says otherwise.

mod each;
mod gated;
mod recorded;

use super::effect::{Effect, Event, GateCall, GateEnd, Outcome, Told};
use super::machine::{Machine, Operator};
use crate::config::policy::Policy;
use crate::model::books::{Books, Record, Status};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::ids::Incarnation;
use crate::model::names::HostName;
use crate::model::protocol::{
    Collected, Command, Expect, Facts, Fence, Level, Observation, Peek, Readiness, Refusal, Reply, Stamp,
};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::plan::fixture::{books, done, group, hand_pin, policy, site, wiki, wmf};
use crate::plan::goal::{Blocked, Goal, Site};
use crate::plan::hosts::Plan;
use crate::plan::{content, forward, goal::Extent, hosts};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A host that obeys.
#[derive(Debug, Clone)]
struct Host {
    incarnation: Option<Incarnation>,
    active: Option<Digest>,
    fence: Option<Fence>,
    held: BTreeMap<Component, Digest>,
    /// What it lacks until it is brought.
    lacks: BTreeSet<Component>,
    /// How old its proofs are, ms.
    age_ms: u64,
}

impl Host {
    fn shows(&self, peek: &Peek) -> Box<Observation> {
        let age_ms = self.age_ms;
        let readiness = |want: &Want| match self.lacks.contains(&want.component) {
            true => (want.component.clone(), Readiness::Absent),
            false => (want.component.clone(), Readiness::Ready { files: 1, bytes: 1, level: Level::L2, age_ms }),
        };
        Box::new(Observation {
            incarnation: self.incarnation,
            boot_id: String::new(),
            active: self.active,
            versions: BTreeMap::new(),
            fence: self.fence,
            journal_open: false,
            readiness: peek.prove.iter().map(readiness).collect(),
            held: self.held.clone(),
            confirmed: Vec::new(),
            facts: Facts::default(),
        })
    }

    fn obeys(&mut self, command: &Command) -> Reply {
        let before = self.clone();
        let Stamp { books, generation } = command.stamp();
        self.fence = Some(Fence { books, generation });
        match command {
            Command::Observe { peek, .. } => Reply::Observed(before.shows(peek)),
            Command::Prepare { want, .. } => {
                self.lacks.remove(&want.component);
                self.held.insert(want.component.clone(), want.id);
                Reply::Prepared { readiness: Readiness::Ready { files: 1, bytes: 1, level: Level::L3, age_ms: 0 } }
            }
            Command::Switch { map, .. } => {
                self.active = Some(map.digest());
                Reply::Switched { restart_failed: None, seen: Some(self.shows(&Peek::at_state())) }
            }
            Command::Confirm { keep: None, .. } => Reply::Confirmed,
            Command::Confirm { keep: Some(_), .. } => Reply::Collected(Collected::default()),
        }
    }
}

type Answer = Result<Reply, Fault>;

/// An undertaking, its hosts, and what is different about them.
struct Trial {
    policy: Policy,
    books: Books,
    plan: Plan,
    operator: Operator,
    hosts: BTreeMap<HostName, Host>,
    /// What gates say, one after the other; then they pass.
    gates: VecDeque<GateEnd>,
    /// Whether the person who is asked agrees.
    agrees: bool,
    /// After so many commands a person stops it.
    stops_after: Option<usize>,
}

/// What happened, in order.
#[derive(Debug, Default)]
struct Story {
    sent: Vec<(HostName, Command)>,
    told: Vec<Told>,
    records: Vec<Record>,
    calls: Vec<GateCall>,
    asked: usize,
    outcome: Option<Outcome>,
    /// The last number that a command had.
    seq: u64,
}

impl Story {
    /// How many commands `which` picks.
    fn count(&self, which: fn(&Command) -> bool) -> usize {
        self.sent.iter().filter(|(_, command)| which(command)).count()
    }

    fn ended(&self) -> &Outcome {
        self.outcome.as_ref().expect("it has ended")
    }

    fn hosts_of(&self, of: fn(&Record) -> Option<&HostName>) -> Vec<&HostName> {
        self.records.iter().filter_map(of).collect()
    }

    /// Who is owed something by the books, once for each time.
    fn owed(&self) -> Vec<&HostName> {
        self.hosts_of(|record| match record {
            Record::Owed { host, .. } => Some(host),
            _ => None,
        })
    }

    /// Who was taken out of service.
    fn depooled(&self) -> Vec<&HostName> {
        self.hosts_of(|record| match record {
            Record::Depooled { host, .. } => Some(host),
            _ => None,
        })
    }

    /// How undertakings ended, by the books.
    fn ends(&self) -> Vec<(u64, Status)> {
        let end = |record: &Record| match record {
            Record::Ended { rollout, status, .. } => Some((rollout.0, *status)),
            _ => None,
        };
        self.records.iter().filter_map(end).collect()
    }

    fn is_done(&self) -> bool {
        matches!(self.ended(), Outcome::Done { left, .. } if left.is_empty())
    }
}

fn is_observe(command: &Command) -> bool {
    matches!(command, Command::Observe { .. })
}

fn is_switch(command: &Command) -> bool {
    matches!(command, Command::Switch { .. })
}

impl Trial {
    /// Over hosts that serve what the books want and hold all that the plan needs.
    fn new(policy: Policy, mut books: Books, goal: impl FnOnce(Site<'_>) -> Result<Goal, Blocked>) -> Self {
        books.epoch = 1;
        let planned = goal(site(&policy, &books, 1)).expect("it can be meant");
        let plan = hosts::plan(site(&policy, &books, 1), planned, None).expect("it is planned");
        let wanted = books.wanted().expect("there is a state");
        let host = |(number, (name, part)): (usize, (&HostName, &crate::plan::hosts::HostPlan))| {
            let host = Host {
                incarnation: Some(Incarnation(number as u128 + 1)),
                active: Some(wanted.map_of(name).digest()),
                fence: None,
                held: part.prove().into_iter().map(|want| (want.component, want.id)).collect(),
                lacks: BTreeSet::new(),
                age_ms: 0,
            };
            (name.clone(), host)
        };
        let hosts = plan.hosts.iter().enumerate().map(host).collect();
        let operator = Operator { epoch: books.epoch, seq: 0, nonce: 0, adopt: false, resumes: false };
        Self { policy, books, plan, operator, hosts, gates: VecDeque::new(), agrees: true, stops_after: None }
    }

    /// A promotion of group0 to `.11` over so many hosts.
    fn promotion(hosts: usize) -> Self {
        let policy = policy(hosts);
        let books = books(&policy);
        Self::new(policy, books, promote_group0)
    }

    fn name(&self, number: usize) -> HostName {
        self.hosts.keys().nth(number).expect("there are as many").clone()
    }

    fn host(&mut self, number: usize) -> &mut Host {
        self.hosts.values_mut().nth(number).expect("there are as many")
    }

    /// Runs to the end.
    fn run(self) -> Story {
        self.run_with(|_, _, _| None)
    }

    /// The same, where hosts may answer otherwise, by their number.
    fn run_with(mut self, mut says: impl FnMut(usize, &Command, &mut Host) -> Option<Answer>) -> Story {
        let mut machine = Machine::new(&self.policy, self.books, self.plan, self.operator);
        let (mut story, mut now) = (Story::default(), 2);
        let mut effects = machine.start(Time(now));
        while story.outcome.is_none() {
            let mut events = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Persist(records) => story.records.extend(records),
                    Effect::Tell(told) => story.told.push(told),
                    Effect::Finish(outcome) => story.outcome = Some(outcome),
                    Effect::Depool(host) => events.push(Event::Depooled { host, result: Ok(()) }),
                    Effect::Ask(_) => {
                        story.asked += 1;
                        events.push(if self.agrees { Event::Approved } else { Event::Denied });
                    }
                    Effect::Gate(call) => {
                        story.calls.push(*call);
                        let passes = GateEnd::GoOn { leave_out: BTreeMap::new() };
                        events.push(Event::Gated(self.gates.pop_front().unwrap_or(passes)));
                    }
                    Effect::Send { host, command, .. } => {
                        let number = self.hosts.keys().position(|name| *name == host).expect("it is of the plan");
                        let it = self.hosts.get_mut(&host).expect("it is of the plan");
                        let answer = says(number, &command, it).unwrap_or_else(|| Ok(it.obeys(&command)));
                        events.push(Event::Reply {
                            host: host.clone(),
                            generation: command.stamp().generation,
                            answer,
                        });
                        story.sent.push((host, *command));
                    }
                }
            }
            if self.stops_after.is_some_and(|after| after <= story.sent.len()) {
                self.stops_after = None;
                events.insert(0, Event::Stop);
            }
            assert!(story.sent.len() < 1000, "it never ends: {story:?}");
            assert!(story.outcome.is_some() || !events.is_empty(), "nothing would ever lead on: {story:?}");
            now += 1000;
            effects = machine.step(Time(now), events);
        }
        assert_eq!(effects, [], "nothing follows the end");
        Story { seq: machine.seq(), ..story }
    }
}

fn promote_group0(site: Site<'_>) -> Result<Goal, Blocked> {
    forward::promote(site, &group("group0"), &wmf(11), "train", None)
}

/// Who was not ready and why, where it ended before anything was switched.
fn stale_at_once(story: &Story) -> &BTreeMap<HostName, StaleReason> {
    match story.ended() {
        Outcome::Stale(stale) if story.count(is_switch) == 0 && story.asked == 0 => stale,
        other => panic!("{other:?}"),
    }
}

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
    let Outcome::Done { left, .. } = story.ended() else { panic!("{:?}", story.outcome) };
    assert_eq!(left[&name].reason, StaleReason::Fault(Fault::ClosedEarly), "what came of the look after it");
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
    let Outcome::Done { left, .. } = story.ended() else { panic!("{:?}", story.outcome) };
    assert_eq!(left.keys().collect::<Vec<_>>(), [&name]);
    assert!(!story.sent.iter().any(|(host, command)| *host == name && is_switch(command)));
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
        let Outcome::Done { left, .. } = story.ended() else { panic!("{:?}", story.outcome) };
        assert_eq!(left[&name].reason, StaleReason::RestartFailed("exit code 1".to_owned()));
        assert_eq!((story.owed(), left[&name].depooled), (vec![&name], !hook.is_empty()));
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
