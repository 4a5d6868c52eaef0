//! Books that somebody or something changed behind our back.

use super::{directory, host, open, opened, text};
use crate::model::books::Record;
use crate::model::time::Time;
use crate::store::error::StoreError;
use crate::store::sqlite;
use crate::store::sqlstore::SqlStore;
use crate::store::{Store, place};
use expect_test::{Expect, expect};
use rusqlite::Connection;
use std::path::Path;

/// Books of five events and their directory.
fn books() -> tempfile::TempDir {
    let dir = directory();
    let mut store = open(dir.path());
    let epoch = store.take_lock(Time(1), "alice", "train", false).expect("free").epoch;
    store.append(Time(2), epoch, &[text("two"), text("three"), opened(1)]).expect("it is recorded");
    store.append(Time(3), epoch, &[Record::Fresh { host: host(2020) }]).expect("it is recorded");
    dir
}

/// Runs SQL as somebody else would, then says what becomes of `ask`.
fn after<T>(sql: &str, ask: impl FnOnce(&SqlStore) -> Result<T, StoreError>, expected: Expect) {
    let dir = books();
    let other = Connection::open(place::file(dir.path())).expect("it is a database");
    other.execute_batch(sql).expect(sql);
    drop(other);
    let store = sqlite::open(dir.path(), false).expect("it opens");
    expected.assert_eq(&ask(&store).err().map_or("nothing noticed".into(), |e| e.to_string()));
}

#[test]
fn a_chain_that_was_touched_names_the_first_wrong_event() {
    let verify = |store: &SqlStore| store.verify();
    after("", verify, expect!["nothing noticed"]);
    after(
        "UPDATE events SET record = replace(record, 'three', 'threw') WHERE seq = 3",
        verify,
        expect!["the books were tampered with: event 3 is not what its hash says"],
    );
    after(
        "UPDATE events SET at_ms = at_ms + 1 WHERE seq = 2",
        verify,
        expect!["the books were tampered with: event 2 is not what its hash says"],
    );
    after("DELETE FROM events WHERE seq = 2", verify, expect!["the books were tampered with: event 2 is missing"]);
    after(
        "UPDATE events SET seq = 99 WHERE seq = 2; UPDATE events SET seq = 2 WHERE seq = 3;
         UPDATE events SET seq = 3 WHERE seq = 99;",
        verify,
        expect!["the books were tampered with: event 2 does not follow the one before it"],
    );
    after(
        "DELETE FROM events WHERE seq > 4",
        verify,
        expect!["the books were tampered with: event 5 is missing, and all after it"],
    );
    after(
        "UPDATE meta SET value = '4' WHERE key = 'events'",
        verify,
        expect!["the books were tampered with: event 5 was added behind the end"],
    );
    after(
        "UPDATE meta SET value = (SELECT lower(hex(hash)) FROM events WHERE seq = 4) WHERE key = 'head'",
        verify,
        expect!["the books were tampered with: event 5 is not the end that the books noted"],
    );
}

