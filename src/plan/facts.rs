//! What a plan is shown with, so that a person can judge it: what could be taken back afterwards, what is to be brought to
//! hosts, how long such things took before.
//!
//! Invariant: nothing here decides anything. What is not known is said to be unknown and is never a zero.

use super::back::{self, Scope};
use super::forward::afterwards;
use super::goal::{Change, Goal, Mode, Site, changes};
use super::hosts::Plan;
use crate::model::books::Books;
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::names::GateName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a plan is shown with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Components whose wanted content moves.
    pub content: Vec<ContentChange>,
    /// What is to be brought to hosts.
    pub load: Load,
    /// What a rollback would restore once this is done; empty: nothing.
    pub rollback: Vec<Change>,
    /// How long such undertakings took before; `None`: there is no journal to read it from.
    pub past: Option<Past>,
    /// Gates that are overruled, each with the reason.
    pub overruled: BTreeMap<GateName, String>,
    /// Whether anything would change.
    pub changes: bool,
}

/// A component whose wanted content moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentChange {
    /// Which.
    pub component: Component,
    /// Before; `None`: it is new.
    pub from: Option<Digest>,
    /// After; `None`: it is not wanted any more.
    pub to: Option<Digest>,
    /// Which files; `None`: not known here.
    pub files: Option<FileCounts>,
}

/// How many files differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileCounts {
    /// Only in the new content.
    pub added: usize,
    /// In both, and different.
    pub changed: usize,
    /// Only in the old content.
    pub removed: usize,
}

/// What is to be brought to hosts, before anything is packed or copied from what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Hosts that lack something.
    pub hosts: usize,
    /// The bytes of the files that these lack, all hosts together.
    pub bytes: u64,
    /// Hosts of which it is not known.
    pub unknown: usize,
}

/// How long undertakings of one kind took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// How many were looked at.
    pub runs: usize,
    /// The median, ms.
    pub median_ms: u64,
    /// The longest, ms.
    pub longest_ms: u64,
}

impl Past {
    /// Of the times that they took, ms, in any order.
    pub fn of(mut times_ms: Vec<u64>) -> Self {
        times_ms.sort_unstable();
        let at = |n: usize| times_ms.get(n).copied().unwrap_or_default();
        let runs = times_ms.len();
        Self { runs, median_ms: at(runs / 2), longest_ms: at(runs.saturating_sub(1)) }
    }
}

/// What a rollback would restore once `goal` is reached; empty when it would restore nothing.
pub fn rollback(site: Site<'_>, goal: &Goal) -> Vec<Change> {
    let books = afterwards(site.books, goal);
    let after = Site { books: &books, ..site };
    match back::rollback(after, &Scope::Last, "") {
        Ok(back) => changes(site.policy, &goal.snapshot.map, &back.snapshot.map),
        Err(_) => Vec::new(),
    }
}

/// Components whose wanted content moves; which files is not known here.
pub fn content(books: &Books, goal: &Goal) -> Vec<ContentChange> {
    let nothing = BTreeMap::new();
    let (before, after) = (books.wanted().map_or(&nothing, |wanted| &wanted.wanted), &goal.snapshot.wanted);
    let gone = before.keys().filter(|component| !after.contains_key(*component));
    let moved = after.keys().filter(|component| before.get(*component) != after.get(*component));
    let change = |component: &Component| ContentChange {
        component: component.clone(),
        from: before.get(component).copied(),
        to: after.get(component).copied(),
        files: None,
    };
    gone.chain(moved).map(change).collect()
}

/// Whether what is shown of a plan's effect is what follows from it: what could be taken back, the content, the gates that
/// are overruled. What was measured then, hosts and times, is of then.
pub fn follow(site: Site<'_>, goal: &Goal, overruled: &BTreeMap<GateName, String>, shown: &Facts) -> bool {
    let moved = |change: &ContentChange| (change.component.clone(), change.from, change.to);
    let content: Vec<_> = content(site.books, goal).iter().map(moved).collect();
    let same_content = shown.content.iter().map(moved).eq(content);
    shown.overruled == *overruled && shown.rollback == rollback(site, goal) && same_content
}

