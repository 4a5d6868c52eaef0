//! Virtual time, the network and the operators: executes the core's effects one at a time, with faults between them.

use super::faults::{Faults, Kind};
use super::fleet::Fleet;
use super::network::Arriving;
use super::oracle::{Oracle, Run};
use super::random::Random;
use super::site::Contents;
use crate::config::policy::Policy;
use crate::model::clock::{Clock, Reading};
use crate::model::fault::Fault;
use crate::model::ids::Generation;
use crate::model::names::HostName;
use crate::model::protocol::{Command, Reply};
use crate::model::time::Time;
use crate::plan::goal::{Blocked, Extent, Goal, Site};
use crate::plan::{content, hosts};
use crate::rollout::effect::{Effect, Event, GateCall, GateEnd, Outcome};
use crate::rollout::machine::{Machine, Operator};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::memory::MemoryStore;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Lines of the trace that are kept.
const TRACE_LINES: usize = 60;
/// Events after which a seed counts as endless.
const EVENTS_MAX: u64 = 2_000_000;
/// When every story begins, ms since 1970: 2016-01-23. Clocks may be days off in both directions.
const EPOCH_MS: u64 = 1_453_507_200_000;
/// How far a clock may be off, ms.
const SKEW_MS_MAX: u64 = 3 * 86_400_000;
/// Who all operators say they are.
pub const BY: &str = "sim@deploy1001";

/// Something that will happen.
pub(super) enum Next {
    Work(usize),
    Deliver {
        op: usize,
        host: HostName,
        command: Box<Command>,
    },
    /// All that a prepare was still waiting for is at the host.
    Arrive(Arriving),
    Answer {
        op: usize,
        host: HostName,
        generation: Generation,
        answer: Result<Reply, Fault>,
    },
    Tell(usize, Event),
    /// What gates said to an operator.
    Gated(usize, GateEnd),
    TakeOver,
}

/// An operator and what it has still to do.
struct Acting<'a> {
    epoch: u64,
    began: u64,
    /// How far its wall clock is off, ms.
    skew: i64,
    clock: Clock,
    machine: Machine<'a>,
    queue: VecDeque<Effect>,
    inbox: Vec<Event>,
    busy: bool,
}

/// The whole simulated world.
pub struct Engine<'a> {
    pub policy: &'a Policy,
    pub contents: &'a Contents,
    pub random: Random,
    pub fleet: Fleet,
    pub store: MemoryStore,
    pub oracle: Oracle,
    pub now: u64,
    /// `None`: nothing fails.
    pub faults: Option<Faults>,
    /// Percent of their rates at which faults of hosts, of the network and of operators happen now.
    pub weather: u32,
    pub injected: BTreeMap<Kind, u64>,
    pub outcomes: BTreeMap<&'static str, u64>,
    pub dispatches: u64,
    pub undertakings: u64,
    pub trace: VecDeque<String>,
    pub hash: blake3::Hasher,
    /// The trace as it was when the first promise was broken.
    pub scene: Option<VecDeque<String>>,
    number: u64,
    waiting: BTreeMap<(u64, u64), Next>,
    acting: BTreeMap<usize, Acting<'a>>,
    operators: usize,
}

/// What an undertaking wants, by the books as they stand when it begins.
pub type Wanted<'g> = dyn Fn(Site<'_>) -> Result<Goal, Blocked> + 'g;

impl<'a> Engine<'a> {
    pub fn new(policy: &'a Policy, contents: &'a Contents, random: Random, fleet: Fleet, store: MemoryStore) -> Self {
        let oracle = Oracle::new(policy.limits.proof_age_ms_max);
        Self {
            policy,
            contents,
            random,
            fleet,
            store,
            oracle,
            now: EPOCH_MS,
            faults: None,
            weather: 100,
            injected: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            dispatches: 0,
            undertakings: 0,
            trace: VecDeque::new(),
            hash: blake3::Hasher::new(),
            scene: None,
            number: 0,
            waiting: BTreeMap::new(),
            acting: BTreeMap::new(),
            operators: 0,
        }
    }

