//! Replays of the incident in docs/replay.md, which is small, and of its variants.

use crate::docs::blocks;
use crate::site::{Ran, ran};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The incident of the documentation as `small.yaml`, and a test of it as `small.test.yaml`.
pub fn documented() -> TempDir {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/replay.md");
    let blocks = blocks(&fs::read_to_string(docs).expect("it is there"));
    let [(_, incident), (_, test)] = blocks.as_slice() else { panic!("two examples, not {}", blocks.len()) };
    let home = tempfile::tempdir().expect("a directory");
    fs::write(home.path().join("small.yaml"), incident).expect("it can be written");
    fs::write(home.path().join("shipped.txt"), test).expect("it can be written");
    home
}

/// Runs the program in a directory.
pub fn run(home: &TempDir, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    ran(command.current_dir(home.path()).args(arguments), arguments)
}

/// Replaces what must be there.
#[track_caller]
pub fn edit(home: &TempDir, name: &str, old: &str, new: &str) {
    let file = home.path().join(name);
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.contains(old), "{old}");
    fs::write(file, text.replace(old, new)).expect("it can be written");
}

/// The undertakings of a chapter as JSON has them: `promote group0 1.27.0-wmf.11 rolled-back`.
fn acts(said: &Ran, chapter: usize) -> Vec<String> {
    let played: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    let acts = played["chapters"][chapter]["acts"].as_array().expect("there are acts").clone();
    let word = |act: &Value, key: &str| act[key].as_str().expect("a text").to_owned();
    acts.iter().map(|act| format!("{} {}", word(act, "what"), word(act, "end"))).collect()
}

#[test]
fn two_columns_tell_what_happened_and_what_pointsman_would_have_done() {
    let home = documented();
    let before: Vec<_> = fs::read_dir(home.path()).expect("it can be listed").collect();
    let said = run(&home, &["replay", "small.yaml", "--chapter", "back"]).ends(0);
    expect_test::expect![[r#"
        small: a release with a new error, and a host that was installed anew

        == back: from 2016-01-20T14:00:00Z to 2016-01-20T16:00:00Z, with pointsman
                 what happened                                     | what pointsman would have done
        2016-01-20
        14:10:00 all wikis are moved to 1.27.0-wmf.10 (assumed)    |
        14:10:01                                                   | mw2020.codfw.wmnet wmf-config was never proven;
                                                                   | php-1.27.0-wmf.10 was never proven, and
                                                                   | cache/l10n has 0 of 3 files: repaired before it
                                                                   | is switched
        14:10:06                                                   | rollback: done: group0: 1 wiki 1.27.0-wmf.11 ->
                                                                   | 1.27.0-wmf.10, group1: 1 wiki 1.27.0-wmf.11 ->
                                                                   | 1.27.0-wmf.10; 4 of 4 hosts proven
        14:20:00 all wikis are moved to 1.27.0-wmf.11 (assumed)    |
        14:20:00                                                   | there is no reason for this: l10n does not show
        14:25:00 mw2020.codfw.wmnet is repaired (assumed)          |
        14:25:00                                                   | there is no reason for this: l10n does not show
        14:30:00 all wikis are moved to 1.27.0-wmf.10 (assumed)    |
        14:30:00                                                   | nothing to take back: no wiki is wanted at
                                                                   | 1.27.0-wmf.11

        group0 served it for 20 min; with pointsman 10 min 5 s: 9 min 55 s saved
        group1 served it for 20 min; with pointsman 10 min 5 s: 9 min 55 s saved
    "#]]
    .assert_eq(&said.stdout);
    assert_eq!(said.stderr, "");
    let after: Vec<_> = fs::read_dir(home.path()).expect("it can be listed").collect();
    assert_eq!(before.len(), after.len(), "nothing is written");
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 110), "{said}");
}

#[test]
fn the_same_file_gives_the_same_result_as_text_as_json_and_as_a_page() {
    let home = documented();
    let first = run(&home, &["replay", "small.yaml", "--json", "--html", "small.html"]).ends(0);
    let again = run(&home, &["replay", "small.yaml", "--json"]).ends(0);
    assert_eq!(first.stdout, again.stdout);
    assert_eq!(
        acts(&first, 0),
        [
            "promote group0 1.27.0-wmf.11 rolled-back",
            "promote group1 1.27.0-wmf.11 held",
            "promote group1 1.27.0-wmf.11 held",
            "repair mw2020.codfw.wmnet done",
        ]
    );
    assert_eq!(acts(&first, 1), ["rollback done"]);
    let page = fs::read_to_string(home.path().join("small.html")).expect("it was written");
    assert!(page.contains("default-src 'none'") && page.contains("cache/l10n has 0 of 3 files"), "{page}");
}

#[test]
fn another_policy_decides_otherwise() {
    let home = documented();
    let site = fs::read_to_string(home.path().join("small.yaml")).expect("it is there");
    let (_, site) = site.split_once("site:").expect("it is inline");
    let (site, _) = site.split_once("\nchapters:").expect("chapters follow");
    let lines: Vec<&str> = site.lines().skip(1).map(|line| line.strip_prefix("  ").expect("it is indented")).collect();
    let site = lines.join("\n");
    let (without, _) = site.split_once("gates:").expect("it has gates");
    fs::write(home.path().join("groups.yaml"), without).expect("it can be written");
    let said = run(&home, &["replay", "small.yaml", "--policy", "groups.yaml", "--json", "--chapter", "train"]).ends(0);
    let acts = acts(&said, 0);
    assert_eq!(acts[..2], ["promote group0 1.27.0-wmf.11 promoted", "promote group1 1.27.0-wmf.11 promoted"], "{said}");
}

#[test]
fn a_playbook_stands_in_for_the_promotions() {
    let home = documented();
    let playbook = "name: train\nvariables:\n  version: {type: version}\nstages:\n  \
        - {name: first, promote: {group: group0, version: $version, message: train}, on_fail: rollback}\n  \
        - {name: wait, soak: {time: 30m}, on_fail: rollback}\n  \
        - {name: second, promote: {group: group1, version: $version, message: train}, on_fail: rollback}\n";
    fs::write(home.path().join("train.yaml"), playbook).expect("it can be written");
    let arguments = ["replay", "small.yaml", "--playbook", "train.yaml", "--chapter", "train"];
    run(&home, &arguments).ends(2).says("version");
    let said = run(&home, &[&arguments[..], &["--var", "version=1.27.0-wmf.11", "--json"]].concat()).ends(0);
    // The last promotion is the people's of 14:20, who went forward again.
    let expected = [
        "promote group0 1.27.0-wmf.11 rolled-back",
        "promote group1 1.27.0-wmf.11 held",
        "repair mw2020.codfw.wmnet done",
    ];
    assert_eq!(acts(&said, 0), expected, "{said}");
}

#[test]
fn what_is_not_there_is_said() {
    let home = documented();
    run(&home, &["replay", "smal.yaml"]).ends(2).says("smal.yaml");
    run(&home, &["replay", "small.yaml", "--chapter", "bac"]).ends(2).says("did you mean `back`?");
    run(&home, &["replay", "small.yaml", "--policy", "missing.yaml"]).ends(2).says("missing.yaml");
    edit(&home, "small.yaml", "promote: group0", "promote: group7");
    run(&home, &["replay", "small.yaml"]).ends(2).says("small.yaml:25:41: the incident has no group `group7`");
}
