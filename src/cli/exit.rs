//! Exit codes: a contract, the same for every command, and the one place where errors become codes and hints.

use super::playbook::Elsewhere;
use super::seat::Seat;
use super::usage::Usage;
use crate::config::diagnostic::Diagnostics;
use crate::drive::act::{ActError, Ended};
use crate::drive::run::RunError;
use crate::drive::signals::Signalled;
use crate::plan::changed::Changed;
use crate::plan::goal::{Blocked, Why};
use crate::plan::hosts::Plan;
use crate::rollout::effect::{Left, Outcome};
use crate::store::error::{StoreError, machine};
use std::process::ExitCode;

/// How a command ended, as the exit code says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done and proven, or nothing to do.
    Done = 0,
    /// An error of ours or of this machine.
    Ours = 1,
    /// Usage or configuration.
    Usage = 2,
    /// The tool held or took the fleet back.
    Held = 3,
    /// A person is needed.
    Paused = 4,
    /// Somebody else holds the lock, or took over.
    Locked = 5,
    /// What a saved plan was made from changed since.
    Changed = 6,
    /// Stale or unreachable hosts, nothing was switched.
    Stale = 7,
    /// Done, but hosts are owed.
    Owed = 8,
    /// A plan would change something.
    Changes = 9,
    /// Refused by policy.
    Refused = 10,
    /// Stopped by SIGINT.
    Stopped = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The exit of a number, as the books keep it; what is none is an error of ours.
    pub fn of_number(code: u8) -> Self {
        const ALL: [Exit; 12] = [
            Exit::Done,
            Exit::Usage,
            Exit::Held,
            Exit::Paused,
            Exit::Locked,
            Exit::Changed,
            Exit::Stale,
            Exit::Owed,
            Exit::Changes,
            Exit::Refused,
            Exit::Stopped,
            Exit::Terminated,
        ];
        ALL.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Exit::Ours)
    }
}

/// The code of an outcome; `plan` says who was left out from the start.
pub fn of_outcome(plan: &Plan, outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Nothing => Exit::Done,
        Outcome::Done { left, .. } if left.is_empty() && plan.excluded.is_empty() => Exit::Done,
        Outcome::Done { .. } => Exit::Owed,
        Outcome::Stale(_) => Exit::Stale,
        Outcome::Denied => Exit::Paused,
        Outcome::Lint(_) => Exit::Ours,
        Outcome::GoBack(_) | Outcome::GateFailed(_) | Outcome::Held(_) => Exit::Held,
        Outcome::Paused { .. } => Exit::Paused,
        Outcome::Changed(_) => Exit::Changed,
        Outcome::Stopped => Exit::Stopped,
    }
}

/// The code of an order that came to an outcome: hosts that could not be brought back weigh more than that they were.
pub fn of_ended(ended: &Ended) -> Exit {
    let all_done = |outcome: &Outcome| match outcome {
        Outcome::Done { left, .. } => left.is_empty(),
        outcome => *outcome == Outcome::Nothing,
    };
    match (&ended.went_back, &ended.repaired, &ended.outcome) {
        (Some(back), ..) if !all_done(back) => Exit::Owed,
        // Those that were left out were all repaired; nobody is owed.
        (_, Some(repaired), Outcome::Done { left, .. })
            if all_done(repaired) && ended.plan.excluded.is_empty() && left.values().all(Left::is_suspect) =>
        {
            Exit::Done
        }
        // Before anything was switched a signal is a no, and still a signal.
        (.., Outcome::Stopped | Outcome::Denied) => match ended.signalled {
            Some(signalled) => of_signal(signalled),
            None => of_outcome(&ended.plan, &ended.outcome),
        },
        _ => of_outcome(&ended.plan, &ended.outcome),
    }
}

/// The code of a signal.
pub fn of_signal(signalled: Signalled) -> Exit {
    match signalled {
        Signalled::Interrupt => Exit::Stopped,
        Signalled::Terminate => Exit::Terminated,
    }
}

