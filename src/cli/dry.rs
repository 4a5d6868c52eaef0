//! Dry runs: the same goals and plans, over doors that can only look.

use super::audience::say_stale;
use super::exit::Exit;
use super::seat::Seat;
use super::whole;
use super::wishes::Wishes;
use crate::config::policy::Policy;
use crate::drive::act::Order;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::drive::look::{Look, LookError, Looked};
use crate::model::books::Books;
use crate::model::names::HostName;
use crate::model::protocol::{Level, Observation};
use crate::model::stale::StaleReason;
use crate::plan::assess;
use crate::plan::goal::{Mode, Site};
use crate::plan::hosts::{Plan, plan};
use crate::report;
use crate::report::status::{Look as Seen, StatusView};
use crate::store::Store;
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::Path;

/// Plans by the books and by what the hosts show now.
pub fn run(seat: &Seat, order: &Order<'_>, wishes: &Wishes, junit: Option<&Path>) -> anyhow::Result<Exit> {
    let mut deploy = seat.deploy()?;
    wishes.heed(&mut deploy.policy);
    let books = seat.read_books(&deploy.policy)?.load()?;
    let plan = planned(&deploy.policy, &books, order)?;
    let asked = plan.hosts.iter().map(|(host, part)| (host.clone(), part.prove())).collect();
    let limits = &deploy.policy.limits;
    let look = Look::new(&deploy.fleet, limits.connect_ms_max + limits.command_ms_max);
    let looked = seat.block_on(look.at(&asked, Level::L2))?;
    say(seat, &books, &plan, &looked, junit)
}

/// Plans by what `status --json` wrote.
pub fn offline(
    seat: &Seat,
    file: &Path,
    order: &Order<'_>,
    wishes: &Wishes,
    junit: Option<&Path>,
) -> anyhow::Result<Exit> {
    let mut policy = seat.policy()?;
    wishes.heed(&mut policy);
    let bytes = std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    let view = StatusView::read(&bytes).with_context(|| format!("failed to read {}", file.display()))?;
    let plan = planned(&policy, &view.books, order)?;
    let looked = view.observed.into_iter().filter_map(|(host, seen)| {
        let part = plan.hosts.get(&host)?;
        let looked = match seen {
            // A view has markers, and by them this plan's needs are judged, not those of the moment it was taken.
            Seen::Observed(seen) => Ok(Observation { readiness: assess::unmarked(&seen, &part.prove()), ..*seen }),
            Seen::Failed(fault) => Err(LookError::Fault(fault)),
        };
        Some((host, looked))
    });
    let looked: BTreeMap<HostName, Looked> = looked.collect();
    if !looked.is_empty() {
        seat.printer.talk(&format!("hosts are judged by their markers in {}; no files were compared", file.display()));
    }
    say(seat, &view.books, &plan, &looked, junit)
}

fn planned(policy: &Policy, books: &Books, order: &Order<'_>) -> anyhow::Result<Plan> {
    let by = who();
    let site = Site { policy, books, now: clock::now(), by: &by };
    Ok(plan(site, (order.goal)(site)?, order.only.as_ref())?)
}

fn say(
    seat: &Seat,
    books: &Books,
    plan: &Plan,
    looked: &BTreeMap<HostName, Looked>,
    junit: Option<&Path>,
) -> anyhow::Result<Exit> {
    match seat.json {
        true => seat.printer.event("plan", &report::plan::json(plan)),
        false => seat.printer.data(report::plan::text(plan).trim_end()),
    }
    let stale = stale(books, plan, looked);
    if let Some(file) = junit {
        let xml = report::junit::plan(plan, &stale, &looked.keys().collect()).context("failed to write JUnit XML")?;
        whole::write(file, xml.as_bytes())?;
    }
    if !seat.json {
        say_stale(seat, &stale);
    }
    let unseen = plan.hosts.len() - looked.len();
    if unseen > 0 {
        seat.printer.talk(&format!("{unseen} of {} hosts were not looked at", plan.hosts.len()));
    }
    seat.printer.talk("dry run: nothing was changed");
    Ok(match (stale.is_empty(), plan.goal.mode) {
        (true, _) => Exit::Done,
        (false, Mode::Barrier) => Exit::Stale,
        // What goes back repairs what it can and leaves the rest behind.
        (false, Mode::Each) => Exit::Done,
    })
}

/// Hosts that would stop a forward move, or be repaired or left behind by another.
fn stale(books: &Books, plan: &Plan, looked: &BTreeMap<HostName, Looked>) -> BTreeMap<HostName, StaleReason> {
    let mut stale = BTreeMap::new();
    for (host, looked) in looked {
        let reason = match looked {
            Err(LookError::Fault(fault)) => Some(StaleReason::Fault(fault.clone())),
            Err(LookError::Refused(refusal)) => Some(StaleReason::Refused(refusal.clone())),
            Ok(seen) => {
                let served =
                    books.wanted().filter(|_| plan.goal.mode == Mode::Barrier).map(|w| w.map_of(host).digest());
                let lacking = assess::identity(books, host, seen).or_else(|| assess::readiness(seen));
                lacking.or_else(|| served.and_then(|want| assess::map(seen, want)))
            }
        };
        if let Some(reason) = reason {
            stale.insert(host.clone(), reason);
        }
    }
    stale
}