    pub fn line(&mut self, text: &str) {
        let line = format!("{} {text}\n", self.now);
        self.hash.update(line.as_bytes());
        if self.trace.len() == TRACE_LINES {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    pub(super) fn after(&mut self, ms: u64, next: Next) {
        self.number += 1;
        self.waiting.insert((self.now + ms, self.number), next);
    }

    /// Whether this fault happens now; it is counted.
    pub(super) fn hit(&mut self, kind: Kind) -> bool {
        let hit = self.threatens(kind);
        if hit {
            self.happened(kind);
        }
        hit
    }

    /// Whether this fault may happen now; it is not counted.
    pub(super) fn threatens(&mut self, kind: Kind) -> bool {
        self.threatens_at(kind, if kind.knows_weather() { self.weather } else { 100 })
    }

    /// The same, at so many percent of its rate.
    pub(super) fn threatens_at(&mut self, kind: Kind, percent: u32) -> bool {
        let rate = self.faults.as_ref().map(|faults| faults.rate(kind) * percent / 100);
        rate.is_some_and(|rate| self.random.chance(rate))
    }

    /// A fault happened.
    pub(super) fn happened(&mut self, kind: Kind) {
        *self.injected.entry(kind).or_default() += 1;
    }

    pub fn count(&mut self, outcome: &'static str) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// Somebody takes the lock and begins; why not, when it can't be planned.
    pub fn begin(&mut self, reason: &str, wanted: &Wanted<'_>) -> Option<Blocked> {
        let skew = if self.hit(Kind::Skewed) { self.any_skew() } else { 0 };
        let now = self.read(skew).wall;
        let claim = self.store.take_lock(now, BY, reason, true).expect("the lock can always be taken over");
        self.oracle.claimed(claim.epoch);
        self.line(&format!("epoch {} {reason}, clock off by {skew} ms", claim.epoch));
        let operator = Operator { epoch: claim.epoch, seq: 0, nonce: claim.epoch, adopt: false, resumes: false };
        match self.start(operator, skew, wanted) {
            Ok(()) => {
                self.undertakings += 1;
                None
            }
            Err(blocked) => {
                self.line(&format!("blocked: {blocked}"));
                self.count("blocked");
                self.store.release_lock(now, claim.epoch).expect("nobody took it meanwhile");
                Some(blocked)
            }
        }
    }

    fn any_skew(&mut self) -> i64 {
        self.random.between(0, 2 * SKEW_MS_MAX).cast_signed() - SKEW_MS_MAX.cast_signed()
    }

    /// What a machine's clocks say when its wall clock is so far off.
    fn read(&self, skew: i64) -> Reading {
        Reading { wall: Time(self.now.saturating_add_signed(skew)), ticks_ms: self.now }
    }

    fn start(&mut self, operator: Operator, skew: i64, wanted: &Wanted<'_>) -> Result<(), Blocked> {
        let clock = Clock::starting(self.read(skew));
        let (books, now) = (self.store.load().expect("memory can be read"), clock.at(self.read(skew)));
        let site = Site { policy: self.policy, books: &books, now, by: BY };
        let plan = hosts::plan(site, wanted(site)?, None)?;
        let mut machine = Machine::new(self.policy, books, plan, operator);
        let queue = machine.start(now).into();
        let (epoch, began) = (operator.epoch, self.now);
        let op = self.operators;
        self.operators += 1;
        self.acting.insert(op, Acting { epoch, began, skew, clock, machine, queue, inbox: Vec::new(), busy: true });
        self.after(0, Next::Work(op));
        if self.hit(Kind::TakeOver) {
            let ms = self.random.between(1, 20_000);
            self.after(ms, Next::TakeOver);
        }
        Ok(())
    }

    /// Runs until nobody acts.
    pub fn run(&mut self) {
        let mut left = EVENTS_MAX;
        while !self.acting.is_empty() {
            left -= 1;
            let Some(((at, _), next)) = self.waiting.pop_first().filter(|_| left > 0) else {
                self.oracle.violations.push("P8: an undertaking does not end".to_owned());
                return self.acting.clear();
            };
            self.now = self.now.max(at);
            self.happen(next);
        }
    }

    /// Lets time pass, with what is still on its way.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, _), next) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(next);
        }
        self.now = until;
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Work(op) => self.work(op),
            Next::Deliver { op, host, command } => self.deliver(op, &host, &command),
            Next::Arrive(arriving) => self.arrive(arriving),
            Next::Answer { op, host, generation, answer } => self.answer(op, host, generation, answer),
            Next::Tell(op, event) => self.tell(op, event),
            Next::Gated(op, end) => {
                if let Some(epoch) = self.acting.get(&op).map(|acting| acting.epoch) {
                    self.oracle.gated(epoch, matches!(end, GateEnd::GoOn { .. }));
                    self.tell(op, Event::Gated(end));
                }
            }
            Next::TakeOver => self.take_over(),
        }
        if self.scene.is_none() && !self.oracle.violations.is_empty() {
            self.scene = Some(self.trace.clone());
        }
    }

