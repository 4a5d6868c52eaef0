//! `depool` and `pool`: hosts out of service and back.

use super::acting::carry_out;
use super::exit::{self, Exit};
use super::seat::Seat;
use crate::drive::act::{Order, record};
use crate::drive::deploy::who;
use crate::drive::hook;
use crate::model::books::Record;
use crate::model::names::HostName;
use crate::plan::content;
use clap::Args;

/// Take hosts out of service; promotions leave them out and owe them
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman depool mw2020.codfw.wmnet --reason 'being reinstalled'")]
pub struct Depool {
    /// Names, ranges, role:canary, dc:codfw
    hosts: String,
    /// Why
    #[arg(long)]
    reason: String,
}

/// Put hosts back into service, each once it is converged and proven
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman pool mw2020.codfw.wmnet")]
pub struct Pool {
    /// Names, ranges, role:canary, dc:codfw
    hosts: String,
}

impl Depool {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let by = who().to_owned();
        let mut store = seat.books(&policy)?;
        let mut exit = Exit::Done;
        for host in seat.hosts(&policy, Some(&self.hosts))? {
            if !policy.hooks.depool.is_empty() {
                let ran = seat.block_on(hook::run(&policy.hooks.depool, &host, policy.limits.command_ms_max))?;
                if let Err(why) = ran {
                    seat.printer.talk(&format!("{host}: still in service: {why}"));
                    exit = Exit::Ours;
                    continue;
                }
            }
            let reason = self.reason.clone();
            record(&mut store, "depool", &[Record::Depooled { host: host.clone(), by: by.clone(), reason }])?;
            let how =
                if policy.hooks.depool.is_empty() { " (by your word: groups.yaml has no depool hook)" } else { "" };
            seat.printer.talk(&format!("{host}: depooled{how}; pointsman pool {host} puts it back"));
        }
        Ok(exit)
    }
}

impl Pool {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let deploy = seat.deploy()?;
        let hosts = seat.hosts(&deploy.policy, Some(&self.hosts))?;
        let goal =
            |site: crate::plan::goal::Site<'_>| content::converge(site, crate::plan::goal::Extent::Wanted, "pool");
        let order = Order { only: Some(hosts.clone()), ..Order::new(format!("pool {}", self.hosts), &goal) };
        let ended = carry_out(seat, &deploy, true, order)?;
        let left = match &ended.outcome {
            crate::rollout::effect::Outcome::Done { left, .. } => left.clone(),
            _ => return Ok(exit::of_ended(&ended)),
        };
        let mut exit = exit::of_ended(&ended);
        for host in hosts.iter().filter(|host| !left.contains_key(*host)) {
            if !self.pool(seat, &deploy, host)? {
                exit = Exit::Ours;
            }
        }
        Ok(exit)
    }

    fn pool(&self, seat: &Seat, deploy: &crate::drive::deploy::Deploy, host: &HostName) -> anyhow::Result<bool> {
        let (hooks, limits) = (&deploy.policy.hooks, &deploy.policy.limits);
        if !hooks.pool.is_empty()
            && let Err(why) = seat.block_on(hook::run(&hooks.pool, host, limits.command_ms_max))?
        {
            seat.printer.talk(&format!("{host}: not in service: {why}"));
            return Ok(false);
        }
        let mut store = seat.books(&deploy.policy)?;
        record(&mut store, "pool", &[Record::Pooled { host: host.clone(), by: who().to_owned() }])?;
        seat.printer.talk(&format!("{host}: converged, proven and back in service"));
        Ok(true)
    }
}
