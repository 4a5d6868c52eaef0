//! Each kind's verdicts.

use super::*;
use crate::gate::reading::{Answered, Shown, Tally};
use crate::gate::signature::Seen;
use crate::gate::spec::counts::{CountLimits, CountSource, Counts, LogCounts};
use crate::gate::spec::hosts::{Command, Fact, Host};
use crate::gate::spec::numbers::{Condition, Op, PercentAbove, Ranks, Rule, Source, Threshold};
use crate::gate::spec::people::{Blockers, Soak};
use crate::gate::spec::probe::{Contract, Probe, Served, ServedField};
use crate::gate::spec::signatures::{Acknowledged, LogSource, Signatures};
use crate::gate::stat::counts::Arms;
use crate::model::question::PluginSaid;
use crate::model::verdict::{Count, HostCounts, Verdict::*};
use expect_test::expect;
use std::collections::BTreeMap;

pub fn host(name: &str) -> HostName {
    name.parse().expect("a host")
}

pub fn gate(kind: Kind) -> Gate {
    Gate::new("g".parse().expect("a name"), [], kind)
}

pub fn scope(rolled: usize, control: usize) -> Scope {
    let hosts = |prefix: &str, n: usize| (0..n).map(|i| host(&format!("{prefix}{i}"))).collect();
    let wanted = ("group0".parse().expect("a group"), "1.27.0-wmf.11".parse().expect("a version"));
    Scope {
        others: Default::default(),
        rolled: hosts("mw", rolled),
        control: hosts("db", control),
        group: None,
        version: None,
        wikis: BTreeMap::from([("testwiki".parse().expect("a wiki"), wanted)]),
        since: Time(1000),
    }
}

pub fn reading(what: What) -> Reading {
    Reading { what, query: "Q".to_owned(), window_ms: 90_000, newest_age_ms: Some(0) }
}

pub fn asked(kind: Kind, scope: &Scope, what: What) -> Judgement {
    judge(&gate(kind), scope, &Ok(reading(what)), Time(5000))
}

fn graphite() -> Source {
    Source::Graphite { server: String::new(), target: String::new(), host_node: None }
}

fn threshold(rule: Rule) -> Kind {
    Kind::Threshold(Threshold { source: graphite(), rule, newest_age_ms_max: 60_000, window_ms: 600_000 })
}

fn log_source() -> CountSource {
    let (file, events) = ("/var/log/a".into(), String::new());
    CountSource::Logs(LogCounts { file, exposure: None, events_file: None, events, wiki: None })
}

pub fn counts(limits: CountLimits) -> Kind {
    Kind::Counts(Counts { source: log_source(), newest_age_ms_max: None, limits })
}

pub fn tally(rolled: &[(u64, u64)], control: &[(u64, u64)]) -> Tally {
    let arm = |prefix: &'static str, arm: &[(u64, u64)]| -> HostCounts {
        let one = |(i, (events, exposure)): (usize, &(u64, u64))| {
            (host(&format!("{prefix}{i}")), Count { events: *events, exposure: *exposure })
        };
        arm.iter().enumerate().map(one).collect()
    };
    Tally { hosts: arm("mw", rolled).into_iter().chain(arm("db", control)).collect(), ..Tally::default() }
}

#[test]
fn an_unmeasured_gate_is_an_error_and_an_old_sample_is_blind() {
    let rule = Rule::Number { success: Some(Condition { op: Op::Below, limit: 5.0 }), failure: None };
    let gate = gate(threshold(rule));
    let error = ReadError { query: "up".to_owned(), why: "connection\nrefused".to_owned() };
    let said = judge(&gate, &scope(1, 1), &Err(error), Time(0));
    assert_eq!((said.verdict, said.value), (Error, None));
    expect!["Error: not measured: connection refused (asked: up)."].assert_eq(&said.sentence);
    let old = Reading { newest_age_ms: Some(600_000), ..reading(What::Number(Some(1.0))) };
    let said = judge(&gate, &scope(1, 1), &Ok(old), Time(0));
    assert_eq!(said.verdict, Inconclusive);
    expect![
        "Undecided: the source went blind: its newest sample is 10 min old, and 60 s is borne (over 90 s, asked: Q)."
    ]
    .assert_eq(&said.sentence);
    let other = judge(&gate, &scope(1, 1), &Ok(reading(What::Blockers(Vec::new()))), Time(0));
    assert_eq!(other.verdict, Error);
}

