//! Executes the core's effects in virtual time over the hosts of an incident.
//!
//! Invariant: the books, the plans, the machine, the agent and the gates are the product's own; a person says yes to every plan.

use super::fleet::Fleet;
use super::signals::Signals;
use crate::config::incident::spec::{HostEvent, Incident};
use crate::config::policy::Policy;
use crate::drive::gating::asking::{Asked, Asking, Decided};
use crate::gate::spec::Gate;
use crate::model::books::{Books, Record};
use crate::model::fault::Fault;
use crate::model::ids::BooksId;
use crate::model::names::{Group, HostName};
use crate::model::protocol::{Command, Reply};
use crate::model::time::Time;
use crate::model::verdict::Verdict;
use crate::plan::goal::{Blocked, Goal, Site};
use crate::plan::hosts;
use crate::report::stale;
use crate::rollout::effect::{Effect, Event, GateCall, GateEnd, Outcome, Told};
use crate::rollout::machine::{Machine, Operator};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::memory::MemoryStore;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who acts in a replay.
pub const BY: &str = "replay";
/// What one exchange with all hosts counts as, ms.
const ROUND_MS: u64 = 1_000;
/// Rounds after which a run counts as endless, a mistake of ours.
const ROUNDS_MAX: u64 = 100_000;

/// What is wanted, by the books as they stand when it begins.
pub type Wanted<'g> = &'g dyn Fn(Site<'_>) -> Result<Goal, Blocked>;

/// Why a replay can't go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The start or an event before a chapter can't be planned with this site.
    #[error("{what}: {blocked}")]
    AsItWas {
        /// What was tried.
        what: String,
        /// Why not.
        blocked: Blocked,
    },
    /// The books in memory refuse, a mistake of ours.
    #[error("the books of the replay refuse: {0}")]
    Store(#[from] StoreError),
    /// A host in memory can't be changed, a mistake of ours.
    #[error("{host} of the replay can't be changed: {error}")]
    Host {
        /// Which.
        host: HostName,
        /// Why.
        error: std::io::Error,
    },
    /// It does not end, a mistake of ours.
    #[error("an undertaking of the replay does not end")]
    Endless,
}

/// What an undertaking said on its way.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// For pointsman's column, with when.
    pub lines: Vec<(Time, String)>,
    /// Hosts that were repaired, and what they lacked.
    pub repaired: BTreeMap<HostName, String>,
    /// What was said once and is not said again, however often it is seen: failures by their gate, else whole lines.
    once: BTreeSet<String>,
}

/// The world of a replay.
pub struct Engine<'a> {
    incident: &'a Incident,
    pub fleet: Fleet,
    pub store: MemoryStore,
    pub signals: Signals<'a>,
    /// What befalls hosts later, in order of time.
    pub accidents: VecDeque<(Time, HostName, HostEvent)>,
    pub now: Time,
    pub said: Said,
    /// For how long each group has served the incident's version anywhere, ms, and whether it does now.
    pub served: BTreeMap<Group, (u64, bool)>,
}

impl<'a> Engine<'a> {
    /// Empty hosts and empty books.
    pub fn new(incident: &'a Incident, fleet: Fleet) -> Self {
        let signals = Signals::new(incident);
        let (store, accidents, now) = (MemoryStore::new(BooksId(7)), VecDeque::new(), incident.from);
        Self { incident, fleet, store, signals, accidents, now, said: Said::default(), served: BTreeMap::new() }
    }

    /// Lets time pass to `then`, with what befalls hosts meanwhile.
    pub fn pass(&mut self, then: Time) -> Result<(), ReplayError> {
        while let Some((at, ..)) = self.accidents.front().filter(|(at, ..)| *at <= then) {
            let at = *at;
            self.move_to(at);
            if let Some((_, host, event)) = self.accidents.pop_front() {
                self.befall(&host, &event).map_err(|error| ReplayError::Host { host, error })?;
            }
            self.signals.update(&mut self.fleet, self.now);
        }
        self.move_to(then);
        Ok(())
    }

    fn move_to(&mut self, then: Time) {
        let ms = then.ms_since(self.now);
        self.served.values_mut().filter(|(_, now)| *now).for_each(|(all, _)| *all += ms);
        self.now = self.now.max(then);
    }

    fn befall(&mut self, host: &HostName, event: &HostEvent) -> std::io::Result<()> {
        match event {
            HostEvent::Unreachable(words) => _ = self.fleet.down.insert(host.clone(), words.clone()),
            HostEvent::Up => _ = self.fleet.down.remove(host),
            HostEvent::Reinstalled { lacks } => {
                self.fleet.down.remove(host);
                self.fleet.reinstall(host, lacks)?;
            }
        }
        Ok(())
    }

