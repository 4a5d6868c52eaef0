//! Rows of blockers, gates and signatures.

use super::backend::Value;
use super::error::StoreError;
use super::rows::{Db, column, json, number, text};
use crate::model::books::{Books, Record};
use crate::model::health::{GateRow, Health, HealthRecord};
use crate::model::ids::RolloutId;
use crate::model::limits::SIGNATURES_KNOWN_MAX;
use crate::model::names::GateName;
use crate::model::time::Time;
use std::collections::BTreeMap;

/// Adds every open blocker, and what gates said in the rollouts that are loaded.
pub fn load(db: Db<'_>, books: &mut Books) -> Result<(), StoreError> {
    if !exists(db)? {
        return Ok(());
    }
    books.health.blockers = db.values("blockers", "SELECT id, body FROM blockers", &[])?.into_iter().collect();
    for id in books.rollouts.keys() {
        gates(db, *id, "SELECT gate, body FROM gates WHERE rollout = ?1", &[id.0.into()], &mut books.health)?;
    }
    Ok(())
}

/// Books of the first form, opened to look only, have no such tables.
fn exists(db: Db<'_>) -> Result<bool, StoreError> {
    Ok(db.backend.form()? >= 2)
}

fn gates(
    db: Db<'_>,
    rollout: RolloutId,
    sql: &'static str,
    values: &[Value],
    health: &mut Health,
) -> Result<(), StoreError> {
    for (key, row) in db.values::<GateRow>("gates", sql, values)? {
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
                let found =
                    db.values("blockers", "SELECT id, body FROM blockers WHERE id = ?1", &[id.as_str().into()])?;
                health.blockers.extend(found);
            }
            record => {
                if let Some((rollout, gate)) = record.gate() {
                    let sql = "SELECT gate, body FROM gates WHERE rollout = ?1 AND gate = ?2";
                    gates(db, rollout, sql, &[rollout.0.into(), gate.as_str().into()], health)?;
                }
            }
        }
    }
    Ok(())
}

const BLOCKER: &str = "INSERT INTO blockers (id, body) VALUES (?1, ?2)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body";
const GATE: &str = "INSERT INTO gates (rollout, gate, body) VALUES (?1, ?2, ?3)
    ON CONFLICT (rollout, gate) DO UPDATE SET body = excluded.body";
const SIGNATURE: &str = "INSERT INTO signatures (signature, seen_ms) VALUES (?1, ?2)
    ON CONFLICT (signature) DO UPDATE SET seen_ms = excluded.seen_ms";
/// All but the newest; the number is the largest that both databases take.
const FORGET: &str = "DELETE FROM signatures WHERE signature IN (SELECT signature FROM signatures
    ORDER BY seen_ms DESC, signature LIMIT 9223372036854775807 OFFSET ?1)";

/// Writes the rows that records changed.
pub fn write(db: Db<'_>, now: Time, records: &[Record], health: &Health) -> Result<(), StoreError> {
    for record in of_health(records) {
        match record {
            HealthRecord::Blocked { id, .. } | HealthRecord::Unblocked { id, .. } => match health.blockers.get(id) {
                Some(open) => db.run(BLOCKER, &[id.as_str().into(), json(open).into()])?,
                None => db.run("DELETE FROM blockers WHERE id = ?1", &[id.as_str().into()])?,
            },
            HealthRecord::Signatures { seen } => write_signatures(db, now, seen)?,
            record => {
                let place =
                    record.gate().and_then(|(rollout, gate)| Some((rollout, gate, health.gates.get(&rollout)?)));
                let Some((rollout, gate, rows)) = place else { continue };
                db.run(GATE, &[rollout.0.into(), gate.as_str().into(), rows.get(gate).map(json).into()])?
            }
        }
    }
    Ok(())
}

fn write_signatures(db: Db<'_>, now: Time, seen: &[String]) -> Result<(), StoreError> {
    for signature in seen {
        db.run(SIGNATURE, &[signature.as_str().into(), now.0.into()])?;
    }
    db.run(FORGET, &[SIGNATURES_KNOWN_MAX.into()])
}

/// Signatures that were seen at `since` or later, with when.
pub fn signatures(db: Db<'_>, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
    let mut found = BTreeMap::new();
    if !exists(db)? {
        return Ok(found);
    }
    db.each("SELECT signature, seen_ms FROM signatures WHERE seen_ms >= ?1", &[since.0.into()], |key, row| {
        let of = |n| column("signatures", &key, row, n);
        // `key` is shortened for messages, the column is not.
        found.insert(text("signatures", &key, of(0)?)?.to_owned(), Time(number("signatures", &key, of(1)?)?));
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