#[test]
fn s24_hostile_and_short_rows_name_their_table() {
    let load = |store: &SqlStore| store.load();
    after(
        "UPDATE hosts SET body = '{}'",
        load,
        expect![
            "the books are damaged: table hosts, row mw2020.codfw.wmnet: missing field `boot_id` at line 1 column 2"
        ],
    );
    after(
        "UPDATE hosts SET host = '-oProxyCommand=x' || char(27)",
        load,
        expect![[r#"the books are damaged: table hosts, row -oProxyCommand=x\u{1b}: it has no sum"#]],
    );
    after(
        "UPDATE hosts SET body = cast(x'ff' AS TEXT)",
        load,
        expect![
            "the books are damaged: table hosts, row mw2020.codfw.wmnet: invalid utf-8 sequence of 1 bytes from index 0"
        ],
    );
    after(
        "UPDATE snapshots SET body = '['",
        load,
        expect!["the books are damaged: table snapshots, row 1: EOF while parsing a list at line 1 column 1"],
    );
    after(
        "UPDATE rollouts SET body = replace(body, '\"id\":1', '\"id\":2')",
        load,
        expect!["the books are damaged: table rollouts, row 1: it is not what its sum says"],
    );
    after(
        "PRAGMA foreign_keys = OFF; DELETE FROM snapshots",
        load,
        expect!["the books are damaged: table snapshots, row 1: it is missing"],
    );
    after("DELETE FROM lock", load, expect!["the books are damaged: table lock, row 1: it is missing"]);
    after(
        "UPDATE lock SET epoch = 9",
        load,
        expect!["the books are damaged: table lock, row 1: it holds a lock of epoch 1"],
    );
    after(
        "UPDATE meta SET value = 'x' WHERE key = 'books'",
        load,
        expect!["the books are damaged: table meta, row books: it is not what its sum says"],
    );
    after("DELETE FROM meta", load, expect!["the books are damaged: table meta, row sums: it is missing"]);
    after(
        "UPDATE events SET record = '{\"record\":\"note\"}' WHERE seq = 2",
        |store| store.events(0, 10),
        expect!["the books are damaged: table events, row 2: missing field `by`"],
    );
}

fn opening(dir: &Path, expected: Expect) {
    let name = dir.display().to_string();
    for opened in [sqlite::open(dir, true), sqlite::open_read_only(dir)] {
        let error = opened.and_then(|store| store.verify()).expect_err("they are damaged");
        expected.assert_eq(&error.to_string().replace(&name, "DIR"));
    }
}

#[test]
fn damaged_files_are_told_from_newer_and_foreign_ones() {
    let dir = books();
    let path = place::file(dir.path());
    let good = std::fs::read(&path).expect("its bytes");
    std::fs::write(&path, [b'x'; 4096]).expect("it is ours");
    opening(dir.path(), expect!["the books DIR/books.sqlite are damaged: file is not a database"]);
    std::fs::write(&path, &good[..good.len() / 2]).expect("it is ours");
    opening(dir.path(), expect!["the books DIR/books.sqlite are damaged: database disk image is malformed"]);
    std::fs::write(&path, &good).expect("it is ours");
    Connection::open(&path).and_then(|c| c.execute_batch("PRAGMA user_version = 5")).expect("it is a database");
    let newer = std::fs::read(&path).expect("its bytes");
    opening(dir.path(), expect!["DIR/books.sqlite has the form 5 of a newer pointsman; this one knows up to 4"]);
    assert!(std::fs::read(&path).expect("its bytes") == newer, "newer books are left alone");
    Connection::open(&path).and_then(|c| c.execute_batch("PRAGMA application_id = 0")).expect("it is a database");
    opening(dir.path(), expect!["the books DIR/books.sqlite are damaged: not books of pointsman"]);
}

#[test]
fn books_of_the_first_form_are_read_as_they_are_and_brought_up_when_written() {
    let dir = books();
    let path = place::file(dir.path());
    let before = sqlite::open_read_only(dir.path()).and_then(|store| store.load()).expect("books");
    let first = "DROP TABLE blockers; DROP TABLE gates; DROP TABLE signatures; DROP TABLE playbooks; DROP TABLE sums;
         PRAGMA user_version = 1";
    Connection::open(&path).and_then(|c| c.execute_batch(first)).expect("it is a database");
    let looked = sqlite::open_read_only(dir.path()).expect("books");
    assert_eq!(looked.load().expect("books"), before);
    assert!(looked.signatures(Time(0)).expect("none").is_empty());
    drop(looked);
    let opened = sqlite::open(dir.path(), false).expect("books");
    assert_eq!(opened.load().expect("books"), before);
    opened.verify().expect("they are whole");
    let connection = Connection::open(&path).expect("it is a database");
    let form: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a number");
    assert_eq!(form, 4);
}
