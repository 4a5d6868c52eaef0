//! The machine: shared state, the queue of effects, and the way events take.

use super::effect::{Effect, Event, GateEnd, Left, Outcome, Told};
use super::host::{HostState, Step};
use crate::config::policy::Policy;
use crate::model::books::{Books, Kind, Record, Status};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::ids::{Generation, RolloutId};
use crate::model::names::HostName;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Command, Observation, Refusal, Reply};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::model::words::count;
use crate::plan::assess;
use crate::plan::goal::Mode;
use crate::plan::hosts::Plan;
use std::collections::BTreeMap;

/// Who acts, and from which generation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// The epoch that the lock gave.
    pub epoch: u64,
    /// The last sequence number that this epoch has used. An epoch begins at a random one: of two copies of the same books that
    /// take the same epoch, neither takes what the other sent for its own.
    pub seq: u64,
    /// A number that no host can know before: the files that proofs hash are chosen by it.
    pub nonce: u64,
    /// Whether hosts of other books are taken over.
    pub adopt: bool,
    /// Whether hosts that already serve the target are accepted, as after a crash.
    pub resumes: bool,
}

/// One undertaking under way.
pub struct Machine<'a> {
    pub(super) policy: &'a Policy,
    /// The books as they will stand when everything emitted so far is committed.
    pub(super) books: Books,
    pub(super) plan: Plan,
    pub(super) operator: Operator,
    pub(super) hosts: BTreeMap<HostName, HostState>,
    pub(super) phase: Phase,
    pub(super) now: Time,
    pub(super) started: Time,
    pub(super) stopping: bool,
    /// Whether any host was told to change something.
    pub(super) moved: bool,
    /// When the first host was told to switch.
    pub(super) switched: Option<Time>,
    /// What came of the gates, until it is taken.
    pub(super) gate_end: Option<GateEnd>,
    records: Vec<Record>,
    pub(super) sends: Vec<Effect>,
    told: Vec<Effect>,
    finish: Option<Outcome>,
}

/// Where the whole stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Every host is asked what it is.
    Observing,
    /// A person is asked.
    Asking,
    /// A wave's proofs grew old and are made anew.
    Reproving(usize),
    /// A wave was told to switch.
    Switching(usize),
    /// A wave is asked what it serves.
    Verifying(usize),
    /// Gates are asked: before the first wave, or after this one.
    Gating(Option<usize>),
    /// Only confirmations and hooks are still out.
    Ending,
    /// Each host goes for itself.
    Each,
    /// Over.
    Ended,
}

impl<'a> Machine<'a> {
    /// A machine for `plan`; `books` are those that the plan was made from.
    pub fn new(policy: &'a Policy, books: Books, plan: Plan, operator: Operator) -> Self {
        let hosts = plan.hosts.keys().map(|host| (host.clone(), HostState::new())).collect();
        Self {
            policy,
            books,
            plan,
            operator,
            hosts,
            phase: Phase::Observing,
            now: Time(0),
            started: Time(0),
            stopping: false,
            moved: false,
            switched: None,
            gate_end: None,
            records: Vec::new(),
            sends: Vec::new(),
            told: Vec::new(),
            finish: None,
        }
    }

    /// The last sequence number used, for a machine that goes on under the same epoch.
    pub fn seq(&self) -> u64 {
        self.operator.seq
    }

    /// The plan as it stands: with expectations once all hosts were observed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The first effects.
    pub fn start(&mut self, now: Time) -> Vec<Effect> {
        self.now = now;
        self.started = now;
        match self.plan.goal.mode {
            Mode::Barrier => self.start_barrier(),
            Mode::Each => self.start_each(),
        }
        self.flush()
    }

