//! Rows to values and back, inside one transaction.
//!
//! Invariant: what a record does to rows is what [`Books::apply`] does: [`Db::write`] reads the rows that the records
//! touch into books of their own, applies the records there, and writes those rows back. A row that is not of the
//! form that was written is an error with its table and key, never a panic.

use super::backend::{Backend, Value};
use super::chain::{self, Link};
use super::columns::{column, key, text};
use super::error::StoreError;
use super::sums::{Changes, FEW, Known, sum};
use super::{Touched, check, health, is_news, looked_at, playbooks, recent, touched};
use crate::model::books::{Books, Hold, HostRow, Lock, Record, Rollout, Snapshot, Status};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use crate::model::names::HostName;
use crate::model::time::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::str::FromStr;

/// A database, within a transaction of the caller's.
#[derive(Clone, Copy)]
pub struct Db<'a> {
    /// Which.
    pub backend: &'a dyn Backend,
    /// The form of its tables.
    pub form: i64,
    /// Where the sums stay that a writing transaction has read: nobody else changes them until it ends.
    pub known: Option<&'a Known>,
}

/// Which events a write leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// One a record.
    All,
    /// None for a look that saw nothing new.
    News,
}

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("values of the books have only string keys")
}

impl<'a> Db<'a> {
    /// The rows of a database whose tables may be of an earlier form.
    pub fn of(backend: &'a dyn Backend) -> Result<Self, StoreError> {
        Ok(Self { backend, form: backend.form()?, known: None })
    }

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

    /// Values by their keys, from rows of a key and a JSON text, each as its sum says.
    pub(super) fn values<T: DeserializeOwned>(
        &self,
        table: &'static str,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<(String, T)>, StoreError> {
        let (mut found, mut sums) = (Vec::new(), Vec::new());
        self.each(sql, values, |key, row| {
            let body = text(table, &key, column(table, &key, row, 1)?)?;
            let value = serde_json::from_str(body).map_err(|e| StoreError::row(table, &key, e))?;
            sums.push((key.clone(), sum(table, &key, body)));
            found.push((key, value));
            Ok(())
        })?;
        self.check_rows(table, &sums)?;
        Ok(found)
    }

    /// A number or name from the table `meta`, which is what its sum says.
    pub fn meta<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<T, StoreError> {
        let text = self.meta_text(name)?;
        let value = text.parse().map_err(|e: T::Err| StoreError::row("meta", name, e))?;
        self.check_row("meta", name, &text)?;
        Ok(value)
    }

    /// The same without a look at its sum.
    pub(super) fn meta_value<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<T, StoreError> {
        self.meta_text(name)?.parse().map_err(|e: T::Err| StoreError::row("meta", name, e))
    }

    fn meta_text(&self, name: &str) -> Result<String, StoreError> {
        let mut found = None;
        self.each("SELECT key, value FROM meta WHERE key = ?1", &[name.into()], |key, row| {
            found = Some(text("meta", &key, column("meta", &key, row, 1)?)?.to_owned());
            Ok(())
        })?;
        found.ok_or_else(|| StoreError::row("meta", name, "it is missing"))
    }

    pub(super) fn set_meta(&self, name: &str, value: &str) -> Result<(), StoreError> {
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
        let mut found = None;
        self.each("SELECT epoch, coalesce(body, 'null') FROM lock WHERE one = 1", &[], |epoch, row| {
            let body = text("lock", "1", column("lock", "1", row, 1)?)?;
            found = Some((epoch, body.to_owned()));
            Ok(())
        })?;
        let (text, body) = found.ok_or_else(|| wrong(&"it is missing"))?;
        let epoch: u64 = text.parse().map_err(|e: std::num::ParseIntError| wrong(&e))?;
        let lock: Option<Lock> = serde_json::from_str(&body).map_err(|e| wrong(&e))?;
        if let Some(lock) = lock.as_ref().filter(|lock| lock.epoch != epoch) {
            return Err(wrong(&format!("it holds a lock of epoch {}", lock.epoch)));
        }
        self.check_row("lock", "1", &format!("{text} {body}"))?;
        Ok((epoch, lock))
    }

    /// Writes the newest epoch, and who holds it.
    pub fn set_lock(&self, epoch: u64, lock: Option<&Lock>) -> Result<(), StoreError> {
        let body = lock.map(json);
        self.run("UPDATE lock SET epoch = ?1, body = ?2 WHERE one = 1", &[epoch.into(), body.clone().into()])?;
        let mut changes = Changes::default();
        changes.row("lock", 1, Some(&format!("{epoch} {}", body.as_deref().unwrap_or("null"))));
        self.write_sums(changes)
    }

