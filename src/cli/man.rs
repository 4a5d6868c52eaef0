//! `man`: manual pages, from the same words as `--help`.

use super::Cli;
use super::exit::Exit;
use super::seat::Seat;
use anyhow::Context;
use clap::{Args, CommandFactory};
use std::path::PathBuf;

/// Write manual pages, one a command, into a directory
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman man man1\n\nThen:  man -l man1/pointsman-rollback.1")]
pub struct Man {
    /// Where to; made when it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let shown = self.directory.display();
        std::fs::create_dir_all(&self.directory).with_context(|| format!("failed to make {shown}"))?;
        clap_mangen::generate_to(Cli::command(), &self.directory)
            .with_context(|| format!("failed to write manual pages to {shown}"))?;
        seat.printer.talk(&format!("the manual pages are in {shown}"));
        Ok(Exit::Done)
    }
}
