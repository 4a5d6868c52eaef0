//! Looking changes nothing (P15): the directory is the same, byte for byte, name for name.

use super::{directory, open, opened, text};
use crate::model::time::Time;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlite;
use std::collections::BTreeMap;
use std::path::Path;

/// Every file by name: bytes and when they were last changed.
fn files(dir: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let changed = entry.metadata().and_then(|m| m.modified()).expect("its time");
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, (std::fs::read(entry.path()).expect("its bytes"), changed))
    };
    std::fs::read_dir(dir).expect("a directory").map(entry).collect()
}

/// All that a status or a dry-run asks.
fn look(dir: &Path) -> crate::model::books::Books {
    let store = sqlite::open_read_only(dir).expect("books");
    store.verify().expect("the chain is whole");
    store.holder_lives().expect("it can be asked");
    store.rollouts(10).expect("rows");
    store.load().expect("books")
}

fn copy(from: &Path, to: &Path) {
    for (name, (bytes, _)) in files(from) {
        let path = to.join(name);
        std::fs::write(&path, bytes).expect("it is ours");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    }
}

#[test]
fn looking_at_books_at_rest_changes_nothing() {
    let dir = directory();
    let mut store = open(dir.path());
    let epoch = store.take_lock(Time(1), "alice", "train", false).expect("free").epoch;
    store.append(Time(2), epoch, &[opened(1)]).expect("it is recorded");
    let books = store.load().expect("books");
    drop(store);
    let before = files(dir.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), ["alive-1", "books.sqlite", "head"], "no log remains at rest");
    assert_eq!(look(dir.path()), books);
    assert!(files(dir.path()) == before, "not one byte may change");
}

#[test]
fn looking_at_what_a_crash_left_changes_nothing_and_sees_all() {
    let (dir, image) = (directory(), directory());
    let mut store = open(dir.path());
    let epoch = store.take_lock(Time(1), "alice", "train", false).expect("free").epoch;
    store.append(Time(2), epoch, &[opened(1)]).expect("it is recorded");
    copy(dir.path(), image.path());
    let before = files(image.path());
    assert!(before.contains_key("books.sqlite-wal"), "the image is of a writer that lives");
    assert_eq!(look(image.path()), store.load().expect("books"));
    assert!(files(image.path()) == before, "not one byte may change");
    assert_eq!(open(image.path()).load().expect("recovered"), store.load().expect("books"));
    assert!(!image.path().join("books.sqlite-wal").exists(), "the next writer puts it to rest");
}

#[test]
fn looking_beside_a_living_writer_sees_what_is_committed() {
    let dir = directory();
    drop(open(dir.path()));
    let looker = sqlite::open_read_only(dir.path()).expect("books");
    assert_eq!(looker.load().expect("books").epoch, 0);
    let mut writer = open(dir.path());
    let epoch = writer.take_lock(Time(1), "alice", "train", false).expect("free").epoch;
    assert_eq!(looker.load().expect("books").epoch, epoch);
    for id in 1..=20 {
        writer.append(Time(2), epoch, &[opened(id)]).expect("it is recorded");
        assert_eq!(look(dir.path()), writer.load().expect("books"));
    }
    writer.release_lock(Time(3), epoch).expect("it is ours");
    drop(writer);
    assert_eq!(looker.load().expect("books").lock, None);
    assert_eq!(look(dir.path()).lock, None);
}

#[test]
fn a_writer_goes_on_beside_another_that_ends() {
    let dir = directory();
    let (mut one, two) = (open(dir.path()), open(dir.path()));
    drop(two);
    one.note(Time(1), 0, &[text("still here")]).expect("it is noted");
    drop(one);
    assert_eq!(look(dir.path()).epoch, 0);
    assert_eq!(files(dir.path()).into_keys().collect::<Vec<_>>(), ["books.sqlite", "head"]);
}

#[test]
fn looking_writes_nothing_and_makes_nothing() {
    let dir = directory();
    assert!(matches!(sqlite::open_read_only(dir.path()), Err(StoreError::NoBooks(_))));
    assert!(matches!(sqlite::open(dir.path(), false), Err(StoreError::NoBooks(_))));
    assert!(matches!(sqlite::open_read_only(&dir.path().join("none")), Err(StoreError::NoBooks(_))));
    assert!(files(dir.path()).is_empty());
    drop(open(dir.path()));
    let mut looker = sqlite::open_read_only(dir.path()).expect("books");
    assert!(matches!(looker.note(Time(1), 0, &[text("no")]), Err(StoreError::ReadOnly)));
    assert!(matches!(looker.take_lock(Time(1), "a", "b", true), Err(StoreError::ReadOnly)));
}
