//! What only a server can do to the books: be lost, be slow, be somebody else, be read by others.

use super::server::{ESCAPED, PASSWORD, Server, stands_in};
use super::{at, died, directory, host, opened, text};
use crate::config::policy::StorePolicy;
use crate::model::books::{Books, Record};
use crate::model::ids::BooksId;
use crate::model::secret::Reference;
use crate::model::time::Time;
use crate::store::error::StoreError;
use crate::store::sqlstore::SqlStore;
use crate::store::{Store, postgres};
use expect_test::expect;

/// What is said, with the port left out; the password is not in it.
fn said<T>(server: &Server, result: Result<T, StoreError>) -> String {
    let error = result.err().expect("it is refused");
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(![PASSWORD, ESCAPED, "CANARY"].iter().any(|word| shown.contains(word)), "{shown}");
    }
    error.to_string().replace(&server.port.to_string(), "PORT")
}

/// Books of five events.
fn books(server: &Server, dir: &std::path::Path) -> SqlStore {
    let mut store = postgres::open(dir, &at(server), true).expect("books");
    let epoch = store.take_lock(Time(1), "alice", "train", false).expect("free").epoch;
    store.append(Time(2), epoch, &[text("two"), text("three"), opened(1)]).expect("it is recorded");
    store.append(Time(3), epoch, &[Record::Fresh { host: host(2020) }]).expect("it is recorded");
    store.release_lock(Time(4), epoch).expect("ours");
    store
}

/// What somebody else may do to the tables.
const CHANGES: [&str; 18] = [
    "SELECT 1",
    "UPDATE hosts SET body = '{}'",
    "UPDATE hosts SET body = replace(body, 'null', ' null')",
    "UPDATE hosts SET host = '-oProxyCommand=x' || chr(27)",
    "UPDATE snapshots SET body = '['",
    "DELETE FROM lock",
    "UPDATE meta SET value = 'x' WHERE key = 'books'",
    "UPDATE meta SET value = '3' WHERE key = 'form'",
    "UPDATE events SET record = replace(record, 'three', 'threw') WHERE seq = 3",
    "DELETE FROM events WHERE seq = 2",
    "UPDATE events SET at_ms = -1 WHERE seq = 2",
    "INSERT INTO intents (event, rollout, command, host, epoch, seq) VALUES (1, 1, 'switch', 'mw1', 1, 1)",
    "DELETE FROM hosts",
    "DELETE FROM sums WHERE kind = 'hosts'; DELETE FROM hosts",
    "ALTER TABLE events DROP COLUMN hash; ALTER TABLE events ADD hash TEXT",
    "ALTER TABLE hosts ADD more TEXT",
    "ALTER TABLE hosts ALTER body TYPE BIGINT USING 1",
    "DROP TABLE hosts",
];

/// What is said of books after SQL.
fn after(server: &Server, sql: &str) -> String {
    let dir = directory();
    server.sql("books", "DROP SCHEMA IF EXISTS pointsman CASCADE");
    drop(books(server, dir.path()));
    server.sql("books", &format!("SET search_path = pointsman; {sql}"));
    let store = postgres::open_read_only(dir.path(), &at(server));
    let all = |store: SqlStore| [store.load().err(), store.verify().err(), store.events(0, 10).err()];
    let said = store.map_or_else(Some, |store| all(store).into_iter().flatten().next());
    let said = said.map_or("nothing noticed".to_owned(), |e| e.to_string());
    format!("{sql}\n    {}\n", said.replace(&server.port.to_string(), "PORT"))
}

