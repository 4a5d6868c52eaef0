//! Who may do what: one decision, by the rules of groups.yaml.
//!
//! Invariant (rule S9): without rules everybody may, with rules what none gives is refused. A refusal names who, which right, for
//! which groups of wikis, the lines that decide, and whom to ask. Who somebody is does not come from here: the system says it
//! of a real user id (`drive/deploy.rs`). What the machine does by itself, going back above all, is never asked for here.

use super::goal::{Blocked, Goal, PinFate, Why};
use crate::config::diagnostic::names;
use crate::config::policy::{Policy, Rights, Rule};
use crate::gate::spec::Kind as GateKind;
use crate::model::books::{Books, Kind};
use crate::model::ids::RolloutId;
use crate::model::limits::NAMES_SHOWN_MAX;
use crate::model::names::{GateName, Group};
use crate::model::right::Right;
use std::collections::{BTreeMap, BTreeSet};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user's name.
    pub name: String,
    /// The groups of users that it is in.
    pub groups: BTreeSet<String>,
}

/// For which groups of wikis somebody needs a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// One is enough: no group moves.
    Any,
    /// Each of these.
    These(Vec<Group>),
    /// Every group there is.
    Every,
}

impl Over {
    /// These groups; where none is named, all are meant.
    pub fn groups(named: Vec<Group>) -> Self {
        if named.is_empty() { Self::Every } else { Self::These(named) }
    }
}

impl Rule {
    fn is_for(&self, person: &Person) -> bool {
        let member = |group: &str| person.groups.contains(group);
        self.users.iter().any(|user| user.as_str() == person.name)
            || self.members_of.iter().any(|group| member(group.as_str()))
    }

    /// `bob, members of deployers`.
    fn people(&self) -> impl Iterator<Item = String> {
        let members = self.members_of.iter().map(|group| format!("members of {group}"));
        self.users.iter().map(ToString::to_string).chain(members)
    }
}

/// Whether `person` has `right`.
pub fn may(policy: &Policy, person: &Person, right: Right, over: &Over) -> Result<(), Blocked> {
    let Some(rights) = &policy.rights else { return Ok(()) };
    let all: Vec<Group> = policy.groups.iter().map(|group| group.name.clone()).collect();
    let has = |group: &&Group| rights.rules.iter().any(|rule| rule.is_for(person) && rule.gives(right, group));
    let (asked, enough) = match over {
        Over::Any => (&all, all.iter().any(|group| has(&group))),
        Over::Every => (&all, false),
        Over::These(groups) => (groups, false),
    };
    let (own, lacking): (Vec<&Group>, Vec<&Group>) = asked.iter().partition(has);
    if enough || lacking.is_empty() {
        return Ok(());
    }
    let file = policy.file.file_name().unwrap_or_default().to_string_lossy();
    let about = if *over == Over::Any { String::new() } else { format!(" for {}", names(&lacking)) };
    let why = because(rights, &file, (person, right, &lacking));
    let blocked = Blocked::new(Why::NoRight, format!("{} has no right `{right}`{about}: {why}", person.name));
    let mut hint = whom_to_ask(rights, &file, (person, right, &lacking));
    if let (Right::Rollback, Over::These(_) | Over::Every, [_, ..]) = (right, over, own.as_slice()) {
        hint += &format!("; you may go back with {}: pointsman rollback GROUP", names(&own));
    }
    Err(blocked.hint(hint))
}

/// The lines that decide.
fn because(rights: &Rights, file: &str, (person, right, lacking): (&Person, Right, &[&Group])) -> String {
    let line = |rule: &Rule| {
        let (line, people) = (rule.line, names(&rule.people().collect::<Vec<_>>()));
        let given = rule.may.iter().any(|own| own.gives(right));
        match &rule.groups {
            Some(groups) if given && rule.is_for(person) => {
                let groups: Vec<&Group> = groups.iter().collect();
                Some(format!("{file}:{line} gives it to {} for {} only", person.name, names(&groups)))
            }
            _ if lacking.iter().any(|group| rule.gives(right, group)) => {
                Some(format!("{file}:{line} gives it to {people}"))
            }
            _ => None,
        }
    };
    let lines: Vec<String> = rights.rules.iter().filter_map(line).take(NAMES_SHOWN_MAX).collect();
    match lines.is_empty() {
        true => format!("no rule of {file}:{} gives it to anybody", rights.line),
        false => lines.join("; "),
    }
}

/// Those but `person` who may.
fn whom_to_ask(rights: &Rights, file: &str, (person, right, lacking): (&Person, Right, &[&Group])) -> String {
    let all = |rule: &&Rule| lacking.iter().all(|group| rule.gives(right, group));
    let people: BTreeSet<String> = rights.rules.iter().filter(all).flat_map(Rule::people).collect();
    let people: Vec<String> = people.into_iter().filter(|name| *name != person.name).take(NAMES_SHOWN_MAX).collect();
    match people.is_empty() {
        true => format!("ask whoever keeps {file} for a rule, below line {}", rights.line),
        false => format!("ask {}", people.join(" or ")),
    }
}

