//! Dry runs and offline plans: what they show, and that not one byte moves.

use crate::site::{Site, V9, V10, V11, ran};
use std::fs;
use std::process::Command;

fn acting(more: &[&str]) -> Vec<Vec<String>> {
    let commands: [&[&str]; 11] = [
        &["promote", "group1", V11, "-m", "x"],
        &["rollback"],
        &["rollback", "group0"],
        &["rollback", "--to", "s1"],
        &["rollback", "--from-fleet"],
        &["converge"],
        &["sync-common"],
        &["sync-common", "--from-staging"],
        &["sync-file", "wmf-config/limits.json", "-m", "x"],
        &["pin", "mw1017.eqiad.wmnet", V9, "--reason", "x"],
        &["unpin", "enwiki"],
    ];
    commands.iter().map(|words| words.iter().chain(more).map(|word| (*word).to_owned()).collect()).collect()
}

/// A site with a promotion, a pin, an undone sync and a change in staging.
fn lived_in() -> Site {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    site.run(&["pin", "enwiki", V9, "--reason", "x", "--yes"]).ends(0);
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    site
}

#[test]
fn a_dry_run_of_every_command_that_acts_changes_not_one_byte() {
    let site = lived_in();
    let before = site.digest();
    for arguments in acting(&["--dry-run"]) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        site.run(&arguments).ends(0).says("dry run: nothing was changed");
        let after = site.digest();
        let moved: Vec<_> = after.iter().filter(|(path, what)| before.get(*path) != Some(what)).collect();
        assert!(moved.is_empty() && after.len() == before.len(), "{arguments:?}: {moved:?}");
    }
    for arguments in
        [vec!["status"], vec!["status", "--live"], vec!["history"], vec!["show", "r1"], vec!["journal", "verify"]]
    {
        site.run(&arguments).ends(0);
        assert_eq!(site.digest(), before, "{arguments:?}");
    }
}

#[test]
fn a_dry_run_before_there_are_books_makes_none() {
    let site = Site::unsynced("");
    let before = site.digest();
    site.run(&["sync-common", "--from-staging", "--dry-run"]);
    site.run(&["promote", "group0", V11, "-m", "x", "--dry-run"]);
    site.run(&["status"]);
    assert_eq!(site.digest(), before);
}

#[test]
fn a_dry_run_names_the_hosts_that_would_stop_it() {
    let site = lived_in();
    let host = &site.hosts()[2];
    fs::remove_dir_all(site.served(host, &format!("php-{V10}/cache"))).expect("removed");
    let said = site.run(&["promote", "group1", V11, "-m", "x", "--dry-run"]).ends(7);
    assert!(said.stdout.contains(host) && said.stdout.contains("cache/l10n"), "{said}");
}

#[test]
fn a_view_plans_offline_and_prints_the_same_changes() {
    let site = lived_in();
    let view = site.run(&["status", "--live", "--json"]).ends(0).stdout;
    let online = site.run(&["promote", "group1", V11, "-m", "x", "--dry-run"]).ends(0).stdout;
    let elsewhere = tempfile::tempdir().expect("a directory");
    fs::copy(site.path("groups.yaml"), elsewhere.path().join("groups.yaml")).expect("copied");
    fs::write(elsewhere.path().join("view.json"), view).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.current_dir(elsewhere.path()).args(["promote", "group1", V11, "-m", "x", "--view", "view.json"]);
    let offline = ran(&mut command, &["promote", "--view"]).ends(0).says("group1: 3 wikis").stdout;
    // A view has no journal to tell the time from.
    let changes = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("  time: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(changes(&offline), changes(&online));
    let left: Vec<_> = fs::read_dir(elsewhere.path()).expect("listed").collect();
    assert_eq!(left.len(), 2, "nothing was made there: {left:?}");
}

#[test]
fn a_live_status_and_a_view_name_a_host_without_the_marker() {
    let site = lived_in();
    let host = &site.hosts()[2];
    site.run(&["status", "--live"]).ends(0).says("as wanted by map and markers of now");
    let ready = site.host(host).join("var/lib/pointsman/ready");
    let marker = fs::read_dir(&ready).expect("listed").map(|entry| entry.expect("an entry").path());
    let marker = marker.filter(|path| path.to_string_lossy().contains(V11)).min().expect("a marker of the target");
    fs::rename(&marker, site.path("marker")).expect("moved away");
    let live = site.run(&["status", "--live"]).ends(0);
    assert!(live.stdout.contains(host.as_str()) && live.stdout.contains("stale: 1 host"), "{live}");
    fs::write(site.path("view.json"), site.run(&["status", "--live", "--json"]).ends(0).stdout).expect("written");
    let view = site.path("view.json").display().to_string();
    let planned = site.run(&["promote", "group1", V11, "-m", "x", "--view", &view]).ends(7);
    assert!(planned.stdout.contains(host.as_str()), "{planned}");
    fs::rename(site.path("marker"), &marker).expect("moved back");
    site.run(&["status", "--live"]).ends(0).says("stale: none");
}
