//! Several operators on the same books, some of them dead.

use super::{Kept, died, directory, host, open, opened, text};
use crate::model::books::{Books, Record};
use crate::model::ids::BooksId;
use crate::model::time::Time;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::memory::MemoryStore;
use crate::store::sqlite;
use expect_test::{Expect, expect};
use std::os::unix::fs::PermissionsExt;

fn says<T>(result: Result<T, StoreError>, expected: Expect) {
    expected.assert_eq(&result.err().expect("it is refused").to_string());
}

#[test]
fn an_older_epoch_writes_nothing() {
    for kept in Kept::all() {
        let (mut alice, mut bob) = (kept.open(), kept.open());
        let old =
            alice.take_lock(Time(1_453_418_040_000), "alice@deploy pid 1", "promote group1", false).expect("free");
        says(
            bob.take_lock(Time(2), "bob@deploy pid 2", "sync-common", false),
            expect!["the books are locked by alice@deploy pid 1 since 2016-01-21 23:14 UTC: promote group1"],
        );
        let new = bob.take_lock(Time(1_453_511_760_000), "bob@deploy pid 2", "rollback", true).expect("it takes over");
        assert_eq!((new.epoch, new.alive), (old.epoch + 1, true));
        assert_eq!(new.took_over_from.map(|lock| lock.holder).as_deref(), Some("alice@deploy pid 1"));
        let before = bob.load().expect("books");
        says(
            alice.append(Time(4), old.epoch, &[text("one"), opened(1)]),
            expect!["epoch 1 is over: bob@deploy pid 2 took over at 2016-01-23T01:16:00Z: rollback"],
        );
        assert!(matches!(alice.release_lock(Time(5), old.epoch), Err(StoreError::Superseded { .. })));
        assert!(
            matches!(alice.append(Time(5), new.epoch, &[]), Err(StoreError::Superseded { .. })),
            "knowing the number of another's epoch is not having it"
        );
        assert_eq!(bob.load().expect("books"), before);
        assert_eq!(bob.events(0, 10).expect("events").len(), 2, "the two locks that were taken");
        bob.append(Time(6), new.epoch, &[opened(1)]).expect("it is the newest epoch");
        bob.release_lock(Time(7), new.epoch).expect("it is ours");
        says(bob.append(Time(8), new.epoch, &[]), expect!["epoch 2 is over: the lock is not ours any more"]);
    }
}

#[test]
fn a_dead_holder_is_told_from_a_living_one() {
    for kept in Kept::all() {
        let mut alice = kept.open();
        alice.take_lock(Time(1), "alice", "promote", false).expect("free");
        let mut bob = kept.open();
        assert_eq!(bob.holder_lives().expect("it can be asked"), Some(true));
        // What the kernel does at kill -9: the files are closed and nothing else happens.
        drop(alice);
        died(&bob);
        let claim = bob.take_lock(Time(2), "bob", "converge", false).expect("its holder is dead");
        assert_eq!((claim.epoch, claim.alive), (2, false));
        assert_eq!(claim.took_over_from.map(|lock| lock.holder).as_deref(), Some("alice"));
        let said: Vec<String> = bob.events(0, 10).expect("events").iter().map(|e| format!("{:?}", e.record)).collect();
        expect![[r#"
            Note { by: "alice", text: "took the lock: promote" }
            Note { by: "bob", text: "took the lock of alice, which is dead: converge" }"#]]
        .assert_eq(&said.join("\n"));
    }
}

#[test]
fn memory_knows_the_dead_too() {
    let mut store = MemoryStore::new(BooksId(1));
    store.take_lock(Time(1), "alice", "promote", false).expect("free");
    assert!(matches!(store.take_lock(Time(2), "bob", "converge", false), Err(StoreError::Locked(..))));
    store.died();
    assert!(!store.take_lock(Time(2), "bob", "converge", false).expect("its holder is dead").alive);
    assert!(matches!(store.append(Time(3), 1, &[]), Err(StoreError::Superseded { epoch: 1, .. })));
}

#[test]
fn only_what_a_look_saw_is_written_without_the_lock() {
    for kept in Kept::all() {
        let mut store = kept.open();
        let records = [text("seen"), Record::Forgotten { host: host(2020) }];
        says(
            store.note(Time(1), 0, &records),
            expect![[
                r#"a mistake of pointsman's own: written without the lock: Forgotten { host: HostName("mw2020.codfw.wmnet") }"#
            ]],
        );
        assert_eq!(store.events(0, 10).expect("events"), []);
    }
}

#[test]
fn a_rollout_may_not_name_a_snapshot_that_nobody_recorded() {
    for kept in Kept::all() {
        let mut store = kept.open();
        let epoch = store.take_lock(Time(1), "alice", "train", false).expect("free").epoch;
        says(
            store.append(Time(2), epoch, &[text("first"), opened(5)]),
            expect!["a mistake of pointsman's own: r5 names s4, which is not recorded"],
        );
        assert_eq!(store.events(0, 10).expect("events").len(), 1, "the first record was not written either");
    }
}

#[test]
fn books_are_private_and_survive_being_closed() {
    let dir = directory();
    let inner = dir.path().join("a?b#c%20");
    let id = open(&inner).load().expect("empty books").id;
    assert_ne!(id, open(&directory().path().join("x")).load().expect("empty books").id, "each has an id of its own");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode(&inner), mode(&inner.join("books.sqlite"))), (0o700, 0o600));
    assert_eq!(open(&inner).load().expect("books"), Books::new(id));
}

#[test]
fn rebuilt_books_begin_above_the_fleet_and_never_replace_what_can_be_read() {
    let dir = directory();
    let id = BooksId(7);
    let mut store = sqlite::rebuild(dir.path(), id, 41, None).expect("there are none");
    assert_eq!(store.load().expect("books"), Books { epoch: 41, ..Books::new(id) });
    assert_eq!(store.take_lock(Time(1), "alice", "rollback", false).expect("free").epoch, 42);
    drop(store);
    assert!(matches!(sqlite::rebuild(dir.path(), id, 99, None), Err(StoreError::Exists(_))));
    std::fs::write(dir.path().join("books.sqlite"), [b'x'; 8192]).expect("it is ours");
    let store = sqlite::rebuild(dir.path(), id, 99, None).expect("the old ones are damaged");
    assert_eq!(store.load().expect("books").epoch, 99);
    assert!(dir.path().join("books.sqlite.damaged-1").exists(), "they are set aside, not deleted");
}

#[test]
fn a_look_that_is_older_than_an_act_does_not_call_a_host_fine() {
    for kept in Kept::all() {
        let mut store = kept.open();
        let looked_under = store.load().expect("books").epoch;
        let epoch = store.take_lock(Time(1), "alice", "rollback", false).expect("free").epoch;
        let owed = Record::Owed { host: host(2020), what: "the switch".to_owned() };
        store.append(Time(2), epoch, &[owed]).expect("it is written");
        let fine = [Record::Fresh { host: host(2020) }];
        let is_owed =
            |store: &crate::store::sqlstore::SqlStore| store.load().expect("books").hosts[&host(2020)].owed.is_some();
        store.note(Time(3), epoch, &fine).expect("left out");
        assert!(is_owed(&store), "somebody is acting");
        store.release_lock(Time(4), epoch).expect("ours");
        store.note(Time(5), looked_under, &fine).expect("left out");
        assert!(is_owed(&store), "somebody acted since the look");
        store.note(Time(6), epoch, &fine).expect("written");
        assert!(!is_owed(&store));
    }
}
