//! What is said to people who are not at the terminal: notices, made of what was recorded and what came of it.
//!
//! Invariants. A notice of a rollout is made after the books have it, and never of what is only intended. What is not on
//! the books, as a plan that was not agreed to, is nobody's news but that of who typed it.
//!
//! Absent on purpose: notices of converges that mend what is there. Timers run them; who is still owed something is said.

pub mod form;

use super::{history, stale};
use crate::model::books::{Kind, Rollout};
use crate::model::limits::NOTICE_LINES_MAX;
use crate::model::names::{GateName, HostName};
use crate::model::notice::{Notice, Occasion};
use crate::model::playbook::PlaybookRun;
use crate::model::ranges::fold;
use crate::model::time::Time;
use crate::model::words::count;
use crate::plan::hosts::Plan;
use crate::rollout::effect::{Left, Outcome, Told};
use std::collections::BTreeMap;

/// A notice about a rollout, with nothing below its first line.
fn of(on: Occasion, at: Time, rollout: &Rollout, text: String) -> Notice {
    let Rollout { id, by, groups, version, .. } = rollout;
    let mut subject = format!("{id} {}", history::kind(rollout.kind));
    groups.iter().for_each(|group| subject.push_str(&format!(" {group}")));
    version.iter().for_each(|version| subject.push_str(&format!(" {version}")));
    Notice { on, at, subject, by: by.clone(), text, lines: Vec::new(), hint: None }
}

fn limited(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    let more = lines.len().saturating_sub(NOTICE_LINES_MAX);
    lines.truncate(NOTICE_LINES_MAX);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}

/// The undertaking of `plan` is on the books. What moves nothing is not said.
pub fn opened(at: Time, plan: &Plan) -> Option<Notice> {
    let goal = &plan.goal;
    let (by, why) = (&goal.rollout.by, &goal.rollout.why);
    let how = match goal.rollout.kind {
        Kind::Promote | Kind::Pin | Kind::Unpin => "approved",
        Kind::Rollback | Kind::Sync | Kind::Undo if goal.is_new => "begun",
        _ => return None,
    };
    let notice = of(Occasion::Approved, at, &goal.rollout, format!("{how}, by {by}: {why}"));
    let waves = format!("{} in {}", count(plan.hosts.len(), "host"), count(plan.waves.len(), "wave"));
    let changes = goal.changes.iter().map(ToString::to_string);
    Some(Notice { lines: limited(changes.chain([waves])), ..notice })
}

/// What people who watch were told, where it is news for others.
pub fn told(at: Time, rollout: &Rollout, told: &Told) -> Option<Notice> {
    let Told::WaveDone { number, of: waves, proven, hosts } = told else { return None };
    let text = format!("wave {number} of {waves} is done: {proven} of {} proven", count(*hosts, "host"));
    Some(of(Occasion::WaveDone, at, rollout, text))
}

/// `rollout` had switched hosts, and `back` brought them to the state before.
pub fn went_back(at: Time, rollout: &Rollout, back: &Rollout) -> Notice {
    of(Occasion::RolledBack, at, rollout, format!("was taken back by {}: {}", back.id, back.why))
}

/// A gate waits for a person's yes.
pub fn asked(at: Time, rollout: &Rollout, gate: &GateName) -> Notice {
    let id = rollout.id;
    let hint = format!("pointsman approve {id} -m WHY, or pointsman deny {id} -m WHY");
    let notice = of(Occasion::Paused, at, rollout, format!("the gate {gate} waits for a person's approval"));
    Notice { hint: Some(hint), ..notice }
}

/// A stage of a playbook waits for a person's yes.
pub fn stage_asked(at: Time, run: &PlaybookRun, text: &str) -> Notice {
    let id = run.id;
    let hint = Some(format!("pointsman approve {id} -m WHY, or pointsman deny {id} -m WHY"));
    let text = format!("waits for a person's approval: {text}");
    let (subject, by) = (format!("playbook {id}"), run.by.clone());
    Notice { on: Occasion::Paused, at, subject, by, text, lines: Vec::new(), hint }
}

