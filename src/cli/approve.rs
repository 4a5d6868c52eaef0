//! `approve` and `deny`: a person's answer to a promotion that waits for one.

use super::exit::Exit;
use super::rights;
use super::seat::Seat;
use super::usage::Usage;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::books::{Books, Record};
use crate::model::health::HealthRecord;
use crate::model::ids::RolloutId;
use crate::model::names::GateName;
use crate::model::words::count;
use crate::plan::permit;
use crate::store::Store;
use clap::Args;

/// Let a promotion that waits for an approval go on; from any terminal
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman approve r12 -m 'the error rate is known, T124143'")]
pub struct Approve {
    #[command(flatten)]
    answer: Answer,
}

/// End a promotion that waits for an approval; from any terminal
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman deny r12 -m 'not before Monday'")]
pub struct Deny {
    #[command(flatten)]
    answer: Answer,
}

#[derive(Args)]
struct Answer {
    /// The promotion, like r12, or the run of a playbook, like p3
    what: String,
    /// Which approval, when several wait
    gate: Option<GateName>,
    /// Why, for the books
    #[arg(short, long, value_name = "MSG")]
    message: String,
}

impl Approve {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        self.answer.give(seat, true)
    }
}

impl Deny {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        self.answer.give(seat, false)
    }
}

impl Answer {
    fn give(self, seat: &Seat, yes: bool) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let mut store = seat.books(&policy)?;
        if self.what.starts_with('p') {
            let id = self.what.parse().map_err(Usage)?;
            return super::playbook::answer(seat, &policy, &mut store, (id, yes, self.message));
        }
        let rollout: RolloutId = self.what.parse().map_err(Usage)?;
        let books = store.load()?;
        let gate = self.waiting(rollout, &books)?;
        if let Some(person) = rights::person_of(&policy) {
            let may = permit::answer(&policy, &person, permit::asked(&books, rollout), yes);
            may.map_err(|blocked| rights::refused(seat, &policy, blocked))?;
        }
        let (by, reason) = (who().to_owned(), self.message);
        let record = HealthRecord::Answered { rollout, gate: gate.clone(), yes, by, reason };
        store.note(clock::now(), books.epoch, &[Record::Health(record)])?;
        let what = if yes { "approved" } else { "denied" };
        seat.printer.talk(&format!("{rollout}: {gate} is {what}"));
        Ok(Exit::Done)
    }

    /// The approval that waits.
    fn waiting(&self, rollout: RolloutId, books: &Books) -> Result<GateName, Usage> {
        // Nobody waits for the answer of a promotion that has ended.
        let open = books.open().any(|open| open.id == rollout);
        let waiting = books.health.waiting().filter(|(of, ..)| open && *of == rollout);
        let gates: Vec<&GateName> = waiting.map(|(_, gate, _)| gate).collect();
        match (&self.gate, gates.as_slice()) {
            (Some(gate), gates) if gates.contains(&gate) => Ok(gate.clone()),
            (None, [gate]) => Ok((*gate).clone()),
            (_, []) => Err(Usage(format!("nothing of {rollout} waits for an approval; pointsman status"))),
            (_, gates) => {
                let names: Vec<&str> = gates.iter().map(|gate| gate.as_str()).collect();
                let several = count(gates.len(), "approval");
                Err(Usage(format!("{several} of {rollout} wait, name one: {}", names.join(", "))))
            }
        }
    }
}
