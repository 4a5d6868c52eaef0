//! A sum for every row that a command may decide by, so that a byte that changed behind our back is noticed before it
//! decides anything.
//!
//! Events have their chain, which proves all of them at the price of reading all of them. The other tables were computed
//! from events once and would be believed from then on. So each of their rows has a sum over table, key and value in the
//! table `sums`, and `meta` has the XOR of all these. A row that is read must be what its sum says; a row that has a sum
//! must be there; the sums must give what `meta` has. A load costs one pass over the sums, a hundred bytes a row, and not
//! over the rows; a write costs what it touches.
//!
//! Invariant: who writes a row of [`SUMMED`] passes it to a [`Changes`], which is written in the same transaction. A sum is
//! never made of a row that was not compared with its own before. Absent on purpose: protection against somebody who
//! computes sums; that is what a head of the chain is for that was noted elsewhere.

use super::error::StoreError;
use super::rows::Db;
use crate::model::digest::Digest;
use std::collections::BTreeMap;

/// The tables that commands decide by: how each row's key and value are read as text. `open` and `unfinished` are no
/// tables: they name the rollouts and runs of playbooks that a load must find, whatever an index says.
const SUMMED: [(&str, &str); 14] = [
    (SCHEMA, "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema"),
    ("meta", "SELECT key, value FROM meta WHERE key <> 'sums'"),
    ("lock", "SELECT one, epoch || ' ' || coalesce(body, 'null') FROM lock"),
    ("hold", "SELECT one, body FROM hold"),
    ("current", "SELECT one, CAST(snapshot AS TEXT) FROM current"),
    ("hosts", "SELECT host, body FROM hosts"),
    ("snapshots", "SELECT id, body FROM snapshots"),
    ("rollouts", "SELECT id, body FROM rollouts"),
    ("open", "SELECT id, 'open' FROM rollouts NOT INDEXED WHERE status = 'open'"),
    ("playbooks", "SELECT id, body FROM playbooks"),
    ("unfinished", "SELECT id, 'unfinished' FROM playbooks WHERE status IN ('open', 'paused')"),
    ("blockers", "SELECT id, body FROM blockers"),
    ("gates", "SELECT rollout || '/' || gate, body FROM gates"),
    ("signatures", "SELECT signature, CAST(seen_ms AS TEXT) FROM signatures"),
];

/// What stands for the declarations of all tables: one wrong letter there could make rows vanish.
const SCHEMA: &str = "schema";

/// The sum of one row.
fn sum(table: &str, key: &str, value: &str) -> Digest {
    Digest::of(format!("{table}\0{key}\0{value}").as_bytes())
}

fn xor(into: &mut [u8; 32], sum: Digest) {
    into.iter_mut().zip(sum.as_bytes()).for_each(|(into, byte)| *into ^= byte);
}

