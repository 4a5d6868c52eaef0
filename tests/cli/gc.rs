//! `gc`: what hosts and the deploy host keep, and what goes.

use crate::site::{Site, V10, V11, ran};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

const V12: &str = "1.27.0-wmf.12";
const GROUPS: [&str; 3] = ["group0", "group1", "group2"];

/// A fleet that was moved twice; the first version left staging.
fn moved() -> Site {
    let site = Site::small("");
    GROUPS.iter().for_each(|group| drop(site.promote(group, V11).ends(0)));
    site.cut(V12);
    site.run(&["sync-common", "--from-staging", "--yes"]).ends(0);
    GROUPS.iter().for_each(|group| drop(site.promote(group, V12).ends(0)));
    fs::remove_dir_all(site.path("staging").join(format!("php-{V10}"))).expect("it was there");
    site.run(&["sync-common", "--from-staging", "--yes"]).ends(0);
    site
}

fn held(site: &Site, version: &str) -> usize {
    site.hosts().iter().filter(|host| site.served(host, &format!("php-{version}")).exists()).count()
}

/// Files of the deploy host's store.
fn kept(site: &Site) -> usize {
    let in_dir = |path: &Path| fs::read_dir(path).expect("it is there").map(|entry| entry.expect("listed").path());
    in_dir(&site.path("books/content/files")).flat_map(|directory| in_dir(&directory).collect::<Vec<_>>()).count()
}

#[test]
fn hosts_lose_what_nobody_needs_and_a_rollback_needs_no_repair() {
    let site = moved();
    let all = site.hosts().len();
    assert_eq!([held(&site, V10), held(&site, V11), held(&site, V12)], [all; 3]);
    let before = site.digest();
    site.run(&["gc", "--dry-run"]).ends(0).says("hosts keep").hides(V10);
    assert_eq!(site.digest(), before, "a dry run changes not one byte");
    site.run(&["gc", "--yes"]).ends(0).says(&format!("removed {V10}"));
    assert_eq!([held(&site, V10), held(&site, V11), held(&site, V12)], [0, all, all]);
    site.run(&["check"]).ends(0);
    site.run(&["gc", "--yes"]).ends(0).hides("removed 1");
    site.run(&["rollback", "--yes"]).ends(0).hides("repairing");
    assert!(site.counts().starts_with(".11"), "{}", site.counts());
}

#[test]
fn a_pinned_version_stays() {
    let site = moved();
    let host = site.hosts()[0].clone();
    site.run(&["pin", &host, V11, "--reason", "a look", "--yes"]).ends(0);
    site.cut("1.27.0-wmf.13");
    fs::remove_dir_all(site.path("staging").join(format!("php-{V11}"))).expect("it was there");
    site.run(&["sync-common", "--from-staging", "--yes"]).ends(0);
    site.run(&["gc", "--yes"]).ends(0);
    assert!(site.served(&host, &format!("php-{V11}")).exists());
    site.run(&["check"]).ends(0);
}

#[test]
fn the_deploy_host_keeps_what_can_still_be_wanted() {
    let site = moved();
    let before = kept(&site);
    site.run(&["gc", "--yes", "--keep", "1ms"]).ends(0).says("removed here: 0 files");
    assert_eq!(kept(&site), before, "what was just taken in is young");
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    for entry in fs::read_dir(site.path("books/content/manifests")).expect("it is there") {
        let file = fs::File::open(entry.expect("listed").path()).expect("it opens");
        file.set_modified(long_ago).expect("its time is set");
    }
    site.run(&["gc", "--yes"]).ends(0).says("removed here: 0 files");
    site.run(&["gc", "--yes", "--keep", "1ms"]).ends(0).hides("removed here: 0 files");
    assert!(kept(&site) < before);
    // A host that lost everything is repaired from what is left, and the way back is whole.
    let host = site.hosts()[0].clone();
    site.empty_host(&host);
    site.run(&["converge", "--yes"]).ends(0);
    site.run(&["rollback", "--yes"]).ends(0);
    site.run(&["check"]).ends(0);
}

#[test]
fn of_the_programs_of_earlier_agents_a_host_keeps_the_newest() {
    let site = Site::unsynced_on("mw1017", "");
    site.run(&["sync-common", "--from-staging", "--yes"]).ends(0);
    // A host that is a directory is served by the program that asks, which is an agent for its name only.
    let (programs, name) = (site.path("programs"), |n: u64| format!("agent-{n:064x}"));
    fs::create_dir(&programs).expect("made");
    for n in 1..=4 {
        let file = fs::File::create(programs.join(name(n))).expect("made");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(n)).expect("its time is set");
    }
    fs::copy(env!("CARGO_BIN_EXE_pointsman"), programs.join(name(0))).expect("copied");
    let arguments = ["gc", "--yes"];
    let mut command = Command::new(programs.join(name(0)));
    ran(command.arg("-C").arg(site.path("")).args(arguments), &arguments).ends(0).says("2 earlier agents");
    assert_eq!([0, 1, 2, 3, 4].map(|n| programs.join(name(n)).exists()), [true, false, false, true, true]);
}
