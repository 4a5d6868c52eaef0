//! Bad playbooks and what is said of them: each is the good one below with one thing changed.

mod values;

use super::parse;
use crate::config::policy::Policy;
use expect_test::{Expect, expect};
use std::collections::BTreeMap;
use std::path::Path;

const GOOD: &str = r#"name: week
variables:
  version: {type: version}
  time: {type: duration, default: 24h}
hours: {timezone: UTC, days: [mon, tue], from: "08:00", to: "22:00"}
freeze: [{timezone: UTC, from: "2016-12-23", to: "2017-01-02", reason: holidays}]
stages:
  - name: ready
    check: {versions: [$version], hosts: "role:canary"}
    budget: {hosts: 1, percent: 50}
  - name: group0
    promote: {group: group0, version: $version, message: m}
    on_fail: rollback
  - name: soak
    soak: {time: $time}
  - name: ask
    gate: {gates: [load]}
  - name: group1
    promote: {group: group1, version: $version, message: m}
    next: said
  - name: each
    run: {argv: [/bin/true, $item], hosts: all, batch: "10%", parallel: 2}
  - name: said
    notify: {sal: done}
"#;

const SITE: &str = r#"deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
configuration: [wmf-config]
wikis: [testwiki, enwiki]
groups: [{name: group0, wikis: [testwiki]}, {name: group1, wikis: [enwiki]}]
hosts:
  - {name: "mw[2017-2018].codfw.wmnet", roles: [canary], datacenter: codfw}
  - {name: "mw[2019-2024].codfw.wmnet", roles: [appserver], datacenter: codfw}
gates:
  - {name: load, kind: threshold, source: {program: [/bin/true]}, failure: "> 9"}
  - {name: quiet, kind: threshold, mode: observe, source: {program: [/bin/true]}, failure: "> 9"}
"#;

