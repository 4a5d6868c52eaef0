//! Who may do what: the real program as several users of this machine. Needs root, since only root can become somebody else.

use crate::gated::{self, Running};
use crate::site::{Ran, Site, V11, ran};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// What everybody's environment says here, and nobody believes.
const SPOOFED: [(&str, &str); 6] = [
    ("USER", "root"),
    ("LOGNAME", "root"),
    ("USERNAME", "root"),
    ("SUDO_USER", "root"),
    ("SUDO_UID", "0"),
    ("HOME", "/root"),
];

/// These users and groups are there on every Debian; `root` is whoever is called so here.
const RULES: &str = "\
policy:
  rules:
    - {users: [root], may: [promote, sync, pin, approve, force, override, take-over]}
    - {users: [daemon], may: [promote], groups: [group0]}
    - {members_of: [games], may: [rollback, approve]}
    - {users: [bin], may: [repair]}
    - {users: [sys], may: [pin], groups: [group0]}
";

/// The program as a user whose real id it is. The effective one stays root's, as the site is root's.
fn command(site: &Site, user: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--ruid", user, "--clear-groups", env!("CARGO_BIN_EXE_pointsman"), "-C"]);
    command.arg(site.path("")).args(arguments).envs(SPOOFED).stdin(Stdio::null());
    command
}

fn run(site: &Site, user: &str, arguments: &[&str]) -> Ran {
    ran(&mut command(site, user, arguments), arguments)
}

fn refused(site: &Site, user: &str, arguments: &[&str], right: &str) -> Ran {
    run(site, user, arguments).ends(10).says(&format!("{user} has no right `{right}`")).says("groups.yaml:")
}

/// How many refusals the journal has.
fn refusals(site: &Site) -> usize {
    let timeline = site.run(&["timeline", "--since", "1d"]).ends(0);
    timeline.stdout.matches("has no right").count() + timeline.stdout.matches("demands that a second person").count()
}

/// Commands that change something, each with the right that it needs.
const ALL: [(&[&str], &str); 30] = [
    (&["promote", "group0", V11, "--yes", "-m", "x"], "promote"),
    (&["rollback", "--yes"], "rollback"),
    (&["rollback", "group1", "--yes"], "rollback"),
    (&["rollback", "--from-fleet", "--yes"], "rollback"),
    (&["converge", "--yes"], "repair"),
    (&["converge", "--forward", "--yes"], "promote"),
    (&["sync-common", "--yes"], "repair"),
    (&["sync-common", "--from-staging", "--yes"], "sync"),
    (&["sync-file", "wmf-config/limits.json", "--yes", "-m", "x"], "sync"),
    (&["undo", "--yes"], "sync"),
    (&["pin", "enwiki", V11, "--reason", "x", "--yes"], "pin"),
    (&["unpin", "enwiki", "--yes"], "pin"),
    (&["depool", "mw1017.eqiad.wmnet", "--reason", "x"], "repair"),
    (&["pool", "mw1017.eqiad.wmnet"], "repair"),
    (&["gc", "--yes"], "repair"),
    (&["run", "hotfix"], "repair"),
    (&["resume"], "repair"),
    (&["abort"], "repair"),
    (&["abort", "--rollback"], "rollback"),
    (&["watch"], "rollback"),
    (&["approve", "r2", "-m", "x"], "approve"),
    (&["deny", "r2", "-m", "x"], "approve"),
    (&["hold", "-m", "x"], "repair"),
    (&["release"], "promote"),
    (&["lock", "-m", "x"], "repair"),
    (&["unlock"], "take-over"),
    (&["blocker", "add", "T1", "-m", "x"], "repair"),
    (&["blocker", "close", "T1", "-m", "x"], "promote"),
    (&["agent", "install"], "repair"),
    (&["books", "rebuild"], "repair"),
];

