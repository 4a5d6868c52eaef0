//! Asks gates until something is decided: readings out, judgements in, and what follows for the rollout.
//!
//! Invariants. It decides nothing itself: `gate` judges, counts and attributes. It holds no lock, sends no command, and
//! what it wants written is given back as records. [`Gating::next`] can be dropped and called again at any time.
//!
//! Providers are kept from the first look before a switch to the end of the watch, so that those which read logs know
//! where they stopped.

mod ends;
mod people;

use super::clock;
use super::deploy::Deploy;
use super::look::{Look, Looked};
use super::world::FleetWorld;
use crate::fleet::{Fleet, Install};
use crate::gate::judge::judge;
use crate::gate::reading::{ReadError, Reading};
use crate::gate::soak::{Decision, Soak, Standing, Terms};
use crate::gate::spec::{Gate, Mode, Moment};
use crate::model::books::{Books, Record};
use crate::model::component::Want;
use crate::model::health::HealthRecord;
use crate::model::names::{GateName, HostName};
use crate::model::protocol::Level;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::rollout::effect::{GateCall, GateEnd, Told};
use crate::signal::World;
use crate::signal::reader::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What [`Gating::next`] wants of its caller.
#[derive(Debug)]
pub enum Step {
    /// A gate asks what people and the past say: the books of now are to be given by [`Gating::books`].
    Books,
    /// Something was learned.
    Learned {
        /// To be written.
        records: Vec<Record>,
        /// To be shown.
        told: Vec<Told>,
    },
    /// It is decided.
    Ended {
        /// What follows.
        end: GateEnd,
        /// To be written.
        records: Vec<Record>,
        /// To be shown.
        told: Vec<Told>,
    },
}

/// What a task gives back.
enum Done {
    /// A provider, and what it read.
    Read { call: u64, gate: GateName, reader: Box<Reader>, reading: Box<Result<Reading, ReadError>> },
    /// What suspected hosts showed to a second look.
    Looked(BTreeMap<HostName, Looked>),
}

/// Gates and their providers, for one promotion, its watch, or a canary check.
pub struct Gating {
    fleet: Arc<Fleet>,
    world: Rc<FleetWorld>,
    gates: Vec<Gate>,
    readers: BTreeMap<GateName, Box<Reader>>,
    deep_ms: u64,
    max_ms: u64,
    /// Gates that a person overruled, with the reason.
    overruled: BTreeMap<GateName, String>,
    by: String,
    tasks: JoinSet<Done>,
    asking: Option<Asking>,
    /// Counts calls, so that a reading of the call before is not judged in this one.
    calls: u64,
    /// Gates that are due while their provider is still away for the call before.
    queued: BTreeSet<GateName>,
    stood: BTreeMap<GateName, Stood>,
}

/// How a gate stood when its call ended, and its last judgement; `None`: it was never asked.
pub type Stood = (Standing, Option<Judgement>);

impl std::fmt::Debug for Gating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gating").field("gates", &self.gates.len()).finish_non_exhaustive()
    }
}

/// One call to the gates.
struct Asking {
    call: GateCall,
    soak: Soak,
    books: Books,
    /// Whether `books` are of after the last time that a gate of people was due.
    fresh: bool,
    /// What each gate read last.
    readings: BTreeMap<GateName, Reading>,
    /// The verdict that was said last.
    said: BTreeMap<GateName, Verdict>,
    records: Vec<Record>,
    told: Vec<Told>,
    /// Hosts that are looked at a second time, and what they showed.
    suspects: BTreeSet<HostName>,
    looked: Option<BTreeMap<HostName, Looked>>,
    /// The gates whose last look before the switch is still out, and what follows then; `None`: it is not time for that.
    last_look: Option<(BTreeSet<GateName>, GateEnd)>,
}