#[test]
fn numbers_against_conditions() {
    let below = |limit| Some(Condition { op: Op::Below, limit });
    let above = |limit| Some(Condition { op: Op::Above, limit });
    let of = |success, failure, value| {
        asked(threshold(Rule::Number { success, failure }), &scope(1, 1), What::Number(value))
    };
    assert_eq!(of(below(5.0), None, Some(4.0)).verdict, Pass);
    assert_eq!(of(below(5.0), None, Some(5.0)).verdict, Fail);
    assert_eq!(of(None, above(5.0), Some(5.0)).verdict, Pass);
    assert_eq!(of(None, above(5.0), Some(6.0)).verdict, Fail);
    assert_eq!(of(below(5.0), above(9.0), Some(7.0)).verdict, Inconclusive);
    assert_eq!(of(below(5.0), above(3.0), Some(4.0)).verdict, Inconclusive);
    for none in [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY)] {
        let said = of(below(5.0), None, none);
        assert_eq!((said.verdict, said.value), (Inconclusive, None), "{none:?}");
    }
    expect!["Fails: 12.5 was measured; good below 5, bad above 9 (n 1, over 90 s, asked: Q)."]
        .assert_eq(&of(below(5.0), above(9.0), Some(12.5)).sentence);
}

fn percent(percent: f64, points: &[Option<f64>]) -> Judgement {
    let alert = PercentAbove { warn: 250.0, crit: 1000.0, percent, under: false, warning_fails: false };
    asked(threshold(Rule::PercentAbove(alert)), &scope(1, 1), What::Points(points.to_vec()))
}

#[test]
fn percent_above_is_graphites_classic_alert() {
    let mut points: Vec<Option<f64>> =
        [1500.0, 1400.0, 1200.0, 1100.0, 300.0, 200.0, 100.0, 50.0, 10.0].map(Some).to_vec();
    points.push(None);
    let said = percent(1.0, &points);
    assert_eq!(said.verdict, Fail);
    expect!["Fails: 44.44% of data above the critical threshold [1000.0] (n 9, over 90 s, asked: Q)."]
        .assert_eq(&said.sentence);
    points[9] = Some(10.0);
    assert!(percent(1.0, &points).sentence.contains("40.00% of data above the critical threshold [1000.0]"));
    let warned = percent(1.0, &[Some(1000.0); 10]);
    assert_eq!(warned.verdict, Inconclusive);
    assert!(warned.sentence.contains("100.00% of data above the warning threshold [250.0]"), "{}", warned.sentence);
    let nulls = |n: usize| [vec![None; n], vec![Some(10.0); 10 - n]].concat();
    assert_eq!(percent(1.0, &nulls(6)).verdict, Inconclusive);
    assert_eq!(percent(1.0, &nulls(5)).verdict, Pass);
    assert_eq!(percent(1.0, &[]).verdict, Inconclusive);
    assert_eq!(percent(1.0, &[Some(f64::NAN)]).verdict, Inconclusive);
    let under = |value: f64| {
        let alert = PercentAbove { warn: 10.0, crit: 5.0, percent: 50.0, under: true, warning_fails: false };
        asked(threshold(Rule::PercentAbove(alert)), &scope(1, 1), What::Points(vec![Some(value), Some(99.0)])).verdict
    };
    assert_eq!([10.0, 9.9, 5.0, 4.9].map(under), [Pass, Inconclusive, Inconclusive, Fail]);
    let few = [vec![Some(2000.0)], vec![Some(300.0); 2], vec![Some(10.0); 7]].concat();
    assert_eq!((percent(50.0, &few).verdict, percent(50.0, &few).value), (Pass, Some(30.0)));
    let mixed = [vec![Some(2000.0), Some(300.0)], vec![Some(10.0); 8]].concat();
    assert_eq!(percent(20.0, &mixed).verdict, Pass, "critical points are not counted as warnings");
    assert_eq!(percent(10.0, &mixed).verdict, Fail);
}

fn ranks(alpha: f64, floor: f64) -> Kind {
    let (effect_min, newest_age_ms_max, window_ms) = (0.64, 60_000, 60_000);
    Kind::Ranks(Ranks { source: graphite(), alpha, effect_min, floor, newest_age_ms_max, window_ms })
}

