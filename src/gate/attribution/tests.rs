//! The eight fleets, the incident, and what follows of each blame.

use super::*;
use crate::gate::stat::vectors::{assert_close, attribution, list, number};
use crate::model::names::{Group, Version};
use crate::model::time::Time;
use expect_test::expect;
use serde_json::Value;
use std::collections::BTreeSet;

fn host(name: &str) -> HostName {
    name.parse().expect("a host")
}

fn counts(value: &Value) -> HostCounts {
    let rows = value.as_object().expect("by host").iter();
    let count = |pair: &Value| Count { events: number(&pair[0]) as u64, exposure: number(&pair[1]) as u64 };
    rows.map(|(name, pair)| (host(name), count(pair))).collect()
}

fn fleet(prefix: &str, hosts: usize, events: impl Fn(usize) -> u64, exposure: u64) -> HostCounts {
    (0..hosts).map(|i| (host(&format!("{prefix}{i:03}")), Count { events: events(i), exposure })).collect()
}

fn scope(wikis: &[(&str, &str)]) -> Scope {
    let version: Version = "1.27.0-wmf.11".parse().expect("a version");
    let group = |name: &str| -> Group { name.parse().expect("a group") };
    let wikis = wikis.iter().map(|(wiki, of)| (wiki.parse().expect("a wiki"), (group(of), version.clone())));
    Scope {
        others: Default::default(),
        rolled: BTreeSet::new(),
        control: BTreeSet::new(),
        group: None,
        version: None,
        wikis: wikis.collect(),
        since: Time(0),
    }
}

fn plainly(rolled: &HostCounts, control: &HostCounts) -> Attribution {
    attribute(rolled, control, &BTreeMap::new(), &scope(&[]))
}

fn optional(got: Option<f64>, want: &Value, what: &str) {
    assert_eq!(got.is_some(), want.is_number(), "{what}");
    got.into_iter().for_each(|got| assert_close(got, number(want), what));
}

