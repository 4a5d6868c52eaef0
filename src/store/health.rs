//! Rows of blockers, gates and signatures.

use super::error::StoreError;
use super::rows::{Db, json};
use crate::model::books::{Books, Record};
use crate::model::health::{GateRow, Health, HealthRecord};
use crate::model::ids::RolloutId;
use crate::model::limits::SIGNATURES_KNOWN_MAX;
use crate::model::names::GateName;
use crate::model::time::Time;
use rusqlite::Params;
use std::collections::BTreeMap;

/// Adds every open blocker, and what gates said in the rollouts that are loaded.
pub fn load(db: Db<'_>, books: &mut Books) -> Result<(), StoreError> {
    if !exists(db)? {
        return Ok(());
    }
    books.health.blockers = db.values("blockers", "SELECT id, body FROM blockers", [])?.into_iter().collect();
    for id in books.rollouts.keys() {
        gates(db, *id, "SELECT gate, body FROM gates WHERE rollout = ?1", [id.0], &mut books.health)?;
    }
    Ok(())
}

/// Books of the first form, opened to look only, have no such tables.
fn exists(db: Db<'_>) -> Result<bool, StoreError> {
    let mut form = 0;
    db.each("PRAGMA user_version", [], |key, _| {
        form = key.parse().unwrap_or(0);
        Ok(())
    })?;
    Ok(form >= 2)
}

fn gates(
    db: Db<'_>,
    rollout: RolloutId,
    sql: &str,
    params: impl Params,
    health: &mut Health,
) -> Result<(), StoreError> {
    for (key, row) in db.values::<GateRow>("gates", sql, params)? {
        let gate: GateName = key.parse().map_err(|e| StoreError::row("gates", &key, e))?;
        health.gates.entry(rollout).or_default().insert(gate, row);
    }
    Ok(())
}

/// The rows that records change.
pub fn slice(db: Db<'_>, records: &[Record], health: &mut Health) -> Result<(), StoreError> {
    for record in of_health(records) {
        match record {
            HealthRecord::Blocked { id, .. } | HealthRecord::Unblocked { id, .. } => {
                let found = db.values("blockers", "SELECT id, body FROM blockers WHERE id = ?1", [id])?;
                health.blockers.extend(found);
            }
            record => {
                if let Some((rollout, gate)) = record.gate() {
                    let sql = "SELECT gate, body FROM gates WHERE rollout = ?1 AND gate = ?2";
                    gates(db, rollout, sql, (rollout.0, gate.as_str()), health)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes the rows that records changed.
pub fn write(db: Db<'_>, now: Time, records: &[Record], health: &Health) -> Result<(), StoreError> {
    for record in of_health(records) {
        match record {
            HealthRecord::Blocked { id, .. } | HealthRecord::Unblocked { id, .. } => match health.blockers.get(id) {
                Some(open) => db.run("INSERT OR REPLACE INTO blockers (id, body) VALUES (?1, ?2)", (id, json(open)))?,
                None => db.run("DELETE FROM blockers WHERE id = ?1", [id])?,
            },
            HealthRecord::Signatures { seen } => write_signatures(db, now, seen)?,
            record => {
                let place =
                    record.gate().and_then(|(rollout, gate)| Some((rollout, gate, health.gates.get(&rollout)?)));
                let Some((rollout, gate, rows)) = place else { continue };
                let sql = "INSERT OR REPLACE INTO gates (rollout, gate, body) VALUES (?1, ?2, ?3)";
                db.run(sql, (rollout.0, gate.as_str(), rows.get(gate).map(json)))?
            }
        };
    }
    Ok(())
}

fn write_signatures(db: Db<'_>, now: Time, seen: &[String]) -> Result<usize, StoreError> {
    for signature in seen {
        db.run("INSERT OR REPLACE INTO signatures (signature, seen_ms) VALUES (?1, ?2)", (signature, now.0))?;
    }
    let sql = "DELETE FROM signatures WHERE signature IN
        (SELECT signature FROM signatures ORDER BY seen_ms DESC, signature LIMIT -1 OFFSET ?1)";
    db.run(sql, [SIGNATURES_KNOWN_MAX])
}

/// Signatures that were seen at `since` or later, with when.
pub fn signatures(db: Db<'_>, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
    let mut found = BTreeMap::new();
    if !exists(db)? {
        return Ok(found);
    }
    db.each("SELECT signature, seen_ms FROM signatures WHERE seen_ms >= ?1", [since.0], |key, row| {
        let at = row.get(1).map_err(|e| StoreError::row("signatures", &key, e))?;
        // `key` is shortened for messages, the column is not.
        found.insert(row.get(0).map_err(|e| StoreError::row("signatures", &key, e))?, Time(at));
        Ok(())
    })?;
    Ok(found)
}

fn of_health(records: &[Record]) -> impl Iterator<Item = &HealthRecord> {
    records.iter().filter_map(|record| match record {
        Record::Health(health) => Some(health),
        _ => None,
    })
}
