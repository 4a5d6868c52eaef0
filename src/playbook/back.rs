//! What takes back what a run moved: commands, newest first, by what the books have of it.
//!
//! Invariant: what was taken back already is not named again, so that this can be asked after a crash in the middle of
//! going back. Nothing follows from exit codes: a command that was killed, refused or lost its connection has moved
//! what the books say it moved.

use crate::config::playbook::spec::{Commands, Moves, Playbook, Stage, Verb};
use crate::model::books::{Books, Kind, PinSource, Pins, Rollout, Status};
use crate::model::playbook::PlaybookRun;
use crate::model::time::Time;
use crate::plan::content::undoable;
use std::ops::Range;

/// Command lines to be run in this order; none: nothing is left to be taken back.
pub fn lines(playbook: &Playbook, run: &PlaybookRun, books: &Books, why: &str) -> Vec<Vec<String>> {
    let message = format!("--message=playbook {}: {why}", run.id);
    let mut lines: Vec<Vec<String>> = Vec::new();
    let going_back = |r: &&Rollout| matches!(r.kind, Kind::Rollback | Kind::Undo | Kind::Unpin) && r.at >= run.at;
    if books.rollouts.values().filter(going_back).any(|r| r.status == Status::Open) {
        lines.push(words(["converge", "--yes"]));
    }
    let mut promoted = false;
    for stage in playbook.stages.iter().rev() {
        let (Verb::Commands(Commands { moves, .. }), Some(during)) = (&stage.verb, during(run, stage)) else {
            continue;
        };
        match moves {
            // Promotions of one version are one rollback.
            Moves::Promote(..) if !promoted && is_promoted(books, &during) => {
                promoted = true;
                lines.push(words(["rollback", &message, "--yes"]));
            }
            Moves::Content => {
                let ours = undoable(books).filter(|sync| during.contains(&sync.at));
                lines.extend(ours.map(|sync| words(["undo", &sync.id.to_string(), &message, "--yes"])));
            }
            Moves::Pin(subject) if is_pinned(books, subject, &during) => {
                let reason = format!("--reason=playbook {}: {why}", run.id);
                lines.push(words(["unpin", subject, &reason, "--yes"]));
            }
            _ => {}
        }
    }
    lines
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// From a stage's first beginning to that of the next one; `None`: it was not begun.
fn during(run: &PlaybookRun, stage: &Stage) -> Option<Range<Time>> {
    let first = run.stages.get(&stage.name)?.first;
    let later = run.stages.iter().filter(|(name, row)| **name != stage.name && row.first > first);
    Some(first..later.map(|(_, row)| row.first).min().unwrap_or(Time(u64::MAX)))
}

/// Whether a promotion of that time stands, or may stand.
fn is_promoted(books: &Books, during: &Range<Time>) -> bool {
    let gone = |r: &Rollout| matches!(r.status, Status::Dropped | Status::WentBack);
    let ours = books.rollouts.values().rev().find(|r| r.kind == Kind::Promote && during.contains(&r.at) && !gone(r));
    let back = |ours: &Rollout| books.rollouts.values().any(|r| r.kind == Kind::Rollback && r.id > ours.id && !gone(r));
    ours.is_some_and(|ours| !back(ours))
}

fn is_pinned(books: &Books, subject: &str, during: &Range<Time>) -> bool {
    let Some(Pins { wikis, hosts }) = books.wanted().map(|wanted| &wanted.pins) else { return false };
    let wikis = wikis.iter().map(|(wiki, pin)| (wiki.as_str(), pin));
    let mut all = wikis.chain(hosts.iter().map(|(host, pin)| (host.as_str(), pin)));
    all.any(|(name, pin)| name == subject && pin.source == PinSource::Books && during.contains(&pin.since))
}
