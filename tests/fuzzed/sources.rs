//! What holds for any answer of a monitoring system, from its body to the verdict.

use crate::files;
use crate::texts::harmless;
use pointsman::gate::judge::judge;
use pointsman::gate::reading::{Reading, Tally, What};
use pointsman::gate::scope::Scope;
use pointsman::gate::signature::{mask, of_document};
use pointsman::gate::spec::Gate;
use pointsman::model::names::HostName;
use pointsman::model::time::Time;
use pointsman::model::verdict::{Count, HostCounts, Judgement, Verdict};
use pointsman::signal::{graphite, prometheus, search};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The gates of `files::GATES` by name.
static GATES: LazyLock<BTreeMap<String, Gate>> = LazyLock::new(|| {
    let policy = files::site(files::GATES).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    policy.gates.into_iter().map(|gate| (gate.name.to_string(), gate)).collect()
});

/// Of two hosts that were switched and two that were not.
static SCOPE: LazyLock<Scope> = LazyLock::new(|| {
    let hosts = |names: [&str; 2]| names.map(|name| name.parse::<HostName>().expect("a host")).into();
    let (rolled, control) = (hosts(["mw1", "mw2"]), hosts(["mw3", "mw4"]));
    let (group, version, wikis) = (None, None, BTreeMap::new());
    Scope { rolled, control, others: BTreeSet::new(), group, version, wikis, since: Time(1000) }
});

/// Judges what was measured; whatever it was, what is said of it is bounded, harmless and can be kept.
fn judged(gate: &str, what: What) -> Judgement {
    let reading = Reading { what, query: "q".to_owned(), window_ms: 60_000, newest_age_ms: Some(0) };
    let judgement = judge(&GATES[gate], &SCOPE, &Ok(reading), Time(61_000));
    harmless(&judgement.sentence);
    judgement.samples.iter().for_each(|sample| harmless(sample));
    assert!(judgement.sentence.len() < 4096 && judgement.samples.iter().all(|sample| sample.len() < 4096));
    let json = serde_json::to_string(&judgement).expect("it has only string keys");
    assert_eq!(serde_json::from_str::<Judgement>(&json).expect("it was just written"), judgement);
    judgement
}

/// Points as a threshold and as a series, and by host, as far as they are of one.
fn numbers(points: &[Option<f64>], hosts: &BTreeMap<HostName, f64>) {
    let newest = points.iter().rev().flatten().next().copied();
    let verdict = judged("number", What::Number(newest)).verdict;
    assert!(newest.is_some_and(f64::is_finite) || verdict != Verdict::Pass, "no number is never good");
    let verdict = judged("series", What::Points(points.to_vec())).verdict;
    assert!(points.iter().flatten().any(|n| n.is_finite()) || verdict != Verdict::Pass, "no number is never good");
    judged("ranks", What::Numbers(hosts.clone()));
}

fn counts(hosts: HostCounts) {
    let found = judged("counts", What::Counts(Tally { hosts, ..Tally::default() }));
    assert!(found.n > 0 || found.verdict != Verdict::Fail);
}

fn host(name: &str) -> Option<HostName> {
    name.parse().ok()
}

/// An answer of Prometheus.
pub fn prometheus(data: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Value>(data) else { return };
    assert!(prometheus::series(500, &answer).is_err(), "an error stays one");
    let Ok(series) = prometheus::series(200, &answer) else { return };
    let samples = || series.iter().flat_map(|series| series.samples.iter());
    assert!(samples().all(|(at, number)| *at <= 1_000_000_000_000_000 && number.is_none_or(f64::is_finite)));
    let points: Vec<_> = samples().map(|(_, number)| *number).collect();
    let named = series.iter().filter_map(|one| Some((host(one.labels.get("instance")?)?, one.samples.last()?.1?)));
    numbers(&points, &named.collect());
}

/// An answer of Graphite.
pub fn graphite(data: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Value>(data) else { return };
    assert!(graphite::series(500, &answer).is_err(), "an error stays one");
    let Ok(series) = graphite::series(200, &answer) else { return };
    let points: Vec<_> = series.iter().flat_map(|one| one.points.iter().map(|(_, number)| *number)).collect();
    assert!(points.iter().flatten().all(|number| number.is_finite()));
    let named = series.iter().filter_map(|one| Some((host(&one.host(1)?)?, one.points.last()?.1?)));
    numbers(&points, &named.collect());
}

/// An answer of Elasticsearch or OpenSearch.
pub fn elasticsearch(data: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Value>(data) else { return };
    assert!(search::whole(500, &answer, "logs-*").is_err(), "an error stays one");
    if search::whole(200, &answer, "logs-*").is_err() {
        return;
    }
    if let Ok(counted) = search::counted(&answer, "host") {
        let count = |events: u64| Count { events: events / 2, exposure: events };
        counts(counted.by.iter().filter_map(|(name, n)| Some((host(name)?, count(*n)))).collect());
    }
    if let Ok((messages, last)) = search::page(&answer) {
        assert_eq!(messages.is_empty(), last.is_none());
        for message in messages {
            assert!(message.at.0 <= 1 << 50, "{:?}", message.at);
            let signature = mask(&of_document(&message.document));
            harmless(&signature);
            assert_eq!(mask(&signature), signature);
        }
    }
}
