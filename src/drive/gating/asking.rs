//! One call to the gates: what is due, what was judged, and what follows. Time and readings are given.
//!
//! Invariant: pure, so that a replay decides as the real thing does. It decides nothing by itself: `gate` judges, counts and
//! attributes.

use crate::drive::look::Looked;
use crate::gate::judge::judge;
use crate::gate::reading::{ReadError, Reading};
use crate::gate::soak::{Decision, Soak, Standing, Terms};
use crate::gate::spec::{Gate, Kind, Mode, Moment};
use crate::model::books::{Books, Record};
use crate::model::component::Want;
use crate::model::health::HealthRecord;
use crate::model::names::{GateName, HostName};
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::rollout::effect::{GateCall, GateEnd, Told};
use std::collections::{BTreeMap, BTreeSet};

/// How a gate stood when its call ended, and its last judgement; `None`: it was never asked.
pub type Stood = (Standing, Option<Judgement>);

/// Gates as they are asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Every gate of the site.
    pub gates: Vec<Gate>,
    /// A person is asked after, ms.
    pub max_ms: u64,
    /// Gates that a person overruled, with the reason.
    pub overruled: BTreeMap<GateName, String>,
    /// Who.
    pub by: String,
}

/// What a call comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    /// Single hosts are suspected: a second look is due before that is believed.
    LookAgain(Suspicion),
    /// This follows.
    Ended(GateEnd),
}

/// What speaks against single hosts, and is looked at once more. The counts of many hosts are never of one moment: of an
/// error that begins everywhere between two of them, only the host that was read last has any.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// These hosts are to be proven; answer with [`Asking::looked`].
    pub hosts: BTreeSet<HostName>,
    /// These gates suspect them and are to be read again; answer with [`Asking::take`].
    pub gates: Vec<Gate>,
}

/// One call to the gates.
#[derive(Debug)]
pub struct Asking {
    pub(super) call: GateCall,
    pub(super) soak: Soak,
    pub(super) books: Books,
    gates: Vec<Gate>,
    /// Whether `books` are of after the last time that a gate of people was due.
    fresh: bool,
    /// What each gate read last.
    pub(super) readings: BTreeMap<GateName, Reading>,
    /// The verdict that was said last.
    pub(super) said: BTreeMap<GateName, Verdict>,
    /// Gates that only observe and have failed, which is said once.
    observed: BTreeSet<GateName>,
    pub(super) records: Vec<Record>,
    pub(super) told: Vec<Told>,
    /// Hosts that are looked at a second time, and what they showed.
    suspects: BTreeSet<HostName>,
    /// Gates that suspect them and have not been read again.
    again: BTreeSet<GateName>,
    pub(super) looked: Option<BTreeMap<HostName, Looked>>,
}

impl Asking {
    /// Begins a call now; `books` are those of now.
    pub fn new(call: GateCall, asked: &Asked, books: Books, now: Time) -> Self {
        let max_ms = match call.moment {
            Moment::Watch => call.least_ms,
            _ => asked.max_ms,
        };
        let terms = Terms { moment: call.moment, least_ms: call.least_ms, max_ms };
        let gates: Vec<Gate> = asked.gates.iter().filter(|gate| call.gates.contains(&gate.name)).cloned().collect();
        let soak = Soak::new(gates.iter().cloned(), terms, now);
        let mut asking = Self {
            call,
            soak,
            books,
            gates,
            fresh: true,
            readings: BTreeMap::new(),
            said: BTreeMap::new(),
            observed: BTreeSet::new(),
            records: Vec::new(),
            told: Vec::new(),
            suspects: BTreeSet::new(),
            again: BTreeSet::new(),
            looked: None,
        };
        let (rollout, among) = (asking.call.rollout, asking.call.gates.clone());
        for (gate, reason) in asked.overruled.iter().filter(|(gate, _)| among.contains(*gate)) {
            asking.soak.overrule(gate);
            let (gate, by, reason) = (gate.clone(), asked.by.clone(), reason.clone());
            asking.health(HealthRecord::Answered { rollout, gate, yes: true, by, reason });
        }
        asking
    }

    /// Whether hosts are switched when it ends well.
    pub fn precedes_a_switch(&self) -> bool {
        self.call.moment.precedes_a_switch()
    }

    /// Whether a gate that the books answer is due, and these are not of now.
    pub fn needs_books(&self, now: Time) -> bool {
        !self.fresh && self.soak.is_due(now).any(asks_books)
    }

    /// The books of now.
    pub fn take_books(&mut self, books: Books) {
        (self.books, self.fresh) = (books, true);
    }

    /// Gates whose providers are to be asked now; those that the books answer are judged at once.
    pub fn due(&mut self, now: Time) -> Vec<Gate> {
        let due = self.soak.due(now);
        let mut asked = Vec::new();
        for gate in due {
            match self.people(&gate, now) {
                Some(reading) => self.take(&gate.name, Ok(reading), now),
                None => asked.push(gate),
            }
        }
        self.fresh = false;
        asked
    }

