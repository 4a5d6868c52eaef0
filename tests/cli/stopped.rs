//! A process that is stopped in the middle of a write to the books, and what everybody else makes of it.

use crate::site::{Ran, Site, V11, ran};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

/// A real process with SQLite's lock that stops itself and does not go on.
struct Stopped(Child);

impl Stopped {
    /// In the middle of what `begin` begins.
    fn new(site: &Site, begin: &str) -> Self {
        let program = format!(
            "import os, signal, sqlite3\n\
             c = sqlite3.connect({:?}, isolation_level=None)\n\
             for sql in {begin:?}.split(';'): c.execute(sql).fetchall()\n\
             print('held', flush=True)\n\
             os.kill(os.getpid(), signal.SIGSTOP)\n",
            site.path("books/books.sqlite")
        );
        let mut command = Command::new("python3");
        command.args(["-c", &program, "in-the-way"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says so");
        assert_eq!(line, "held\n");
        let stat = format!("/proc/{}/stat", child.id());
        let is_stopped = |_| std::fs::read_to_string(&stat).expect("it lives").contains(") T ");
        assert!((0..1_000_000).any(is_stopped), "it does not stop");
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, when it did.
    fn signal(&mut self) -> Option<i32> {
        self.0.try_wait().expect("it is ours").and_then(|status| status.signal())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// With the log, and through a rollback journal where not even looking is possible.
const WRITES: [&str; 2] =
    ["PRAGMA journal_mode=WAL;BEGIN IMMEDIATE;DELETE FROM hosts", "BEGIN EXCLUSIVE;DELETE FROM hosts"];

#[test]
fn a_rollback_ends_what_is_stopped_in_the_middle_of_a_write() {
    let site = Site::small("");
    for begin in WRITES {
        site.run(&["promote", "group0", V11, "--yes", "--again", "--reason", "a test", "-m", "train"]).ends(0);
        let mut stopped = Stopped::new(&site, begin);
        let said = site.run(&["rollback", "-m", "5xx"]).ends(0);
        let said = said
            .says(&format!("warning: process {} (", stopped.pid()))
            .says("python3 -c import")
            .says("; of root, begun at ");
        said.says(", stopped) kept everybody out of the books for more than 2 s and was ended (SIGKILL)");
        assert_eq!(stopped.signal(), Some(9));
        assert_eq!(site.counts(), ".10: 7");
        site.run(&["journal", "verify"]).ends(0);
        site.run(&["timeline"]).ends(0).says("was ended (SIGKILL)");
        site.run(&["status"]).ends(0).says("stale: none").says("owed: none");
        site.run(&["release"]).ends(0);
    }
}

#[test]
fn all_others_say_which_process_it_is_and_what_to_type() {
    let site = Site::small("");
    let mut stopped = Stopped::new(&site, WRITES[0]);
    site.run(&["status"]).ends(0).says("stale: none");
    let says = |said: Ran, pid: u32| {
        let said =
            said.ends(5).says(&format!("were busy for more than 10 s: process {pid} (")).says("python3 -c import");
        said.says(", stopped) keeps everybody else out").says(&format!("hint: kill -CONT {pid} lets it go on"));
    };
    says(site.promote("group0", V11), stopped.pid());
    assert_eq!(stopped.signal(), None, "only what takes over ends it");
    let promote = ["promote", "group0", V11, "--yes", "--take-over", "-m", "train"];
    site.run(&promote).ends(0).says("was ended (SIGKILL)");
    assert_eq!((stopped.signal(), site.counts().as_str()), (Some(9), ".10: 5, .11: 2"));
    let stopped = Stopped::new(&site, WRITES[1]);
    says(site.run(&["status"]), stopped.pid());
    site.run(&["unlock"]).ends(0).says("was ended (SIGKILL)").says("nobody held the lock");
}

#[test]
fn what_belongs_to_somebody_else_is_named_and_lives() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    std::fs::copy(env!("CARGO_BIN_EXE_pointsman"), site.path("pointsman")).expect("copied");
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(site.path("")).status().expect("chown runs");
    assert!(owned.success(), "hosts are sshd processes elsewhere in these tests, so they need root all the same");
    let mut stopped = Stopped::new(&site, WRITES[0]);
    let arguments = ["rollback", "-m", "5xx"];
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(site.path("pointsman"));
    let said = ran(command.arg("-C").arg(site.path("")).args(arguments), &arguments).ends(5);
    said.says("which can't be ended: it belongs to root, and we run as nobody")
        .says(&format!("hint: sudo kill -KILL {}, then the same once more", stopped.pid()));
    assert_eq!(stopped.signal(), None);
}