/// Rows that a transaction writes, by table and key, with their new sums; `None`: the row goes.
#[derive(Debug, Default)]
pub struct Changes(BTreeMap<(&'static str, String), Option<Digest>>);

impl Changes {
    /// A row of `table` is `value` from now on, or gone.
    pub fn row(&mut self, table: &'static str, key: impl ToString, value: Option<&str>) {
        let key = key.to_string();
        let new = value.map(|value| sum(table, &key, value));
        self.0.insert((table, key), new);
    }
}

impl Db<'_> {
    /// Whether these books have sums: those of an earlier form, opened to look only, have none.
    pub fn has_sums(&self) -> bool {
        self.form >= 4
    }

    /// Writes the sums of changed rows, and what all sums give.
    pub fn write_sums(&self, changes: Changes) -> Result<(), StoreError> {
        const SET: &str = "INSERT INTO sums (kind, key, sum) VALUES (?1, ?2, ?3)
            ON CONFLICT (kind, key) DO UPDATE SET sum = excluded.sum";
        let all: Digest = self.meta_value("sums")?;
        let mut all = *all.as_bytes();
        for ((table, key), new) in changes.0 {
            let old = self.sum_of(table, &key)?;
            match new {
                Some(new) => self.run(SET, (table, &key, new.as_bytes()))?,
                None if old.is_some() => self.run("DELETE FROM sums WHERE kind = ?1 AND key = ?2", (table, &key))?,
                None => 0,
            };
            old.into_iter().chain(new).for_each(|sum| xor(&mut all, sum));
        }
        self.set_meta("sums", &Digest::from_bytes(all).to_string())
    }

    fn sum_of(&self, table: &str, key: &str) -> Result<Option<Digest>, StoreError> {
        let mut found = None;
        self.each("SELECT key, sum FROM sums WHERE kind = ?1 AND key = ?2", (table, key), |_, row| {
            found = Some(Digest::from_bytes(row.get(1).map_err(|e| StoreError::row("sums", key, e))?));
            Ok(())
        })?;
        Ok(found)
    }

    /// Refuses a row that is not what its sum says.
    pub fn check_row(&self, table: &'static str, key: &str, value: &str) -> Result<(), StoreError> {
        if !self.has_sums() {
            return Ok(());
        }
        match self.sum_of(table, key)? {
            Some(noted) if noted == sum(table, key, value) => Ok(()),
            Some(_) => Err(StoreError::row(table, key, "it is not what its sum says")),
            None => Err(StoreError::row(table, key, "it has no sum")),
        }
    }

    /// Refuses that a row is not found which has a sum.
    pub fn check_absent(&self, table: &'static str, key: &str) -> Result<(), StoreError> {
        match self.has_sums() && self.sum_of(table, key)?.is_some() {
            true => Err(StoreError::row(table, key, "it is missing")),
            false => Ok(()),
        }
    }

    /// The keys that have a sum: of `table`, and of these the newest `limit` where they are numbers, that begin with
    /// `prefix`.
    pub fn keys(&self, table: &str, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT key FROM sums WHERE kind = ?1 AND substr(key, 1, length(?2)) = ?2
            ORDER BY CAST(key AS INTEGER) DESC, key LIMIT ?3";
        let mut keys = Vec::new();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.each(sql, (table, prefix, limit), |key, _| {
            keys.push(key);
            Ok(())
        })?;
        Ok(keys)
    }

    /// Refuses that one of the newest `limit` rows of `table` was not `found`.
    pub fn none_missing(
        &self,
        table: &'static str,
        limit: usize,
        found: impl Fn(&str) -> bool,
    ) -> Result<(), StoreError> {
        if !self.has_sums() {
            return Ok(());
        }
        match self.keys(table, "", limit)?.iter().find(|key| !found(key)) {
            Some(key) => Err(StoreError::row(table, key, "it is missing")),
            None => Ok(()),
        }
    }

    /// Refuses tables that are declared in another way than they were made.
    fn schema_is_ours(&self) -> Result<(), StoreError> {
        let (mut declared, sql) = (0, SUMMED[0].1);
        self.each(sql, [], |key, row| {
            declared += 1;
            let text = row.get_ref(1).map_err(|e| self.failed(e))?;
            self.check_row(SCHEMA, &key, super::rows::text(SCHEMA, &key, text)?)
        })?;
        match self.keys(SCHEMA, "", usize::MAX)?.len() == declared {
            true => Ok(()),
            false => Err(StoreError::row(SCHEMA, "all", "a table or an index is missing")),
        }
    }

    /// Refuses sums that do not give what the books noted: one of them changed, or is gone together with its row.
    pub fn sums_add_up(&self) -> Result<(), StoreError> {
        if !self.has_sums() {
            return Ok(());
        }
        let mut all = [0; 32];
        self.each("SELECT kind, key, sum FROM sums", [], |kind, row| {
            let bytes: [u8; 32] = row.get(2).map_err(|e| StoreError::row("sums", kind, e))?;
            xor(&mut all, Digest::from_bytes(bytes));
            Ok(())
        })?;
        match self.meta_value::<Digest>("sums")? == Digest::from_bytes(all) {
            true => self.schema_is_ours(),
            false => Err(StoreError::row("sums", "all", "they do not add up, so a row changed or is gone")),
        }
    }

    /// Sums every row anew: when books are made or come from an earlier form.
    pub fn fill_sums(&self) -> Result<(), StoreError> {
        let mut changes = Changes::default();
        self.run(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('sums', ?1)",
            [Digest::from_bytes([0; 32]).to_string()],
        )?;
        self.summed(|table, key, value| {
            changes.row(table, key, Some(value));
            Ok(())
        })?;
        self.write_sums(changes)
    }

    /// Compares every row with its sum, and every sum with its row.
    pub fn check_all_rows(&self) -> Result<(), StoreError> {
        if !self.has_sums() {
            return Ok(());
        }
        self.sums_add_up()?;
        let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
        self.summed(|table, key, value| {
            *rows.entry(table).or_default() += 1;
            self.check_row(table, key, value)
        })?;
        self.each("SELECT kind, count(*) FROM sums GROUP BY kind", [], |kind, row| {
            let sums: u64 = row.get(1).map_err(|e| self.failed(e))?;
            match rows.get(kind.as_str()).copied().unwrap_or_default() == sums {
                true => Ok(()),
                false => Err(StoreError::row("sums", kind, "there are other rows than sums")),
            }
        })
    }

    fn summed(
        &self,
        mut each: impl FnMut(&'static str, &str, &str) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for (table, sql) in SUMMED {
            self.each(sql, [], |shown, row| {
                let text = |column: usize| -> Result<String, StoreError> {
                    let value = row.get_ref(column).map_err(|e| self.failed(e))?;
                    match value {
                        rusqlite::types::ValueRef::Integer(n) => Ok(n.to_string()),
                        value => super::rows::text(table, &shown, value).map(str::to_owned),
                    }
                };
                each(table, &text(0)?, &text(1)?)
            })?;
        }
        Ok(())
    }
}
