//! What must never happen, looked for at every dispatch and at every effect on a host.
//!
//! Invariant: it shares no code with the core that it watches. It reads the hosts' files, the records that were
//! committed and the commands that were sent, and judges by rules of its own. It never mends anything.

use super::fleet::Fleet;
use super::look;
use super::site::Contents;
use crate::model::books::{Books, HostRow, Kind, Record, Rollout, Snapshot, Status};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::{Generation, Incarnation, RolloutId, SnapshotId};
use crate::model::names::{HostName, Version};
use crate::model::protocol::{Command, Direction, Reply};
use crate::model::time::Time;
use std::collections::{BTreeMap, BTreeSet};

mod arrival;
mod back;
mod ends;
mod kept;

pub use ends::Run;

/// How much later than its machine decided a command may leave, ms: effects are executed one after another.
const DISPATCH_MS_MAX: u64 = 1_000;

/// What an operator knows of a host by its last observation.
#[derive(Debug, Clone)]
struct Known {
    /// When it was looked at, ms.
    at: u64,
    /// When the oldest of its proofs was made, ms.
    proven: u64,
    life: u64,
    incarnation: Option<Incarnation>,
    active: Option<Digest>,
    ready: BTreeMap<Component, Digest>,
    lacking: bool,
}

/// What a host did in its present life.
#[derive(Debug, Clone, Default)]
struct Life {
    number: u64,
    obeyed: Option<Generation>,
    observed_by: u64,
    /// Its map files were touched by somebody else, and no switch has come since.
    edited: bool,
}

/// The judge.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// What was broken, in words that begin with the promise.
    pub violations: Vec<String>,
    /// The oldest a proof may be when a switch leaves, ms.
    proof_age_ms_max: u64,
    intents: BTreeSet<(HostName, Generation, String)>,
    read: usize,
    newest: u64,
    current: Option<SnapshotId>,
    rollouts: BTreeMap<RolloutId, Rollout>,
    known: BTreeMap<(u64, HostName), Known>,
    /// Commands without an answer, and what each asks to be proven.
    asked: BTreeMap<Generation, Vec<Want>>,
    lives: BTreeMap<HostName, Life>,
    /// By epoch: the hosts of which nobody knows whether they obeyed the last command that changes something.
    unsure: BTreeSet<(u64, HostName)>,
    /// The versions that the switch that arrived last moves wikis to.
    moved_to: BTreeSet<Version>,
    touched: BTreeMap<HostName, u64>,
    /// By epoch: whether the gates that were asked last said to go on.
    gates: BTreeMap<u64, bool>,
    /// States that were recorded.
    snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// The newest rollback that was recorded.
    rolled_back: Option<RolloutId>,
    /// What the host that is about to clean up holds of what it must keep.
    kept: Vec<Component>,
    /// Every host holds all that is wanted, and cleaned up.
    in_place: bool,
    /// How often it came to what each promise speaks of.
    pub reached: BTreeMap<&'static str, u64>,
}

impl Oracle {
    /// A judge who has seen nothing yet.
    pub fn new(proof_age_ms_max: u64) -> Self {
        Self { proof_age_ms_max, ..Self::default() }
    }

    fn broken(&mut self, promise: &str, what: impl AsRef<str>) {
        self.violations.push(format!("{promise}: {}", what.as_ref()));
    }

    /// It came to what `promise` speaks of.
    pub fn reach(&mut self, promise: &'static str) {
        *self.reached.entry(promise).or_default() += 1;
    }

    /// A fault touched a host, at least until `until`.
    pub fn touched(&mut self, host: &HostName, until: u64) {
        let last = self.touched.entry(host.clone()).or_default();
        *last = until.max(*last);
    }

    /// A host began another life.
    pub fn rebuilt(&mut self, host: &HostName) {
        let life = self.lives.entry(host.clone()).or_default();
        *life = Life { number: life.number + 1, edited: true, ..Life::default() };
    }

    /// Somebody changed the served map of a host behind everybody's back: what was seen of it is no longer so.
    pub fn edited(&mut self, host: &HostName) {
        let life = self.lives.entry(host.clone()).or_default();
        (life.number, life.edited) = (life.number + 1, true);
    }

