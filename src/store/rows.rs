//! Rows to values and back, inside one transaction.
//!
//! Invariant: what a record does to rows is what [`Books::apply`] does: [`Db::write`] reads the rows that the records
//! touch into books of their own, applies the records there, and writes those rows back. A row that is not of the
//! form that was written is an error with its table and key, never a panic.

use super::backend::{Backend, Value};
use super::chain::{self, Link};
use super::error::StoreError;
use super::{check, health, is_news, looked_at, playbooks, recent};
use crate::model::books::{Books, Hold, HostRow, Lock, Record, Rollout, Snapshot};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use crate::model::limits::BOOKS_ROW_BYTES_MAX;
use crate::model::names::HostName;
use crate::model::time::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// A database, within a transaction of the caller's.
#[derive(Clone, Copy)]
pub struct Db<'a> {
    /// Which.
    pub backend: &'a dyn Backend,
}

/// Which events a write leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// One a record.
    All,
    /// None for a look that saw nothing new.
    News,
}

/// A row's key as people read it in an error.
pub fn key(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Text(text) => text.escape_debug().take(80).collect(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).escape_debug().take(80).collect(),
    }
}

/// The text of a column, bounded.
pub fn text<'r>(table: &'static str, row: &str, value: &'r Value) -> Result<&'r str, StoreError> {
    let text = match value {
        Value::Text(text) => text.as_str(),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|e| StoreError::row(table, row, e))?,
        Value::Null | Value::Int(_) => return Err(StoreError::row(table, row, "a column is not a text")),
    };
    match text.len() > BOOKS_ROW_BYTES_MAX {
        true => Err(StoreError::row(table, row, "it is too long")),
        false => Ok(text),
    }
}

/// The number of a column.
pub fn number(table: &'static str, row: &str, value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(StoreError::row(table, row, "a column is not a whole number")),
    }
}

/// A column of a row.
pub(super) fn column<'r>(table: &'static str, key: &str, row: &'r [Value], n: usize) -> Result<&'r Value, StoreError> {
    row.get(n).ok_or_else(|| StoreError::row(table, key, "a column is missing"))
}

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("values of the books have only string keys")
}