fn site() -> Policy {
    let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    crate::config::parse(Path::new("groups.yaml"), SITE, &read).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn said_with(text: &str, given: &[(&str, &str)]) -> String {
    let given: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    match parse(Path::new("week.yaml"), text, &site(), &given) {
        Ok(_) => "good".to_owned(),
        Err(mistakes) => mistakes.to_string(),
    }
}

fn said(text: &str) -> String {
    said_with(text, &[("version", "1.27.0-wmf.11")])
}

/// The good one, whose one stage of a program is reached.
fn good() -> String {
    GOOD.replace("    next: said\n", "")
}

/// What is said when `from` is replaced by `to`.
fn check(from: &str, to: &str, want: Expect) {
    let good = good();
    assert!(good.contains(from), "{from}");
    want.assert_eq(&said(&good.replacen(from, to, 1)));
}

#[test]
fn every_bad_file_is_refused_as_it_is_written_down() {
    let all = crate::config::corpus::files("playbooks", said);
    expect_test::expect_file!["../../../tests/fixtures/invalid/playbooks.txt"].assert_eq(&all);
}

#[test]
fn the_good_one_is_good() {
    assert_eq!(said(&good()), "good");
}

#[test]
fn files_that_are_no_playbooks() {
    expect!["week.yaml:1:7: this is not valid YAML: unclosed bracket '['"].assert_eq(&said("name: [\n"));
    expect![[r#"
        week.yaml:1:1: a playbook must be a mapping of keys to values
          hint: its keys are name, variables, hours, freeze, stages"#]]
    .assert_eq(&said("- name\n"));
    expect![[r#"
        week.yaml: `--var version`: the playbook declares no such variable
        week.yaml:2:9: there is no stage"#]]
    .assert_eq(&said("name: week\nstages: []\n"));
    expect![[r#"
        week.yaml: `--var version`: the playbook declares no such variable
        week.yaml:1:1: `stages` is missing in a playbook"#]]
    .assert_eq(&said("name: week\n"));
    check("name: week\n", "", expect!["week.yaml:1:1: `name` is missing in a playbook"]);
    check(
        "stages:",
        "stage:",
        expect![[r#"
        week.yaml:1:1: `stages` is missing in a playbook
        week.yaml:7:1: `stage` is not a key of a playbook
          hint: did you mean `stages`?"#]],
    );
    check(
        "name: week\n",
        "name: week\nname: week\n",
        expect![[r#"
        week.yaml:2:1: the key `name` stands twice; the first is in line 1
          hint: keep one of the two: which one was meant, no reader can know"#]],
    );
}

#[test]
fn stages_that_do_nothing_or_too_much() {
    check(
        "soak: {",
        "soack: {",
        expect![[r#"
        week.yaml:15:5: `soack` is not a verb
          hint: did you mean `soak`?"#]],
    );
    check(
        "    notify: {sal: done}\n",
        "",
        expect![[r#"
        week.yaml:22:5: this stage has no verb
          hint: one of check, sync-common, sync-file, promote, gate, soak, approve, pin, unpin, rollback, depool, pool, converge, run, notify, undo"#]],
    );
    check(
        "notify: {sal: done}",
        "notify: {sal: done}\n    check: {}",
        expect![[r#"
        week.yaml:24:5: a stage has one verb, and `check` is another one
          hint: write a stage for each"#]],
    );
    check("name: said\n    ", "", expect!["week.yaml:22:5: `name` is missing in a stage"]);
    check(
        "  - name: said\n    notify: {sal: done}",
        "  - said",
        expect!["week.yaml:22:5: a stage must be a mapping of keys to values"],
    );
    check(
        "on_fail: rollback",
        "on_fail: undo",
        expect![[r#"
        week.yaml:13:14: `undo` is not known here
          hint: one of rollback, pause, continue"#]],
    );
}

#[test]
fn orders_that_lead_nowhere() {
    expect![[r#"
        week.yaml:21:5: the stage `each` is never reached
          hint: a `next` before it jumps over it"#]]
    .assert_eq(&said(GOOD));
    check(
        "time: $time}",
        "time: $time}\n    next: group0",
        expect![[r#"
        week.yaml:16:11: `group0` leads back to where it came from: a cycle
          hint: `next` names a later stage, or `end`"#]],
    );
    check(
        "time: $time}",
        "time: $time}\n    next: sayd",
        expect![[r#"
        week.yaml:16:11: there is no stage `sayd`
          hint: did you mean `said`?"#]],
    );
    check("name: each", "name: ask", expect!["week.yaml:20:5: the stage `ask` stands twice; 5 came before"]);
    check(
        "group: group0",
        "group: group1",
        expect![[r#"
        week.yaml:11:5: group1 is promoted before group0
          hint: promote group0 first, or write `out_of_order: WHY` in this promote
        week.yaml:18:5: group1 is promoted before group0
          hint: promote group0 first, or write `out_of_order: WHY` in this promote"#]],
    );
    check(
        "    promote: {group: group0, version: $version, message: m}\n",
        "    check: {}\n",
        expect![[r#"
        week.yaml:14:5: nothing was promoted before this soak
          hint: a soak watches a promotion; `gate` asks gates at any time
        week.yaml:18:5: group1 is promoted before group0
          hint: promote group0 first, or write `out_of_order: WHY` in this promote"#]],
    );
    check(
        "group: group1",
        "group: group1, out_of_order: \" \"",
        expect!["week.yaml:19:44: say why this group goes before the one that comes first"],
    );
}

#[test]
fn what_the_site_does_not_have() {
    check(
        "group: group0",
        "group: group7",
        expect![[r#"
        week.yaml:12:22: groups.yaml has no group `group7`
          hint: did you mean `group0`?"#]],
    );
    check(
        "role:canary",
        "role:canaries",
        expect![[r#"
        week.yaml:9:42: there is no role `canaries`
          hint: known: appserver, canary, debug, deploy, other, proxy"#]],
    );
    check(
        "hosts: all",
        "hosts: mw2099.codfw.wmnet",
        expect![[r#"
        week.yaml:21:44: there is no host `mw2099.codfw.wmnet`
          hint: did you mean `mw2019.codfw.wmnet`?"#]],
    );
    check(
        "gates: [load]",
        "gates: [laod]",
        expect![[r#"
        week.yaml:17:20: groups.yaml has no gate `laod`
          hint: did you mean `load`?"#]],
    );
    check(
        "gates: [load]",
        "gates: [quiet]",
        expect![[r#"
        week.yaml:17:20: the gate `quiet` can't fail here: it only observes
          hint: change it in groups.yaml, or name another"#]],
    );
    check("gates: [load]", "gates: []", expect!["week.yaml:17:19: no gate can't fail: name at least one"]);
    check(
        "check: {versions: [$version]",
        "check: {versions: [latest, $version]",
        expect![
            "week.yaml:9:24: `latest` is not a version: a version starts with three numbers, as in `1.27.0-wmf.11`"
        ],
    );
    check(
        "notify: {sal: done}",
        "pin: {host: mw2099.codfw.wmnet, version: $version, reason: r}",
        expect!["week.yaml:23:17: groups.yaml has no host `mw2099.codfw.wmnet`"],
    );
    check(
        "notify: {sal: done}",
        "pin: {wiki: frwiki, version: $version, reason: r}",
        expect!["week.yaml:23:17: groups.yaml has no wiki `frwiki`"],
    );
}

#[test]
fn budgets_and_batches_that_bound_nothing() {
    check(
        "{hosts: 1, percent: 50}",
        "{hosts: 2}",
        expect![[r#"
        week.yaml:10:13: this budget is never exceeded: all 2 may fail
          hint: fewer than 2 hosts, or less than 100 percent"#]],
    );
    check(
        "{hosts: 1, percent: 50}",
        "{percent: 100}",
        expect![[r#"
        week.yaml:10:13: this budget is never exceeded: all 2 may fail
          hint: fewer than 2 hosts, or less than 100 percent"#]],
    );
    check(
        "{hosts: 1, percent: 50}",
        "{hosts: 1, unreachable: 3}",
        expect!["week.yaml:10:13: only 2 can be unreachable"],
    );
    check(
        "{hosts: 1, percent: 50}",
        "{hosts: one}",
        expect!["week.yaml:10:21: a whole number in decimal digits must stand here"],
    );
    check(
        "time: $time}",
        "time: $time}\n    budget: {hosts: 1}",
        expect!["week.yaml:16:13: this verb has no hosts or items, and so no budget"],
    );
    check(
        "batch: \"10%\"",
        "batch: 0",
        expect![[r#"
        week.yaml:21:56: this is not a size of batches
          hint: a number, or as in "10%""#]],
    );
    check(
        "batch: \"10%\"",
        "batch: \"101%\"",
        expect![[r#"
        week.yaml:21:56: this is not a size of batches
          hint: a number, or as in "10%""#]],
    );
    check("parallel: 2", "parallel: 0", expect!["week.yaml:21:73: `parallel` is from 1 to 1000"]);
}
