//! `canary`: readiness and gates, on a schedule; changes nothing.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::{Usage, duration};
use super::whole;
use crate::drive::canary::{Check, canary};
use crate::model::verdict::Verdict;
use crate::report::canary::{CanaryView, lines};
use crate::report::events::{self, Event};
use crate::report::{junit, nagios, textfile};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

/// Check readiness and gates without changing anything, for timers, monitoring and CI
///
/// Looks at hosts as `check` does and asks every gate with the moment `canary`, canary and debug hosts against the
/// others, all of which serve the same map: what differs between them is a host's or the canaries' own fault. Takes no
/// lock, sends no command and installs nothing; what was found goes to the books.
///
/// Ends with 0 when all is well, with 3 when a gate failed, with 7 when hosts are not ready, and with 4 when a gate is
/// inconclusive or could not be asked. With --nagios it prints one line and ends with 0, 1, 2 or 3 as plugins do.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman canary\n  pointsman canary --nagios --hosts dc:codfw\n  pointsman canary --prometheus /var/lib/prometheus/node-exporter/pointsman.prom"
)]
pub struct Canary {
    /// Only these: names, ranges, role:canary, dc:codfw
    #[arg(long, value_name = "SELECTOR")]
    hosts: Option<String>,
    /// Ask this gate only; may be said again for another
    #[arg(long = "gate", value_name = "GATE")]
    gates: Vec<crate::model::names::GateName>,
    /// How far back counts and logs are looked at, never beyond the last change of the wanted state
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30m")]
    window: u64,
    /// Print one line with perfdata and end with 0, 1, 2 or 3, as a Nagios or Icinga plugin
    #[arg(long)]
    nagios: bool,
    /// Write JUnit XML, one case a host and one a gate
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write metrics for node_exporter's textfile collector; it reads files that end in .prom
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
}

impl Canary {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        match (self.check(seat), self.nagios) {
            (Ok(view), true) => {
                seat.printer.data(&nagios::line(&view));
                Ok(plugin(nagios::state(&view)))
            }
            (Ok(view), false) => Ok(say(seat, &view)),
            (Err(error), true) => {
                seat.printer.data(&nagios::unknown(&format!("{error:#}")));
                Ok(plugin(nagios::State::Unknown))
            }
            (Err(error), false) => Err(error),
        }
    }

    fn check(&self, seat: &Seat) -> anyhow::Result<CanaryView> {
        if self.nagios && seat.json {
            return Err(Usage("--nagios and --json both want stdout".to_owned()).into());
        }
        let mut deploy = seat.deploy()?;
        if let Some(unknown) =
            self.gates.iter().find(|name| !deploy.policy.gates.iter().any(|gate| gate.name == **name))
        {
            return Err(Usage(format!("groups.yaml has no gate {unknown}")).into());
        }
        deploy.policy.gates.retain(|gate| self.gates.is_empty() || self.gates.contains(&gate.name));
        let mut store = seat.books(&deploy.policy)?;
        let hosts = seat.hosts(&deploy.policy, self.hosts.as_deref())?;
        let check = Check { hosts: &hosts, narrowed: self.hosts.is_some(), window_ms: self.window };
        let view = seat.block_on(canary(&deploy, &mut store, check))??;
        if let Some(file) = &self.junit {
            whole::write(file, junit::xml(&view).context("failed to write JUnit XML")?.as_bytes())?;
        }
        if let Some(file) = &self.prometheus {
            whole::write(file, textfile::text(&view).as_bytes())?;
        }
        Ok(view)
    }
}

fn say(seat: &Seat, view: &CanaryView) -> Exit {
    let exit = code(view);
    if seat.json {
        for (host, stale) in &view.stale {
            seat.event(&Event::Stale { host: host.clone(), reason: stale.reason.clone() });
        }
        view.gates.iter().for_each(|asked| seat.event(&events::gate(asked)));
        seat.event(&events::canary(view, exit as u8));
        return exit;
    }
    lines(view).iter().for_each(|line| seat.printer.data(line));
    seat.printer.talk(&view.summary());
    exit
}

/// The gravest of what was found.
fn code(view: &CanaryView) -> Exit {
    match () {
        () if !view.enforced(Verdict::Fail).is_empty() => Exit::Held,
        () if !view.stale.is_empty() => Exit::Stale,
        () if !view.is_well() => Exit::Paused,
        () => Exit::Done,
    }
}

/// The exit code of a plugin, which means something else than ours.
fn plugin(state: nagios::State) -> Exit {
    match state {
        nagios::State::Ok => Exit::Done,
        nagios::State::Warning => Exit::Ours,
        nagios::State::Critical => Exit::Usage,
        nagios::State::Unknown => Exit::Held,
    }
}
