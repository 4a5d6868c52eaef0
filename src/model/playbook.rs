//! What the books know of the runs of playbooks: which stage, which items are done, and who decided what.
//!
//! Invariant: a stage is on the books as begun before its command runs, so that after a crash it is known which one may
//! have had an effect. No lock of the fleet is held for a playbook; each stage takes it for itself.

use super::ids::PlaybookId;
use super::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One run of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaybookRun {
    /// Its name in the books.
    pub id: PlaybookId,
    /// The file, absolute.
    pub file: PathBuf,
    /// What the file said when it began; a resume carries out this, whatever the file says then.
    pub text: String,
    /// The values of its variables.
    pub vars: BTreeMap<String, String>,
    /// Who began it.
    pub by: String,
    /// When.
    pub at: Time,
    /// How it stands.
    pub status: PlaybookStatus,
    /// Why it stands so; empty while it runs.
    pub why: String,
    /// Freeze windows and hours do not stop it, and why.
    pub override_freeze: Option<String>,
    /// The newest rollout in the books when it began, by number: a later rollback that is not its own ends it.
    pub seen: u64,
    /// By name; a stage that is not here was not begun.
    pub stages: BTreeMap<String, StageRow>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlaybookStatus {
    /// Begun and not ended; whether its process lives is not known here.
    Open,
    /// It waits for a person; `resume` goes on.
    Paused,
    /// Through its last stage.
    Done,
    /// What it moved is being taken back; after a crash `resume` goes on with that.
    GoingBack,
    /// What it had moved was taken back.
    TakenBack,
    /// A person ended it.
    Aborted,
    /// Somebody else moved the fleet meanwhile.
    Superseded,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct StageRow {
    /// When it was begun last.
    pub began: Time,
    /// When it was begun first, from which a soak counts.
    pub first: Time,
    /// How it ended, as an exit code; `None`: it has not.
    pub code: Option<u8>,
    /// Whether the playbook went past it.
    pub passed: bool,
    /// Items of a `run` that are through; `false`: it failed.
    pub items: BTreeMap<String, bool>,
    /// A person's answer to an approval: whether to go on, who and why.
    pub answer: Option<(bool, String, String)>,
}

/// A change of what is known of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "playbook", rename_all = "kebab-case")]
pub enum PlaybookRecord {
    /// A run begins.
    Began {
        /// It, with status open.
        run: Box<PlaybookRun>,
    },
    /// A stage's command is about to run.
    Stage {
        /// Which run.
        id: PlaybookId,
        /// Which stage.
        stage: String,
    },
    /// A stage's command ended.
    StageEnded {
        /// Which run.
        id: PlaybookId,
        /// Which stage.
        stage: String,
        /// Its exit code.
        code: u8,
        /// Whether the playbook goes past it.
        passed: bool,
    },
    /// Items of a `run` are through.
    Items {
        /// Which run.
        id: PlaybookId,
        /// Which stage.
        stage: String,
        /// Each, and whether it succeeded.
        items: BTreeMap<String, bool>,
    },
    /// A person answered an approval.
    Answered {
        /// Which run.
        id: PlaybookId,
        /// Which stage.
        stage: String,
        /// Whether to go on.
        yes: bool,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A freeze is overridden from now on.
    Overridden {
        /// Which run.
        id: PlaybookId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It stands so from now on.
    Stands {
        /// Which run.
        id: PlaybookId,
        /// How.
        status: PlaybookStatus,
        /// Why.
        why: String,
        /// Who, when a person did it.
        by: String,
    },
}

impl PlaybookRecord {
    /// Whose row it changes.
    pub fn id(&self) -> PlaybookId {
        match self {
            Self::Began { run } => run.id,
            Self::Stage { id, .. }
            | Self::StageEnded { id, .. }
            | Self::Items { id, .. }
            | Self::Answered { id, .. }
            | Self::Overridden { id, .. }
            | Self::Stands { id, .. } => *id,
        }
    }

    /// Changes the runs; `now` is when it was committed. A record of a run that is not known changes nothing.
    pub fn apply(&self, now: Time, runs: &mut BTreeMap<PlaybookId, PlaybookRun>) {
        if let Self::Began { run } = self {
            runs.insert(run.id, (**run).clone());
            return;
        }
        let Some(run) = runs.get_mut(&self.id()) else { return };
        match self {
            Self::Began { .. } => {}
            Self::Stage { stage, .. } => {
                let row =
                    run.stages.entry(stage.clone()).or_insert_with(|| StageRow { first: now, ..StageRow::default() });
                (row.began, row.code, row.passed) = (now, None, false);
            }
            Self::StageEnded { stage, code, passed, .. } => {
                let row = run.stages.entry(stage.clone()).or_default();
                (row.code, row.passed) = (Some(*code), *passed);
            }
            Self::Items { stage, items, .. } => {
                run.stages.entry(stage.clone()).or_default().items.extend(items.clone());
            }
            Self::Answered { stage, yes, by, reason, .. } => {
                run.stages.entry(stage.clone()).or_default().answer = Some((*yes, by.clone(), reason.clone()));
            }
            Self::Overridden { reason, .. } => run.override_freeze = Some(reason.clone()),
            // What a person ended at another terminal stays so, and what goes back never goes on.
            Self::Stands { status, .. } if !run.status.may_become(*status) => {}
            Self::Stands { status, why, .. } => (run.status, run.why) = (*status, why.clone()),
        }
    }
}

impl PlaybookStatus {
    /// Whether `resume` and `abort` may still be said of it.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Open | Self::Paused | Self::GoingBack)
    }

    /// Whether a run that stands so may stand as `next` from now on.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Open | Self::Paused => true,
            Self::GoingBack => matches!(next, Self::GoingBack | Self::TakenBack),
            Self::Done | Self::TakenBack | Self::Aborted | Self::Superseded => false,
        }
    }
}
