//! Two arms of counts, and where their limits lie.

use super::super::tests::{asked, counts, host, scope, tally};
use super::*;
use crate::gate::reading::What;
use crate::model::verdict::Verdict::{Fail, Inconclusive, Pass};
use expect_test::expect;
use std::collections::BTreeMap;

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
    assert_eq!(of(&[(5, 1000)], &[(0, 100_000)]).verdict, Fail, "min_events");
    assert_eq!(of(&[(50, 100)], &[(0, 100)]).verdict, Fail, "min_exposure");
    assert_eq!(of(&[(50, 100)], &[(0, 99)]).verdict, Inconclusive, "too little exposure of the others");
    let against = of(&[(1000, 1_000_000)], &[(1000, 1_000_000)]).against;
    assert_eq!(against, Against { bounds: vec![1.5], baseline: Some(1.0) });
    // Phi is 1.5 for 9 and 15 events, and a little more for 9 and 16.
    let varied = |more| of(&[(25, 10_000)], &[(9, 45_000), (more, 45_000)]).sentence.contains("hosts vary");
    assert_eq!([varied(15), varied(16)], [false, true]);
    // Control hosts with 0 and 60 events by turns: phi 30 takes the evidence away.
    let wild = [(0, 45_000), (60, 45_000)];
    assert_eq!(of(&[(25, 10_000)], &wild).verdict, Inconclusive);
}

#[test]
fn a_bound_that_is_a_limit_itself_is_not_beyond_it() {
    let (ours, theirs) = (Count { events: 25, exposure: 10_000 }, Count { events: 60, exposure: 90_000 });
    let of = |limits: CountLimits, theirs| compare(&limits, ours, &[(host("db0"), theirs)].into(), "").verdict;
    let all = CountLimits::default();
    let (low, high) = Arms::new(ours, theirs).ratio_interval(all.alpha);
    let borne = CountLimits { min_ratio: low, max_ratio: high, ..all };
    assert_eq!(of(borne, theirs), Inconclusive);
    assert_eq!(of(CountLimits { min_ratio: low.next_down(), ..borne }, theirs), Fail);
    assert_eq!(of(CountLimits { max_ratio: high.next_up(), ..borne }, theirs), Pass);
    let none = Count { events: 0, ..theirs };
    let bound = Arms::new(ours, none).rate_bound(all.alpha);
    let borne = CountLimits { min_events: 26, max_rate: bound, ..all };
    assert_eq!(of(borne, none), Inconclusive);
    assert_eq!(of(CountLimits { max_rate: bound.next_up(), ..borne }, none), Pass);
}

#[test]
fn counts_without_other_hosts_look_before_the_switch() {
    let (kind, scope) = (counts(CountLimits::default()), scope(1, 0));
    let mut tally = tally(&[(300, 10_000)], &[]);
    assert_eq!(asked(kind.clone(), &scope, What::Counts(tally.clone())).verdict, Inconclusive);
    tally.before = Some(BTreeMap::new());
    let said = asked(kind.clone(), &scope, What::Counts(tally.clone()));
    assert_eq!(said.verdict, Inconclusive);
    assert!(said.sentence.contains("nothing to compare with"), "{}", said.sentence);
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
