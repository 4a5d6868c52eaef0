//! `gate`: the gates of groups.yaml, and limits for them.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::{Usage, duration};
use crate::drive::clock;
use crate::gate::spec::Kind;
use crate::gate::suggest::suggest;
use crate::model::names::GateName;
use crate::model::time::Time;
use crate::report::declared;
use crate::signal::history;
use clap::{Args, Subcommand};
use serde_json::json;

/// Gates: what is declared, and which limits the past suggests
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman gate list\n  pointsman gate suggest edit-failures --since 30d")]
pub struct Gate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the gates of groups.yaml
    List,
    /// Limits for a gate of kind threshold, out of what its source measured, and how often each would have alarmed
    Suggest {
        /// The gate
        name: GateName,
        /// How far back
        #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30d")]
        since: u64,
    },
}

impl Gate {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        match self.command {
            Command::List => list(seat),
            Command::Suggest { name, since } => suggested(seat, &name, since),
        }
    }
}

fn list(seat: &Seat) -> anyhow::Result<Exit> {
    let declared = seat.policy()?.gates;
    match seat.json {
        true => seat.printer.data(&declared::list_json(&declared).to_string()),
        false => seat.printer.data(declared::list(&declared).trim_end()),
    }
    Ok(Exit::Done)
}

fn suggested(seat: &Seat, name: &GateName, back_ms: u64) -> anyhow::Result<Exit> {
    let policy = seat.policy()?;
    let Some(gate) = policy.gates.iter().find(|gate| gate.name == *name) else {
        return Err(Usage(format!("groups.yaml has no gate {name}; pointsman gate list")).into());
    };
    let Kind::Threshold(threshold) = &gate.kind else {
        let kind = gate.kind.name();
        return Err(Usage(format!("{name} is of kind {kind}; limits are suggested for kind threshold")).into());
    };
    let now = clock::now();
    let from = Time(now.0.saturating_sub(back_ms));
    let past = seat.block_on(history::of(threshold, from, now))??;
    let points: Vec<Option<f64>> = past.points.iter().map(|(_, number)| *number).collect();
    let Some(found) = suggest(&threshold.rule, threshold.window_ms, &points, past.step_ms) else {
        anyhow::bail!("{name}: there is not one number since {from}, asked: {}", past.query);
    };
    let since = past.points.first().map_or(from, |(at, _)| Time(*at));
    match seat.json {
        true => {
            let body = json!({"gate": name, "query": past.query, "since": since, "found": found});
            seat.printer.data(&body.to_string());
        }
        false => seat.printer.data(declared::suggestion(gate, &past.query, since, &found).trim_end()),
    }
    Ok(Exit::Done)
}
