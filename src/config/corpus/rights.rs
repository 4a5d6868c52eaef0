//! Who may do what: what is written, and what is said of mistakes.

use super::{GOOD, read};
use crate::config::parse;
use crate::config::policy::Rights;
use crate::model::right::Right;
use expect_test::{Expect, expect};
use std::path::Path;

fn rights(section: &str) -> Result<Rights, String> {
    let parsed = parse(Path::new("groups.yaml"), &format!("{GOOD}{section}"), &read);
    parsed.map(|policy| policy.rights.expect("it has the section")).map_err(|mistakes| mistakes.to_string())
}

fn check(section: &str, want: Expect) {
    want.assert_eq(&rights(section).map_or_else(|mistakes| mistakes, |_| "good".to_owned()));
}

#[test]
fn s09_what_is_written_is_what_is_meant() {
    let section = "policy:\n  second_person: true\n  rules:\n  - {members_of: [wikidev, ops.team], may: [promote, approve]}\n  \
                   - users: [alice, B.Davis]\n    may: [force, take-over]\n    groups: [group2]\n";
    let rights = rights(section).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!((rights.line, rights.second_person), (23, Some(23)));
    let [first, second] = rights.rules.as_slice() else { panic!("{rights:?}") };
    assert_eq!((first.line, second.line), (25, 26));
    let names: Vec<&str> = first.members_of.iter().map(|name| name.as_str()).collect();
    assert_eq!((names, first.users.is_empty(), first.groups.is_none()), (vec!["ops.team", "wikidev"], true, true));
    assert_eq!(second.may, [Right::Force, Right::TakeOver].into());
    assert_eq!(second.groups.iter().flatten().map(|group| group.as_str()).collect::<Vec<_>>(), ["group2"]);
    let of = |right, group: &str| second.gives(right, &group.parse().expect("a group"));
    assert!(of(Right::Force, "group2") && !of(Right::Force, "group1") && !of(Right::Promote, "group2"));
    let one = self::rights("policy: {second_person: false, rules: [{users: [a], may: [promote]}]}\n");
    assert_eq!(one.map(|rights| rights.second_person), Ok(None));
}

