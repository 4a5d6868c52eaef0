//! Playbook files: read, variables replaced, and checked against the site as a whole.
//!
//! Invariant: a [`spec::Playbook`] comes out only when nothing was wrong: every verb is known, every stage can be
//! reached, nothing leads back, and what a stage names is in groups.yaml. There is no expression language: a variable
//! stands for a whole value.

#[cfg(test)]
mod corpus;
mod order;
pub mod spec;
mod vars;
mod verbs;
mod when;

use super::diagnostic::{Diagnostics, Place, Sink, did_you_mean};
use super::fields::{Fields, choice, list, number, text};
use super::policy::Policy;
use super::yaml::{self, Node, Value};
use crate::model::limits::PLAYBOOK_STAGES_MAX;
use spec::{Budget, OnFail, Playbook, Stage};
use std::collections::BTreeMap;
use std::path::Path;

pub use when::DAYS;

const KEYS: &[&str] = &["name", "variables", "hours", "freeze", "stages"];
/// Keys of a stage beside its verb.
const COMMON: &[&str] = &["name", "on_fail", "next", "budget"];

/// A stage and where its parts stand, for checks of the whole.
struct Read {
    stage: Stage,
    place: Place,
    next: Option<(Place, String)>,
    /// Why a promotion may skip a group before it.
    out_of_order: Option<String>,
}

/// Reads the playbook `file` for a site; its text comes with it, for the books.
///
/// # Errors
///
/// As [`parse`], and a file that somebody else could have written.
pub fn load(file: &Path, policy: &Policy, given: &BTreeMap<String, String>) -> Result<(Playbook, String), Diagnostics> {
    match super::trust::read(file, super::trust::Invoker::of_process()) {
        Ok(text) => Ok((parse(file, &text, policy, given)?, text)),
        Err(error) => Err(Diagnostics::unread(file, error)),
    }
}

/// Reads the text of the playbook `file` for a site, with the values of `--var`.
///
/// # Errors
///
/// All mistakes at once, each with its place; a value that is missing or of the wrong type has the place of its
/// declaration.
pub fn parse(
    file: &Path,
    text: &str,
    policy: &Policy,
    given: &BTreeMap<String, String>,
) -> Result<Playbook, Diagnostics> {
    let mut sink = Sink::new(file);
    let playbook = yaml::read(text, &mut sink).and_then(|tree| playbook(tree, policy, given, &mut sink));
    sink.finish(playbook)
}

fn playbook(mut tree: Node, policy: &Policy, given: &BTreeMap<String, String>, sink: &mut Sink) -> Option<Playbook> {
    let vars = vars::replace(&mut tree, policy, given, sink)?;
    let mut f = Fields::of(&tree, KEYS, "a playbook", sink)?;
    let name = f.need("name", text);
    let hours = f.optional("hours", when::hours);
    let freezes = f.optional("freeze", |n, s| list(n, "`freeze`", when::freeze, s));
    let stages = f.need("stages", |n, s| list(n, "`stages`", |n, s| stage(n, policy, s), s));
    let (whole, sink) = (!f.broken.contains("stages"), f.sink);
    let stages = stages?;
    if stages.value.is_empty() && whole {
        sink.add(stages.place, "there is no stage");
    }
    if stages.value.len() > PLAYBOOK_STAGES_MAX {
        sink.add(stages.place, format!("there are more than {PLAYBOOK_STAGES_MAX} stages"));
    }
    // What is missing was noted; nothing is concluded from the rest.
    let stages = if whole { order::check(stages.value, policy, sink) } else { Vec::new() };
    Some(Playbook {
        name: name?.value,
        vars,
        stages,
        freezes: freezes?.map(|at| at.value).unwrap_or_default(),
        hours: hours?.map(|at| at.value),
    })
}

