//! `blocker`: what stops every further group.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::books::Record;
use crate::model::health::HealthRecord;
use crate::model::names::Version;
use crate::report::escape::Untrusted;
use crate::report::events::Event;
use crate::store::Store;
use clap::{Args, Subcommand};

/// Things that stop every further group until a person closes them
///
/// A signature gate that fails for the release opens one by itself. `promote --accept ID=REASON` goes on in spite of
/// one, once.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman blocker add T124143 -m 'sessions are lost on logout'\n  pointsman blocker list"
)]
pub struct Blocker {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Open one
    Add {
        /// Its id, as your tracker has it: letters, digits, `-` and `_`
        #[arg(value_parser = id)]
        id: String,
        /// What is wrong
        #[arg(short, long, value_name = "MSG")]
        message: String,
        /// With which version
        #[arg(long)]
        version: Option<Version>,
    },
    /// Close one
    Close {
        /// Its id
        id: String,
        /// Why it stops nothing any more
        #[arg(short, long, value_name = "MSG")]
        message: String,
    },
    /// List those that are open
    List,
}

/// An id that is safe in a line and as an argument.
fn id(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !text.is_empty() && text.len() <= 64 && !text.starts_with('-') && text.chars().all(legal) {
        true => Ok(text.to_owned()),
        false => Err("at most 64 letters, digits, `-` and `_`, not beginning with `-`".to_owned()),
    }
}

impl Blocker {
    /// Whether it changes nothing.
    pub(super) fn looks(&self) -> bool {
        matches!(self.command, Command::List)
    }

    /// Whether something is stopped no longer.
    pub(super) fn closes(&self) -> bool {
        matches!(self.command, Command::Close { .. })
    }

    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let record = match self.command {
            Command::List => return list(seat),
            Command::Add { id, message: text, version } => {
                HealthRecord::Blocked { id, by: who().to_owned(), text, version }
            }
            Command::Close { id, message: reason } => {
                if !seat.read_books(&policy)?.load()?.health.blockers.contains_key(&id) {
                    return Err(Usage(format!("no blocker {id} is open; pointsman blocker list")).into());
                }
                HealthRecord::Unblocked { id, by: who().to_owned(), reason }
            }
        };
        let said = match &record {
            HealthRecord::Unblocked { id, .. } => format!("{id} is closed"),
            HealthRecord::Blocked { id, .. } => {
                format!("{id} stops every further promotion; pointsman blocker close {id} -m WHY ends that")
            }
            _ => String::new(),
        };
        let mut store = seat.books(&policy)?;
        let epoch = store.load()?.epoch;
        store.note(clock::now(), epoch, &[Record::Health(record)])?;
        seat.printer.talk(&said);
        Ok(Exit::Done)
    }
}

fn list(seat: &Seat) -> anyhow::Result<Exit> {
    let books = seat.read_books(&seat.policy()?)?.load()?;
    for (id, blocker) in &books.health.blockers {
        match seat.json {
            true => seat.event(&Event::Blocker { id: id.clone(), blocker: blocker.clone() }),
            false => {
                let version = blocker.version.as_ref().map(|version| format!(" ({version})")).unwrap_or_default();
                let text = Untrusted(&blocker.text);
                let (by, when) = (Untrusted(&blocker.by), blocker.since.since(clock::now()));
                seat.printer.data(&format!("{id}{version}: {text} ({by}, {when})"));
            }
        }
    }
    if books.health.blockers.is_empty() {
        seat.printer.talk("no blocker is open");
    }
    Ok(Exit::Done)
}
