//! `report`: one undertaking as one page, for whoever was not there.

use super::exit::Exit;
use super::history::known;
use super::seat::Seat;
use super::whole;
use crate::board::reading;
use crate::drive::clock;
use crate::model::ids::RolloutId;
use clap::Args;
use std::path::PathBuf;

/// One undertaking as one page for a browser: what was asked, what happened, and why
///
/// Reads the books only. The page needs nothing else: no scripts, nothing from the network. It looks well on paper and in
/// dark mode, and may be mailed. It has what people typed and what hosts logged: read it before it leaves the house.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman report r12 --html r12.html")]
pub struct Report {
    /// Which, as `history` names it
    id: RolloutId,
    /// Where the page goes; what is there is replaced whole
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

impl Report {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let store = seat.read_books(&seat.policy()?)?;
        let rollout = known(&store, self.id)?;
        whole::write(&self.html, reading::report(&store, rollout, clock::now())?.as_bytes())?;
        seat.printer.talk(&format!("{} is written to {}", self.id, self.html.display()));
        Ok(Exit::Done)
    }
}
