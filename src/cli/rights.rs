//! Which command needs which right: the one table, and what becomes of a refusal.
//!
//! Invariant (rule S9): [`Command::needs`] names every command, so that a new one can't be forgotten. It is asked before a command
//! asks, takes or writes anything. What moves groups is asked about once more under the lock, by what it really moves
//! (`acting::carry_out`), since only the books know what a rollback takes back. A refusal is an event of the journal.

use super::Command;
use super::acting::Acting;
use super::playbook::command;
use super::seat::Seat;
use crate::config::playbook::spec::{Playbook, Verb};
use crate::config::policy::Policy;
use crate::drive::act::Order;
use crate::drive::clock;
use crate::drive::deploy::{person, who};
use crate::model::books::Record;
use crate::model::names::Group;
use crate::model::right::Right;
use crate::plan::goal::{Blocked, Goal};
use crate::plan::permit::{self, Over, Person};
use crate::store::Store;

/// A right, and for which groups of wikis.
pub type Need = (Right, Over);

impl Command {
    /// What whoever types it needs; nothing for what only looks.
    pub fn needs(&self) -> Vec<Need> {
        let one = |right, over| vec![(right, over)];
        let these = |group: &Group| Over::These(vec![group.clone()]);
        match self {
            Self::Promote(c) => {
                let group = || these(&c.group);
                let beside = c.beside().into_iter().map(|right| (right, group()));
                acted(&c.acting, [(Right::Promote, group())].into_iter().chain(beside))
            }
            Self::Rollback(c) => {
                let all = if c.from_fleet { Over::Every } else { Over::Any };
                // It takes the lock over anyway.
                let needs = one(Right::Rollback, c.group.as_ref().map_or(all, these));
                if c.acting.dry() { Vec::new() } else { needs }
            }
            Self::Converge(c) if c.forward => acted(&c.acting, one(Right::Promote, Over::Any)),
            Self::Converge(c) => acted(&c.acting, one(Right::Repair, Over::Any)),
            Self::SyncCommon(c) if !c.from_staging => acted(&c.acting, one(Right::Repair, Over::Any)),
            Self::SyncCommon(c) => acted(&c.acting, synced(c.delete)),
            Self::SyncFile(c) => acted(&c.acting, synced(c.delete)),
            Self::Undo(c) => acted(&c.acting, synced(false)),
            Self::Pin(c) => acted(&c.acting, one(Right::Pin, Over::Any)),
            Self::Unpin(c) => acted(&c.acting, one(Right::Pin, Over::Any)),
            Self::Gc(c) => acted(&c.acting, one(Right::Repair, Over::Any)),
            Self::Run(c) if c.looks() => Vec::new(),
            Self::Run(c) => played(c.override_freeze.is_some()),
            Self::Resume(c) => played(c.override_freeze.is_some()),
            Self::Abort(c) if c.rollback => one(Right::Rollback, Over::Any),
            // A watch takes back what its gates blame.
            Self::Watch(_) => one(Right::Rollback, Over::Any),
            Self::Approve(_) | Self::Deny(_) => one(Right::Approve, Over::Any),
            // What stops everybody is lifted by who may promote everything.
            Self::Release(_) => one(Right::Promote, Over::Every),
            Self::Blocker(c) if c.closes() => one(Right::Promote, Over::Every),
            Self::Blocker(c) if c.looks() => Vec::new(),
            Self::Agent(c) if c.answers() => Vec::new(),
            Self::Books(c) if c.looks() => Vec::new(),
            Self::Sign(c) if c.looks() => Vec::new(),
            Self::Sign(_) => synced(false),
            Self::Abort(_) | Self::Blocker(_) | Self::Hold(_) | Self::Lock(_) => one(Right::Repair, Over::Any),
            Self::Depool(_) | Self::Pool(_) | Self::Hosts(_) | Self::Agent(_) | Self::Books(_) => {
                one(Right::Repair, Over::Any)
            }
            Self::Unlock(_) => one(Right::TakeOver, Over::Any),
            // Their command is asked about when it runs.
            Self::Apply(_) | Self::Plan(_) => Vec::new(),
            Self::Status(_) | Self::Check(_) | Self::Canary(_) | Self::Gate(_) | Self::History(_) | Self::Show(_) => {
                Vec::new()
            }
            Self::Report(_) | Self::Serve(_) | Self::Timeline(_) | Self::Replay(_) | Self::Simulate(_) => Vec::new(),
            Self::Test(_) | Self::Journal(_) | Self::Coverage(_) | Self::Config(_) | Self::Doctor(_) => Vec::new(),
            Self::Completions(_) | Self::Man(_) | Self::Schema(_) | Self::Init(_) => Vec::new(),
            // It has a site of its own.
            Self::Demo(_) | Self::DemoWeb(_) => Vec::new(),
        }
    }
}

