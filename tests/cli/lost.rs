//! Books that are lost in part: single bytes, their end, a log that a killed writer left, an old copy put back. Each is
//! noticed before anything is decided by it, and what is said ends in what to type.

#![expect(clippy::print_stdout, reason = "the figures are for people to read")]

use crate::site::{Site, V10, V11};
use pointsman::model::books::Books;
use pointsman::store::Store;
use pointsman::store::error::StoreError;
use pointsman::store::sqlite;
use pointsman::store::sqlstore::SqlStore;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// How many bytes are flipped, each for itself.
const FLIPS: u64 = 500;

/// A site whose books have all that a command decides by: rollouts, states, a hold, a blocker, owed and stale hosts.
fn lived_in() -> Site {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    site.promote("group1", V11).ends(0);
    site.run(&["blocker", "add", "T119517", "-m", "sessions are lost"]).ends(0);
    site.run(&["pin", "dewiki", V10, "--reason", "upgraded by hand", "-y"]).ends(0);
    fs::rename(site.host(&site.hosts()[2]), site.path("away")).expect("it is ours");
    site.run(&["rollback", "-m", "sessions are lost"]).ends(8);
    fs::rename(site.path("away"), site.host(&site.hosts()[2])).expect("it is ours");
    site
}

/// A copy of books, of one file for the database and one for the note of its end.
struct Copy {
    dir: TempDir,
    good: Vec<u8>,
}

impl Copy {
    fn of(site: &Site) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).expect("it is ours");
        fs::copy(site.path("books/head"), dir.path().join("head")).expect("the last command noted it");
        Self { dir, good: fs::read(site.path("books/books.sqlite")).expect("they are there") }
    }

    /// The books as `bytes`, with nothing beside them but the note.
    fn write(&self, bytes: &[u8]) -> &Path {
        for name in ["books.sqlite-wal", "books.sqlite-shm", "books.sqlite-journal"] {
            let _ = fs::remove_file(self.dir.path().join(name));
        }
        let path = self.dir.path().join("books.sqlite");
        fs::write(&path, bytes).expect("it is ours");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is ours");
        self.dir.path()
    }

    /// The good books with one byte wrong.
    fn flipped(&self, at: usize, mask: u8) -> Vec<u8> {
        let mut bytes = self.good.clone();
        bytes[at] ^= mask;
        bytes
    }
}

fn loaded(opened: Result<SqlStore, StoreError>) -> Result<Books, StoreError> {
    opened.and_then(|store| store.load())
}

/// The declarations and every row of every table, as SQLite reads them.
fn rows(file: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open(file)?;
    let mut declared = connection.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name")?;
    let declared = declared.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let declared: Vec<(String, String)> = declared.collect::<Result<_, _>>()?;
    let mut all: Vec<String> = declared.iter().map(|(name, sql)| format!("{name} {sql}")).collect();
    for (name, _) in declared.iter().filter(|(_, sql)| sql.starts_with("CREATE TABLE")) {
        let mut rows = connection.prepare(&format!("SELECT * FROM {name} NOT INDEXED"))?;
        let columns = rows.column_count();
        // Texts are shown as bytes: a wrong one may have made something else of them.
        let shown = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|n| Ok(format!("{:?} ", row.get_ref(n)?))).collect::<rusqlite::Result<String>>()
        };
        all.extend(rows.query_map([], shown)?.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(all)
}

