//! Runs of playbooks, by their stages: each stage when it ended, and how the run stood.

use super::super::markdown::Cell;
use super::{Mark, Row};
use crate::model::ids::PlaybookId;
use crate::model::playbook::{PlaybookRecord, PlaybookRun, PlaybookStatus};
use crate::model::words::count;
use std::collections::BTreeMap;

/// Runs that have not ended.
#[derive(Debug, Default)]
pub struct Playbooks(BTreeMap<PlaybookId, Run>);

#[derive(Debug)]
struct Run {
    mark: Mark,
    begun: String,
    is_open: bool,
    /// The stage whose command runs.
    stage: Option<(String, Mark)>,
    /// Items of that stage that are through, and those that failed.
    items: (usize, usize),
}

impl Playbooks {
    /// Takes the next event of the journal.
    pub fn take(&mut self, mark: Mark, record: &PlaybookRecord, rows: &mut Vec<Row>) {
        let id = record.id();
        if let PlaybookRecord::Began { run } = record {
            let run = Run { mark, begun: begun(run), is_open: true, stage: None, items: (0, 0) };
            self.0.insert(id, run);
            return;
        }
        let run = self.0.get_mut(&id);
        let text = match record {
            PlaybookRecord::Began { .. } => return,
            PlaybookRecord::Stage { stage, .. } => {
                run.into_iter().for_each(|run| (run.stage, run.items) = (Some((stage.clone(), mark)), (0, 0)));
                return;
            }
            PlaybookRecord::Items { items, .. } => {
                run.into_iter().for_each(|run| run.count(items));
                return;
            }
            PlaybookRecord::StageEnded { stage, code, passed, .. } => {
                let items = run.map(Run::end_stage).unwrap_or_default();
                let how = if *passed { "passed" } else { "**did not pass**" };
                let code = if *code == 0 { String::new() } else { format!(" with code {code}") };
                format!("playbook {id}: stage {} {how}{code}{items}", Cell(stage))
            }
            PlaybookRecord::Answered { stage, yes, by, reason, .. } => {
                let what = if *yes { "approved" } else { "denied" };
                format!("playbook {id}: stage {} **{what}** by {}: {}", Cell(stage), Cell(by), Cell(reason))
            }
            PlaybookRecord::Overridden { by, reason, .. } => {
                format!("playbook {id}: **freeze overridden** by {}: {}", Cell(by), Cell(reason))
            }
            PlaybookRecord::Stands { status, why, by, .. } => {
                run.into_iter().for_each(|run| run.is_open = *status == PlaybookStatus::Open);
                stands(id, *status, why, by)
            }
        };
        rows.push(Row { mark, text });
    }

    /// When each was begun, and what never ended.
    pub fn end(self, rows: &mut Vec<Row>) {
        for (id, run) in self.0 {
            let open = if run.is_open { "; it has **not ended** within this time" } else { "" };
            rows.push(Row { mark: run.mark, text: format!("{}{open}", run.begun) });
            rows.extend(run.stage.filter(|_| run.is_open).map(|(stage, mark)| {
                let text =
                    format!("playbook {id}: stage {} was begun and **never ended** within this time", Cell(&stage));
                Row { mark, text }
            }));
        }
    }
}

impl Run {
    fn count(&mut self, items: &BTreeMap<String, bool>) {
        let well = items.values().filter(|well| **well).count();
        self.items = (self.items.0 + well, self.items.1 + items.len() - well);
    }

    /// What came of the items of the stage that ends.
    fn end_stage(&mut self) -> String {
        self.stage = None;
        match std::mem::take(&mut self.items) {
            (0, 0) => String::new(),
            (well, 0) => format!(", {} through", count(well, "item")),
            (well, failed) => format!(", {} through, {failed} failed", count(well, "item")),
        }
    }
}

/// The playbook's name is its file's: no path of the deploy host belongs into a post-mortem.
fn begun(run: &PlaybookRun) -> String {
    let name = run.file.file_stem().map(|name| name.to_string_lossy()).unwrap_or_default();
    let frozen = run.override_freeze.as_ref().map(|why| format!("; **freeze overridden**: {}", Cell(why)));
    format!("playbook {} ({}) begun by {}{}", run.id, Cell(&name), Cell(&run.by), frozen.unwrap_or_default())
}

fn stands(id: PlaybookId, status: PlaybookStatus, why: &str, by: &str) -> String {
    let how = match status {
        PlaybookStatus::Open => "goes on",
        PlaybookStatus::Paused => "**paused**",
        PlaybookStatus::Done => "done",
        PlaybookStatus::GoingBack => "goes back",
        PlaybookStatus::TakenBack => "**taken back**",
        PlaybookStatus::Aborted => "**aborted**",
        PlaybookStatus::Superseded => "**superseded**",
    };
    let by = if by.is_empty() { String::new() } else { format!(" by {}", Cell(by)) };
    let why = if why.is_empty() { String::new() } else { format!(": {}", Cell(why)) };
    format!("playbook {id} {how}{by}{why}")
}
