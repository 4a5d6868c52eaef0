//! Hosts one by one: what is wrong with them, in service or not, held on a version, and whose they are.

use crate::site::{Site, V9, V10, V11, ran};
use std::fs;
use std::process::Command;

#[test]
fn check_names_what_is_wrong_and_remembers_since_when() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    site.run(&["check"]).ends(0).says("3 of 3 hosts ready (L2)");
    site.run(&["check", "--deep"]).ends(0).says("3 of 3 hosts ready (L3)");
    let json = site.run(&["check", "--json"]).ends(0).stdout;
    assert_eq!(json.matches("\"level\":\"L2\"").count(), 3, "{json}");
    let host = site.hosts()[2].as_str();
    let lost = site.served(host, &format!("php-{V10}/cache/l10n/he.json"));
    fs::remove_file(&lost).expect("removed");
    let damaged = hosts_of(&site);

    let words = format!("php-{V10} lacks built artefacts: cache/l10n has 2 of 3 files");
    let first = site.run(&["check"]).ends(7).says(&words).says(&format!("type: pointsman sync-common {host}"));
    assert!(first.stdout.starts_with(&format!("{host}: ")) && first.stdout.lines().count() == 1, "{first}");
    assert_eq!(since(&first.stdout), since(&site.run(&["status"]).ends(0).says(&words).stdout));
    assert_eq!(since(&first.stdout), since(&site.run(&["check"]).ends(7).stdout), "since-when stays");
    site.run(&["check", "--hosts", &site.hosts()[0]]).ends(0).says("1 of 1 host ready (L2)");
    site.run(&["check", V11]).ends(0);
    assert_eq!(hosts_of(&site), damaged, "a check changes nothing on any host");

    site.promote("group1", V11).ends(7).says(&words);
    site.run(&["sync-common", host]).ends(0);
    assert!(lost.is_file());
    site.run(&["check"]).ends(0);
    site.run(&["status"]).ends(0).says("stale: none");
}

/// What the directories of hosts hold.
fn hosts_of(site: &Site) -> Vec<(std::path::PathBuf, String)> {
    site.digest().into_iter().filter(|(path, _)| path.starts_with(site.path("hosts"))).collect()
}

/// The moment in `since TIME (...)` of the line about built artefacts.
fn since(text: &str) -> String {
    let line = text.lines().find(|line| line.contains("lacks built artefacts")).expect("there is such a line");
    let (_, since) = line.split_once("since ").expect("it says since when");
    since.split(" (").next().expect("there is a first part").split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn live_hacks_are_found_by_the_index_and_by_reading() {
    let site = Site::small("");
    let host = site.hosts()[1].as_str();
    let hacked = site.served(host, &format!("php-{V10}/includes/Session.php"));
    fs::write(&hacked, "<?php // live hack\n").expect("written");
    site.run(&["check"]).ends(7).says("1 file changed").says("includes/Session.php");
    site.run(&["check", "--deep"]).ends(7).says("includes/Session.php");
    site.run(&["sync-common", host]).ends(0);
    assert_eq!(fs::read_to_string(&hacked).expect("it is there"), format!("<?php\n// of {V10}\n"));
    site.run(&["check", "--deep"]).ends(0);
}

fn pool_hooks(site: &Site) -> String {
    let log = site.path("pool.log");
    let hook = |verb: &str| format!("[sh, -c, 'echo {verb} $POINTSMAN_HOST >> \"$0\"', \"{}\"]", log.display());
    format!("hooks: {{build: [sh, build.sh], depool: {}, pool: {}}}", hook("depool"), hook("pool"))
}

#[test]
fn a_depooled_host_is_left_out_and_converged_before_it_comes_back() {
    let site = Site::small("");
    site.edit("hooks: {build: [sh, build.sh]}", &pool_hooks(&site));
    let host = site.hosts()[2].as_str();
    site.run(&["depool", host, "--reason", "being reinstalled"]).ends(0);
    let log = || fs::read_to_string(site.path("pool.log")).expect("a hook has run");
    assert_eq!(log(), format!("depool {host}\n"));
    site.run(&["status"]).ends(0).says("being reinstalled");

    site.promote("group0", V11).ends(8).says(&format!("pointsman pool {host}"));
    assert_eq!(site.map(host)["testwiki"], V10);
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V11);
    site.run(&["status"]).ends(0).says("owed: 1 host");

    site.run(&["pool", host]).ends(0).says("back in service");
    assert_eq!(site.map(host)["testwiki"], V11);
    assert_eq!(log(), format!("depool {host}\npool {host}\n"));
    let status = site.run(&["status"]).ends(0).says("owed: none").hides("depooled");
    assert!(status.stdout.contains("stale: none"), "{status}");
}

#[test]
fn a_host_that_cannot_be_converged_is_not_pooled() {
    let site = Site::small("");
    site.edit("hooks: {build: [sh, build.sh]}", &pool_hooks(&site));
    let host = site.hosts()[2].as_str();
    site.run(&["depool", host, "--reason", "x"]).ends(0);
    fs::rename(site.host(host), site.path("away")).expect("moved");
    site.run(&["pool", host]).ends(8).says(host).hides("back in service");
    assert_eq!(fs::read_to_string(site.path("pool.log")).expect("it is there"), format!("depool {host}\n"));
}