    /// After hosts were switched or changed.
    fn changed(&mut self) {
        self.signals.update(&mut self.fleet, self.now);
        let serving = self.fleet.serving();
        for group in &self.incident.site.groups {
            let bad = |groups: &super::fleet::Serving| {
                groups.get(&group.name).is_some_and(|versions| versions.contains(&self.incident.version))
            };
            let bad = serving.values().any(|groups| bad(groups));
            self.served.entry(group.name.clone()).or_default().1 = bad;
        }
    }

    /// Writes records under the lock, as a person's command does.
    pub fn write(&mut self, reason: &str, records: &[Record]) -> Result<(), ReplayError> {
        let epoch = self.store.take_lock(self.now, BY, reason, true)?.epoch;
        self.store.append(self.now, epoch, records)?;
        Ok(self.store.release_lock(self.now, epoch)?)
    }

    /// Carries something out under the lock; `Err` inside: the books do not let it begin.
    pub fn act(
        &mut self,
        policy: &Policy,
        reason: &str,
        only: Option<&BTreeSet<HostName>>,
        goal: Wanted<'_>,
    ) -> Result<Result<Outcome, Blocked>, ReplayError> {
        let epoch = self.store.take_lock(self.now, BY, reason, true)?.epoch;
        let mut operator = Operator { epoch, seq: 0, nonce: epoch, adopt: false, resumes: false };
        let mut outcome = self.carry_out(policy, &mut operator, only, goal)?;
        if let Ok(Outcome::GoBack(_) | Outcome::GateFailed(_)) = &outcome {
            let back = |site: Site<'_>| {
                crate::plan::content::converge(site, crate::plan::goal::Extent::Served, "the release is to blame")
            };
            if let Err(blocked) = self.carry_out(policy, &mut operator, None, &back)? {
                outcome = Err(blocked);
            }
        }
        self.store.release_lock(self.now, epoch)?;
        Ok(outcome)
    }

    fn carry_out(
        &mut self,
        policy: &Policy,
        operator: &mut Operator,
        only: Option<&BTreeSet<HostName>>,
        goal: Wanted<'_>,
    ) -> Result<Result<Outcome, Blocked>, ReplayError> {
        let books = self.store.load()?;
        let site = Site { policy, books: &books, now: self.now, by: BY };
        let plan = match goal(site).and_then(|goal| hosts::plan(site, goal, only)) {
            Ok(plan) => plan,
            Err(blocked) => return Ok(Err(blocked)),
        };
        let mut machine = Machine::new(policy, books, plan, *operator);
        let mut effects = machine.start(self.now);
        for _ in 0..ROUNDS_MAX {
            let (mut events, mut sent) = (Vec::new(), Vec::new());
            for effect in effects {
                match self.execute(policy, operator.epoch, effect)? {
                    Step::Happened(event) => events.push(event),
                    // Commands leave together, after everything that was to be written before the first of them.
                    Step::Leaves(host, command) => sent.push((host, command)),
                    Step::Ended(outcome) => {
                        operator.seq = machine.seq();
                        return Ok(Ok(outcome));
                    }
                    Step::Nothing => {}
                }
            }
            events.extend(self.send(&sent));
            self.pass(Time(self.now.0 + ROUND_MS))?;
            self.changed();
            effects = machine.step(self.now, events);
        }
        Err(ReplayError::Endless)
    }

    fn execute(&mut self, policy: &Policy, epoch: u64, effect: Effect) -> Result<Step, ReplayError> {
        Ok(match effect {
            Effect::Persist(records) => {
                self.store.append(self.now, epoch, &records)?;
                Step::Nothing
            }
            Effect::Send { host, command, .. } => Step::Leaves(host, command),
            Effect::Ask(_) => Step::Happened(Event::Approved),
            Effect::Depool(host) => Step::Happened(Event::Depooled { host, result: Ok(()) }),
            Effect::Gate(call) => {
                let never = Time(u64::MAX);
                let end = self.ask(policy, *call, Some(epoch), never)?;
                Step::Happened(Event::Gated(end.ok_or(ReplayError::Endless)?))
            }
            Effect::Tell(told) => {
                self.tell(&told);
                Step::Nothing
            }
            Effect::Finish(outcome) => Step::Ended(outcome),
        })
    }

    fn send(&mut self, sent: &[(HostName, Box<Command>)]) -> Vec<Event> {
        let answers = self.fleet.deliver(self.now.0, sent).into_iter().zip(sent);
        let event = |(answer, (host, command)): (Result<Reply, Fault>, &(HostName, Box<Command>))| {
            let failed = matches!(answer, Ok(Reply::Refused(_)) | Err(_));
            if matches!(**command, Command::Prepare { .. }) && failed {
                self.said.repaired.remove(host);
            }
            Event::Reply { host: host.clone(), generation: command.stamp().generation, answer }
        };
        answers.map(event).collect()
    }

    /// Asks gates until something is decided; `None`: `until` came first.
    pub fn ask(
        &mut self,
        policy: &Policy,
        call: GateCall,
        epoch: Option<u64>,
        until: Time,
    ) -> Result<Option<GateEnd>, ReplayError> {
        let (gates, max_ms) = (policy.gates.clone(), policy.soak.max_ms);
        let asked = Asked { gates, max_ms, overruled: BTreeMap::new(), by: BY.to_owned() };
        let mut asking = Asking::new(call, &asked, self.books()?, self.now);
        loop {
            match asking.decided(self.now) {
                Some(Decided::Ended(end)) => {
                    let (records, told) = asking.end();
                    self.learned(epoch, &records, &told)?;
                    return Ok(Some(end));
                }
                Some(Decided::LookAgain(suspicion)) => {
                    asking.looked(self.fleet.look(&asking.wanted_of(&suspicion.hosts)));
                    self.read(&mut asking, &suspicion.gates);
                }
                None => {
                    asking.take_books(self.books()?);
                    let due = asking.due(self.now);
                    self.read(&mut asking, &due);
                }
            }
            let (records, told) = asking.learned();
            self.learned(epoch, &records, &told)?;
            if asking.decides(self.now) {
                continue;
            }
            if self.now >= until {
                return Ok(None);
            }
            let wake = asking.wake().unwrap_or(self.now);
            self.pass(wake.max(Time(self.now.0 + 1)).min(until))?;
            self.changed();
        }
    }

    fn read(&mut self, asking: &mut Asking, gates: &[Gate]) {
        for gate in gates {
            let reading = self.signals.read(gate, &asking.scope_of(gate), self.now);
            asking.take(&gate.name, reading, self.now);
        }
    }

    fn learned(&mut self, epoch: Option<u64>, records: &[Record], told: &[Told]) -> Result<(), ReplayError> {
        match epoch {
            _ if records.is_empty() => {}
            Some(epoch) => self.store.append(self.now, epoch, records)?,
            None => self.store.note(self.now, 0, records)?,
        }
        told.iter().for_each(|told| self.tell(told));
        Ok(())
    }

    /// What people would have seen and is worth a line.
    fn tell(&mut self, told: &Told) {
        let line = match told {
            Told::Repairing { host, reason } => {
                let lacks = self.lacks(host, reason);
                let line = format!("{host} {lacks}: repaired before it is switched");
                self.said.repaired.insert(host.clone(), lacks);
                line
            }
            Told::Left(host, reason) => format!("{host} is left behind: {}", stale::reason(reason)),
            Told::Judged(judgement) if judgement.verdict == Verdict::Fail => {
                if !self.said.once.insert(judgement.gate.to_string()) {
                    return;
                }
                format!("{}: {}", judgement.gate, judgement.sentence)
            }
            Told::Blamed(said) if !self.said.once.insert(said.clone()) => return,
            Told::Blamed(said) => said.clone(),
            _ => return,
        };
        self.said.lines.push((self.now, line));
    }

    /// The reason of the books, and what a look shows to be missing.
    fn lacks(&self, host: &HostName, reason: &crate::model::stale::StaleReason) -> String {
        let said = stale::reason(reason);
        let books = self.store.books();
        let Some(wanted) = books.wanted() else { return said };
        let versions = crate::plan::needs::versions_of(wanted, host);
        let site = Site { policy: &self.incident.site, books, now: self.now, by: BY };
        let wants = crate::plan::needs::wants(site, wanted, &versions).unwrap_or_default();
        match self.fleet.look_at(host, &wants).ok().and_then(|seen| crate::plan::assess::readiness(&seen)) {
            Some(lacking) if lacking != *reason => format!("{said}; {}", stale::reason(&lacking)),
            _ => said,
        }
    }

    fn books(&self) -> Result<Books, ReplayError> {
        Ok(self.store.load()?)
    }
}

/// What came of an effect.
enum Step {
    Nothing,
    Happened(Event),
    Leaves(HostName, Box<Command>),
    Ended(Outcome),
}
