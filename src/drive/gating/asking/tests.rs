//! What a second look at suspected hosts changes.

use super::*;
use crate::gate::reading::{Tally, What};
use crate::gate::scope::Scope;
use crate::gate::spec::counts::{CountLimits, CountSource, Counts, LogCounts};
use crate::model::ids::RolloutId;
use crate::model::verdict::Count;
use crate::plan::fixture;

fn host(name: &str) -> HostName {
    name.parse().expect("a host")
}

/// A call about two switched hosts, of three, and a gate that counts errors among a thousand requests to each.
fn asking() -> Asking {
    let (file, events) = ("/var/log/app.log".into(), " 500$".to_owned());
    let source = CountSource::Logs(LogCounts { file, exposure: None, events_file: None, events, wiki: None });
    let kind = Kind::Counts(Counts { source, newest_age_ms_max: None, limits: CountLimits::default() });
    let gate = Gate::new("errors".parse().expect("a gate"), [Moment::Wave], kind);
    let scope = Scope {
        rolled: ["mw1", "mw2"].map(host).into(),
        control: [host("mw3")].into(),
        others: BTreeSet::new(),
        group: None,
        version: None,
        wikis: BTreeMap::new(),
        since: Time(0),
    };
    let call = GateCall {
        moment: Moment::Wave,
        what: "after wave 2 of 3".to_owned(),
        rollout: RolloutId(1),
        gates: [gate.name.clone()].into(),
        least_ms: 0,
        scope,
        hosts: BTreeMap::new(),
    };
    let asked = Asked { gates: vec![gate], max_ms: 1000, ..Asked::default() };
    Asking::new(call, &asked, fixture::books(&fixture::policy(3)), Time(0))
}

/// What the gate's provider reads: errors on each switched host.
fn reads(asking: &mut Asking, errors: [u64; 2]) {
    let [first, second] = errors;
    let hosts = [("mw1", first), ("mw2", second), ("mw3", 0)];
    let hosts = hosts.map(|(name, events)| (host(name), Count { events, exposure: 1000 })).into();
    let what = What::Counts(Tally { hosts, wikis: BTreeMap::new(), before: None });
    let reading = Reading { what, query: String::new(), window_ms: 0, newest_age_ms: Some(0) };
    asking.take(&"errors".parse().expect("a gate"), Ok(reading), Time(1));
}

/// A call whose gate has read errors of one host only, and that host looked at a second time: nothing was found there.
fn suspicious() -> Asking {
    let mut asking = asking();
    reads(&mut asking, [0, 20]);
    let Some(Decided::LookAgain(suspicion)) = asking.decided(Time(1)) else { panic!("it suspects a host") };
    assert_eq!(suspicion.hosts, [host("mw2")].into());
    assert_eq!(suspicion.gates.iter().map(|gate| gate.name.as_str()).collect::<Vec<_>>(), ["errors"]);
    asking.looked(BTreeMap::new());
    assert!(asking.is_looking() && asking.decided(Time(1)).is_none(), "the gate was not read again");
    asking
}

fn ended(asking: &mut Asking) -> (&'static str, String) {
    match asking.decided(Time(1)) {
        Some(Decided::Ended(GateEnd::Failed(why))) => ("failed", why.join("; ")),
        Some(Decided::Ended(GateEnd::Paused(why))) => ("paused", why.join("; ")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_that_began_between_two_hosts_readings_are_not_the_later_ones() {
    let mut asking = suspicious();
    reads(&mut asking, [20, 40]);
    let (word, why) = ended(&mut asking);
    assert_eq!(word, "failed", "{why}");
    assert!(why.contains("60 of 2000"), "it says what it rests on: {why}");
}

#[test]
fn a_host_that_is_alone_at_the_second_look_too_is_for_a_person() {
    let mut asking = suspicious();
    reads(&mut asking, [0, 40]);
    let (word, why) = ended(&mut asking);
    assert_eq!(word, "paused", "{why}");
    assert!(why.contains("40 of 40 events come from mw2"), "{why}");
}

#[test]
fn a_failure_stands_when_the_second_reading_passes_or_there_is_none() {
    let mut asking = suspicious();
    reads(&mut asking, [0, 0]);
    let (word, why) = ended(&mut asking);
    assert_eq!(word, "paused", "{why}");
    assert!(why.contains("20 of 2000") && why.contains("20 of 20 events come from mw2"), "as it failed: {why}");
    let mut asking = suspicious();
    let error = ReadError { query: "/var/log/app.log".to_owned(), why: "gone".to_owned() };
    asking.take(&"errors".parse().expect("a gate"), Err(error), Time(1));
    let (word, why) = ended(&mut asking);
    assert_eq!(word, "paused", "{why}");
    assert!(why.contains("20 of 20 events come from mw2"), "{why}");
}
