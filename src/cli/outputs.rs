//! What checks write for machines beside their words, the same for each of them.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use super::whole;
use crate::report::canary::CanaryView;
use crate::report::{junit, nagios, textfile};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

/// Options of every check.
#[derive(Args)]
pub struct Outputs {
    /// Print one line with perfdata and end with 0, 1, 2 or 3, as a Nagios or Icinga plugin
    #[arg(long)]
    nagios: bool,
    /// Write JUnit XML, one case a host and one a gate
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write metrics for node_exporter's textfile collector; it reads files that end in .prom
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
}

impl Outputs {
    /// Refuses what contradicts itself, before anybody is asked.
    pub fn agree(&self, seat: &Seat) -> anyhow::Result<()> {
        match self.nagios && seat.json {
            true => Err(Usage("--nagios and --json both want stdout".to_owned()).into()),
            false => Ok(()),
        }
    }

    /// Writes what was asked for in files, and says what was found: by `say` to people, or in the line of a plugin.
    pub fn end<T>(
        &self,
        seat: &Seat,
        checked: anyhow::Result<(CanaryView, T)>,
        say: impl FnOnce(&CanaryView, T) -> Exit,
    ) -> anyhow::Result<Exit> {
        let written = checked.and_then(|(view, more)| self.write(&view).map(|()| (view, more)));
        match (written, self.nagios) {
            (Ok((view, _)), true) => {
                seat.printer.raw(&nagios::line(&view));
                Ok(plugin(nagios::state(&view)))
            }
            (Ok((view, more)), false) => Ok(say(&view, more)),
            (Err(error), true) => {
                seat.printer.raw(&nagios::unknown(&format!("{error:#}")));
                Ok(plugin(nagios::State::Unknown))
            }
            (Err(error), false) => Err(error),
        }
    }

    fn write(&self, view: &CanaryView) -> anyhow::Result<()> {
        if let Some(file) = &self.junit {
            whole::write(file, junit::xml(view).context("failed to write JUnit XML")?.as_bytes())?;
        }
        if let Some(file) = &self.prometheus {
            whole::write(file, textfile::text(view).as_bytes())?;
        }
        Ok(())
    }
}

/// The exit code of a plugin, which means something else than ours.
fn plugin(state: nagios::State) -> Exit {
    match state {
        nagios::State::Ok => Exit::Done,
        nagios::State::Warning => Exit::Ours,
        nagios::State::Critical => Exit::Usage,
        nagios::State::Unknown => Exit::Held,
    }
}
