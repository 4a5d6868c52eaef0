//! What many simulated rollouts came to: as text and as JSON.

use crate::model::words::count;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The figures of a run of the simulator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simulated {
    /// Seeds that were run.
    pub seeds: u64,
    /// Undertakings that began: promotions, pins, syncs, rollbacks, converges, clean-ups.
    pub rollouts: u64,
    /// Those over 30 hosts or more.
    pub rollouts_on_many: u64,
    /// Commands that were sent.
    pub commands: u64,
    /// How often each fault happened, each kind by its name.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often it came to what each promise speaks of.
    pub reached: BTreeMap<&'static str, u64>,
    /// How often undertakings ended so.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The traces of all seeds, as hexadecimal digits.
    pub trace: String,
    /// Seeds that broke a promise.
    pub broken: u64,
    /// The lowest of them.
    pub first: Option<Broken>,
}

/// A seed that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What was broken; each begins with its promise.
    pub violations: Vec<String>,
    /// The last lines before the first of them.
    pub trace: Vec<String>,
    /// What to type to see it again.
    pub again: String,
}

/// How long it took, and on how many cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// By the clock, s.
    pub seconds: f64,
    /// Threads at work.
    pub threads: usize,
}

impl Took {
    fn rate(&self, rollouts: u64) -> f64 {
        rollouts as f64 / self.seconds.max(0.001) / self.threads.max(1) as f64
    }
}

/// The figures, and the story of the lowest seed that broke a promise.
pub fn text(all: &Simulated, took: Took) -> String {
    let faults: u64 = all.faults.values().sum();
    let mut out = format!(
        "{} rollouts ({} on 30 hosts or more) of {}, {} commands, {faults} faults ({:.1} a rollout)\n{:.1} s on {} {}, {:.0} rollouts a second and thread\ntraces {}\n",
        all.rollouts,
        all.rollouts_on_many,
        count(all.seeds as usize, "seed"),
        all.commands,
        faults as f64 / all.rollouts.max(1) as f64,
        took.seconds,
        took.threads,
        if took.threads == 1 { "thread" } else { "threads" },
        took.rate(all.rollouts),
        all.trace,
    );
    for (title, counts) in [("faults", &all.faults), ("promises, how often it came to them", &all.reached)] {
        table(&mut out, title, counts);
    }
    table(&mut out, "outcomes", &all.outcomes);
    let _ = match &all.first {
        None => write!(out, "\nno promise was broken"),
        Some(first) => write!(
            out,
            "\nseed {}\n{}{}\n\n{} of {} seeds break a promise; this one again: {}",
            first.seed,
            first.trace.concat(),
            first.violations.join("\n"),
            all.broken,
            all.seeds,
            first.again
        ),
    };
    out
}

fn table(out: &mut String, title: &str, counts: &BTreeMap<&'static str, u64>) {
    let _ = writeln!(out, "\n{title}");
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(name, _)| (name.len(), **name));
    for (name, count) in rows {
        let _ = writeln!(out, "  {name:<22} {count:>12}");
    }
}

/// The same for programs.
pub fn json(all: &Simulated, took: Took) -> Value {
    let first = all.first.as_ref().map(|first| {
        json!({ "seed": first.seed, "violations": first.violations, "trace": first.trace, "again": first.again })
    });
    json!({
        "seeds": all.seeds,
        "rollouts": all.rollouts,
        "rollouts_on_30_hosts_or_more": all.rollouts_on_many,
        "commands": all.commands,
        "faults": all.faults,
        "reached": all.reached,
        "outcomes": all.outcomes,
        "trace": all.trace,
        "broken": all.broken,
        "first": first,
        "seconds": took.seconds,
        "threads": took.threads,
        "rollouts_a_second_and_thread": took.rate(all.rollouts),
    })
}
