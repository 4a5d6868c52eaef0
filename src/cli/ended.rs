//! How an order ended, in words and for machines.

use super::audience::say_stale;
use super::exit;
use super::seat::Seat;
use crate::drive::act::Ended;
use crate::model::books::{Books, Kind};
use crate::model::names::HostName;
use crate::model::words::count;
use crate::plan::goal::Mode;
use crate::plan::hosts::{HostPlan, Plan};
use crate::report;
use crate::report::events::{self, Event};
use crate::rollout::effect::{Left, Outcome};
use crate::store::Store;
use std::collections::BTreeMap;

/// Says how an order ended, and where the journal ends now, for whoever keeps what was said.
pub fn say(seat: &Seat, ended: &Ended, store: &dyn Store) -> anyhow::Result<()> {
    let journal = store.head()?;
    if let Some(lock) = &ended.took_over_from {
        seat.printer.talk(&format!("took over from {} ({}, since {})", lock.holder, lock.reason, lock.since.moment()));
    }
    if seat.json {
        let code = exit::of_ended(ended) as u8;
        let end = events::Ended::new(&ended.plan, &ended.outcome, code, ended.round_trips_max, &journal);
        seat.event(&Event::Ended(end));
        return Ok(());
    }
    match (&ended.outcome, ended.signalled) {
        (Outcome::Denied, Some(_)) => seat.printer.talk("nothing was switched: stopped before"),
        (Outcome::Stopped, _) => say_stopped(seat, &ended.plan, &store.load()?),
        (outcome, _) => say_outcome(seat, &ended.plan, outcome),
    }
    if let Some(back) = &ended.went_back {
        seat.printer.talk("all were brought back to the state before");
        say_outcome(seat, &ended.plan, back);
    }
    if let Some(repaired) = &ended.repaired {
        seat.printer.talk("hosts that a gate found to be at fault, and their repair:");
        say_outcome(seat, &ended.plan, repaired);
    }
    if matches!(ended.outcome, Outcome::Done { .. }) || ended.went_back.is_some() {
        seat.printer.step(&format!("journal: {}:{}", journal.events, journal.head.short()));
    }
    Ok(())
}

/// What the fleet is left at by somebody who stopped an order in its middle.
fn say_stopped(seat: &Seat, plan: &Plan, books: &Books) {
    let moved =
        |(host, part): &(&HostName, &HostPlan)| books.hosts.get(*host).is_some_and(|row| row.active == Some(part.map));
    let (moved, all) = (plan.hosts.iter().filter(moved).count(), plan.hosts.len());
    seat.printer.talk(&format!(
        "stopped: no new step was begun; {moved} of {} serve{} what was wanted, by their last word",
        count(all, "host"),
        if moved == 1 { "s" } else { "" }
    ));
    for line in hints(plan.goal.mode, &plan.goal.rollout.kind) {
        seat.printer.talk(line);
    }
}

/// What to type after a stop: what goes forward is taken back or gone on with, the rest is only finished.
fn hints(mode: Mode, kind: &Kind) -> &'static [&'static str] {
    match (mode, kind) {
        (Mode::Barrier, Kind::Promote) => &[
            "  hint: pointsman converge --forward goes on with fresh proofs and gates",
            "        pointsman converge takes it back; pointsman rollback goes back further",
        ],
        (Mode::Barrier, _) => &["  hint: pointsman converge takes it back"],
        (Mode::Each, _) => &["  hint: pointsman converge finishes it"],
    }
}

fn say_outcome(seat: &Seat, plan: &Plan, outcome: &Outcome) {
    let say = |line: &str| seat.printer.talk(line);
    match outcome {
        Outcome::Nothing => say("nothing to do: every host is proven at the wanted state"),
        Outcome::Done { effect, left } => {
            seat.printer.data(&format!("{}: {effect}", plan.goal.rollout.id));
            say_left(seat, left);
            for (host, why) in &plan.excluded {
                say(&format!("{host}: left out, {why}; owed. pointsman pool {host} brings it back"));
            }
        }
        Outcome::Stale(hosts) => {
            say_stale(seat, hosts);
            say(&format!("nothing was switched: {} not ready", is_or_are(hosts.len())));
        }
        Outcome::Denied => say("nothing was switched: not confirmed (--yes confirms beforehand)"),
        Outcome::Lint(wrong) => {
            wrong.iter().for_each(|line| say(&format!("the plan contradicts itself: {line}")));
            say("nothing was switched; this is a mistake in pointsman, please report it");
        }
        Outcome::GoBack(hosts) => say_stale(seat, hosts),
        Outcome::GateFailed(why) => why.iter().for_each(|line| say(line)),
        Outcome::Held(why) => {
            why.iter().for_each(|line| say(line));
            say("nothing was switched: a gate says no");
        }
        Outcome::Paused { why, begun } => {
            why.iter().for_each(|line| say(line));
            match begun {
                true => {
                    say("paused: a person is needed, see above");
                    say("  hint: pointsman converge --forward goes on with fresh proofs and gates");
                    say("        pointsman converge takes it back");
                }
                false => say("nothing was switched: a person is needed, see above"),
            }
        }
        Outcome::Stopped => say("stopped: no new step was begun; pointsman converge finishes it"),
        Outcome::Changed(lines) => {
            say("the plan is stale, nothing was switched:");
            lines.iter().for_each(|line| say(&format!("  {line}")));
            say(&format!("  hint: {}", exit::PLAN_AGAIN));
        }
    }
}

fn is_or_are(n: usize) -> String {
    format!("{} {}", count(n, "host"), if n == 1 { "is" } else { "are" })
}

fn say_left(seat: &Seat, left: &BTreeMap<HostName, Left>) {
    for (host, left) in left {
        let served: Vec<String> = left.serves.keys().map(ToString::to_string).collect();
        let serves = match served.is_empty() {
            true => "what it serves is not known".to_owned(),
            false => format!("still serves {}", served.join(", ")),
        };
        let depooled = if left.depooled { ", depooled" } else { "" };
        let line = report::stale::left_line(host, &left.reason, &format!("{serves}{depooled}"));
        seat.printer.talk(&format!("owed: {line}"));
    }
}
