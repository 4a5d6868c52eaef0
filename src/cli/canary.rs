//! `canary`: readiness and gates, on a schedule; changes nothing.

use super::exit::Exit;
use super::outputs::Outputs;
use super::seat::Seat;
use super::usage::{Usage, duration};
use crate::drive::canary::{Check, canary};
use crate::model::verdict::Verdict;
use crate::report::canary::{CanaryView, lines};
use crate::report::events::{self, Event};
use clap::Args;

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
    #[command(flatten)]
    outputs: Outputs,
}

impl Canary {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        self.outputs.end(seat, self.check(seat).map(|view| (view, ())), |view, ()| say(seat, view))
    }

    fn check(&self, seat: &Seat) -> anyhow::Result<CanaryView> {
        self.outputs.agree(seat)?;
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
        Ok(seat.block_on(canary(&deploy, &mut store, check))??)
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
