//! How a site begins: a groups.yaml out of what is there, and a doctor's look at it.

use crate::site::{Ran, Site, V10, V11, ran};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What was there before pointsman: the repository's dblists, a map, an inventory.
fn before() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a directory is made");
    let lists = home.path().join("dblists");
    fs::create_dir(&lists).expect("made");
    for list in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dblists")).expect("the repository has them") {
        let list = list.expect("listed").path();
        fs::copy(&list, lists.join(list.file_name().expect("it has a name"))).expect("copied");
    }
    let map = format!("{{\"enwiki\": \"php-{V10}\", \"dewiki\": \"php-{V10}\", \"labswiki\": \"php-1.27.0-wmf.9\"}}");
    fs::write(home.path().join("wikiversions.json"), map).expect("written");
    let inventory =
        "[appservers]\nmw[2001:2012].codfw.wmnet\n[canaries]\nmw2001.codfw.wmnet\n[databases]\ndb1.eqiad.wmnet\n";
    fs::write(home.path().join("inventory.ini"), inventory).expect("written");
    home
}

fn at(home: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    ran(command.arg("-C").arg(home).args(arguments).stdin(Stdio::null()), arguments)
}

#[test]
fn init_writes_what_config_check_reads() {
    let home = before();
    let ran = at(home.path(), &["init"]).ends(0);
    assert_eq!(ran.stdout, "13 hosts; group0 5 wikis, group1 594 wikis, group2 295 wikis\n");
    at(home.path(), &["config", "check"]).ends(0).says("13 hosts; group0 5 wikis, group1 594 wikis, group2 295 wikis");
    let text = fs::read_to_string(home.path().join("groups.yaml")).expect("it was written");
    assert!(text.contains("  - name: \"mw2001.codfw.wmnet\"\n    roles: [canary, appserver]\n"), "{text}");
    assert!(text.contains("  - name: \"db1.eqiad.wmnet\"\n    roles: [other]\n"), "{text}");
    assert!(text.contains("#   - {wiki: labswiki, version: \"1.27.0-wmf.9\""), "{text}");
    // Once more: it is left alone, whatever is in it.
    fs::write(home.path().join("groups.yaml"), "mine").expect("written");
    at(home.path(), &["init"]).ends(2).says("is there already and was left alone");
    assert_eq!(fs::read_to_string(home.path().join("groups.yaml")).expect("there"), "mine");
}

#[test]
fn init_says_what_is_missing_and_where_it_is_wrong() {
    let home = before();
    fs::remove_file(home.path().join("inventory.ini")).expect("removed");
    at(home.path(), &["init"]).ends(2).says("there is no list of hosts here: neither hosts.txt nor an inventory");
    fs::write(home.path().join("list"), "mw1\n-oProxyCommand=touch\n").expect("written");
    at(home.path(), &["init", "--hosts", "list"]).ends(2).says("list:2:1: `-oProxyCommand=touch`: not a host name");
    fs::write(home.path().join("list"), "# nobody\n").expect("written");
    at(home.path(), &["init", "--hosts", "list"]).ends(2).says("list names no host");
    fs::write(home.path().join("wikiversions.json"), "{\"enwiki\": 3}").expect("written");
    at(home.path(), &["init", "--hosts", "list"]).ends(2).says("wikiversions.json: it is not an object of texts");
    fs::write(home.path().join("dblists/new.dblist"), "enwiki\nUPPER\n").expect("written");
    at(home.path(), &["init", "--hosts", "list"]).ends(2).says("new.dblist:2:1: ");
    let empty = tempfile::tempdir().expect("a directory is made");
    at(empty.path(), &["init"]).ends(2).says("there are no wikis here");
    assert!(!home.path().join("groups.yaml").exists());
}

#[test]
fn s22_init_reads_no_file_that_others_may_write() {
    let home = before();
    let inventory = home.path().join("inventory.ini");
    fs::set_permissions(&inventory, fs::Permissions::from_mode(0o666)).expect("chmod");
    at(home.path(), &["init"]).ends(2).says("inventory.ini: it cannot be read: it is writable by everybody");
}

#[test]
fn a_doctor_looks_before_the_first_sync_and_after() {
    let site = Site::unsynced("");
    let books = site.path("books");
    let ran =
        site.run(&["doctor"]).ends(0).says("none yet; the first sync makes them").says("staging has 3 version trees");
    assert!(ran.stdout.contains("mw[1017-1019].eqiad.wmnet: "), "hosts are folded: {ran}");
    assert!(!books.join("books.sqlite").exists(), "it made books");
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
    let ran = site.run(&["doctor"]).ends(0).says("ok    mw[1017-1019].eqiad.wmnet: answers");
    assert!(ran.stdout.contains("warn  gates: groups.yaml has no gates"), "{ran}");
    site.promote("group0", V11).ends(0);
    site.run(&["doctor"]).ends(0);
}

#[test]
fn a_doctor_names_what_would_fail() {
    let more = "\
hooks: {build: [sh, build.sh], depool: [/nowhere/depool]}
gates:
  - name: edits
    kind: threshold
    source: {prometheus: \"http://127.0.0.1:9\", query: up}
    success: '< 10'
";
    let site = Site::small(more);
    fs::remove_dir_all(site.host(&site.hosts()[2])).expect("ours");
    let ran = site.run(&["doctor"]).ends(1);
    ran.says("BAD   tools: the hook depool can't be run: /nowhere/depool")
        .says("BAD   mw1019.eqiad.wmnet: ")
        .says("BAD   gates: edits can't be asked: ")
        .says("3 things to mend first: gates, hosts, tools");
    // Only the host.
    site.edit(", depool: [/nowhere/depool]", "");
    let text = fs::read_to_string(site.path("groups.yaml")).expect("there");
    site.write("groups.yaml", &text[..text.find("gates:").expect("it has gates")]);
    site.run(&["doctor"]).ends(7);
    let ran = site.run(&["doctor", "--json"]).ends(7);
    let bad = ran.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let bad: Vec<_> = bad.filter(|finding| finding["grade"] == "bad").collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert_eq!((&bad[0]["part"], &bad[0]["hosts"][0]), (&"hosts".into(), &"mw1019.eqiad.wmnet".into()));
}
