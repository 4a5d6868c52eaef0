//! What a gate would need is said.

use super::*;
use crate::gate::spec::numbers::{PercentAbove, Source, Threshold};
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
    assert!(with(ranks(), 0, 9).is_err() && with(ranks(), 9, 0).is_err());
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
    let probe = Probe { journeys: Vec::new(), needed: 4, tries: 3, deadline_ms: 1 };
    expect!["it needs 4 good tries in a row, and there are 3"]
        .assert_eq(&with(Kind::Probe(probe), 1, 1).expect_err("four of three"));
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
    assert!(with(|l| l.min_ratio = f64::NAN).is_err() && with(|l| l.tolerated_ratio = 0.0).is_err());
}
