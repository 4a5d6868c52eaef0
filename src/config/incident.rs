//! Incident files (`incidents/NAME.yaml`), read into [`spec::Incident`] with all mistakes at once.
//!
//! Invariant: what comes out names only what its site has, in order of time. The site is a groups.yaml beside the file or
//! the same keys inline, so there is one grammar of fleets and gates.

#[cfg(test)]
mod corpus;
mod events;
pub mod recorded;
mod signals;
pub mod spec;

use super::dblist::Reader;
use super::diagnostic::{Diagnostics, Place, Sink, did_you_mean};
use super::fields::{Fields, list, number, text};
use super::policy::Policy;
use super::raw::At;
use super::resolve::{local_path, parsed};
use super::yaml::{self, Key, Node, Value};
use super::{decode, resolve, trust};
use crate::model::limits::{INCIDENT_BASES_MAX, INCIDENT_EVENTS_MAX, INCIDENT_SIGNALS_MAX};
use crate::model::names::{Group, Version};
use crate::model::time::Time;
use spec::{Chapter, Event, Incident, Signal};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const KEYS: &[&str] = &[
    "name",
    "title",
    "site",
    "base",
    "version",
    "from",
    "to",
    "map",
    "requests_per_minute",
    "chapters",
    "events",
    "signals",
];

/// Reads an incident; with `policy` the gates, the soak and the limits of that groups.yaml stand in for those of its site.
///
/// # Errors
///
/// All mistakes at once; a file that somebody else could have written is one.
pub fn load(file: &Path, policy: Option<&Path>) -> Result<Incident, Diagnostics> {
    let invoker = trust::Invoker::of_process();
    let read = |path: &Path| trust::read(path, invoker);
    let unread = |error: io::Error| Diagnostics::unread(file, error);
    let incident = parse(file, &read(file).map_err(unread)?, &read)?;
    let Some(policy) = policy else { return Ok(incident) };
    Ok(with_policy(incident, super::load(policy)?))
}

/// What if these had been the gates, the soak and the limits.
pub fn with_policy(incident: Incident, policy: Policy) -> Incident {
    let Policy { gates, soak, limits, .. } = policy;
    Incident { site: Policy { gates, soak, limits, ..incident.site.clone() }, ..incident }
}

/// Reads the text of the incident `file`; `read` gives the files that it names, relative to its directory.
///
/// # Errors
///
/// All mistakes at once.
pub fn parse(file: &Path, text: &str, read: Reader<'_>) -> Result<Incident, Diagnostics> {
    let mut sink = Sink::new(file);
    let incident = yaml::read(text, &mut sink).and_then(|tree| of_node(&tree, text, read, &mut sink));
    sink.finish(incident)
}

/// An incident that stands in a file of this sink, whole or as a part of it. `text` is the file's.
pub fn of_node(tree: &Node, text: &str, read: Reader<'_>, sink: &mut Sink) -> Option<Incident> {
    let tree = with_base(tree.clone(), read, sink, INCIDENT_BASES_MAX)?;
    incident(&tree, text, read, sink)
}