impl Gating {
    /// The gates of `deploy`'s site. `known` are signatures that the books remember, with when each was last seen.
    pub fn new(
        deploy: &Deploy,
        install: Install,
        known: &BTreeMap<String, Time>,
        overruled: BTreeMap<GateName, String>,
    ) -> Self {
        let policy = &deploy.policy;
        let world = Rc::new(FleetWorld::new(&deploy.fleet, policy, install));
        let reader = |gate: &Gate| Some((gate.name.clone(), Box::new(Reader::of(gate, policy, known)?)));
        Self {
            fleet: Arc::clone(&deploy.fleet),
            world,
            readers: policy.gates.iter().filter_map(reader).collect(),
            gates: policy.gates.clone(),
            deep_ms: policy.limits.prepare_ms_max,
            max_ms: policy.soak.max_ms,
            overruled,
            by: deploy.by.clone(),
            tasks: JoinSet::new(),
            asking: None,
            calls: 0,
            queued: BTreeSet::new(),
            stood: BTreeMap::new(),
        }
    }

    /// How each gate stood when the last call ended.
    pub fn stood(&self) -> &BTreeMap<GateName, Stood> {
        &self.stood
    }

    /// Begins to ask; what was asked before is forgotten. `books` are those of now.
    pub fn begin(&mut self, call: GateCall, books: Books) {
        self.calls += 1;
        self.queued.clear();
        let max_ms = match call.moment {
            Moment::Watch => call.least_ms,
            _ => self.max_ms,
        };
        let terms = Terms { moment: call.moment, least_ms: call.least_ms, max_ms };
        let asked = self.gates.iter().filter(|gate| call.gates.contains(&gate.name)).cloned();
        let mut asking = Asking::new(call.clone(), Soak::new(asked, terms, clock::now()), books);
        for (gate, reason) in self.overruled.iter().filter(|(gate, _)| call.gates.contains(*gate)) {
            asking.soak.overrule(gate);
            let (gate, by, reason) = (gate.clone(), self.by.clone(), reason.clone());
            asking.health(HealthRecord::Answered { rollout: call.rollout, gate, yes: true, by, reason });
        }
        self.asking = Some(asking);
    }

    /// Providers that compare with what was before read once more, right before hosts are switched: what was written until
    /// then is the old version's.
    fn last_look(&mut self, end: GateEnd) {
        let Some(asking) = &mut self.asking else { return };
        let gates: Vec<Gate> = self.gates.iter().filter(|gate| gate.kind.compares_with_before()).cloned().collect();
        asking.last_look = Some((gates.iter().map(|gate| gate.name.clone()).collect(), end));
        gates.iter().for_each(|gate| self.read(gate));
    }

    /// The books of now, as [`Step::Books`] asked.
    pub fn books(&mut self, books: Books) {
        if let Some(asking) = &mut self.asking {
            (asking.books, asking.fresh) = (books, true);
        }
    }

    /// Goes on until something is to be done or said. Pending for ever when nothing was begun.
    pub async fn next(&mut self) -> Step {
        loop {
            let Some(asking) = &mut self.asking else { return std::future::pending().await };
            if let Some((left, end)) = &asking.last_look {
                match left.is_empty() {
                    true => {
                        let end = end.clone();
                        return self.ended(end);
                    }
                    false => {
                        self.wait().await;
                        continue;
                    }
                }
            }
            if asking.looked.is_some() || asking.suspects.is_empty() {
                if let Some(decision) = asking.soak.decision(clock::now()) {
                    match self.decided(&decision) {
                        Some(step) => return step,
                        None => continue,
                    }
                }
                if !asking.fresh && asking.has_people_due() {
                    return Step::Books;
                }
                self.ask_due();
            }
            if let Some(step) = self.learned() {
                return step;
            }
            self.wait().await;
        }
    }

    /// Asks every gate that is due.
    fn ask_due(&mut self) {
        let Some(asking) = &mut self.asking else { return };
        for gate in asking.soak.due(clock::now()) {
            let answered = self.asking.as_mut().and_then(|asking| asking.people(&gate));
            match answered {
                Some(reading) => self.take(&gate.name, Ok(reading)),
                None => self.read(&gate),
            }
        }
        if let Some(asking) = &mut self.asking {
            asking.fresh = false;
        }
    }