    /// Somebody took the lock.
    pub fn claimed(&mut self, epoch: u64) {
        if epoch <= self.newest {
            self.broken("P3", format!("epoch {epoch} was given after {}", self.newest));
        }
        self.newest = epoch;
    }

    /// Records were committed for `epoch`.
    pub fn appended(&mut self, epoch: u64, written: &[(Time, u64, Record)], books: &Books, fleet: &Fleet) {
        if epoch < self.newest {
            self.broken("P3", format!("epoch {epoch} wrote after {} was taken", self.newest));
        }
        for (_, _, record) in &written[self.read..] {
            self.record(record);
            if let Record::Fresh { host } = record {
                self.fresh(epoch, host, fleet);
                self.alone(host, books);
            }
        }
        self.read = written.len();
        if self.current != books.current {
            self.broken("P8", format!("the wanted state is {:?} and should be {:?}", books.current, self.current));
            self.current = books.current;
        }
    }

    /// Where the wanted state is by the rules: forward moves move it when they are proven, all others at once.
    fn record(&mut self, record: &Record) {
        match record {
            Record::Intents { rollout, command, hosts } => {
                let forward = self.rollouts.get(rollout).is_some_and(|rollout| is_forward(rollout.kind));
                if forward && command == "switch" && self.rolled_back > Some(*rollout) {
                    self.broken("P12", format!("{rollout} goes forward after the rollback {:?}", self.rolled_back));
                }
                self.intents
                    .extend(hosts.iter().map(|(host, generation)| (host.clone(), *generation, command.clone())));
            }
            Record::Stale { .. } => self.reach("P7"),
            Record::Opened { rollout, snapshot, .. } => {
                self.snapshots.extend(snapshot.iter().map(|snapshot| (snapshot.id, snapshot.clone())));
                if rollout.kind == Kind::Rollback {
                    self.rolls_back(rollout, snapshot.is_some());
                }
                if !is_forward(rollout.kind) {
                    self.current = Some(rollout.to);
                }
                self.rollouts.insert(rollout.id, rollout.clone());
            }
            Record::Ended { rollout, status, .. } => {
                let Some(ended) = self.rollouts.get_mut(rollout) else { return };
                ended.status = *status;
                if is_forward(ended.kind) && matches!(status, Status::Done | Status::Owed) {
                    self.current = Some(ended.to);
                }
            }
            _ => {}
        }
    }

    /// The number of a host's present life.
    fn life(&self, host: &HostName) -> u64 {
        self.lives.get(host).map_or(0, |life| life.number)
    }

    /// Whether an operator has looked at a host in its present life.
    fn knows(&self, epoch: u64, host: &HostName) -> bool {
        self.known.get(&(epoch, host.clone())).is_some_and(|known| known.life == self.life(host))
    }

    /// A host is proven: in the life in which it was looked at, it serves what is wanted or is about to be.
    fn fresh(&mut self, epoch: u64, host: &HostName, fleet: &Fleet) {
        if self.life(host) > 0 || self.touched.contains_key(host) {
            self.reach("P10");
        }
        let to = self.rollouts.last_key_value().map(|(_, rollout)| rollout.to);
        let states = [to, self.current].into_iter().flatten().filter_map(|id| self.snapshots.get(&id));
        let serves = look::served(&fleet[host].fs);
        if self.knows(epoch, host) && !states.into_iter().any(|state| look::map_for(state, host) == serves) {
            self.broken("P10", format!("{host} is called fresh and serves what nobody wants"));
        }
    }

    /// No other host that is believed has the same identity; else one's commands would be obeyed by the other.
    fn alone(&mut self, host: &HostName, books: &Books) {
        let Some(own) = books.hosts.get(host).and_then(|row| row.incarnation) else { return };
        let same =
            |(name, row): &(&HostName, &HostRow)| *name != host && row.incarnation == Some(own) && row.stale.is_none();
        if let Some((twin, _)) = books.hosts.iter().find(same) {
            self.broken("P6", format!("{host} and {twin} are both believed to be {own}"));
        }
    }

