//! The tables of the books in PostgreSQL: those of SQLite ([`crate::store::schema`]), in the schema `pointsman`.
//!
//! `rowid` is a column here, where SQLite has it by itself. What a host answered can have a zero byte in it, which no
//! text of PostgreSQL can; a result is therefore kept as bytes, and JSON has it escaped anyway. For the column `status`
//! it is put as another character, since `jsonb` refuses it.

/// Waits until nobody else makes or changes tables; the number spells `pnts`.
pub const ALONE: &str = "SELECT pg_advisory_xact_lock(1886286963)::text";

/// The largest number under which damaged books were set aside.
pub const SET_ASIDE: &str = "SELECT max(substring(nspname from '^pointsman_damaged_([0-9]{1,9})$')::bigint)
    FROM pg_catalog.pg_namespace";

/// The next rows of a large answer.
pub const PAGE: &str = "FETCH FORWARD 1000 FROM everything";

/// How tables are declared, in words that no release of PostgreSQL puts otherwise: their columns' names and types.
pub const DECLARED: &str = "SELECT c.relname || '.' || a.attname,
        c.relkind::text || ' ' || c.relrowsecurity::text || ' ' || format_type(a.atttypid, a.atttypmod)
        || ' ' || a.attnotnull::text || ' ' || a.attgenerated::text
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = to_regnamespace('pointsman')
        AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped";

/// Form 1.
pub const TABLES: &str = r"
CREATE SCHEMA IF NOT EXISTS pointsman;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE lock (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL CHECK (epoch >= 0),
    body TEXT
);
CREATE TABLE hold (one BIGINT PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
CREATE TABLE hosts (host TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE snapshots (id BIGINT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE current (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    snapshot BIGINT NOT NULL REFERENCES snapshots (id)
);
CREATE TABLE rollouts (
    id BIGINT PRIMARY KEY,
    body TEXT NOT NULL,
    status TEXT NOT NULL GENERATED ALWAYS AS (replace(body, '\u0000', '\ufffd')::jsonb ->> 'status') STORED,
    from_snapshot BIGINT GENERATED ALWAYS AS
        ((replace(body, '\u0000', '\ufffd')::jsonb ->> 'from')::bigint) STORED REFERENCES snapshots (id),
    to_snapshot BIGINT NOT NULL GENERATED ALWAYS AS
        ((replace(body, '\u0000', '\ufffd')::jsonb ->> 'to')::bigint) STORED REFERENCES snapshots (id)
);
CREATE INDEX rollouts_open ON rollouts (id) WHERE status = 'open';
CREATE TABLE events (
    seq BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    record TEXT NOT NULL,
    prev BYTEA NOT NULL CHECK (length(prev) = 32),
    hash BYTEA NOT NULL CHECK (length(hash) = 32)
);
CREATE TABLE intents (
    rowid BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    event BIGINT NOT NULL REFERENCES events (seq),
    rollout BIGINT NOT NULL,
    command TEXT NOT NULL,
    host TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL
);
CREATE INDEX intents_rollout ON intents (rollout);
CREATE TABLE outcomes (
    rowid BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    event BIGINT NOT NULL REFERENCES events (seq),
    rollout BIGINT NOT NULL,
    command TEXT NOT NULL,
    host TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    result BYTEA NOT NULL
);
CREATE INDEX outcomes_rollout ON outcomes (rollout, host, epoch, seq);
";

/// What each form has beside the one of the number before it.
pub const STEPS: [(i64, &str); 3] = [
    (
        1,
        r#"
CREATE TABLE blockers (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE gates (
    rollout BIGINT NOT NULL,
    gate TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (rollout, gate)
);
CREATE TABLE signatures (signature TEXT COLLATE "C" PRIMARY KEY, seen_ms BIGINT NOT NULL);
"#,
    ),
    (
        2,
        r"
CREATE TABLE playbooks (
    id BIGINT PRIMARY KEY,
    body TEXT NOT NULL,
    status TEXT NOT NULL GENERATED ALWAYS AS (replace(body, '\u0000', '\ufffd')::jsonb ->> 'status') STORED
);
",
    ),
    (
        3,
        r#"
CREATE TABLE sums (
    kind TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    sum BYTEA NOT NULL CHECK (length(sum) = 32),
    PRIMARY KEY (kind, key)
);
"#,
    ),
];