/// Of an order; none for one that only shows a plan.
fn acted(acting: &Acting, needs: impl IntoIterator<Item = Need>) -> Vec<Need> {
    if acting.dry() {
        return Vec::new();
    }
    needs.into_iter().chain(acting.take_over.then_some((Right::TakeOver, Over::Any))).collect()
}

fn synced(delete: bool) -> Vec<Need> {
    [(Right::Sync, Over::Every)].into_iter().chain(delete.then_some((Right::Force, Over::Every))).collect()
}

/// Of a playbook, beside what its stages need.
fn played(in_a_freeze: bool) -> Vec<Need> {
    let beside = in_a_freeze.then_some((Right::Override, Over::Any));
    [(Right::Repair, Over::Any)].into_iter().chain(beside).collect()
}

/// What the stages of a playbook need, `in_a_freeze` or not. A program on hosts is content that no version has.
pub fn of_stages(playbook: &Playbook, in_a_freeze: bool) -> anyhow::Result<Vec<Need>> {
    let mut needs: Vec<Need> = Vec::new();
    needs.extend(in_a_freeze.then(|| (Right::Override, Over::groups(playbook.promotes()))));
    for stage in &playbook.stages {
        match &stage.verb {
            Verb::Commands(commands) => {
                for line in &commands.lines {
                    needs.extend(command(line)?.needs());
                }
            }
            Verb::Run(_) => needs.push((Right::Sync, Over::Every)),
            Verb::Soak(_) | Verb::Approve { .. } | Verb::Notify(_) => {}
        }
    }
    Ok(needs)
}

/// Goes on only if whoever runs this has all of `needs`.
pub fn ask(seat: &Seat, needs: &[Need]) -> anyhow::Result<()> {
    if needs.is_empty() {
        return Ok(());
    }
    let policy = seat.policy()?;
    let Some(person) = person_of(&policy) else { return Ok(()) };
    for (right, over) in needs {
        let known = |group: &Group| policy.groups.iter().any(|policy| policy.name == *group);
        // A group that is not there is told by the command, with the name that was meant.
        let over = match over {
            Over::These(groups) if !groups.iter().all(known) => &Over::Any,
            over => over,
        };
        if let Err(blocked) = permit::may(&policy, &person, *right, over) {
            return Err(refused(seat, &policy, blocked));
        }
    }
    Ok(())
}

/// Who runs this, where that makes a difference.
pub fn person_of(policy: &Policy) -> Option<Person> {
    policy.rights.as_ref().map(|_| person())
}

/// Says of a plan that is only shown that whoever runs this may not carry it out; whether it is so.
pub fn lacks(seat: &Seat, policy: &Policy, order: &Order<'_>, goal: &Goal) -> bool {
    let Some(person) = person_of(policy) else { return false };
    let may = permit::order(policy, &person, goal, (&order.beside, &order.overruled));
    if let Err(blocked) = &may {
        seat.printer.talk(&format!("now it would be refused: {blocked}"));
        blocked.hint.iter().for_each(|hint| seat.printer.talk(&format!("  hint: {hint}")));
    }
    may.is_err()
}

