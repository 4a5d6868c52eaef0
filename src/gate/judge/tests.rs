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

fn scope(rolled: usize, control: usize) -> Scope {
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

fn reading(what: What) -> Reading {
    Reading { what, query: "Q".to_owned(), window_ms: 90_000, newest_age_ms: Some(0) }
}

fn asked(kind: Kind, scope: &Scope, what: What) -> Judgement {
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

fn counts(limits: CountLimits) -> Kind {
    Kind::Counts(Counts { source: log_source(), newest_age_ms_max: None, limits })
}

fn tally(rolled: &[(u64, u64)], control: &[(u64, u64)]) -> Tally {
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
    let mixed = [vec![Some(2000.0), Some(300.0)], vec![Some(10.0); 8]].concat();
    assert_eq!(percent(20.0, &mixed).verdict, Pass, "critical points are not counted as warnings");
    assert_eq!(percent(10.0, &mixed).verdict, Fail);
}

#[test]
fn ranks_fail_with_all_three_limits() {
    let kind = |floor| {
        let (alpha, effect_min, newest_age_ms_max, window_ms) = (0.01, 0.64, 60_000, 60_000);
        Kind::Ranks(Ranks { source: graphite(), alpha, effect_min, floor, newest_age_ms_max, window_ms })
    };
    let values = |slow: f64| {
        let ours = (0..5).map(|i| (host(&format!("mw{i}")), slow + f64::from(i)));
        What::Numbers(ours.chain((0..5).map(|i| (host(&format!("db{i}")), 100.5 + f64::from(i)))).collect())
    };
    let slow = asked(kind(20.0), &scope(5, 5), values(200.0));
    assert_eq!(slow.verdict, Fail);
    expect!["Fails: 5 switched hosts against 5 other hosts: shift 99.5, A12 1, p 0.004; fails with p below 0.01, A12 at least 0.64 and shift above 20 (n 10, over 90 s, asked: Q)."].assert_eq(&slow.sentence);
    assert_eq!(asked(kind(200.0), &scope(5, 5), values(200.0)).verdict, Pass, "a shift below the floor");
    assert_eq!(asked(kind(0.0), &scope(5, 5), values(100.0)).verdict, Pass);
    assert_eq!(asked(kind(0.0), &scope(6, 5), values(100.0)).verdict, Inconclusive, "one host gave no number");
    assert_eq!(asked(kind(0.0), &scope(2, 5), values(200.0)).verdict, Inconclusive, "too few hosts");
    assert_eq!(asked(kind(0.0), &scope(5, 0), values(200.0)).verdict, Inconclusive);
}

#[test]
fn counts_of_two_arms() {
    let of = |rolled: &[(u64, u64)], control: &[(u64, u64)]| {
        asked(counts(CountLimits::default()), &scope(rolled.len(), control.len()), What::Counts(tally(rolled, control)))
    };
    let bad = of(&[(25, 10_000)], &[(60, 90_000)]);
    assert_eq!(bad.verdict, Fail);
    expect!["Fails: 25 of 10000 against 60 of 90000 on the other hosts: 1.9179 to 6.9673 times the rate, surely above 1 (n 85, over 90 s, asked: Q)."].assert_eq(&bad.sentence);
    assert_eq!(of(&[(12, 10_000)], &[(60, 90_000)]).verdict, Inconclusive);
    assert_eq!(of(&[(1000, 1_000_000)], &[(1000, 1_000_000)]).verdict, Pass);
    assert_eq!(of(&[(0, 6000)], &[(0, 6000)]).verdict, Pass);
    assert_eq!(of(&[(0, 5000)], &[(0, 6000)]).verdict, Inconclusive, "the bound is 1.06e-3");
    assert_eq!(of(&[(50, 99)], &[(0, 6000)]).verdict, Inconclusive, "too little exposure");
    assert_eq!(of(&[(50, 1_000_000)], &[(0, 1_000_000)]).verdict, Fail, "the rate is small, but fail wins");
    assert_eq!(of(&[(4, 1000)], &[(0, 100_000)]).verdict, Inconclusive, "fewer than min_events");
    // Control hosts with 0 and 60 events by turns: phi 30 takes the evidence away.
    let wild = [(0, 45_000), (60, 45_000)];
    assert_eq!(of(&[(25, 10_000)], &wild).verdict, Inconclusive);
}

#[test]
fn counts_without_other_hosts_look_before_the_switch() {
    let (kind, scope) = (counts(CountLimits::default()), scope(1, 0));
    let mut tally = tally(&[(300, 10_000)], &[]);
    assert_eq!(asked(kind.clone(), &scope, What::Counts(tally.clone())).verdict, Inconclusive);
    tally.before = Some(BTreeMap::from([(host("mw0"), Count { events: 10, exposure: 10_000 })]));
    let said = asked(kind, &scope, What::Counts(tally));
    assert_eq!(said.verdict, Fail);
    assert!(said.sentence.contains("before the switch"), "{}", said.sentence);
}

#[test]
fn sequential_counts_wait_for_more() {
    let limits = CountLimits { sequential: true, ..CountLimits::default() };
    let of = |x, y| asked(counts(limits), &scope(1, 1), What::Counts(tally(&[(x, 10_000)], &[(y, 90_000)]))).verdict;
    assert_eq!(of(25, 60), Fail);
    assert_eq!(of(12, 60), Inconclusive);
}

fn seen(hosts: &[(&str, u64)], known_since: Option<Time>) -> Seen {
    let hosts = hosts.iter().map(|(name, events)| (host(name), *events)).collect();
    let exposure = ["mw0", "mw1", "db0", "db1"].map(|name| (host(name), Count { events: 0, exposure: 1000 }));
    Seen { signature: "S <n>".to_owned(), sample: "S 7".to_owned(), hosts, exposure: exposure.into(), known_since }
}

fn signatures(until: Option<Time>) -> Signatures {
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
    assert_eq!(of(seen(&[("mw0", 2), ("mw1", 1)], None), Some(Time(6000))).verdict, Pass, "acknowledged");
    let expired = of(seen(&[("mw0", 2), ("mw1", 1)], None), Some(Time(4000)));
    assert_eq!(expired.verdict, Fail);
    assert!(expired.sentence.contains("bd808's acknowledgement ended"), "{}", expired.sentence);
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
    let contract = Kind::Contract(Contract { urls, headers: Vec::new(), expected: BTreeMap::new(), deadline_ms: 1 });
    assert_eq!(asked(contract.clone(), &scope(1, 1), What::Contract(Vec::new())).verdict, Pass);
    assert_eq!(asked(contract, &scope(1, 1), What::Contract(vec!["Vary: a, was b".to_owned()])).verdict, Fail);
}

#[test]
fn people_and_time() {
    let blockers = || Kind::Blockers(Blockers { argv: Vec::new(), deadline_ms: 1 });
    assert_eq!(asked(blockers(), &scope(0, 1), What::Blockers(Vec::new())).verdict, Pass);
    assert_eq!(asked(blockers(), &scope(0, 1), What::Blockers(vec!["T124143 x".to_owned()])).verdict, Fail);
    let answer = |yes| Some(Answered { yes, by: "bd808".to_owned(), reason: "looks good".to_owned() });
    let of = |answer| asked(Kind::Approval, &scope(0, 1), What::Answer(answer)).verdict;
    assert_eq!([of(None), of(answer(true)), of(answer(false))], [Inconclusive, Pass, Fail]);
    let soak = Kind::Soak(Soak { time_ms: 1000, min_requests: Some((500, log_source())) });
    let of = |time_ms, requests| asked(soak.clone(), &scope(0, 1), What::Soaked { time_ms, requests }).verdict;
    assert_eq!(of(Some(1000), Some(500)), Pass);
    assert_eq!(
        [of(Some(9999), Some(499)), of(Some(999), Some(500)), of(None, Some(500)), of(Some(9999), None)],
        [Inconclusive; 4]
    );
}

#[test]
fn tallies_are_events_by_host() {
    let probe = Kind::Probe(Probe { journeys: Vec::new(), needed: 1, tries: 1, deadline_ms: 1 });
    let shown = [("mw0", Shown::Good), ("mw1", Shown::Bad(String::new())), ("db0", Shown::Unreachable(String::new()))];
    let shown = What::Probed(shown.map(|(name, shown)| (host(name), shown)).into());
    let (rolled, control, _) = tallies(&gate(probe), &scope(2, 1), &reading(shown)).expect("a probe has hosts");
    let events: Vec<u64> = rolled.values().map(|count| count.events).collect();
    assert_eq!((events, control.len()), (vec![0, 10], 0));
    let what = What::Signatures(vec![seen(&[("mw0", 2), ("mw1", 1)], None)]);
    let (rolled, control, _) =
        tallies(&gate(Kind::Signatures(signatures(None))), &scope(2, 2), &reading(what)).expect("hosts");
    assert_eq!(rolled.values().map(|count| count.events).sum::<u64>(), 3);
    assert_eq!(control.values().map(|count| (count.events, count.exposure)).collect::<Vec<_>>(), [(0, 1000); 2]);
    assert_eq!(tallies(&gate(Kind::Approval), &scope(1, 1), &reading(What::Answer(None))), None);
}
