//! Tests of the contract: SQLite and PostgreSQL against memory, two operators on the same books, books that were damaged.

mod damage;
mod journal;
mod looking;
mod operators;
mod same;
mod server;
mod shared;

use super::sqlstore::SqlStore;
use super::{Store, postgres, sqlite};
use crate::config::policy::StorePolicy;
use crate::model::books::{Kind, Pins, Record, Rollout, Snapshot, Status};
use crate::model::ids::{RolloutId, SnapshotId};
use crate::model::map::VersionMap;
use crate::model::names::HostName;
use crate::model::secret::Reference;
use crate::model::time::Time;
use server::Server;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A directory of the mode that books ask for.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).expect("it is ours");
    dir
}

/// Asserts that whoever holds the lock has died. A program that another test just starts has our files open until it is
/// there, so the answer may come a moment late.
#[track_caller]
fn died(books: &SqlStore) {
    let lives = || books.holder_lives().expect("it can be asked");
    let is_late = |_: &u32| lives() == Some(true);
    (0..500).take_while(is_late).for_each(|_| thread::sleep(Duration::from_millis(20)));
    assert_eq!(lives(), Some(false));
}

/// Where the books of one test are kept.
enum Kept {
    Sqlite(TempDir),
    Postgres(Server, TempDir),
}

impl Kept {
    fn sqlite() -> Self {
        Self::Sqlite(directory())
    }

    fn postgres() -> Self {
        Self::Postgres(Server::new(), directory())
    }

    /// Each of those that outlive a process.
    fn all() -> [Self; 2] {
        [Self::sqlite(), Self::postgres()]
    }

    fn open(&self) -> SqlStore {
        match self {
            Self::Sqlite(dir) => open(dir.path()),
            Self::Postgres(server, dir) => postgres::open(dir.path(), &at(server), true).expect("books"),
        }
    }

    /// Without any books, and without a note of any.
    fn clear(&self) {
        let (Self::Sqlite(dir) | Self::Postgres(_, dir)) = self;
        for entry in std::fs::read_dir(dir.path()).expect("listed") {
            std::fs::remove_file(entry.expect("listed").path()).expect("ours");
        }
        if let Self::Postgres(server, _) = self {
            server.sql("books", "DROP SCHEMA IF EXISTS pointsman CASCADE");
        }
    }
}

/// How groups.yaml refers to a server.
fn at(server: &Server) -> StorePolicy {
    let source = Reference::File(server.reference("books.url", &server.url("127.0.0.1")));
    StorePolicy { source, ca_file: None }
}

fn open(dir: &Path) -> SqlStore {
    sqlite::open(dir, true).expect("books")
}

fn host(n: u32) -> HostName {
    format!("mw{n}.codfw.wmnet").parse().expect("a host")
}

fn snapshot(id: u64) -> Snapshot {
    let map = [("enwiki", format!("1.27.0-wmf.{id}"))].map(|(w, v)| (w.parse().expect(w), v.parse().expect(w)));
    Snapshot {
        id: SnapshotId(id),
        map: VersionMap(map.into()),
        pins: Pins::default(),
        wanted: Default::default(),
        at: Time(id),
    }
}

fn rollout(id: u64, from: Option<u64>, to: u64) -> Rollout {
    Rollout {
        id: RolloutId(id),
        kind: Kind::Promote,
        groups: vec!["group0".parse().expect("a group")],
        version: None,
        from: from.map(SnapshotId),
        to: SnapshotId(to),
        by: "alice@deploy".into(),
        why: "train \"wmf.11\"\n\0\u{202e}".into(),
        at: Time(id),
        status: Status::Open,
        dispatched: false,
        effect: String::new(),
        playbook: None,
    }
}

/// The record that opens rollout `id`, which leads to a new snapshot of the same number.
fn opened(id: u64) -> Record {
    let from = (id > 1).then_some(id - 1);
    Record::Opened { rollout: rollout(id, from, id), snapshot: Some(snapshot(id)), moves_current: true }
}

fn text(text: &str) -> Record {
    Record::Note { by: "alice".into(), text: text.into() }
}
