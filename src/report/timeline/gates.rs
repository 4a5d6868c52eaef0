//! What gates found and what people decided: verdicts with value, limit and evidence, blame, approvals, blockers.
//!
//! Of one gate at one moment of one rollout every failure is told, those in a row as one, and the verdict that stood in
//! the end. What was undecided on the way there is left out.

use super::super::gates::reason;
use super::super::markdown::Cell;
use super::{Mark, Row, time_near};
use crate::gate::judge::brief;
use crate::model::health::HealthRecord;
use crate::model::ids::RolloutId;
use crate::model::limits::TIMELINE_SAMPLES_MAX;
use crate::model::names::GateName;
use crate::model::verdict::{Judgement, Verdict};
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};

/// What gates said.
#[derive(Debug, Default)]
pub struct Gates {
    said: BTreeMap<(RolloutId, GateName, String), Vec<Same>>,
    asked: BTreeSet<(RolloutId, GateName)>,
    blockers: BTreeSet<String>,
}

/// Verdicts of one kind in a row.
#[derive(Debug)]
struct Same {
    mark: Mark,
    judgement: Judgement,
    times: usize,
    last: Mark,
}

impl Gates {
    /// Takes the next event of the journal.
    pub fn take(&mut self, mark: Mark, record: &HealthRecord, rows: &mut Vec<Row>) {
        let text = match record {
            HealthRecord::Judged { rollout, moment, judgement } => {
                let key = (*rollout, judgement.gate.clone(), moment.clone());
                judged(self.said.entry(key).or_default(), mark, judgement);
                return;
            }
            HealthRecord::Signatures { .. } => return,
            HealthRecord::Attributed { rollout, gate, blame } => format!("blame ({rollout}, {gate}): {}", Cell(blame)),
            HealthRecord::Asked { rollout, gate } => {
                self.asked.insert((*rollout, gate.clone()));
                format!("**{rollout}** waits for a person: approval {gate}")
            }
            HealthRecord::Answered { rollout, gate, yes, by, reason } => {
                let what = match (self.asked.contains(&(*rollout, gate.clone())), yes) {
                    (true, true) => "approved",
                    (true, false) => "denied",
                    (false, _) => "gate overruled",
                };
                format!("**{what}**: {gate} of {rollout}, by {}: {}", Cell(by), Cell(reason))
            }
            HealthRecord::Blocked { id, by, text, version } => {
                if !self.blockers.insert(id.clone()) {
                    return;
                }
                let version = version.as_ref().map(|version| format!(" ({version})")).unwrap_or_default();
                format!("**blocker** {}{version} opened by {}: {}", Cell(id), Cell(by), Cell(text))
            }
            HealthRecord::Unblocked { id, by, reason } => {
                self.blockers.remove(id);
                format!("blocker {} closed by {}: {}", Cell(id), Cell(by), Cell(reason))
            }
        };
        rows.push(Row { mark, text });
    }

    /// The lines of verdicts.
    pub fn end(self, rows: &mut Vec<Row>) {
        for ((rollout, _, moment), said) in self.said {
            let last = said.len().saturating_sub(1);
            let decisive =
                said.iter().enumerate().filter(|(n, same)| *n == last || same.judgement.verdict == Verdict::Fail);
            rows.extend(decisive.map(|(_, same)| same.row(rollout, &moment)));
        }
    }
}

/// Counts a verdict with those before it. Of failures the first has the evidence, of anything else the last: it rests on
/// the most.
fn judged(said: &mut Vec<Same>, mark: Mark, judgement: &Judgement) {
    match said.last_mut().filter(|same| same.judgement.verdict == judgement.verdict) {
        Some(same) => {
            (same.times, same.last) = (same.times + 1, mark);
            if judgement.verdict != Verdict::Fail {
                same.judgement = judgement.clone();
            }
        }
        None => said.push(Same { mark, judgement: judgement.clone(), times: 1, last: mark }),
    }
}

impl Same {
    fn row(&self, rollout: RolloutId, moment: &str) -> Row {
        let Judgement { gate, verdict, .. } = &self.judgement;
        let says = match verdict {
            Verdict::Pass => "passes",
            Verdict::Fail => "**fails**",
            Verdict::Inconclusive => "**is undecided**",
            Verdict::Error => "**could not be asked**",
        };
        let mut text = format!("gate {gate} {says} ({rollout}, {}): {}", Cell(moment), self.evidence());
        if *verdict != Verdict::Pass {
            text += &samples(&self.judgement.samples);
        }
        if *verdict == Verdict::Fail && self.times > 1 {
            let until = time_near(self.last.at, self.mark.at);
            text += &format!(". It failed {} until {until}", count(self.times - 1, "more time"));
        }
        // A failure is told when it was first seen, anything else when it stood.
        let mark = if *verdict == Verdict::Fail { self.mark } else { self.last };
        Row { mark, text }
    }

    fn evidence(&self) -> String {
        let Judgement { value, limit, sentence, .. } = &self.judgement;
        let sentence = Cell(&reason(sentence)).to_string();
        match (value, limit.is_empty()) {
            (Some(value), false) => format!("{} against {}. {sentence}", Cell(&brief(*value)), Cell(limit)),
            (Some(value), true) => format!("{}. {sentence}", Cell(&brief(*value))),
            (None, false) => format!("held against {}. {sentence}", Cell(limit)),
            (None, true) => sentence,
        }
    }
}

fn samples(samples: &[String]) -> String {
    let shown: Vec<String> = samples.iter().take(TIMELINE_SAMPLES_MAX).map(|sample| Cell(sample).to_string()).collect();
    match samples.len().checked_sub(TIMELINE_SAMPLES_MAX) {
        _ if shown.is_empty() => String::new(),
        Some(more) if more > 0 => format!(". Measured: {} and {more} more", shown.join("; ")),
        _ => format!(". Measured: {}", shown.join("; ")),
    }
}
