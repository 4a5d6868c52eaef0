//! `journal`: the chain of records.

use super::exit::Exit;
use super::seat::Seat;
use crate::store::Store;
use clap::{Args, Subcommand};

/// The chain of records in the books
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman journal verify\n  pointsman journal verify --noted 57:1f0c6a2b93de")]
pub struct Journal {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Recompute the hash chain and name the first record that was tampered with
    ///
    /// Every event, every row that was computed from events, and the end of the chain are compared with their sums. Books
    /// whose last events were removed by somebody who computed the sums anew have a chain that is whole: only an end that
    /// was noted elsewhere tells them. Each command that acts says where its journal ends; --noted takes that.
    Verify {
        /// An end that a command said: the number of events and the first digits of the head
        #[arg(long, value_name = "EVENTS:HEAD", value_parser = noted)]
        noted: Option<(u64, String)>,
    },
}

/// `EVENTS:HEAD`, at least 8 digits of the head.
fn noted(text: &str) -> Result<(u64, String), String> {
    let (events, head) = text.split_once(':').ok_or("it is the number of events, `:` and the head")?;
    let plain = (8..=64).contains(&head.len()) && head.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match (events.parse(), plain) {
        (Ok(events), true) => Ok((events, head.to_owned())),
        (Err(_), _) => Err("before the `:` there is the number of events".to_owned()),
        (_, false) => Err("the head is 8 to 64 hexadecimal digits".to_owned()),
    }
}

impl Journal {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let Command::Verify { noted } = self.command;
        let books = seat.read_books(&seat.policy()?)?;
        let verified = books.verify()?;
        if let Some((events, head)) = noted {
            let there = books.events(events.saturating_sub(1), 1)?.pop();
            let same = there.is_some_and(|event| event.seq == events && event.hash.to_string().starts_with(&head));
            let why = "they were cut short, or written anew; pointsman timeline says what they have";
            anyhow::ensure!(same, "the books are not those that ended with event {events} and {head}: {why}");
        }
        seat.printer.data(&format!("{} events, head {}", verified.events, verified.head));
        Ok(Exit::Done)
    }
}