/// One that has all its keys.
fn incident(tree: &Node, text: &str, read: Reader<'_>, sink: &mut Sink) -> Option<Incident> {
    let mut f = Fields::of(tree, KEYS, "an incident", sink)?;
    let (name, title) = (f.need("name", self::text), f.need("title", self::text));
    let version = f.need("version", version);
    let (from, to) = (f.need("from", time), f.need("to", time));
    let requests = f.optional("requests_per_minute", number);
    f.need("site", |_, _| Some(()));
    let node = f.get("site").cloned();
    let sink = f.sink;
    let site = site(&node?, text, read, sink)?;
    let (from, to) = (from?, to?);
    if from.value >= to.value {
        sink.add(to.place, "`to` must be later than `from`");
        return None;
    }
    let span = (from.value, to.value);
    let mut f = Fields::of(tree, KEYS, "an incident", sink)?;
    let map = f.need("map", |n, s| map(n, &site, s));
    let signals = f.optional("signals", |n, s| signals::signals(n, &site, s));
    // Where a signal is wrong nothing is said about those that name it.
    let whole = !f.broken.contains("signals");
    let signals: Vec<Signal> = signals?.map(|at| at.value).unwrap_or_default();
    let named = whole.then_some(signals.as_slice());
    let events = f.need("events", |n, s| events::events(n, &site, span, named, s));
    let chapters = f.optional("chapters", |n, s| chapters(n, span, s));
    let events: At<Vec<Event>> = events?;
    bounded(events.place, events.value.len(), INCIDENT_EVENTS_MAX, "events", f.sink);
    bounded(tree.place, signals.len(), INCIDENT_SIGNALS_MAX, "signals", f.sink);
    let whole = Chapter { name: "whole".to_owned(), from: from.value, to: None };
    Some(Incident {
        name: name?.value,
        title: title?.value,
        site,
        version: version?.value,
        from: from.value,
        to: to.value,
        map: map?.value,
        requests_per_minute: requests?.map_or(60, |at| at.value),
        events: events.value,
        signals,
        chapters: chapters?.map(|at| at.value).filter(|all| !all.is_empty()).unwrap_or_else(|| vec![whole]),
    })
}

fn bounded(place: Place, there: usize, most: usize, what: &str, sink: &mut Sink) {
    if there > most {
        sink.add(place, format!("there are more than {most} {what}"));
    }
}

/// The keys that are missing here come from the incident that `base` names, which must be right by itself. What they
/// bring along stands at that name: a mistake that is left comes from what this file put in the place of others.
fn with_base(mut tree: Node, read: Reader<'_>, sink: &mut Sink, left: usize) -> Option<Node> {
    let Value::Map(entries) = &tree.value else { return Some(tree) };
    let Some((_, base)) = entries.iter().find(|(key, _)| key.text == "base").cloned() else { return Some(tree) };
    if left == 0 {
        sink.add(base.place, format!("more than {INCIDENT_BASES_MAX} files are based on one another"));
        return None;
    }
    let other = nested(&base, read, sink, "an incident beside this file", |file, body| {
        let mut sink = Sink::new(file);
        let other = yaml::read(body, &mut sink).and_then(|tree| with_base(tree, read, &mut sink, left - 1));
        if let Some(other) = &other {
            incident(other, body, read, &mut sink);
        }
        sink.finish(other)
    })?;
    let directory = text(&base, sink).map(std::path::PathBuf::from).unwrap_or_default();
    let directory = directory.parent().unwrap_or(Path::new(""));
    if let (Value::Map(entries), Value::Map(others)) = (&mut tree.value, other.value) {
        entries.retain(|(key, _)| key.text != "base");
        let missing = others.into_iter().filter(|(key, _)| entries.iter().all(|(mine, _)| mine.text != key.text));
        let missing: Vec<_> = missing.map(|(key, node)| (key, moved(node, base.place))).collect();
        entries.extend(missing.into_iter().map(|(key, node)| match node.value {
            // It stands beside the other file.
            Value::Text(path) if key.text == "site" => {
                let path = directory.join(path).to_string_lossy().into_owned();
                (key, Node { value: Value::Text(path), ..node })
            }
            value => (key, Node { value, ..node }),
        }));
    }
    Some(tree)
}

/// The same at another place.
fn moved(node: Node, place: Place) -> Node {
    let value = match node.value {
        Value::List(nodes) => Value::List(nodes.into_iter().map(|node| moved(node, place)).collect()),
        Value::Map(entries) => {
            Value::Map(entries.into_iter().map(|(key, node)| (Key { place, ..key }, moved(node, place))).collect())
        }
        value => value,
    };
    Node { value, place }
}

/// A path beside the file.
fn beside(node: &Node, sink: &mut Sink) -> Option<std::path::PathBuf> {
    let (path, place) = (self::text(node, sink)?, node.place);
    let directory = sink.file().parent().unwrap_or(Path::new("")).to_owned();
    local_path(&At { value: path, place }, &directory, sink)
}