#[test]
fn ranks_fail_with_all_three_limits() {
    let kind = |floor| ranks(0.01, floor);
    let values = |slow: f64| {
        let ours = (0..5).map(|i| (host(&format!("mw{i}")), slow + f64::from(i)));
        What::Numbers(ours.chain((0..5).map(|i| (host(&format!("db{i}")), 100.5 + f64::from(i)))).collect())
    };
    let slow = asked(kind(20.0), &scope(5, 5), values(200.0));
    assert_eq!(slow.verdict, Fail);
    expect!["Fails: 5 switched hosts against 5 other hosts: shift 99.5, A12 1, p 0.004; fails with p below 0.01, A12 at least 0.64 and shift above 20 (n 10, over 90 s, asked: Q)."].assert_eq(&slow.sentence);
    assert_eq!(asked(kind(200.0), &scope(5, 5), values(200.0)).verdict, Pass, "a shift below the floor");
    assert_eq!(asked(kind(99.5), &scope(5, 5), values(200.0)).verdict, Pass, "the floor itself");
    assert_eq!(asked(kind(0.0), &scope(5, 5), values(100.0)).verdict, Pass);
    assert_eq!(asked(kind(0.0), &scope(5, 5), values(102.0)).verdict, Inconclusive, "larger, and perhaps by chance");
    let few = |alpha, m, n| asked(ranks(alpha, 0.0), &scope(m, n), values(200.0));
    let needs = |said: &Judgement| said.sentence.split("can't fail, ").nth(1).map(|needs| needs[..2].to_owned());
    assert_eq!(needs(&few(0.01, 2, 5)), Some("13".to_owned()));
    assert_eq!((few(0.2, 1, 4).verdict, needs(&few(0.2, 1, 4))), (Inconclusive, Some("5 ".to_owned())), "p is alpha");
    assert_eq!((few(0.2, 1, 5).verdict, needs(&few(0.2, 1, 5))), (Fail, None));
    assert_eq!(asked(kind(0.0), &scope(6, 5), values(100.0)).verdict, Inconclusive, "one host gave no number");
    assert_eq!(asked(kind(0.0), &scope(2, 5), values(200.0)).verdict, Inconclusive, "too few hosts");
    assert_eq!(asked(kind(0.0), &scope(5, 0), values(200.0)).verdict, Inconclusive);
}

pub fn seen(hosts: &[(&str, u64)], known_since: Option<Time>) -> Seen {
    let hosts = hosts.iter().map(|(name, events)| (host(name), *events)).collect();
    let exposure = ["mw0", "mw1", "db0", "db1"].map(|name| (host(name), Count { events: 0, exposure: 1000 }));
    Seen { signature: "S <n>".to_owned(), sample: "S 7".to_owned(), hosts, exposure: exposure.into(), known_since }
}

pub fn signatures(until: Option<Time>) -> Signatures {
    let known = until.map(|until| Acknowledged {
        signature: "S <n>".to_owned(),
        reason: "known".to_owned(),
        owner: "bd808".to_owned(),
        until,
    });
    Signatures {
        source: LogSource::Files(Vec::new()),
        look_back_ms: 1000,
        newest_age_ms_max: None,
        min_events: 3,
        min_hosts: 2,
        limits: CountLimits::default(),
        requests_file: None,
        acknowledged: known.into_iter().collect(),
    }
}

