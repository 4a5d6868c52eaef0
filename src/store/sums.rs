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

use super::backend::Value;
use super::columns::{self, column};
use super::error::StoreError;
use super::rows::Db;
use crate::model::digest::Digest;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The tables that commands decide by: how each row's key and value are read as text. `open` and `unfinished` are no
/// tables: they name the rollouts and runs of playbooks that a load must find, whatever an index says (and with `|| ''`
/// no index is asked).
const SUMMED: [(&str, &str); 13] = [
    ("meta", "SELECT key, value FROM meta WHERE key <> 'sums'"),
    ("lock", "SELECT one, epoch || ' ' || coalesce(body, 'null') FROM lock"),
    ("hold", "SELECT one, body FROM hold"),
    ("current", "SELECT one, CAST(snapshot AS TEXT) FROM current"),
    ("hosts", "SELECT host, body FROM hosts"),
    ("snapshots", "SELECT id, body FROM snapshots"),
    ("rollouts", "SELECT id, body FROM rollouts"),
    ("open", "SELECT id, 'open' FROM rollouts WHERE status || '' = 'open'"),
    ("playbooks", "SELECT id, body FROM playbooks"),
    ("unfinished", "SELECT id, 'unfinished' FROM playbooks WHERE status IN ('open', 'paused')"),
    ("blockers", "SELECT id, body FROM blockers"),
    ("gates", "SELECT rollout || '/' || gate, body FROM gates"),
    ("signatures", "SELECT signature, CAST(seen_ms AS TEXT) FROM signatures"),
];

/// Sums of a table, those of the largest numbers first where keys are numbers, which are without leading zeros.
const NEWEST: &str = "SELECT key, sum FROM sums WHERE kind = ?1 ORDER BY length(key) DESC, key DESC LIMIT ?2";

/// So many rows are read, or compared with their sums, one by one; more of them at once.
pub const FEW: usize = 4;

/// Sums that were read, by table and key; `None`: there is none.
pub type Known = RefCell<BTreeMap<(String, String), Option<Digest>>>;

/// What stands for the declarations of all tables: one wrong letter there could make rows vanish.
const SCHEMA: &str = "schema";