/// What `goal` needs, by what it moves; beside it the rights to what the order sets aside, for the same groups.
pub fn order(
    policy: &Policy,
    person: &Person,
    goal: &Goal,
    (beside, overruled): (&BTreeSet<Right>, &BTreeMap<GateName, String>),
) -> Result<(), Blocked> {
    let groups = || Over::groups(goal.rollout.groups.clone());
    let (right, over) = match goal.rollout.kind {
        Kind::Promote => (Right::Promote, groups()),
        Kind::Rollback => (Right::Rollback, groups()),
        Kind::Pin | Kind::Unpin => (Right::Pin, Over::groups(pinned(policy, goal))),
        Kind::Sync | Kind::Undo => (Right::Sync, Over::Every),
        Kind::Converge => (Right::Repair, Over::Any),
    };
    may(policy, person, right, &over)?;
    beside.iter().try_for_each(|right| may(policy, person, *right, &over))?;
    not_alone(policy, overruled)
}

/// The groups whose wikis are pinned or let go; none: a host is, which serves them all.
fn pinned(policy: &Policy, goal: &Goal) -> Vec<Group> {
    let subjects = goal.pins.iter().filter(|note| matches!(note.fate, PinFate::Made | PinFate::Removed));
    let of = |subject: &str| {
        let group = policy.groups.iter().find(|group| group.wikis.iter().any(|wiki| wiki.as_str() == subject));
        group.map(|group| group.name.clone())
    };
    subjects.filter_map(|note| of(&note.subject)).collect()
}

/// Where a second person is demanded, the first does not speak in its place.
fn not_alone(policy: &Policy, overruled: &BTreeMap<GateName, String>) -> Result<(), Blocked> {
    let Some(line) = policy.rights.as_ref().and_then(|rights| rights.second_person) else { return Ok(()) };
    let approval = |name: &&GateName| policy.gates.iter().any(|g| g.name == **name && g.kind == GateKind::Approval);
    match overruled.keys().find(approval) {
        None => Ok(()),
        Some(gate) => {
            let file = policy.file.file_name().unwrap_or_default().to_string_lossy();
            let what = format!("the gate {gate} waits for a second person ({file}:{line}), so nobody overrules it");
            Err(Blocked::new(Why::NoRight, what).hint("promote without, and let somebody else type: pointsman approve"))
        }
    }
}

/// The groups of a promotion and who began it, and the run of a playbook that it is for, as [`answer`] takes them.
pub fn asked(books: &Books, rollout: RolloutId) -> (Vec<Group>, Vec<&str>) {
    let Some(rollout) = books.rollouts.get(&rollout) else { return (Vec::new(), Vec::new()) };
    let run = rollout.playbook.and_then(|id| books.playbooks.get(&id)).map(|run| run.by.as_str());
    (rollout.groups.clone(), run.into_iter().chain([rollout.by.as_str()]).collect())
}

/// Whether `person` may answer what waits for an approval: of a promotion or playbook of these groups, which these began, as
/// `user@deploy-host`. Who began it may say no.
pub fn answer(
    policy: &Policy,
    person: &Person,
    (groups, begun_by): (Vec<Group>, Vec<&str>),
    yes: bool,
) -> Result<(), Blocked> {
    let Some(rights) = &policy.rights else { return Ok(()) };
    let over = Over::groups(groups);
    may(policy, person, Right::Approve, &over)?;
    let name = &person.name;
    // A directory service may have names with an `@` in them; names of hosts have none.
    let began = begun_by.iter().any(|by| by.rsplit_once('@').is_some_and(|(user, _)| user == name));
    let Some(line) = rights.second_person.filter(|_| yes && began) else { return Ok(()) };
    let file = policy.file.file_name().unwrap_or_default().to_string_lossy();
    let asked = match &over {
        Over::These(groups) => groups.clone(),
        Over::Any | Over::Every => policy.groups.iter().map(|group| group.name.clone()).collect(),
    };
    let hint = whom_to_ask(rights, &file, (person, Right::Approve, &asked.iter().collect::<Vec<_>>()));
    let what = format!("{name} began it, and {file}:{line} demands that a second person approves");
    Err(Blocked::new(Why::NoRight, what).hint(hint))
}

/// What `person` may do, as in `promote, rollback, repair for every group; force for group2`; `None`: nothing.
pub fn all(policy: &Policy, person: &Person) -> Option<String> {
    let mut rights: Vec<(Vec<&Group>, Vec<Right>)> = Vec::new();
    for (_, right) in Right::ALL {
        let has = |group: &&Group| may(policy, person, right, &Over::These(vec![(*group).clone()])).is_ok();
        let groups: Vec<&Group> = policy.groups.iter().map(|group| &group.name).filter(has).collect();
        match rights.iter_mut().find(|(same, _)| *same == groups) {
            Some((_, same)) => same.push(right),
            None => rights.push((groups, vec![right])),
        }
    }
    let part = |(groups, rights): &(Vec<&Group>, Vec<Right>)| {
        let every = groups.len() == policy.groups.len();
        let over = if every { "every group".to_owned() } else { names(groups) };
        // All nine have a place.
        let rights: Vec<String> = rights.iter().map(ToString::to_string).collect();
        format!("{} for {over}", rights.join(", "))
    };
    let parts: Vec<String> = rights.iter().filter(|(groups, _)| !groups.is_empty()).map(part).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests;