/// A run of a playbook paused.
pub fn run_paused(at: Time, run: &PlaybookRun) -> Notice {
    let id = run.id;
    let hint = Some(format!("pointsman resume {id}, or pointsman abort {id} --rollback"));
    let (subject, by, text) = (format!("playbook {id}"), run.by.clone(), format!("paused: {}", run.why));
    Notice { on: Occasion::Paused, at, subject, by, text, lines: Vec::new(), hint }
}

/// Gates said no, and `then` follows.
pub fn gate_failed(at: Time, rollout: &Rollout, why: &[String], then: &str) -> Notice {
    let text = format!("a gate failed; {then}: {}", why.first().map_or("", String::as_str));
    Notice { lines: limited(why.iter().skip(1).cloned()), ..of(Occasion::GateFailed, at, rollout, text) }
}

/// Gates wait for a person.
pub fn paused(at: Time, rollout: &Rollout, why: &[String], hint: &str) -> Notice {
    let text = format!("paused, a person is needed: {}", why.first().map_or("", String::as_str));
    let notice = of(Occasion::Paused, at, rollout, text);
    Notice { lines: limited(why.iter().skip(1).cloned()), hint: Some(hint.to_owned()), ..notice }
}

/// How `plan` ended.
pub fn ended(at: Time, plan: &Plan, outcome: &Outcome) -> Vec<Notice> {
    let rollout = &plan.goal.rollout;
    match outcome {
        // Nothing was begun; that all go back is said once they are.
        Outcome::Nothing
        | Outcome::Stale(_)
        | Outcome::Denied
        | Outcome::Lint(_)
        | Outcome::Changed(_)
        | Outcome::GoBack(_) => Vec::new(),
        Outcome::Done { effect, left } => {
            let done = match rollout.kind {
                Kind::Converge => None,
                Kind::Rollback => Some(of(Occasion::RolledBack, at, rollout, format!("rolled back: {effect}"))),
                _ => Some(of(Occasion::Ended, at, rollout, format!("done: {effect}"))),
            };
            done.into_iter().chain(owed(at, plan, left)).collect()
        }
        Outcome::GateFailed(why) => vec![gate_failed(at, rollout, why, "everything is taken back")],
        Outcome::Held(why) => vec![gate_failed(at, rollout, why, "nothing was switched")],
        Outcome::Paused { why, begun: true } => {
            let hint = "pointsman converge --forward goes on, pointsman converge takes it back";
            vec![paused(at, rollout, why, hint)]
        }
        Outcome::Paused { why, begun: false } => {
            vec![paused(at, rollout, why, "nothing was switched; when that is settled, the same command once more")]
        }
        Outcome::Stopped => {
            let text = "stopped: no new step was begun, the fleet may be on two states".to_owned();
            let hint = Some("pointsman converge, or pointsman rollback".to_owned());
            vec![Notice { hint, ..of(Occasion::Ended, at, rollout, text) }]
        }
    }
}

fn owed(at: Time, plan: &Plan, left: &BTreeMap<HostName, Left>) -> Option<Notice> {
    let hosts: Vec<HostName> = left.keys().chain(plan.excluded.keys()).cloned().collect();
    if hosts.is_empty() {
        return None;
    }
    let are = if hosts.len() == 1 { "is" } else { "are" };
    let text = format!("{} {are} owed what the others have: {}", count(hosts.len(), "host"), fold(&hosts));
    let lines = left.iter().map(|(host, left)| stale::now_line(host, &left.reason));
    let lines = limited(lines.chain(plan.excluded.iter().map(|(host, why)| format!("{host}: left out, {why}"))));
    let hint = Some("pointsman status, then pointsman converge HOST".to_owned());
    Some(Notice { lines, hint, ..of(Occasion::Owed, at, &plan.goal.rollout, text) })
}

#[cfg(test)]
mod tests;