/// Whether `plan` would change anything, as far as was seen: maps, pins, content, or a host that is not there yet.
/// `stale` says how many hosts are not as wanted.
pub fn changes_anything(books: &Books, plan: &Plan, stale: usize) -> bool {
    let goal = &plan.goal;
    let pins = books.wanted().is_none_or(|wanted| wanted.pins != goal.snapshot.pins);
    let elsewhere = plan.hosts.values().any(|part| part.expect.is_some_and(|seen| seen.active != Some(part.map)));
    let left_out = goal.mode == Mode::Barrier && !plan.excluded.is_empty();
    let moves = !goal.changes.is_empty() || pins || !content(books, goal).is_empty();
    moves || left_out || elsewhere || stale > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Incarnation;
    use crate::model::protocol::Expect;
    use crate::plan::fixture::{books, done, group, policy, site, wmf};
    use crate::plan::{forward, hosts};

    #[test]
    fn what_could_be_taken_back_afterwards_is_all_of_the_version() {
        let policy = policy(3);
        let mut books = books(&policy);
        let promote = |books: &Books, name: &str| {
            forward::promote(site(&policy, books, 5), &group(name), &wmf(11), "x", None).expect("it is planned")
        };
        let first = promote(&books, "group0");
        assert_eq!(rollback(site(&policy, &books, 5), &first).len(), 1);
        done(&mut books, first, 6);
        let second = promote(&books, "group1");
        let back = rollback(site(&policy, &books, 7), &second);
        assert_eq!(back.iter().map(|change| change.wikis).collect::<Vec<_>>(), [5, 592]);
        assert!(back.iter().all(|change| change.to == wmf(10)));
        let taken = back::rollback(site(&policy, &books, 8), &Scope::Last, "x").expect("it is planned");
        assert_eq!(rollback(site(&policy, &books, 8), &taken), [], "a further one only finishes it");
    }

    #[test]
    fn a_plan_to_where_everything_is_changes_nothing() {
        let policy = policy(3);
        let mut books = books(&policy);
        let goal = forward::promote(site(&policy, &books, 5), &group("group0"), &wmf(11), "x", None);
        let goal = goal.expect("it is planned");
        let plan = hosts::plan(site(&policy, &books, 5), goal.clone(), None).expect("it is planned");
        assert!(changes_anything(&books, &plan, 0));
        done(&mut books, goal, 6);
        let again = forward::promote(site(&policy, &books, 7), &group("group0"), &wmf(11), "x", None);
        let plan = hosts::plan(site(&policy, &books, 7), again.expect("it is planned"), None).expect("it is planned");
        assert!(!changes_anything(&books, &plan, 0));
        assert!(changes_anything(&books, &plan, 1), "a host is to be mended");
        let serving = |is_wanted: bool| {
            let mut plan = plan.clone();
            for part in plan.hosts.values_mut() {
                let active = is_wanted.then_some(part.map);
                part.expect = Some(Expect { incarnation: Incarnation(1), active });
            }
            changes_anything(&books, &plan, 0)
        };
        assert_eq!([true, false].map(serving), [false, true], "hosts serve what they should, or not yet");
        let mut left_out = plan;
        left_out.excluded.insert("mw2001.codfw.wmnet".parse().expect("a host"), "out of order".to_owned());
        assert!(changes_anything(&books, &left_out, 0), "it is owed the state from now on");
        left_out.goal.mode = Mode::Each;
        assert!(!changes_anything(&books, &left_out, 0), "that notes nothing of it");
    }

    #[test]
    fn content_that_moves_comes_and_goes_is_named() {
        let policy = policy(3);
        let books = books(&policy);
        let [new, fix] = [b"new", b"fix"].map(|bytes| Digest::of(bytes));
        let brought = [(Component::Version(wmf(13)), new), (Component::Version(wmf(10)), fix)].into();
        let goal = crate::plan::content::sync(site(&policy, &books, 1), &brought, None, true, "cut");
        let found = content(&books, &goal.expect("it is planned"));
        let shown = |change: &ContentChange| {
            (change.component.to_string(), change.from.is_some(), change.to.map(|to| [new, fix].contains(&to)))
        };
        let is = |name: &str, was, to| (format!("php-1.27.0-wmf.{name}"), was, to);
        let wanted =
            [is("11", true, None), is("12", true, None), is("10", true, Some(true)), is("13", false, Some(true))];
        assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn times_have_a_median() {
        assert_eq!(Past::of(Vec::new()), Past::default());
        assert_eq!(Past::of(vec![9, 1, 5]), Past { runs: 3, median_ms: 5, longest_ms: 9 });
        assert_eq!(Past::of(vec![9, 1, 5, 7, 3]), Past { runs: 5, median_ms: 5, longest_ms: 9 });
    }
}
