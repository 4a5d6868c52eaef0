//! Two deploy hosts with the same books on a real PostgreSQL: the real program over local hosts.

use crate::killed::{Gate, PROMOTE};
use crate::server::{ESCAPED, PASSWORD, Server, stands_in};
use crate::site::{Ran, Site, V10, V11, ran};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A fleet, and two directories that are sites of it; each with a staging and a content store of its own.
struct Pair {
    server: Server,
    one: Site,
}

impl Pair {
    fn new() -> Self {
        let (server, one) = (Server::new(), Site::unsynced(""));
        let file = server.reference("books.url", &server.url("127.0.0.1"));
        one.edit("books: books}", &format!("books: books, store: \"file:{}\"}}", file.display()));
        let pair = Self { server, one };
        pair.one.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
        pair.join();
        pair
    }

    /// Writes the second one's groups.yaml, as the first one's is now.
    fn join(&self) {
        let text = std::fs::read_to_string(self.one.path("groups.yaml")).expect("it is there");
        let hosts = format!("directory: {}", self.one.path("hosts").display());
        self.one.write("two/groups.yaml", &text.replace("directory: hosts", &hosts));
        std::fs::create_dir_all(self.two().join("staging")).expect("made");
    }

    fn two(&self) -> PathBuf {
        self.one.path("two")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("-C").arg(self.two()).args(arguments).stdin(Stdio::null());
        command
    }

    /// What the second deploy host does.
    fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments), arguments)
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    }
}

/// How a command ended that was started, and all that it said.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn two_deploy_hosts_act_in_turn_and_see_each_other() {
    let pair = Pair::new();
    pair.run(&["status"]).ends(0).says("stale: none");
    pair.run(&["promote", "group0", V11, "--yes", "-m", "of two"]).ends(0);
    pair.one.run(&["history"]).ends(0).says("promote group0 to 1.27.0-wmf.11");
    pair.one.promote("group1", V11).ends(0);
    assert_eq!(pair.one.counts(), ".10: 2, .11: 5");
    pair.run(&["history"]).ends(0).says("promote group1 to 1.27.0-wmf.11");
    pair.run(&["hold", "-m", "of two too"]).ends(0);
    pair.one.promote("group2", V11).ends(10).says("of two too");
    pair.run(&["rollback", "-m", "5xx"]).ends(0);
    assert_eq!(pair.one.counts(), ".10: 7");
    let verified = pair.one.run(&["journal", "verify"]).ends(0);
    assert_eq!(verified.stdout, pair.run(&["journal", "verify"]).ends(0).stdout);
    assert!(!pair.one.path("books/books.sqlite").exists() && !pair.two().join("books/books.sqlite").exists());
    let before = pair.one.digest();
    pair.run(&["converge", "--dry-run"]).ends(0);
    pair.one.run(&["status"]).ends(0).says("lock: free");
    assert_eq!(pair.one.digest(), before, "looking changes nothing");
}

#[test]
fn content_that_only_the_other_deploy_host_has_is_named() {
    let pair = Pair::new();
    let lost = pair.one.hosts()[2].clone();
    pair.one.reinstall(&lost);
    let said = pair.run(&["converge"]).ends(8);
    said.says("this deploy host has no copy of ").says("pointsman sync-common --from-staging");
    pair.one.run(&["converge"]).ends(0);
    assert_eq!(pair.one.counts(), ".10: 7");
    pair.one.reinstall(&lost);
    let copied = Command::new("cp").arg("-r").arg(pair.one.path("staging")).arg(pair.two()).status();
    assert!(copied.expect("cp runs").success());
    pair.run(&["sync-common", "--from-staging", "--yes", "-m", "its own copy"]).ends(0);
    assert_eq!(pair.one.counts(), ".10: 7");
}

#[test]
fn a_takeover_from_another_deploy_host_ends_the_old_holder_with_code_5() {
    let pair = Pair::new();
    let gate = Gate::new(&pair.one);
    pair.join();
    let promote = pair.one.start(&PROMOTE);
    gate.reached();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    pair.run(&["status"]).ends(0).says(&format!("whether it lives is unknown, on {host}"));
    let locked = pair.run(&["promote", "group1", V11, "--yes", "-m", "too"]).ends(5);
    locked.says(&format!("whether that process lives is unknown, on {host}")).says(&format!("hint: look on {host}"));
    let rollback = pair.start(&["rollback", "-m", "5xx"]);
    let took = (0..1_000).any(|_| pair.run(&["status"]).stdout.contains("rollback: 5xx"));
    assert!(took, "it never took the lock");
    let _pipe = gate.open();
    let (code, said) = ended(promote);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("took over at"), "{said}");
    let (code, said) = ended(rollback);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(pair.one.counts(), ".10: 7");
    pair.one.run(&["journal", "verify"]).ends(0);
}

#[test]
fn a_playbook_under_way_is_left_alone_and_a_paused_one_goes_on_from_any_deploy_host() {
    let pair = Pair::new();
    let gate = Gate::new(&pair.one);
    pair.join();
    let promote = format!("promote: {{group: group0, version: \"{V11}\", message: m}}");
    let stages = format!(
        "  - {{name: a, {promote}}}\n  - {{name: b, approve: {{text: go on}}}}\n  - {{name: c, check: {{}}}}\n"
    );
    pair.one.write("playbooks/wait.yaml", &format!("name: wait\nstages:\n{stages}"));
    let run = pair.one.start(&["run", "wait"]);
    gate.reached();
    pair.run(&["resume", "p1"]).ends(5);
    let _pipe = gate.open();
    let (code, said) = ended(run);
    assert_eq!(code, Some(4), "{said}");
    pair.run(&["approve", "p1", "-m", "seen"]).ends(0);
    pair.run(&["resume", "p1"]).ends(0);
    assert_eq!(pair.one.counts(), ".10: 5, .11: 2");
}

