//! `report`: one undertaking as one page, for whoever was not there.

use super::exit::Exit;
use super::history::known;
use super::seat::Seat;
use super::whole;
use crate::drive::clock;
use crate::model::ids::RolloutId;
use crate::model::limits::TIMELINE_EVENTS_MAX;
use crate::report::html::case::Case;
use crate::report::html::{Told, page};
use crate::report::timeline::{Mark, Span, Teller};
use crate::store::Store;
use crate::store::sqlstore::SqlStore;
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
        whole::write(&self.html, html(&store, self.id)?.as_bytes())?;
        seat.printer.talk(&format!("{} is written to {}", self.id, self.html.display()));
        Ok(Exit::Done)
    }
}

/// The page of one undertaking.
pub fn html(store: &SqlStore, id: RolloutId) -> anyhow::Result<String> {
    let (rollout, now) = (known(store, id)?, clock::now());
    let before = rollout.from.map(|from| store.snapshot(from)).transpose()?.flatten();
    let after = store.snapshot(rollout.to)?;
    let (mut case, mut teller) = (Case::new(rollout), Teller::new(Span { since: None, until: now }));
    let mut last = 0;
    loop {
        let events = store.events(last, TIMELINE_EVENTS_MAX)?;
        let Some(newest) = events.last() else { break };
        last = newest.seq;
        for event in &events {
            let mark = Mark { seq: event.seq, at: event.at, epoch: event.epoch };
            case.take(mark, event.hash, &event.record);
            teller.take(mark, &event.record);
        }
    }
    let rows = teller.rows();
    Ok(page(Told { case: &case, rows: &rows, before: before.as_ref(), after: after.as_ref(), now }))
}