/// A groups.yaml beside the file, or its keys inline.
fn site(node: &Node, text: &str, read: Reader<'_>, sink: &mut Sink) -> Option<Policy> {
    if let Value::Map(_) = node.value {
        let raw = decode::file(node, sink)?;
        return resolve::policy(&raw, text, read, sink);
    }
    let file = "a groups.yaml beside this file, or its keys as a mapping";
    nested(node, read, sink, file, |file, body| super::parse(file, body, read))
}

/// What stands in another file beside this one, whose mistakes are noted in that file; `hint` says what is to be named.
pub(super) fn nested<T>(
    node: &Node,
    read: Reader<'_>,
    sink: &mut Sink,
    hint: &str,
    parse: impl Fn(&Path, &str) -> Result<T, Diagnostics>,
) -> Option<T> {
    let file = beside(node, sink)?;
    let body = match read(&file) {
        Ok(body) => body,
        Err(error) => {
            sink.hint(node.place, format!("{} cannot be read: {error}", file.display()), Some(hint.to_owned()));
            return None;
        }
    };
    let mistakes = match parse(&file, &body) {
        Ok(value) => return Some(value),
        Err(mistakes) => mistakes,
    };
    mistakes.list.into_iter().for_each(|one| sink.push(&one.file, one.place, one.message, one.suggestion));
    None
}

/// What each group serves at the start.
fn map(node: &Node, site: &Policy, sink: &mut Sink) -> Option<BTreeMap<Group, Version>> {
    let names: Vec<&str> = site.groups.iter().map(|group| group.name.as_str()).collect();
    let f = Fields::of(node, &names, "`map`", sink)?;
    let mut map = BTreeMap::new();
    for group in &site.groups {
        match f.get(group.name.as_str()) {
            Some(node) => _ = map.insert(group.name.clone(), version(node, f.sink)?),
            None => f.sink.add(f.node.place, format!("the version of {} is missing in `map`", group.name)),
        }
    }
    Some(map)
}

fn chapters(node: &Node, span: (Time, Time), sink: &mut Sink) -> Option<Vec<Chapter>> {
    let mut last = span.0;
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => return list(node, "`chapters`", |_, _| None::<Chapter>, sink),
    };
    let mut chapters: Vec<Chapter> = Vec::new();
    for node in nodes {
        let Some((chapter, place)) = chapter(node, sink) else { continue };
        let to = chapter.to.unwrap_or(span.1);
        if chapter.from < last || chapter.from > span.1 || to > span.1 || to <= chapter.from {
            let message = format!("{} must lie within the incident, and not before the chapter above", chapter.name);
            sink.add(place, message);
        }
        if chapters.iter().any(|other| other.name == chapter.name) {
            sink.add(place, format!("there are two chapters {}", chapter.name));
        }
        last = last.max(chapter.from);
        chapters.push(chapter);
    }
    Some(chapters)
}

fn chapter(node: &Node, sink: &mut Sink) -> Option<(Chapter, Place)> {
    let mut f = Fields::of(node, &["name", "from", "to"], "a chapter", sink)?;
    let (name, from, to) = (f.need("name", text), f.need("from", time), f.optional("to", time));
    let chapter = Chapter { name: name?.value, from: from?.value, to: to?.map(|at| at.value) };
    Some((chapter, node.place))
}

/// A moment: `2016-01-23T01:16:00Z`.
fn time(node: &Node, sink: &mut Sink) -> Option<Time> {
    let written = text(node, sink)?;
    let found = Time::parse(&written);
    if found.is_none() {
        let hint = "as in `2016-01-23T01:16:00Z`".to_owned();
        sink.hint(node.place, format!("`{written}` is not a time"), Some(hint));
    }
    found
}

fn version(node: &Node, sink: &mut Sink) -> Option<Version> {
    let (value, place) = (text(node, sink)?, node.place);
    parsed(&At { value, place }, "a version", sink)
}

/// One of the names that are there.
pub(super) fn known<T: Clone>(node: &Node, what: &str, of: &[(&str, T)], sink: &mut Sink) -> Option<T> {
    let name = text(node, sink)?;
    let found = of.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    if found.is_none() {
        let hint = did_you_mean(&name, of.iter().map(|(name, _)| *name));
        sink.hint(node.place, format!("the incident has no {what} `{name}`"), hint);
    }
    found
}
