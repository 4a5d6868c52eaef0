//! `watch`: the gates of a promotion that has ended.

use super::audience::Terminal;
use super::ended::say;
use super::exit::{self, Exit};
use super::seat::Seat;
use super::usage::{Usage, duration};
use crate::drive::act::Ended;
use crate::drive::clock;
use crate::drive::deploy::Deploy;
use crate::drive::gating::Gating;
use crate::drive::watch::{Watched, gates, watch};
use crate::fleet::Install;
use crate::model::books::{Books, Kind, Rollout, Status};
use crate::model::ids::RolloutId;
use crate::model::limits::SIGNATURES_MS_MAX;
use crate::model::time::Time;
use crate::plan::gates::span;
use crate::report::events::Event;
use crate::rollout::effect::Outcome;
use crate::store::Store;
use clap::Args;
use std::collections::BTreeMap;

/// Watch a promotion that has ended, and take it back when its gates say so
///
/// Holds no lock. Ends with 0 when nothing was found for as long as was asked, with 3 when the release was taken back,
/// with 4 when a person is needed, and with 5 when somebody else moved the fleet meanwhile.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman watch\n  pointsman watch r12 --for 2h")]
pub struct Watch {
    /// The promotion or rollback, like r12 [default: the last one]
    rollout: Option<RolloutId>,
    /// How long [default: groups.yaml, soak: watch, else 30m]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<u64>,
}

impl Watch {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let deploy = seat.deploy()?;
        let mut store = seat.books(&deploy.policy)?;
        let rollout = promotion(&store.load()?, self.rollout)?;
        let gating = gating(&deploy, &store)?;
        let ms = self.time.unwrap_or(deploy.policy.soak.watch_ms);
        go(seat, &deploy, &mut store, gating, (&rollout, ms))
    }
}

/// What is watched: the one that is named, else the last one.
fn promotion(books: &Books, named: Option<RolloutId>) -> anyhow::Result<Rollout> {
    let done = |r: &&Rollout| {
        matches!(r.kind, Kind::Promote | Kind::Rollback) && matches!(r.status, Status::Done | Status::Owed)
    };
    let found = books.rollouts.values().rev().filter(done).find(|r| named.is_none_or(|id| r.id == id));
    match (found, named) {
        (Some(found), _) => Ok(found.clone()),
        (None, Some(id)) => Err(Usage(format!(
            "{id} is neither a promotion nor a rollback that has ended; pointsman history lists them"
        ))
        .into()),
        (None, None) => Err(Usage("no promotion or rollback has ended yet".to_owned()).into()),
    }
}

/// Watches what an order moved, if there are gates; the exit code of both together. A rollback is done before this
/// begins, and its code stays: what is found then is for people, and for the repair of single hosts.
pub fn after(seat: &Seat, deploy: &Deploy, mut ended: Ended, detach: bool) -> anyhow::Result<Exit> {
    let exit = exit::of_ended(&ended);
    let (rollout, soak) = (ended.plan.goal.rollout.clone(), deploy.policy.soak);
    let ms = match rollout.kind {
        Kind::Promote => soak.watch_ms,
        Kind::Rollback => soak.wave_ms,
        _ => 0,
    };
    let moved = matches!(ended.outcome, Outcome::Done { .. });
    if !moved || ms == 0 || deploy.policy.gates.is_empty() {
        return Ok(exit);
    }
    if detach {
        seat.printer.talk(&format!("not watched here: pointsman watch {}", rollout.id));
        return Ok(exit);
    }
    let mut store = seat.books(&deploy.policy)?;
    let gating = match ended.gating.take() {
        Some(gating) => gating,
        None => gating(deploy, &store)?,
    };
    match (go(seat, deploy, &mut store, gating, (&rollout, ms))?, rollout.kind) {
        (Exit::Done, _) | (_, Kind::Rollback) => Ok(exit),
        (watched, _) => Ok(watched),
    }
}

/// Gates that have not been asked yet.
fn gating(deploy: &Deploy, store: &dyn Store) -> anyhow::Result<Gating> {
    let known = store.signatures(Time(clock::now().0.saturating_sub(SIGNATURES_MS_MAX)))?;
    Ok(Gating::new(deploy, Install::IfMissing, &known, BTreeMap::new()))
}

fn go(
    seat: &Seat,
    deploy: &Deploy,
    store: &mut dyn Store,
    mut gating: Gating,
    (rollout, ms): (&Rollout, u64),
) -> anyhow::Result<Exit> {
    let id = rollout.id;
    let asked = gates(&deploy.policy, rollout).count();
    seat.printer.step(&format!("watching {id} for {}; no lock is held", span(ms)));
    // What the watch does itself was agreed to when its promotion was.
    let mut terminal = Terminal::new(seat, true);
    let watched = seat.block_on(async {
        let watched = watch(deploy, store, &mut terminal, &mut gating, (rollout, ms)).await;
        gating.close().await;
        watched
    })??;
    let tell = |line: &str| seat.printer.talk(line);
    let exit = match &watched {
        Watched::Passed => {
            let what = if asked == 0 { "groups.yaml has no gate that is asked then" } else { "its gates passed" };
            tell(&format!("{id} was watched for {}: {what}", span(ms)));
            Exit::Done
        }
        Watched::Superseded => {
            tell(&format!("{id} is no longer what the fleet is wanted at: somebody else moved it"));
            tell("  hint: pointsman history");
            Exit::Locked
        }
        Watched::Paused(why) if rollout.kind == Kind::Rollback => {
            why.iter().for_each(|line| tell(line));
            tell(&format!("{id} is done, and nothing more was done about this; pointsman watch {id} looks longer"));
            Exit::Paused
        }
        Watched::Paused(why) => {
            why.iter().for_each(|line| tell(line));
            tell(&format!("{id} stays as it is: a person is needed, see above"));
            tell(&format!("  hint: pointsman rollback takes it back, pointsman watch {id} goes on watching"));
            Exit::Paused
        }
        Watched::TakenBack(why, ended) => {
            why.iter().for_each(|line| tell(line));
            tell(&format!("{id} was taken back by its watch:"));
            say(seat, ended, store)?;
            match exit::of_ended(ended) {
                Exit::Done => Exit::Held,
                other => other,
            }
        }
        Watched::Stopped(by) => {
            tell(&format!("{id} is no longer watched: pointsman watch {id} goes on"));
            exit::of_signal(*by)
        }
    };
    if seat.json {
        seat.event(&Event::Watched { rollout: id.to_string(), code: exit as u8 });
    }
    Ok(exit)
}
