//! The tables of the books, and their form's number.
//!
//! Values of the model are kept as one JSON text a row (`body`), so that a row can't disagree with itself; columns
//! beside it are computed from it by SQLite or are keys. Times are milliseconds since 1970 by the controller's clock.
//! `user_version` is the form's number, `application_id` spells `pnts`.

use super::error::StoreError;
use crate::model::ids::BooksId;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;

/// The form that this program writes, and the newest that it reads.
pub const FORM: i64 = 4;

const APPLICATION: i64 = 0x706e_7473;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE lock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    body TEXT
) STRICT;
CREATE TABLE hold (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL) STRICT;
CREATE TABLE hosts (host TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE current (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    snapshot INTEGER NOT NULL REFERENCES snapshots (id)
) STRICT;
CREATE TABLE rollouts (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    status TEXT GENERATED ALWAYS AS (body ->> '$.status') VIRTUAL NOT NULL,
    from_snapshot INTEGER GENERATED ALWAYS AS (body ->> '$.from') VIRTUAL REFERENCES snapshots (id),
    to_snapshot INTEGER GENERATED ALWAYS AS (body ->> '$.to') VIRTUAL NOT NULL REFERENCES snapshots (id)
) STRICT;
CREATE INDEX rollouts_open ON rollouts (id) WHERE status = 'open';
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    record TEXT NOT NULL,
    prev BLOB NOT NULL CHECK (length(prev) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TABLE intents (
    event INTEGER NOT NULL REFERENCES events (seq),
    rollout INTEGER NOT NULL,
    command TEXT NOT NULL,
    host TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT;
CREATE INDEX intents_rollout ON intents (rollout);
CREATE TABLE outcomes (
    event INTEGER NOT NULL REFERENCES events (seq),
    rollout INTEGER NOT NULL,
    command TEXT NOT NULL,
    host TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    result TEXT NOT NULL
) STRICT;
CREATE INDEX outcomes_rollout ON outcomes (rollout, host, epoch, seq);
";

/// What form 2 has beside form 1.
const HEALTH: &str = "
CREATE TABLE blockers (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE gates (
    rollout INTEGER NOT NULL,
    gate TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (rollout, gate)
) STRICT, WITHOUT ROWID;
CREATE TABLE signatures (signature TEXT PRIMARY KEY, seen_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// What form 3 has beside form 2.
const PLAYBOOKS: &str = "
CREATE TABLE playbooks (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    status TEXT GENERATED ALWAYS AS (body ->> '$.status') VIRTUAL NOT NULL
) STRICT;
";

/// What form 4 has beside form 3.
const SUMS: &str = "
CREATE TABLE sums (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    sum BLOB NOT NULL CHECK (length(sum) = 32),
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
";

/// Whether the file has books in it (`false`: nothing at all yet). An error when it is something else, newer or damaged.
pub fn is_made(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let failed = |e| StoreError::sqlite(path, e);
    let have = number("PRAGMA user_version").map_err(failed)?;
    let application = number("PRAGMA application_id").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    let sums = number("SELECT count(*) FROM sqlite_schema WHERE name = 'sums'").map_err(failed)?;
    match (tables, application, have) {
        (0, 0, 0) => Ok(false),
        // Or one wrong byte would turn the comparison with the sums off.
        (_, APPLICATION, ..4) if sums > 0 => Err(StoreError::Damaged {
            path: path.to_owned(),
            why: format!("they have sums, which form {have} has not"),
        }),
        (_, APPLICATION, 1..=FORM) => Ok(true),
        (_, APPLICATION, have) if have > FORM => Err(StoreError::Newer { path: path.to_owned(), have, known: FORM }),
        _ => Err(StoreError::Damaged { path: path.to_owned(), why: "not books of pointsman".into() }),
    }
}

/// Makes empty books, unless another process just did. `sum` sums all rows within the same transaction.
pub fn make(
    connection: &Connection,
    path: &Path,
    (id, epoch): (BooksId, u64),
    sum: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |e| StoreError::sqlite(path, e);
    let tx = Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(failed)?;
    if !is_made(&tx, path)? {
        fill(&tx, id, epoch).map_err(failed)?;
        sum()?;
    }
    tx.commit().map_err(failed)
}

/// Brings books of an earlier form to this one. `sum` as for [`make`].
pub fn upgrade(
    connection: &Connection,
    path: &Path,
    sum: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |e| StoreError::sqlite(path, e);
    if form(connection).map_err(failed)? == FORM {
        return Ok(());
    }
    let tx = Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(failed)?;
    // Another process may have done it meanwhile.
    let have = form(&tx).map_err(failed)?;
    let steps = [(1, HEALTH), (2, PLAYBOOKS), (3, SUMS)];
    for (_, sql) in steps.iter().filter(|(from, _)| *from >= have) {
        tx.execute_batch(sql).map_err(failed)?;
    }
    if have < 4 {
        sum()?;
    }
    tx.pragma_update(None, "user_version", FORM).map_err(failed)?;
    tx.commit().map_err(failed)
}

/// The form of the file's tables.
pub fn form(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn fill(tx: &Transaction<'_>, id: BooksId, epoch: u64) -> rusqlite::Result<()> {
    for tables in [TABLES, HEALTH, PLAYBOOKS, SUMS] {
        tx.execute_batch(tables)?;
    }
    let head = super::chain::origin(id);
    let entries = [("books", id.to_string()), ("head", head.to_string()), ("events", "0".to_owned())];
    for (key, value) in entries {
        tx.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", (key, value))?;
    }
    tx.execute("INSERT INTO lock (one, epoch, body) VALUES (1, ?1, NULL)", [epoch])?;
    tx.pragma_update(None, "user_version", FORM)?;
    tx.pragma_update(None, "application_id", APPLICATION)
}
