//! Who may do what for which group, as a table; what is said of a refusal; what no site can configure otherwise.

use super::*;
use crate::gate::spec::people::Blockers;
use crate::gate::spec::{Gate, Moment};
use crate::model::books::{Pin, PinSource};
use crate::model::names::AccountName;
use crate::model::time::Time;
use crate::plan::back::{self, Scope};
use crate::plan::content;
use crate::plan::fixture::{books, done, group, policy, site, wiki, wmf};
use crate::plan::forward::{self, Subject};
use crate::plan::goal::Extent;
use expect_test::expect;

fn person(name: &str, groups: &[&str]) -> Person {
    Person { name: name.to_owned(), groups: groups.iter().map(|group| (*group).to_owned()).collect() }
}

fn rule(line: u64, users: &[&str], members_of: &[&str], may: &[Right], groups: &[&str]) -> Rule {
    let accounts = |names: &[&str]| names.iter().map(|name| name.parse::<AccountName>().expect("a name")).collect();
    let groups: BTreeSet<Group> = groups.iter().map(|name| group(name)).collect();
    Rule {
        line,
        users: accounts(users),
        members_of: accounts(members_of),
        may: may.iter().copied().collect(),
        groups: (!groups.is_empty()).then_some(groups),
    }
}

/// The incident's site with rules, as they would stand from line 10 on.
fn ruled() -> Policy {
    let rules = vec![
        rule(12, &["alice"], &[], &[Right::Promote, Right::Sync, Right::Pin, Right::Approve], &[]),
        rule(13, &["bob"], &["interns"], &[Right::Promote], &["group0"]),
        rule(14, &[], &["deployers"], &[Right::Rollback, Right::Pin], &["group1", "group2"]),
        rule(15, &["alice", "carol"], &[], &[Right::Force, Right::Override, Right::Approve], &["group2"]),
        rule(16, &["dave"], &["sre"], &[Right::Repair, Right::TakeOver], &[]),
    ];
    Policy { rights: Some(Rights { line: 10, second_person: Some(11), rules }), ..policy(12) }
}