#[test]
fn signatures_new_known_and_acknowledged() {
    let of = |seen: Seen, until| asked(Kind::Signatures(signatures(until)), &scope(2, 2), What::Signatures(vec![seen]));
    let new = of(seen(&[("mw0", 2), ("mw1", 1)], None), None);
    assert_eq!(new.verdict, Fail);
    expect!["Fails: `S <n>` is new: 3 events on 2 switched hosts (n 1, over 90 s, asked: Q)."].assert_eq(&new.sentence);
    assert_eq!(of(seen(&[("mw0", 9)], None), None).verdict, Inconclusive, "on one host");
    assert_eq!(of(seen(&[("mw0", 1), ("mw1", 1)], None), None).verdict, Inconclusive, "two events");
    assert_eq!(of(seen(&[("mw0", 2), ("mw1", 1), ("db0", 2)], None), None).verdict, Pass, "the others have it too");
    assert_eq!(of(seen(&[("mw0", 40), ("mw1", 40), ("db0", 4)], Some(Time(1))), None).verdict, Fail, "more frequent");
    assert_eq!(of(seen(&[("mw0", 4), ("mw1", 4), ("db0", 4)], Some(Time(1))), None).verdict, Pass);
    let acknowledged = of(seen(&[("mw0", 2), ("mw1", 1)], None), Some(Time(5001)));
    assert_eq!((acknowledged.verdict, acknowledged.value), (Pass, Some(0.0)));
    assert!(acknowledged.sentence.contains(", 1 acknowledged"), "{}", acknowledged.sentence);
    assert_eq!(of(seen(&[("mw0", 2), ("mw1", 1)], None), Some(Time(5000))).verdict, Fail, "it ends now");
    assert_eq!(of(seen(&[("mw0", 3), ("mw1", 0), ("db9", 2)], None), None).verdict, Inconclusive, "on one host only");
    let elsewhere = of(seen(&[("db9", 9)], None), None);
    assert_eq!((elsewhere.verdict, elsewhere.n), (Pass, 0), "on no host in scope");
    let unweighed = Seen { exposure: BTreeMap::new(), ..seen(&[("mw0", 40), ("mw1", 40), ("db0", 4)], Some(Time(1))) };
    assert_eq!(of(unweighed, None).verdict, Fail, "each host weighs the same");
    let other = Seen { signature: "T".to_owned(), ..seen(&[("mw0", 2), ("mw1", 1)], None) };
    let two = vec![other, seen(&[("mw0", 2), ("mw1", 1)], None)];
    let two = asked(Kind::Signatures(signatures(Some(Time(4000)))), &scope(2, 2), What::Signatures(two));
    assert_eq!((two.verdict, two.value), (Fail, Some(2.0)));
    assert!(two.sentence.contains("`T` is new") && !two.sentence.contains("acknowledgement"), "{}", two.sentence);
    let expired = of(seen(&[("mw0", 2), ("mw1", 1)], None), Some(Time(4000)));
    assert_eq!(expired.verdict, Fail);
    assert!(expired.sentence.contains("bd808's acknowledgement ended"), "{}", expired.sentence);
}

#[test]
fn known_signatures_share_alpha() {
    let limits = CountLimits::default();
    let low = |events, alpha| {
        let (ours, theirs) = (Count { events, exposure: 2000 }, Count { events: 20, exposure: 2000 });
        Arms::new(ours, theirs).ratio_interval(alpha).0
    };
    // So many that alone they are surely more frequent, and beside another signature not so surely.
    let between = |events: &u64| low(*events, limits.alpha) > 1.0 && low(*events, limits.alpha / 2.0) <= 1.0;
    let events = (20..60).find(between).expect("there are such");
    let frequent = || seen(&[("mw0", events), ("db0", 10), ("db1", 10)], Some(Time(1)));
    let rare = Seen { signature: "T".to_owned(), ..seen(&[("db0", 1)], Some(Time(1))) };
    let of = |seen| asked(Kind::Signatures(signatures(None)), &scope(2, 2), What::Signatures(seen)).verdict;
    assert_eq!((of(vec![frequent()]), of(vec![frequent(), rare])), (Fail, Pass));
}

#[test]
fn where_the_age_of_samples_is_not_known_that_is_said() {
    let counted = || What::Counts(tally(&[(0, 10_000)], &[(0, 90_000)]));
    let of = |newest_age_ms| {
        let reading = Reading { newest_age_ms, ..reading(counted()) };
        judge(&gate(counts(CountLimits::default())), &scope(1, 1), &Ok(reading), Time(5000)).sentence
    };
    assert!(of(None).contains("how old its newest sample is is not known"), "{}", of(None));
    assert!(!of(Some(1)).contains("is not known"), "{}", of(Some(1)));
}

#[test]
fn ranks_and_counts_of_old_samples_are_blind() {
    let of = |kind: Kind, what: What, age| {
        let old = Reading { newest_age_ms: Some(age), ..reading(what) };
        judge(&gate(kind), &scope(1, 1), &Ok(old), Time(5000)).sentence
    };
    let ranks = ranks(0.01, 0.0);
    let limits = CountLimits::default();
    let counts = Kind::Counts(Counts { source: log_source(), newest_age_ms_max: Some(60_000), limits });
    let counted = || What::Counts(tally(&[(0, 10_000)], &[(0, 90_000)]));
    assert!(of(ranks.clone(), What::Numbers(BTreeMap::new()), 60_001).contains("went blind"));
    assert!(!of(ranks, What::Numbers(BTreeMap::new()), 60_000).contains("went blind"));
    assert!(of(counts.clone(), counted(), 60_001).contains("went blind"));
    assert!(!of(counts, counted(), 60_000).contains("went blind"));
}

