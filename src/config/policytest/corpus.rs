//! Bad policy tests and what is said of them: each is the good one below with one thing changed.

use super::parse;
use expect_test::{Expect, expect};
use std::io;
use std::path::Path;

const GOOD: &str = r#"name: the way back takes one pass
incident: small.yaml
chapter: back
policy: groups.yaml
expect:
  - {act: rollback, is: done, repaired: mw2020.codfw.wmnet, lacked: cache/l10n, within: 5m}
  - {act: promote group1, nth: 2, is: held, because: blocker}
  - {never: forward}
  - {served: group1, at_most: 0m}
"#;

const INCIDENT: &str = r#"name: small
title: a release with a new error
version: 1.27.0-wmf.11
from: 2016-01-20T10:00:00Z
to: 2016-01-20T16:00:00Z
map: {group0: 1.27.0-wmf.10, group1: 1.27.0-wmf.10}
site: groups.yaml
chapters: [{name: train, from: 2016-01-20T10:00:00Z}, {name: back, from: 2016-01-20T14:00:00Z}]
events: [{at: 2016-01-20T10:05:00Z, promote: group0, to: 1.27.0-wmf.11}]
"#;

const SITE: &str = r#"deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
configuration: [wmf-config]
wikis: [testwiki, enwiki]
groups: [{name: group0, wikis: [testwiki]}, {name: group1, wikis: [enwiki]}]
hosts: [{name: "mw[2018-2020].codfw.wmnet", roles: [appserver], datacenter: codfw}]
"#;

const PLAYBOOK: &str =
    "name: train\nstages: [{name: one, promote: {group: group0, version: 1.27.0-wmf.11, message: x}}]\n";

