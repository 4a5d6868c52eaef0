//! Half of a fleet in trouble at once, each host in its own way: the others are moved, in their time, and every host in
//! trouble is named with its true fault. 24 hosts by default; `POINTSMAN_HARD=64` is the fleet of the nightly run.
//!
//! That nobody waits for a host in trouble is told from the order of the journal, not from a clock: the answers of all
//! healthy hosts stand before the first one that only a deadline brought. What it took is measured and said.

#![expect(clippy::print_stdout, reason = "the figures are for people to read")]

use crate::harness::TestFleet;
use crate::site::{NEW, Output, ended};
use crate::sshd::{Broken, Lie};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the controller may take of memory, kB.
const PEAK_KB_MAX: u64 = 200 << 10;

/// Each fault, what a command says of it, and which of its looks only a deadline ends.
const FAULTS: [(Broken, &str); 12] = [
    (Broken::Stopped, "timed out waiting for the SSH banner"),
    (Broken::Lies(Lie::Drip), "timed out waiting for the agent's answer"),
    (Broken::Blackhole, "timed out connecting"),
    (Broken::Refused, "connection refused"),
    (Broken::Lies(Lie::Flood), "more than 65536 bytes before the agent's first"),
    (Broken::Lies(Lie::Endless), "does not speak the protocol: a message of"),
    (Broken::Lies(Lie::Bytes), "is no text"),
    (Broken::Lies(Lie::Escapes), "\\u{1b}[2J\\u{1b}]52"),
    (Broken::Lies(Lie::Half), "closed the connection early"),
    (Broken::KeyChanged, "host key changed"),
    (Broken::RootJammed, "disk full"),
    (Broken::RootReadOnly, "read-only file system"),
];

/// A fleet, and which of its hosts are to break in which way.
struct Hard {
    fleet: TestFleet,
    faults: BTreeMap<usize, (Broken, &'static str)>,
}

impl Hard {
    /// Every third host of a large fleet is to break, and one a fault of a small one; the debug host and the canaries
    /// are not among them.
    fn new(count: usize) -> Self {
        let mut fleet = TestFleet::site(count);
        let broken: Vec<usize> = match count >= 3 + 3 * FAULTS.len() {
            true => (3..count).filter(|i| i % 3 == 0).collect(),
            false => (count - FAULTS.len()..count).collect(),
        };
        let site = fleet.site.take().expect("it is a site");
        // Far more than the healthy ones need on a busy machine: a key exchange alone takes a tenth of a second of it.
        let ms = if count > 36 { 30_000 } else { 8_000 };
        let limits = format!("{{connect_ms_max: {ms}, command_ms_max: {ms}, stale_hosts_max: {}}}", broken.len());
        let changed = site.replace("{connect_ms_max: 6000, command_ms_max: 60000}", &limits);
        assert_ne!(site, changed, "the limits are where they were");
        fs::write(fleet.file(), &changed).expect("it is ours");
        fleet.site = Some(changed);
        let faults = broken.into_iter().zip(FAULTS.into_iter().cycle()).collect();
        Self { fleet, faults }
    }

    fn count(&self) -> usize {
        self.fleet.hosts.len()
    }

    fn in_trouble(&self) -> Vec<usize> {
        self.faults.keys().copied().collect()
    }

    fn break_all(&mut self) {
        for (i, (broken, _)) in &self.faults {
            self.fleet.set(*i, Some(*broken));
        }
    }

    fn heal_all(&mut self) {
        for i in self.in_trouble() {
            self.fleet.set(i, None);
        }
    }

    /// Every host in trouble is named with its fault, on a line that begins so, and nobody else is.
    #[track_caller]
    fn names_all(&self, output: &Output, begin: &str) {
        let said = output.said();
        for i in 0..self.count() {
            let line = said.lines().find(|line| line.starts_with(&format!("{begin}{}:", self.fleet.name(i))));
            match (self.faults.get(&i), line) {
                (None, None) => {}
                (Some((_, words)), Some(line)) if line.contains(words) => {}
                (fault, line) => panic!("{}: {fault:?} is said as {line:?}\n{said}", self.fleet.name(i)),
            }
        }
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "what hosts said is escaped");
    }

    /// The answers to `command` of the newest undertaking after an event: the event, the host, when, and what it was.
    fn answers(&self, command: &str, since: u64) -> Vec<(u64, String, u64, String)> {
        let sql = "SELECT o.event, o.host, e.at_ms, o.result FROM outcomes o JOIN events e ON e.seq = o.event
            WHERE o.rollout = (SELECT max(id) FROM rollouts) AND o.command = ?1 AND o.event > ?2 ORDER BY o.event";
        let books = self.books();
        let mut rows = books.prepare(sql).expect("the tables are there");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let rows = rows.query_map((command, since), row).expect("it is read");
        rows.map(|row| row.expect("it is read")).collect()
    }