#[test]
fn s09_who_may_do_what_for_which_group() {
    let policy = ruled();
    let names: Vec<String> = Right::ALL.map(|(name, _)| format!("{name:<9}")).into();
    let mut table = format!("{:<25} {}\n", "", names.join("").trim_end());
    let people = [
        ("alice", person("alice", &["alice"])),
        ("bob", person("bob", &[])),
        ("an intern", person("ian", &["users", "interns"])),
        ("a deployer", person("dora", &["deployers", "dora"])),
        ("an intern who deploys", person("ian", &["interns", "deployers"])),
        ("carol", person("carol", &[])),
        ("an sre", person("sam", &["sre"])),
        ("a user called as a group", person("deployers", &[])),
        ("a group called as a user", person("mallory", &["alice", "bob"])),
        ("Alice", person("Alice", &[])),
        ("root", person("root", &["root"])),
    ];
    for (name, person) in people {
        let cell = |right: Right| {
            let yes = |number: &u8| may(&policy, &person, right, &Over::These(vec![group(&format!("group{number}"))]));
            (0..3).map(|number| if yes(&number).is_ok() { number.to_string() } else { "-".to_owned() }).collect()
        };
        let cells: Vec<String> = Right::ALL.map(|(_, right)| cell(right)).into();
        table += &format!("{name:<25} {}\n", cells.join("      "));
    }
    expect![[r#"
                                  promote  rollback sync     pin      repair   approve  force    override take-over
        alice                     012      012      012      012      012      012      --2      --2      ---
        bob                       0--      0--      ---      ---      0--      ---      ---      ---      ---
        an intern                 0--      0--      ---      ---      0--      ---      ---      ---      ---
        a deployer                ---      -12      ---      -12      -12      ---      ---      ---      ---
        an intern who deploys     0--      012      ---      -12      012      ---      ---      ---      ---
        carol                     ---      ---      ---      ---      ---      --2      --2      --2      ---
        an sre                    ---      ---      ---      ---      012      ---      ---      ---      012
        a user called as a group  ---      ---      ---      ---      ---      ---      ---      ---      ---
        a group called as a user  ---      ---      ---      ---      ---      ---      ---      ---      ---
        Alice                     ---      ---      ---      ---      ---      ---      ---      ---      ---
        root                      ---      ---      ---      ---      ---      ---      ---      ---      ---
    "#]]
    .assert_eq(&table);
}

#[test]
fn s09_every_group_is_more_than_one_and_none_is_asked_for_where_none_moves() {
    let policy = ruled();
    let yes = |name: &str, right, over| may(&policy, &person(name, &[]), right, &over).is_ok();
    assert!(yes("alice", Right::Sync, Over::Every) && yes("alice", Right::Promote, Over::Every));
    assert!(yes("bob", Right::Promote, Over::Any) && !yes("bob", Right::Promote, Over::Every));
    assert!(yes("bob", Right::Repair, Over::Any) && !yes("mallory", Right::Repair, Over::Any));
    assert!(!yes("bob", Right::Rollback, Over::These(vec![group("group0"), group("group1")])));
    assert_eq!(Over::groups(Vec::new()), Over::Every, "what names no group is about all");
}

#[test]
fn s09_without_a_policy_everybody_may_do_everything() {
    let policy = policy(12);
    for (_, right) in Right::ALL {
        assert_eq!(may(&policy, &person("nobody", &[]), right, &Over::Every), Ok(()));
    }
    let began = (vec![group("group0")], vec!["ori@deploy1"]);
    assert_eq!(answer(&policy, &person("ori", &[]), began, true), Ok(()));
}

/// Whatever a site gives: all 511 rules there can be, for one group each.
#[test]
fn s09_a_rollback_is_never_harder_than_what_it_takes_back() {
    let all = Right::ALL.map(|(_, right)| right);
    for bits in 1_u32..512 {
        let given: Vec<Right> = all.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, r)| *r).collect();
        let rights = Rights { line: 1, second_person: None, rules: vec![rule(2, &["ori"], &[], &given, &["group1"])] };
        let policy = Policy { rights: Some(rights), ..policy(1) };
        let has = |right| may(&policy, &person("ori", &[]), right, &Over::These(vec![group("group1")])).is_ok();
        assert!(!has(Right::Promote) || has(Right::Rollback), "{given:?}");
        let moves = [Right::Promote, Right::Rollback, Right::Sync, Right::Pin].into_iter().any(has);
        assert!(!moves || has(Right::Repair), "{given:?}");
        // What sets something aside comes with nothing else.
        for apart in [Right::Force, Right::Override, Right::TakeOver, Right::Approve, Right::Promote] {
            assert_eq!(has(apart), given.contains(&apart), "{given:?}");
        }
        assert!(may(&policy, &person("ori", &[]), Right::Promote, &Over::These(vec![group("group0")])).is_err());
    }
}

fn said(may: Result<(), Blocked>) -> String {
    match may {
        Ok(()) => "yes".to_owned(),
        Err(blocked) => {
            assert_eq!(blocked.why, Why::NoRight);
            format!("{blocked}\n  hint: {}\n", blocked.hint.as_deref().unwrap_or_default())
        }
    }
}