fn read(path: &Path) -> io::Result<String> {
    match path.to_str().unwrap_or_default() {
        "small.yaml" => Ok(INCIDENT.to_owned()),
        "bad.yaml" => Ok(INCIDENT.replace("version: 1.27.0-wmf.11", "version: latest")),
        "groups.yaml" => Ok(SITE.to_owned()),
        "train.yaml" => Ok(PLAYBOOK.to_owned()),
        "other.yaml" => Ok(PLAYBOOK.replace("promote", "promot")),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn said(text: &str) -> String {
    match parse(Path::new("small.test.yaml"), text, &read) {
        Ok(_) => "good".to_owned(),
        Err(mistakes) => mistakes.to_string(),
    }
}

/// What is said when `from` is replaced by `to`.
fn check(from: &str, to: &str, want: Expect) {
    assert!(GOOD.contains(from), "{from}");
    want.assert_eq(&said(&GOOD.replacen(from, to, 1)));
}

#[test]
fn the_good_one_is_good_and_so_is_one_with_its_incident_inside() {
    assert_eq!(said(GOOD), "good");
    let inside: String = INCIDENT.lines().map(|line| format!("  {line}\n")).collect();
    assert_eq!(said(&GOOD.replace("incident: small.yaml\n", &format!("given:\n{inside}"))), "good");
    assert_eq!(said(&GOOD.replace("policy: groups.yaml", "playbook: train.yaml")), "good");
}

#[test]
fn a_test_that_names_what_is_not_there() {
    check(
        "small.yaml",
        "missing.yaml",
        expect![[r#"
        small.test.yaml:2:11: missing.yaml cannot be read: entity not found
          hint: an incident beside this file, or its keys below `given:`"#]],
    );
    check(
        "small.yaml",
        "bad.yaml",
        expect!["bad.yaml:3:10: `latest` is not a version: a version starts with three numbers, as in `1.27.0-wmf.11`"],
    );
    check(
        "incident: small.yaml\n",
        "",
        expect![[r#"
        small.test.yaml:1:1: a policy test has one incident
          hint: `incident: FILE`, or the keys of one below `given:`"#]],
    );
    check(
        "incident: small.yaml\n",
        "incident: small.yaml\ngiven: {name: x}\n",
        expect![[r#"
        small.test.yaml:1:1: a policy test has one incident
          hint: `incident: FILE`, or the keys of one below `given:`"#]],
    );
}

#[test]
fn a_test_whose_chapter_or_policy_is_not_there() {
    check(
        "chapter: back",
        "chapter: bak",
        expect![[r#"
        small.test.yaml:3:10: the incident has no chapter `bak`
          hint: did you mean `back`?"#]],
    );
    check(
        "chapter: back\n",
        "",
        expect![[r#"
        small.test.yaml:1:1: the incident has several chapters: a test is about one
          hint: `chapter:` with one of train, back"#]],
    );
    check(
        "policy: groups.yaml",
        "policy: missing.yaml",
        expect![[r#"
            small.test.yaml:4:9: missing.yaml cannot be read: entity not found
              hint: a groups.yaml beside this file"#]],
    );
    check(
        "policy: groups.yaml",
        "playbook: other.yaml",
        expect![[r#"
        other.yaml:2:22: `promot` is not a verb
          hint: did you mean `promote`?"#]],
    );
    check(
        "policy: groups.yaml",
        "playbook: train.yaml\nvars: [a]",
        expect!["small.test.yaml:5:7: `vars` must be a mapping of names to texts"],
    );
    check(
        "name: the way back takes one pass\n",
        "",
        expect!["small.test.yaml:1:1: `name` is missing in a policy test"],
    );
    check(
        "chapter",
        "chapters",
        expect![[r#"
        small.test.yaml:1:1: the incident has several chapters: a test is about one
          hint: `chapter:` with one of train, back
        small.test.yaml:3:1: `chapters` is not a key of a policy test
          hint: did you mean `chapter`?"#]],
    );
}

#[test]
fn a_test_that_can_not_fail() {
    let (head, _) = GOOD.split_once("  - ").expect("a list");
    expect!["small.test.yaml:5:9: a test that expects nothing always passes"]
        .assert_eq(&said(&head.replace("expect:", "expect: []")));
    expect!["small.test.yaml:1:1: `expect` is missing in a policy test"]
        .assert_eq(&said(&head.replace("expect:\n", "")));
    check(
        "because: blocker",
        "because: \"\"",
        expect!["small.test.yaml:7:54: every text has an empty one in it: nothing is expected so"],
    );
}

#[test]
fn expectations_that_can_not_be_meant() {
    check(
        "{act: rollback,",
        "{",
        expect![[r#"
        small.test.yaml:6:5: nothing is expected here
          hint: one of act, never, served"#]],
    );
    check(
        "{never: forward}",
        "{never: forward, served: group1}",
        expect![[r#"
        small.test.yaml:8:5: an expectation is about one thing
          hint: one of act, never, served"#]],
    );
    check(
        "{never: forward}",
        "{never: forwards}",
        expect![[r#"
        small.test.yaml:8:13: `forwards` is not known here
          hint: did you mean `forward`?"#]],
    );
    check(
        "{never: forward}",
        "{never: forward, is: done}",
        expect![[r#"
        small.test.yaml:8:22: `is` is not a key of `never`
          hint: the keys of `never` are never"#]],
    );
    check(
        "{never: forward}",
        "{is: done}",
        expect![[r#"
        small.test.yaml:8:5: nothing is expected here
          hint: one of act, never, served"#]],
    );
}

#[test]
fn undertakings_that_are_none() {
    check(
        "act: promote group1",
        "act: promote group7",
        expect![[r#"
        small.test.yaml:7:11: the incident has no `group7` to promote
          hint: did you mean `group0`?"#]],
    );
    check(
        "act: promote group1",
        "act: promotes group1",
        expect![[r#"
        small.test.yaml:7:11: `promotes group1` is nothing that is undertaken
          hint: did you mean `promote`?"#]],
    );
    check("nth: 2", "nth: 0", expect!["small.test.yaml:7:32: `nth` counts from 1"]);
    check(
        "is: held",
        "is: rolled back",
        expect![[r#"
        small.test.yaml:7:39: `rolled back` is not known here
          hint: did you mean `rolled-back`?"#]],
    );
    check("repaired: mw2020.codfw.wmnet, ", "", expect!["small.test.yaml:6:39: `lacked` goes with `repaired: HOST`"]);
    check(
        "repaired: mw2020.codfw.wmnet",
        "repaired: mw2021.codfw.wmnet",
        expect![[r#"
        small.test.yaml:6:41: the incident has no host `mw2021.codfw.wmnet`
          hint: did you mean `mw2020.codfw.wmnet`?"#]],
    );
    check(
        "within: 5m",
        "within: 5",
        expect![[r#"
        small.test.yaml:6:89: `5` is not a duration
          hint: a number and a unit, as in `500ms`, `10s`, `5m`, `2h` or `30d`, at most a year"#]],
    );
    check(
        "served: group1",
        "served: group5",
        expect![[r#"
        small.test.yaml:9:14: the incident has no group `group5`
          hint: did you mean `group0`?"#]],
    );
    check(", at_most: 0m", "", expect!["small.test.yaml:9:5: `at_most` is missing in `served`"]);
}