#[test]
fn s09_mistakes_in_rules_are_named_with_their_place() {
    check(
        "policy: {rules: [{users: [a], may: [promote, rolback]}]}\n",
        expect![[r#"
        groups.yaml:22:46: `rolback` is not known here
          hint: did you mean `rollback`?"#]],
    );
    check(
        "policy: {rules: [{users: [a], may: [promote, deploy]}]}\n",
        expect![[r#"
        groups.yaml:22:46: `deploy` is not known here
          hint: one of promote, rollback, sync, pin, repair, approve, force, override, take-over"#]],
    );
    check(
        "policy: {rules: [{users: [a], may: [promote]}, {users: [b], may: [sync], groups: [grup1]}]}\n",
        expect![[r#"
        groups.yaml:22:83: there is no group `grup1`
          hint: did you mean `group1`?"#]],
    );
    check(
        "policy: {rules: [{may: [promote]}]}\n",
        expect![[r#"
        groups.yaml:22:18: nobody can match this rule
          hint: say who, by `users: [NAME]` or `members_of: [GROUP]`"#]],
    );
    check(
        "policy: {rules: [{users: [], may: [promote]}]}\n",
        expect!["groups.yaml:22:26: at least one name must stand here"],
    );
}

#[test]
fn s09_mistakes_in_the_shape_of_rules_are_too() {
    check(
        "policy: {rules: [{users: [a], may: []}]}\n",
        expect!["groups.yaml:22:36: at least one right must stand here; what no rule gives nobody has"],
    );
    check(
        "policy: {rules: [{users: [a], may: [promote], groups: []}]}\n",
        expect!["groups.yaml:22:55: at least one group must stand here"],
    );
    check(
        "policy: {rules: [{users: [\"a b\", -x], may: [promote]}]}\n",
        expect![[r#"
        groups.yaml:22:27: `a b` is not the name of a user: it has 1 to 64 letters, digits, `.`, `_` and `-`, and begins with neither `-` nor `.`
        groups.yaml:22:34: `-x` is not the name of a user: it has 1 to 64 letters, digits, `.`, `_` and `-`, and begins with neither `-` nor `.`"#]],
    );
    check(
        "policy: {rules: [{users: a, may: promote}]}\n",
        expect![[r#"
        groups.yaml:22:26: a list of texts must be a list
          hint: a list is one `- item` a line, or `[a, b]`
        groups.yaml:22:34: `may` must be a list
          hint: a list is one `- item` a line, or `[a, b]`"#]],
    );
    check(
        "policy: {rules: [{user: [a], may: [promote]}]}\n",
        expect![[r#"
        groups.yaml:22:18: nobody can match this rule
          hint: say who, by `users: [NAME]` or `members_of: [GROUP]`
        groups.yaml:22:19: `user` is not a key of a rule
          hint: did you mean `users`?"#]],
    );
    check(
        "policy: {rules: []}\n",
        expect![[r#"
        groups.yaml:22:17: at least one rule must stand here, or nobody may do anything
          hint: without the section `policy` whoever can write the books may do everything"#]],
    );
    check("policy: {second_person: true}\n", expect!["groups.yaml:22:9: `rules` is missing in `policy`"]);
    check(
        "policy: {second_person: two, rules: [{users: [a, b], may: [promote, approve]}]}\n",
        expect!["groups.yaml:22:25: `true` or `false` must stand here"],
    );
}

#[test]
fn s09_what_nobody_could_do_is_a_mistake() {
    check(
        "policy: {rules: [{users: [a], may: [promote], groups: [group0, group1]}]}\n",
        expect![[r#"
        groups.yaml:22:17: nobody may promote group2
          hint: a rule without `groups` is for all groups"#]],
    );
    check(
        "policy: {rules: [{users: [a], may: [rollback, sync]}]}\n",
        expect![[r#"
        groups.yaml:22:17: nobody may promote group0, group1, group2
          hint: a rule without `groups` is for all groups"#]],
    );
    let one = |who: &str, groups: &str| format!("{{users: [{who}], may: [promote], groups: [{groups}]}}");
    let parted = format!("policy: {{rules: [{}, {}]}}\n", one("a", "group0, group1"), one("b", "group2"));
    check(
        &parted,
        expect![[r#"
            groups.yaml:22:17: nobody may promote every group, so nobody could lift a hold or close a blocker
              hint: a rule without `groups` is for all groups"#]],
    );
    check(&parted.replace("[b]", "[b, a]"), expect!["good"]);
    check(&parted.replace("users", "members_of").replace("[b]", "[b, a]"), expect!["good"]);
    let promote = "policy: {second_person: true, rules: [{users: [a], may: [promote]}";
    check(
        &format!("{promote}]}}\n"),
        expect!["groups.yaml:22:25: a second person is demanded, and nobody may approve"],
    );
    check(
        &format!("{promote}, {{users: [b], may: [approve]}}]}}\n"),
        expect![[r#"
        groups.yaml:22:25: a second person is demanded, and only b may approve group0
          hint: name another, or a group of users"#]],
    );
    check(
        &format!(
            "{promote}, {{users: [b], may: [approve]}}, {{users: [c], may: [approve], groups: [group0, group1]}}]}}\n"
        ),
        expect![[r#"
            groups.yaml:22:25: a second person is demanded, and only b may approve group2
              hint: name another, or a group of users"#]],
    );
    check(&format!("{promote}, {{members_of: [b], may: [approve]}}]}}\n"), expect!["good"]);
    check(&format!("{promote}, {{users: [b, c], may: [approve]}}]}}\n"), expect!["good"]);
    let gate = "gates: [{name: release-manager, kind: approval, groups: [group2]}]\n";
    let rules = |groups: &str| {
        format!(
            "{gate}policy: {{rules: [{{users: [a], may: [promote]}}, \
             {{users: [b], may: [approve], groups: [{groups}]}}]}}\n"
        )
    };
    check(
        &rules("group0, group1"),
        expect![[r#"
        groups.yaml:23:17: the gate `release-manager` waits for an approval of group2, which nobody may give
          hint: give `approve` to somebody for them"#]],
    );
    check(&rules("group2"), expect!["good"]);
}