    /// Judges a reading and counts the judgement.
    pub fn take(&mut self, name: &GateName, reading: Result<Reading, ReadError>, now: Time) {
        let Some(gate) = self.gates.iter().find(|gate| gate.name == *name) else { return };
        let scope = self.scope_of(gate);
        self.again.remove(name);
        let reading = reading.map(|reading| self.with_books(reading, now));
        let judgement = judge(gate, &scope, &reading, now);
        // A failure is attributed by a reading that shows it.
        let counts = self.count(now, judgement);
        if let Some(reading) = reading.ok().filter(|_| counts) {
            self.readings.insert(name.clone(), reading);
        }
    }

    /// Counts a judgement; it is written and shown when it says something else than the one before. Whether the gate rests
    /// on it now.
    fn count(&mut self, now: Time, judgement: Judgement) -> bool {
        let before = self.said.insert(judgement.gate.clone(), judgement.verdict);
        if before != Some(judgement.verdict) || judgement.verdict == Verdict::Fail {
            let (rollout, moment) = (self.call.rollout, self.call.what.clone());
            self.health(HealthRecord::Judged { rollout, moment, judgement: judgement.clone() });
            self.told.push(Told::Judged(Box::new(judgement.clone())));
        }
        let counts = self.soak.take(now, judgement);
        let failed = self.soak.standing().filter(|(gate, standing, _)| {
            gate.mode == Mode::Observe && *standing == Standing::Failed && !self.observed.contains(&gate.name)
        });
        let failed: Vec<GateName> = failed.map(|(gate, ..)| gate.name.clone()).collect();
        let words = |gate: &GateName| Told::Blamed(format!("{gate} would have stopped this; it only observes"));
        self.told.extend(failed.iter().map(words));
        self.observed.extend(failed);
        counts
    }

    /// When something is due, if no answer comes before; `None`: a second look at suspected hosts comes first.
    pub fn wake(&self) -> Option<Time> {
        (!self.is_looking()).then(|| self.soak.wake())
    }

    /// Whether the second look at suspected hosts is still out; nothing else is due then.
    pub fn is_looking(&self) -> bool {
        self.looked.is_none() && !self.suspects.is_empty() || !self.again.is_empty()
    }

    /// What suspected hosts must hold.
    pub fn wanted_of(&self, hosts: &BTreeSet<HostName>) -> BTreeMap<HostName, Vec<Want>> {
        hosts.iter().filter_map(|host| Some((host.clone(), self.call.hosts.get(host)?.prove()))).collect()
    }

    /// What they showed.
    pub fn looked(&mut self, looked: BTreeMap<HostName, Looked>) {
        self.looked = Some(looked);
    }

    /// What the gates come to by now; `None`: more is to be asked.
    pub fn decided(&mut self, now: Time) -> Option<Decided> {
        if self.is_looking() {
            return None;
        }
        let decided = match self.soak.decision(now)? {
            Decision::Paused(why) => Decided::Ended(GateEnd::Paused(why)),
            Decision::GoOn => self.passed(&self.gates.clone()),
            Decision::Failed(names) => {
                let failed: Vec<Gate> = self.gates.iter().filter(|gate| names.contains(&gate.name)).cloned().collect();
                self.failed(&failed)
            }
        };
        if let Decided::LookAgain(suspicion) = &decided {
            self.suspects.clone_from(&suspicion.hosts);
            self.again = suspicion.gates.iter().map(|gate| gate.name.clone()).collect();
        }
        Some(decided)
    }

    /// Whether [`Self::decided`] has something to say by now.
    pub fn decides(&self, now: Time) -> bool {
        !self.is_looking() && self.soak.decision(now).is_some()
    }

    /// What was learned since the last time: to be written, and to be shown.
    pub fn learned(&mut self) -> (Vec<Record>, Vec<Told>) {
        (std::mem::take(&mut self.records), std::mem::take(&mut self.told))
    }

    /// How each gate stands.
    pub fn stood(&self) -> BTreeMap<GateName, Stood> {
        let standing = self.soak.standing();
        standing.map(|(gate, stands, last)| (gate.name.clone(), (stands, last.cloned()))).collect()
    }

    /// Ends the call: the rest of what is to be written and shown.
    pub fn end(mut self) -> (Vec<Record>, Vec<Told>) {
        self.signatures();
        // The last verdict of each gate that passed: it was written when it first did, and may rest on more by now.
        let last = self.soak.standing().filter_map(|(_, _, last)| last);
        let passed = last.filter(|last| last.verdict == Verdict::Pass).map(|last| {
            let (rollout, moment) = (self.call.rollout, self.call.what.clone());
            Record::Health(HealthRecord::Judged { rollout, moment, judgement: last.clone() })
        });
        self.records.extend(passed.collect::<Vec<_>>());
        (self.records, self.told)
    }

    pub(super) fn health(&mut self, record: HealthRecord) {
        self.records.push(Record::Health(record));
    }
}

/// Whether the books have a part in a gate's reading.
fn asks_books(gate: &Gate) -> bool {
    matches!(gate.kind, Kind::Approval | Kind::Blockers(_) | Kind::Soak(_))
}

#[cfg(test)]
mod tests;