impl Db<'_> {
    /// Runs a statement that changes rows.
    pub fn run(&self, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        self.backend.run(sql, values)
    }

    /// Calls `each` for every row with its key, which is its first column.
    pub fn each(
        &self,
        sql: &'static str,
        values: &[Value],
        mut each: impl FnMut(String, &[Value]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.backend.rows(sql, values, &mut |row| each(row.first().map(key).unwrap_or_default(), row))
    }

    /// Values by their keys, from rows of a key and a JSON text.
    pub(super) fn values<T: DeserializeOwned>(
        &self,
        table: &'static str,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<(String, T)>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, values, |key, row| {
            let body = text(table, &key, column(table, &key, row, 1)?)?;
            let value = serde_json::from_str(body).map_err(|e| StoreError::row(table, &key, e))?;
            found.push((key, value));
            Ok(())
        })?;
        Ok(found)
    }

    /// A number or name from the table `meta`.
    pub fn meta<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<T, StoreError> {
        let mut found = None;
        self.each("SELECT key, value FROM meta WHERE key = ?1", &[name.into()], |key, row| {
            found = Some(text("meta", &key, column("meta", &key, row, 1)?)?.to_owned());
            Ok(())
        })?;
        let found = found.ok_or_else(|| StoreError::row("meta", name, "it is missing"))?;
        found.parse().map_err(|e: T::Err| StoreError::row("meta", name, e))
    }

    fn set_meta(&self, name: &str, value: String) -> Result<(), StoreError> {
        self.run("UPDATE meta SET value = ?2 WHERE key = ?1", &[name.into(), value.into()])
    }

    /// Which books.
    pub fn id(&self) -> Result<BooksId, StoreError> {
        let text: String = self.meta("books")?;
        BooksId::try_from(text).map_err(|e| StoreError::row("meta", "books", e))
    }

    /// The newest epoch, and who holds it.
    pub fn lock(&self) -> Result<(u64, Option<Lock>), StoreError> {
        let wrong = |why: &dyn ToString| StoreError::row("lock", 1, why.to_string());
        let found: Vec<(String, Option<Lock>)> =
            self.values("lock", "SELECT epoch, coalesce(body, 'null') FROM lock WHERE one = 1", &[])?;
        let (epoch, lock) = found.into_iter().next().ok_or_else(|| wrong(&"it is missing"))?;
        let epoch: u64 = epoch.parse().map_err(|e: std::num::ParseIntError| wrong(&e))?;
        match lock {
            Some(lock) if lock.epoch != epoch => Err(wrong(&format!("it holds a lock of epoch {}", lock.epoch))),
            lock => Ok((epoch, lock)),
        }
    }

    /// Writes the newest epoch, and who holds it.
    pub fn set_lock(&self, epoch: u64, lock: Option<&Lock>) -> Result<(), StoreError> {
        let values: [Value; 2] = [epoch.into(), lock.map(json).into()];
        self.run("UPDATE lock SET epoch = ?1, body = ?2 WHERE one = 1", &values)
    }

    fn current(&self) -> Result<Option<SnapshotId>, StoreError> {
        let mut found = None;
        self.each("SELECT snapshot FROM current", &[], |key, _| {
            found = Some(key.parse().map_err(|e| StoreError::row("current", 1, e))?);
            Ok(())
        })?;
        Ok(found)
    }

    fn hold(&self) -> Result<Option<Hold>, StoreError> {
        let found = self.values("hold", "SELECT one, body FROM hold", &[])?;
        Ok(found.into_iter().next().map(|(_, hold)| hold))
    }

    /// Hosts, from rows of a name and a body.
    fn hosts(&self, sql: &'static str, values: &[Value], books: &mut Books) -> Result<(), StoreError> {
        for (key, row) in self.values::<HostRow>("hosts", sql, values)? {
            let host: HostName = key.parse().map_err(|e| StoreError::row("hosts", &key, e))?;
            books.hosts.insert(host, row);
        }
        Ok(())
    }

    /// Rollouts in the order of the rows, from rows of an id and a body.
    pub fn rollouts(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Rollout>, StoreError> {
        let found = self.values::<Rollout>("rollouts", sql, values)?;
        let checked = |(key, rollout): (String, Rollout)| match key == rollout.id.0.to_string() {
            true => Ok(rollout),
            false => Err(StoreError::row("rollouts", key, format!("it holds {}", rollout.id))),
        };
        found.into_iter().map(checked).collect()
    }

    fn snapshots(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Snapshot>, StoreError> {
        let found = self.values::<Snapshot>("snapshots", sql, values)?;
        let checked = |(key, snapshot): (String, Snapshot)| match key == snapshot.id.0.to_string() {
            true => Ok(snapshot),
            false => Err(StoreError::row("snapshots", key, format!("it holds {}", snapshot.id))),
        };
        found.into_iter().map(checked).collect()
    }

    /// Signatures that were seen at `since` or later.
    pub fn signatures(&self, since: Time) -> Result<BTreeMap<String, Time>, StoreError> {
        health::signatures(*self, since)
    }

    /// A rollout of any age.
    pub fn rollout(&self, id: RolloutId) -> Result<Option<Rollout>, StoreError> {
        Ok(self.rollouts("SELECT id, body FROM rollouts WHERE id = ?1", &[id.0.into()])?.pop())
    }

    /// A snapshot of any age.
    pub fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.snapshots("SELECT id, body FROM snapshots WHERE id = ?1", &[id.0.into()])?.pop())
    }

    /// The books, of rollouts and snapshots the part that [`recent::trim`] leaves.
    pub fn load(&self, recent_max: usize) -> Result<Books, StoreError> {
        let mut books = Books::new(self.id()?);
        (books.epoch, books.lock) = self.lock()?;
        (books.current, books.hold) = (self.current()?, self.hold()?);
        self.hosts("SELECT host, body FROM hosts", &[], &mut books)?;
        let newest = "SELECT id, body FROM rollouts ORDER BY id DESC LIMIT ?1";
        let open = "SELECT id, body FROM rollouts WHERE status = 'open'";
        let rollouts = self.rollouts(newest, &[recent_max.into()])?.into_iter().chain(self.rollouts(open, &[])?);
        books.rollouts = rollouts.map(|r| (r.id, r)).collect();
        let newest = "SELECT id, body FROM snapshots ORDER BY id DESC LIMIT ?1";
        books.snapshots = self.snapshots(newest, &[recent_max.into()])?.into_iter().map(|s| (s.id, s)).collect();
        for id in recent::named(books.rollouts.values(), books.current) {
            if let Entry::Vacant(vacant) = books.snapshots.entry(id) {
                let snapshot = self.snapshot(id)?;
                vacant.insert(snapshot.ok_or_else(|| StoreError::row("snapshots", id.0, "it is missing"))?);
            }
        }
        health::load(*self, &mut books)?;
        books.playbooks = playbooks::load(*self)?;
        Ok(books)
    }

    /// Applies records to the rows and adds their events to the chain.
    pub fn write(&self, now: Time, epoch: u64, records: &[Record], trace: Trace) -> Result<(), StoreError> {
        check(records, |id| Ok(self.snapshot(id)?.is_some()))?;
        let touched = touched(records);
        let mut books = self.slice(&touched)?;
        health::slice(*self, records, &mut books.health)?;
        playbooks::slice(*self, records, &mut books.playbooks)?;
        let mut news = Vec::new();
        for record in records {
            let row = |books: &Books| looked_at(record).and_then(|host| books.hosts.get(host)).cloned();
            let before = row(&books);
            books.apply(now, record);
            let quiet = trace == Trace::News && looked_at(record).is_some();
            if !quiet || is_news(before.as_ref(), row(&books).as_ref()) {
                news.push(record);
            }
        }
        self.write_rows(&touched, &books)?;
        health::write(*self, now, records, &books.health)?;
        playbooks::write(*self, records, &books.playbooks)?;
        self.write_events(now, epoch, &news)
    }

    /// Books with those rows only that the records touch.
    fn slice(&self, (hosts, rollouts): &Touched<'_>) -> Result<Books, StoreError> {
        let mut books = Books::new(BooksId(0));
        (books.current, books.hold) = (self.current()?, self.hold()?);
        for host in hosts {
            self.hosts("SELECT host, body FROM hosts WHERE host = ?1", &[host.as_str().into()], &mut books)?;
        }
        for id in rollouts {
            books.rollouts.extend(self.rollout(*id)?.map(|rollout| (*id, rollout)));
        }
        Ok(books)
    }

    fn write_rows(&self, (hosts, _): &Touched<'_>, books: &Books) -> Result<(), StoreError> {
        const SNAPSHOT: &str = "INSERT INTO snapshots (id, body) VALUES (?1, ?2)
            ON CONFLICT (id) DO UPDATE SET body = excluded.body";
        const ROLLOUT: &str = "INSERT INTO rollouts (id, body) VALUES (?1, ?2)
            ON CONFLICT (id) DO UPDATE SET body = excluded.body";
        const HOST: &str = "INSERT INTO hosts (host, body) VALUES (?1, ?2)
            ON CONFLICT (host) DO UPDATE SET body = excluded.body";
        const CURRENT: &str = "INSERT INTO current (one, snapshot) VALUES (1, ?1)
            ON CONFLICT (one) DO UPDATE SET snapshot = excluded.snapshot";
        const HOLD: &str = "INSERT INTO hold (one, body) VALUES (1, ?1)
            ON CONFLICT (one) DO UPDATE SET body = excluded.body";
        for snapshot in books.snapshots.values() {
            self.run(SNAPSHOT, &[snapshot.id.0.into(), json(snapshot).into()])?;
        }
        for rollout in books.rollouts.values() {
            self.run(ROLLOUT, &[rollout.id.0.into(), json(rollout).into()])?;
        }
        for host in hosts {
            match books.hosts.get(host) {
                Some(row) => self.run(HOST, &[host.as_str().into(), json(row).into()])?,
                None => self.run("DELETE FROM hosts WHERE host = ?1", &[host.as_str().into()])?,
            }
        }
        if let Some(current) = books.current {
            self.run(CURRENT, &[current.0.into()])?;
        }
        match &books.hold {
            Some(hold) => self.run(HOLD, &[json(hold).into()]),
            None => self.run("DELETE FROM hold", &[]),
        }
    }

    fn write_events(&self, now: Time, epoch: u64, records: &[&Record]) -> Result<(), StoreError> {
        const EVENT: &str =
            "INSERT INTO events (seq, at_ms, epoch, record, prev, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (mut seq, mut head): (u64, Digest) = (self.meta("events")?, self.meta("head")?);
        for record in records {
            seq += 1;
            let text = json(record);
            let hash = chain::next(head, Link { seq, at: now, epoch, record: &text });
            let values: [Value; 6] =
                [seq.into(), now.0.into(), epoch.into(), text.into(), head.as_bytes().into(), hash.as_bytes().into()];
            self.run(EVENT, &values)?;
            self.write_step(seq, record)?;
            head = hash;
        }
        self.set_meta("events", seq.to_string())?;
        self.set_meta("head", head.to_string())
    }

    fn write_step(&self, event: u64, record: &Record) -> Result<(), StoreError> {
        const INTENT: &str =
            "INSERT INTO intents (event, rollout, command, host, epoch, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        const OUTCOME: &str = "INSERT INTO outcomes (event, rollout, command, host, epoch, seq, result)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        match record {
            Record::Intents { rollout, command, hosts } => hosts.iter().try_for_each(|(host, generation)| {
                self.run(INTENT, &sent(event, *rollout, command, host, *generation))
            }),
            Record::Outcome { rollout, command, host, generation, result } => {
                let sent = sent(event, *rollout, command, host, *generation);
                self.run(OUTCOME, &[&sent[..], &[result.as_str().into()]].concat())
            }
            _ => Ok(()),
        }
    }
}

