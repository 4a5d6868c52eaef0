//! Exit codes over real runs, and the words that come with them.

use crate::gated::Running;
use crate::site::{Site, V9, V10, V11};
use std::io::{BufRead, BufReader};

#[test]
fn what_cannot_be_meant_is_2_and_says_what_is_near() {
    let site = Site::small("");
    for (arguments, words) in [
        (vec!["promote", "group4", V11, "-m", "x", "--yes"], "group4"),
        (vec!["promote", "group1", "1.27.0-wmf.12", "-m", "x", "--yes"], "1.27.0-wmf.12"),
        (vec!["promote", "group1", "1.40-0-wmf.4", "-m", "x", "--yes"], "1.40-0-wmf.4"),
        (vec!["promote", "group1", "1.32.0.18", "-m", "x", "--yes"], "1.32.0.18"),
        (vec!["promote", "group1", "../../etc", "-m", "x", "--yes"], "../../etc"),
        (vec!["promote", "group1", V11, "-m", "x", "--again"], "--reason"),
        (vec!["promote", "group1", V11, "-m", "x", "--again", "--reason", " "], "--reason is empty"),
        (vec!["promote", "group1", V11], "--message"),
        (vec!["rollback", "--yes"], "no promotion that could be taken back"),
        (vec!["rollback", "--to", "s99", "--yes"], "no snapshot s99"),
        (vec!["converge", "--forward", "--yes"], "no promotion is unfinished"),
        (vec!["converge", "mw1020.eqiad.wmnet", "--yes"], "mw1020.eqiad.wmnet"),
        (vec!["check", "1.27.0-wmf.12"], "never synced"),
        (vec!["pin", "mw1020.eqiad.wmnet", V9, "--reason", "x", "--yes"], "did you mean"),
        (vec!["unpin", "enwiki", "--yes"], "is not pinned"),
        (vec!["undo", "--yes"], "was the first sync"),
        (vec!["show", "r99"], "no r99"),
        (vec!["sync-file", "../secret", "-m", "x", "--yes"], "can't be synced"),
        (vec!["no-such-command"], "no-such-command"),
    ] {
        site.run(&arguments).ends(2).says(words);
    }
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_groups_file_with_mistakes_is_2_and_names_all_of_them() {
    let site = Site::unsynced("");
    site.edit("configuration:", "configurations: [x]\nconfiguration:");
    site.edit("\"testwiki\", \"cawiki\"", "\"testwiki\", \"nowiki\", \"cawiki\"");
    site.run(&["config", "check"]).ends(2).says("configurations").says("groups.yaml:2:1").says("nowiki");
    site.run(&["promote", "group0", V11, "-m", "x", "--yes"]).ends(2).says("groups.yaml:2:1");

    let site = Site::unsynced("hooks: {build: [sh, build.sh]}\nhooks: {build: [true]}\n");
    site.run(&["config", "check"]).ends(2).says("hooks").says("twice");
    let nowhere = site.path("nowhere");
    let mut elsewhere = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
    crate::site::ran(elsewhere.arg("-C").arg(nowhere).arg("status"), &["status"]).ends(2).says("there is no such file");
}

#[test]
fn nobody_there_to_confirm_is_4_and_nothing_moves() {
    let site = Site::small("");
    let before = site.counts();
    for arguments in [vec!["promote", "group0", V11, "-m", "x"], vec!["pin", "enwiki", V11, "--reason", "x"]] {
        site.run(&arguments).ends(4).says("there is no terminal").says("--yes");
        assert_eq!(site.counts(), before);
    }
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    site.run(&["sync-common", "--from-staging"]).ends(4).says("nothing was changed");
    // The rest is not asked about: a rollback waits for nobody.
    site.promote("group0", V11).ends(0);
    site.run(&["rollback"]).ends(0);
    assert_eq!(site.counts(), before);
}

#[test]
fn before_the_first_sync_there_is_nothing_to_promote() {
    let site = Site::unsynced("");
    site.promote("group0", V11).ends(4).says("pointsman sync-common --from-staging");
}

#[test]
fn a_living_lock_is_5_a_dead_one_is_not_and_a_rollback_waits_for_nobody() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    let mut holder = site.start(&["lock", "-m", "moving the deploy host"]);
    let mut said = BufReader::new(holder.stderr.take().expect("it is piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says that it holds the lock");
    assert!(line.contains("locked: moving the deploy host"), "{line}");

    site.promote("group1", V11).ends(5).says("moving the deploy host").says("--take-over");
    site.run(&["hold", "-m", "x"]).ends(5);
    site.run(&["status"]).ends(0).says("moving the deploy host");
    site.run(&["check"]).ends(0);
    site.run(&["rollback", "--yes"]).ends(0).says("took over from");
    assert_eq!(site.counts(), ".10: 7");
    holder.kill().expect("it is killed");
    holder.wait().expect("it ended");

    let mut holder = site.start(&["lock", "-m", "again"]);
    let mut said = BufReader::new(holder.stderr.take().expect("it is piped"));
    said.read_line(&mut String::new()).expect("it says that it holds the lock");
    holder.kill().expect("it is killed");
    holder.wait().expect("it ended");
    site.run(&["release"]).ends(0);
}

#[test]
fn a_lock_that_was_taken_away_ends_with_5_by_itself() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    for taking in [&["unlock", "-m", "ori went home"][..], &["rollback", "--yes"]] {
        let mut holder = Running::start(&site, &["lock", "-m", "moving the deploy host"]);
        holder.says("locked: moving the deploy host");
        site.run(taking).ends(0);
        let said = holder.ends(5);
        assert!(said.contains("somebody took the lock away") && said.contains("hint: pointsman status"), "{said}");
        assert!(!said.contains("unlocked"), "{said}");
    }
}