#[test]
fn s24_hostile_and_short_rows_name_their_table() {
    let server = Server::new();
    let said: String = CHANGES.iter().map(|sql| after(&server, sql)).collect();
    expect![[r#"
        SELECT 1
            nothing noticed
        UPDATE hosts SET body = '{}'
            the books are damaged: table hosts, row mw2020.codfw.wmnet: missing field `boot_id` at line 1 column 2
        UPDATE hosts SET body = replace(body, 'null', ' null')
            the books are damaged: table hosts, row mw2020.codfw.wmnet: it is not what its sum says
        UPDATE hosts SET host = '-oProxyCommand=x' || chr(27)
            the books are damaged: table hosts, row -oProxyCommand=x\u{1b}: it has no sum
        UPDATE snapshots SET body = '['
            the books are damaged: table snapshots, row 1: EOF while parsing a list at line 1 column 1
        DELETE FROM lock
            the books are damaged: table lock, row 1: it is missing
        UPDATE meta SET value = 'x' WHERE key = 'books'
            the books are damaged: table meta, row books: it is not what its sum says
        UPDATE meta SET value = '3' WHERE key = 'form'
            the books postgres://127.0.0.1:PORT/books are damaged: they have sums, which form 3 has not
        UPDATE events SET record = replace(record, 'three', 'threw') WHERE seq = 3
            the books were tampered with: event 3 is not what its hash says
        DELETE FROM events WHERE seq = 2
            the books were tampered with: event 2 is missing
        UPDATE events SET at_ms = -1 WHERE seq = 2
            the books are damaged: table events, row 2: a column is not a whole number
        INSERT INTO intents (event, rollout, command, host, epoch, seq) VALUES (1, 1, 'switch', 'mw1', 1, 1)
            the books are damaged: table intents, row 6: it is not what the event says
        DELETE FROM hosts
            the books are damaged: table hosts, row mw2020.codfw.wmnet: it is missing
        DELETE FROM sums WHERE kind = 'hosts'; DELETE FROM hosts
            the books are damaged: table sums, row all: they do not add up, so a row changed or is gone
        ALTER TABLE events DROP COLUMN hash; ALTER TABLE events ADD hash TEXT
            the books are damaged: table schema, row events.hash: it is not what its sum says
        ALTER TABLE hosts ADD more TEXT
            the books are damaged: table schema, row hosts.more: it has no sum
        ALTER TABLE hosts ALTER body TYPE BIGINT USING 1
            the books are damaged: table schema, row hosts.body: it is not what its sum says
        DROP TABLE hosts
            the books are damaged: table schema, row all: a table or an index is missing
    "#]]
    .assert_eq(&said);
}

#[test]
fn newer_books_are_left_alone_and_earlier_ones_brought_up() {
    let (server, dir) = (Server::new(), directory());
    let before = books(&server, dir.path()).load().expect("books");
    let form =
        |form: u32| server.sql("books", &format!("UPDATE pointsman.meta SET value = '{form}' WHERE key = 'form'"));
    form(5);
    for opened in [postgres::open(dir.path(), &at(&server), true), postgres::open_read_only(dir.path(), &at(&server))] {
        expect!["postgres://127.0.0.1:PORT/books has the form 5 of a newer pointsman; this one knows up to 4"]
            .assert_eq(&said(&server, opened));
    }
    form(1);
    server.sql("books", "SET search_path = pointsman; DROP TABLE blockers, gates, signatures, playbooks, sums");
    server.sql("books", "DELETE FROM pointsman.meta WHERE key IN ('sums', 'begun')");
    let looked = postgres::open_read_only(dir.path(), &at(&server)).expect("books");
    assert_eq!(looked.load().expect("books"), before);
    assert!(looked.signatures(Time(0)).expect("none").is_empty());
    let opened = postgres::open(dir.path(), &at(&server), false).expect("books");
    assert_eq!(opened.load().expect("books"), before);
    opened.verify().expect("they are whole");
    assert_eq!(server.sql("books", "SELECT value FROM pointsman.meta WHERE key = 'form'"), "4");
}

#[test]
fn rebuilt_books_begin_above_the_fleet_and_never_replace_what_can_be_read() {
    let (server, dir) = (Server::new(), directory());
    let at = at(&server);
    let none = postgres::open_read_only(dir.path(), &at);
    expect!["there are no books in postgres://127.0.0.1:PORT/books"].assert_eq(&said(&server, none));
    let mut store = postgres::rebuild(dir.path(), &at, BooksId(7), 41).expect("there are none");
    assert_eq!(store.load().expect("books"), Books { epoch: 41, ..Books::new(BooksId(7)) });
    assert_eq!(store.take_lock(Time(1), "alice", "rollback", false).expect("free").epoch, 42);
    let again = postgres::rebuild(dir.path(), &at, BooksId(7), 99);
    expect!["there are books in postgres://127.0.0.1:PORT/books already"].assert_eq(&said(&server, again));
    for n in 1..3 {
        server.sql("books", "DROP TABLE pointsman.hosts");
        let store = postgres::rebuild(dir.path(), &at, BooksId(7), 99).expect("the old ones are damaged");
        assert_eq!(store.load().expect("books").epoch, 99);
        let aside = format!("SELECT count(*) FROM pointsman_damaged_{n}.meta");
        assert_ne!(server.sql("books", &aside), "0", "they are set aside, not deleted");
    }
}

#[test]
fn a_server_that_lost_events_is_refused_by_each_deploy_host_that_saw_them() {
    let (server, one, two, new) = (Server::new(), directory(), directory(), directory());
    let at = at(&server);
    drop(books(&server, one.path()));
    drop(postgres::open(two.path(), &at, true).expect("books"));
    server.keep();
    let mut store = postgres::open(one.path(), &at, true).expect("books");
    let epoch = store.take_lock(Time(5), "alice", "train", false).expect("free").epoch;
    store.release_lock(Time(6), epoch).expect("ours");
    drop(store);
    server.restore();
    let load = |dir: &std::path::Path| postgres::open(dir, &at, true).and_then(|store| store.load());
    expect!["the books postgres://127.0.0.1:PORT/books are not those that were written last: these had an event 8 that is not in them"].assert_eq(&said(&server, load(one.path())));
    load(two.path()).expect("it saw no more than these have");
    load(new.path()).expect("it saw nothing");
    expect!["the books postgres://127.0.0.1:PORT/books are not those that were written last: these had an event 8 that is not in them"].assert_eq(&said(&server, load(one.path())));
    server.sql("books", "DROP SCHEMA pointsman CASCADE");
    expect!["the books in postgres://127.0.0.1:PORT/books are gone: there were some, of 6 events"]
        .assert_eq(&said(&server, load(two.path())).replace(&two.path().display().to_string(), "DIR"));
}

#[test]
fn books_that_another_deploy_host_began_anew_are_taken_and_an_old_copy_of_them_is_not() {
    let (server, one, two) = (Server::new(), directory(), directory());
    let at = at(&server);
    let id = books(&server, one.path()).load().expect("books").id;
    server.keep();
    let load = |dir: &std::path::Path| postgres::open(dir, &at, true).and_then(|store| store.load());
    load(two.path()).expect("they are seen from both");
    server.sql("books", "DROP TABLE pointsman.hosts");
    let mut anew = postgres::rebuild(one.path(), &at, id, 0).expect("they were damaged");
    let claim = anew.take_lock(Time(7), "alice", "rebuild", false).expect("free");
    assert_eq!(claim.epoch, 2, "above what this machine saw, whatever hosts say");
    drop(anew);
    assert_eq!(load(two.path()).expect("they are later ones").epoch, 2);
    server.restore();
    for dir in [&one, &two] {
        assert!(matches!(load(dir.path()), Err(StoreError::Behind { .. })), "these are from before");
    }
}

#[test]
fn who_was_cut_off_since_somebody_took_over_is_told_so() {
    let (mut server, one, two) = (Server::new(), directory(), directory());
    let mut first = postgres::open(one.path(), &at(&server), true).expect("books");
    let epoch = first.take_lock(Time(5), "alice@deploy1 pid 1", "promote", false).expect("free").epoch;
    server.kill();
    server.start();
    let mut second = postgres::open(two.path(), &at(&server), true).expect("books");
    second.take_lock(Time(1_453_418_040_000), "bob@deploy2 pid 2", "rollback", true).expect("it takes over");
    expect!["epoch 1 is over: bob@deploy2 pid 2 took over at 2016-01-21T23:14:00Z: rollback"]
        .assert_eq(&said(&server, first.append(Time(7), epoch, &[text("late")])));
}

#[test]
fn who_acts_stays_cut_off_and_who_looks_connects_again() {
    let (mut server, dir) = (Server::new(), directory());
    let mut acting = books(&server, dir.path());
    let mut noting = postgres::open(dir.path(), &at(&server), true).expect("books");
    let epoch = acting.take_lock(Time(5), "alice@deploy1 pid 1", "promote", false).expect("free").epoch;
    server.kill();
    let lost = said(&server, acting.append(Time(6), epoch, &[text("lost")]));
    assert!(lost.starts_with("no connection to the books on postgres://127.0.0.1:PORT/books: "), "{lost}");
    let lost = said(&server, postgres::open(dir.path(), &at(&server), true));
    expect!["no connection to the books on postgres://127.0.0.1:PORT/books: Connection refused (os error 111)"]
        .assert_eq(&lost);
    server.start();
    let lost = said(&server, acting.append(Time(7), epoch, &[text("lost")]));
    expect!["no connection to the books on postgres://127.0.0.1:PORT/books: it was closed before"].assert_eq(&lost);
    noting.note(Time(8), 0, &[text("seen")]).expect("a new connection");
    assert_eq!(noting.verify().expect("whole").events, 8, "not one of those that were lost");
    assert_eq!(noting.holder_lives().expect("it can be asked"), Some(true), "its process stands here");
    drop(acting);
    died(&noting);
}

#[test]
fn whether_a_holder_elsewhere_lives_is_unknown() {
    let (server, one, two) = (Server::new(), directory(), directory());
    let [mut here, mut there] = [&one, &two].map(|dir| postgres::open(dir.path(), &at(&server), true).expect("books"));
    let old = there.take_lock(Time(1_453_418_040_000), "alice@deploy2 pid 1", "promote", false).expect("free");
    assert_eq!(here.holder_lives().expect("it can be asked"), None);
    expect![[r#"the books are locked by alice@deploy2 pid 1 since 2016-01-21 23:14 UTC: promote (whether that process lives is unknown, on deploy2)"#]]
        .assert_eq(&said(&server, here.take_lock(Time(2), "bob@deploy1 pid 2", "converge", false)));
    let claim = here.take_lock(Time(2), "bob@deploy1 pid 2", "rollback", true).expect("it takes over");
    assert_eq!((claim.epoch, claim.alive), (old.epoch + 1, true));
    let refused = there.append(Time(3), old.epoch, &[text("late")]);
    assert!(matches!(refused, Err(StoreError::Superseded { epoch: 1, .. })));
}

#[test]
fn a_database_of_another_encoding_is_refused() {
    let (server, dir) = (Server::new(), directory());
    server.sql("postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0");
    let url = server.url("127.0.0.1").replace("/books", "/ascii");
    let ascii = StorePolicy { source: Reference::File(server.reference("ascii.url", &url)), ca_file: None };
    expect!["the books on postgres://127.0.0.1:PORT/ascii: its encoding is SQL_ASCII; books need UTF8"]
        .assert_eq(&said(&server, postgres::open(dir.path(), &ascii, true)));
}

#[test]
fn a_session_that_stands_still_keeps_nobody_out() {
    let (server, dir) = (Server::new(), directory());
    let mut store = books(&server, dir.path());
    // What a deploy host looks like to the server that was stopped between two statements of a write.
    let mut still = postgres::open(dir.path(), &at(&server), true).expect("books");
    let epoch = still.take_lock(Time(5), "alice", "promote", false).expect("free").epoch;
    still.stand_still().expect("it has the epoch's row");
    store.take_lock(Time(6), "bob", "rollback", true).expect("the server ends who stands still");
    let late = still.append(Time(7), epoch, &[text("late")]);
    assert!(matches!(late, Err(StoreError::Superseded { .. })), "{late:?}");
}

#[test]
fn s18_tls_is_verified_and_cannot_be_switched_off() {
    let (mut server, dir) = (Server::new(), directory());
    let at = |server: &Server, host: &str, ca_file| {
        let source = Reference::File(server.reference(&format!("{host}.url"), &server.url(host)));
        StorePolicy { source, ca_file }
    };
    let plain = at(&server, "localhost", Some(server.ca()));
    let open = |at: &StorePolicy| postgres::open(dir.path(), at, true);
    expect!["no connection to the books on postgres://localhost:PORT/books: server does not support TLS"]
        .assert_eq(&said(&server, open(&plain)));
    let ca = server.certify("DNS:localhost", "2");
    let good = at(&server, "localhost", Some(ca.clone()));
    drop(open(&good).expect("its certificate is good"));
    assert_eq!(server.sql("books", "SELECT count(*) FROM pg_stat_ssl WHERE ssl"), "0", "psql uses the socket");
    expect![[r#"no connection to the books on postgres://127.0.0.1:PORT/books: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")"#]].assert_eq(&said(&server, open(&at(&server, "127.0.0.1", Some(ca.clone())))));
    let url = format!("{}?sslmode=verify-full", server.url("localhost"));
    let by_system = StorePolicy { source: Reference::File(server.reference("sys.url", &url)), ca_file: None };
    expect!["no connection to the books on postgres://localhost:PORT/books: invalid peer certificate: UnknownIssuer"]
        .assert_eq(&said(&server, open(&by_system)));
    let off = StorePolicy {
        source: Reference::File(server.reference("off.url", &format!("{}?sslmode=disable", server.url("localhost")))),
        ca_file: None,
    };
    let refused = said(&server, open(&off));
    assert!(refused.ends_with("is of no use: TLS can't be switched off: take `sslmode` out of it"), "{refused}");
    server.certify("DNS:localhost", "-1");
    expect!["no connection to the books on postgres://localhost:PORT/books: invalid peer certificate: Expired"]
        .assert_eq(&said(&server, open(&good)));
    server.certify("DNS:elsewhere.example", "2");
    expect![[r#"no connection to the books on postgres://localhost:PORT/books: invalid peer certificate: certificate not valid for name "localhost"; certificate is only valid for DnsName("elsewhere.example")"#]].assert_eq(&said(&server, open(&good)));
    assert_eq!(stands_in(dir.path(), "CANARY"), None);
}

#[test]
fn a_wrong_password_is_said_without_it() {
    let (server, dir) = (Server::new(), directory());
    let url = format!("postgres://pointsman:CANARY@127.0.0.1:{}/books", server.port);
    let wrong = StorePolicy { source: Reference::File(server.reference("wrong.url", &url)), ca_file: None };
    expect![[r#"the books on postgres://127.0.0.1:PORT/books: password authentication failed for user "pointsman""#]]
        .assert_eq(&said(&server, postgres::open(dir.path(), &wrong, true)));
    let path = server.reference("open.url", &url);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("ours");
    let open = StorePolicy { source: Reference::File(path), ca_file: None };
    let refused = said(&server, postgres::open(dir.path(), &open, true));
    assert!(refused.contains("others could read it; type `chmod 600 "), "{refused}");
    let unset = StorePolicy { source: Reference::Env("POINTSMAN_TEST_UNSET".into()), ca_file: None };
    expect!["the address of the books (env:POINTSMAN_TEST_UNSET) is of no use: this variable is not set"]
        .assert_eq(&said(&server, postgres::open(dir.path(), &unset, true)));
    let (directory, port) = (server.socket(), server.port);
    let socket = format!("postgres://pointsman:{ESCAPED}@/books?host={}&port={port}", directory.display());
    let near = StorePolicy { source: Reference::File(server.reference("socket.url", &socket)), ca_file: None };
    drop(postgres::open(dir.path(), &near, true).expect("by the socket"));
}