    fn take_over(&mut self) {
        if self.acting.is_empty() {
            return;
        }
        let back = |site: Site<'_>| {
            let scope = crate::plan::back::Scope::Last;
            crate::plan::back::rollback(site, &scope, "takes over")
                .or_else(|_| content::converge(site, Extent::Served, "takes over"))
        };
        self.begin("take over", &back);
    }

    pub(super) fn is_acting(&self, op: usize) -> bool {
        self.acting.contains_key(&op)
    }

    pub(super) fn is_skewed(&self, op: usize) -> bool {
        self.acting.get(&op).is_some_and(|acting| acting.skew != 0)
    }

    fn work(&mut self, op: usize) {
        if !self.is_acting(op) {
            return;
        }
        self.may_set_the_clock(op);
        let now = self.time_of(op);
        let Some(acting) = self.acting.get_mut(&op) else { return };
        if acting.queue.is_empty() && !acting.inbox.is_empty() {
            let events = std::mem::take(&mut acting.inbox);
            acting.queue = acting.machine.step(now, events).into();
        }
        let Some(effect) = acting.queue.pop_front() else {
            acting.busy = false;
            return;
        };
        self.execute(op, effect);
        if self.acting.contains_key(&op) && self.hit(Kind::Crash) {
            self.line(&format!("operator {op} crashes"));
            let crashed = self.acting.remove(&op).map_or(0, |acting| acting.epoch);
            if self.store.books().epoch == crashed {
                self.store.died();
            }
            return self.count("crashed");
        }
        let ms = self.random.between(0, 1);
        self.after(ms, Next::Work(op));
    }

    fn may_set_the_clock(&mut self, op: usize) {
        if !self.hit(Kind::ClockJumps) {
            return;
        }
        let skew = self.any_skew();
        self.line(&format!("the clock of operator {op} is set, now off by {skew} ms"));
        if let Some(acting) = self.acting.get_mut(&op) {
            acting.skew = skew;
        }
    }

    /// What an operator takes for now.
    fn time_of(&self, op: usize) -> Time {
        let acting = &self.acting[&op];
        acting.clock.at(self.read(acting.skew))
    }

    fn execute(&mut self, op: usize, effect: Effect) {
        match effect {
            Effect::Persist(records) => self.persist(op, &records),
            Effect::Send { host, command, deadline_ms } => self.send(op, host, command, deadline_ms),
            Effect::Ask(_) => {
                let ms = self.random.between(100, 100_000);
                self.after(ms, Next::Tell(op, Event::Approved));
            }
            Effect::Depool(host) => self.after(50, Next::Tell(op, Event::Depooled { host, result: Ok(()) })),
            Effect::Gate(call) => self.gate(op, &call),
            Effect::Tell(_) => {}
            Effect::Finish(outcome) => self.finish(op, outcome),
        }
    }

    /// Gates are judged elsewhere; here any verdict may come, after any time.
    fn gate(&mut self, op: usize, call: &GateCall) {
        let ms = self.random.between(1, 100_000);
        let rolled: Vec<&HostName> = call.scope.rolled.iter().collect();
        let choice = if self.hit(Kind::GateFlaps) { self.random.between(0, 2) } else { 3 };
        let end = match choice {
            0 => GateEnd::Failed(vec!["the release".to_owned()]),
            1 => GateEnd::Paused(vec!["no data".to_owned()]),
            2 if !rolled.is_empty() => {
                let at = self.random.between(0, rolled.len() as u64 - 1) as usize;
                GateEnd::GoOn { leave_out: [(rolled[at].clone(), "its errors".to_owned())].into() }
            }
            _ => GateEnd::GoOn { leave_out: BTreeMap::new() },
        };
        self.count(match &end {
            GateEnd::Failed(_) => "a gate fails",
            GateEnd::Paused(_) => "a gate pauses",
            GateEnd::GoOn { leave_out } if !leave_out.is_empty() => "a gate blames a host",
            GateEnd::GoOn { .. } => "gates pass",
        });
        let epoch = self.acting[&op].epoch;
        self.oracle.gates_asked(epoch);
        self.after(ms, Next::Gated(op, end));
    }

    fn persist(&mut self, op: usize, records: &[crate::model::books::Record]) {
        let (epoch, now) = (self.acting[&op].epoch, self.time_of(op));
        match self.store.append(now, epoch, records) {
            Ok(()) => {
                self.line(&format!("operator {op} commits {} records", records.len()));
                self.oracle.appended(epoch, self.store.written(), self.store.books(), &self.fleet);
            }
            Err(StoreError::Superseded { .. }) => {
                self.line(&format!("operator {op} is superseded"));
                self.acting.remove(&op);
                self.count("superseded");
            }
            Err(other) => self.oracle.violations.push(format!("the books refuse: {other}")),
        }
    }

    pub(super) fn tell(&mut self, op: usize, event: Event) {
        let Some(acting) = self.acting.get_mut(&op) else { return };
        acting.inbox.push(event);
        if !acting.busy {
            acting.busy = true;
            self.after(0, Next::Work(op));
        }
    }

    fn finish(&mut self, op: usize, outcome: Outcome) {
        let Some(acting) = self.acting.remove(&op) else { return };
        self.line(&format!("operator {op} ends: {}", word(&outcome)));
        self.count(word(&outcome));
        if matches!(outcome, Outcome::Done { .. }) && !acting.machine.plan().excluded.is_empty() {
            self.count("done without depooled hosts");
        }
        let (plan, epoch, began) = (acting.machine.plan(), acting.epoch, acting.began);
        let left: Option<BTreeSet<HostName>> = match &outcome {
            Outcome::Done { left, .. } => Some(left.keys().cloned().collect()),
            Outcome::Nothing => Some(BTreeSet::new()),
            _ => None,
        };
        if let Some(left) = left {
            let (id, kind, wanted) = (plan.goal.rollout.id, plan.goal.rollout.kind, &plan.goal.snapshot);
            let hosts = plan.hosts.keys().cloned().collect();
            self.oracle.done(
                Run { id, kind, epoch, began, wanted, hosts: &hosts, left: &left },
                self.store.books(),
                &self.fleet,
            );
        }
        match outcome {
            Outcome::GoBack(_) | Outcome::GateFailed(_) => {
                let operator =
                    Operator { epoch, seq: acting.machine.seq(), nonce: epoch, adopt: false, resumes: false };
                let back = |site: Site<'_>| content::converge(site, Extent::Served, "too many hosts failed");
                if let Err(blocked) = self.start(operator, acting.skew, &back) {
                    self.oracle.violations.push(format!("P8: the way back can't be planned: {blocked}"));
                }
            }
            Outcome::Lint(wrong) => self.oracle.violations.push(format!("a plan contradicts itself: {wrong:?}")),
            _ => {
                // Somebody who took over has it now; then nothing is given back.
                let _ = self.store.release_lock(self.read(acting.skew).wall, epoch);
            }
        }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Nothing => "nothing to do",
        Outcome::Done { left, .. } if left.is_empty() => "done",
        Outcome::Done { .. } => "done, some owed",
        Outcome::Stale(_) => "stale",
        Outcome::Denied => "denied",
        Outcome::Lint(_) => "lint",
        Outcome::GoBack(_) => "goes back",
        Outcome::GateFailed(_) => "gate failed",
        Outcome::Held(_) | Outcome::Changed(_) => "held",
        Outcome::Paused { .. } => "paused",
        Outcome::Stopped => "stopped",
    }
}
