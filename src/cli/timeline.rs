//! `timeline`: what happened, out of the journal, for a post-mortem.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::{Usage, When};
use crate::drive::clock;
use crate::report::timeline::{self, Mark, Span, Teller};
use crate::store::events_after;
use clap::Args;

/// What happened, as Markdown for a post-mortem: effects, verdicts with their evidence, decisions of people
///
/// Reads the journal only. What was begun and did not end is said to be so, and never shown as done.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman timeline --since 3h\n  pointsman timeline --since 2016-01-23T01:16:00Z --until 2016-01-23T02:00:00Z > incident.md"
)]
pub struct Timeline {
    /// From when: 2016-01-23, 2016-01-23T01:16:00Z, or 3h ago [default: the beginning of the journal]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
}

impl Timeline {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let now = clock::now();
        let until = self.until.map_or(now, |until| until.at(now));
        let since = self.since.map(|since| since.at(now));
        if let Some(since) = since.filter(|since| *since > until) {
            return Err(Usage(format!("--since {since} is later than --until {until}")).into());
        }
        let span = Span { since, until };
        let store = seat.read_books(&seat.policy()?)?;
        let mut teller = Teller::new(span);
        for event in events_after(&store, 0) {
            let event = event?;
            teller.take(Mark::from(&event), &event.record);
        }
        let rows = teller.rows();
        match seat.json {
            true => seat.printer.data(&timeline::json(&rows, span).to_string()),
            false => seat.printer.raw(timeline::text(&rows, span).trim_end()),
        }
        Ok(Exit::Done)
    }
}