#[test]
fn s09_whoever_has_no_right_changes_nothing_and_every_refusal_is_in_the_journal() {
    let site = Site::small(RULES);
    site.write(
        "playbooks/hotfix.yaml",
        "name: hotfix\nstages:\n  - name: sync\n    sync-file: {paths: [wmf-config/limits.json], message: x}\n",
    );
    let before = site.digest();
    for (arguments, right) in ALL {
        refused(&site, "www-data", arguments, right);
    }
    let after = site.digest();
    let moved =
        |path: &&std::path::PathBuf| !path.starts_with(site.path("books")) && before.get(*path) != after.get(*path);
    assert_eq!(before.keys().chain(after.keys()).filter(moved).collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
    assert_eq!(refusals(&site), ALL.len());
    site.run(&["status"]).ends(0).says("hold: none");
    site.run(&["journal", "verify"]).ends(0);
    // To look needs no right, and a plan is shown with what is lacking.
    for arguments in [&["status"][..], &["history"], &["journal", "verify"], &["blocker", "list"], &["config", "check"]]
    {
        run(&site, "www-data", arguments).ends(0).hides("has no right");
    }
    let lacks = "now it would be refused: www-data has no right `promote` for group0";
    let dry = ["promote", "group0", V11, "-m", "x", "--dry-run"];
    run(&site, "www-data", &dry).ends(10).says("group0: 2 wikis").says(lacks).says("hint: ask daemon or root");
    let file = site.path("x.plan").display().to_string();
    let plan = ["plan", "promote", "group0", V11, "-m", "x", "-o", &file];
    run(&site, "www-data", &plan).ends(0).says(lacks).says("pointsman apply");
    assert_eq!(refusals(&site), ALL.len(), "nobody tried anything");
    refused(&site, "www-data", &["apply", &file, "--yes"], "promote");
    refused(&site, "bin", &["apply", &file, "--yes"], "promote").says("groups.yaml:").says("hint: ask daemon or root");
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn s09_a_right_is_for_groups_and_whoever_may_promote_may_go_back() {
    let site = Site::small(RULES);
    let promote = |user: &str, group: &str, more: &[&str]| {
        run(&site, user, &[&["promote", group, V11, "--yes", "-m", "x"], more].concat())
    };
    promote("daemon", "group1", &[]).ends(10).says("daemon has no right `promote` for group1").says("hint: ask root");
    promote("daemon", "grup0", &[]).ends(2).says("did you mean `group0`?");
    promote("daemon", "group0", &["--soak", "1s"]).ends(10).says("daemon has no right `override` for group0");
    promote("daemon", "group0", &["--soak", "1h"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    run(&site, "daemon", &["history", "-n", "1"]).ends(0).says("  daemon@");
    promote("root", "group1", &[]).ends(0);
    // Without a group all of the version go back, and one of them is not daemon's.
    let back = refused(&site, "daemon", &["rollback", "--yes"], "rollback");
    back.says("for group1").says("you may go back with group0: pointsman rollback GROUP");
    run(&site, "daemon", &["rollback", "group0", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 4, .11: 3");
    // The hold that it sets stops everybody, so who may promote everything lifts it.
    refused(&site, "daemon", &["release"], "promote").says("for group1, group2");
    run(&site, "root", &["release"]).ends(0);
    promote("daemon", "group0", &["--again", "--reason", "mended"]).ends(10).says("daemon has no right `force`");
    promote("daemon", "group0", &["--accept", "T1=known"]).ends(10).says("daemon has no right `override`");
    promote("daemon", "group0", &[]).ends(10).says("was taken back by daemon@");
    promote("root", "group0", &["--again", "--reason", "mended"]).ends(0);
    assert_eq!(site.counts(), ".10: 2, .11: 5");
    // By a group of users, as the system lists it, whatever groups the process has.
    run(&site, "games", &["rollback", "--yes", "-m", "5xx"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    run(&site, "bin", &["converge", "--yes"]).ends(0);
    run(&site, "root", &["release"]).ends(0);
    let pin = |subject: &'static str| ["pin", subject, V11, "--reason", "x", "--yes"];
    refused(&site, "sys", &pin("enwiki"), "pin").says("for group2").says("hint: ask root");
    refused(&site, "sys", &pin("mw1017.eqiad.wmnet"), "pin").says("for group1, group2");
    run(&site, "sys", &pin("testwiki")).ends(0);
    assert_eq!(site.counts(), ".10: 6, .11: 1");
    refused(&site, "bin", &["rollback", "--yes"], "rollback");
}

#[test]
fn s09_nobody_loses_the_lock_to_somebody_who_may_not_have_it() {
    let site = Site::small(RULES);
    site.promote("group0", V11).ends(0);
    site.promote("group1", V11).ends(0);
    let mut holds = Running::start(&site, &["lock", "-m", "moving the deploy host"]);
    holds.says("Ctrl-C unlocks");
    refused(&site, "www-data", &["rollback", "--yes"], "rollback");
    refused(&site, "daemon", &["rollback", "--yes"], "rollback").says("for group1").hides("took over");
    refused(&site, "bin", &["converge", "--take-over", "--yes"], "take-over");
    refused(&site, "bin", &["unlock"], "take-over");
    site.run(&["status"]).ends(0).says("moving the deploy host");
    // It takes no right to take over to go back.
    run(&site, "games", &["rollback", "--yes"]).ends(0).says("took over from root@");
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn s09_who_began_it_does_not_approve_it_where_a_second_person_is_demanded() {
    let site = gated::site("wave: 1ms, group: 1ms, max: 1h, watch: 0s", &["name: manager, kind: approval"]);
    let text = fs::read_to_string(site.path("groups.yaml")).expect("it is there");
    site.write("groups.yaml", &(text + &RULES.replace("policy:\n", "policy:\n  second_person: true\n")));
    let mut waits = Running::start(&site, &["promote", "group0", V11, "--yes", "-m", "train"]);
    waits.says("pointsman approve r2 -m WHY");
    let own = run(&site, "root", &["approve", "r2", "-m", "looks good"]).ends(10);
    own.says("root began it, and groups.yaml:")
        .says("demands that a second person approves")
        .says("ask members of games");
    refused(&site, "daemon", &["approve", "r2", "-m", "looks good"], "approve");
    site.run(&["status"]).ends(0).says("approvals: 1");
    assert_eq!(refusals(&site), 2);
    run(&site, "games", &["approve", "r2", "-m", "looks good"]).ends(0).says("r2: manager is approved");
    waits.ends(0);
    site.run(&["show", "r2"]).ends(0).says("approved by games@");
    let overruled = ["promote", "group1", V11, "--yes", "-m", "x", "--override", "manager=in a hurry"];
    run(&site, "root", &overruled).ends(10).says("waits for a second person").says("nobody overrules it");
    // No is a word that the first may say too.
    let mut waits = Running::start(&site, &["promote", "group1", V11, "--yes", "-m", "train"]);
    waits.says("pointsman deny r3 -m WHY");
    run(&site, "root", &["deny", "r3", "-m", "not before Monday"]).ends(0);
    waits.ends(3);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn s09_a_playbook_is_refused_before_its_first_stage_and_approved_by_another() {
    let site = Site::small(&RULES.replace("policy:\n", "policy:\n  second_person: true\n"));
    let stage =
        |group: &str| format!("  - name: {group}\n    promote: {{group: {group}, version: {V11}, message: train}}\n");
    let ask = "  - name: sure\n    approve: {text: go on, within: 1h}\n";
    site.write("playbooks/two.yaml", &format!("name: two\nstages:\n{}{}", stage("group0"), stage("group1")));
    site.write("playbooks/one.yaml", &format!("name: one\nstages:\n{ask}{}", stage("group0")));
    refused(&site, "daemon", &["run", "two"], "promote").says("for group1");
    refused(&site, "daemon", &["run", "one", "--override-freeze", "x"], "override");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["resume"]).ends(2).says("no playbook is unfinished");
    let mut runs = command(&site, "daemon", &["run", "one"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(runs.stderr.take().expect("it is piped")).lines();
    let waits = said.any(|line| line.expect("text").contains("pointsman approve p1"));
    assert!(waits, "it ended before its first stage");
    refused(&site, "daemon", &["approve", "p1", "-m", "x"], "approve");
    run(&site, "root", &["approve", "p1", "-m", "looks good"]).ends(0).says("p1: sure is approved");
    said.for_each(drop);
    assert!(runs.wait().expect("it ends").success());
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn s09_a_doctor_says_what_one_may_do() {
    let site = Site::small(RULES);
    let of = |user: &str| run(&site, user, &["doctor"]);
    of("root").says(
        "rights: root may promote, rollback, sync, pin, repair, approve, force, override, take-over for every group",
    );
    of("daemon").says("rights: daemon may promote, rollback, repair for group0");
    of("games").says("rights: games may rollback, repair, approve for every group");
    of("www-data").says("rights: www-data may do nothing").says("looking needs none");
    Site::small("").run(&["doctor"]).hides("rights:");
}

fn give(path: &Path, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).expect("only root can do this");
    if fs::symlink_metadata(path).expect("it is there").is_dir() {
        fs::read_dir(path).expect("it is listed").for_each(|entry| give(&entry.expect("it is listed").path(), uid));
    }
}

/// Another user altogether, whose site and books it is; so that nothing of the above hangs on an effective id of root.
#[test]
fn s09_the_same_holds_for_another_user_in_everything() {
    let site = Site::small(RULES);
    let (program, runtime) = (site.path("pointsman"), site.path("runtime"));
    fs::copy(env!("CARGO_BIN_EXE_pointsman"), &program).expect("copied");
    fs::create_dir(&runtime).expect("made");
    fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).expect("chmod");
    give(&site.path(""), 1);
    chown(site.path("groups.yaml"), Some(0), Some(0)).expect("root's");
    let daemon = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "daemon", "--regid", "daemon", "--init-groups"]).arg(&program).arg("-C");
        command.arg(site.path("")).args(arguments).envs(SPOOFED).env("XDG_RUNTIME_DIR", &runtime);
        ran(command.current_dir("/").stdin(Stdio::null()), arguments)
    };
    daemon(&["promote", "group1", V11, "--yes", "-m", "x"]).ends(10).says("daemon has no right `promote` for group1");
    daemon(&["promote", "group0", V11, "--yes", "-m", "x"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    daemon(&["rollback", "--yes"]).ends(0);
    daemon(&["release"]).ends(10);
    assert_eq!(site.counts(), ".10: 7");
}
