//! The same core and the same agent under a seeded fleet with faults.
//!
//! Invariant: a seed decides everything. The core ([`crate::rollout`], [`crate::plan`]), the agent and the books in
//! memory are the product's own; only time, the network, the disks and the accidents are simulated. The `oracle`
//! judges by rules of its own.
//!
//! Deliberately absent: the wire, a disk that loses what was not synced (`agent::killat` has that), and gates.

pub mod campaign;
mod engine;
pub mod faults;
pub mod fleet;
pub mod look;
mod network;
mod oracle;
mod random;
mod scenario;
pub mod site;
#[cfg(test)]
mod tests;

use crate::config::policy::Policy;
use crate::model::digest::Digest;
use crate::model::ids::BooksId;
use crate::store::memory::MemoryStore;
use engine::Engine;
use faults::{Faults, Kind};
use fleet::Fleet;
use oracle::Oracle;
use random::Random;
use site::Contents;
use std::collections::BTreeMap;

/// The lines of a trace that a report keeps.
const TRACE_LINES: usize = 60;

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// BLAKE3 over every line of the trace.
    pub trace_hash: Digest,
    /// Commands that were sent.
    pub dispatches: u64,
    /// Undertakings that began.
    pub undertakings: u64,
    /// How often each fault happened.
    pub faults: BTreeMap<Kind, u64>,
    /// How often undertakings ended so.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How often it came to what each promise speaks of.
    pub reached: BTreeMap<&'static str, u64>,
    /// Promises that were broken; each begins with its number.
    pub violations: Vec<String>,
    /// The last lines of the trace before the first broken promise, or before the end.
    pub trace: Vec<String>,
}

/// A fleet after its first sync, from which every seed starts.
#[derive(Debug, Clone)]
pub struct Founded {
    hosts: usize,
    contents: Contents,
    fleet: Fleet,
    store: MemoryStore,
    oracle: Oracle,
    now: u64,
}

impl Founded {
    /// An empty fleet of so many hosts, at least two, synced for the first time without faults.
    pub fn new(hosts: usize) -> Self {
        let hosts = hosts.max(2);
        let (policy, contents) = (site::policy(0, hosts), Contents::new());
        let store = MemoryStore::new(BooksId(7));
        let mut engine = Engine::new(&policy, &contents, Random::new(0), fleet::empty(&policy), store);
        scenario::found(&mut engine);
        let (fleet, store, oracle, now) = (engine.fleet, engine.store, engine.oracle, engine.now);
        Self { hosts, contents, fleet, store, oracle, now }
    }

    /// The story of `seed`.
    pub fn run(&self, seed: u64, faults: &Faults) -> Report {
        let mut random = Random::new(seed);
        let policy: Policy = site::policy(random.between(0, 2) as usize, self.hosts);
        let mut engine = Engine::new(&policy, &self.contents, random, self.fleet.clone(), self.store.clone());
        engine.oracle = self.oracle.clone();
        // What it came to at the founding was no trial.
        engine.oracle.reached.clear();
        engine.now = self.now;
        engine.faults = Some(faults.clone());
        scenario::troubles(&mut engine);
        scenario::peace(&mut engine);
        let trace = engine.scene.unwrap_or(engine.trace);
        let skip = trace.len().saturating_sub(TRACE_LINES);
        Report {
            seed,
            trace_hash: Digest::from_bytes(*engine.hash.finalize().as_bytes()),
            dispatches: engine.dispatches,
            undertakings: engine.undertakings,
            faults: engine.injected,
            outcomes: engine.outcomes,
            reached: engine.oracle.reached,
            violations: engine.oracle.violations,
            trace: trace.into_iter().skip(skip).collect(),
        }
    }
}
