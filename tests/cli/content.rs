//! Content: single files, whole trees, and the way back.

use crate::site::{Site, V10};
use std::fs;

const SETTINGS: &str = "wmf-config/InitialiseSettings.php";

#[track_caller]
fn everywhere(site: &Site, name: &str, text: Option<&str>) {
    for host in site.hosts() {
        let found = fs::read_to_string(site.served(host, name)).ok();
        assert_eq!(found.as_deref(), text, "{host}: {name}");
    }
}

#[test]
fn one_file_goes_alone_and_comes_back_with_undo() {
    let site = Site::small("");
    let (old, new) = ("<?php\n$wmgLog = true;\n", "<?php\n$wmgLog = false;\n");
    site.stage(SETTINGS, new);
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    site.run(&["sync-file", SETTINGS, "--yes", "-m", "the log channel is off"]).ends(0).says("InitialiseSettings.php");
    everywhere(&site, SETTINGS, Some(new));
    everywhere(&site, "wmf-config/limits.json", Some("{\"a\": 1}\n"));

    site.stage("wmf-config/limits.json", "{\"a\": 1}\n");
    site.run(&["sync-common", "--from-staging", "--yes"]).ends(0).says("holds what the books want already");
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    site.run(&["undo", "--yes"]).ends(0);
    everywhere(&site, SETTINGS, Some(old));
    let again = site.run(&["sync-common", "--from-staging", "--dry-run"]).ends(0);
    assert!(again.stderr.contains("2 changed"), "staging differs in both files: {again}");
    site.run(&["sync-common", "--from-staging", "--yes"]).ends(0);
    everywhere(&site, SETTINGS, Some(new));
    everywhere(&site, "wmf-config/limits.json", Some("{\"a\": 2}\n"));
}

#[test]
fn a_directory_goes_whole_with_what_is_new_and_what_is_gone() {
    let site = Site::small("");
    let tree = format!("php-{V10}");
    site.stage(&format!("{tree}/includes/Cookie.php"), "<?php\n");
    fs::remove_file(site.path(&format!("staging/{tree}/includes/Session.php"))).expect("removed");
    site.stage(&format!("{tree}/index.php"), "<?php // staged, not synced\n");
    site.run(&["sync-file", &format!("{tree}/includes"), "--yes", "-m", "fix"]).ends(0);
    everywhere(&site, &format!("{tree}/includes/Cookie.php"), Some("<?php\n"));
    everywhere(&site, &format!("{tree}/includes/Session.php"), None);
    everywhere(&site, &format!("{tree}/index.php"), Some(&format!("<?php\n$wgVersion = '{V10}';\n")));
    site.run(&["check"]).ends(0);
}

#[test]
fn a_staging_that_lacks_much_is_refused_unless_it_is_meant() {
    let site = Site::small("");
    let lost = |n: usize| format!("wmf-config/db/shard{n}.php");
    (0..8).for_each(|n| site.stage(&lost(n), "<?php\n"));
    site.run(&["sync-common", "--from-staging", "--yes"]).ends(0);
    fs::remove_dir_all(site.path("staging/wmf-config/db")).expect("removed");
    let refused = site.run(&["sync-common", "--from-staging", "--yes"]).ends(10).says("lacks 8 of 10 files");
    assert!(refused.stderr.contains("--delete"), "{refused}");
    site.run(&["sync-common", "--from-staging", "--dry-run"]).ends(10);
    site.run(&["sync-file", "wmf-config/db", "--yes", "-m", "gone"]).ends(10);
    everywhere(&site, &lost(7), Some("<?php\n"));
    fs::remove_dir_all(site.path("staging/wmf-config")).expect("removed");
    fs::create_dir(site.path("staging/wmf-config")).expect("made");
    let empty = site.run(&["sync-common", "--from-staging", "--yes", "--delete", "-m", "tidied up"]);
    assert_ne!(empty.code, 0, "an empty source is never meant: {empty}");
    everywhere(&site, &lost(7), Some("<?php\n"));
    site.stage(SETTINGS, "<?php\n$wmgLog = true;\n");
    site.run(&["sync-common", "--from-staging", "--yes", "--delete", "-m", "tidied up"]).ends(0);
    everywhere(&site, &lost(7), None);
    site.run(&["undo", "--yes"]).ends(0);
    everywhere(&site, &lost(7), Some("<?php\n"));
}

#[test]
fn what_a_host_builds_is_built_again_when_its_input_changes() {
    let site = Site::small("");
    let (input, built) = (format!("php-{V10}/i18n/he.json"), format!("php-{V10}/cache/l10n/he.json"));
    site.stage(&input, "{\"login\": \"new\"}\n");
    site.run(&["sync-file", &input, "--yes", "-m", "words"]).ends(0);
    everywhere(&site, &built, Some("{\"login\": \"new\"}\n"));
}

#[test]
fn what_leaves_staging_or_does_not_parse_is_refused_before_anything() {
    let site = Site::small("");
    site.write("outside.php", "<?php\n");
    for (name, text) in [("broken.json", "{\"a\": "), ("broken.yaml", "a: [1,\n"), ("broken.php", "<?php\nif (\n")] {
        site.stage(&format!("wmf-config/{name}"), text);
    }
    site.stage("private/key", "secret\n");
    let outside = site.path("outside.php").to_string_lossy().into_owned();
    let before = site.digest();
    for (path, words) in [
        ("../outside.php", "can't be synced"),
        ("wmf-config/../../outside.php", "can't be synced"),
        (outside.as_str(), "leaves staging"),
        ("/etc/passwd", "leaves staging"),
        ("private/key", "groups.yaml does not name"),
        ("wikiversions.json", "not a path inside a version tree"),
        ("wmf-config/nowhere.php", "there is no `nowhere.php`"),
        ("wmf-config/broken.json", "broken.json: EOF"),
        ("wmf-config/broken.yaml", "broken.yaml: "),
        ("wmf-config/broken.php", "broken.php: Parse error: Unclosed"),
    ] {
        site.run(&["sync-file", path, "--yes", "-m", "x"]).ends(2).says(words);
    }
    assert_eq!(site.digest(), before, "nothing was changed");
}
