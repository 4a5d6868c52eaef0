//! Journals that somebody changed: every kind of change at every event of a small journal, and at random ones of a large
//! one, is noticed. Whoever changes events here also has everything else that a careful hand would change with them.

use super::{directory, host, open, opened, text};
use crate::model::books::Record;
use crate::model::digest::Digest;
use crate::model::ids::{Generation, RolloutId};
use crate::model::time::Time;
use crate::store::error::StoreError;
use crate::store::place::{Head, Note};
use crate::store::sqlite;
use crate::store::{Store, Verified, chain, place};
use proptest::prelude::*;
use rusqlite::Connection;
use std::path::Path;
use tempfile::TempDir;

/// A closed journal: the bytes of its books, and its end.
struct Journal {
    bytes: Vec<u8>,
    end: Verified,
}

impl Journal {
    /// A journal of `rounds` undertakings, each with what was sent and what came of it.
    fn of(rounds: u64) -> Self {
        let dir = directory();
        let mut store = open(dir.path());
        let epoch = store.take_lock(Time(1), "alice", "train", false).expect("free").epoch;
        for n in 1..=rounds {
            let (rollout, generation) = (RolloutId(n), Generation { epoch, seq: n });
            let command = "switch".to_owned();
            let intents = Record::Intents { rollout, command: command.clone(), hosts: vec![(host(1), generation)] };
            let outcome = Record::Outcome { rollout, command, host: host(1), generation, result: "ok".into() };
            store.append(Time(n), epoch, &[opened(n), intents, outcome, text("a line")]).expect("it is recorded");
        }
        let end = store.head().expect("it has an end");
        drop(store);
        Self { bytes: std::fs::read(place::file(dir.path())).expect("its bytes"), end }
    }

    /// The books again, changed by `change`; without the note beside them, which is one more way to notice.
    fn changed(&self, change: impl FnOnce(&Connection)) -> TempDir {
        let dir = directory();
        std::fs::write(place::file(dir.path()), &self.bytes).expect("it is ours");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(place::file(dir.path()), mode).expect("it is ours");
        let connection = Connection::open(place::file(dir.path())).expect("it is a database");
        connection.execute_batch("PRAGMA synchronous = OFF").expect("a setting");
        change(&connection);
        dir
    }

    /// `verify` of books after SQL.
    fn after(&self, sql: &str) -> Result<Verified, StoreError> {
        let dir = self.changed(|connection| connection.execute_batch(sql).expect(sql));
        sqlite::open_read_only(dir.path()).and_then(|store| store.verify())
    }

    /// SQL for every kind of change at the event `seq`, and with the event `other`.
    fn changes(&self, seq: u64, other: u64) -> Vec<String> {
        let at = |set: &str| format!("UPDATE events SET {set} WHERE seq = {seq}");
        let end = |seq: u64| {
            let previous = format!("(SELECT lower(hex(hash)) FROM events WHERE seq = {seq})");
            format!(
                "UPDATE meta SET value = '{seq}' WHERE key = 'events'; UPDATE meta SET value = {previous} WHERE key = 'head'"
            )
        };
        let off = "PRAGMA foreign_keys = OFF";
        let copies =
            |seq: u64| format!("DELETE FROM intents WHERE event > {seq}; DELETE FROM outcomes WHERE event > {seq}");
        let mut changes = vec![
            at("at_ms = at_ms + 1"),
            at("epoch = epoch + 1"),
            at("record = substr(record, 1, length(record) - 2) || ' ' || substr(record, -1)"),
            at("record = replace(record, ':', ' :')"),
            at("prev = zeroblob(32)"),
            at("hash = zeroblob(32)"),
            format!("{off}; DELETE FROM events WHERE seq = {seq}"),
            format!("{off}; DELETE FROM events WHERE seq >= {seq}"),
            format!("{off}; DELETE FROM events WHERE seq > {}; {}; {}", seq - 1, copies(seq - 1), end(seq - 1)),
            format!("{off}; DELETE FROM intents WHERE event >= {seq}; DELETE FROM outcomes WHERE event >= {seq}"),
        ];
        if seq == 1 {
            // An end before the first event is the hash of the books' id.
            changes.remove(8);
        }
        if seq != other {
            changes.push(format!(
                "{off}; UPDATE events SET seq = -1 WHERE seq = {seq}; UPDATE events SET seq = {seq} WHERE seq = {other};
                 UPDATE events SET seq = {other} WHERE seq = -1"
            ));
        }
        changes
    }
}