    /// A command leaves.
    pub fn sent(&mut self, now: u64, host: &HostName, command: &Command, books: &Books) {
        let generation = command.stamp().generation;
        let name = name(command);
        self.reach("P2");
        if !self.intents.contains(&(host.clone(), generation, name.to_owned())) {
            self.broken("P2", format!("{name} {generation} left for {host} before its intent was committed"));
        }
        let prove = if let Command::Observe { peek, .. } = command { peek.prove.clone() } else { Vec::new() };
        self.asked.insert(generation, prove);
        if matches!(command, Command::Observe { .. }) {
            return;
        }
        self.reach("P5");
        let Some(known) = self.known.get(&(generation.epoch, host.clone())).cloned() else {
            return self.broken("P5", format!("{name} {generation} left for {host}, which was not observed"));
        };
        if !self.unsure.insert((generation.epoch, host.clone())) {
            self.broken("P5", format!("{name} {generation} left for {host}, of which nobody knows what it did last"));
        }
        if self.in_place && name == "prepare" {
            self.broken("P19", format!("{host} lacks what a rollback needs, after all was converged and cleaned up"));
        }
        let Command::Switch { expect, direction, map, needs, .. } = command else { return };
        if (Some(expect.incarnation), expect.active) != (known.incarnation, known.active) {
            self.broken("P6", format!("switch {generation} expects of {host} what it did not show"));
        }
        if *direction == Direction::Forward {
            self.reach("P1");
            if self.gates.get(&generation.epoch) == Some(&false) {
                self.broken("P13", format!("switch {generation} leaves for {host} although no gate said to go on"));
            }
            self.forward(now, host, &known, needs, books);
            let versions: BTreeSet<&Version> = map.0.values().collect();
            self.covered(host, &known, versions, "target");
        }
    }

    /// Gates are asked; until they say so, nothing goes forward.
    pub fn gates_asked(&mut self, epoch: u64) {
        self.gates.insert(epoch, false);
    }

    /// What gates said.
    pub fn gated(&mut self, epoch: u64, go_on: bool) {
        self.gates.insert(epoch, go_on);
        if !go_on {
            self.reach("P13");
        }
    }

    fn forward(&mut self, now: u64, host: &HostName, known: &Known, needs: &[Want], books: &Books) {
        let age = now.saturating_sub(known.proven);
        if known.lacking || age > self.proof_age_ms_max + DISPATCH_MS_MAX {
            self.broken("P1", format!("forward to {host} on a proof {age} ms old, lacking {}", known.lacking));
        }
        if let Some(want) = needs.iter().find(|want| known.ready.get(&want.component) != Some(&want.id)) {
            self.broken("P1", format!("forward to {host} without a proof of {}", want.component));
        }
        let Some(wanted) = books.current.and_then(|id| books.snapshots.get(&id)) else { return };
        let served = look::map_for(wanted, host);
        self.covered(host, known, served.values().collect(), "way back");
        if books.hosts.get(host).is_none_or(|row| row.stale.is_some()) {
            self.broken("P7", format!("forward to {host}, which is stale on the books"));
        }
    }

    fn covered(&mut self, host: &HostName, known: &Known, versions: BTreeSet<&Version>, what: &str) {
        for version in versions {
            if !known.ready.contains_key(&Component::Version(version.clone())) {
                self.broken("P1", format!("forward to {host} without a proof of {version}, its {what}"));
            }
        }
    }

    /// A host answered a command; `before` is the map that it served before.
    pub fn delivered(
        &mut self,
        host: &HostName,
        command: &Command,
        reply: &Reply,
        before: (Option<Digest>, Option<Incarnation>),
        fleet: &Fleet,
        contents: &Contents,
    ) {
        let fs = &fleet[host].fs;
        let (name, generation) = (name(command), command.stamp().generation);
        let after = look::active(fs);
        self.still_kept(host, fs, contents);
        if matches!(reply, Reply::Refused(_)) {
            if after != before.0 {
                self.broken("P6", format!("{host} refused {name} {generation} and changed its map"));
            }
            return;
        }
        self.begun(host, command, before);
        let life = self.lives.entry(host.clone()).or_default();
        life.edited &= name != "switch";
        if !life.edited && look::json_disagrees(fs) {
            self.broken("P11", format!("{host} obeyed {name} {generation} and its two map files differ"));
        }
        if name == "observe" {
            return;
        }
        let Command::Switch { map, needs, .. } = command else {
            if after != before.0 {
                self.broken("P6", format!("{name} {generation} changed the map of {host}"));
            }
            return;
        };
        if look::served(fs) != map.0 {
            self.broken("P11", format!("{host} does not serve the map of switch {generation}"));
        }
        // Of what no wiki moves to, P1 asks for a proof that is not too old, see `forward`: a file may have been edited
        // since, but none is gone.
        let (moved, stays): (Vec<Want>, Vec<Want>) = needs.iter().cloned().partition(|want| self.moves_to(want));
        let moved_to = map.0.values().filter(|version| self.moved_to.contains(version));
        let gone =
            stays.iter().find(|want| !look::has_all_files(fs, contents, want)).map(|want| want.component.clone());
        if let Some(lacks) = look::lacking(fs, contents, &moved, moved_to).or(gone) {
            self.broken("P1", format!("{host} obeyed switch {generation} without {lacks}"));
        }
    }