fn stage(node: &Node, policy: &Policy, sink: &mut Sink) -> Option<Read> {
    let keys: Vec<&str> = COMMON.iter().copied().chain(verbs::VERBS.map(|(name, _)| name)).collect();
    let (verb, value, reader) = verb_of(node, sink)?;
    let mut f = Fields::of(node, &keys, "a stage", sink)?;
    let name = f.need("name", text);
    let fails = [("rollback", OnFail::Rollback), ("pause", OnFail::Pause), ("continue", OnFail::Continue)];
    let on_fail = f.optional("on_fail", |n, s| choice(n, &fails, s));
    let next = f.optional("next", text);
    let budget = f.optional("budget", budget);
    let sink = f.sink;
    let read = reader(value, &format!("`{verb}`"), policy, sink)?;
    let budget = budget?;
    if let Some(budget) = &budget {
        possible(&budget.value, budget.place, read.targets, sink);
    }
    let stage = Stage {
        name: name?.value,
        verb: read.verb,
        on_fail: on_fail?.map_or(OnFail::Pause, |at| at.value),
        next: None,
        budget: budget.map(|at| at.value),
        targets: read.targets,
    };
    let next = next?.map(|at| (at.place, at.value));
    Some(Read { stage, place: node.place, next, out_of_order: read.out_of_order })
}

/// The one verb of a stage, and what it is given.
fn verb_of<'a>(node: &'a Node, sink: &mut Sink) -> Option<(&'static str, &'a Node, verbs::Reader)> {
    let Value::Map(entries) = &node.value else {
        sink.add(node.place, "a stage must be a mapping of keys to values");
        return None;
    };
    let names = verbs::VERBS.map(|(name, _)| name);
    let others = entries.iter().filter(|(key, _)| !COMMON.contains(&key.text.as_str()));
    let (known, unknown): (Vec<_>, Vec<_>) = others.partition(|(key, _)| names.contains(&key.text.as_str()));
    for (key, _) in &unknown {
        let hint = did_you_mean(&key.text, names.iter().chain(COMMON).copied());
        let hint = hint.unwrap_or_else(|| format!("verbs are {}", names.join(", ")));
        sink.hint(key.place, format!("`{}` is not a verb", key.text), Some(hint));
    }
    match known.as_slice() {
        [(key, value)] if unknown.is_empty() => {
            verbs::VERBS.iter().find(|(name, _)| *name == key.text).map(|(name, reader)| (*name, value, *reader))
        }
        [_, (key, _), ..] => {
            let message = format!("a stage has one verb, and `{}` is another one", key.text);
            sink.hint(key.place, message, Some("write a stage for each".to_owned()));
            None
        }
        [] if unknown.is_empty() => {
            sink.hint(node.place, "this stage has no verb", Some(format!("one of {}", names.join(", "))));
            None
        }
        _ => None,
    }
}

fn budget(node: &Node, sink: &mut Sink) -> Option<Budget> {
    let mut f = Fields::of(node, &["hosts", "percent", "unreachable"], "`budget`", sink)?;
    let (hosts, percent) = (f.optional("hosts", number), f.optional("percent", number));
    let unreachable = f.optional("unreachable", number);
    let (hosts, percent) = (hosts?.map(|at| at.value), percent?.map(|at| at.value));
    Some(Budget { hosts, percent, unreachable: unreachable?.map_or(0, |at| at.value) })
}

/// A budget that can never be exceeded is none.
fn possible(budget: &Budget, place: Place, targets: usize, sink: &mut Sink) {
    let targets = targets as u64;
    let hosts = budget.hosts.is_none_or(|most| most >= targets);
    let percent = budget.percent.is_none_or(|most| most >= 100);
    if targets == 0 {
        sink.add(place, "this verb has no hosts or items, and so no budget");
    } else if budget.hosts.or(budget.percent).is_some() && hosts && percent {
        let hint = format!("fewer than {targets} hosts, or less than 100 percent");
        sink.hint(place, format!("this budget is never exceeded: all {targets} may fail"), Some(hint));
    } else if budget.unreachable > targets {
        sink.add(place, format!("only {targets} can be unreachable"));
    }
}
