//! Variables, times and values of verbs that are none.

use super::{check, good, said_with};
use expect_test::expect;

#[test]
fn variables_that_are_not_what_they_should_be() {
    expect![[r#"
        week.yaml:3:3: the variable `version` has no value and no default
          hint: --var version=VALUE"#]]
    .assert_eq(&said_with(&good(), &[]));
    expect!["week.yaml:3:3: the variable `version`: `latest` is not a version: a version starts with three numbers, as in `1.27.0-wmf.11`"].assert_eq(&said_with(&good(), &[("version", "latest")]));
    expect![[r#"
        week.yaml: `--var versoin`: the playbook declares no such variable
          hint: did you mean `version`?"#]]
    .assert_eq(&said_with(&good(), &[("version", "1.27.0-wmf.11"), ("versoin", "x")]));
    check(
        "default: 24h",
        "default: later",
        expect!["week.yaml:4:3: the variable `time`: `later` is not a duration, as in `30s` or `2h`"],
    );
    check(
        "type: version",
        "type: string",
        expect![[r#"
            week.yaml:3:19: `string` is not known here
              hint: one of version, group, wiki, host, duration, number, text"#]],
    );
    check(
        "time: $time",
        "time: $tim",
        expect![[r#"
            week.yaml:4:3: the variable `time` is never used
              hint: remove it, or write `$time` where it belongs
            week.yaml:15:18: the variable `tim` is not declared
              hint: did you mean `time`?"#]],
    );
    check(
        "time: $time",
        "time: 24h",
        expect![[r#"
        week.yaml:4:3: the variable `time` is never used
          hint: remove it, or write `$time` where it belongs"#]],
    );
    check(
        "message: m}",
        "message: \"to $version\"}",
        expect![[r#"
        week.yaml:12:58: a variable is a whole value, not a part of one
          hint: write `$version` alone, or the words alone"#]],
    );
    check(
        "time: {type: duration, default: 24h}",
        "Time: {type: duration, default: 24h}",
        expect![[r#"
            week.yaml:4:3: `Time` can't be a variable: lower case letters, digits, `_` and `-`, not `item`
            week.yaml:4:3: the variable `Time` is never used
              hint: remove it, or write `$Time` where it belongs
            week.yaml:15:18: the variable `time` is not declared
              hint: did you mean `Time`?"#]],
    );
}

#[test]
fn hours_that_never_are() {
    check(
        "timezone: UTC, days",
        "timezone: Berlin, days",
        expect![[r#"
        week.yaml:5:19: `Berlin` is not a time zone
          hint: as in `UTC` or `Europe/Berlin`"#]],
    );
    check(
        "[mon, tue]",
        "[monday]",
        expect![[r#"
        week.yaml:5:30: on no day at all nothing could ever run
        week.yaml:5:31: `monday` is not known here
          hint: one of mon, tue, wed, thu, fri, sat, sun"#]],
    );
    check("[mon, tue]", "[]", expect!["week.yaml:5:30: on no day at all nothing could ever run"]);
    check("\"22:00\"", "\"07:00\"", expect!["week.yaml:5:61: `to` must be later than `from` on the same day"]);
    check(
        "\"08:00\"",
        "\"8 o'clock\"",
        expect![[r#"
        week.yaml:5:48: `8 o'clock` is not a time of day
          hint: as in "09:00""#]],
    );
    check("\"2017-01-02\"", "\"2016-12-01\"", expect!["week.yaml:6:50: the freeze ends before it begins"]);
    check(
        "\"2016-12-23\"",
        "soon",
        expect![[r#"
        week.yaml:6:32: `soon` is not a day or a moment
          hint: as in "2016-12-23" or "2016-12-23T18:00""#]],
    );
    check(", reason: holidays", "", expect!["week.yaml:6:10: `reason` is missing in a freeze"]);
}

#[test]
fn verbs_with_values_that_are_none() {
    check(
        "soak: {time: $time}",
        "soak: {time: 5}",
        expect![[r#"
        week.yaml:4:3: the variable `time` is never used
          hint: remove it, or write `$time` where it belongs
        week.yaml:15:18: `5` is not a duration
          hint: a number and a unit, as in `500ms`, `10s`, `5m`, `2h` or `30d`, at most a year"#]],
    );
    check(
        "soak: {time: $time}",
        "soak: 24h",
        expect![[r#"
        week.yaml:4:3: the variable `time` is never used
          hint: remove it, or write `$time` where it belongs
        week.yaml:15:11: `soak` must be a mapping of keys to values
          hint: its keys are time"#]],
    );
    check(
        "argv: [/bin/true, $item]",
        "argv: /bin/true",
        expect![[r#"
        week.yaml:21:17: a hook is a list of arguments, not one text
          hint: write it as a list of arguments, no shell reads it: [/bin/true]"#]],
    );
    check(
        "argv: [/bin/true, $item]",
        "argv: []",
        expect![[r#"
        week.yaml:21:17: a program must stand here
        week.yaml:21:17: a program on hosts is named by its absolute path"#]],
    );
    check(
        "hosts: all, batch",
        "batch",
        expect![[r#"
        week.yaml:21:10: one of `hosts`, `items` and `shards` says what it runs over
          hint: `hosts: SELECTOR`, `items: [a, b]`, or `shards: 1000` for 0 to 999"#]],
    );
    check(
        "hosts: all",
        "hosts: all, items: [a]",
        expect![[r#"
        week.yaml:21:10: one of `hosts`, `items` and `shards` says what it runs over
          hint: `hosts: SELECTOR`, `items: [a, b]`, or `shards: 1000` for 0 to 999"#]],
    );
}

#[test]
fn verbs_that_lack_what_they_need() {
    check(
        "notify: {sal: done}",
        "notify: {}",
        expect!["week.yaml:23:13: either `argv`, a program, or `sal`, a line, must stand here"],
    );
    check(
        "notify: {sal: done}",
        "notify: {sal: done, argv: [x]}",
        expect!["week.yaml:23:13: either `argv`, a program, or `sal`, a line, must stand here"],
    );
    check("notify: {sal: done}", "approve: {within: 1h}", expect!["week.yaml:23:14: `text` is missing in `approve`"]);
    check(
        "notify: {sal: done}",
        "sync-file: {paths: [], message: m}",
        expect!["week.yaml:23:24: at least one path must stand here"],
    );
    check(
        "notify: {sal: done}",
        "sync-common: {from_staging: true, hosts: \"role:canary\", message: m}",
        expect!["week.yaml:23:18: staging is taken for the whole fleet: leave `hosts` or `from_staging` out"],
    );
    check(
        "notify: {sal: done}",
        "pin: {version: $version, reason: r}",
        expect!["week.yaml:23:10: either `host` or `wiki` must stand here"],
    );
    check(
        "notify: {sal: done}",
        "depool: {hosts: \"role:canary\"}",
        expect!["week.yaml:23:13: `reason` is missing in `depool`"],
    );
}

#[test]
fn what_the_command_itself_would_refuse() {
    check(
        "group: group0, version: $version",
        "group: group0, soak: banana, version: $version",
        expect![[r#"
        week.yaml:12:36: `banana` is not a duration
          hint: a number and a unit, as in `500ms`, `10s`, `5m`, `2h` or `30d`, at most a year"#]],
    );
    check(
        "parallel: 2",
        "parallel: 2, deadline: 10m",
        expect!["week.yaml:21:86: a program on hosts has 300 s at most"],
    );
    check(
        "notify: {sal: done}",
        "rollback: {group: grup0, message: m}",
        expect![[r#"
        week.yaml:23:23: groups.yaml has no group `grup0`
          hint: did you mean `group0`?"#]],
    );
}
