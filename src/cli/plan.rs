//! `plan`: what a playbook would do.

use super::exit::Exit;
use super::run::{Run, variable};
use super::seat::Seat;
use clap::Args;
use std::path::PathBuf;

/// Show every stage of a playbook with its plan, and change nothing: the same as `run --dry-run`
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman plan train --var version=1.27.0-wmf.11")]
pub struct Plan {
    /// The file, or the name of one in playbooks/ beside groups.yaml
    playbook: PathBuf,
    /// The value of a variable; may be said again for another
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
}

impl Plan {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        Run::dry(self.playbook, self.vars).run(seat)
    }
}