    /// Sends a provider to read; it comes back with its reading.
    fn read(&mut self, gate: &Gate) {
        let Some(scope) = self.asking.as_ref().map(|asking| asking.scope_of(gate)) else { return };
        let Some(mut reader) = self.readers.remove(&gate.name) else {
            self.queued.insert(gate.name.clone());
            return;
        };
        let (name, world, number) = (gate.name.clone(), Rc::clone(&self.world), self.calls);
        tracing::debug!(gate = %name, "a gate is asked");
        self.tasks.spawn_local(async move {
            let reading = Box::new(reader.read(&scope, &*world).await);
            Done::Read { call: number, gate: name, reader, reading }
        });
    }

    async fn wait(&mut self) {
        let Some(asking) = &self.asking else { return };
        // While hosts are looked at a second time, or a last time, nothing else is due.
        let wake =
            if asking.suspects.is_empty() && asking.last_look.is_none() { asking.soak.wake() } else { Time(u64::MAX) };
        let ms = wake.ms_since(clock::now()).clamp(1, 60_000);
        tokio::select! {
            Some(done) = self.tasks.join_next() => self.done(done),
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        }
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done.expect("a provider neither panics nor is cancelled") {
            Done::Read { call, gate, reader, reading } => {
                self.readers.insert(gate.clone(), reader);
                if call == self.calls {
                    let last_look = self.asking.as_mut().and_then(|asking| asking.last_look.as_mut());
                    match last_look {
                        // One that was read for an earlier question is read again, see below.
                        Some((left, _)) if !self.queued.contains(&gate) => drop(left.remove(&gate)),
                        Some(_) => {}
                        None => self.take(&gate, *reading),
                    }
                }
                self.ask_queued(&gate);
            }
            Done::Looked(looked) => {
                if let Some(asking) = &mut self.asking {
                    asking.looked = Some(looked);
                }
            }
        }
    }

