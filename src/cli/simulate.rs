//! `simulate`: the promises, tried in a world where everything fails.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::report::simulation::{self, Took};
use crate::sim::campaign::{Campaign, HOSTS_MAX};
use crate::sim::faults::{CHANCES, Faults, KINDS};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::path::PathBuf;
use std::time::Instant;

/// Try the promises: rollouts on simulated fleets, with faults that a seed decides
///
/// The planner, the state machine and the agent are those that real rollouts use; time, the network, disks and accidents
/// are simulated, and a judge of its own looks at every command and every host. Nothing is contacted, nothing is read but
/// the file of faults, and nothing is written. The same seeds give the same traces. Ends with 1 when a promise was broken.
#[derive(Args)]
#[command(after_help = examples())]
pub struct Simulate {
    /// Which seeds, the last one not included
    #[arg(long, value_name = "A..B", default_value = "0..1000", value_parser = seeds)]
    seeds: std::ops::Range<u64>,
    /// How many hosts each fleet has, 2 to 200 [default: as the seed says, 30 or more in half of them]
    #[arg(long, value_name = "N")]
    hosts: Option<usize>,
    /// How many threads are at work [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// How often each fault happens
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

/// Examples, and what a file of faults can name.
fn examples() -> String {
    let names: Vec<String> =
        KINDS.chunks(8).map(|kinds| kinds.iter().map(|k| k.1).collect::<Vec<_>>().join(", ")).collect();
    format!(
        "Example:\n  pointsman simulate --seeds 0..2000\n  pointsman simulate --seeds 17..18 --hosts 30\n\nA file of faults names rates in {CHANCES} chances, and what it does not name keeps its rate:\n  command_lost: 50\n  crash: 0\nIts names: {}",
        names.join(",\n")
    )
}

fn seeds(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("two numbers, as in `0..1000`")?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is not a number, as in `0..1000`"));
    match (number(first)?, number(end)?) {
        (first, end) if first < end => Ok(first..end),
        _ => Err("the second number must be greater than the first".to_owned()),
    }
}

impl Simulate {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if let Some(hosts) = self.hosts.filter(|hosts| !(2..=HOSTS_MAX).contains(hosts)) {
            return Err(Usage(format!("--hosts {hosts}: a simulated fleet has 2 to {HOSTS_MAX} hosts")).into());
        }
        let faults = self.faults.as_deref().map(Faults::load).transpose()?.unwrap_or_default();
        let campaign = Campaign { seeds: self.seeds.clone(), hosts: self.hosts, faults };
        let file = self.faults.map(|file| format!(" --faults {}", file.display())).unwrap_or_default();
        let again = |seed: u64, hosts: usize| {
            format!("pointsman simulate --seeds {seed}..{} --hosts {hosts}{file}", seed.saturating_add(1))
        };
        let bar = ProgressBar::new(self.seeds.end - self.seeds.start);
        if seat.json || seat.printer.is_quiet() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let (threads, began) = (self.threads.map_or_else(cores, usize::from), Instant::now());
        let all = campaign.run(threads, &|| bar.inc(1), &again);
        bar.finish_and_clear();
        let took = Took { seconds: began.elapsed().as_secs_f64(), threads };
        match seat.json {
            true => seat.printer.data(&simulation::json(&all, took).to_string()),
            false => seat.printer.data(&simulation::text(&all, took)),
        }
        Ok(if all.broken == 0 { Exit::Done } else { Exit::Ours })
    }
}