#[test]
fn times_and_numbers_are_short() {
    let spans = [1_999, 2_000, 119_999, 120_000, 7_199_999, 7_200_000].map(span);
    assert_eq!(spans, ["1999 ms", "2 s", "119 s", "2 min", "119 min", "2 h"]);
    let numbers = [0.0, 0.000_999, 0.001, -99.994, 100.04, 100.06, 999_999_999.0, 1e9, f64::INFINITY, -f64::INFINITY];
    let shown =
        ["0", "9.99e-4", "0.001", "-99.994", "100", "100.1", "999999999", "1.00e9", "any number", "minus any number"];
    assert_eq!(numbers.map(brief), shown);
}

#[test]
fn a_gate_that_names_hosts_is_about_these_only() {
    let hosts = ["mw0", "db1", "elsewhere"].map(host).into();
    let all = Scope { others: ["log0", "elsewhere"].map(host).into(), ..scope(2, 2) };
    let few = all.only(Some(&hosts));
    assert_eq!(
        (few.rolled, few.control, few.others),
        ([host("mw0")].into(), [host("db1")].into(), [host("elsewhere")].into())
    );
    assert_eq!(all.only(None), scope(2, 2), "else those that serve wikis");
}

#[test]
fn a_log_that_nobody_writes_is_blind_where_that_is_said() {
    let of = |newest_age_ms_max, age| {
        let gate = Kind::Signatures(Signatures { newest_age_ms_max, ..signatures(None) });
        let quiet = Reading { newest_age_ms: Some(age), ..reading(What::Signatures(Vec::new())) };
        judge(&self::gate(gate), &scope(2, 2), &Ok(quiet), Time(5000))
    };
    assert_eq!(of(None, u64::MAX).verdict, Pass, "a log may be quiet");
    assert_eq!(of(Some(60_000), 60_000).verdict, Pass);
    let blind = of(Some(60_000), 61_000);
    assert_eq!(blind.verdict, Inconclusive);
    assert!(blind.sentence.contains("went blind: its newest sample is 61 s old"), "{}", blind.sentence);
}

#[test]
fn probes_and_served_versions_name_the_host() {
    let probe = || Kind::Probe(Probe { journeys: Vec::new(), needed: 1, tries: 1, deadline_ms: 1 });
    let of = |mw1: Shown| {
        asked(probe(), &scope(2, 0), What::Probed([(host("mw0"), Shown::Good), (host("mw1"), mw1)].into()))
    };
    assert_eq!(of(Shown::Good).verdict, Pass);
    assert_eq!(of(Shown::Unreachable("timed out".to_owned())).verdict, Error);
    let bad = of(Shown::Bad("status 500".to_owned()));
    assert_eq!(bad.verdict, Fail);
    expect!["Fails: mw1: status 500 (1 of 2 hosts) (n 2, over 90 s, asked: Q)."].assert_eq(&bad.sentence);
    assert_eq!(asked(probe(), &scope(2, 0), What::Probed([(host("mw0"), Shown::Good)].into())).verdict, Inconclusive);
    assert_eq!(asked(probe(), &scope(0, 0), What::Probed(BTreeMap::new())).verdict, Inconclusive);

    let wikis = vec!["testwiki".parse().expect("a wiki")];
    let field = ServedField::Header("X".to_owned());
    let served = Kind::Served(Served {
        wikis: wikis.clone(),
        host_headers: [].into(),
        path: "/".to_owned(),
        field,
        deadline_ms: 1,
    });
    let of = |said: Option<Result<&str, &str>>| {
        let said = said.map(|said| said.map(|v| v.parse().expect("a version")).map_err(str::to_owned));
        let by_wiki = said.map(|said| (wikis[0].clone(), said)).into_iter().collect();
        asked(served.clone(), &scope(1, 1), What::Served([(host("mw0"), by_wiki)].into()))
    };
    assert_eq!(of(Some(Ok("1.27.0-wmf.11"))).verdict, Pass);
    assert_eq!(of(Some(Err("refused"))).verdict, Error);
    assert_eq!(of(None).verdict, Fail);
    let old = of(Some(Ok("1.27.0-wmf.10")));
    assert_eq!(old.verdict, Fail);
    expect!["Fails: mw0: serves testwiki at 1.27.0-wmf.10, and 1.27.0-wmf.11 is wanted (1 of 1 host) (n 1, over 90 s, asked: Q)."].assert_eq(&old.sentence);
}