/// Places and masks, spread over a file of `len` bytes by a fixed rule.
fn places(len: usize, count: u64) -> impl Iterator<Item = (usize, u8)> {
    let mix = |n: u64| {
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    };
    (1..=count).map(move |n| {
        let random = mix(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mask = u8::try_from(random % 255).expect("it is small") + 1;
        (usize::try_from((random >> 8) % len as u64).expect("it is in the file"), mask)
    })
}

/// What became of a change of the file.
#[derive(Debug, Default)]
struct Tally {
    /// The next command notices it.
    at_once: u64,
    /// Commands decide as before, and `journal verify` notices it.
    by_verify: u64,
    /// Every row is as before.
    nothing: u64,
}

impl Tally {
    /// Judges books of these bytes: whatever they are, nobody may decide otherwise by them without a word.
    fn judge(&mut self, copy: &Copy, bytes: &[u8], good: &(Books, Vec<String>), what: &str) -> bool {
        let looked = loaded(sqlite::open_read_only(copy.write(bytes)));
        let verified = sqlite::open_read_only(copy.write(bytes)).and_then(|store| store.verify());
        let acted = loaded(sqlite::open(copy.write(bytes), true));
        for books in [&looked, &acted].into_iter().flatten() {
            assert!(*books == good.0, "{what} changed what commands decide by, and was not noticed");
        }
        match (&looked, &acted, verified) {
            (Ok(_), Ok(_), Ok(_)) => {
                let shown = rows(&copy.write(bytes).join("books.sqlite"));
                assert!(shown.is_ok_and(|shown| shown == good.1), "{what} changed a row and was not noticed");
                self.nothing += 1;
            }
            (Ok(_), Ok(_), Err(_)) => self.by_verify += 1,
            _ => self.at_once += 1,
        }
        looked.is_ok()
    }
}

fn good(copy: &Copy) -> (Books, Vec<String>) {
    let books = loaded(sqlite::open_read_only(copy.write(&copy.good))).expect("they are whole");
    (books, rows(&copy.dir.path().join("books.sqlite")).expect("they are whole"))
}

#[test]
fn a_flipped_byte_is_noticed_or_carries_nothing() {
    let site = lived_in();
    let copy = Copy::of(&site);
    let (good, mut tally) = (good(&copy), Tally::default());
    for (n, (at, mask)) in places(copy.good.len(), FLIPS).enumerate() {
        let bytes = copy.flipped(at, mask);
        let passes = tally.judge(&copy, &bytes, &good, &format!("the byte at {at}"));
        if n % 25 == 0 {
            // The real program says the same.
            fs::write(site.path("books/books.sqlite"), &bytes).expect("it is ours");
            match passes {
                true => site.run(&["status"]).ends(0),
                false => site.run(&["status"]).ends(1).says("pointsman books rebuild"),
            };
        }
    }
    println!("{FLIPS} flips in {} bytes: {tally:?}", copy.good.len());
    assert!(tally.at_once > 0 && tally.by_verify > 0 && tally.nothing > 0, "{tally:?}");
}

#[test]
fn books_that_were_cut_are_noticed_wherever_they_end() {
    let site = lived_in();
    let copy = Copy::of(&site);
    let (good, mut tally) = (good(&copy), Tally::default());
    let last = copy.good.len() / 4096 - 1;
    let pages = (0..=last).map(|page| page * 4096).chain(places(last * 4096, 20).map(|(at, _)| at));
    for end in pages {
        let passes = tally.judge(&copy, &copy.good[..end], &good, &format!("the end at {end}"));
        assert!(!passes, "cut after {end} bytes");
    }
    // Of the last page a part may be free.
    for (at, _) in places(4096, 20) {
        tally.judge(&copy, &copy.good[..last * 4096 + at], &good, &format!("the end {at} bytes into the last page"));
    }
    println!("{} pages, cut at each and at 40 other places: {tally:?}", last + 1);
    fs::write(site.path("books/books.sqlite"), "").expect("it is ours");
    let lost = site.run(&["sync-common", "--from-staging", "--yes"]).ends(1);
    lost.says("are gone: there were some").says("hint: pointsman books rebuild");
    assert_eq!(fs::metadata(site.path("books/books.sqlite")).expect("it is there").len(), 0, "no new ones are begun");
    site.run(&["books", "rebuild"]).ends(0);
    // The host that was away is still where it was.
    site.run(&["check"]).ends(7).says("type: pointsman converge");
    site.run(&["converge"]).ends(0);
    site.run(&["check"]).ends(0);
}

/// The books and the note of their end.
fn books_of(site: &Site) -> [Vec<u8>; 2] {
    ["books/books.sqlite", "books/head"].map(|name| fs::read(site.path(name)).expect("it is there"))
}

fn put_back(site: &Site, [books, head]: &[Vec<u8>; 2]) {
    fs::write(site.path("books/books.sqlite"), books).expect("it is ours");
    fs::write(site.path("books/head"), head).expect("it is ours");
}

#[test]
fn an_old_copy_of_the_books_is_told_by_the_note_beside_them() {
    let site = Site::small("");
    let [old, _] = books_of(&site);
    site.promote("group0", V11).ends(0);
    let newest = books_of(&site);
    fs::write(site.path("books/books.sqlite"), &old).expect("it is ours");
    for command in [&["status"][..], &["check"], &["rollback"], &["promote", "group1", V11, "-m", "x", "-y"]] {
        site.run(command).ends(1).says("are not those that were written last").says("books rebuild");
    }
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    fs::write(site.path("books/books.sqlite"), &newest[0]).expect("it is ours");
    site.run(&["check"]).ends(0);
}

#[test]
fn an_old_copy_of_everything_is_told_by_the_fences_of_the_hosts() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    let old = books_of(&site);
    site.promote("group1", V11).ends(0);
    put_back(&site, &old);
    let said = site.run(&["check"]).ends(7);
    for host in site.hosts() {
        let line = said.stdout.lines().find(|line| line.starts_with(host.as_str()));
        let told =
            line.is_some_and(|line| line.contains("they are an old copy") && line.contains("pointsman books rebuild"));
        assert!(told, "{host}\n{said}");
    }
    // Each in its own copy, since each takes an epoch.
    for (command, code) in
        [(&["promote", "group2", V11, "-m", "x", "-y"][..], 7), (&["rollback", "-m", "x"], 8), (&["converge"], 8)]
    {
        put_back(&site, &old);
        site.run(command).ends(code).says("they are an old copy").says("pointsman books rebuild");
        // By now the hosts obeyed these books too, and it was noted what they are.
        site.run(&["converge"]).ends(8).says("they are an old copy");
        assert_eq!(site.counts(), ".10: 2, .11: 5", "{command:?} moved somebody");
    }
    // However many commands that reach no host make the epoch grow, the copy stays an old one.
    put_back(&site, &old);
    for _ in 0..4 {
        site.run(&["hold", "-m", "x"]).ends(0);
        site.run(&["release"]).ends(0);
    }
    site.promote("group2", V11).ends(7).says("they are an old copy");
    site.run(&["books", "rebuild"]).ends(0).says("served now: 1.27.0-wmf.10: 2, 1.27.0-wmf.11: 5");
    assert!(site.path("books/books.sqlite.damaged-1").is_file(), "nothing is deleted");
    site.run(&["check"]).ends(0);
    site.promote("group2", V11).ends(10).says("rebuilt from the fleet");
    site.run(&["release"]).ends(0);
    site.promote("group2", V11).ends(0);
    assert_eq!(site.counts(), ".11: 7");
    site.run(&["rollback", "--to", "s1", "-m", "x"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn books_that_know_all_that_the_hosts_obeyed_are_not_replaced() {
    let site = Site::small("");
    let before = site.digest();
    site.run(&["books", "rebuild", "--dry-run"]).ends(1).says("there are books in").says("they are whole");
    assert_eq!(site.digest(), before);
    site.run(&["books", "rebuild"]).ends(1).says("there are books in");
    site.run(&["check"]).ends(0);
}

#[test]
fn one_absurd_fence_makes_that_host_stale_and_nobody_else() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    let (host, file) = (&site.hosts()[2], site.host(&site.hosts()[2]).join("var/lib/pointsman/fence"));
    let fence = fs::read_to_string(&file).expect("it is there");
    let at = fence.find("\"epoch\":").expect("it has one") + "\"epoch\":".len();
    fs::write(&file, format!("{}9999999{}", &fence[..at], &fence[at..])).expect("it is ours");
    fs::remove_file(site.path("books/books.sqlite")).expect("it is ours");
    site.run(&["status"]).ends(1).says("are gone").says("pointsman books rebuild");
    site.run(&["books", "rebuild"]).ends(0).says(&format!("{host}: its fence claims epoch 9999999"));
    let said = site.run(&["check"]).ends(7);
    let named: Vec<&str> = said.stdout.lines().filter(|line| line.contains("; type: ")).collect();
    assert!(named.len() == 1 && named[0].starts_with(host.as_str()) && named[0].contains("nobody ever took"), "{said}");
    site.run(&["rollback", "--to", "s1", "-m", "x"]).ends(8).says(host);
    for healthy in &site.hosts()[..2] {
        assert_eq!(site.map(healthy)["testwiki"], V10);
    }
}

#[test]
fn s20_the_end_of_the_journal_is_said_and_can_be_asked_for_later() {
    let site = Site::small("");
    let said = site.promote("group0", V11).ends(0);
    let end =
        said.stderr.lines().find_map(|line| line.strip_prefix("journal: ")).expect("it says where it ends").to_owned();
    let [old, _] = books_of(&site);
    site.promote("group1", V11).ends(0);
    site.run(&["journal", "verify", "--noted", &end]).ends(0);
    site.run(&["journal", "verify", "--noted", &end.replace(':', "0:")]).ends(1).says("cut short, or written anew");
    site.run(&["journal", "verify", "--noted", "57"]).ends(2);
    let later = site.run(&["rollback", "-m", "x"]).ends(0);
    let later = later.stderr.lines().find_map(|line| line.strip_prefix("journal: ")).expect("it says it").to_owned();
    fs::write(site.path("books/books.sqlite"), old).expect("it is ours");
    fs::remove_file(site.path("books/head")).expect("it is ours");
    site.run(&["journal", "verify"]).ends(0);
    site.run(&["journal", "verify", "--noted", &end]).ends(0);
    site.run(&["journal", "verify", "--noted", &later]).ends(1).says("cut short, or written anew");
}