    fn current(&self) -> Result<Option<SnapshotId>, StoreError> {
        let mut found = None;
        self.each("SELECT snapshot FROM current", &[], |key, _| {
            found = Some(key);
            Ok(())
        })?;
        let Some(key) = found else { return self.check_absent("current", "1").map(|()| None) };
        let id = key.parse().map_err(|e: std::num::ParseIntError| StoreError::row("current", 1, e))?;
        self.check_row("current", "1", &key)?;
        Ok(Some(SnapshotId(id)))
    }

    fn hold(&self) -> Result<Option<Hold>, StoreError> {
        self.one("hold", 1_u64, "SELECT one, body FROM hold WHERE one = ?1")
    }

    /// The value of one row; `None`: it was never there.
    pub(super) fn one<T: DeserializeOwned>(
        &self,
        table: &'static str,
        named: impl Into<Value>,
        sql: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let named = named.into();
        let found = self.values(table, sql, std::slice::from_ref(&named))?.pop();
        if found.is_none() {
            self.check_absent(table, &key(&named))?;
        }
        Ok(found.map(|(_, value)| value))
    }

    /// Hosts, from rows of a name and a body.
    fn hosts(&self, books: &mut Books) -> Result<(), StoreError> {
        for (key, row) in self.values::<HostRow>("hosts", "SELECT host, body FROM hosts", &[])? {
            let host: HostName = key.parse().map_err(|e| StoreError::row("hosts", &key, e))?;
            books.hosts.insert(host, row);
        }
        Ok(())
    }

    /// Rollouts in the order of the rows, from rows of an id and a body.
    fn rollouts(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Rollout>, StoreError> {
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
        let found = self.rollouts("SELECT id, body FROM rollouts WHERE id = ?1", &[id.0.into()])?.pop();
        if found.is_none() {
            self.check_absent("rollouts", &id.0.to_string())?;
        }
        Ok(found)
    }

    /// A snapshot of any age.
    pub fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
        let found = self.snapshots("SELECT id, body FROM snapshots WHERE id = ?1", &[id.0.into()])?.pop();
        if found.is_none() {
            self.check_absent("snapshots", &id.0.to_string())?;
        }
        Ok(found)
    }

    /// The books, of rollouts and snapshots the part that [`recent::trim`] leaves.
    pub fn load(&self, recent_max: usize) -> Result<Books, StoreError> {
        self.sums_add_up()?;
        self.chain_ends_well()?;
        let mut books = Books::new(self.id()?);
        (books.epoch, books.lock) = self.lock()?;
        (books.current, books.hold) = (self.current()?, self.hold()?);
        self.hosts(&mut books)?;
        books.rollouts = self.newest_rollouts(recent_max)?.into_iter().map(|r| (r.id, r)).collect();
        let open = self.open(&books.rollouts)?;
        books.rollouts.extend(open.into_iter().map(|r| (r.id, r)));
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
        self.none_missing("hosts", usize::MAX, |key| key.parse().is_ok_and(|host| books.hosts.contains_key(&host)))?;
        let known = |key: &str| key.parse().is_ok_and(|id| books.snapshots.contains_key(&SnapshotId(id)));
        self.none_missing("snapshots", recent_max, known)?;
        Ok(books)
    }

    /// The newest rollouts, the newest first.
    pub fn newest_rollouts(&self, limit: usize) -> Result<Vec<Rollout>, StoreError> {
        let found = self.rollouts("SELECT id, body FROM rollouts ORDER BY id DESC LIMIT ?1", &[limit.into()])?;
        self.none_missing("rollouts", limit, |key| found.iter().any(|rollout| rollout.id.0.to_string() == key))?;
        Ok(found)
    }

