//! What people did and what befell hosts: one verb an event.

use super::spec::{Event, HostEvent, Signal, What};
use super::{known, time, version};
use crate::config::diagnostic::Sink;
use crate::config::fields::{Fields, choice, flag, list, text};
use crate::config::policy::Policy;
use crate::config::yaml::{Node, Value};
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::time::Time;
use std::collections::BTreeSet;

/// Every event has exactly one of these.
const VERBS: &[&str] = &["promote", "rollback", "repair", "lost_pins", "host", "note"];
const KEYS: &[&str] = &[
    "at",
    "text",
    "prov",
    "because",
    "to",
    "is",
    "lacks",
    "promote",
    "rollback",
    "repair",
    "lost_pins",
    "host",
    "note",
    "by_itself",
];
/// Which keys go with a verb alone.
const OWN: &[(&str, &[&str])] = &[
    ("to", &["promote", "rollback"]),
    ("is", &["host"]),
    ("lacks", &["host"]),
    ("by_itself", &["promote", "rollback", "repair"]),
];

/// Events in order of time, within `span`; `None` for signals: they are wrong themselves, so names are not held against them.
pub fn events(
    node: &Node,
    site: &Policy,
    span: (Time, Time),
    signals: Option<&[Signal]>,
    sink: &mut Sink,
) -> Option<Vec<Event>> {
    let Value::List(nodes) = &node.value else {
        return list(node, "`events`", |_, _| None::<Event>, sink);
    };
    let (mut last, mut events) = (span.0, Vec::new());
    for node in nodes {
        let Some(event) = event(node, site, signals, sink) else { continue };
        if event.at < span.0 || event.at > span.1 {
            sink.add(node.place, format!("{} is not within {} to {}", event.at, span.0, span.1));
        } else if event.at < last {
            sink.add(node.place, format!("{} is before the event above: events stand in order of time", event.at));
        }
        last = last.max(event.at);
        events.push(event);
    }
    Some(events)
}

fn event(node: &Node, site: &Policy, signals: Option<&[Signal]>, sink: &mut Sink) -> Option<Event> {
    let mut f = Fields::of(node, KEYS, "an event", sink)?;
    let at = f.need("at", time);
    let (text, prov) = (f.optional("text", self::text), f.optional("prov", self::text));
    let because = f.optional("because", |n, s| match signals {
        Some(signals) => {
            let names: Vec<_> = signals.iter().map(|signal| (signal.name.as_str(), signal.name.clone())).collect();
            known(n, "signal", &names, s)
        }
        None => self::text(n, s),
    });
    let there: Vec<&str> = VERBS.iter().copied().filter(|verb| f.get(verb).is_some()).collect();
    let [verb] = there.as_slice() else {
        let hint = format!("one of {}", VERBS.join(", "));
        let message = if there.is_empty() { "this event does nothing" } else { "an event does one thing" };
        f.sink.hint(node.place, message, Some(hint));
        return None;
    };
    let astray: Vec<_> = OWN.iter().filter(|(key, verbs)| f.get(key).is_some() && !verbs.contains(verb)).collect();
    for (key, verbs) in astray {
        f.sink.add(node.place, format!("`{key}` goes with {} only", verbs.join(" and ")));
    }
    let by_itself = f.optional("by_itself", flag);
    let what = what(&mut f, verb, site)?;
    let note = f.optional("note", self::text)?.map(|at| at.value);
    Some(Event {
        at: at?.value,
        what,
        text: text?.map(|at| at.value).or(note).unwrap_or_default(),
        prov: prov?.map_or_else(|| "assumed".to_owned(), |at| at.value),
        because: because?.map(|at| at.value),
        by_itself: by_itself?.is_some_and(|at| at.value),
    })
}

fn what(f: &mut Fields<'_>, verb: &str, site: &Policy) -> Option<What> {
    let groups: Vec<(&str, Group)> =
        site.groups.iter().map(|group| (group.name.as_str(), group.name.clone())).collect();
    let hosts: Vec<(&str, HostName)> = site.hosts.keys().map(|host| (host.as_str(), host.clone())).collect();
    Some(match verb {
        "promote" => {
            let group = f.need("promote", |n, s| known(n, "group", &groups, s));
            let to = f.need("to", version);
            What::Promote(group?.value, to?.value)
        }
        "rollback" => {
            let all = [("all", None)].into_iter();
            let groups: Vec<(&str, Option<Group>)> =
                all.chain(groups.into_iter().map(|(name, group)| (name, Some(group)))).collect();
            let group = f.need("rollback", |n, s| known(n, "group", &groups, s));
            let to: Option<crate::config::raw::At<Version>> = f.need("to", version);
            What::Rollback(group?.value, to?.value)
        }
        "repair" => What::Repair(f.need("repair", |n, s| known(n, "host", &hosts, s))?.value),
        "lost_pins" => {
            let wikis: Vec<(&str, Wiki)> = site.pins.wikis.keys().map(|wiki| (wiki.as_str(), wiki.clone())).collect();
            let lost = f.need("lost_pins", |n, s| list(n, "`lost_pins`", |n, s| known(n, "pinned wiki", &wikis, s), s));
            What::LostPins(lost?.value.into_iter().collect())
        }
        "host" => {
            let host = f.need("host", |n, s| known(n, "host", &hosts, s));
            let event = host_event(f);
            What::Host(host?.value, event?)
        }
        _ => What::Note,
    })
}

#[derive(Clone, Copy)]
enum Is {
    Unreachable,
    Up,
    Reinstalled,
}

fn host_event(f: &mut Fields<'_>) -> Option<HostEvent> {
    let states = [("unreachable", Is::Unreachable), ("up", Is::Up), ("reinstalled", Is::Reinstalled)];
    let is = f.need("is", |n, s| choice(n, &states, s));
    let lacks = f.optional("lacks", |n, s| list(n, "`lacks`", version, s));
    let words = f.optional("text", text);
    let lacks: BTreeSet<Version> = lacks?.map(|at| at.value.into_iter().collect()).unwrap_or_default();
    Some(match is?.value {
        Is::Unreachable => HostEvent::Unreachable(words?.map_or_else(|| "no answer".to_owned(), |at| at.value)),
        Is::Up => HostEvent::Up,
        Is::Reinstalled => HostEvent::Reinstalled { lacks },
    })
}