#[test]
fn plugins_facts_and_contracts() {
    let command =
        |warning_fails| Kind::Command(Command { argv: Vec::new(), on_hosts: false, warning_fails, deadline_ms: 1 });
    let of = |code, warning_fails| {
        let said = PluginSaid { code, output: "DISK WARNING|/=91%".to_owned() };
        asked(command(warning_fails), &scope(1, 0), What::Plugins([(None, said)].into()))
    };
    let codes = [Some(0), Some(1), Some(2), Some(3), Some(-1), None].map(|code| of(code, false).verdict);
    assert_eq!(codes, [Pass, Inconclusive, Fail, Error, Error, Error]);
    assert_eq!(of(Some(1), true).verdict, Fail);
    assert!(of(Some(0), true).samples.iter().any(|line| line.contains("/=91%")));

    let conditions = vec![(Fact::DiskFullHours, Condition { op: Op::Above, limit: 12.0 })];
    let facts = |known| {
        asked(
            Kind::Host(Host { conditions: conditions.clone() }),
            &scope(0, 0),
            What::Facts([(host("mwlog1001"), known)].into()),
        )
    };
    assert_eq!(facts(Ok(vec![Some(f64::INFINITY)])).verdict, Pass, "it does not fill");
    assert_eq!(facts(Ok(vec![Some(f64::NAN)])).verdict, Inconclusive);
    assert_eq!(facts(Ok(vec![None])).verdict, Inconclusive);
    assert_eq!(facts(Err("refused".to_owned())).verdict, Error);
    let full = facts(Ok(vec![Some(3.0)]));
    assert_eq!(full.verdict, Fail);
    expect!["Fails: mwlog1001: hours until the disk is full is 3, and above 12 is wanted (1 of 1 host) (n 1, over 90 s, asked: Q)."].assert_eq(&full.sentence);

    let urls = vec![("h".to_owned(), "/".to_owned())];
    let comparing =
        |urls| Kind::Contract(Contract { urls, headers: Vec::new(), expected: BTreeMap::new(), deadline_ms: 1 });
    let nothing = asked(comparing(Vec::new()), &scope(1, 1), What::Contract(Vec::new()));
    assert_eq!(nothing.verdict, Inconclusive, "nothing was compared");
    let contract = comparing(urls);
    assert_eq!(asked(contract.clone(), &scope(1, 1), What::Contract(Vec::new())).verdict, Pass);
    assert_eq!(asked(contract, &scope(1, 1), What::Contract(vec!["Vary: a, was b".to_owned()])).verdict, Fail);
}

#[test]
fn people_and_time() {
    let blockers = || Kind::Blockers(Blockers { argv: Vec::new(), deadline_ms: 1 });
    assert_eq!(asked(blockers(), &scope(0, 1), What::Blockers(Vec::new())).verdict, Pass);
    let open = |tasks: &[&str]| {
        let tasks = tasks.iter().map(|task| (*task).to_owned()).collect();
        let said = asked(blockers(), &scope(0, 1), What::Blockers(tasks));
        assert_eq!(said.verdict, Fail);
        said.sentence
    };
    expect!["Fails: 1 blocker is open: T124143 x (n 1, over 90 s, asked: Q)."].assert_eq(&open(&["T124143 x"]));
    expect!["Fails: 2 blockers are open: T1 (n 2, over 90 s, asked: Q)."].assert_eq(&open(&["T1", "T2"]));
    let answer = |yes| Some(Answered { yes, by: "bd808".to_owned(), reason: "looks good".to_owned() });
    let of = |answer| {
        let said = asked(Kind::Approval, &scope(0, 1), What::Answer(answer));
        assert_eq!(said.limit, "a person says yes");
        said.verdict
    };
    assert_eq!([of(None), of(answer(true)), of(answer(false))], [Inconclusive, Pass, Fail]);
    let soak = Kind::Soak(Soak { time_ms: 1000, min_requests: Some((500, log_source())) });
    let of = |time_ms, requests| {
        let said = asked(soak.clone(), &scope(0, 1), What::Soaked { time_ms, requests });
        assert_eq!(said.limit, "1000 ms of soaking and 500 requests");
        said.verdict
    };
    assert_eq!(of(Some(1000), Some(500)), Pass);
    assert_eq!(
        [of(Some(9999), Some(499)), of(Some(999), Some(500)), of(None, Some(500)), of(Some(9999), None)],
        [Inconclusive; 4]
    );
}