    /// Judges a reading and counts the judgement. The first look before a switch is not judged.
    fn take(&mut self, name: &GateName, reading: Result<Reading, ReadError>) {
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.call.gates.contains(name)) else { return };
        let Some(gate) = self.gates.iter().find(|gate| gate.name == *name) else { return };
        let (now, scope) = (self.world.now(), asking.scope_of(gate));
        let reading = reading.map(|reading| asking.with_books(reading));
        let judgement = judge(gate, &scope, &reading, now);
        if let Ok(reading) = reading {
            asking.readings.insert(name.clone(), reading);
        }
        asking.take(now, judgement);
    }

    fn learned(&mut self) -> Option<Step> {
        let asking = self.asking.as_mut()?;
        if asking.records.is_empty() && asking.told.is_empty() {
            return None;
        }
        let (records, told) = (std::mem::take(&mut asking.records), std::mem::take(&mut asking.told));
        Some(Step::Learned { records, told })
    }

    /// What a decision leads to; `None` while suspected hosts are looked at a second time.
    fn decided(&mut self, decision: &Decision) -> Option<Step> {
        let asking = self.asking.as_mut()?;
        let end = match decision {
            Decision::GoOn => match asking.passed(&self.gates) {
                ends::Failed::LookAt(hosts) => {
                    self.look_again(hosts);
                    return None;
                }
                ends::Failed::Known(end) if asking.call.moment.precedes_a_switch() => {
                    self.last_look(end);
                    return None;
                }
                ends::Failed::Known(end) => end,
            },
            Decision::Paused(why) => GateEnd::Paused(why.clone()),
            Decision::Failed(names) => {
                let failed: Vec<&Gate> = self.gates.iter().filter(|gate| names.contains(&gate.name)).collect();
                match asking.failed(&failed) {
                    ends::Failed::Known(end) => end,
                    ends::Failed::LookAt(hosts) => {
                        self.look_again(hosts);
                        return None;
                    }
                }
            }
        };
        Some(self.ended(end))
    }

    /// Ends the call.
    fn ended(&mut self, end: GateEnd) -> Step {
        let Some(mut asking) = self.asking.take() else {
            return Step::Learned { records: Vec::new(), told: Vec::new() };
        };
        asking.signatures();
        let (mut records, told) = (asking.records, asking.told);
        let standing = asking.soak.standing();
        self.stood = standing.map(|(gate, stands, last)| (gate.name.clone(), (stands, last.cloned()))).collect();
        // The last verdict of each gate that passed: it was written when it first did, and may rest on more by now.
        let last = asking.soak.standing().filter_map(|(_, _, last)| last);
        let passed = last.filter(|last| last.verdict == Verdict::Pass).map(|last| {
            let (rollout, moment) = (asking.call.rollout, asking.call.what.clone());
            Record::Health(HealthRecord::Judged { rollout, moment, judgement: last.clone() })
        });
        records.extend(passed);
        Step::Ended { end, records, told }
    }

    /// A second witness: suspected hosts read and hash every file that they must hold.
    fn look_again(&mut self, hosts: BTreeSet<HostName>) {
        let Some(asking) = &mut self.asking else { return };
        let asked: BTreeMap<HostName, Vec<Want>> =
            hosts.iter().filter_map(|host| Some((host.clone(), asking.call.hosts.get(host)?.prove()))).collect();
        asking.suspects = hosts;
        let (fleet, deep_ms) = (Arc::clone(&self.fleet), self.deep_ms);
        self.tasks.spawn_local(async move { Done::Looked(Look::new(&fleet, deep_ms).at(&asked, Level::L3).await) });
    }

    /// Asks a gate whose provider has come back.
    fn ask_queued(&mut self, name: &GateName) {
        if !self.queued.remove(name) {
            return;
        }
        let gate = self.gates.iter().find(|gate| gate.name == *name).cloned();
        gate.iter().for_each(|gate| self.read(gate));
    }

    /// Waits until every provider is back and ends every conversation, so that a later call may come from another runtime.
    pub async fn rest(&mut self) {
        self.asking = None;
        self.queued.clear();
        while let Some(done) = self.tasks.join_next().await {
            self.done(done);
        }
        self.world.close().await;
    }

    /// Ends every conversation.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        self.world.close().await;
    }
}

impl Asking {
    fn new(call: GateCall, soak: Soak, books: Books) -> Self {
        Self {
            call,
            soak,
            books,
            fresh: true,
            readings: BTreeMap::new(),
            said: BTreeMap::new(),
            records: Vec::new(),
            told: Vec::new(),
            suspects: BTreeSet::new(),
            looked: None,
            last_look: None,
        }
    }

    fn health(&mut self, record: HealthRecord) {
        self.records.push(Record::Health(record));
    }

    /// Counts a judgement; it is written and shown when it says something else than the one before.
    fn take(&mut self, now: Time, judgement: Judgement) {
        let before = self.said.insert(judgement.gate.clone(), judgement.verdict);
        if before != Some(judgement.verdict) || judgement.verdict == Verdict::Fail {
            let (rollout, moment) = (self.call.rollout, self.call.what.clone());
            self.health(HealthRecord::Judged { rollout, moment, judgement: judgement.clone() });
            self.told.push(Told::Judged(Box::new(judgement.clone())));
        }
        self.soak.take(now, judgement);
        let observed = self.soak.standing().filter(|(gate, standing, _)| {
            gate.mode == Mode::Observe && *standing == Standing::Failed && before.is_none()
        });
        let would: Vec<Told> = observed
            .map(|(gate, ..)| Told::Blamed(format!("{} would have stopped this; it only observes", gate.name)))
            .collect();
        self.told.extend(would);
    }
}
