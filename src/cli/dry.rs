//! Dry runs: the same goals and plans, over doors that can only look.

use super::acting::Acting;
use super::audience::say_stale;
use super::exit::Exit;
use super::rights;
use super::seat::Seat;
use super::whole;
use super::wishes::Wishes;
use crate::config::policy::Policy;
use crate::drive::act::Order;
use crate::drive::deploy::who;
use crate::drive::estimate::{self, Known};
use crate::drive::look::{Look, LookError, Looked};
use crate::drive::staging::Taken;
use crate::drive::{clock, deploy::Deploy, signing};
use crate::model::books::Books;
use crate::model::component::Component;
use crate::model::names::HostName;
use crate::model::protocol::{Level, Observation};
use crate::model::stale::StaleReason;
use crate::plan::assess;
use crate::plan::facts::{self, ContentChange, Facts, FileCounts, Past};
use crate::plan::goal::{Blocked, Mode, Site};
use crate::plan::hosts::{Plan, plan};
use crate::plan::saved::{Basis, Planned, Playbook};
use crate::report;
use crate::report::status::{Look as Seen, StatusView};
use crate::store::Store;
use anyhow::Context;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// Where what was shown is put for whoever saves it.
pub type Kept = Rc<RefCell<Shown>>;

/// What was shown.
#[derive(Default)]
pub struct Shown {
    /// What it was made from.
    pub basis: Option<Basis>,
    /// The first plan; its line is for whoever knows it.
    pub planned: Option<Planned>,
    /// The playbook that it is of.
    pub playbook: Option<Playbook>,
    /// Whether anything would change.
    pub changes: bool,
}

/// What a plan is made from, and what was seen beside it.
struct Sight<'a> {
    policy: &'a Policy,
    books: &'a Books,
    looked: BTreeMap<HostName, Looked>,
    deploy: Option<&'a Deploy>,
    past: Option<Past>,
}

/// Plans by the books and by what the hosts show now, or by what `status --json` wrote.
pub fn run(seat: &Seat, acting: &Acting, order: &Order<'_>, wishes: &Wishes, taken: &[Taken]) -> anyhow::Result<Exit> {
    if let Some(file) = &acting.view {
        return offline(seat, file, acting, order, wishes, taken);
    }
    let mut deploy = seat.deploy()?;
    wishes.heed(&mut deploy.policy);
    let store = seat.read_books(&deploy.policy)?;
    let books = store.load()?;
    let plan = planned(&deploy.policy, &books, order)?;
    let asked = plan.hosts.iter().map(|(host, part)| (host.clone(), part.prove())).collect();
    let limits = &deploy.policy.limits;
    let look = Look::new(&deploy.fleet, limits.contact_ms_max());
    let looked = seat.block_on(look.at(&asked, Level::L2))?;
    let past = Some(estimate::past(&store, &books, plan.goal.rollout.kind)?);
    let sight = Sight { policy: &deploy.policy, books: &books, looked, deploy: Some(&deploy), past };
    say(seat, acting, order, plan, &sight, taken)
}

fn offline(
    seat: &Seat,
    file: &Path,
    acting: &Acting,
    order: &Order<'_>,
    wishes: &Wishes,
    taken: &[Taken],
) -> anyhow::Result<Exit> {
    let mut policy = seat.policy()?;
    wishes.heed(&mut policy);
    let view = view(file)?;
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
    let sight = Sight { policy: &policy, books: &view.books, looked, deploy: None, past: None };
    say(seat, acting, order, plan, &sight, taken)
}

/// What `status --json` wrote.
pub fn view(file: &Path) -> anyhow::Result<StatusView> {
    let bytes = std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    StatusView::read(&bytes).with_context(|| format!("failed to read {}", file.display()))
}

/// The books that a command plans by: those of the view where there is one.
pub fn books(seat: &Seat, policy: &Policy, view: Option<&Path>) -> anyhow::Result<Books> {
    match view {
        Some(file) => Ok(self::view(file)?.books),
        None => Ok(seat.read_books(policy)?.load()?),
    }
}

