//! Rows of the runs of playbooks.

use super::backend::Value;
use super::error::StoreError;
use super::rows::{Db, json};
use super::sums::Changes;
use crate::model::books::Record;
use crate::model::ids::PlaybookId;
use crate::model::limits::PLAYBOOKS_RECENT_MAX;
use crate::model::playbook::{PlaybookRecord, PlaybookRun};
use std::collections::{BTreeMap, BTreeSet};

/// Runs by their names.
pub type Runs = BTreeMap<PlaybookId, PlaybookRun>;

/// The newest [`PLAYBOOKS_RECENT_MAX`] runs and every unfinished one.
pub fn load(db: Db<'_>) -> Result<Runs, StoreError> {
    // Books of an earlier form, opened to look only, have no such table.
    if db.form < 3 {
        return Ok(Runs::new());
    }
    let sql = "SELECT id, body FROM playbooks WHERE status IN ('open', 'paused')
        OR id IN (SELECT id FROM playbooks ORDER BY id DESC LIMIT ?1)";
    let found = runs(db, sql, &[PLAYBOOKS_RECENT_MAX.into()])?;
    let known = |key: &str| key.parse().is_ok_and(|id| found.contains_key(&PlaybookId(id)));
    db.none_missing("playbooks", PLAYBOOKS_RECENT_MAX, known)?;
    db.none_missing("unfinished", usize::MAX, known)?;
    Ok(found)
}

fn runs(db: Db<'_>, sql: &'static str, values: &[Value]) -> Result<Runs, StoreError> {
    let found = db.values::<PlaybookRun>("playbooks", sql, values)?;
    Ok(found.into_iter().map(|(_, run)| (run.id, run)).collect())
}

/// What [`load`] leaves of runs in memory.
pub fn trim(runs: &mut Runs) {
    let oldest = runs.keys().rev().nth(PLAYBOOKS_RECENT_MAX - 1).copied();
    runs.retain(|id, run| oldest.is_none_or(|oldest| *id >= oldest) || run.status.is_unfinished());
}

/// The rows that records change.
pub fn slice(db: Db<'_>, records: &[Record], into: &mut Runs) -> Result<(), StoreError> {
    for id in ids(records) {
        let run = db.one("playbooks", id.0, "SELECT id, body FROM playbooks WHERE id = ?1")?;
        into.extend(run.map(|run| (id, run)));
    }
    Ok(())
}

const PLAYBOOK: &str = "INSERT INTO playbooks (id, body) VALUES (?1, ?2)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body";

/// Writes the rows that records changed.
pub fn write(db: Db<'_>, records: &[Record], runs: &Runs, changes: &mut Changes) -> Result<(), StoreError> {
    for run in ids(records).iter().filter_map(|id| runs.get(id)) {
        let body = json(run);
        db.run(PLAYBOOK, &[run.id.0.into(), body.as_str().into()])?;
        changes.row("playbooks", run.id.0, Some(&body));
        changes.row("unfinished", run.id.0, run.status.is_unfinished().then_some("unfinished"));
    }
    Ok(())
}

fn ids(records: &[Record]) -> BTreeSet<PlaybookId> {
    let of = |record: &Record| match record {
        Record::Playbook(record) => Some(PlaybookRecord::id(record)),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}