#[test]
fn s20_every_change_of_every_event_of_a_small_journal_is_noticed() {
    let journal = Journal::of(2);
    assert_eq!(journal.after("").expect("nothing was changed"), journal.end);
    let mut noticed = 0;
    for seq in 1..=journal.end.events {
        for other in 1..=journal.end.events {
            for sql in journal.changes(seq, other).into_iter().filter(|sql| other == 1 || sql.contains("-1")) {
                // The last event has no copies behind it that could be missing.
                let nothing = sql.contains("DELETE FROM intents WHERE event >=") && seq == journal.end.events;
                match journal.after(&sql) {
                    Err(_) => noticed += 1,
                    Ok(_) if nothing => {}
                    Ok(_) => panic!("not noticed: {sql}"),
                }
            }
        }
    }
    assert!(noticed > 150, "{noticed}");
}

/// Cuts the journal behind `seq` as its own writer would have left it: events, copies, end and sums are of one piece.
fn cut_carefully(connection: &Connection, seq: u64) {
    let sql = format!(
        "PRAGMA foreign_keys = OFF; DELETE FROM intents WHERE event > {seq}; DELETE FROM outcomes WHERE event > {seq};
         DELETE FROM events WHERE seq > {seq}; DELETE FROM sums;
         UPDATE meta SET value = '{seq}' WHERE key = 'events';
         UPDATE meta SET value = (SELECT lower(hex(hash)) FROM events WHERE seq = {seq}) WHERE key = 'head'"
    );
    connection.execute_batch(&sql).expect(&sql);
    sqlite::sum_anew(Path::new(connection.path().expect("it is a file"))).expect("sums can be made by anybody");
}

#[test]
fn s20_a_journal_that_was_cut_short_carefully_is_told_by_an_end_that_was_noted() {
    let journal = Journal::of(3);
    for seq in 1..journal.end.events {
        let dir = journal.changed(|connection| cut_carefully(connection, seq));
        let open = || sqlite::open_read_only(dir.path());
        let verified = open().and_then(|store| store.verify()).expect("nothing in the file itself tells it");
        assert_eq!(verified.events, seq);
        let (note, head) =
            (Note::alone(dir.path()), Head { events: journal.end.events, hash: journal.end.head, shared: None });
        note.write(head).expect("it is ours");
        for asked in
            [open().and_then(|store| store.verify().map(drop)), open().and_then(|store| store.load().map(drop))]
        {
            assert!(
                matches!(asked, Err(StoreError::Behind { events, .. }) if events == journal.end.events),
                "{asked:?}"
            );
        }
        let written = sqlite::open(dir.path(), false).map(|store| store.load().map(drop));
        assert!(matches!(written, Ok(Err(StoreError::Behind { .. }))), "{written:?}");
        assert_eq!(note.read(), Some(head), "the note stays");
    }
}

#[test]
fn the_form_that_is_hashed_tells_all_of_its_parts_apart() {
    let link = |seq, at, epoch, record| chain::Link { seq, at: Time(at), epoch, record };
    let before = Digest::of(b"x");
    let all = [link(1, 2, 3, "a"), link(2, 1, 3, "a"), link(1, 3, 2, "a"), link(1, 2, 3, "b"), link(1, 2, 3, "")];
    let hashes: std::collections::BTreeSet<Digest> = all.iter().map(|link| chain::next(before, *link)).collect();
    assert_eq!(hashes.len(), all.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn random_changes_of_a_large_journal_are_noticed(at in 2u64..1000, with in 2u64..1000, kind in any::<prop::sample::Index>()) {
        static LARGE: std::sync::LazyLock<Journal> = std::sync::LazyLock::new(|| Journal::of(250));
        let changes = LARGE.changes(at, with);
        let sql = kind.get(&changes);
        prop_assert!(LARGE.after(sql).is_err(), "not noticed: {}", sql);
    }
}
