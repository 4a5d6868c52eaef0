//! Bad incidents and what is said of them: each is the good one below with one thing changed.

use super::parse;
use expect_test::{Expect, expect};
use std::io;
use std::path::Path;

const GOOD: &str = r#"name: small
title: a release with a new error
version: 1.27.0-wmf.11
from: 2016-01-20T10:00:00Z
to: 2016-01-20T16:00:00Z
map: {group0: 1.27.0-wmf.10, group1: 1.27.0-wmf.10}
site: groups.yaml
chapters:
  - {name: train, from: 2016-01-20T10:00:00Z}
  - {name: back, from: 2016-01-20T14:00:00Z}
events:
  - {at: 2016-01-20T10:05:00Z, promote: group0, to: 1.27.0-wmf.11}
  - {at: 2016-01-20T12:40:00Z, host: mw2020.codfw.wmnet, is: unreachable}
  - {at: 2016-01-20T13:00:00Z, host: mw2020.codfw.wmnet, is: reinstalled, lacks: [1.27.0-wmf.10]}
  - {at: 2016-01-20T13:10:00Z, lost_pins: [labswiki]}
  - {at: 2016-01-20T14:10:00Z, rollback: all, to: 1.27.0-wmf.10, because: session}
  - {at: 2016-01-20T14:25:00Z, repair: mw2020.codfw.wmnet}
signals:
  - {name: session, errors: no session, per_minute: 2, cause: {version: 1.27.0-wmf.11}, after: 20m}
  - {name: load, series: [load], base: 1, value: 9, cause: {group: group1}}
"#;

const SITE: &str = r#"deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
configuration: [wmf-config]
wikis: [testwiki, labswiki, enwiki]
groups: [{name: group0, wikis: [testwiki]}, {name: group1, wikis: [labswiki, enwiki]}]
hosts: [{name: "mw[2018-2020].codfw.wmnet", roles: [appserver], datacenter: codfw}]
pins: [{wiki: labswiki, version: "1.27.0-wmf.9", reason: by hand, owner: labs}]
gates: [{name: load, kind: threshold, source: {graphite: "http://graphite", target: load}, failure: "> 9"}]
"#;

