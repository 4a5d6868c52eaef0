//! What the books know of the health of releases: open blockers, and what each gate said in each rollout.
//!
//! Invariant: a failure is never forgotten for a later pass: [`GateRow`] keeps the worst judgement beside the last one.

use super::ids::RolloutId;
use super::names::{GateName, Version};
use super::time::Time;
use super::verdict::{Judgement, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Blockers, and evidence by rollout and gate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Open ones by id: `T124143`, or `sig-1f2e3d4c` of a new signature.
    pub blockers: BTreeMap<String, Blocker>,
    /// What gates said.
    pub gates: BTreeMap<RolloutId, BTreeMap<GateName, GateRow>>,
}

/// Something that stops every further group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// Who opened it; a gate's name when a gate did.
    pub by: String,
    /// What is wrong; with a sample, for a signature.
    pub text: String,
    /// The version that it was seen with; `None`: a person did not say.
    pub version: Option<Version>,
    /// Since when.
    pub since: Time,
}

/// What one gate said in one rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct GateRow {
    /// The last judgement.
    pub last: Option<Judgement>,
    /// The first failure; `None`: it never failed.
    pub failed: Option<Judgement>,
    /// Who is to blame for it, in words.
    pub blame: Option<String>,
    /// For an approval: when it was asked for; `None`: it was not.
    pub asked: Option<Time>,
    /// A person's answer to an approval, or that person's decision to go on in spite of the gate.
    pub answer: Option<Answer>,
}

/// What a person decided about a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// Whether to go on.
    pub yes: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Time,
}

/// A change of what is known of health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "health", rename_all = "kebab-case")]
pub enum HealthRecord {
    /// A gate gave a verdict.
    Judged {
        /// In which rollout.
        rollout: RolloutId,
        /// At which moment: `wave 2 of 3`, `watch`.
        moment: String,
        /// What it says, and why.
        judgement: Judgement,
    },
    /// Who is to blame for a failed gate.
    Attributed {
        /// In which rollout.
        rollout: RolloutId,
        /// Which gate failed.
        gate: GateName,
        /// In words.
        blame: String,
    },
    /// An approval waits for a person.
    Asked {
        /// In which rollout.
        rollout: RolloutId,
        /// Which gate.
        gate: GateName,
    },
    /// A person answered an approval, or overrode a gate.
    Answered {
        /// In which rollout.
        rollout: RolloutId,
        /// Which gate.
        gate: GateName,
        /// Whether to go on.
        yes: bool,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Further groups are stopped.
    Blocked {
        /// The blocker's id.
        id: String,
        /// Who, or which gate.
        by: String,
        /// What is wrong.
        text: String,
        /// With which version it was seen.
        version: Option<Version>,
    },
    /// A blocker is closed.
    Unblocked {
        /// The blocker's id.
        id: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// These signatures were seen in logs; see [`super::limits::SIGNATURES_SHOWN_MAX`].
    Signatures {
        /// As they are printed.
        seen: Vec<String>,
    },
}

impl Health {
    /// Applies a change; `now` is when it was committed.
    pub fn apply(&mut self, now: Time, record: &HealthRecord) {
        match record {
            HealthRecord::Judged { judgement, rollout, .. } => {
                let row = self.row(*rollout, &judgement.gate);
                if judgement.verdict == Verdict::Fail && row.failed.is_none() {
                    row.failed = Some(judgement.clone());
                }
                row.last = Some(judgement.clone());
            }
            HealthRecord::Attributed { rollout, gate, blame } => self.row(*rollout, gate).blame = Some(blame.clone()),
            HealthRecord::Asked { rollout, gate } => self.row(*rollout, gate).asked = Some(now),
            HealthRecord::Answered { rollout, gate, yes, by, reason } => {
                let answer = Answer { yes: *yes, by: by.clone(), reason: reason.clone(), at: now };
                self.row(*rollout, gate).answer = Some(answer);
            }
            HealthRecord::Blocked { id, by, text, version } => {
                let since = self.blockers.get(id).map_or(now, |open| open.since);
                let blocker = Blocker { by: by.clone(), text: text.clone(), version: version.clone(), since };
                self.blockers.insert(id.clone(), blocker);
            }
            HealthRecord::Unblocked { id, .. } => drop(self.blockers.remove(id)),
            HealthRecord::Signatures { .. } => {}
        }
    }

    fn row(&mut self, rollout: RolloutId, gate: &GateName) -> &mut GateRow {
        self.gates.entry(rollout).or_default().entry(gate.clone()).or_default()
    }

    /// The approvals that wait for a person.
    pub fn waiting(&self) -> impl Iterator<Item = (RolloutId, &GateName, Time)> {
        let rows = self.gates.iter().flat_map(|(rollout, gates)| gates.iter().map(|(gate, row)| (*rollout, gate, row)));
        rows.filter_map(|(rollout, gate, row)| Some((rollout, gate, row.asked.filter(|_| row.answer.is_none())?)))
    }
}

impl HealthRecord {
    /// The rollout and gate whose row it changes.
    pub fn gate(&self) -> Option<(RolloutId, &GateName)> {
        match self {
            Self::Judged { rollout, judgement, .. } => Some((*rollout, &judgement.gate)),
            Self::Attributed { rollout, gate, .. }
            | Self::Asked { rollout, gate }
            | Self::Answered { rollout, gate, .. } => Some((*rollout, gate)),
            Self::Blocked { .. } | Self::Unblocked { .. } | Self::Signatures { .. } => None,
        }
    }
}
