//! How an order ended, in words and for machines.

use super::audience::say_stale;
use super::exit;
use super::seat::Seat;
use crate::drive::act::Ended;
use crate::model::names::HostName;
use crate::model::words::count;
use crate::plan::hosts::Plan;
use crate::report;
use crate::report::events::{self, Event};
use crate::rollout::effect::{Left, Outcome};
use crate::store::Verified;
use std::collections::BTreeMap;

/// Says how an order ended, and where the journal ends now, for whoever keeps what was said.
pub fn say(seat: &Seat, ended: &Ended, journal: &Verified) {
    if let Some(lock) = &ended.took_over_from {
        seat.printer.talk(&format!("took over from {} ({}, since {})", lock.holder, lock.reason, lock.since));
    }
    if seat.json {
        let code = exit::of_ended(ended) as u8;
        let end = events::Ended::new(&ended.plan, &ended.outcome, code, ended.round_trips_max, journal);
        seat.event(&Event::Ended(end));
        return;
    }
    say_outcome(seat, &ended.plan, &ended.outcome);
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
