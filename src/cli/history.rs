//! `history` and `show`: what was done, by effect.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::drive::trace;
use crate::model::books::{Kind, Rollout};
use crate::model::ids::RolloutId;
use crate::report;
use crate::report::recording::{NotRecorded, Recorder, Source};
use crate::report::timeline::Mark;
use crate::store::sqlstore::SqlStore;
use crate::store::{Store, events_after};
use clap::{Args, Subcommand};

/// What was done, newest first: one line of effect each
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  pointsman history -n 5\n  pointsman history export r12 > incidents/r12.yaml"
)]
pub struct History {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many
    #[arg(short, default_value_t = 20)]
    n: usize,
}

#[derive(Subcommand)]
enum Command {
    Export(Export),
}

/// A promotion or rollback and what followed, as an incident file for `replay` and `test`
///
/// Up to the rollback of its version, the promotion of another one, or the end of the journal. Nothing is in it that was
/// logged, measured at an address, or typed: see --words.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman history export r12 > incidents/r12.yaml\n  pointsman replay incidents/r12.yaml --policy groups.yaml"
)]
struct Export {
    /// Which, as `history` names it
    id: RolloutId,
    /// Keep what people typed: reasons and answers; read them before the file is passed on
    #[arg(long)]
    words: bool,
}

/// One undertaking in full
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman show r12\n  pointsman show r12 --otlp > trace.json")]
pub struct Show {
    /// Which, as `history` names it
    id: RolloutId,
    /// As an OpenTelemetry trace, OTLP in JSON: a span for it, each stage, wave and host
    #[arg(long)]
    otlp: bool,
}

impl History {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if let Some(Command::Export(export)) = self.command {
            return export.run(seat);
        }
        let rollouts = seat.read_books(&seat.policy()?)?.rollouts(self.n)?;
        match seat.json {
            true => seat.printer.data(&report::history::json(&rollouts).to_string()),
            false => seat.printer.data(report::history::text(&rollouts).trim_end()),
        }
        Ok(Exit::Done)
    }
}

impl Export {
    fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let (policy, groups_yaml) = (seat.policy()?, seat.groups_yaml()?);
        let store = seat.read_books(&policy)?;
        let rollout = known(&store, self.id)?;
        let before = rollout.from.map(|from| store.snapshot(from)).transpose()?.flatten();
        let before = before.ok_or_else(|| Usage(NotRecorded::NoStart(self.id).to_string()))?;
        let after = store.snapshot(rollout.to)?.filter(|_| rollout.kind == Kind::Rollback);
        let (start, moved) = match &after {
            Some(after) => (after, Some(&before)),
            None => (&before, None),
        };
        let (policy, groups_yaml, rollout) = (&policy, groups_yaml.as_str(), &rollout);
        let source = Source { policy, groups_yaml, rollout, start, moved, words: self.words };
        let mut recorder = Recorder::new(source).map_err(|error| Usage(error.to_string()))?;
        for event in events_after(&store, 0) {
            let event = event?;
            if !recorder.take(Mark::from(&event), &event.record) {
                break;
            }
        }
        seat.printer.raw(recorder.text().trim_end());
        Ok(Exit::Done)
    }
}

/// The undertaking of this name; a mistake of the caller when there is none.
pub fn known(store: &SqlStore, id: RolloutId) -> anyhow::Result<Rollout> {
    let missing = || Usage(format!("the books have no {id}; pointsman history lists what they have")).into();
    store.rollout(id)?.ok_or_else(missing)
}

impl Show {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let store = seat.read_books(&seat.policy()?)?;
        let rollout = known(&store, self.id)?;
        if self.otlp {
            seat.printer.raw(&trace::of(&store, &rollout)?.to_string());
            return Ok(Exit::Done);
        }
        let (after, steps) = (store.snapshot(rollout.to)?, store.steps(self.id)?);
        let health = store.load()?.health;
        let (after, gates) = (after.as_ref(), health.gates.get(&self.id));
        match seat.json {
            true => seat.printer.data(&report::history::show_json(&rollout, after, &steps, gates).to_string()),
            false => seat.printer.data(report::history::show(&rollout, after, &steps, gates).trim_end()),
        }
        Ok(Exit::Done)
    }
}