    /// Takes what happened, all of it at one moment, and says what to do.
    pub fn step(&mut self, now: Time, events: Vec<Event>) -> Vec<Effect> {
        self.now = now.max(self.now);
        for event in events {
            if self.phase != Phase::Ended {
                self.take(event);
            }
        }
        if self.phase != Phase::Ended {
            match self.plan.goal.mode {
                Mode::Barrier => self.advance_barrier(),
                Mode::Each => self.advance_each(),
            }
        }
        self.flush()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Stop if matches!(self.phase, Phase::Observing | Phase::Asking) => self.finish(Outcome::Denied),
            Event::Stop => self.stopping = true,
            Event::Reply { host, generation, answer } => self.take_reply(&host, generation, answer),
            Event::Depooled { host, result } => self.take_depooled(&host, result),
            Event::Gated(end) => self.gate_end = Some(end),
            Event::Approved => self.approved(),
            Event::Denied => self.finish(Outcome::Denied),
        }
    }

    fn take_reply(&mut self, host: &HostName, generation: Generation, answer: Result<Reply, Fault>) {
        let Some(state) = self.hosts.get_mut(host).filter(|state| state.pending == Some(generation)) else {
            return;
        };
        state.pending = None;
        let step = std::mem::replace(&mut state.step, Step::Idle);
        self.record_outcome(host, generation, &step, &answer);
        let seen = match &answer {
            Ok(Reply::Observed(seen) | Reply::Switched { seen: Some(seen), .. }) => Some(seen.clone()),
            _ => None,
        };
        if let Some(state) = self.hosts.get_mut(host).filter(|_| seen.is_some()) {
            state.observed = Some(generation);
        }
        match self.plan.goal.mode {
            Mode::Barrier => self.barrier_reply(host, step, answer),
            Mode::Each => self.each_reply(host, step, answer),
        }
        // After the judgement: it compares the host's fence of before this look with the books of before it.
        if let Some(seen) = seen {
            self.record_seen(host, generation, &seen);
        }
    }

    fn take_depooled(&mut self, host: &HostName, result: Result<(), String>) {
        let by = self.plan.goal.rollout.by.clone();
        match result {
            Ok(()) => {
                let reason = format!("left behind by {}", self.plan.goal.rollout.id);
                self.record(Record::Depooled { host: host.clone(), by, reason });
            }
            Err(why) => self.record(Record::Note { by, text: format!("depool of {host} failed: {why}") }),
        }
        let depooled = self.books.hosts.get(host).is_some_and(|row| row.depooled.is_some());
        if let Some(state) = self.hosts.get_mut(host) {
            state.depooled = depooled;
            state.step = Step::Left;
        }
    }

    fn record_outcome(&mut self, host: &HostName, generation: Generation, step: &Step, answer: &Result<Reply, Fault>) {
        let command = match step {
            Step::Preparing(_) => "prepare",
            Step::Switching => "switch",
            Step::Confirming => "confirm",
            _ => "observe",
        };
        let result = match answer {
            Ok(Reply::Refused(refusal)) => format!("refused: {refusal}"),
            Ok(_) => "ok".to_owned(),
            Err(fault) => fault.to_string(),
        };
        self.record(Record::Outcome {
            rollout: self.id(),
            command: command.to_owned(),
            host: host.clone(),
            generation,
            result,
        });
    }

    /// What a host showed. Its incarnation is accepted as the books' only when the host is proven, see [`Self::fresh`].
    fn record_seen(&mut self, host: &HostName, generation: Generation, seen: &Observation) {
        let known = self.books.hosts.get(host).and_then(|row| row.incarnation);
        self.record(Record::Seen {
            host: host.clone(),
            incarnation: known,
            active: seen.active,
            boot_id: seen.boot_id.clone(),
            generation: (known == seen.incarnation).then_some(generation),
        });
    }

    /// Who answered, and whether the books know all that it obeyed.
    pub(super) fn identity(&self, host: &HostName, seen: &Observation) -> Option<StaleReason> {
        let sent = self.hosts.get(host).and_then(|state| state.sent_before);
        assess::identity(&self.books, host, seen).or_else(|| assess::behind(&self.books, host, sent, seen))
    }

    /// Why a host refused. One that obeyed the very command that it refuses was sent it twice, and obeyed nobody else.
    pub(super) fn refused(&self, host: &HostName, step: &Step, refusal: Refusal) -> StaleReason {
        let sent = self.books.hosts.get(host).and_then(|row| row.sent);
        match (step, refusal) {
            (Step::Observing, Refusal::Fenced(fence)) if sent != Some(fence) => assess::fenced(&self.books, fence),
            (_, refusal) => StaleReason::Refused(refusal),
        }
    }

    pub(super) fn id(&self) -> RolloutId {
        self.plan.goal.rollout.id
    }

    /// Queues a record; it is committed before anything that is queued in the same step is sent.
    pub(super) fn record(&mut self, record: Record) {
        self.books.apply(self.now, &record);
        self.records.push(record);
    }

    pub(super) fn tell(&mut self, told: Told) {
        self.told.push(Effect::Tell(told));
    }

    pub(super) fn finish(&mut self, outcome: Outcome) {
        self.phase = Phase::Ended;
        self.finish = Some(outcome);
    }

    /// The digest of the map that the host is wanted to serve at the end.
    pub(super) fn target(&self, host: &HostName) -> Digest {
        self.plan.hosts[host].map
    }

    /// A host is proven at the wanted state: the installation it showed is the one the books know from now on.
    pub(super) fn fresh(&mut self, host: &HostName) {
        let proven = self.hosts.get(host).and_then(|state| Some((state.seen.clone()?.0, state.observed)));
        if let Some((seen, generation)) = proven {
            self.record(Record::Seen {
                host: host.clone(),
                incarnation: seen.incarnation,
                active: seen.active,
                boot_id: seen.boot_id.clone(),
                generation,
            });
        }
        self.record(Record::Fresh { host: host.clone() });
    }

    /// A host is not as wanted: stale on the books, and owed when others moved without it.
    pub(super) fn stale(&mut self, host: &HostName, reason: StaleReason, owed: bool) {
        self.record(Record::Stale { host: host.clone(), reason: reason.clone().kept() });
        if owed {
            let what = format!("the state {} of {}", self.plan.goal.snapshot.id, self.id());
            self.record(Record::Owed { host: host.clone(), what });
        }
        if let Some(state) = self.hosts.get_mut(host) {
            state.failure = Some(reason);
        }
    }

    /// Writes down how it ended and says so.
    pub(super) fn end(&mut self, moves_current: bool) -> Outcome {
        let left = self.left();
        let status = if left.is_empty() && self.plan.excluded.is_empty() { Status::Done } else { Status::Owed };
        let effect = self.effect(left.len());
        let recorded = match self.plan.goal.rollout.kind {
            // Its first word names the sync that it took back; planning reads it.
            Kind::Undo => format!("{} undone: {effect}", self.plan.goal.rollout.effect),
            _ => effect.clone(),
        };
        self.record(Record::Ended { rollout: self.id(), status, moves_current, effect: recorded });
        Outcome::Done { effect, left }
    }

    pub(super) fn left(&self) -> BTreeMap<HostName, Left> {
        let failed = self.hosts.iter().filter_map(|(host, state)| Some((host, state, state.failure.clone()?)));
        let named = |(host, state, reason): (&HostName, &HostState, StaleReason)| {
            let serves = state.seen.as_ref().map(|(seen, _)| seen.versions.clone()).unwrap_or_default();
            (host.clone(), Left { reason, serves, depooled: state.depooled })
        };
        failed.map(named).collect()
    }

    /// One line that tells the effect: who moved, from where to where, on how many hosts.
    fn effect(&self, left: usize) -> String {
        let goal = &self.plan.goal;
        let moves: Vec<String> = goal.changes.iter().map(ToString::to_string).collect();
        let content = self.content_moved();
        let what = match (moves.is_empty(), content.is_empty()) {
            (true, true) => "no wiki moved".to_owned(),
            (true, false) => format!("new content: {}", content.join(", ")),
            (false, _) => moves.join(", "),
        };
        let done = self.hosts.len() - left;
        let mut line = format!("{what}; {done} of {} proven", count(self.hosts.len(), "host"));
        if !self.plan.excluded.is_empty() {
            line.push_str(&format!(", {} depooled", self.plan.excluded.len()));
        }
        line
    }

    /// Components whose wanted content this moves, each with its ids.
    fn content_moved(&self) -> Vec<String> {
        let goal = &self.plan.goal;
        let before = goal.rollout.from.and_then(|id| self.books.snapshots.get(&id)).map(|s| &s.wanted);
        let mut lines = Vec::new();
        for (component, id) in &goal.snapshot.wanted {
            match before.and_then(|before| before.get(component)) {
                Some(old) if old == id => {}
                Some(old) => lines.push(format!("{component} {} -> {}", old.short(), id.short())),
                None => lines.push(format!("{component} {}", id.short())),
            }
        }
        lines
    }

    fn flush(&mut self) -> Vec<Effect> {
        let mut records = std::mem::take(&mut self.records);
        records.extend(self.intents());
        let mut effects = if planted(Bug::SendBeforePersist) { std::mem::take(&mut self.sends) } else { Vec::new() };
        if !records.is_empty() {
            effects.push(Effect::Persist(records));
        }
        effects.append(&mut self.told);
        effects.append(&mut self.sends);
        effects.extend(self.finish.take().map(Effect::Finish));
        effects
    }

    /// One record for each kind of command that is about to be sent.
    fn intents(&mut self) -> Vec<Record> {
        let mut intents: BTreeMap<&str, Vec<(HostName, Generation)>> = BTreeMap::new();
        for effect in &self.sends {
            if let Effect::Send { host, command, .. } = effect {
                let kind = match **command {
                    Command::Observe { .. } => "observe",
                    Command::Prepare { .. } => "prepare",
                    Command::Switch { .. } => "switch",
                    Command::Confirm { .. } => "confirm",
                };
                intents.entry(kind).or_default().push((host.clone(), command.stamp().generation));
            }
        }
        let rollout = self.id();
        let record = |(command, hosts): (&str, _)| Record::Intents { rollout, command: command.to_owned(), hosts };
        let records: Vec<Record> = intents.into_iter().map(record).collect();
        records.iter().for_each(|record| self.books.apply(self.now, record));
        records
    }
}