/// The plan of an order by these books, which asks no host.
pub fn planned(policy: &Policy, books: &Books, order: &Order<'_>) -> Result<Plan, Blocked> {
    let by = who();
    let site = Site { policy, books, now: clock::now(), by };
    plan(site, (order.goal)(site)?, order.only.as_ref())
}

fn say(
    seat: &Seat,
    acting: &Acting,
    order: &Order<'_>,
    mut plan: Plan,
    sight: &Sight<'_>,
    taken: &[Taken],
) -> anyhow::Result<Exit> {
    estimate::expect(&mut plan, &sight.looked);
    let stale = stale(sight.books, &plan, &sight.looked);
    let facts = facts(order, &plan, sight, taken, stale.len());
    match seat.json {
        true => seat.printer.event("plan", &report::plan::json(&plan, &facts)),
        false => seat.printer.data(report::plan::text(&plan, Some(&facts)).trim_end()),
    }
    if let Some(file) = &acting.junit {
        let looked = sight.looked.keys().collect();
        let xml = report::junit::plan(&plan, &stale, &looked).context("failed to write JUnit XML")?;
        whole::write(file, xml.as_bytes())?;
    }
    if !seat.json {
        let moved = |component: &Component| facts.content.iter().any(|change| change.component == *component);
        // That hosts lack what this brings to all of them needs no line for each.
        let told = |reason: &StaleReason| match reason {
            StaleReason::NotReady(lacking) => !lacking.iter().all(|(component, _)| moved(component)),
            _ => true,
        };
        let told = stale.iter().filter(|(_, reason)| told(reason));
        say_stale(seat, &told.map(|(host, reason)| (host.clone(), reason.clone())).collect());
    }
    if let Some(Err(unsigned)) = sight.deploy.map(|deploy| signing::check(deploy, sight.books, &plan.goal)) {
        seat.printer.talk(&format!("warning: as things are this will be refused: {unsigned}"));
        unsigned.hint.iter().for_each(|hint| seat.printer.talk(&format!("  hint: {hint}")));
    }
    let unseen = plan.hosts.len() - sight.looked.len();
    if unseen > 0 {
        seat.printer.talk(&format!("{unseen} of {} hosts were not looked at", plan.hosts.len()));
    }
    seat.printer.talk("dry run: nothing was changed");
    let exit = match (stale.is_empty(), plan.goal.mode) {
        (true, _) => Exit::Done,
        (false, Mode::Barrier) => Exit::Stale,
        // What goes back repairs what it can and leaves the rest behind.
        (false, Mode::Each) => Exit::Done,
    };
    let lacks = rights::lacks(seat, sight.policy, order, &plan.goal);
    // What is saved may be for somebody else.
    let exit = if lacks && acting.kept.is_none() { Exit::Refused } else { exit };
    if let Some(kept) = &acting.kept {
        let mut kept = kept.borrow_mut();
        kept.changes |= facts.changes;
        kept.basis.get_or_insert_with(|| Basis::of(sight.policy, sight.books));
        kept.planned.get_or_insert(Planned { line: Vec::new(), plan, facts });
    }
    Ok(exit)
}

fn facts(order: &Order<'_>, plan: &Plan, sight: &Sight<'_>, taken: &[Taken], stale: usize) -> Facts {
    let by = who();
    let site = Site { policy: sight.policy, books: sight.books, now: clock::now(), by };
    let staged = taken.iter().map(|taken| (taken.id, &taken.manifest)).collect();
    let known = Known { staged, store: sight.deploy.map(|deploy| &deploy.content) };
    let files = |change: ContentChange| {
        let taken = taken.iter().find(|taken| taken.component == change.component && Some(taken.id) == change.to);
        ContentChange { files: taken.map(counts), ..change }
    };
    Facts {
        content: facts::content(sight.books, &plan.goal).into_iter().map(files).collect(),
        load: estimate::load(&known, plan, &sight.looked),
        rollback: facts::rollback(site, &plan.goal),
        past: sight.past,
        overruled: order.overruled.clone(),
        changes: facts::changes_anything(sight.books, plan, stale),
    }
}

/// How many files of what was taken are others than are wanted so far.
pub fn counts(taken: &Taken) -> FileCounts {
    let diff = &taken.diff;
    FileCounts { added: diff.added.len(), changed: diff.changed.len(), removed: diff.removed.len() }
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
