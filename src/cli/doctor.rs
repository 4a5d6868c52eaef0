//! `doctor`: finds now what would fail later.

use super::exit::Exit;
use super::seat::Seat;
use crate::drive::doctor;
use crate::model::names::HostName;
use crate::report::doctor::{Finding, Grade, Part, gathered, summary, text};
use crate::store::{Store, keeper};
use clap::Args;
use std::collections::BTreeSet;

/// Examine this machine, every host and every gate for what would fail later, and say how to mend it
///
/// Here: ssh and its keys, the books and the room for them, staging, the programs that commands call, the clock. On
/// hosts: whether each can be reached and answers, its room and its clock. Of gates: whether their sources answer. Changes
/// nothing on any host and installs nothing.
///
/// Ends with 0 when nothing is wrong, with 2 when groups.yaml is, with 1 when this machine is, with 7 when hosts are, and
/// with 4 when a gate can't be asked.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman doctor\n  pointsman doctor --json")]
pub struct Doctor {}

impl Doctor {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let mut findings = seat.block_on(doctor::machine(&policy))?;
        let store = keeper::open_read_only(&policy);
        let (found, books) = doctor::books(&policy, store.as_ref().map(|store| store as &dyn Store));
        findings.extend(found);
        match seat.deploy() {
            Ok(deploy) => {
                findings.extend(seat.block_on(doctor::hosts(&deploy))?);
                if books.is_some_and(|books| books.wanted().is_some()) {
                    let ill =
                        |host: &HostName| findings.iter().any(|f| f.grade == Grade::Bad && f.hosts.contains(host));
                    let well: BTreeSet<_> = seat.hosts(&policy, None)?.into_iter().filter(|host| !ill(host)).collect();
                    let mut store = seat.books(&policy)?;
                    findings.extend(seat.block_on(doctor::gates(&deploy, &mut store, &well))?);
                }
            }
            Err(error) => {
                findings.push(Finding::bad(Part::Hosts, format!("none can be asked: {error:#}"), "mend what is above"));
            }
        }
        Ok(say(seat, &gathered(findings)))
    }
}

fn say(seat: &Seat, findings: &[Finding]) -> Exit {
    for finding in findings {
        match seat.json {
            true => seat.printer.event("finding", &serde_json::json!(finding)),
            false => seat.printer.data(&text(finding)),
        }
    }
    seat.printer.talk(&summary(findings));
    let bad: BTreeSet<Part> = findings.iter().filter(|f| f.grade == Grade::Bad).map(|f| f.part).collect();
    let elsewhere = |part: &&Part| !matches!(part, Part::Hosts | Part::Gates);
    match (bad.iter().find(elsewhere), bad.contains(&Part::Hosts), bad.is_empty()) {
        (Some(_), ..) => Exit::Ours,
        (None, true, _) => Exit::Stale,
        (None, false, false) => Exit::Paused,
        (None, false, true) => Exit::Done,
    }
}
