//! `config`: checks groups.yaml, and tells editors its schema.

use super::exit::Exit;
use super::seat::Seat;
use crate::model::words::count;
use clap::{Args, Subcommand};

/// Check groups.yaml, or print its JSON Schema
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman config check\n  pointsman config schema > groups.schema.json")]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read groups.yaml and every dblist, and report all mistakes with line and column
    Check,
    /// Print the JSON Schema of groups.yaml, so that editors complete it
    Schema,
}

impl Config {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        match self.command {
            Command::Schema => seat.printer.raw(crate::config::schema().trim_end()),
            Command::Check => {
                let policy = seat.policy()?;
                let groups: Vec<String> =
                    policy.groups.iter().map(|g| format!("{} {}", g.name, count(g.wikis.len(), "wiki"))).collect();
                let hosts = count(policy.hosts.len(), "host");
                seat.printer.data(&format!("{}: {hosts}; {}", policy.file.display(), groups.join(", ")));
            }
        }
        Ok(Exit::Done)
    }
}
