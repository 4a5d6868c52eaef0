//! `agent`: the host's side, and putting it there.

use super::exit::Exit;
use super::seat::Seat;
use crate::fleet::{Install, local};
use crate::model::fault::Fault;
use crate::model::limits::INSTALL_MS_MAX;
use crate::model::names::HostName;
use crate::model::protocol::Peek;
use crate::model::ranges::fold;
use crate::report;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;

/// The host's side: answers a controller on standard input; or puts itself on hosts
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman agent install\n  pointsman agent install --hosts dc:codfw")]
pub struct Agent {
    #[command(subcommand)]
    command: Option<Command>,
    /// The directory that stands for this host, with the files of its owner below it
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    below: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Put the agent on hosts, under the hash of its content
    Install {
        /// Only these: names, ranges, role:canary, dc:codfw
        #[arg(long, value_name = "SELECTOR")]
        hosts: Option<String>,
    },
}

impl Agent {
    /// Whether it is a host's side.
    pub(super) fn answers(&self) -> bool {
        self.command.is_none()
    }

    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        match self.command {
            None => Ok(serve(self.below.as_deref())),
            Some(Command::Install { hosts }) => install(seat, hosts.as_deref()),
        }
    }
}

/// Answers on standard input and output until they end.
fn serve(below: Option<&Path>) -> Exit {
    match crate::agent::serve(&local::signers(below), &mut std::io::stdin().lock(), &mut std::io::stdout().lock()) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Ours,
    }
}

fn install(seat: &Seat, hosts: Option<&str>) -> anyhow::Result<Exit> {
    let deploy = seat.deploy()?;
    let hosts = seat.hosts(&deploy.policy, hosts)?;
    let installed: BTreeMap<HostName, Result<String, Fault>> = seat.block_on(async {
        let mut installs = JoinSet::new();
        for host in hosts {
            let fleet = std::sync::Arc::clone(&deploy.fleet);
            installs.spawn_local(async move {
                let version = greet(&fleet, &host).await;
                (host, version)
            });
        }
        installs.join_all().await.into_iter().collect()
    })?;
    let mut exit = Exit::Done;
    let mut answer: BTreeMap<&String, Vec<HostName>> = BTreeMap::new();
    for (host, version) in &installed {
        match version {
            Ok(version) => answer.entry(version).or_default().push(host.clone()),
            Err(fault) => {
                exit = Exit::Stale;
                let reason = crate::model::stale::StaleReason::Fault(fault.clone());
                seat.printer.data(&report::stale::now_line(host, &reason));
            }
        }
    }
    for (version, hosts) in answer {
        let verb = if hosts.len() == 1 { "answers" } else { "answer" };
        seat.printer.data(&format!("{}: agent {version} {verb}", fold(&hosts)));
    }
    Ok(exit)
}

/// Installs the agent if need be and asks it who it is.
async fn greet(fleet: &crate::fleet::Fleet, host: &HostName) -> Result<String, Fault> {
    let within = Duration::from_millis(INSTALL_MS_MAX);
    let mut session = fleet.session(host, Install::IfMissing).await?;
    let peek = Peek::at_state();
    let seen = session.peek(peek, within).await;
    session.close(within).await;
    match seen {
        Ok(seen) => Ok(seen.facts.agent),
        Err(crate::fleet::session::PeekError::Fault(fault)) => Err(fault),
        Err(crate::fleet::session::PeekError::Refused(refusal)) => Err(Fault::Other(refusal.to_string())),
    }
}