/// A refusal, once it is in the journal. It stands too where the books can't be written.
pub fn refused(seat: &Seat, policy: &Policy, blocked: Blocked) -> anyhow::Error {
    let note = || -> anyhow::Result<()> {
        // Books are not made for it.
        seat.read_books(policy)?;
        let record = Record::Note { by: who().to_owned(), text: format!("refused: {blocked}") };
        Ok(seat.books(policy)?.note(clock::now(), 0, &[record])?)
    };
    if let Err(error) = note() {
        seat.printer.talk(&format!("warning: this refusal is not in the journal: {error:#}"));
    }
    blocked.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn needs(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let read = command(&words).unwrap_or_else(|why| panic!("{line}: {why}"));
        let one = |(right, over): &Need| match over {
            Over::Any => right.to_string(),
            Over::Every => format!("{right} of every group"),
            Over::These(groups) => {
                format!("{right} of {}", groups.iter().map(Group::as_str).collect::<Vec<_>>().join(" "))
            }
        };
        let needs: Vec<String> = read.needs().iter().map(one).collect();
        format!("{line}: {}\n", needs.join(", "))
    }

    const LINES: [&str; 55] = [
        "promote group1 1.27.0-wmf.11 -m x",
        "promote group1 1.27.0-wmf.11 -m x --again --reason x --take-over",
        "promote group1 1.27.0-wmf.11 -m x --override pages=x",
        "promote group1 1.27.0-wmf.11 -m x --accept T1=x",
        "promote group1 1.27.0-wmf.11 -m x --again --reason x --dry-run",
        "rollback",
        "rollback group1 --take-over",
        "rollback --to s12",
        "rollback --from-fleet",
        "converge",
        "converge --forward",
        "sync-common mw2001",
        "sync-common --from-staging -m x",
        "sync-common --from-staging -m x --delete",
        "sync-file a -m x",
        "sync-file a -m x --delete",
        "undo",
        "sign",
        "sign --keep x",
        "pin enwiki 1.27.0-wmf.11 --reason x",
        "unpin enwiki",
        "depool mw2001 --reason x",
        "pool mw2001",
        "gc",
        "gc --take-over",
        "gc --dry-run",
        "run train",
        "run train --override-freeze x",
        "run train --override-freeze x --dry-run",
        "resume --override-freeze x",
        "abort",
        "abort --rollback",
        "watch",
        "approve r12 -m x",
        "deny p3 -m x",
        "hold -m x",
        "release",
        "lock -m x",
        "unlock",
        "blocker add T1 -m x",
        "blocker close T1 -m x",
        "blocker list",
        "hosts trust mw2001",
        "hosts adopt mw2001",
        "agent install",
        "agent",
        "books rebuild",
        "books rebuild --dry-run",
        "apply x.plan --take-over",
        "plan promote group1 1.27.0-wmf.11 -m x",
        "status",
        "check",
        "canary",
        "serve",
        "doctor",
    ];

    #[test]
    fn s09_what_each_command_needs() {
        expect![[r#"
            promote group1 1.27.0-wmf.11 -m x: promote of group1
            promote group1 1.27.0-wmf.11 -m x --again --reason x --take-over: promote of group1, force of group1, take-over
            promote group1 1.27.0-wmf.11 -m x --override pages=x: promote of group1, override of group1
            promote group1 1.27.0-wmf.11 -m x --accept T1=x: promote of group1, override of group1
            promote group1 1.27.0-wmf.11 -m x --again --reason x --dry-run: 
            rollback: rollback
            rollback group1 --take-over: rollback of group1
            rollback --to s12: rollback
            rollback --from-fleet: rollback of every group
            converge: repair
            converge --forward: promote
            sync-common mw2001: repair
            sync-common --from-staging -m x: sync of every group
            sync-common --from-staging -m x --delete: sync of every group, force of every group
            sync-file a -m x: sync of every group
            sync-file a -m x --delete: sync of every group, force of every group
            undo: sync of every group
            sign: 
            sign --keep x: sync of every group
            pin enwiki 1.27.0-wmf.11 --reason x: pin
            unpin enwiki: pin
            depool mw2001 --reason x: repair
            pool mw2001: repair
            gc: repair
            gc --take-over: repair, take-over
            gc --dry-run: 
            run train: repair
            run train --override-freeze x: repair, override
            run train --override-freeze x --dry-run: 
            resume --override-freeze x: repair, override
            abort: repair
            abort --rollback: rollback
            watch: rollback
            approve r12 -m x: approve
            deny p3 -m x: approve
            hold -m x: repair
            release: promote of every group
            lock -m x: repair
            unlock: take-over
            blocker add T1 -m x: repair
            blocker close T1 -m x: promote of every group
            blocker list: 
            hosts trust mw2001: repair
            hosts adopt mw2001: repair
            agent install: repair
            agent: 
            books rebuild: repair
            books rebuild --dry-run: 
            apply x.plan --take-over: 
            plan promote group1 1.27.0-wmf.11 -m x: 
            status: 
            check: 
            canary: 
            serve: 
            doctor: 
        "#]].assert_eq(&LINES.map(needs).concat());
    }
}
