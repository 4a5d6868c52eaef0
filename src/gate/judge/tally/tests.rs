//! Which hosts a failed gate speaks against.

use super::super::tests::{gate, host, reading, scope, seen, signatures};
use super::*;
use crate::gate::signature::Seen;
use crate::gate::spec::hosts::{Fact, Host};
use crate::gate::spec::numbers::{Condition, Op};
use crate::gate::spec::probe::{Probe, Served, ServedField};
use crate::model::question::PluginSaid;

/// Events of each of four hosts that were switched and of two that were not; a host that is left out has none here.
fn events(kind: Kind, what: What) -> Option<String> {
    let (rolled, control, _) = tallies(&gate(kind), &scope(4, 2), &reading(what))?;
    let one = |(host, count): (&HostName, &Count)| format!("{host} {}/{}", count.events, count.exposure);
    Some(rolled.iter().chain(&control).map(one).collect::<Vec<_>>().join(", "))
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

#[test]
fn plugins_speak_against_hosts_where_they_run_there() {
    let said = |warning_fails, on_hosts| {
        let command = Command { argv: Vec::new(), on_hosts, warning_fails, deadline_ms: 1 };
        let codes =
            [("mw0", Some(0)), ("mw1", Some(1)), ("mw2", Some(2)), ("mw3", Some(3)), ("db0", Some(2)), ("db1", None)];
        let said = codes.map(|(name, code)| (Some(host(name)), PluginSaid { code, output: String::new() }));
        events(Kind::Command(command), What::Plugins(said.into()))
    };
    assert_eq!(said(false, true).as_deref(), Some("mw0 0/10, mw1 0/10, mw2 10/10, db0 10/10"));
    assert_eq!(said(true, true).as_deref(), Some("mw0 0/10, mw1 10/10, mw2 10/10, db0 10/10"));
    assert_eq!(said(true, false), None, "it ran on the deploy host");
}

#[test]
fn facts_speak_against_hosts_that_are_beyond_a_limit() {
    let above = |limit| Condition { op: Op::Above, limit };
    let conditions = vec![(Fact::DiskFreePercent, above(5.0)), (Fact::UptimeSeconds, above(60.0))];
    let facts = [
        ("mw0", Ok(vec![Some(9.0), Some(61.0)])),
        ("mw1", Ok(vec![Some(9.0), Some(60.0)])),
        ("mw2", Ok(vec![None, None])),
        ("mw3", Err("refused".to_owned())),
        ("db0", Ok(vec![Some(5.0), Some(61.0)])),
    ];
    let facts = What::Facts(facts.map(|(name, facts)| (host(name), facts)).into());
    assert_eq!(
        events(Kind::Host(Host { conditions }), facts).as_deref(),
        Some("mw0 0/10, mw1 10/10, mw2 0/10, db0 10/10")
    );
}

#[test]
fn versions_speak_against_switched_hosts_that_serve_another() {
    let wiki = |name: &str| -> Wiki { name.parse().expect("a wiki") };
    let served = |said: Result<&str, &str>| said.map(|v| v.parse().expect("a version")).map_err(str::to_owned);
    let field = ServedField::Header("X".to_owned());
    let (wikis, path) = (vec![wiki("testwiki")], "/".to_owned());
    let kind = Kind::Served(Served { wikis, host_headers: [].into(), path, field, deadline_ms: 1 });
    let said = [
        ("mw0", "testwiki", Ok("1.27.0-wmf.11")),
        ("mw1", "testwiki", Ok("1.27.0-wmf.10")),
        ("mw2", "testwiki", Err("refused")),
        ("mw3", "elsewiki", Ok("1.27.0-wmf.10")),
        ("db0", "testwiki", Ok("1.27.0-wmf.10")),
    ];
    let said = said.map(|(name, on, said)| (host(name), [(wiki(on), served(said))].into()));
    let found = events(kind, What::Served(said.into()));
    assert_eq!(found.as_deref(), Some("mw0 0/10, mw1 10/10, mw2 0/10, mw3 0/10, db0 0/10"));
}

#[test]
fn signatures_that_fail_are_added_up_and_their_exposure_is_not() {
    let other = Seen { signature: "T".to_owned(), ..seen(&[("mw0", 1), ("mw1", 4)], None) };
    let what = What::Signatures(vec![seen(&[("mw0", 2), ("mw1", 1)], None), other]);
    let found = events(Kind::Signatures(signatures(None)), what);
    assert_eq!(found.as_deref(), Some("mw0 3/1000, mw1 5/1000, mw2 0/0, mw3 0/0, db0 0/1000, db1 0/1000"));
}
