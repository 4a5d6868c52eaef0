//! Commands that are killed half way, and the one command that settles what they left.

use crate::gated::Running;
use crate::site::{Site, V10, V11};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command};

pub const PROMOTE: [&str; 6] = ["promote", "group0", V11, "--yes", "-m", "train"];

/// A restart hook that says over one pipe that it has begun, and ends when it is told to over another.
pub struct Gate {
    directory: PathBuf,
}

impl Gate {
    pub fn new(site: &Site) -> Self {
        let gate = Self { directory: site.path("gate") };
        fs::create_dir(&gate.directory).expect("made");
        for pipe in ["started", "go"] {
            let made = Command::new("mkfifo").arg(gate.directory.join(pipe)).status().expect("mkfifo runs");
            assert!(made.success());
        }
        fs::write(gate.directory.join("armed"), "").expect("written");
        let hook = "test ! -e \"$0/armed\" || { echo switched > \"$0/started\"; read line < \"$0/go\"; }";
        let restart = format!("[sh, -c, '{hook}', \"{}\"]", gate.directory.display());
        site.edit("{build: [sh, build.sh]}", &format!("{{build: [sh, build.sh], restart: {restart}}}"));
        gate
    }

    /// Waits until a host has been switched and stands in its hook.
    pub fn reached(&self) {
        assert_eq!(fs::read_to_string(self.directory.join("started")).expect("it is read"), "switched\n");
    }

    /// Lets the hook that stands there end, and all later ones. The pipe stays open as long as what is returned.
    pub fn open(&self) -> File {
        fs::remove_file(self.directory.join("armed")).expect("removed");
        let mut pipe = OpenOptions::new().read(true).write(true).open(self.directory.join("go")).expect("opened");
        pipe.write_all(b"go\n").expect("written");
        pipe
    }
}

fn kill(mut child: Child) {
    child.kill().expect("it is killed");
    child.wait().expect("it ended");
}

/// A promotion whose first host was switched when the controller was killed.
fn killed_half_way() -> (Site, File) {
    let site = Site::small("");
    let gate = Gate::new(&site);
    let child = site.start(&PROMOTE);
    gate.reached();
    kill(child);
    let pipe = gate.open();
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V11);
    assert_eq!(site.map(&site.hosts()[1])["testwiki"], V10);
    site.run(&["status"])
        .ends(0)
        .says("unfinished: r2 promote group0 to 1.27.0-wmf.11")
        .says("type: pointsman converge");
    (site, pipe)
}

#[test]
fn a_promotion_that_was_killed_goes_back() {
    let (site, _pipe) = killed_half_way();
    site.promote("group1", V11).ends(4).says("unfinished").says("pointsman converge");
    let before = site.digest();
    site.run(&["converge", "--dry-run"]).ends(0);
    assert_eq!(site.digest(), before, "not even after a kill does a dry run change a byte");
    site.run(&["converge"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["converge"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["status"]).ends(0).hides("unfinished").says("stale: none").says("owed: none");
    site.run(&["show", "r2"]).ends(0).says("went back");
    site.promote("group0", V11).ends(10).says("--again --reason");
}

#[test]
fn a_promotion_that_was_killed_goes_on_with_forward() {
    let (site, _pipe) = killed_half_way();
    site.run(&["converge", "--forward"]).ends(4);
    site.run(&["converge", "--forward", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["status"]).ends(0).hides("unfinished").says("stale: none");
    site.run(&["rollback"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_promotion_that_was_killed_is_rolled_back_like_any_other() {
    let (site, _pipe) = killed_half_way();
    site.run(&["rollback", "-m", "5xx"]).ends(0).says("group0: 2 wikis");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["status"]).ends(0).hides("unfinished").says("hold: rollback");
}

#[test]
fn a_promotion_that_was_killed_before_any_switch_leaves_nothing() {
    let site = Site::small("");
    let path = site.host(&site.hosts()[2]).join("var/lib/pointsman/lock");
    let switching = File::open(path).expect("the host has a switch lock");
    flock(&switching, FlockOperation::LockExclusive).expect("it is free");
    let child = site.start(&PROMOTE);
    let begun = (0..1_000).any(|_| site.run(&["status"]).stdout.contains("promote group0 1.27.0-wmf.11"));
    assert!(begun, "it never took the lock");
    kill(child);
    drop(switching);
    site.run(&["status"]).ends(0).says("that process is gone");
    site.run(&["converge"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["history"]).ends(0).hides("promote");
    site.promote("group0", V11).ends(0);
}

#[test]
fn a_signal_ends_before_the_next_step_and_says_what_to_type() {
    signalled(Signal::INT, 130);
    signalled(Signal::TERM, 143);
}

fn signalled(signal: Signal, code: i32) {
    let site = Site::small("");
    let gate = Gate::new(&site);
    let mut promotion = Running::start(&site, &PROMOTE);
    gate.reached();
    promotion.signal(signal);
    promotion.says("stopping: no new step begins");
    let _pipe = gate.open();
    let said = promotion.ends(code);
    assert!(said.contains("pointsman converge"), "{said}");
    assert_eq!(site.map(&site.hosts()[1])["testwiki"], V10, "the next wave was not begun");
    site.run(&["converge"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_log_that_is_deleted_after_a_kill_is_missed_by_the_hosts() {
    let (site, _pipe) = killed_half_way();
    let log = site.path("books/books.sqlite-wal");
    assert!(fs::metadata(&log).expect("a killed writer leaves it").len() > 0);
    fs::remove_file(&log).expect("it is ours");
    let _ = fs::remove_file(site.path("books/books.sqlite-shm"));
    site.run(&["check"]).ends(7).says("they are an old copy").says("pointsman books rebuild");
    site.run(&["converge"]).ends(8).says("they are an old copy");
    site.run(&["books", "rebuild"]).ends(0);
    site.run(&["converge"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["check"]).ends(0);
}
