//! The approval that a run waits for.
//!
//! Invariant: the command line, the board and `status` ask here, so that none takes an answer that another one would not.
//! What a run asks follows from its own text, read for the site as it is now.

use super::machine::Machine;
use crate::config::diagnostic::Diagnostics;
use crate::config::playbook::parse;
use crate::config::playbook::spec::Verb;
use crate::config::policy::Policy;
use crate::model::books::Books;
use crate::model::ids::PlaybookId;
use crate::model::names::Group;
use crate::model::playbook::{PlaybookRun, PlaybookStatus};
use crate::model::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run asks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// Which run.
    pub id: PlaybookId,
    /// The playbook's name.
    pub name: String,
    /// Who began the run.
    pub by: String,
    /// The groups that the playbook promotes, over which somebody must have the right to approve; none: every group.
    pub groups: Vec<Group>,
    /// The stage that waits.
    pub stage: String,
    /// What it asks.
    pub text: String,
    /// Since when.
    pub since: Time,
    /// Whether the run is paused: an answer is taken, and `resume` goes on.
    pub paused: bool,
    /// Who said no before, and why.
    pub denied: Option<(String, String)>,
}

/// What `run` asks, whether or not that was answered before; `None`: its next stage is no approval, or nothing follows any more.
///
/// # Errors
///
/// Its text does not fit the site as it is now.
pub fn of(run: &PlaybookRun, policy: &Policy) -> Result<Option<Asked>, Diagnostics> {
    if !matches!(run.status, PlaybookStatus::Open | PlaybookStatus::Paused) {
        return Ok(None);
    }
    let playbook = parse(&run.file, &run.text, policy, &run.vars)?;
    let at = Machine::new(&playbook, run.clone()).position();
    let Some(stage) = at.and_then(|at| playbook.stages.get(at)) else { return Ok(None) };
    let Verb::Approve { text, .. } = &stage.verb else { return Ok(None) };
    let row = run.stages.get(&stage.name).cloned().unwrap_or_default();
    Ok(Some(Asked {
        id: run.id,
        name: playbook.name.clone(),
        by: run.by.clone(),
        groups: playbook.promotes(),
        stage: stage.name.clone(),
        text: text.clone(),
        since: row.first,
        paused: run.status == PlaybookStatus::Paused,
        denied: row.answer.filter(|(yes, ..)| !yes).map(|(_, by, why)| (by, why)),
    }))
}

/// What runs wait for: not answered yet, or denied and paused, since that can still be approved.
pub fn waiting(books: &Books, policy: &Policy) -> Vec<Asked> {
    let waits = |run: &PlaybookRun| {
        // One whose text does not fit any more is among the unfinished ones, and `resume` says why it can't go on.
        let asked = of(run, policy).ok().flatten()?;
        let row = run.stages.get(&asked.stage)?;
        (row.answer.is_none() || (asked.paused && asked.denied.is_some())).then_some(asked)
    };
    books.playbooks.values().filter_map(waits).collect()
}
