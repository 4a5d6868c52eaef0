//! `books`: what becomes of books that are lost.

use super::exit::Exit;
use super::seat::Seat;
use crate::drive::salvage;
use clap::{Args, Subcommand};

/// The books: made anew when they are lost
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman books rebuild --dry-run\n  pointsman books rebuild")]
pub struct Books {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make lost, damaged or outdated books anew from what the hosts keep
    ///
    /// Every host keeps its last two confirmed states, and whom it obeys. What most of them serve becomes the wanted state
    /// and what they served before the one that a rollback goes to; the books begin above the highest plausible command that
    /// any host obeyed. Nothing changes on any host. What hosts do not keep is lost: history, holds, blockers, owed hosts.
    /// So a hold stops forward moves until a person releases it.
    ///
    /// Books that can be read and know all that the hosts obeyed are never replaced; what is replaced is set aside.
    Rebuild {
        /// Show what would be written; change not one byte
        #[arg(long)]
        dry_run: bool,
    },
}

impl Books {
    /// Whether it changes nothing.
    pub(super) fn looks(&self) -> bool {
        let Command::Rebuild { dry_run } = self.command;
        dry_run
    }

    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let Command::Rebuild { dry_run } = self.command;
        let deploy = seat.deploy()?;
        let found = seat.block_on(salvage::look(&deploy))??;
        let talk = |line: &str| seat.printer.talk(line);
        found.lines().iter().for_each(|line| talk(line));
        if dry_run {
            salvage::replaceable(&deploy, &found)?;
            talk("dry run: nothing was changed");
            return Ok(Exit::Done);
        }
        let epoch = salvage::rebuild(&deploy, &found, seat.firm())?;
        seat.printer.data(&format!("the books were rebuilt; they begin with epoch {epoch}"));
        if found.has_a_way_back().is_ok() {
            talk(&format!("  hint: pointsman rollback --to {} goes to what was served before", salvage::BEFORE));
        }
        talk("  hint: pointsman check, then pointsman converge brings every host to the state above");
        talk("        pointsman release, once the holds and blockers of before are set again");
        Ok(Exit::Done)
    }
}
