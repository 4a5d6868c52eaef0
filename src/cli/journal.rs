//! `journal`: the chain of records.

use super::exit::Exit;
use super::seat::Seat;
use super::sign;
use crate::drive::signing;
use crate::model::signed::{JOURNAL_NAMESPACE, journal_end, journal_text};
use crate::store::Store;
use crate::store::sqlstore::SqlStore;
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The chain of records in the books
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman journal verify\n  pointsman journal verify --noted 57:1f0c6a2b93de\n  pointsman journal head > head &&\n    ssh-keygen -Y sign -n pointsman-journal -f ~/.ssh/id_ed25519 head\n  pointsman journal verify --head head --signature head.sig --allowed-signers signers"
)]
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
        /// An end that was signed: what `journal head` said then
        #[arg(long, value_name = "FILE", requires_all = ["signature", "allowed_signers"], conflicts_with = "noted")]
        head: Option<PathBuf>,
        /// Its signature by ssh-keygen
        #[arg(long, value_name = "FILE", requires = "head")]
        signature: Option<PathBuf>,
        /// Who may have signed it, as in ssh-keygen(1)
        #[arg(long, value_name = "FILE", requires = "head")]
        allowed_signers: Option<PathBuf>,
    },
    /// Say where the journal ends, in a form to be signed
    ///
    /// Whoever can write the books and all notes beside them can write a whole new journal, but none that fits an end which
    /// somebody signed. Sign it with `ssh-keygen -Y sign -n pointsman-journal` and keep both files elsewhere.
    Head,
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
        let books = seat.read_books(&seat.policy()?)?;
        let verified = books.verify()?;
        let Command::Verify { noted, head, signature, allowed_signers } = self.command else {
            seat.printer.data(journal_text(verified.events, &verified.head).trim_end());
            return Ok(Exit::Done);
        };
        if let Some((events, head)) = noted {
            has_had(&books, events, &head)?;
        }
        if let (Some(head), Some(signature), Some(signers)) = (head, signature, allowed_signers) {
            let text = sign::read(&head)?;
            let (events, end) = journal_end(&text)
                .with_context(|| format!("{} is not what pointsman journal head says", head.display()))?;
            let who = signing::is_allowed(&text, &signature, JOURNAL_NAMESPACE, &signers)?;
            has_had(&books, events, &end.to_string())?;
            seat.printer.talk(&format!("{who} signed the first {events} events"));
        }
        seat.printer.data(&format!("{} events, head {}", verified.events, verified.head));
        Ok(Exit::Done)
    }
}

/// Sees that the books once ended with this event and a head that begins so.
fn has_had(books: &SqlStore, events: u64, head: &str) -> anyhow::Result<()> {
    let there = books.events(events.saturating_sub(1), 1)?.pop();
    let same = there.is_some_and(|event| event.seq == events && event.hash.to_string().starts_with(head));
    let why = "they were cut short, or written anew; pointsman timeline says what they have";
    anyhow::ensure!(same, "the books are not those that ended with event {events} and {head}: {why}");
    Ok(())
}