    /// Every rollout that did not end, but those that are `known`.
    fn open(&self, known: &BTreeMap<RolloutId, Rollout>) -> Result<Vec<Rollout>, StoreError> {
        if !self.has_sums() {
            return self.rollouts("SELECT id, body FROM rollouts WHERE status = 'open'", &[]);
        }
        let mut open = Vec::new();
        for key in self.keys("open", usize::MAX)? {
            let id = key.parse().map_err(|e: std::num::ParseIntError| StoreError::row("sums", &key, e))?;
            if !known.contains_key(&RolloutId(id)) {
                let found = self.rollout(RolloutId(id))?;
                open.push(found.ok_or_else(|| StoreError::row("rollouts", key, "it is missing"))?);
            }
        }
        Ok(open)
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
        let mut changes = Changes::default();
        self.write_rows(&touched, &books, &mut changes)?;
        health::write(*self, now, records, &books.health, &mut changes)?;
        playbooks::write(*self, records, &books.playbooks, &mut changes)?;
        self.write_events(now, epoch, &news, &mut changes)?;
        self.write_sums(changes)
    }

    /// Books with those rows only that the records touch.
    fn slice(&self, (hosts, rollouts): &Touched<'_>) -> Result<Books, StoreError> {
        let mut books = Books::new(BooksId(0));
        (books.current, books.hold) = (self.current()?, self.hold()?);
        if hosts.len() > FEW {
            self.hosts(&mut books)?;
            books.hosts.retain(|host, _| hosts.contains(host));
        }
        for host in hosts {
            if !books.hosts.contains_key(*host) {
                let row = self.one("hosts", host.as_str(), "SELECT host, body FROM hosts WHERE host = ?1")?;
                books.hosts.extend(row.map(|row| ((*host).clone(), row)));
            }
        }
        for id in rollouts {
            books.rollouts.extend(self.rollout(*id)?.map(|rollout| (*id, rollout)));
        }
        Ok(books)
    }

    fn write_rows(&self, (hosts, _): &Touched<'_>, books: &Books, changes: &mut Changes) -> Result<(), StoreError> {
        const SNAPSHOT: &str = "INSERT INTO snapshots (id, body) VALUES (?1, ?2)
            ON CONFLICT (id) DO UPDATE SET body = excluded.body";
        const ROLLOUT: &str = "INSERT INTO rollouts (id, body) VALUES (?1, ?2)
            ON CONFLICT (id) DO UPDATE SET body = excluded.body";
        const CURRENT: &str = "INSERT INTO current (one, snapshot) VALUES (1, ?1)
            ON CONFLICT (one) DO UPDATE SET snapshot = excluded.snapshot";
        const HOLD: &str = "INSERT INTO hold (one, body) VALUES (1, ?1)
            ON CONFLICT (one) DO UPDATE SET body = excluded.body";
        for snapshot in books.snapshots.values() {
            let body = json(snapshot);
            self.run(SNAPSHOT, &[snapshot.id.0.into(), body.as_str().into()])?;
            changes.row("snapshots", snapshot.id.0, Some(&body));
        }
        for rollout in books.rollouts.values() {
            let body = json(rollout);
            self.run(ROLLOUT, &[rollout.id.0.into(), body.as_str().into()])?;
            changes.row("rollouts", rollout.id.0, Some(&body));
            changes.row("open", rollout.id.0, (rollout.status == Status::Open).then_some("open"));
        }
        for host in hosts {
            self.write_host(host, books.hosts.get(host), changes)?;
        }
        if let Some(current) = books.current {
            self.run(CURRENT, &[current.0.into()])?;
            changes.row("current", 1, Some(&current.0.to_string()));
        }
        let hold = books.hold.as_ref().map(json);
        changes.row("hold", 1, hold.as_deref());
        match hold {
            Some(hold) => self.run(HOLD, &[hold.into()]),
            None => self.run("DELETE FROM hold", &[]),
        }
    }

    fn write_host(&self, host: &HostName, row: Option<&HostRow>, changes: &mut Changes) -> Result<(), StoreError> {
        const HOST: &str = "INSERT INTO hosts (host, body) VALUES (?1, ?2)
            ON CONFLICT (host) DO UPDATE SET body = excluded.body";
        let body = row.map(json);
        changes.row("hosts", host, body.as_deref());
        match body {
            Some(body) => self.run(HOST, &[host.as_str().into(), body.into()]),
            None => self.run("DELETE FROM hosts WHERE host = ?1", &[host.as_str().into()]),
        }
    }

    fn write_events(
        &self,
        now: Time,
        epoch: u64,
        records: &[&Record],
        changes: &mut Changes,
    ) -> Result<(), StoreError> {
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
        for (name, value) in [("events", seq.to_string()), ("head", head.to_string())] {
            self.set_meta(name, &value)?;
            changes.row("meta", name, Some(&value));
        }
        Ok(())
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
