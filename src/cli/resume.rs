//! `resume`: a playbook goes on where it was.

use super::exit::Exit;
use super::playbook::{Player, unfinished};
use super::rights;
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

/// Go on with a playbook that was paused, or whose process died
///
/// It goes on with the file as it was when it began. A stage that was under way is run again: a promotion is taken up
/// with fresh proofs, items that are through are not repeated, a soak counts from its first beginning.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman resume\n  pointsman resume p3 --override-freeze 'the fix cannot wait'")]
pub struct Resume {
    /// The run, like p3 [default: the only one that is not finished]
    id: Option<PlaybookId>,
    /// Run in a freeze or outside of the allowed hours; the reason is written down
    #[arg(long, value_name = "REASON")]
    pub(super) override_freeze: Option<String>,
}

impl Resume {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if self.override_freeze.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            return Err(Usage("--override-freeze is empty: say why".to_owned()).into());
        }
        let policy = seat.policy()?;
        let mut store = seat.books(&policy)?;
        let run = unfinished(&store.load()?, self.id)?;
        let playbook = parse(&run.file, &run.text, &policy, &run.vars)?;
        // To go back takes no more than its lines need.
        if run.status != PlaybookStatus::GoingBack {
            rights::ask(seat, &rights::of_stages(&playbook, self.override_freeze.is_some())?)?;
        }
        if let Some(reason) = self.override_freeze {
            let record = PlaybookRecord::Overridden { id: run.id, by: who().to_owned(), reason };
            store.note(clock::now(), 0, &[Record::Playbook(record)])?;
        }
        let run = unfinished(&store.load()?, Some(run.id))?;
        Player::take_up(seat, &policy, store, &playbook, run)?.play()
    }
}
