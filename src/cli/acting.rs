//! What all commands that act share: their options, the run, and how its outcome is said.

use super::audience::{Terminal, say_stale};
use super::dry;
use super::exit::{self, Exit};
use super::seat::Seat;
use crate::drive::act::{Ended, Order, act};
use crate::drive::deploy::Deploy;
use crate::model::names::HostName;
use crate::model::words::count;
use crate::plan::hosts::Plan;
use crate::report;
use crate::rollout::effect::{Left, Outcome};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Options of every command that acts.
#[derive(Args)]
pub struct Acting {
    /// Show what would happen; change not one byte, on no host and not in the books
    #[arg(long)]
    pub dry_run: bool,
    /// Plan offline from what `status --json` wrote, with neither hosts nor books; implies --dry-run
    #[arg(long, value_name = "FILE")]
    pub view: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Take the lock from whoever holds it
    #[arg(long)]
    pub take_over: bool,
}

impl Acting {
    /// Whether nothing may change.
    pub fn dry(&self) -> bool {
        self.dry_run || self.view.is_some()
    }
}

/// Carries out an order, or shows what it would do.
pub fn run(seat: &Seat, acting: &Acting, order: Order<'_>) -> anyhow::Result<Exit> {
    run_within(seat, acting, order, None)
}

/// The same, with another time for repairs than groups.yaml gives, ms.
pub fn run_within(
    seat: &Seat,
    acting: &Acting,
    mut order: Order<'_>,
    repair_budget_ms: Option<u64>,
) -> anyhow::Result<Exit> {
    if let Some(file) = &acting.view {
        return dry::offline(seat, file, &order);
    }
    if acting.dry_run {
        return dry::run(seat, &order);
    }
    let mut deploy = seat.deploy()?;
    let limits = &mut deploy.policy.limits;
    limits.repair_budget_ms_max = repair_budget_ms.unwrap_or(limits.repair_budget_ms_max);
    order.take_over |= acting.take_over;
    let ended = carry_out(seat, &deploy, acting.yes, &order)?;
    Ok(exit::of_ended(&ended))
}

/// Carries out an order and says how it ended.
pub fn carry_out(seat: &Seat, deploy: &Deploy, yes: bool, order: &Order<'_>) -> anyhow::Result<Ended> {
    let mut store = seat.books(&deploy.policy)?;
    let mut terminal = Terminal::new(seat, yes);
    let ended = seat.block_on(act(deploy, &mut store, &mut terminal, order))??;
    say(seat, &ended);
    Ok(ended)
}

fn say(seat: &Seat, ended: &Ended) {
    if let Some(lock) = &ended.took_over_from {
        seat.printer.talk(&format!("took over from {} ({}, since {})", lock.holder, lock.reason, lock.since));
    }
    if seat.json {
        let code = exit::of_ended(ended) as u8;
        let mut event = report::plan::ended_json(&ended.plan, &ended.outcome, code);
        event["round_trips_max"] = ended.round_trips_max.into();
        seat.printer.event("ended", &event);
        return;
    }
    say_outcome(seat, &ended.plan, &ended.outcome);
    if let Some(back) = &ended.went_back {
        seat.printer.talk("too many hosts failed: all were brought back to the state before");
        say_outcome(seat, &ended.plan, back);
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
        Outcome::Paused(why) => {
            why.iter().for_each(|line| say(line));
            say("paused: a person is needed, see above");
            say(
                "  hint: pointsman converge --forward goes on with fresh proofs and gates, pointsman converge takes it back",
            );
        }
        Outcome::Stopped => {
            say("stopped: no new step was begun, the fleet may be on two states");
            say("  hint: pointsman converge, or pointsman rollback");
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
        let line = report::stale::now_line(host, &left.reason);
        seat.printer.talk(&format!("owed: {line} ({serves}{depooled})"));
    }
}
