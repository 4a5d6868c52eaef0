//! Rows of blockers, gates and signatures.

use super::backend::Value;
use super::columns::{column, number};
use super::error::StoreError;
use super::rows::{Db, json};
use super::sums::{Changes, sum};
use crate::model::books::{Books, Record};
use crate::model::health::{GateRow, Health, HealthRecord};
use crate::model::ids::RolloutId;
use crate::model::limits::SIGNATURES_KNOWN_MAX;
use crate::model::names::GateName;
use crate::model::time::Time;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Adds every open blocker, and what gates said in the rollouts that are loaded.
pub fn load(db: Db<'_>, books: &mut Books) -> Result<(), StoreError> {
    if !exists(db) {
        return Ok(());
    }
    let blockers = db.values("blockers", "SELECT id, body FROM blockers", &[])?;
    books.health.blockers = blockers.into_iter().collect();
    db.none_missing("blockers", usize::MAX, |key| books.health.blockers.contains_key(key))?;
    let Some(oldest) = books.rollouts.keys().next() else { return Ok(()) };
    let sql = "SELECT rollout || '/' || gate, body FROM gates WHERE rollout >= ?1";
    gates(db, sql, &[oldest.0.into()], &mut books.health)?;
    books.health.gates.retain(|id, _| books.rollouts.contains_key(id));
    let known = |key: &str| {
        key.parse().is_ok_and(|Place(id, gate)| {
            !books.rollouts.contains_key(&id)
                || books.health.gates.get(&id).is_some_and(|gates| gates.contains_key(&gate))
        })
    };
    db.none_missing("gates", usize::MAX, known)
}

/// Books of the first form, opened to look only, have no such tables.
fn exists(db: Db<'_>) -> bool {
    db.form >= 2
}

/// Gates, from rows of a key and a body.
fn gates(db: Db<'_>, sql: &'static str, values: &[Value], health: &mut Health) -> Result<(), StoreError> {
    for (key, row) in db.values::<GateRow>("gates", sql, values)? {
        let Place(rollout, gate) = key.parse().map_err(|e: String| StoreError::row("gates", &key, e))?;
        health.gates.entry(rollout).or_default().insert(gate, row);
    }
    Ok(())
}

/// A gate in a rollout, as its row's key has it: `57/errors`.
struct Place(RolloutId, GateName);

impl FromStr for Place {
    type Err = String;

    fn from_str(key: &str) -> Result<Self, String> {
        let (rollout, gate) = key.split_once('/').ok_or("it is not ROLLOUT/GATE")?;
        let rollout = rollout.parse().map_err(|_| "its rollout is no number")?;
        Ok(Self(RolloutId(rollout), gate.parse().map_err(|e| format!("{e}"))?))
    }
}

/// The rows that records change.
pub fn slice(db: Db<'_>, records: &[Record], health: &mut Health) -> Result<(), StoreError> {
    for record in of_health(records) {
        match record {
            HealthRecord::Blocked { id, .. } | HealthRecord::Unblocked { id, .. } => {
                let found = db.one("blockers", id.as_str(), "SELECT id, body FROM blockers WHERE id = ?1")?;
                health.blockers.extend(found.map(|blocker| (id.clone(), blocker)));
            }
            record => {
                if let Some((rollout, gate)) = record.gate() {
                    let sql = "SELECT rollout || '/' || gate, body FROM gates WHERE rollout = ?1 AND gate = ?2";
                    gates(db, sql, &[rollout.0.into(), gate.as_str().into()], health)?;
                    if health.gates.get(&rollout).is_none_or(|gates| !gates.contains_key(gate)) {
                        db.check_absent("gates", &gate_key(rollout, gate))?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn gate_key(rollout: RolloutId, gate: &GateName) -> String {
    format!("{}/{gate}", rollout.0)
}

const BLOCKER: &str = "INSERT INTO blockers (id, body) VALUES (?1, ?2)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body";
const GATE: &str = "INSERT INTO gates (rollout, gate, body) VALUES (?1, ?2, ?3)
    ON CONFLICT (rollout, gate) DO UPDATE SET body = excluded.body";
const SIGNATURE: &str = "INSERT INTO signatures (signature, seen_ms) VALUES (?1, ?2)
    ON CONFLICT (signature) DO UPDATE SET seen_ms = excluded.seen_ms";
/// All but the newest; the number is the largest that both databases take.
const FORGET: &str = "DELETE FROM signatures WHERE signature IN (SELECT signature FROM signatures
    ORDER BY seen_ms DESC, signature LIMIT 9223372036854775807 OFFSET ?1) RETURNING signature";

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
                    Some(open) => db.run(BLOCKER, &[id.as_str().into(), open.into()])?,
                    None => db.run("DELETE FROM blockers WHERE id = ?1", &[id.as_str().into()])?,
                }
            }
            HealthRecord::Signatures { seen } => write_signatures(db, now, seen, changes)?,
            record => {
                let row = record.gate().and_then(|(rollout, gate)| {
                    Some((rollout, gate, health.gates.get(&rollout)?.get(gate).map(json)?))
                });
                let Some((rollout, gate, body)) = row else { continue };
                db.run(GATE, &[rollout.0.into(), gate.as_str().into(), body.as_str().into()])?;
                changes.row("gates", gate_key(rollout, gate), Some(&body));
            }
        }
    }
    Ok(())
}

fn write_signatures(db: Db<'_>, now: Time, seen: &[String], changes: &mut Changes) -> Result<(), StoreError> {
    for signature in seen {
        db.run(SIGNATURE, &[signature.as_str().into(), now.0.into()])?;
        changes.row("signatures", signature, Some(&now.0.to_string()));
    }
    db.each(FORGET, &[SIGNATURES_KNOWN_MAX.into()], |signature, _| {
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
    let mut sums = Vec::new();
    db.each("SELECT signature, seen_ms FROM signatures", &[], |signature, row| {
        let at = number("signatures", &signature, column("signatures", &signature, row, 1)?)?;
        sums.push((signature.clone(), sum("signatures", &signature, &at.to_string())));
        found.insert(signature, Time(at));
        Ok(())
    })?;
    db.check_rows("signatures", &sums)?;
    if db.has_sums() && db.count("signatures")? != sums.len() {
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
