//! What all commands that act share: their options, the run, and how its outcome is said.

use super::apply;
use super::audience::Terminal;
use super::dry;
use super::ended::say;
use super::exit::Exit;
use super::rights;
use super::seat::Seat;
use super::staged::Staged;
use super::usage::Usage;
use super::watch;
use super::wishes::Wishes;
use crate::drive::act::{ActError, Ended, Order, act};
use crate::drive::deploy::Deploy;
use crate::drive::trace;
use crate::plan::goal::Why;
use crate::plan::permit;
use crate::plan::saved::Saved;
use crate::store::Store;
use clap::Args;
use std::path::PathBuf;
use std::rc::Rc;

/// Options of every command that acts.
#[derive(Args)]
pub struct Acting {
    /// Show what would happen; change not one byte, on no host and not in the books
    #[arg(long)]
    pub dry_run: bool,
    /// Plan offline from what `status --json` wrote, with neither hosts nor books; implies --dry-run
    #[arg(long, value_name = "FILE")]
    pub view: Option<PathBuf>,
    /// With --dry-run or --view: write JUnit XML, one case a host that would take part
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Take the lock from whoever holds it
    #[arg(long)]
    pub take_over: bool,
    /// Where a dry run puts the plan that it shows.
    #[arg(skip)]
    pub kept: Option<dry::Kept>,
    /// The saved plan that is carried out, and nothing else.
    #[arg(skip)]
    pub saved: Option<Rc<Saved>>,
}

impl Acting {
    /// Whether nothing may change.
    pub fn dry(&self) -> bool {
        self.dry_run || self.view.is_some()
    }

    /// Whether staging is only looked at, at first.
    pub fn looks_first(&self) -> bool {
        self.dry() || self.saved.is_some()
    }
}

/// Carries out an order, or shows what it would do.
pub fn run(seat: &Seat, acting: &Acting, order: Order<'_>) -> anyhow::Result<Exit> {
    run_with(seat, acting, order, &Wishes::default(), &Staged::nothing())
}

/// The same, with wishes, and about content of staging.
pub fn run_with(
    seat: &Seat,
    acting: &Acting,
    order: Order<'_>,
    wishes: &Wishes,
    staged: &Staged<'_>,
) -> anyhow::Result<Exit> {
    if acting.dry() {
        return dry::run(seat, acting, &order, wishes, staged.taken);
    }
    if acting.junit.is_some() {
        return Err(Usage("--junit is about a plan: it needs --dry-run or --view".to_owned()).into());
    }
    let mut deploy = seat.deploy()?;
    wishes.heed(&mut deploy.policy);
    let take_over = order.take_over || acting.take_over;
    let order = Order { take_over, saved: acting.saved.as_deref(), ..order };
    if let Some(saved) = order.saved {
        apply::unchanged(seat, &deploy, &order, saved)?;
        if !apply::agreed(seat, saved, acting.yes)? {
            return Ok(Exit::Paused);
        }
        (staged.keep)()?;
    }
    let ended = carry_out(seat, &deploy, acting.yes, order)?;
    watch::after(seat, &deploy, ended, wishes.detach)
}

/// Carries out an order of whoever runs this and says how it ended.
pub fn carry_out(seat: &Seat, deploy: &Deploy, yes: bool, order: Order<'_>) -> anyhow::Result<Ended> {
    let order = Order { by: rights::person_of(&deploy.policy), ..order };
    if order.take_over {
        before_taking(seat, deploy, &order)?;
    }
    let mut store = match order.take_over {
        true => seat.books_firmly(&deploy.policy)?,
        false => seat.books(&deploy.policy)?,
    };
    let mut terminal = Terminal::new(seat, yes);
    let planned = order.saved.and_then(|saved| saved.planned.as_ref());
    terminal.facts = planned.map(|planned| planned.facts.clone());
    let ended = seat.block_on(act(deploy, &mut store, &mut terminal, &order));
    // What stays of the last wave comes before how it ended.
    drop(terminal);
    let ended = match ended? {
        Err(ActError::Blocked(blocked)) if blocked.why == Why::NoRight => {
            return Err(rights::refused(seat, &deploy.policy, blocked));
        }
        ended => ended?,
    };
    say(seat, &ended, &store)?;
    if let Err(error) = seat.block_on(trace::send(&store, ended.plan.goal.rollout.id))? {
        seat.printer.talk(&format!("warning: its trace was not sent: {error}"));
    }
    Ok(ended)
}

/// Nobody loses the lock to somebody who may not do what it is taken for. Books that can't be read are no reason to stop here.
fn before_taking(seat: &Seat, deploy: &Deploy, order: &Order<'_>) -> anyhow::Result<()> {
    let Some(person) = &order.by else { return Ok(()) };
    let Some(books) = seat.read_books(&deploy.policy).and_then(|store| Ok(store.load()?)).ok() else { return Ok(()) };
    let Ok(plan) = dry::planned(&deploy.policy, &books, order) else { return Ok(()) };
    let may = permit::order(&deploy.policy, person, &plan.goal, (&order.beside, &order.overruled));
    may.map_err(|blocked| rights::refused(seat, &deploy.policy, blocked))
}
