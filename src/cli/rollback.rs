//! `rollback`, also `revert`: everything back with one command.

use super::acting::{self, Acting};
use super::exit::Exit;
use super::seat::Seat;
use super::staged::Staged;
use super::wishes::Wishes;
use super::words::Words;
use crate::drive::act::Order;
use crate::drive::salvage;
use crate::model::ids::SnapshotId;
use crate::model::names::Group;
use crate::plan::back::{self, Scope};
use clap::Args;

/// Take everything back to the recorded state before
///
/// Without arguments every group of the version last promoted goes back to the state before that version's first
/// promotion; a second rollback finishes the first. It takes the lock from whoever holds it and waits for nobody:
/// hosts that are ready flip at once, others are repaired beside them, and what can't be reached is named and owed
/// (code 8). Pins that were lost come back, pins made since stay. Afterwards a hold stops forward moves.
#[derive(Args)]
#[command(
    visible_alias = "revert",
    after_help = "Example:\n  pointsman rollback\n  pointsman rollback group1 -m '5xx since 19:41'\n  pointsman rollback --to s12 -m 'back to Monday'\n  pointsman rollback --from-fleet -m 'the books are lost'"
)]
pub struct Rollback {
    /// One group only
    #[arg(conflicts_with_all = ["to", "from_fleet"])]
    pub(super) group: Option<Group>,
    /// A recorded state by name (see `history`)
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "from_fleet")]
    to: Option<SnapshotId>,
    /// Without books: rebuild them from what the hosts keep, then go back to the map before the one they serve
    #[arg(long)]
    pub(super) from_fleet: bool,
    /// Time for repairing hosts that are not ready, s [default: limits.repair_budget_ms_max]
    #[arg(long, value_name = "SECONDS")]
    repair_budget: Option<u32>,
    /// Why, for the log line and the hold
    #[arg(short, long, value_name = "MSG", default_value = "rollback")]
    message: String,
    #[command(flatten)]
    pub(super) acting: Acting,
}

impl Rollback {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if self.from_fleet {
            let deploy = seat.deploy()?;
            let found = seat.block_on(salvage::look(&deploy))??;
            found.has_a_way_back()?;
            found.lines().iter().for_each(|line| seat.printer.talk(line));
            if self.acting.dry() {
                seat.printer.talk("dry run: nothing was changed");
                return Ok(Exit::Done);
            }
            salvage::rebuild(&deploy, &found, seat.firm())?;
        }
        let to = if self.from_fleet { Some(salvage::BEFORE) } else { self.to };
        let scope = match (&self.group, to) {
            (Some(group), _) => Scope::Group(group.clone()),
            (None, Some(snapshot)) => Scope::To(snapshot),
            (None, None) => Scope::Last,
        };
        let goal = |site: crate::plan::goal::Site<'_>| back::rollback(site, &scope, &self.message);
        let order = Order { take_over: true, ..Order::new(format!("rollback: {}", self.message), &goal) };
        let repair_budget_ms = self.repair_budget.map(|seconds| u64::from(seconds) * 1000);
        let wishes = Wishes { repair_budget_ms, ..Wishes::default() };
        acting::run_with(seat, &self.acting, order, &wishes, &Staged::nothing())
    }

    /// The command as words.
    pub fn words(&self) -> Vec<String> {
        let Self { group, to, from_fleet, repair_budget, message, acting: _ } = self;
        let words = Words::new("rollback").plain(group.as_ref()).options("to", to).flag("from-fleet", *from_fleet);
        words.options("repair-budget", repair_budget).options("message", Some(message)).last(None::<String>)
    }
}
