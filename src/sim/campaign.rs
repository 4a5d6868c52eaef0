//! Many seeds on several threads, and what came of all of them.

use super::faults::Faults;
use super::{Founded, Report};
use crate::report::simulation::{Broken, Simulated};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Hosts of a seed when nobody says how many: that of its number, modulo. Most are 30 or more.
const HOSTS: [usize; 20] = [2, 3, 4, 5, 6, 7, 8, 10, 12, 30, 30, 30, 30, 30, 30, 30, 30, 30, 32, 40];
/// One seed in so many has [`HOSTS_MAX`] hosts.
const LARGE: u64 = 500;
/// The most hosts that a seed may have.
pub const HOSTS_MAX: usize = 200;
/// What counts as many hosts.
const MANY: usize = 30;

/// What to run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// How many hosts each has; `None`: 2 to [`HOSTS_MAX`], as the seed says.
    pub hosts: Option<usize>,
    /// What goes wrong, and how often.
    pub faults: Faults,
}

impl Campaign {
    /// Runs all seeds. `done` hears of each one that has ended; `again` says what to type to see a seed again.
    pub fn run(
        &self,
        threads: usize,
        done: &(dyn Fn() + Sync),
        again: &(dyn Fn(u64, usize) -> String + Sync),
    ) -> Simulated {
        // Which sizes there are repeats after so many seeds.
        let sizes = self.seeds.clone().take(LARGE as usize).map(|seed| self.hosts_of(seed));
        let founded: BTreeMap<usize, Founded> =
            sizes.collect::<BTreeSet<_>>().into_iter().map(|hosts| (hosts, Founded::new(hosts))).collect();
        let (next, all) = (AtomicU64::new(self.seeds.start), Mutex::new((Simulated::default(), [0; 32])));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !self.seeds.contains(&seed) {
                    return;
                }
                let hosts = self.hosts_of(seed);
                let report = founded[&hosts].run(seed, &self.faults);
                let mixed = blake3::hash(format!("{seed} {}", report.trace_hash).as_bytes());
                let mut locked = all.lock().unwrap_or_else(PoisonError::into_inner);
                let (all, traces) = &mut *locked;
                traces.iter_mut().zip(mixed.as_bytes()).for_each(|(sum, byte): (&mut u8, &u8)| *sum ^= byte);
                add(all, report, hosts, again);
                drop(locked);
                done();
            }
        };
        std::thread::scope(|scope| (0..threads.max(1)).for_each(|_| _ = scope.spawn(work)));
        let (all, traces) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        Simulated { trace: blake3::Hash::from_bytes(traces).to_hex().to_string(), ..all }
    }

    fn hosts_of(&self, seed: u64) -> usize {
        let one = HOSTS[(seed % HOSTS.len() as u64) as usize];
        self.hosts.unwrap_or(if seed % LARGE == LARGE - 1 { HOSTS_MAX } else { one })
    }
}

fn add(all: &mut Simulated, report: Report, hosts: usize, again: &(dyn Fn(u64, usize) -> String + Sync)) {
    all.seeds += 1;
    all.rollouts += report.undertakings;
    all.rollouts_on_many += if hosts >= MANY { report.undertakings } else { 0 };
    all.commands += report.dispatches;
    report.faults.iter().for_each(|(kind, n)| *all.faults.entry(kind.name()).or_default() += n);
    report.reached.iter().for_each(|(promise, n)| *all.reached.entry(promise).or_default() += n);
    report.outcomes.iter().for_each(|(word, n)| *all.outcomes.entry(word).or_default() += n);
    if report.violations.is_empty() {
        return;
    }
    all.broken += 1;
    if all.first.as_ref().is_none_or(|first| report.seed < first.seed) {
        let (seed, again) = (report.seed, again(report.seed, hosts));
        all.first = Some(Broken { seed, violations: report.violations, trace: report.trace, again });
    }
}
