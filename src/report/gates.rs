//! What gates said, in words: in the status screen, and for one rollout whole.

use super::escape::Untrusted;
use super::words::since;
use crate::model::books::{Books, Status};
use crate::model::health::GateRow;
use crate::model::names::GateName;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::playbook::asked::Asked;
use std::collections::BTreeMap;

/// Open blockers, a line each: what is wrong, since when, by whom, what to type.
pub fn blockers(books: &Books, now: Time) -> Vec<String> {
    let open = books.health.blockers.iter().map(|(id, blocker)| {
        let version = blocker.version.as_ref().map(|version| format!(" ({version})")).unwrap_or_default();
        let (by, text, when) = (Untrusted(&blocker.by), Untrusted(&blocker.text), since(blocker.since, now));
        let id = Untrusted(id);
        format!("{id}{version}: {text} (by {by}, {when}); type: pointsman blocker close {id} -m WHY")
    });
    open.collect()
}

/// Approvals that wait for a person, a line each: of which rollout, who waits, since when, what to type.
pub fn waiting(books: &Books, now: Time) -> Vec<String> {
    // Nobody waits for the answer of a rollout that has ended.
    let open = |id| books.rollouts.get(&id).is_some_and(|rollout| rollout.status == Status::Open);
    let all: Vec<_> = books.health.waiting().filter(|(rollout, ..)| open(*rollout)).collect();
    let line = |(rollout, gate, asked): &(_, &GateName, Time)| {
        let of = books.rollouts.get(rollout);
        let what = of.map(|r| format!(" {} by {}", super::history::what(r), Untrusted(&r.by))).unwrap_or_default();
        // With several of one rollout the gate has to be named.
        let several = all.iter().filter(|(other, ..)| other == rollout).count() > 1;
        let which = if several { format!("{rollout} {gate}") } else { rollout.to_string() };
        let type_this = format!("pointsman approve {which} -m WHY, or pointsman deny {which} -m WHY");
        format!("{gate}: {rollout}{what} waits, {}; type: {type_this}", since(*asked, now))
    };
    all.iter().map(line).collect()
}

/// The same of a run of a playbook.
pub fn asked(asked: &Asked, now: Time) -> String {
    let (id, name, by) = (asked.id, Untrusted(&asked.name), Untrusted(&asked.by));
    let (stage, text) = (Untrusted(&asked.stage), Untrusted(&asked.text));
    let denied = asked.denied.as_ref().map(|(by, why)| format!(", denied by {}: {}", Untrusted(by), Untrusted(why)));
    let type_this = format!("pointsman approve {id} -m WHY, or pointsman deny {id} -m WHY");
    let denied = denied.unwrap_or_default();
    format!("{stage}: {id} {name} by {by} waits, {}{denied}: {text}; type: {type_this}", since(asked.since, now))
}

/// What gates said of one rollout: the last and the first failed judgement of each, who was blamed, what people decided.
pub fn rows(gates: &BTreeMap<GateName, GateRow>) -> Vec<String> {
    gates.iter().flat_map(|(name, row)| one(name, row)).collect()
}

fn one(name: &GateName, row: &GateRow) -> Vec<String> {
    let mut lines = Vec::new();
    let head = match (&row.last, row.asked) {
        (Some(last), _) => judged(last),
        (None, Some(asked)) => format!("asked for at {}", super::words::moment(asked)),
        (None, None) => "not asked".to_owned(),
    };
    lines.push(format!("gate {name}: {head}"));
    let samples = row.last.iter().filter(|last| last.verdict != Verdict::Pass).flat_map(|last| &last.samples);
    let earlier = row.failed.as_ref().filter(|failed| Some(*failed) != row.last.as_ref());
    lines.extend(samples.map(|sample| format!("  {}", Untrusted(sample))));
    lines.extend(earlier.map(|failed| format!("  before that: {}", judged(failed))));
    lines.extend(row.blame.as_ref().map(|blame| format!("  {}", Untrusted(blame))));
    lines.extend(row.answer.as_ref().map(|answer| {
        // An approval was asked for; any other gate was overruled.
        let what = match (row.asked.is_some(), answer.yes) {
            (true, true) => "approved",
            (true, false) => "denied",
            (false, _) => "overruled",
        };
        let (by, reason) = (Untrusted(&answer.by), Untrusted(&answer.reason));
        format!("  {what} by {by}, {}: {reason}", super::words::moment(answer.at))
    }));
    lines
}

fn judged(judgement: &Judgement) -> String {
    let at = super::words::moment(judgement.at);
    format!("{}, {at}: {}", judgement.verdict, reason(&judgement.sentence))
}

/// A judgement's sentence as it fits after the verdict: without the word for it at the beginning and the stop at the end.
pub fn reason(sentence: &str) -> String {
    let words = ["Passes: ", "Fails: ", "Undecided: ", "Error: "];
    let bare = words.iter().find_map(|word| sentence.strip_prefix(word)).unwrap_or(sentence);
    Untrusted(bare.strip_suffix('.').unwrap_or(bare)).to_string()
}

#[cfg(test)]
mod tests;