fn read(path: &Path) -> io::Result<String> {
    match path.to_str().unwrap_or_default() {
        "groups.yaml" => Ok(SITE.to_owned()),
        "bad.yaml" => Ok(SITE.replace("wikis: [testwiki]", "wikis: [testwikix]")),
        "elsewhere/good.yaml" => Ok(GOOD.replace("groups.yaml", "../groups.yaml")),
        "other.yaml" => Ok(GOOD.replace("signals:", "signal:")),
        "circle.yaml" => Ok("base: circle.yaml\n".to_owned()),
        "broken.yaml" => Ok("name: [\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn said(text: &str) -> String {
    match parse(Path::new("small.yaml"), text, &read) {
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
fn every_bad_file_is_refused_as_it_is_written_down() {
    let all = crate::config::corpus::files("incidents", said);
    expect_test::expect_file!["../../../tests/fixtures/invalid/incidents.txt"].assert_eq(&all);
}

#[test]
fn the_good_one_is_good() {
    assert_eq!(said(GOOD), "good");
}

#[test]
fn a_file_that_is_no_incident() {
    expect!["small.yaml:1:7: this is not valid YAML: unclosed bracket '['"].assert_eq(&said("name: [\n"));
    expect![[r#"
        small.yaml:1:1: an incident must be a mapping of keys to values
          hint: its keys are name, title, site, base, version, from, to, map, requests_per_minute, chapters, events, signals"#]].assert_eq(&said("- name\n"));
    check("name: small\n", "", expect!["small.yaml:1:1: `name` is missing in an incident"]);
    check(
        "title:",
        "titel:",
        expect![[r#"
        small.yaml:1:1: `title` is missing in an incident
        small.yaml:2:1: `titel` is not a key of an incident
          hint: did you mean `title`?"#]],
    );
    check(
        "version: 1.27.0-wmf.11\n",
        "version: latest\n",
        expect![
            "small.yaml:3:10: `latest` is not a version: a version starts with three numbers, as in `1.27.0-wmf.11`"
        ],
    );
    check("site: groups.yaml\n", "", expect!["small.yaml:1:1: `site` is missing in an incident"]);
}

#[test]
fn times_that_do_not_fit() {
    check(
        "from: 2016-01-20T10:00:00Z\nto",
        "from: yesterday\nto",
        expect![[r#"
        small.yaml:4:7: `yesterday` is not a time
          hint: as in `2016-01-23T01:16:00Z`"#]],
    );
    check(
        "to: 2016-01-20T16:00:00Z",
        "to: 2016-01-20T10:00:00Z",
        expect!["small.yaml:5:5: `to` must be later than `from`"],
    );
    check(
        "at: 2016-01-20T13:00:00Z",
        "at: 2016-01-20T12:00:00Z",
        expect!["small.yaml:14:5: 2016-01-20T12:00:00Z is before the event above: events stand in order of time"],
    );
    check(
        "at: 2016-01-20T14:25:00Z",
        "at: 2016-01-21T14:25:00Z",
        expect!["small.yaml:17:5: 2016-01-21T14:25:00Z is not within 2016-01-20T10:00:00Z to 2016-01-20T16:00:00Z"],
    );
    check(
        "back, from: 2016-01-20T14:00:00Z",
        "back, from: 2016-01-20T09:00:00Z",
        expect!["small.yaml:10:5: back must lie within the incident, and not before the chapter above"],
    );
    check(
        "14:00:00Z}",
        "14:00:00Z, to: 2016-01-20T13:59:00Z}",
        expect!["small.yaml:10:5: back must lie within the incident, and not before the chapter above"],
    );
    check("name: back", "name: train", expect!["small.yaml:10:5: there are two chapters train"]);
}

#[test]
fn what_the_site_does_not_have() {
    check(
        "groups.yaml",
        "missing.yaml",
        expect![[r#"
        small.yaml:7:7: missing.yaml cannot be read: entity not found
          hint: a groups.yaml beside this file, or its keys as a mapping"#]],
    );
    check(
        "groups.yaml",
        "bad.yaml",
        expect![[r#"
        bad.yaml:4:9: 1 wiki is in no group: testwiki
          hint: every wiki is in exactly one group
        bad.yaml:4:17: 1 wiki of `group0` is not in `wikis`: testwikix
          hint: did you mean `testwiki`?"#]],
    );
    check(
        "promote: group0",
        "promote: group3",
        expect![[r#"
        small.yaml:12:41: the incident has no group `group3`
          hint: did you mean `group0`?"#]],
    );
    check(
        "host: mw2020.codfw.wmnet, is: unreachable",
        "host: mw2021.codfw.wmnet, is: unreachable",
        expect![[r#"
        small.yaml:13:38: the incident has no host `mw2021.codfw.wmnet`
          hint: did you mean `mw2020.codfw.wmnet`?"#]],
    );
    check("[labswiki]", "[enwiki]", expect!["small.yaml:15:44: the incident has no pinned wiki `enwiki`"]);
    check(
        "because: session",
        "because: sesion",
        expect![[r#"
        small.yaml:16:75: the incident has no signal `sesion`
          hint: did you mean `session`?"#]],
    );
}

#[test]
fn groups_and_gates_that_the_site_does_not_have() {
    check(
        "group1: 1.27.0-wmf.10}",
        "group2: 1.27.0-wmf.10}",
        expect![[r#"
        small.yaml:6:6: the version of group1 is missing in `map`
        small.yaml:6:30: `group2` is not a key of `map`
          hint: did you mean `group0`?"#]],
    );
    check(
        "series: [load]",
        "series: [loads]",
        expect![[r#"
            small.yaml:20:27: the incident has no gate `loads`
              hint: did you mean `load`?"#]],
    );
    check(
        "{group: group1}",
        "{group: group9}",
        expect![[r#"
        small.yaml:20:68: the incident has no group `group9`
          hint: did you mean `group0`?"#]],
    );
    check(
        "{version: 1.27.0-wmf.11}",
        "{hosts: [mw1.codfw.wmnet]}",
        expect![[r#"
        small.yaml:19:72: the incident has no host `mw1.codfw.wmnet`
          hint: did you mean `mw2018.codfw.wmnet`?"#]],
    );
}

#[test]
fn events_that_say_nothing_or_too_much() {
    check(
        "promote: group0, to: 1.27.0-wmf.11",
        "text: hello",
        expect![[r#"
        small.yaml:12:5: this event does nothing
          hint: one of promote, rollback, repair, lost_pins, host, note"#]],
    );
    check(
        "promote: group0",
        "promote: group0, note: hello",
        expect![[r#"
        small.yaml:12:5: an event does one thing
          hint: one of promote, rollback, repair, lost_pins, host, note"#]],
    );
    check(
        "promote: group0, to: 1.27.0-wmf.11",
        "promote: group0",
        expect!["small.yaml:12:5: `to` is missing in an event"],
    );
    check(
        "is: unreachable",
        "is: broken",
        expect![[r#"
        small.yaml:13:62: `broken` is not known here
          hint: one of unreachable, up, reinstalled"#]],
    );
    check(
        "repair: mw2020.codfw.wmnet",
        "repair: mw2020.codfw.wmnet, lacks: [1.27.0-wmf.9]",
        expect!["small.yaml:17:5: `lacks` goes with host only"],
    );
    check(
        "repair: mw2020.codfw.wmnet",
        "repair: mw2020.codfw.wmnet, to: 1.27.0-wmf.9",
        expect!["small.yaml:17:5: `to` goes with promote and rollback only"],
    );
    check(
        "repair: mw2020.codfw.wmnet",
        "note: 7",
        expect![[r#"
        small.yaml:17:38: `7` without quotes is not a text in YAML
          hint: write "7", in quotes"#]],
    );
}

#[test]
fn signals_that_can_not_be_measured() {
    check(
        "errors: no session, ",
        "",
        expect![[r#"
            small.yaml:19:5: a signal shows one thing
              hint: `errors` with `per_minute`, or `series` with `base` and `value`, or `fails` with `text`"#]],
    );
    check(
        "errors: no session",
        "errors: no session, series: [load]",
        expect![[r#"
            small.yaml:19:5: a signal shows one thing
              hint: `errors` with `per_minute`, or `series` with `base` and `value`, or `fails` with `text`"#]],
    );
    check("per_minute: 2, ", "", expect!["small.yaml:19:5: `per_minute` is missing in a signal"]);
    check("per_minute: 2", "per_minute: -2", expect!["small.yaml:19:53: `per_minute` must be above 0"]);
    check("base: 1, ", "", expect!["small.yaml:20:5: `base` is missing in a signal"]);
    check(", cause: {group: group1}", "", expect!["small.yaml:20:5: `cause` is missing in a signal"]);
    check("{group: group1}", "{}", expect!["good"]);
    check(
        "after: 20m",
        "after: 20",
        expect![[r#"
            small.yaml:19:96: `20` is not a duration
              hint: a number and a unit, as in `500ms`, `10s`, `5m`, `2h` or `30d`, at most a year"#]],
    );
    check("name: load, series", "name: session, series", expect!["small.yaml:20:5: there are two signals session"]);
    check("series: [load]", "series: []", expect!["small.yaml:20:26: no gate measures this"]);
}

#[test]
fn files_that_are_based_on_others() {
    check(
        "name: small",
        "base: circle.yaml\nname: small",
        expect!["circle.yaml:1:7: more than 4 files are based on one another"],
    );
    check(
        "name: small",
        "base: broken.yaml\nname: small",
        expect!["broken.yaml:1:7: this is not valid YAML: unclosed bracket '['"],
    );
    check(
        "name: small",
        "base: missing.yaml\nname: small",
        expect![[r#"
            small.yaml:1:7: missing.yaml cannot be read: entity not found
              hint: an incident beside this file"#]],
    );
    let based = "base: elsewhere/good.yaml\nname: variant\n";
    assert_eq!(said(based), "good");
    let fewer =
        format!("{based}signals:\n  - {{name: load, series: [load], base: 1, value: 9, cause: {{group: group1}}}}\n");
    expect!["small.yaml:1:7: the incident has no signal `session`"].assert_eq(&said(&fewer));
    expect![[r#"
        other.yaml:16:75: the incident has no signal `session`
        other.yaml:18:1: `signal` is not a key of an incident
          hint: did you mean `signals`?"#]]
    .assert_eq(&said("base: other.yaml\nname: variant\n"));
}
