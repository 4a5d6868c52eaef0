//! One undertaking over hosts that do what they are told, but where a test says otherwise.

mod barrier;
mod each;
mod gated;
mod recorded;

use super::effect::{Effect, Event, GateCall, GateEnd, Left, Outcome, Told};
use super::machine::{Machine, Operator};
use crate::config::policy::Policy;
use crate::model::books::{Books, Record, Status};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::ids::Incarnation;
use crate::model::names::HostName;
use crate::model::protocol::{
    Collected, Command, Facts, Fence, Level, Observation, Peek, Readiness, Refusal, Reply, Stamp,
};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::plan::fixture::{books, done, group, policy, site, wmf};
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

    /// How many of these went to one host.
    fn count_to(&self, name: &HostName, which: fn(&Command) -> bool) -> usize {
        self.sent.iter().filter(|(host, command)| host == name && which(command)).count()
    }

    /// Who was left behind where it was reached.
    fn left(&self) -> &BTreeMap<HostName, Left> {
        match self.ended() {
            Outcome::Done { left, .. } => left,
            other => panic!("{other:?}"),
        }
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

    /// The same without one host.
    fn without(mut self, number: usize) -> Self {
        let name = self.name(number);
        self.plan.hosts.remove(&name);
        self.hosts.remove(&name);
        self
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

/// A host of this number does not switch, and nobody hears of it.
fn lost_switch(of: usize) -> impl FnMut(usize, &Command, &mut Host) -> Option<Answer> {
    move |number, command, _| (number == of && is_switch(command)).then_some(Err(Fault::ClosedEarly))
}

fn converge_all(site: Site<'_>) -> Result<Goal, Blocked> {
    content::converge(site, Extent::Wanted, "to be sure")
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