    /// Whether the switch that arrived last moves wikis to it; configuration is every wiki's.
    fn moves_to(&self, want: &Want) -> bool {
        match &want.component {
            Component::Version(version) => self.moved_to.contains(version),
            Component::Config(_) => true,
        }
    }

    /// A host obeys a command, or begins to.
    pub fn begun(&mut self, host: &HostName, command: &Command, before: (Option<Digest>, Option<Incarnation>)) {
        let (name, generation) = (name(command), command.stamp().generation);
        self.order(host, name, generation, matches!(command, Command::Observe { .. }));
        if expects(command).is_some_and(|expect| expect != before) {
            self.broken("P6", format!("{host} obeyed {name} {generation}, which expected another host"));
        }
    }

    fn order(&mut self, host: &HostName, name: &str, generation: Generation, observes: bool) {
        let life = self.lives.entry(host.clone()).or_default();
        let (obeyed, observed_by) = (life.obeyed, life.observed_by);
        life.obeyed = obeyed.max(Some(generation));
        if observes {
            life.observed_by = observed_by.max(generation.epoch);
        }
        if obeyed >= Some(generation) {
            self.broken("P4", format!("{host} obeyed {name} {generation} after {obeyed:?}"));
        }
        if observed_by > generation.epoch {
            self.broken("P3", format!("{host} was observed by epoch {observed_by} and obeyed {name} {generation}"));
        }
    }

    /// An operator got an answer, or none in time. Only the first of these counts: a late answer is no news.
    pub fn answered(&mut self, now: u64, host: &HostName, generation: Generation, reply: Option<&Reply>) {
        let Some(asked) = self.asked.remove(&generation) else { return };
        if reply.is_some() {
            self.unsure.remove(&(generation.epoch, host.clone()));
        }
        let Some(Reply::Observed(seen)) = reply else { return };
        let is_ready = |c: &Component| seen.readiness.iter().any(|(of, r)| of == c && r.is_ready());
        let ready: BTreeMap<_, _> =
            asked.iter().filter(|w| is_ready(&w.component)).map(|w| (w.component.clone(), w.id)).collect();
        let life = self.life(host);
        let (incarnation, active) = (seen.incarnation, seen.active);
        let lacking = ready.len() != asked.len();
        // A proof that the host had written down is as old as it says.
        let proven = now.saturating_sub(seen.proof_age_ms());
        let known = Known { at: now, proven, life, incarnation, active, ready, lacking };
        self.known.insert((generation.epoch, host.clone()), known);
    }
}

/// The map and the installation that a command expects; `None`: it changes nothing.
fn expects(command: &Command) -> Option<(Option<Digest>, Option<Incarnation>)> {
    match command {
        Command::Observe { .. } => None,
        Command::Prepare { expect, .. } | Command::Switch { expect, .. } | Command::Confirm { expect, .. } => {
            Some((expect.active, Some(expect.incarnation)))
        }
    }
}

fn is_forward(kind: Kind) -> bool {
    matches!(kind, Kind::Promote | Kind::Pin | Kind::Unpin)
}

/// The word that intents use for a command.
pub fn name(command: &Command) -> &'static str {
    match command {
        Command::Observe { .. } => "observe",
        Command::Prepare { .. } => "prepare",
        Command::Switch { .. } => "switch",
        Command::Confirm { .. } => "confirm",
    }
}