fn of_blocked(blocked: &Blocked) -> Exit {
    match blocked.why {
        Why::Usage => Exit::Usage,
        Why::Refused | Why::NoRight => Exit::Refused,
        Why::Paused => Exit::Paused,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Locked(..) | StoreError::Superseded { .. } => Exit::Locked,
        StoreError::Busy { writer: Some(_), .. } | StoreError::Kept { .. } => Exit::Locked,
        StoreError::Address { .. } => Exit::Usage,
        _ => Exit::Ours,
    }
}

/// The code of an error, wherever in the chain the telling one is.
fn of_error(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(blocked) = cause.downcast_ref::<Blocked>() {
            return of_blocked(blocked);
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return of_store(error);
        }
        if cause.downcast_ref::<Elsewhere>().is_some() {
            return Exit::Locked;
        }
        if cause.downcast_ref::<Changed>().is_some() {
            return Exit::Changed;
        }
        if cause.downcast_ref::<Diagnostics>().is_some() || cause.downcast_ref::<Usage>().is_some() {
            return Exit::Usage;
        }
        match cause.downcast_ref::<ActError>() {
            Some(ActError::Blocked(blocked)) => return of_blocked(blocked),
            Some(ActError::Changed(_)) => return Exit::Changed,
            Some(ActError::Run(RunError::Store(error))) => return of_store(error),
            Some(ActError::Run(RunError::Killed(signalled))) => return of_signal(*signalled),
            _ => {}
        }
    }
    Exit::Ours
}

/// Says an error, if it is one; the code of either.
pub fn settle(seat: &Seat, ended: anyhow::Result<Exit>) -> Exit {
    match ended {
        Ok(exit) => exit,
        Err(error) => {
            say(seat, &error);
            of_error(&error)
        }
    }
}

/// Says an error, if it is one, and gives the code to the system.
pub fn code(seat: &Seat, ended: anyhow::Result<Exit>) -> ExitCode {
    let exit = settle(seat, ended);
    if let Some(error) = seat.printer.failure() {
        seat.printer.talk(&format!("error: stdout: {error}"));
        return ExitCode::from(Exit::Ours as u8);
    }
    ExitCode::from(exit as u8)
}

fn say(seat: &Seat, error: &anyhow::Error) {
    let words: Vec<String> = error.chain().map(ToString::to_string).collect();
    let mut words = words;
    words.dedup();
    seat.printer.talk(&format!("error: {}", words.join(": ")));
    if let Some(hint) = hint(error) {
        seat.printer.talk(&format!("  hint: {hint}"));
    }
}

/// What to type when the books are of no use.
const REBUILD: &str = "pointsman books rebuild makes them anew from what the hosts keep, and pointsman rollback \
                       --from-fleet also goes back";

/// What to type when a saved plan is not kept to.
pub const PLAN_AGAIN: &str = "plan it again with pointsman plan, and look at what is different";

