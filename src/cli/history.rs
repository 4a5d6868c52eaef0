//! `history` and `show`: what was done, by effect.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::model::ids::RolloutId;
use crate::report;
use crate::store::Store;
use clap::Args;

/// What was done, newest first: one line of effect each
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman history -n 5")]
pub struct History {
    /// How many
    #[arg(short, default_value_t = 20)]
    n: usize,
}

/// One undertaking in full
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman show r12")]
pub struct Show {
    /// Which, as `history` names it
    id: RolloutId,
}

impl History {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let rollouts = seat.read_books(&seat.policy()?)?.rollouts(self.n)?;
        match seat.json {
            true => seat.printer.data(&report::history::json(&rollouts).to_string()),
            false => seat.printer.data(report::history::text(&rollouts).trim_end()),
        }
        Ok(Exit::Done)
    }
}

impl Show {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let store = seat.read_books(&seat.policy()?)?;
        let Some(rollout) = store.rollout(self.id)? else {
            return Err(Usage(format!("the books have no {}; pointsman history lists what they have", self.id)).into());
        };
        let (after, steps) = (store.snapshot(rollout.to)?, store.steps(self.id)?);
        let health = store.load()?.health;
        let (after, gates) = (after.as_ref(), health.gates.get(&self.id));
        match seat.json {
            true => seat.printer.data(&report::history::show_json(&rollout, after, &steps, gates).to_string()),
            false => seat.printer.data(report::history::show(&rollout, after, &steps, gates).trim_end()),
        }
        Ok(Exit::Done)
    }
}