#[test]
fn a_server_that_is_killed_in_mid_rollout_stops_it_and_converge_goes_on() {
    let mut pair = Pair::new();
    let gate = Gate::new(&pair.one);
    pair.join();
    let promote = pair.one.start(&PROMOTE);
    gate.reached();
    pair.server.kill();
    let _pipe = gate.open();
    let (code, said) = ended(promote);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: no connection to the books on postgres://127.0.0.1:"), "{said}");
    assert!(said.contains("hint: nothing more was sent; once the server answers: pointsman converge"), "{said}");
    assert_eq!(pair.one.map(&pair.one.hosts()[0])["testwiki"], V11);
    assert_eq!(pair.one.map(&pair.one.hosts()[1])["testwiki"], V10, "nothing was sent any more");
    pair.one.run(&["rollback"]).ends(1).says("no connection to the books");
    pair.server.start();
    // Its holder is dead; here that is known, on the other deploy host it is not.
    pair.run(&["converge"]).ends(5).says("--take-over");
    pair.one.run(&["status"]).ends(0).says("unfinished: r2").says("that process is gone");
    pair.one.run(&["converge"]).ends(0);
    assert_eq!(pair.one.counts(), ".10: 7");
    pair.run(&["status"]).ends(0).hides("unfinished").says("stale: none");
    pair.run(&["journal", "verify"]).ends(0);
}

#[test]
fn books_on_a_server_that_are_lost_are_rebuilt_from_the_fleet() {
    let pair = Pair::new();
    pair.one.promote("group0", V11).ends(0);
    pair.run(&["rollback", "--from-fleet"]).ends(1).says("there are books in postgres://");
    pair.server.sql("books", "DROP SCHEMA pointsman CASCADE");
    pair.run(&["status"]).ends(1).says("there are no books in postgres://").says("pointsman books rebuild");
    pair.one.run(&["status"]).ends(1).says("are gone: there were some").says("pointsman books rebuild");
    pair.one.run(&["promote", "group1", V11, "--yes", "-m", "more"]).ends(1).says("are gone");
    pair.run(&["rollback", "--from-fleet", "--yes", "-m", "lost"]).ends(0);
    assert_eq!(pair.one.counts(), ".10: 7");
    pair.one.run(&["status"]).ends(0).says("stale: none").says(": lost");
}

#[test]
fn a_replica_that_lagged_behind_is_told_and_rebuilt_once_for_all_deploy_hosts() {
    let pair = Pair::new();
    pair.server.keep();
    pair.one.promote("group0", V11).ends(0);
    pair.server.restore();
    pair.one.run(&["status"]).ends(1).says("are not those that were written last").says("pointsman books rebuild");
    // The other one saw nothing of the promotion; hosts did.
    pair.run(&["converge"]).ends(8).says("books");
    pair.run(&["books", "rebuild"]).ends(0).says("the books were rebuilt");
    pair.one
        .run(&["status"])
        .ends(0)
        .says("the books were rebuilt from the fleet: holds and blockers of before are lost");
    pair.one.run(&["converge"]).ends(0);
    assert_eq!(pair.one.counts(), ".10: 5, .11: 2");
    pair.run(&["release"]).ends(0);
    pair.one.promote("group1", V11).ends(0);
    pair.run(&["journal", "verify"]).ends(0);
}

#[test]
fn s10_the_password_is_in_no_output_and_in_no_file() {
    let (server, site) = (Server::new(), Site::unsynced(""));
    site.edit("books: books}", "books: books, store: \"env:POINTSMAN_BOOKS\"}");
    let env = site.path("env-of-hooks");
    let hook = format!("{{build: [sh, build.sh], restart: [sh, -c, \"env >> {}\"]}}", env.display());
    site.edit("{build: [sh, build.sh]}", &hook);
    let good = server.url("127.0.0.1");
    let wrong = good.replace(ESCAPED, "CANARY");
    let (nowhere, far) = (good.replace("/books", "/CANARY"), good.replace("127.0.0.1", "books.invalid"));
    let run = |url: &str, arguments: &[&str]| {
        let mut command = site.command(arguments);
        let ran = ran(command.env("POINTSMAN_BOOKS", url).env("POINTSMAN_LOG", "trace"), arguments);
        ran.hides(PASSWORD).hides(ESCAPED).hides("CANARY")
    };
    run(&good, &["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
    run(&good, &["promote", "group0", V11, "--yes", "-m", "train"]).ends(0);
    for arguments in [&["status", "--json"][..], &["history"], &["timeline"], &["config", "check"], &["check"]] {
        run(&good, arguments).ends(0);
        let mut command = site.command(arguments);
        command.env("POINTSMAN_BOOKS", &wrong).env("POINTSMAN_LOG", "trace");
        if arguments[0] != "config" {
            ran(&mut command, arguments).ends(1).hides("CANARY").says("password authentication failed");
        }
    }
    let off = format!("{good}?sslmode=disable");
    run(&off, &["status"]).ends(2).says("TLS can't be switched off");
    run(&far, &["status"]).ends(1).says("books.invalid");
    run(&good, &["rollback", "--yes"]).ends(0);
    let mut command = site.command(&["status"]);
    ran(command.env("POINTSMAN_BOOKS", nowhere), &["status"]).ends(1).hides(PASSWORD).hides(ESCAPED);
    assert!(env.exists(), "hooks ran");
    for word in [PASSWORD, ESCAPED, "CANARY"] {
        assert_eq!(stands_in(&site.path(""), word), None);
    }
    let tables = server.sql("books", "SELECT string_agg(record, '') FROM pointsman.events");
    assert!(tables.contains("took the lock") && !tables.contains("CANARY"));
}
