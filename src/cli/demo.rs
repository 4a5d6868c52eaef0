//! `demo`: the incident, on an embedded fleet.

use super::exit::Exit;
use super::seat::Seat;
use clap::Args;

/// Walk through the incident on an embedded fleet of a dozen local hosts
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman demo")]
pub struct Demo {}

impl Demo {
    /// Runs the command.
    pub fn run(self, _seat: &Seat) -> anyhow::Result<Exit> {
        anyhow::bail!("not there yet")
    }
}