/// The sum of one row.
pub(super) fn sum(table: &str, key: &str, value: &str) -> Digest {
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
            if let Some(known) = self.known {
                known.borrow_mut().insert((table.to_owned(), key.clone()), new);
            }
            let named: [Value; 2] = [table.into(), key.into()];
            match new {
                Some(new) => self.run(SET, &[&named[..], &[new.as_bytes().into()]].concat())?,
                None if old.is_some() => self.run("DELETE FROM sums WHERE kind = ?1 AND key = ?2", &named)?,
                None => {}
            };
            old.into_iter().chain(new).for_each(|sum| xor(&mut all, sum));
        }
        self.set_meta("sums", &Digest::from_bytes(all).to_string())
    }

    fn sum_of(&self, table: &str, key: &str) -> Result<Option<Digest>, StoreError> {
        let Some(known) = self.known else { return self.read_sum(table, key) };
        self.read_small_tables(known)?;
        let named = (table.to_owned(), key.to_owned());
        if let Some(sum) = known.borrow().get(&named) {
            return Ok(*sum);
        }
        let sum = self.read_sum(table, key)?;
        known.borrow_mut().insert(named, sum);
        Ok(sum)
    }

    fn read_sum(&self, table: &str, key: &str) -> Result<Option<Digest>, StoreError> {
        let mut found = None;
        let sql = "SELECT key, sum FROM sums WHERE kind = ?1 AND key = ?2";
        self.each(sql, &[table.into(), key.into()], |key, row| {
            found = Some(columns::hash("sums", &key, column("sums", &key, row, 1)?)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Each write needs the sums of these few rows, so they are read at once: a server may be far away.
    fn read_small_tables(&self, known: &Known) -> Result<(), StoreError> {
        if !known.borrow().is_empty() {
            return Ok(());
        }
        let sql = "SELECT key, kind, sum FROM sums WHERE kind IN ('meta', 'lock', 'hold', 'current')";
        self.each(sql, &[], |key, row| {
            let kind = columns::text("sums", &key, column("sums", &key, row, 1)?)?.to_owned();
            let sum = columns::hash("sums", &key, column("sums", &key, row, 2)?)?;
            known.borrow_mut().insert((kind, key), Some(sum));
            Ok(())
        })?;
        for kind in ["hold", "current"] {
            known.borrow_mut().entry((kind.to_owned(), "1".to_owned())).or_insert(None);
        }
        Ok(())
    }

    /// Refuses rows whose sums are not these. Of many rows the sums are read at once.
    pub fn check_rows(&self, table: &'static str, found: &[(String, Digest)]) -> Result<(), StoreError> {
        if !self.has_sums() {
            return Ok(());
        }
        let mut noted = BTreeMap::new();
        if found.len() > FEW {
            // A gate's key begins with a number and is none, so its order says nothing of its age.
            let limit = if table == "gates" { usize::MAX } else { found.len() };
            self.each(NEWEST, &[table.into(), limit.into()], |key, row| {
                let sum = columns::hash("sums", &key, column("sums", &key, row, 1)?)?;
                if let Some(known) = self.known {
                    known.borrow_mut().insert((table.to_owned(), key.clone()), Some(sum));
                }
                noted.insert(key, sum);
                Ok(())
            })?;
        }
        for (key, sum) in found {
            let noted = match noted.get(key) {
                Some(noted) => Some(*noted),
                None => self.sum_of(table, key)?,
            };
            match noted {
                Some(noted) if noted == *sum => {}
                Some(_) => return Err(StoreError::row(table, key, "it is not what its sum says")),
                None => return Err(StoreError::row(table, key, "it has no sum")),
            }
        }
        Ok(())
    }

    /// Refuses a row that is not what its sum says.
    pub fn check_row(&self, table: &'static str, key: &str, value: &str) -> Result<(), StoreError> {
        self.check_rows(table, &[(key.to_owned(), sum(table, key, value))])
    }

    /// Refuses that a row is not found which has a sum.
    pub fn check_absent(&self, table: &'static str, key: &str) -> Result<(), StoreError> {
        match self.has_sums() && self.sum_of(table, key)?.is_some() {
            true => Err(StoreError::row(table, key, "it is missing")),
            false => Ok(()),
        }
    }

    /// The keys of the newest `limit` rows of `table` that have a sum, where keys are numbers.
    pub fn keys(&self, table: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        self.each(NEWEST, &[table.into(), limit.into()], |key, _| {
            keys.push(key);
            Ok(())
        })?;
        Ok(keys)
    }

    /// How many rows of `table` have a sum.
    pub fn count(&self, table: &'static str) -> Result<usize, StoreError> {
        let mut found = 0;
        self.each("SELECT count(*) FROM sums WHERE kind = ?1", &[table.into()], |_, row| {
            found = columns::number("sums", table, column("sums", table, row, 0)?)?;
            Ok(())
        })?;
        Ok(found as usize)
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
        match self.keys(table, limit)?.iter().find(|key| !found(key)) {
            Some(key) => Err(StoreError::row(table, key, "it is missing")),
            None => Ok(()),
        }
    }

    /// Refuses tables that are declared in another way than they were made.
    fn schema_is_ours(&self) -> Result<(), StoreError> {
        let mut declared = Vec::new();
        self.each(self.backend.declarations(), &[], |key, row| {
            let text = columns::text(SCHEMA, &key, column(SCHEMA, &key, row, 1)?)?;
            let sum = sum(SCHEMA, &key, text);
            declared.push((key, sum));
            Ok(())
        })?;
        self.check_rows(SCHEMA, &declared)?;
        match self.count(SCHEMA)? == declared.len() {
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
        self.backend.all("SELECT sum FROM sums", &mut |row| {
            xor(&mut all, columns::hash("sums", "one", column("sums", "one", row, 0)?)?);
            Ok(())
        })?;
        match self.meta_value::<Digest>("sums")? == Digest::from_bytes(all) {
            true => self.schema_is_ours(),
            false => Err(StoreError::row("sums", "all", "they do not add up, so a row changed or is gone")),
        }
    }

    /// Sums every row anew: when books are made or come from an earlier form.
    pub fn fill_sums(&self) -> Result<(), StoreError> {
        const NONE: &str = "INSERT INTO meta (key, value) VALUES ('sums', ?1)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        let mut changes = Changes::default();
        self.run(NONE, &[Digest::from_bytes([0; 32]).to_string().into()])?;
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
        let mut noted: BTreeMap<(String, String), Digest> = BTreeMap::new();
        self.backend.all("SELECT kind, key, sum FROM sums", &mut |row| {
            let text = |n| columns::text("sums", "one", column("sums", "one", row, n)?).map(str::to_owned);
            let (kind, key) = (text(0)?, text(1)?);
            let sum = columns::hash("sums", &key, column("sums", &key, row, 2)?)?;
            noted.insert((kind, key), sum);
            Ok(())
        })?;
        self.summed(|table, key, value| match noted.remove(&(table.to_owned(), key.to_owned())) {
            Some(noted) if noted == sum(table, key, value) => Ok(()),
            Some(_) => Err(StoreError::row(table, key, "it is not what its sum says")),
            None => Err(StoreError::row(table, key, "it has no sum")),
        })?;
        match noted.keys().next() {
            Some((kind, key)) => Err(StoreError::row("sums", format!("{kind} {key}"), "its row is missing")),
            None => Ok(()),
        }
    }

    fn summed(
        &self,
        mut each: impl FnMut(&'static str, &str, &str) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for (table, sql) in [(SCHEMA, self.backend.declarations())].into_iter().chain(SUMMED) {
            self.backend.all(sql, &mut |row| {
                let shown = row.first().map(columns::key).unwrap_or_default();
                let text = |n: usize| -> Result<String, StoreError> {
                    match column(table, &shown, row, n)? {
                        Value::Int(n) => Ok(n.to_string()),
                        value => columns::text(table, &shown, value).map(str::to_owned),
                    }
                };
                each(table, &text(0)?, &text(1)?)
            })?;
        }
        Ok(())
    }
}