/// What to type, where the error knows it.
fn hint(error: &anyhow::Error) -> Option<String> {
    for cause in error.chain() {
        if let Some(blocked) = cause.downcast_ref::<Blocked>() {
            return blocked.hint.clone();
        }
        if let Some(Elsewhere { id, .. }) = cause.downcast_ref::<Elsewhere>() {
            return Some(format!("wait for it, or end it: pointsman abort {id}"));
        }
        if cause.downcast_ref::<Changed>().is_some() {
            return Some(PLAN_AGAIN.to_owned());
        }
        let store = match cause.downcast_ref::<ActError>() {
            Some(ActError::Blocked(blocked)) => return blocked.hint.clone(),
            Some(ActError::Changed(_)) => return Some(PLAN_AGAIN.to_owned()),
            Some(ActError::Run(RunError::Store(error))) => Some(error),
            _ => cause.downcast_ref::<StoreError>(),
        };
        match store {
            Some(StoreError::Locked(_, Some(_))) => {
                return Some("wait, or take the lock with --take-over; a rollback waits for nobody".to_owned());
            }
            Some(StoreError::Locked(lock, None)) => {
                let there = machine(&lock.holder);
                return Some(format!("look on {there}; if it is gone, --take-over. A rollback waits for nobody"));
            }
            Some(StoreError::CutOff { .. }) => {
                let gone = "if it never will, take `store` out of groups.yaml, then: pointsman rollback --from-fleet";
                return Some(format!("nothing more was sent; once the server answers: pointsman converge; {gone}"));
            }
            Some(StoreError::Busy { writer: Some(writer), .. }) => {
                let goes_on =
                    if writer.stopped { format!("kill -CONT {} lets it go on; ", writer.pid) } else { String::new() };
                return Some(format!("{goes_on}a rollback and --take-over end it by themselves"));
            }
            Some(StoreError::Kept { writer, .. }) => {
                return Some(format!("sudo kill -KILL {}, then the same once more", writer.pid));
            }
            Some(StoreError::Superseded { .. }) => return Some("pointsman status".to_owned()),
            Some(StoreError::NoBooks(_)) => {
                let made = "pointsman sync-common --from-staging makes them";
                return Some(format!("{made}; if there were some: {REBUILD}"));
            }
            Some(StoreError::Lost { note, .. }) => {
                return Some(format!("{REBUILD}; to begin with none, remove {}", note.display()));
            }
            Some(StoreError::Behind { .. }) => return Some(format!("put the newest books back, or {REBUILD}")),
            Some(StoreError::Exists(_)) => {
                return Some("they are whole and know all that the hosts obeyed, so: pointsman rollback".to_owned());
            }
            Some(StoreError::Damaged { .. } | StoreError::Row { .. } | StoreError::Tampered { .. }) => {
                return Some(REBUILD.to_owned());
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod errors;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Fault;
    use crate::model::stale::StaleReason;
    use crate::plan::fixture::{books, group, policy, site, wmf};
    use crate::plan::{forward, hosts};
    use std::collections::BTreeMap;

    #[test]
    fn every_terminal_state_has_its_code() {
        let policy = policy(12);
        let books = books(&policy);
        let site = site(&policy, &books, 1);
        let goal = forward::promote(site, &group("group0"), &wmf(11), "x", None).expect("it is planned");
        let plan = hosts::plan(site, goal, None).expect("it is planned");
        let host = plan.hosts.keys().next().cloned().expect("there is one");
        let stale = BTreeMap::from([(host.clone(), StaleReason::Fault(Fault::Refused))]);
        let reason = StaleReason::Fault(Fault::Refused);
        let left = BTreeMap::from([(host, Left { reason, serves: BTreeMap::new(), depooled: false })]);
        let done = |left| Outcome::Done { effect: String::new(), left };
        for (outcome, code) in [
            (Outcome::Nothing, 0),
            (done(BTreeMap::new()), 0),
            (done(left), 8),
            (Outcome::Stale(stale.clone()), 7),
            (Outcome::Denied, 4),
            (Outcome::Lint(Vec::new()), 1),
            (Outcome::GoBack(stale), 3),
            (Outcome::GateFailed(Vec::new()), 3),
            (Outcome::Held(Vec::new()), 3),
            (Outcome::Paused { why: Vec::new(), begun: true }, 4),
            (Outcome::Changed(Vec::new()), 6),
            (Outcome::Stopped, 130),
        ] {
            assert_eq!(of_outcome(&plan, &outcome) as u8, code, "{outcome:?}");
        }
        for (why, code) in [(Why::Usage, 2), (Why::Refused, 10), (Why::NoRight, 10), (Why::Paused, 4)] {
            assert_eq!(of_blocked(&Blocked::new(why, "x")) as u8, code, "{why:?}");
        }
    }
}
