//! Rows of blockers, gates and signatures.

use super::error::StoreError;
use super::rows::{Db, json};
use super::sums::Changes;
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
    if !exists(db) {
        return Ok(());
    }
    let blockers = db.values("blockers", "SELECT id, body FROM blockers", [])?;
    books.health.blockers = blockers.into_iter().collect();
    db.none_missing("blockers", usize::MAX, |key| books.health.blockers.contains_key(key))?;
    for id in books.rollouts.keys() {
        let sql = "SELECT rollout || '/' || gate, body FROM gates WHERE rollout = ?1";
        gates(db, *id, sql, [id.0], &mut books.health)?;
        let known = books.health.gates.get(id).map_or(0, BTreeMap::len);
        if db.has_sums() && db.keys("gates", &format!("{}/", id.0), usize::MAX)?.len() != known {
            return Err(StoreError::row("gates", id.0, "one is missing"));
        }
    }
    Ok(())
}

/// Books of the first form, opened to look only, have no such tables.
fn exists(db: Db<'_>) -> bool {
    db.form >= 2
}

fn gates(
    db: Db<'_>,
    rollout: RolloutId,
    sql: &str,
    params: impl Params,
    health: &mut Health,
) -> Result<(), StoreError> {
    for (key, row) in db.values::<GateRow>("gates", sql, params)? {
        let name = key.split_once('/').map_or(key.as_str(), |(_, name)| name);
        let gate: GateName = name.parse().map_err(|e| StoreError::row("gates", &key, e))?;
        health.gates.entry(rollout).or_default().insert(gate, row);
    }
    Ok(())
}

/// The rows that records change.
pub fn slice(db: Db<'_>, records: &[Record], health: &mut Health) -> Result<(), StoreError> {
    for record in of_health(records) {
        match record {
            HealthRecord::Blocked { id, .. } | HealthRecord::Unblocked { id, .. } => {
                let found = db.one("blockers", id, "SELECT id, body FROM blockers WHERE id = ?1")?;
                health.blockers.extend(found.map(|blocker| (id.clone(), blocker)));
            }
            record => {
                if let Some((rollout, gate)) = record.gate() {
                    let sql = "SELECT rollout || '/' || gate, body FROM gates
                        WHERE rollout = CAST(?1 AS INTEGER) AND gate = substr(?1, instr(?1, '/') + 1)";
                    let found = db.one::<GateRow>("gates", &gate_key(rollout, gate), sql)?;
                    let rows = found.map(|row| (gate.clone(), row));
                    health.gates.entry(rollout).or_default().extend(rows);
                }
            }
        }
    }
    Ok(())
}

fn gate_key(rollout: RolloutId, gate: &GateName) -> String {
    format!("{}/{gate}", rollout.0)
}

/// Writes the rows that records changed.
pub fn write(
    db: Db<'_>,
    now: Time,
    records: &[Record],
    health: &Health,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    for record in of_health(records) {
        match record {
            HealthRecord::Blocked { id, .. } | HealthRecord::Unblocked { id, .. } => {
                let open = health.blockers.get(id).map(json);
                changes.row("blockers", id, open.as_deref());
                match open {
                    Some(open) => db.run("INSERT OR REPLACE INTO blockers (id, body) VALUES (?1, ?2)", (id, open))?,
                    None => db.run("DELETE FROM blockers WHERE id = ?1", [id])?,
                };
            }
            HealthRecord::Signatures { seen } => write_signatures(db, now, seen, changes)?,
            record => {
                let row = record.gate().and_then(|(rollout, gate)| {
                    Some((rollout, gate, health.gates.get(&rollout)?.get(gate).map(json)?))
                });
                let Some((rollout, gate, body)) = row else { continue };
                let sql = "INSERT OR REPLACE INTO gates (rollout, gate, body) VALUES (?1, ?2, ?3)";
                db.run(sql, (rollout.0, gate.as_str(), &body))?;
                changes.row("gates", gate_key(rollout, gate), Some(&body));
            }
        };
    }
    Ok(())
}

fn write_signatures(db: Db<'_>, now: Time, seen: &[String], changes: &mut Changes) -> Result<(), StoreError> {
    for signature in seen {
        db.run("INSERT OR REPLACE INTO signatures (signature, seen_ms) VALUES (?1, ?2)", (signature, now.0))?;
        changes.row("signatures", signature, Some(&now.0.to_string()));
    }
    let sql = "DELETE FROM signatures WHERE signature IN
        (SELECT signature FROM signatures ORDER BY seen_ms DESC, signature LIMIT -1 OFFSET ?1) RETURNING signature";
    db.each(sql, [SIGNATURES_KNOWN_MAX], |signature, _| {
        changes.row("signatures", signature, None);
        Ok(())
    })
}

/// Signatures that were seen at `since` or later, with when.
pub fn signatures(db: Db<'_>, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
    let mut found = BTreeMap::new();
    if !exists(db) {
        return Ok(found);
    }
    let mut rows = 0;
    db.each("SELECT signature, seen_ms FROM signatures", [], |signature, row| {
        let at: u64 = row.get(1).map_err(|e| StoreError::row("signatures", &signature, e))?;
        db.check_row("signatures", &signature, &at.to_string())?;
        rows += 1;
        found.insert(signature, Time(at));
        Ok(())
    })?;
    if db.has_sums() && db.keys("signatures", "", usize::MAX)?.len() != rows {
        return Err(StoreError::row("signatures", "all", "one is missing"));
    }
    found.retain(|_, at| *at >= since);
    Ok(found)
}

fn of_health(records: &[Record]) -> impl Iterator<Item = &HealthRecord> {
    records.iter().filter_map(|record| match record {
        Record::Health(health) => Some(health),
        _ => None,
    })
}
