//! `abort`: a playbook ends.

use super::exit::Exit;
use super::playbook::{Player, unfinished};
use super::seat::Seat;
use super::usage::Usage;
use crate::config::playbook::parse;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::books::Record;
use crate::model::ids::PlaybookId;
use crate::model::playbook::{PlaybookRecord, PlaybookStatus};
use crate::store::Store;
use clap::Args;

/// End a playbook: no new step is begun
///
/// A command that is under way in its process is not cut off. With --rollback what the playbook moved is taken back,
/// newest first, at once; that takes the lock over from its process. After an interruption `resume` goes on going back.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman abort p3\n  pointsman abort --rollback -m 'sessions are lost'")]
pub struct Abort {
    /// The run, like p3 [default: the only one that is not finished]
    id: Option<PlaybookId>,
    /// Take back what it moved
    #[arg(long)]
    pub(super) rollback: bool,
    /// Why, for the books
    #[arg(short, long, value_name = "MSG", default_value = "aborted")]
    message: String,
}

impl Abort {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let mut store = seat.books(&policy)?;
        let run = unfinished(&store.load()?, self.id)?;
        let id = run.id;
        if !self.rollback && run.status == PlaybookStatus::GoingBack {
            let message = format!("{id} is going back already: pointsman resume {id} goes on with that");
            return Err(Usage(message).into());
        }
        if !self.rollback {
            let record =
                PlaybookRecord::Stands { id, status: PlaybookStatus::Aborted, why: self.message, by: who().to_owned() };
            store.note(clock::now(), 0, &[Record::Playbook(record)])?;
            seat.printer.talk(&format!("{id}: aborted, no new step is begun"));
            return Ok(Exit::Done);
        }
        let playbook = parse(&run.file, &run.text, &policy, &run.vars)?;
        match Player::watching(seat, &policy, store, &playbook, run)?.take_back(self.message)? {
            // That is what was asked for.
            Exit::Held => Ok(Exit::Done),
            other => Ok(other),
        }
    }
}