/// The columns that a command and its outcome share.
fn sent(event: u64, rollout: RolloutId, command: &str, host: &HostName, generation: Generation) -> [Value; 6] {
    let Generation { epoch, seq } = generation;
    [event.into(), rollout.0.into(), command.into(), host.as_str().into(), epoch.into(), seq.into()]
}

/// The hosts and rollouts whose rows records change.
type Touched<'a> = (BTreeSet<&'a HostName>, BTreeSet<RolloutId>);

fn touched(records: &[Record]) -> Touched<'_> {
    let (mut hosts, mut rollouts) = Touched::default();
    for record in records {
        match record {
            Record::Opened { rollout, .. } => drop(rollouts.insert(rollout.id)),
            Record::Ended { rollout, .. } => drop(rollouts.insert(*rollout)),
            Record::Intents { rollout, hosts: sent, .. } => {
                rollouts.insert(*rollout);
                hosts.extend(sent.iter().map(|(host, _)| host));
            }
            Record::Seen { host, .. }
            | Record::Stale { host, .. }
            | Record::Fresh { host }
            | Record::Owed { host, .. }
            | Record::Depooled { host, .. }
            | Record::Pooled { host, .. }
            | Record::Forgotten { host } => drop(hosts.insert(host)),
            Record::Outcome { .. }
            | Record::Held { .. }
            | Record::Playbook(_)
            | Record::Released { .. }
            | Record::Health(_)
            | Record::Note { .. } => {}
        }
    }
    (hosts, rollouts)
}
