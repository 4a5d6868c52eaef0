//! Bad configuration files and what is said of them: each is the good one below with one thing changed.

mod meaning;
mod monitoring;
mod notified;
mod probes;
mod rights;
mod watched;

use super::parse;
use expect_test::{Expect, expect};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const GOOD: &str = r#"deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
configuration: [wmf-config]
wikis: {dblist: dblists/all.dblist}
groups:
  - name: group0
    wikis: [testwiki]
  - name: group1
    expression: "%% all.dblist - group0.dblist - wikipedia.dblist"
  - name: group2
    dblist: dblists/wikipedia.dblist
hosts:
  - name: mw[2001-2003].codfw.wmnet
    roles: [appserver]
    datacenter: codfw
  - {name: mw1017.eqiad.wmnet, roles: [debug], datacenter: eqiad, user: deploy, port: 22, address: 10.0.0.1}
pins:
  - {wiki: labswiki, version: "1.27.0-wmf.9", reason: by hand, owner: labs, until: "2016-02-01"}
hooks: {build: [./build], restart: [systemctl, restart, php]}
artefacts: [{path: cache/l10n, files: 449, inputs: [languages/i18n]}]
limits: {parallel_hosts_max: 64, stale_hosts_max: 0}
ssh: {config: own, kex: curve25519-sha256}
"#;

fn read(path: &Path) -> io::Result<String> {
    let files = BTreeMap::from([
        ("dblists/all.dblist", "testwiki\nlabswiki\ncommonswiki\nenwiki\ndewiki\n"),
        ("dblists/group0.dblist", "testwiki\n"),
        ("dblists/wikipedia.dblist", "enwiki\ndewiki\n"),
        ("dblists/bad.dblist", "enwiki\nEnwiki\n"),
        ("dblists/more.dblist", "enwiki\ndewiki\nfrwiki\n"),
        ("dblists/less.dblist", "enwiki\n"),
        ("dblists/empty.dblist", "# nothing\n"),
    ]);
    files.get(path.to_str().unwrap_or_default()).map(|text| text.to_string()).ok_or(io::ErrorKind::NotFound.into())
}

fn said(text: &str) -> String {
    match parse(Path::new("groups.yaml"), text, &read) {
        Ok(_) => "good".to_owned(),
        Err(mistakes) => mistakes.to_string(),
    }
}

/// What is said when `from` is replaced by `to`.
pub fn check(from: &str, to: &str, want: Expect) {
    assert!(GOOD.contains(from), "{from}");
    want.assert_eq(&said(&GOOD.replacen(from, to, 1)));
}

/// What is said of each file of one kind in `tests/fixtures/invalid`; none of them is good, and nothing said is a control
/// character. A new file is a new mistake: `UPDATE_EXPECT=1` writes down what is said of it, to be read in the diff.
pub fn files(kind: &str, said: impl Fn(&str) -> String) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/invalid").join(kind);
    let listed = std::fs::read_dir(directory).expect("it is there");
    let mut paths: Vec<_> = listed.map(|entry| entry.expect("it is listed").path()).collect();
    paths.sort();
    let mut all = String::new();
    for path in paths {
        let said = said(&std::fs::read_to_string(&path).expect("it is text"));
        assert_ne!(said, "good", "{}", path.display());
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{}", path.display());
        all += &format!("{}\n", path.file_stem().expect("it has a name").display());
        said.lines().for_each(|line| all += &format!("    {line}\n"));
    }
    all
}

#[test]
fn every_bad_file_is_refused_as_it_is_written_down() {
    expect_test::expect_file!["../../tests/fixtures/invalid/groups.txt"].assert_eq(&files("groups", said));
}