#[test]
fn the_eight_fleets_are_attributed_with_their_numbers() {
    let vectors = attribution();
    let rows = list(&vectors["attribution"]);
    assert_eq!(rows.len(), 8);
    let mut sentences = Vec::new();
    for row in rows {
        let found = plainly(&counts(&row["rolled"]), &counts(&row["unrolled"]));
        let (name, want) = (&row["name"], &row["expect"]);
        let blame = match want["verdict"].as_str() {
            Some("host" | "host (no control)") => Blame::Host,
            Some("release") => Blame::Release,
            Some("ambient") => Blame::Ambient,
            Some("no-control") => Blame::NoControl,
            other => panic!("{other:?}"),
        };
        assert_eq!(found.blame, blame, "{name}");
        assert_eq!((Some(found.hosts as u64), Some(found.events)), (want["m"].as_u64(), want["n"].as_u64()), "{name}");
        assert_eq!(found.top.as_ref().map(HostName::as_str), want["top"].as_str(), "{name}");
        let dropped: Vec<Option<&str>> = list(&want["dropped"]).iter().map(Value::as_str).collect();
        assert_eq!(found.dropped.iter().map(|host| Some(host.as_str())).collect::<Vec<_>>(), dropped, "{name}");
        assert_close(found.breadth, number(&want["breadth"]), "breadth");
        assert_close(found.breadth_expected, number(&want["expected_breadth"]), "expected breadth");
        assert_close(found.p_top, number(&want["p_top"]), "p_top");
        optional(found.p_all, &want["p_all"], "p_all");
        optional(found.p_left, &want["p_after_drop"], "p_left");
        sentences.push(found.sentence);
    }
    expect![[r#"
        340 of 340 events come from h020 (1 of 100 hosts, 1 % of traffic); without it nothing is left.
        399 events on 100 of 100 switched hosts; without the 5 worst hosts it is still more than on the others (p 1.6e-117): it is the release.
        200 events among 100 switched hosts and 200 events among 100 hosts that were not: chance explains the difference (p 0.52), so it is not shown to be the release.
        498 events on 100 of 100 switched hosts; without the 5 worst hosts it is still more than on the others (p 4.6e-60): it is the release.
        1 event among 100 switched hosts and 0 events among 100 hosts that were not: chance explains the difference (p 0.5), so it is not shown to be the release.
        340 of 340 events come from h020 (1 of 100 hosts, 1 % of traffic); without it nothing is left.
        399 events on 100 of 100 switched hosts, and every host was switched: nothing is left to compare with but before the switch.
        240 of 240 events come from h006, h005 and h004 (3 of 100 hosts, 3 % of traffic); without them nothing is left."#]].assert_eq(&sentences.join("\n"));
}

#[test]
fn the_incident_is_one_host_and_the_same_events_spread_are_the_release() {
    let control = fleet("u", 100, |_| 0, 1000);
    let mut rolled = fleet("h", 99, |_| 0, 1000);
    rolled.insert(host("mw2020.codfw.wmnet"), Count { events: 340, exposure: 1000 });
    let found = plainly(&rolled, &control);
    assert_eq!((found.blame, found.suspects.as_slice()), (Blame::Host, [host("mw2020.codfw.wmnet")].as_slice()));
    let seen = vec!["missed 1 sync".to_owned(), "was rebuilt".to_owned()];
    expect!["340 of 340 events come from mw2020.codfw.wmnet (1 of 100 hosts, 1 % of traffic); without it nothing is left. mw2020.codfw.wmnet missed 1 sync and was rebuilt: repair it, do not revert."].assert_eq(&with_witness(&found.sentence, &BTreeMap::from([(host("mw2020.codfw.wmnet"), seen)])));
    expect!["S. Nothing else speaks against mw1: look at it before it is repaired or depooled, and do not revert yet."]
        .assert_eq(&with_witness("S.", &BTreeMap::from([(host("mw1"), Vec::new())])));

    let spread = plainly(&fleet("h", 100, |i| if i < 40 { 4 } else { 3 }, 1000), &control);
    assert_eq!((spread.blame, spread.events), (Blame::Release, 340));
    assert!(spread.suspects.is_empty());
}

#[test]
fn failing_checks_are_told_in_hosts() {
    let all = |n: usize, bad: usize| fleet("h", n, |i| if i < bad { SURE } else { 0 }, SURE);
    let others = fleet("u", 10, |_| 0, SURE);
    let said = [plainly(&all(2, 2), &others), plainly(&all(8, 1), &others), plainly(&all(1, 1), &others)];
    assert_eq!(said.each_ref().map(|found| found.blame), [Blame::Release, Blame::Host, Blame::Mixed]);
    expect![[r#"
        2 of 2 switched hosts fail; without the worst host it is still more than on the others (p 3.9e-11): it is the release.
        h000 fails (1 of 8 switched hosts); without it nothing is left.
        h000 fails, more than on the others (p 3.9e-11); it is the only switched host, so that host and release can't be told apart."#]].assert_eq(&said.map(|found| found.sentence).join("\n"));
}

#[test]
fn what_is_left_what_is_alone_and_what_nothing_explains_is_said() {
    let control = |events| fleet("u", 100, move |i| if i == 0 { events } else { 0 }, 1000);
    let on = |hosts: usize, most: u64, more: u64| {
        let events = move |i| match i {
            0 => most,
            i if i < hosts => more,
            _ => 0,
        };
        fleet("h", 100, events, 1000)
    };
    let checks = |prefix, hosts, bad: usize| fleet(prefix, hosts, move |i| if i < bad { SURE } else { 0 }, SURE);
    let none = HostCounts::new();
    let small = fleet("h", 20, |i| if i == 0 { 3 } else { 0 }, SURE);
    let unweighed = fleet("h", 20, |i| if i == 3 { 50 } else { 0 }, 0);
    let said = [
        plainly(&on(2, 100, 1), &control(0)),
        plainly(&on(3, 100, 1), &none),
        plainly(&checks("h", 40, 3), &none),
        plainly(&checks("h", 40, 3), &checks("u", 40, 0)),
        plainly(&checks("h", 40, 3), &checks("u", 1000, 20)),
        plainly(&checks("h", 60, 5), &checks("u", 1000, 30)),
        plainly(&small, &none),
        plainly(&unweighed, &control(0)),
        plainly(&fleet("h", 1, |_| 2, 100_000), &control(3)),
        plainly(&fleet("h", 1, |_| 2, 0), &none),
        plainly(&on(40, 10, 10), &control(0)),
    ];
    expect![[r#"
        100 of 101 events come from h000 (1 of 100 hosts, 1 % of traffic); without it 1 event is left, no more than on the others (p 0.497).
        100 of 102 events come from h000 (1 of 100 hosts, 1 % of traffic); without it 2 events are left.
        3 of 40 switched hosts fail, and every host was switched: nothing is left to compare with but before the switch.
        3 of 40 switched hosts fail, where chance would reach 21: more than on the others (p 9.3e-10), but neither single hosts nor the release explain it alone.
        h002 and h001 fail (2 of 40 switched hosts); without them 1 host failing is left, no more than on the others (p 0.243).
        h004, h003 and h002 fail (3 of 60 switched hosts); without them 2 hosts failing are left, no more than on the others (p 0.281).
        3 of 3 events come from h000 (1 of 20 hosts); without it nothing is left.
        50 of 50 events come from h003 (1 of 20 hosts); without it nothing is left.
        2 events on h000, no more than chance and the others explain (p 0.813); it is the only switched host, so that host and release can't be told apart.
        2 events on h000; it is the only switched host, so that host and release can't be told apart.
        400 events on 40 of 100 switched hosts, where chance would reach 98: more than on the others (p 3.9e-121), but neither single hosts nor the release explain it alone."#]].assert_eq(&said.map(|found| found.sentence).join("\n"));
}

#[test]
fn shares_and_probabilities_are_short() {
    let shares = [0.0, 0.000_49, 0.0005, 0.009_49, 0.0095, 0.5, 1.0].map(words::percent);
    assert_eq!(shares, ["0 %", "less than 0.1 %", "0.1 %", "0.9 %", "1 %", "50 %", "100 %"]);
    let ps = [0.0, 1e-300, 0.000_99, 0.001, 0.25, 1.0].map(words::short);
    assert_eq!(ps, ["below 1e-300", "1.0e-300", "9.9e-4", "0.001", "0.25", "1"]);
}

#[test]
fn one_wiki_or_all_and_one_group_or_all() {
    let scope =
        scope(&[("testwiki", "group0"), ("mediawikiwiki", "group0"), ("dewiki", "group1"), ("enwiki", "group1")]);
    let wiki =
        |name: &str, events| -> (Wiki, Count) { (name.parse().expect("a wiki"), Count { events, exposure: 250 }) };
    let places = [
        [wiki("testwiki", 0), wiki("mediawikiwiki", 0), wiki("dewiki", 100), wiki("enwiki", 2)],
        [wiki("testwiki", 0), wiki("mediawikiwiki", 1), wiki("dewiki", 50), wiki("enwiki", 51)],
        [wiki("testwiki", 25), wiki("mediawikiwiki", 25), wiki("dewiki", 25), wiki("enwiki", 25)],
    ];
    let (rolled, control) = (fleet("h", 10, |_| 10, 100), fleet("u", 10, |_| 0, 100));
    let of = |place: &[(&str, u64, u64)]| {
        let count = |&(name, events, exposure): &(&str, u64, u64)| -> (Wiki, Count) {
            (name.parse().expect("a wiki"), Count { events, exposure })
        };
        let said = attribute(&rolled, &control, &place.iter().map(count).collect(), &scope).sentence;
        said.split_once("it is the release. ").expect("it is").1.to_owned()
    };
    let said = [
        of(&[("dewiki", 50, 250), ("enwiki", 50, 250)]),
        of(&[("mediawikiwiki", 0, 250), ("dewiki", 50, 250), ("enwiki", 50, 250)]),
        of(&[("mediawikiwiki", 40, 250), ("dewiki", 60, 250)]),
        of(&[("mediawikiwiki", 0, 250), ("dewiki", 60, 250), ("newwiki", 40, 250)]),
        of(&[("dewiki", 100, 0), ("enwiki", 2, 0)]),
    ];
    expect![[r#"
        On 2 of 4 wikis, all in group1.
        On 2 of 4 wikis; 100 of 100 in one group: group1, 67 % of traffic.
        On 2 of 4 wikis, in 2 of 2 groups.
        On 2 of 5 wikis, in 2 of 3 groups.
        100 of 102 on one wiki: dewiki of group1 (1 of 4 wikis)."#]]
    .assert_eq(&said.join("\n"));
    let said = places.map(|place| attribute(&rolled, &control, &BTreeMap::from(place), &scope).sentence);
    expect![[r#"
        100 events on 10 of 10 switched hosts; without the worst host it is still more than on the others (p 6.2e-30): it is the release. 100 of 102 on one wiki: dewiki of group1 (1 of 4 wikis, 25 % of traffic).
        100 events on 10 of 10 switched hosts; without the worst host it is still more than on the others (p 6.2e-30): it is the release. On 3 of 4 wikis; 101 of 102 in one group: group1, 50 % of traffic.
        100 events on 10 of 10 switched hosts; without the worst host it is still more than on the others (p 6.2e-30): it is the release. On 4 of 4 wikis, in 2 of 2 groups."#]].assert_eq(&said.join("\n"));
}

#[test]
fn the_worst_is_the_worst_by_rate_and_so_many_are_dropped_and_no_more() {
    let none = HostCounts::new();
    let rates = [("rare", 10, 10), ("busy", 20, 1000), ("idle", 0, 1000)];
    let rates = rates.map(|(name, events, exposure)| (host(name), Count { events, exposure }));
    let found = plainly(&rates.into(), &none);
    assert_eq!((found.top, found.hosts, found.events), (Some(host("rare")), 3, 30));
    // Of 20 hosts one may be dropped, and two are bad.
    let two = plainly(&fleet("h", 20, |i| if i < 2 { 50 } else { 0 }, 1000), &none);
    assert_eq!((two.blame, two.dropped.len(), two.left), (Blame::NoControl, 1, 50));
    // A twentieth of all events may be left.
    let left = |events| plainly(&fleet("h", 20, |i| [95, events].get(i).copied().unwrap_or(0), 1000), &none);
    assert_eq!([left(5).blame, left(6).blame], [Blame::Host, Blame::NoControl]);
    let five = plainly(&fleet("h", 100, |i| if i < 6 { 50 } else { 0 }, 1000), &fleet("u", 100, |_| 0, 1000));
    assert_eq!((five.dropped.len(), five.left), (5, 50));
}

#[test]
fn it_is_the_release_from_half_of_the_hosts_on_that_chance_would_reach() {
    let control = fleet("u", 100, |_| 0, 1000);
    let on = |hosts: usize| plainly(&fleet("h", 100, |i| if i < hosts { 10 } else { 0 }, 1000), &control);
    let blames = [40, 49, 50, 60].map(|hosts| on(hosts).blame);
    assert_eq!(blames, [Blame::Mixed, Blame::Mixed, Blame::Release, Blame::Release]);
}

#[test]
fn absent_and_absurd_counts_are_borne() {
    let nothing = plainly(&HostCounts::new(), &HostCounts::new());
    assert_eq!((nothing.blame, nothing.breadth, nothing.breadth_expected), (Blame::Clean, 0.0, 0.0));
    assert_eq!(plainly(&fleet("h", 5, |_| 0, 100), &fleet("u", 5, |_| 9, 100)).blame, Blame::Clean);
    let unknown = plainly(&fleet("h", 20, |i| if i == 3 { 50 } else { 0 }, 0), &HostCounts::new());
    assert_eq!((unknown.blame, unknown.suspects), (Blame::Host, vec![host("h003")]));
    let huge = plainly(&fleet("h", 3, |_| u64::MAX, u64::MAX), &fleet("u", 3, |_| 0, u64::MAX));
    assert_eq!(huge.p_all.map(f64::is_finite), Some(true));
}

#[test]
fn what_follows_a_blame() {
    use Consequence::{LeaveOut, Pause, Rollback};
    let of = |blame, witnessed, hosts| consequence(blame, witnessed, OnFail::Rollback, hosts);
    assert_eq!(of(Some(Blame::Host), true, 9), LeaveOut);
    assert_eq!(of(Some(Blame::Host), false, 9), Pause);
    assert_eq!(of(Some(Blame::Release), false, 9), Rollback);
    assert_eq!(of(Some(Blame::Mixed), true, 9), Pause);
    assert_eq!(of(Some(Blame::Ambient), true, 1), Pause);
    assert_eq!(of(Some(Blame::NoControl), false, 9), Rollback);
    assert_eq!(of(None, false, 0), Rollback);
    assert_eq!(of(Some(Blame::Mixed), false, 1), Rollback, "of one host they can't be told apart");
    let paused = [Some(Blame::Release), Some(Blame::NoControl), None];
    assert!(paused.iter().all(|blame| consequence(*blame, false, OnFail::Pause, 9) == Pause));
}