#[test]
fn s09_a_refusal_says_who_what_for_which_group_by_which_line_and_whom_to_ask() {
    let policy = ruled();
    let of = |who: &Person, right, groups: &[&str]| {
        let over = if groups.is_empty() { Over::Any } else { Over::These(groups.iter().map(|g| group(g)).collect()) };
        said(may(&policy, who, right, &over))
    };
    let all = [
        of(&person("mallory", &["users"]), Right::Promote, &["group1"]),
        of(&person("bob", &[]), Right::Promote, &["group1"]),
        of(&person("bob", &[]), Right::Rollback, &["group0", "group1"]),
        of(&person("alice", &[]), Right::Force, &["group0"]),
        of(&person("mallory", &[]), Right::TakeOver, &[]),
    ];
    expect![[r#"
        mallory has no right `promote` for group1: groups.yaml:12 gives it to alice
          hint: ask alice
        bob has no right `promote` for group1: groups.yaml:12 gives it to alice; groups.yaml:13 gives it to bob for group0 only
          hint: ask alice
        bob has no right `rollback` for group1: groups.yaml:12 gives it to alice; groups.yaml:13 gives it to bob for group0 only; groups.yaml:14 gives it to members of deployers
          hint: ask alice or members of deployers; you may go back with group0: pointsman rollback GROUP
        alice has no right `force` for group0: groups.yaml:15 gives it to alice for group2 only
          hint: ask whoever keeps groups.yaml for a rule, below line 10
        mallory has no right `take-over`: groups.yaml:16 gives it to dave, members of sre
          hint: ask dave or members of sre
    "#]].assert_eq(&all.concat());
    let few = vec![rule(2, &["alice"], &[], &[Right::Promote], &[])];
    let policy = Policy { rights: Some(Rights { line: 1, second_person: None, rules: few }), ..policy };
    expect![[r#"
        alice has no right `override` for group0, group1, group2: no rule of groups.yaml:1 gives it to anybody
          hint: ask whoever keeps groups.yaml for a rule, below line 1
    "#]]
    .assert_eq(&said(may(&policy, &person("alice", &[]), Right::Override, &Over::Every)));
}

#[test]
fn s09_what_an_order_needs_follows_from_what_it_moves() {
    let policy = ruled();
    let mut books = books(&policy);
    let none = (BTreeSet::new(), BTreeMap::new());
    let needs = |goal: &Goal, beside: &BTreeSet<Right>| {
        let people = ["alice", "bob", "carol", "dave"].map(|name| (name, person(name, &[])));
        let may = |person: &Person| order(&policy, person, goal, (beside, &none.1)).is_ok();
        let yes = people.iter().filter(|(_, person)| may(person)).map(|(name, _)| *name);
        yes.collect::<Vec<_>>().join(" ")
    };
    let promote = |books: &Books, name: &str, now| {
        forward::promote(site(&policy, books, now), &group(name), &wmf(11), "train", None).expect("it is planned")
    };
    let goal = promote(&books, "group0", 1);
    assert_eq!(needs(&goal, &none.0), "alice bob");
    assert_eq!(needs(&goal, &[Right::Force].into()), "", "alice may force group2 only");
    done(&mut books, goal, 1);
    let back = |books: &Books, scope| back::rollback(site(&policy, books, 9), &scope, "5xx").expect("it is planned");
    assert_eq!(needs(&back(&books, Scope::Last), &none.0), "alice bob");
    let goal = promote(&books, "group1", 2);
    assert_eq!(needs(&goal, &none.0), "alice");
    done(&mut books, goal, 2);
    assert_eq!(needs(&back(&books, Scope::Last), &none.0), "alice", "group1 goes back too");
    assert_eq!(needs(&back(&books, Scope::Group(group("group0"))), &none.0), "alice bob");
    let goal = promote(&books, "group2", 3);
    assert_eq!(needs(&goal, &[Right::Force, Right::Override].into()), "alice");
    let repair = content::converge(site(&policy, &books, 4), Extent::Wanted, "x").expect("it is planned");
    assert_eq!(needs(&repair, &none.0), "alice bob dave");
    let synced = content::sync(site(&policy, &books, 4), &BTreeMap::new(), None, false, "x").expect("it is planned");
    assert_eq!(needs(&synced, &none.0), "alice");
    let pin = |subject: Subject| {
        let source = PinSource::Books;
        let owner = "x".to_owned();
        let pin = Pin { version: wmf(10), reason: "x".to_owned(), owner, since: Time(4), until: None, source };
        forward::pin(site(&policy, &books, 4), &subject, pin).expect("it is planned")
    };
    let deployer = person("dora", &["deployers"]);
    let pins = |subject| order(&policy, &deployer, &pin(subject), (&none.0, &none.1)).is_ok();
    assert!(pins(Subject::Wiki(wiki("enwiki"))), "of group2");
    assert!(!pins(Subject::Wiki(wiki("testwiki"))), "of group0");
    assert!(!pins(Subject::Host("mw2001.codfw.wmnet".parse().expect("a host"))), "it serves all groups");
}

#[test]
fn s09_who_began_it_does_not_approve_it_where_a_second_person_is_demanded() {
    let policy = ruled();
    let give = |name: &str, by: &[&str], yes| {
        said(answer(&policy, &person(name, &[]), (vec![group("group2")], by.to_vec()), yes))
    };
    assert_eq!(give("carol", &["alice@deploy1"], true), "yes");
    assert_eq!(give("carol", &["carol@deploy1"], false), "yes", "who began it may end it");
    assert_eq!(give("carol", &["carol@corp@deploy1"], true), "yes", "somebody of a directory service");
    assert_ne!(give("alice", &["bob@deploy2", "alice@deploy1"], true), "yes", "the run, or its promotion");
    let all = [give("carol", &["carol@deploy2"], true), give("dave", &["alice@deploy1"], true)];
    expect![[r#"
        carol began it, and groups.yaml:11 demands that a second person approves
          hint: ask alice
        dave has no right `approve` for group2: groups.yaml:12 gives it to alice; groups.yaml:15 gives it to alice, carol
          hint: ask alice or carol
    "#]].assert_eq(&all.concat());
    let alone = Rights { second_person: None, ..policy.rights.clone().expect("it has rules") };
    let policy = Policy { rights: Some(alone), ..policy.clone() };
    let own = (vec![group("group2")], vec!["carol@deploy1"]);
    assert_eq!(answer(&policy, &person("carol", &[]), own, true), Ok(()));
}

#[test]
fn s09_a_second_person_is_not_overruled() {
    let gate = Gate::new("release-manager".parse().expect("a name"), [], GateKind::Approval);
    let policy = Policy { gates: vec![gate.clone()], ..ruled() };
    let books = books(&policy);
    let goal = forward::promote(site(&policy, &books, 1), &group("group2"), &wmf(11), "x", None).expect("planned");
    let overruled = BTreeMap::from([(gate.name, "in a hurry".to_owned())]);
    let alice = person("alice", &[]);
    let beside = BTreeSet::from([Right::Override]);
    expect![[r#"
        the gate release-manager waits for a second person (groups.yaml:11), so nobody overrules it
          hint: promote without, and let somebody else type: pointsman approve
    "#]]
    .assert_eq(&said(order(&policy, &alice, &goal, (&beside, &overruled))));
    assert_eq!(order(&policy, &alice, &goal, (&beside, &BTreeMap::new())), Ok(()));
}

#[test]
fn s09_what_somebody_may_do_is_one_line() {
    let policy = ruled();
    let of = |name: &str, groups: &[&str]| all(&policy, &person(name, groups)).unwrap_or_default();
    expect![[r#"
        promote, rollback, sync, pin, repair, approve for every group; force, override for group2
        promote, rollback, repair for group0
    "#]]
    .assert_eq(&[of("alice", &[]), of("bob", &[]), of("mallory", &[])].join("\n"));
}

#[test]
fn s09_what_waits_for_a_second_person_is_not_overruled_and_other_gates_are() {
    let name = |name: &str| name.parse::<GateName>().expect("a name");
    let mut policy = ruled();
    policy.gates = vec![
        Gate::new(name("approval"), [Moment::Before], GateKind::Approval),
        Gate::new(
            name("blockers"),
            [Moment::Before],
            GateKind::Blockers(Blockers { argv: Vec::new(), deadline_ms: 1000 }),
        ),
    ];
    let over = |gate: &str| said(not_alone(&policy, &[(name(gate), "it is late".to_owned())].into()));
    assert_eq!(over("blockers"), "yes");
    assert_eq!(over("unknown"), "yes", "other rules are about that");
    expect![[r#"
        the gate approval waits for a second person (groups.yaml:11), so nobody overrules it
          hint: promote without, and let somebody else type: pointsman approve
    "#]]
    .assert_eq(&over("approval"));
    policy.rights = Some(Rights { second_person: None, ..policy.rights.expect("it has some") });
    let alone = not_alone(&policy, &[(name("approval"), "it is late".to_owned())].into());
    assert_eq!(alone, Ok(()), "nobody demands a second person");
}
