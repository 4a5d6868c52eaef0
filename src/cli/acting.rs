//! What all commands that act share: their options, the run, and how its outcome is said.

use super::audience::Terminal;
use super::dry;
use super::ended::say;
use super::exit::Exit;
use super::seat::Seat;
use super::watch;
use super::wishes::Wishes;
use crate::drive::act::{Ended, Order, act};
use crate::drive::deploy::Deploy;
use clap::Args;
use std::path::PathBuf;

/// Options of every command that acts.
#[derive(Args)]
pub struct Acting {
    /// Show what would happen; change not one byte, on no host and not in the books
    #[arg(long)]
    pub dry_run: bool,
    /// Plan offline from what `status --json` wrote, with neither hosts nor books; implies --dry-run
    #[arg(long, value_name = "FILE")]
    pub view: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Take the lock from whoever holds it
    #[arg(long)]
    pub take_over: bool,
}

impl Acting {
    /// Whether nothing may change.
    pub fn dry(&self) -> bool {
        self.dry_run || self.view.is_some()
    }
}

/// Carries out an order, or shows what it would do.
pub fn run(seat: &Seat, acting: &Acting, order: Order<'_>) -> anyhow::Result<Exit> {
    run_with(seat, acting, order, &Wishes::default())
}

/// The same, with wishes.
pub fn run_with(seat: &Seat, acting: &Acting, mut order: Order<'_>, wishes: &Wishes) -> anyhow::Result<Exit> {
    if let Some(file) = &acting.view {
        return dry::offline(seat, file, &order, wishes);
    }
    if acting.dry_run {
        return dry::run(seat, &order, wishes);
    }
    let mut deploy = seat.deploy()?;
    wishes.heed(&mut deploy.policy);
    order.take_over |= acting.take_over;
    let ended = carry_out(seat, &deploy, acting.yes, &order)?;
    watch::after(seat, &deploy, ended, wishes.detach)
}

/// Carries out an order and says how it ended.
pub fn carry_out(seat: &Seat, deploy: &Deploy, yes: bool, order: &Order<'_>) -> anyhow::Result<Ended> {
    let mut store = match order.take_over {
        true => seat.books_firmly(&deploy.policy)?,
        false => seat.books(&deploy.policy)?,
    };
    let mut terminal = Terminal::new(seat, yes);
    let ended = seat.block_on(act(deploy, &mut store, &mut terminal, order));
    drop(terminal);
    let ended = ended??;
    say(seat, &ended, &store)?;
    Ok(ended)
}
