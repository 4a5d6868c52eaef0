//! `hosts`: trust a new host key, take over a host of other books.

use super::acting::carry_out;
use super::exit::{self, Exit};
use super::seat::Seat;
use crate::drive::act::{Order, record};
use crate::drive::deploy::who;
use crate::model::books::Record;
use crate::model::names::HostName;
use crate::plan::content;
use crate::ui::prompt;
use anyhow::Context;
use clap::{Args, Subcommand};

/// Trust a host's key, or take over a host that obeys other books
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman hosts trust mw2020.codfw.wmnet\n  pointsman hosts adopt mw2020.codfw.wmnet"
)]
pub struct Hosts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the key that a host offers now and, once you compared the fingerprint, write it to known_hosts
    Trust {
        /// Which host
        host: HostName,
        /// Do not ask: the fingerprint was compared already
        #[arg(short, long)]
        yes: bool,
    },
    /// Take over a host that belongs to other books: it is converged and obeys these from then on
    Adopt {
        /// Which hosts: names, ranges, role:canary, dc:codfw
        hosts: String,
    },
}

impl Hosts {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        match self.command {
            Command::Trust { host, yes } => trust(seat, &host, yes),
            Command::Adopt { hosts } => adopt(seat, &hosts),
        }
    }
}

fn trust(seat: &Seat, host: &HostName, yes: bool) -> anyhow::Result<Exit> {
    let deploy = seat.deploy()?;
    let offered = seat.block_on(deploy.fleet.offer(host))?;
    let offer = offered.with_context(|| format!("failed to get the key of {host}"))?;
    let which = if offer.replaces { "another key than known_hosts has" } else { "a new key" };
    seat.printer.talk(&format!("{host} ({}) offers {which}:", offer.name));
    for key in &offer.keys {
        seat.printer.talk(&format!("  {} {}", key.algorithm, key.fingerprint));
    }
    if !yes && !prompt::confirm(&format!("Trust it and write it to {}?", offer.file.display()))? {
        seat.printer.talk("nothing was changed: not confirmed");
        return Ok(Exit::Paused);
    }
    let written = seat.block_on(offer.accept())?;
    written.with_context(|| format!("failed to write {}", offer.file.display()))?;
    let prints: Vec<&str> = offer.keys.iter().map(|key| key.fingerprint.as_str()).collect();
    let text = format!("trusted the key of {host}: {}", prints.join(", "));
    let mut store = seat.books(&deploy.policy)?;
    record(&mut store, "hosts trust", &[Record::Note { by: who().to_owned(), text }])?;
    seat.printer.talk(&format!("{host}: trusted; pointsman converge {host} proves it"));
    Ok(Exit::Done)
}

fn adopt(seat: &Seat, hosts: &str) -> anyhow::Result<Exit> {
    let deploy = seat.deploy()?;
    let goal = |site: crate::plan::goal::Site<'_>| content::converge(site, crate::plan::goal::Extent::Wanted, "adopt");
    let only = Some(seat.hosts(&deploy.policy, Some(hosts))?);
    let order = Order { adopt: true, only, ..Order::new(format!("adopt {hosts}"), &goal) };
    Ok(exit::of_ended(&carry_out(seat, &deploy, true, order)?))
}