    /// All healthy hosts switched before a deadline ended the first wait for the `slow` hosts, which `command` had.
    /// How long after the undertaking began they were through, and when the deadline came, ms.
    #[track_caller]
    fn nobody_waited(&self, slow: Broken, command: &str, since: u64) {
        let healthy = |host: &str| (0..self.count()).any(|i| !self.faults.contains_key(&i) && host == self.name(i));
        let is_slow = |host: &str| self.faults.iter().any(|(i, (broken, _))| *broken == slow && host == self.name(*i));
        let switched: Vec<_> = self.answers("switch", since).into_iter().filter(|answer| healthy(&answer.1)).collect();
        assert!(switched.iter().all(|answer| answer.3 == "ok"), "{switched:?}");
        assert_eq!(switched.len(), self.count() - self.faults.len());
        let waits = self.answers(command, since);
        let waited = waits.iter().find(|answer| is_slow(&answer.1) && answer.3.contains("timed out"));
        let waited = waited.unwrap_or_else(|| panic!("no {command} of {slow:?} timed out: {waits:?}"));
        let last = switched.last().expect("there are some");
        assert!(last.0 < waited.0, "{} switched after {} had timed out", last.1, waited.1);
        println!("  the last healthy host had switched {} ms before the first deadline came", waited.2 - last.2);
    }

    fn books(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.fleet.path("books/books.sqlite")).expect("they are there")
    }

    /// The last event on the books. A promotion that was refused has answers too, under the number that the next
    /// undertaking takes.
    fn last_event(&self) -> u64 {
        self.books().query_row("SELECT max(seq) FROM events", [], |row| row.get(0)).expect("it is read")
    }

    fn name(&self, i: usize) -> String {
        self.fleet.name(i).to_string()
    }

    /// Runs a command and watches what it takes.
    fn run(&self, args: &[&str]) -> Output {
        watched(self.fleet.spawn(args), args[0])
    }
}

/// Waits for a child's end and watches what it takes of memory, which it must not take too much of.
fn watched(child: Child, name: &str) -> Output {
    let (since, over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let mut peak_kb = 0;
            while !over.load(Ordering::SeqCst) {
                peak_kb = peak_kb.max(high_water(Path::new(&status)).unwrap_or_default());
                std::thread::sleep(Duration::from_millis(5));
            }
            peak_kb
        }
    });
    let output = ended(child.wait_with_output().expect("it is our child"));
    let wall = since.elapsed();
    over.store(true, Ordering::SeqCst);
    let peak_kb = watch.join().expect("it does not panic");
    println!("{name}: code {:?}, {:.1} s, peak {} MiB", output.code, wall.as_secs_f64(), peak_kb >> 10);
    assert!(peak_kb > 0 && peak_kb < PEAK_KB_MAX, "{name} took {peak_kb} kB");
    output
}

/// The most memory that a process had so far, kB.
fn high_water(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn s16_half_of_a_fleet_in_trouble_keeps_nobody_from_moving() {
    let asked = std::env::var("POINTSMAN_HARD").ok().map(|n| n.parse().expect("POINTSMAN_HARD is a number of hosts"));
    let mut hard = Hard::new(asked.unwrap_or(24));
    let bad = hard.in_trouble();
    println!("{} hosts, {} of them in trouble", hard.count(), bad.len());
    hard.run(&["sync-common", "--from-staging", "-y"]).is(0);
    hard.fleet.promote("group0", &[]).is(0);

    // The canary's hook waits while they break, all between their proof and their switch.
    let gate = hard.fleet.gate(1);
    let since = hard.last_event();
    let mut promote = hard.fleet.spawn(&["promote", "group1", "1.27.0-wmf.11", "-m", "the train", "-y"]);
    hard.fleet.at_the_gate(1, &mut promote);
    hard.break_all();
    drop(gate);
    let unanswered = "its switch was not answered (timed out waiting for the agent's answer), so it counts as switched";
    let promoted = watched(promote, "promote").is(8).names(&hard.name(bad[0]), unanswered);
    hard.names_all(&promoted, "owed: ");
    hard.fleet.all_serve(5, &bad);
    hard.nobody_waited(Broken::Stopped, "switch", since);

    if asked.is_some() {
        let refused = hard.run(&["promote", "group2", "1.27.0-wmf.11", "-m", "the train", "-y"]).is(7);
        hard.names_all(&refused, "");
        hard.fleet.all_serve(5, &bad);
    }

    let since = hard.last_event();
    let owed = hard.run(&["rollback", "-m", "sessions are lost"]).is(8);
    hard.names_all(&owed, "owed: ");
    hard.fleet.all_serve(0, &bad);
    hard.nobody_waited(Broken::Lies(Lie::Drip), "observe", since);

    hard.heal_all();
    assert!(bad.iter().any(|i| hard.fleet.serves(*i, NEW) == 2), "they serve what they served");
    hard.run(&["converge"]).is(0);
    hard.fleet.all_serve(0, &[]);
}
