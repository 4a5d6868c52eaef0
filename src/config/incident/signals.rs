//! What could be measured, and with what cause.

use super::spec::{Cause, Shows, Signal};
use super::{known, time, version};
use crate::config::diagnostic::Sink;
use crate::config::fields::{Fields, decimal, duration, flag, list, text};
use crate::config::policy::Policy;
use crate::config::yaml::{Node, Value};
use crate::gate::spec::Kind;
use crate::model::names::{GateName, HostName};
use std::collections::BTreeSet;

const KEYS: &[&str] = &[
    "name",
    "errors",
    "per_minute",
    "series",
    "base",
    "value",
    "fails",
    "text",
    "cause",
    "after",
    "from",
    "until",
    "prov",
];

/// Signals, each name once.
pub fn signals(node: &Node, site: &Policy, sink: &mut Sink) -> Option<Vec<Signal>> {
    let Value::List(nodes) = &node.value else {
        return list(node, "`signals`", |_, _| None::<Signal>, sink);
    };
    let mut signals: Vec<Signal> = Vec::new();
    for node in nodes {
        let Some(signal) = signal(node, site, sink) else { continue };
        if signals.iter().any(|other| other.name == signal.name) {
            sink.add(node.place, format!("there are two signals {}", signal.name));
        }
        signals.push(signal);
    }
    Some(signals)
}

fn signal(node: &Node, site: &Policy, sink: &mut Sink) -> Option<Signal> {
    let mut f = Fields::of(node, KEYS, "a signal", sink)?;
    let name = f.need("name", text);
    let cause = f.need("cause", |n, s| cause(n, site, s));
    let (after, prov) = (f.optional("after", duration), f.optional("prov", text));
    let (from, until) = (f.optional("from", time), f.optional("until", time));
    let shows = shows(&mut f, site);
    let (from, until) = (from?, until?);
    if let (Some(from), Some(until)) = (&from, &until)
        && from.value >= until.value
    {
        f.sink.add(until.place, "this signal never shows: `until` must be later than `from`");
    }
    Some(Signal {
        name: name?.value,
        shows: shows?,
        cause: cause?.value,
        after_ms: after?.map_or(0, |at| at.value),
        from: from.map(|at| at.value),
        until: until.map(|at| at.value),
        prov: prov?.map_or_else(|| "assumed".to_owned(), |at| at.value),
    })
}

fn shows(f: &mut Fields<'_>, site: &Policy) -> Option<Shows> {
    let there = ["errors", "series", "fails"].map(|key| f.get(key).is_some());
    match there {
        [true, false, false] => {
            let (line, per_minute) = (f.need("errors", text), f.need("per_minute", decimal));
            let per_minute = per_minute?;
            if per_minute.value.is_nan() || per_minute.value <= 0.0 {
                f.sink.add(per_minute.place, "`per_minute` must be above 0");
            }
            Some(Shows::Errors { text: line?.value, per_minute: per_minute.value })
        }
        [false, true, false] => {
            let measures = |kind: &Kind| matches!(kind, Kind::Threshold(_));
            let gates = f.need("series", |n, s| gates(n, site, ("threshold", measures), s));
            let (base, value) = (f.need("base", decimal), f.need("value", decimal));
            Some(Shows::Series { gates: gates?.value, base: base?.value, value: value?.value })
        }
        [false, false, true] => {
            let measures = |kind: &Kind| matches!(kind, Kind::Probe(_) | Kind::Contract(_));
            let gates = f.need("fails", |n, s| gates(n, site, ("probe or contract", measures), s));
            let words = f.need("text", text);
            Some(Shows::Fails { gates: gates?.value, text: words?.value })
        }
        _ => {
            let hint =
                "`errors` with `per_minute`, or `series` with `base` and `value`, or `fails` with `text`".to_owned();
            f.sink.hint(f.node.place, "a signal shows one thing", Some(hint));
            None
        }
    }
}

/// Gates of the site, of the kinds that can measure this.
fn gates(
    node: &Node,
    site: &Policy,
    (kinds, measures): (&str, fn(&Kind) -> bool),
    sink: &mut Sink,
) -> Option<BTreeSet<GateName>> {
    let names: Vec<(&str, &crate::gate::spec::Gate)> =
        site.gates.iter().map(|gate| (gate.name.as_str(), gate)).collect();
    let gate = |node: &Node, sink: &mut Sink| {
        let gate = known(node, "gate", &names, sink)?;
        if !measures(&gate.kind) {
            sink.add(node.place, format!("{} is not of the kind {kinds}", gate.name));
        }
        Some(gate.name.clone())
    };
    let before = sink.count();
    let gates = list(node, "gates", gate, sink)?;
    if gates.is_empty() && sink.count() == before {
        sink.add(node.place, "no gate measures this");
    }
    Some(gates.into_iter().collect())
}

fn cause(node: &Node, site: &Policy, sink: &mut Sink) -> Option<Cause> {
    let mut f = Fields::of(node, &["version", "group", "hosts", "lacks_artefacts"], "`cause`", sink)?;
    let groups: Vec<_> = site.groups.iter().map(|group| (group.name.as_str(), group.name.clone())).collect();
    let hosts: Vec<(&str, HostName)> = site.hosts.keys().map(|host| (host.as_str(), host.clone())).collect();
    let version = f.optional("version", version);
    let group = f.optional("group", |n, s| known(n, "group", &groups, s));
    let only = f.optional("hosts", |n, s| list(n, "`hosts`", |n, s| known(n, "host", &hosts, s), s));
    let lacks = f.optional("lacks_artefacts", flag);
    Some(Cause {
        version: version?.map(|at| at.value),
        group: group?.map(|at| at.value),
        hosts: only?.map(|at| at.value.into_iter().collect()),
        lacks_artefacts: lacks?.is_some_and(|at| at.value),
    })
}