#[test]
fn the_good_one_is_good_and_each_key_is_needed_or_known() {
    expect!["good"].assert_eq(&said(GOOD));
    check(
        "pins:",
        "pins: []\nignored:",
        expect![[r#"
            groups.yaml:17:1: `ignored` is not a key of groups.yaml
              hint: the keys of groups.yaml are deploy, configuration, wikis, groups, hosts, pins, hooks, artefacts, limits, ssh, gates, soak, web, environments, mirrors, notify, policy"#]],
    );
    check("ssh: {config: own, kex: curve25519-sha256}", "ssh:", expect!["good"]);
}

#[test]
fn broken_yaml_ends_the_reading() {
    check("deploy: {", "deploy: {{", expect!["groups.yaml:1:10: this is not valid YAML: expected string scalar"]);
    check(
        "groups:\n",
        "groups:\n\t- x\n",
        expect!["groups.yaml:5:2: this is not valid YAML: tabs disallowed within this context (block indentation)"],
    );
    check(
        "roles: [debug]",
        "roles: [debug",
        expect!["groups.yaml:15:39: this is not valid YAML: mismatched bracket '[' closed by '}'"],
    );
    check(
        "  - name: group0",
        "  - name: &a group0",
        expect![[r#"
        groups.yaml:5:14: anchors (`&name`) and aliases (`*name`) are not allowed
          hint: write the value out"#]],
    );
    check(
        "name: group1",
        "name: *a",
        expect!["groups.yaml:7:11: this is not valid YAML: alias references unknown anchor"],
    );
    check(
        "name: group1",
        "name: !secret group1",
        expect!["groups.yaml:7:19: this is not valid YAML: unsupported tag `!secret`"],
    );
    check(
        "ssh: {config",
        "---\nssh: {config",
        expect![[r#"
            groups.yaml:21:1: a second document begins here; one file is one document
              hint: remove the `---`"#]],
    );
    check(
        "ssh: {config: own",
        &format!("ssh: {}{}\nx: {{config: own", "[".repeat(40), "]".repeat(40)),
        expect!["groups.yaml:21:37: nested deeper than 32 levels"],
    );
    expect![[r#"
        groups.yaml:1:1: groups.yaml must be a mapping of keys to values
          hint: its keys are deploy, configuration, wikis, groups, hosts, pins, hooks, artefacts, limits, ssh, gates, soak, web, environments, mirrors, notify, policy"#]]
    .assert_eq(&said(""));
    expect![[r#"
        groups.yaml:1:1: groups.yaml must be a mapping of keys to values
          hint: its keys are deploy, configuration, wikis, groups, hosts, pins, hooks, artefacts, limits, ssh, gates, soak, web, environments, mirrors, notify, policy"#]]
    .assert_eq(&said("- a\n- b\n"));
    expect![[r#"
        groups.yaml: it is larger than 1048576 bytes
          hint: keep lists of wikis in dblist files beside it"#]]
    .assert_eq(&said(&"x".repeat((1 << 20) + 1)));
}

#[test]
fn s14_doubled_keys_are_refused_where_they_stand() {
    check(
        "limits: {",
        "groups:\n  - {name: group9, wikis: [testwiki]}\nlimits: {",
        expect![[r#"
        groups.yaml:20:1: the key `groups` stands twice; the first is in line 4
          hint: keep one of the two: which one was meant, no reader can know"#]],
    );
    check(
        "roles: [debug],",
        "roles: [debug], roles: [canary],",
        expect![[r#"
        groups.yaml:15:48: the key `roles` stands twice; the first is in line 15
          hint: keep one of the two: which one was meant, no reader can know"#]],
    );
    check(
        "    datacenter: codfw",
        "    datacenter: codfw\n    \"datacenter\": eqiad",
        expect![[r#"
        groups.yaml:15:5: the key `datacenter` stands twice; the first is in line 14
          hint: keep one of the two: which one was meant, no reader can know"#]],
    );
    check(
        "  - name: group0",
        "  - <<: {name: x}\n    name: group0",
        expect![[r#"
        groups.yaml:5:5: `<<` is not a key of a group
          hint: the keys of a group are name, wikis, dblist, expression"#]],
    );
}

#[test]
fn s15_texts_are_texts() {
    check(
        "\"1.27.0-wmf.9\"",
        "1.10",
        expect![[r#"
        groups.yaml:17:31: `1.10` without quotes is not a text in YAML
          hint: write "1.10", in quotes"#]],
    );
    check(
        "\"1.27.0-wmf.9\"",
        "1",
        expect![[r#"
        groups.yaml:17:31: `1` without quotes is not a text in YAML
          hint: write "1", in quotes"#]],
    );
    check(
        "name: group0",
        "name: no",
        expect![[r#"
        groups.yaml:5:11: `no` without quotes is not a text in YAML
          hint: write "no", in quotes"#]],
    );
    check(
        "[testwiki]",
        "[testwiki, off]",
        expect![[r#"
        groups.yaml:6:23: `off` without quotes is not a text in YAML
          hint: write "off", in quotes"#]],
    );
    check(
        "datacenter: codfw",
        "datacenter: 0o10",
        expect![[r#"
        groups.yaml:14:17: `0o10` without quotes is not a text in YAML
          hint: write "0o10", in quotes"#]],
    );
    check("datacenter: codfw", "datacenter: ~", expect!["groups.yaml:12:5: `datacenter` is missing in a host"]);
    check("owner: labs", "owner: [labs]", expect!["groups.yaml:17:71: a text must stand here, not a list"]);
    check(
        "files: 449",
        "files: \"449\"",
        expect![[r#"
        groups.yaml:19:39: a number stands without quotes
          hint: write 449"#]],
    );
    check("files: 449", "files: 4.5", expect!["groups.yaml:19:39: a whole number in decimal digits must stand here"]);
    check("files: 449", "files: 0x10", expect!["groups.yaml:19:39: a whole number in decimal digits must stand here"]);
    check(
        "[./build]",
        "./build --all",
        expect![[r#"
        groups.yaml:18:16: a hook is a list of arguments, not one text
          hint: write it as a list of arguments, no shell reads it: [./build, --all]"#]],
    );
}

#[test]
fn unknown_keys_name_the_nearest() {
    check(
        "hosts:",
        "host:",
        expect![[r#"
        groups.yaml:1:1: `hosts` is missing in groups.yaml
        groups.yaml:11:1: `host` is not a key of groups.yaml
          hint: did you mean `hosts`?"#]],
    );
    check(
        "datacenter: codfw",
        "datacentre: codfw",
        expect![[r#"
        groups.yaml:12:5: `datacenter` is missing in a host
        groups.yaml:14:5: `datacentre` is not a key of a host
          hint: did you mean `datacenter`?"#]],
    );
    check(
        "stale_hosts_max",
        "stale_host_max",
        expect![[r#"
        groups.yaml:20:34: `stale_host_max` is not a key of `limits`
          hint: did you mean `stale_hosts_max`?"#]],
    );
    check(
        "kex:",
        "ciphers:",
        expect![[r#"
            groups.yaml:21:20: `ciphers` is not a key of `ssh`
              hint: the keys of `ssh` are config, kex, keep"#]],
    );
    check(
        "dblist: dblists/all.dblist",
        "file: dblists/all.dblist",
        expect![[r#"
        groups.yaml:3:8: `dblist` is missing in `wikis`
        groups.yaml:3:9: `file` is not a key of `wikis`
          hint: the keys of `wikis` are dblist"#]],
    );
}

#[test]
fn all_mistakes_are_said_at_once() {
    let text = GOOD
        .replacen("root: /srv", "rot: /srv", 1)
        .replacen("name: group0", "name: no", 1)
        .replacen("roles: [debug]", "roles: [debg]", 1)
        .replacen("1.27.0-wmf.9", "1.27", 1)
        .replacen("stale_hosts_max: 0", "stale_hosts_max: -1", 1)
        .replacen("dblists/wikipedia.dblist", "dblists/bad.dblist", 1);
    expect![[r#"
        groups.yaml:1:9: `root` is missing in `deploy`
        groups.yaml:1:10: `rot` is not a key of `deploy`
          hint: did you mean `root`?
        groups.yaml:5:11: `no` without quotes is not a text in YAML
          hint: write "no", in quotes
        groups.yaml:15:40: `debg` is not a role
          hint: did you mean `debug`?
        groups.yaml:17:31: `1.27` is not a version: a version starts with three numbers, as in `1.27.0-wmf.11`
        groups.yaml:20:51: a whole number in decimal digits must stand here
        dblists/bad.dblist:2:1: `Enwiki` is not a wiki: only lower case letters, digits, `_` and `-` may stand in it"#]]
    .assert_eq(&said(&text));
}

#[test]
fn s12_control_characters_of_a_file_do_not_reach_the_terminal() {
    check(
        "[testwiki]",
        "[\"test\\e]0;owned\\awiki\"]",
        expect![[
            r#"groups.yaml:6:13: `test\u{1b}]0;owned\u{7}wiki` is not a wiki: only lower case letters, digits, `_` and `-` may stand in it"#
        ]],
    );
}

#[test]
fn each_key_of_the_schema_is_read_and_each_misspelling_refused() {
    // A value that no key accepts is noted at that key only when the reader looks at it.
    use crate::config::raw::*;
    let sections: [(&str, &str, &[&str]); 8] = [
        ("deploy: {", "deploy: {", Deploy::KEYS),
        ("  - name: group0\n", "  - ", GroupEntry::KEYS),
        ("  - {name: mw1017.eqiad.wmnet,", "  - {", HostEntry::KEYS),
        ("  - {wiki: labswiki,", "  - {", PinEntry::KEYS),
        ("hooks: {", "hooks: {", HooksEntry::KEYS),
        ("artefacts: [{", "artefacts: [{", ArtefactEntry::KEYS),
        ("limits: {", "limits: {", LimitsEntry::KEYS),
        ("ssh: {", "ssh: {", SshEntry::KEYS),
    ];
    for (from, to, keys) in sections {
        for key in keys {
            let separator = if from.ends_with('\n') { "\n" } else { ", " };
            let with = |key: &str| said(&GOOD.replacen(from, &format!("{to}{key}: {{q: 1}}{separator}"), 1));
            let known = with(key);
            let noted = ["must", "list of arguments", "is not a duration"].iter().any(|words| known.contains(words));
            assert!(noted, "{key}: {known}");
            assert!(!known.contains("is not a key"), "{key}: {known}");
            let unknown = with(&format!("{key}x"));
            assert!(unknown.contains(&format!("did you mean `{key}`?")), "{key}: {unknown}");
        }
    }
}

/// Why groups.yaml is not read with `serde_yaml`: into a map, the second of two equal keys silently wins there.
#[test]
fn serde_yaml_lets_a_doubled_group_pass_and_this_reader_does_not() {
    let text = "group0: [testwiki]\ngroup1: [commonswiki]\ngroup1: [enwiki]\n";
    let theirs: BTreeMap<String, Vec<String>> = serde_yaml::from_str(text).expect("serde_yaml lets it pass");
    assert_eq!(theirs["group1"], ["enwiki"], "the first group1 is gone without a word");
    let mut sink = crate::config::diagnostic::Sink::new(Path::new("groups.yaml"));
    let tree = crate::config::yaml::read(text, &mut sink);
    expect![[r#"
        groups.yaml:3:1: the key `group1` stands twice; the first is in line 2
          hint: keep one of the two: which one was meant, no reader can know"#]]
    .assert_eq(&sink.finish(tree.map(|_| ())).expect_err("a mistake").to_string());
}

/// Rule S14: bombs and deep nesting are refused before they cost anything.
#[test]
fn s14_bombs_are_refused() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        bomb.push_str(&format!("{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n"));
    }
    expect![[r#"
        groups.yaml:1:7: anchors (`&name`) and aliases (`*name`) are not allowed
          hint: write the value out"#]]
    .assert_eq(&said(&bomb));
    expect!["groups.yaml:1:133: nested deeper than 32 levels"]
        .assert_eq(&said(&format!("deploy: {}", "{a: ".repeat(10_000))));
    expect![[r#"
        groups.yaml:1:80003: it has more than 40000 keys and values
          hint: keep lists of wikis in dblist files beside it"#]]
    .assert_eq(&said(&format!("wikis: [{}]", "a,".repeat(150_000))));
}

/// Rule S1: two hundred names that ssh, a shell or a path would take for something else.
#[test]
fn s01_hostile_host_names_are_refused_with_line_and_column() {
    let marks = "-;&|$`'\"\\<>(){}*?!#~%^=+:,@/\t\n\r\0\u{1b}\u{7f}\u{202e}_AZ\u{e9}".chars();
    let mut names: Vec<String> = marks
        .flat_map(|c| [format!("{c}host"), format!("ho{c};st"), format!("a{c}.b"), format!("{c}"), format!("..{c}x")])
        .collect();
    names.extend(["-oProxyCommand=touch x", "--", "-", "a..b", ".a", "a.", "user@host", "[::1]"].map(str::to_owned));
    assert!(names.len() >= 200, "{}", names.len());
    for name in names {
        let quoted = serde_json::to_string(&name).expect("a text").replace('\u{7f}', "\\u007f");
        let said = said(&GOOD.replacen("mw1017.eqiad.wmnet", &quoted, 1));
        assert!(said.starts_with("groups.yaml:15:12: "), "{name:?}: {said}");
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{name:?}: {said}");
    }
}

/// Rule S1: the same for login names, which ssh takes as an argument too.
#[test]
fn s01_hostile_login_names_are_refused_with_line_and_column() {
    let column = GOOD.lines().nth(14).and_then(|line| line.find("deploy,")).expect("the host has a login") + 1;
    let marks = "-;&|$`'\"\\<>(){}*?!#~%^=+:,@/.\t\n\r\0\u{1b}\u{7f}\u{202e} AZ\u{e9}".chars();
    let mut names: Vec<String> = marks.flat_map(|c| [format!("{c};"), format!("ro{c}.ot"), format!("${c}")]).collect();
    names.extend(
        ["-oProxyCommand=touch x", "-l", "", "$[+]\ntouch x", "%r", "root ", "r\u{f6}\u{f6}t"].map(str::to_owned),
    );
    assert!(names.len() >= 100, "{}", names.len());
    for name in names {
        let quoted = serde_json::to_string(&name).expect("a text").replace('\u{7f}', "\\u007f");
        let said = said(&GOOD.replacen("user: deploy", &format!("user: {quoted}"), 1));
        assert!(said.starts_with(&format!("groups.yaml:15:{column}: ")), "{name:?}: {said}");
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{name:?}: {said}");
    }
}

proptest::proptest! {
    #[test]
    fn s14_any_damage_to_a_file_is_answered(at in 0..GOOD.len(), gone in 0usize..30, new in "[ -~\n\t\u{e9}]{0,12}") {
        let end = (at + gone).min(GOOD.len());
        let _ = said(&format!("{}{new}{}", &GOOD[..at], &GOOD[end..]));
    }
}
