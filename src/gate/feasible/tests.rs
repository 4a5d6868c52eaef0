//! What a gate would need is said.

use super::*;
use crate::gate::spec::counts::{CountSource, Counts};
use crate::gate::spec::hosts::Host;
use crate::gate::spec::numbers::{PercentAbove, Source, Threshold};
use crate::gate::spec::probe::{Contract, Journey, Step};
use crate::gate::spec::signatures::{LogSource, Signatures};
use expect_test::expect;

fn with(kind: Kind, rolled: usize, control: usize) -> Result<(), String> {
    feasible(&Gate::new("g".parse().expect("a name"), [], kind), rolled, control)
}

fn program() -> Source {
    Source::Program { argv: Vec::new() }
}

fn ranks() -> Kind {
    let (alpha, effect_min, floor, newest_age_ms_max, window_ms) = (0.01, 0.64, 0.0, 1, 1);
    Kind::Ranks(Ranks { source: program(), alpha, effect_min, floor, newest_age_ms_max, window_ms })
}

#[test]
fn ranks_need_hosts_to_compare_with() {
    expect!["2 switched hosts against 8 never give a p below 0.01: it needs 13 hosts that are not switched"]
        .assert_eq(&with(ranks(), 2, 8).expect_err("1/45"));
    assert_eq!(with(ranks(), 2, 13), Ok(()));
    // 1/C(100, 1) is alpha itself, and a judge fails below.
    assert!(with(ranks(), 1, 99).is_err_and(|why| why.contains("needs 100 hosts")));
    assert_eq!(with(ranks(), 1, 100), Ok(()));
    assert!(with(ranks(), 9, 0).is_err());
    expect!["it judges switched hosts, and none of those it is about is switched"]
        .assert_eq(&with(ranks(), 0, 9).expect_err("none"));
}

#[test]
fn signatures_probes_and_percents() {
    let signatures = |min_hosts| {
        let (source, limits) = (LogSource::Files(Vec::new()), CountLimits::default());
        Kind::Signatures(Signatures {
            source,
            newest_age_ms_max: None,
            look_back_ms: 1,
            min_events: 3,
            min_hosts,
            limits,
            requests_file: None,
            acknowledged: Vec::new(),
        })
    };
    expect!["a new signature has to be on 2 hosts, and 1 host is switched"]
        .assert_eq(&with(signatures(2), 1, 9).expect_err("one host"));
    assert_eq!(with(signatures(1), 1, 9), Ok(()));
    let probe = |target: Option<Target>, needed| {
        let step = |target| Step {
            jar: "a".to_owned(),
            target,
            tls: None,
            host_header: String::new(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: None,
            redirects_max: 0,
            asserts: Vec::new(),
        };
        let journey = |target| Journey { name: String::new(), steps: vec![step(Target::Scope), step(target)] };
        let journeys = target.map(journey).into_iter().collect();
        Kind::Probe(Probe { journeys, needed, tries: 3, deadline_ms: 1 })
    };
    expect!["it needs 4 good tries in a row, and there are 3"]
        .assert_eq(&with(probe(None, 4), 1, 1).expect_err("four of three"));
    expect!["it passes without any try"].assert_eq(&with(probe(None, 0), 1, 1).expect_err("none"));
    expect!["it has no journey"].assert_eq(&with(probe(None, 3), 1, 1).expect_err("none"));
    let two = || probe(Some(Target::Another), 1);
    expect!["a journey asks two hosts, and 1 host is in scope"].assert_eq(&with(two(), 1, 0).expect_err("one"));
    assert_eq!(
        [with(two(), 1, 1), with(two(), 2, 0), with(probe(Some(Target::Scope), 1), 1, 0)],
        [Ok(()), Ok(()), Ok(())]
    );
    let percent = |percent| {
        let rule =
            Rule::PercentAbove(PercentAbove { warn: 1.0, crit: 2.0, percent, under: false, warning_fails: false });
        let threshold = Threshold { source: program(), rule, newest_age_ms_max: 1, window_ms: 1 };
        with(Kind::Threshold(threshold), 1, 1)
    };
    assert!(percent(0.0).is_err() && percent(100.5).is_err() && percent(f64::NAN).is_err());
    assert_eq!(percent(100.0), Ok(()));
}

#[test]
fn limits_of_counts_that_contradict_each_other() {
    let with = |change: fn(&mut CountLimits)| {
        let mut all = CountLimits::default();
        change(&mut all);
        limits(&all)
    };
    assert_eq!(with(|_| ()), Ok(()));
    expect!["min_ratio 2 is above max_ratio 1.5, so that it could fail and pass at once"]
        .assert_eq(&with(|l| l.min_ratio = 2.0).expect_err("above max_ratio"));
    assert!(with(|l| l.alpha = 0.0).is_err() && with(|l| l.max_rate = 0.0).is_err());
    assert!(with(|l| l.alpha = 1.0).is_err() && with(|l| (l.min_ratio, l.max_ratio) = (0.0, 0.0)).is_err());
    assert_eq!(with(|l| l.max_ratio = l.min_ratio), Ok(()));
    assert!(with(|l| l.min_ratio = f64::NAN).is_err() && with(|l| l.tolerated_ratio = 0.0).is_err());
}

#[test]
fn what_compares_needs_both_sides_and_something_to_compare() {
    let counts = || {
        let events = program();
        let source = CountSource::Monitoring { events, exposure: program(), wiki_label: None };
        Kind::Counts(Counts { source, newest_age_ms_max: None, limits: CountLimits::default() })
    };
    assert!(with(counts(), 0, 9).is_err());
    assert_eq!(with(counts(), 1, 0), Ok(()), "before the switch is compared with");
    let contract = |urls: &[(&str, &str)]| {
        let urls = urls.iter().map(|(host, path)| ((*host).to_owned(), (*path).to_owned())).collect();
        Kind::Contract(Contract { urls, headers: Vec::new(), expected: [].into(), deadline_ms: 1 })
    };
    expect!["it compares no URL"].assert_eq(&with(contract(&[]), 1, 1).expect_err("none"));
    expect!["it compares with a host that is not switched, and needs 1"]
        .assert_eq(&with(contract(&[("h", "/")]), 1, 0).expect_err("none"));
    assert_eq!(with(contract(&[("h", "/")]), 1, 1), Ok(()));
    expect!["it has no condition"]
        .assert_eq(&with(Kind::Host(Host { conditions: Vec::new() }), 1, 1).expect_err("none"));
}
