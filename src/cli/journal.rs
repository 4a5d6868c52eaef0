//! `journal`: the chain of records.

use super::exit::Exit;
use super::seat::Seat;
use crate::store::Store;
use clap::{Args, Subcommand};

/// The chain of records in the books
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman journal verify")]
pub struct Journal {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Recompute the hash chain and name the first record that was tampered with
    Verify,
}

impl Journal {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let Command::Verify = self.command;
        let verified = seat.read_books(&seat.policy()?)?.verify()?;
        seat.printer.data(&format!("{} events, head {}", verified.events, verified.head));
        Ok(Exit::Done)
    }
}