#[test]
fn a_missing_host_is_7_for_a_promotion_and_8_for_a_rollback() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    let [gone, others @ ..] = site.hosts() else { panic!("there are hosts") };
    std::fs::rename(site.host(gone), site.path("away")).expect("moved");
    let said = site.promote("group1", V11).ends(7).says("nothing was switched: 1 host is not ready");
    assert!(said.stdout.contains(&format!("{gone}: ")), "{said}");
    assert!(others.iter().all(|host| site.map(host)["hewiki"] == V10), "nothing was switched");

    site.run(&["rollback", "--yes"]).ends(8).says("owed").says(gone);
    assert!(others.iter().all(|host| site.map(host)["testwiki"] == V10), "the others went back");
    std::fs::rename(site.path("away"), site.host(gone)).expect("moved");
    assert_eq!(site.map(gone)["testwiki"], V11);
    site.run(&["rollback", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_hold_and_a_version_that_was_taken_back_are_10() {
    let site = Site::small("");
    site.run(&["hold", "-m", "database switchover"]).ends(0);
    site.promote("group0", V11).ends(10).says("database switchover").says("pointsman release");
    site.run(&["release"]).ends(0);
    site.promote("group0", V11).ends(0);
    site.run(&["rollback", "--yes", "-m", "5xx"]).ends(0);
    site.promote("group0", V11).ends(10).says("5xx");
    site.run(&["release"]).ends(0);
    site.promote("group0", V11).ends(10).says("5xx").says("--again --reason");
    site.promote("group0", V9).ends(0);
}

#[test]
fn a_fleet_that_was_taken_back_is_3() {
    let site = Site::small("hooks: {build: [sh, build.sh], restart: [sh, -c, '! grep -q wmf.11 wikiversions.php']}\n");
    let said = site.promote("group0", V11).ends(3).says("restart hook failed").says("brought back");
    assert!(said.stderr.contains(&site.hosts()[0]) || said.stdout.contains(&site.hosts()[0]), "{said}");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["status"]).ends(0).hides("unfinished").says("stale: none");
    site.run(&["history", "-n", "2"]).ends(0).says("went back");
    site.promote("group0", V11).ends(10).says("--again --reason");
}
