//! Tests of the contract: SQLite against memory, two operators on one directory, books that were damaged.

mod damage;
mod journal;
mod looking;
mod operators;
mod same;

use super::sqlite::SqliteStore;
use crate::model::books::{Kind, Pins, Record, Rollout, Snapshot, Status};
use crate::model::ids::{RolloutId, SnapshotId};
use crate::model::map::VersionMap;
use crate::model::names::HostName;
use crate::model::time::Time;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A directory of the mode that books ask for.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).expect("it is ours");
    dir
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, true).expect("books")
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
