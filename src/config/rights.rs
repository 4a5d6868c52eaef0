//! The section `policy`: who may do what, by users and groups of users of the deploy host.
//!
//! Invariant: what is read lets somebody promote each group and answer each approval, so that a slip of the pen does not lock a
//! site out. Whether a name is known to the system is not asked: groups.yaml is read on other machines too.

pub mod entry;

use super::diagnostic::{Sink, names};
use super::policy::{GroupPolicy, Rights, Rule};
use super::raw::{At, File};
use super::resolve::parsed;
use super::stages::groups_of;
use crate::gate::spec::{Gate, Kind};
use crate::model::names::{AccountName, Group};
use crate::model::right::Right;
use entry::{PolicyEntry, RuleEntry};
use std::collections::BTreeSet;

/// Who may do what; what is wrong is noted.
pub fn rights(
    (at, raw): (&At<PolicyEntry>, &File),
    groups: &[GroupPolicy],
    gates: &[Gate],
    sink: &mut Sink,
) -> Option<Rights> {
    let (before, entry) = (sink.count(), &at.value);
    if entry.rules.value.is_empty() && !raw.broken.contains("policy") {
        let hint = "without the section `policy` whoever can write the books may do everything".to_owned();
        sink.hint(entry.rules.place, "at least one rule must stand here, or nobody may do anything", Some(hint));
    }
    let rules: Vec<Rule> = entry.rules.value.iter().filter_map(|entry| rule(entry, groups, sink)).collect();
    if sink.count() == before && !raw.broken.contains("policy") {
        somebody_may(entry, &rules, groups, gates, sink);
    }
    let second_person = entry.second_person.as_ref().filter(|at| at.value).map(|at| at.place.line);
    Some(Rights { line: at.place.line, second_person, rules })
}

fn rule(entry: &RuleEntry, groups: &[GroupPolicy], sink: &mut Sink) -> Option<Rule> {
    let mut accounts = |list: &Option<At<Vec<At<String>>>>, what: &str| -> BTreeSet<AccountName> {
        list.iter().flat_map(|at| &at.value).filter_map(|name| parsed(name, what, sink)).collect()
    };
    let users = accounts(&entry.users, "the name of a user");
    let members_of = accounts(&entry.members_of, "the name of a group of users");
    let groups = entry.groups.as_ref().map(|at| groups_of(at, groups, sink));
    if entry.users.is_none() && entry.members_of.is_none() {
        let hint = "say who, by `users: [NAME]` or `members_of: [GROUP]`".to_owned();
        sink.hint(entry.place, "nobody can match this rule", Some(hint));
        return None;
    }
    Some(Rule { line: entry.place.line, users, members_of, may: entry.may.value.iter().copied().collect(), groups })
}

/// Whether a user, or the members of one group of users, may promote every group of wikis.
fn one_may_promote(rules: &[Rule], groups: &[GroupPolicy]) -> bool {
    let all = |rules: &[&Rule]| groups.iter().all(|g| rules.iter().any(|rule| rule.gives(Right::Promote, &g.name)));
    let of = |named: fn(&Rule) -> &BTreeSet<AccountName>, account| {
        rules.iter().filter(|rule| named(rule).contains(account)).collect::<Vec<_>>()
    };
    let users = rules.iter().flat_map(|rule| &rule.users).any(|user| all(&of(|rule| &rule.users, user)));
    users || rules.iter().flat_map(|rule| &rule.members_of).any(|group| all(&of(|rule| &rule.members_of, group)))
}

/// Notes what nobody could do, which is no policy but a mistake.
fn somebody_may(entry: &PolicyEntry, rules: &[Rule], groups: &[GroupPolicy], gates: &[Gate], sink: &mut Sink) {
    let of = |right: Right, group: &Group| {
        let given: Vec<&Rule> = rules.iter().filter(|rule| rule.gives(right, group)).collect();
        let users: BTreeSet<&AccountName> = given.iter().flat_map(|rule| &rule.users).collect();
        (users, given.iter().any(|rule| !rule.members_of.is_empty()))
    };
    let nobody = |(users, members): (BTreeSet<&AccountName>, bool)| users.is_empty() && !members;
    let all = || groups.iter().map(|group| &group.name);
    let stuck: Vec<&Group> = all().filter(|group| nobody(of(Right::Promote, group))).collect();
    if !stuck.is_empty() {
        let hint = "a rule without `groups` is for all groups".to_owned();
        sink.hint(entry.rules.place, format!("nobody may promote {}", names(&stuck)), Some(hint));
    } else if !one_may_promote(rules, groups) {
        let message = "nobody may promote every group, so nobody could lift a hold or close a blocker";
        sink.hint(entry.rules.place, message, Some("a rule without `groups` is for all groups".to_owned()));
    }
    for gate in gates.iter().filter(|gate| gate.kind == Kind::Approval) {
        let asks = |group: &&Group| gate.groups.as_ref().is_none_or(|groups| groups.contains(*group));
        let stuck: Vec<&Group> = all().filter(asks).filter(|group| nobody(of(Right::Approve, group))).collect();
        if !stuck.is_empty() {
            let message =
                format!("the gate `{}` waits for an approval of {}, which nobody may give", gate.name, names(&stuck));
            sink.hint(entry.rules.place, message, Some("give `approve` to somebody for them".to_owned()));
        }
    }
    let Some(second) = entry.second_person.as_ref().filter(|at| at.value) else { return };
    if all().all(|group| nobody(of(Right::Approve, group))) {
        sink.add(second.place, "a second person is demanded, and nobody may approve");
    }
    let alone = all().find_map(|group| match of(Right::Approve, group) {
        (users, false) if users.len() == 1 => Some((group, users.into_iter().next()?)),
        _ => None,
    });
    if let Some((group, user)) = alone {
        let hint = "name another, or a group of users".to_owned();
        sink.hint(
            second.place,
            format!("a second person is demanded, and only {user} may approve {group}"),
            Some(hint),
        );
    }
}
