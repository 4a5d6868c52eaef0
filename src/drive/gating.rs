//! Asks gates until something is decided: readings out, judgements in, and what follows for the rollout.
//!
//! Invariants. It decides nothing itself: that is in [`asking`], which is pure. It holds no lock, sends no command, and
//! what it wants written is given back as records. [`Gating::next`] can be dropped and called again at any time.
//!
//! Providers are kept from the first look before a switch to the end of the watch, so that those which read logs know
//! where they stopped.

pub mod asking;
mod ends;
mod people;

use super::clock;
use super::deploy::{Deploy, who};
use super::look::{Look, Looked};
use super::world::FleetWorld;
use crate::fleet::{Fleet, Install};
use crate::gate::reading::{ReadError, Reading};
use crate::gate::spec::Gate;
use crate::model::books::{Books, Record};
use crate::model::names::{GateName, HostName};
use crate::model::protocol::Level;
use crate::model::time::Time;
use crate::rollout::effect::{GateCall, GateEnd, Told};
use crate::signal::World;
use crate::signal::reader::Reader;
use asking::{Asked, Asking, Decided, Stood, Suspicion};
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
    asked: Asked,
    readers: BTreeMap<GateName, Box<Reader>>,
    deep_ms: u64,
    tasks: JoinSet<Done>,
    asking: Option<Asking>,
    /// The gates whose last look before the switch is still out, and what follows then; `None`: it is not time for that.
    last_look: Option<(BTreeSet<GateName>, GateEnd)>,
    /// Counts calls, so that a reading of the call before is not judged in this one.
    calls: u64,
    /// Gates that are due while their provider is still away for the call before.
    queued: BTreeSet<GateName>,
    stood: BTreeMap<GateName, Stood>,
}

impl std::fmt::Debug for Gating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gating").field("gates", &self.asked.gates.len()).finish_non_exhaustive()
    }
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
        let (gates, max_ms, by) = (policy.gates.clone(), policy.soak.max_ms, who().to_owned());
        Self {
            fleet: Arc::clone(&deploy.fleet),
            world,
            readers: policy.gates.iter().filter_map(reader).collect(),
            asked: Asked { gates, max_ms, overruled, by },
            deep_ms: policy.limits.prepare_ms_max,
            tasks: JoinSet::new(),
            asking: None,
            last_look: None,
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
        self.last_look = None;
        self.asking = Some(Asking::new(call, &self.asked, books, clock::now()));
    }

    /// Providers that compare with what was before read once more, right before hosts are switched: what was written until
    /// then is the old version's.
    fn last_look(&mut self, end: GateEnd) {
        let gates = self.asked.gates.iter().filter(|gate| gate.kind.compares_with_before());
        let gates: Vec<Gate> = gates.cloned().collect();
        self.last_look = Some((gates.iter().map(|gate| gate.name.clone()).collect(), end));
        gates.iter().for_each(|gate| self.read(gate));
    }

    /// The books of now, as [`Step::Books`] asked.
    pub fn books(&mut self, books: Books) {
        if let Some(asking) = &mut self.asking {
            asking.take_books(books);
        }
    }

    /// Goes on until something is to be done or said. Pending for ever when nothing was begun.
    pub async fn next(&mut self) -> Step {
        loop {
            let Some(asking) = &mut self.asking else { return std::future::pending().await };
            if let Some((left, end)) = &self.last_look {
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
            match asking.decided(clock::now()) {
                Some(Decided::Ended(end)) if matches!(end, GateEnd::GoOn { .. }) && asking.precedes_a_switch() => {
                    self.last_look(end);
                    continue;
                }
                Some(Decided::Ended(end)) => return self.ended(end),
                Some(Decided::LookAgain(suspicion)) => self.look_again(&suspicion),
                None if asking.is_looking() => {}
                None if asking.needs_books(clock::now()) => return Step::Books,
                None => {
                    let due = asking.due(clock::now());
                    due.iter().for_each(|gate| self.read(gate));
                }
            }
            if let Some(step) = self.learned() {
                return step;
            }
            self.wait().await;
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
        // While hosts are looked at a second time, or a last time, nothing else is due.
        let wake = self.asking.as_ref().filter(|_| self.last_look.is_none()).and_then(Asking::wake);
        let ms = wake.unwrap_or(Time(u64::MAX)).ms_since(clock::now()).clamp(1, 60_000);
        tokio::select! {
            Some(done) = self.tasks.join_next() => self.done(done),
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        }
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done.expect("a provider neither panics nor is cancelled") {
            Done::Read { call, gate, reader, reading } => {
                self.readers.insert(gate.clone(), reader);
                // One that was read for an earlier question is read again, see below.
                if call == self.calls && !self.queued.contains(&gate) {
                    match (&mut self.last_look, &mut self.asking) {
                        (Some((left, _)), _) => drop(left.remove(&gate)),
                        (None, Some(asking)) => asking.take(&gate, *reading, self.world.now()),
                        (None, None) => {}
                    }
                }
                self.ask_queued(&gate);
            }
            Done::Looked(looked) => {
                if let Some(asking) = &mut self.asking {
                    asking.looked(looked);
                }
            }
        }
    }

    fn learned(&mut self) -> Option<Step> {
        let (records, told) = self.asking.as_mut()?.learned();
        (!records.is_empty() || !told.is_empty()).then_some(Step::Learned { records, told })
    }

    /// Ends the call.
    fn ended(&mut self, end: GateEnd) -> Step {
        self.last_look = None;
        let Some(asking) = self.asking.take() else {
            return Step::Learned { records: Vec::new(), told: Vec::new() };
        };
        self.stood = asking.stood();
        let (records, told) = asking.end();
        Step::Ended { end, records, told }
    }

    /// A second witness: suspected hosts read and hash every file that they must hold, and the gates read once more.
    fn look_again(&mut self, suspicion: &Suspicion) {
        suspicion.gates.iter().for_each(|gate| self.read(gate));
        let Some(asking) = &self.asking else { return };
        let (asked, fleet, deep_ms) = (asking.wanted_of(&suspicion.hosts), Arc::clone(&self.fleet), self.deep_ms);
        self.tasks.spawn_local(async move { Done::Looked(Look::new(&fleet, deep_ms).at(&asked, Level::L3).await) });
    }

    /// Asks a gate whose provider has come back.
    fn ask_queued(&mut self, name: &GateName) {
        if !self.queued.remove(name) {
            return;
        }
        let gate = self.asked.gates.iter().find(|gate| gate.name == *name).cloned();
        gate.iter().for_each(|gate| self.read(gate));
    }

    /// Waits until every provider is back and ends every conversation, so that a later call may come from another runtime.
    pub async fn rest(&mut self) {
        (self.asking, self.last_look) = (None, None);
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