#[test]
fn a_rollback_takes_a_host_out_of_service_that_it_cannot_bring_back() {
    let site = Site::small("");
    site.edit("hooks: {build: [sh, build.sh]}", &pool_hooks(&site));
    let host = site.hosts()[2].as_str();
    site.promote("group0", V11).ends(0);
    fs::rename(site.host(host), site.path("away")).expect("moved");
    site.run(&["rollback"]).ends(8).says("depooled").says(host);
    assert_eq!(fs::read_to_string(site.path("pool.log")).expect("it is there"), format!("depool {host}\n"));
    fs::rename(site.path("away"), site.host(host)).expect("moved");
    site.run(&["pool", host]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_pinned_host_keeps_its_version_through_promotions_and_rollbacks() {
    let site = Site::small("");
    let (pinned, other) = (site.hosts()[0].as_str(), site.hosts()[1].as_str());
    site.run(&["pin", pinned, V9, "--reason", "debug", "--until", "2100-01-01", "--yes"]).ends(0);
    assert!(site.map(pinned).values().all(|version| version == V9));
    assert!(site.map(other).values().all(|version| version == V10));
    site.promote("group0", V11).ends(0).says(pinned);
    assert!(site.map(pinned).values().all(|version| version == V9));
    assert_eq!(site.map(other)["testwiki"], V11);
    site.run(&["rollback"]).ends(0);
    assert!(site.map(pinned).values().all(|version| version == V9));
    site.run(&["status"]).ends(0).says("debug").says("2100-01-01").says("hold: rollback");
    // While the hold stops promotions, one host may still go to the version that was taken back.
    site.promote("group0", V9).ends(10);
    site.run(&["pin", pinned, V11, "--reason", "debug", "--yes"]).ends(0);
    assert!(site.map(pinned).values().all(|version| version == V11));
    assert!(site.map(other).values().all(|version| version == V10));
    site.run(&["unpin", pinned, "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn an_expired_pin_changes_nothing_and_blocks_the_next_promotion() {
    let site = Site::small("");
    let pin = |until| site.run(&["pin", "enwiki", V9, "--reason", "x", "--until", until, "--yes"]);
    let before = site.digest();
    pin("2016-02-01").ends(2).says("2016-02-01 00:00 UTC is past: write a later time, or 14d from now");
    pin("0s").ends(2).says("is past");
    assert_eq!(site.digest(), before);
    pin("1ms").ends(0);
    site.promote("group0", V11).ends(4).says("enwiki").says("unpin");
    assert_eq!(site.counts(), ".9: 1, .10: 6");
    site.run(&["unpin", "enwiki", "--yes"]).ends(0);
    site.promote("group0", V11).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn a_host_of_other_books_obeys_only_once_it_is_adopted() {
    let site = Site::small("");
    let other = site.path("other");
    fs::create_dir(&other).expect("made");
    let yaml = fs::read_to_string(site.path("groups.yaml")).expect("it is there");
    let hosts = site.path("hosts").display().to_string();
    let yaml = yaml
        .replace("directory: hosts", &format!("directory: {hosts}"))
        .replace("staging: staging", "staging: ../staging");
    fs::write(other.join("groups.yaml"), yaml).expect("written");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        ran(command.arg("-C").arg(&other).args(arguments), arguments)
    };
    run(&["sync-common", "--from-staging", "--yes"]).ends(8).says("other books").says("pointsman hosts adopt");
    run(&["check"]).ends(7).says("other books");
    run(&["promote", "group0", V11, "-m", "x", "--yes"]).ends(7).says("other books");
    assert_eq!(site.counts(), ".10: 7");
    site.run(&["check"]).ends(0);

    run(&["hosts", "adopt", "all"]).ends(0);
    run(&["promote", "group0", V11, "-m", "x", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.promote("group1", V11).ends(7).says("other books");
}

#[test]
fn a_reinstalled_host_stops_a_promotion_and_is_repaired_by_the_rollback() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    let host = site.hosts()[2].as_str();
    fs::remove_dir_all(site.host(host)).expect("removed");
    site.empty_host(host);
    site.promote("group1", V11).ends(7).says(host).says("nothing was switched");
    site.run(&["rollback"]).ends(0).says(&format!("{host}: "));
    assert_eq!(site.counts(), ".10: 7");
    assert!(site.served(host, &format!("php-{V10}/cache/l10n/he.json")).is_file(), "built there");
    site.run(&["check", "--deep"]).ends(0);
}

#[test]
fn a_host_that_built_the_active_version_only_is_named_and_repaired() {
    let site = Site::small("");
    for group in ["group0", "group1", "group2"] {
        site.promote(group, V11).ends(0);
    }
    let host = site.hosts()[2].as_str();
    fs::remove_dir_all(site.served(host, &format!("php-{V10}/cache"))).expect("removed");
    site.run(&["check"]).ends(7).says(&format!("{host}: php-{V10} lacks built artefacts: cache/l10n has 0 of 3 files"));
    site.run(&["rollback"]).ends(0).says("repairing it");
    assert_eq!(site.counts(), ".10: 7");
    assert!(site.served(host, &format!("php-{V10}/cache/l10n/he.json")).is_file());
}

#[test]
fn agents_are_installed_by_name() {
    let site = Site::small("");
    site.run(&["agent", "install", "--hosts", "role:canary"]).ends(0).says("mw1018.eqiad.wmnet: agent").hides("mw1017");
    fs::rename(site.host("mw1018.eqiad.wmnet"), site.path("away")).expect("moved");
    site.run(&["agent", "install"]).ends(7).says("mw1018.eqiad.wmnet: ");
}
