//! Probes, served versions and contracts.
//!
//! ```yaml
//! - name: front-page
//!   kind: probe
//!   url: {wiki: enwiki, path: /wiki/Main_Page, expect: {status: 200, body_contains: Welcome}}
//! - name: sessions
//!   kind: probe
//!   journeys:
//!     - name: a logout made elsewhere ends the session
//!       steps:
//!         - {wiki: enwiki, method: POST, path: /login, jar: a, expect: {cookies: {session: set}}}
//!         - {wiki: enwiki, method: POST, path: /logout, jar: a, on: another, expect: {cookies: {session: cleared}}}
//!         - {wiki: enwiki, path: /me, jar: a, expect: {status: 401}}
//! - {name: httpbb, kind: probe, httpbb: httpbb/appserver.yaml, needed: 2, tries: 4}
//! - {name: versions, kind: served, header: X-Wiki-Version}
//! - {name: caches, kind: contract, urls: [{wiki: enwiki, path: /}], expected: {cache-control: no-cache}}
//! ```

mod expect;
mod httpbb;
mod parts;
mod step;

use super::Known;
use crate::config::diagnostic::Sink;
use crate::config::fields::{Fields, duration, list, number, text};
use crate::config::resolve::line;
use crate::config::yaml::{Key, Node, Value};
use crate::gate::spec::Kind;
use crate::gate::spec::probe::{Contract, Journey, Probe, Served, ServedField, Step};
use crate::model::limits::{PROBE_MS_MAX, PROBE_STEPS_MAX, PROBE_TRIES_MAX};
use crate::model::names::Wiki;
use std::collections::BTreeMap;

/// How long one journey, or one host's answers, may take unless said, ms.
const DEADLINE_MS: u64 = 10_000;
/// Of how many wikis of each group a host's version is asked unless said.
const WIKIS_A_GROUP: usize = 2;

/// Keys of probe.
pub const PROBE_KEYS: &[&str] = &["journeys", "url", "httpbb", "needed", "tries", "deadline"];

/// A gate of kind probe.
pub fn probe(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let journeys = journeys(f, known);
    let (needed, tries) = (f.optional("needed", times), f.optional("tries", times));
    let deadline_ms = deadline(f);
    let needed = needed?.map_or(1, |at| at.value);
    let tries = tries?;
    if let Some(tries) = tries.as_ref().filter(|tries| tries.value < needed) {
        let message = format!("`needed` {needed} is more than `tries` {}: it could never pass", tries.value);
        f.sink.add(tries.place, message);
        return None;
    }
    let tries = tries.map_or(needed, |at| at.value);
    Some(Kind::Probe(Probe { journeys: journeys?, needed, tries, deadline_ms: deadline_ms? }))
}

fn journeys(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Vec<Journey>> {
    match (f.get("journeys"), f.get("url"), f.get("httpbb")) {
        (Some(_), None, None) => {
            let found = f.need("journeys", |n, s| list(n, "journeys", |n, s| journey(n, known, s), s))?;
            if found.value.is_empty() && f.broken.is_empty() {
                f.sink.add(found.place, "no journey stands here, so that every host would be good");
            }
            (!found.value.is_empty()).then_some(found.value)
        }
        (None, Some(_), None) => {
            let step = f.need("url", |n, s| step::step(n, known, s))?.value;
            Some(vec![Journey { name: named(&step), steps: vec![step] }])
        }
        (None, None, Some(_)) => {
            let file = f.need("httpbb", text)?;
            httpbb::journeys(&file, known, f.sink)
        }
        _ => {
            let hint = "`url` for one request, `journeys` for several, `httpbb` for a file of tests".to_owned();
            f.sink.hint(f.node.place, "a gate of kind probe asks by one of `url`, `journeys` and `httpbb`", Some(hint));
            None
        }
    }
}

fn journey(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Journey> {
    let mut f = Fields::of(node, &["name", "steps"], "a journey", sink)?;
    let name = f.need("name", text);
    let steps = f.need("steps", |n, s| list(n, "steps", |n, s| step::step(n, known, s), s));
    let name = name.and_then(|name| line(&name, "the name of a journey", f.sink));
    let steps = steps?;
    let few = steps.value.len() <= PROBE_STEPS_MAX;
    if !few || (steps.value.is_empty() && f.broken.is_empty()) {
        f.sink.add(steps.place, format!("a journey has 1 to {PROBE_STEPS_MAX} steps"));
    }
    (few && !steps.value.is_empty()).then_some(Journey { name: name?, steps: steps.value })
}

/// What a journey of one step is called: `POST en.wikipedia.org/w/api.php`.
fn named(step: &Step) -> String {
    let method = if step.method == "GET" { String::new() } else { format!("{} ", step.method) };
    format!("{method}{}{}", step.host_header, step.path)
}

fn times(node: &Node, sink: &mut Sink) -> Option<u32> {
    let number = number(node, sink)?;
    let legal = u32::try_from(number).ok().filter(|number| (1..=PROBE_TRIES_MAX).contains(number));
    if legal.is_none() {
        sink.add(node.place, format!("it is from 1 to {PROBE_TRIES_MAX}"));
    }
    legal
}

fn deadline(f: &mut Fields<'_>) -> Option<u64> {
    let read = |node: &Node, sink: &mut Sink| {
        let ms = duration(node, sink)?;
        let legal = (1..=PROBE_MS_MAX).contains(&ms);
        if !legal {
            sink.add(node.place, format!("`deadline` is from 1ms to {}s", PROBE_MS_MAX / 1000));
        }
        legal.then_some(ms)
    };
    Some(f.optional("deadline", read)?.map_or(DEADLINE_MS, |at| at.value))
}

/// Keys of served.
pub const SERVED_KEYS: &[&str] = &["wikis", "path", "header", "json", "deadline"];

/// A gate of kind served: `wikis` is a list, or a mapping to the names that are asked for.
pub fn served(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let wikis = f.optional("wikis", |n, s| wikis(n, known, s));
    let path = f.optional("path", parts::path);
    let header = f.optional("header", expect::name);
    let json = f.optional("json", |n, s| expect::pointer(&Key { place: n.place, text: text(n, s)? }, s));
    let deadline_ms = deadline(f);
    let field = match (header?, json?) {
        (Some(header), None) => ServedField::Header(header.value),
        (None, Some(pointer)) => ServedField::Json(pointer.value),
        _ => {
            let hint = "`header: X-Wiki-Version`, or `json: /query/general/generator`".to_owned();
            f.sink.hint(f.node.place, "either `header` or `json` says where the version stands", Some(hint));
            return None;
        }
    };
    let wikis = match wikis? {
        Some(wikis) => wikis.value,
        None => {
            let some =
                |group: &crate::config::policy::GroupPolicy| group.wikis.iter().take(WIKIS_A_GROUP).cloned().collect();
            let some: Vec<Vec<Wiki>> = known.groups.iter().map(some).collect();
            some.into_iter().flatten().map(|wiki| (wiki.clone(), wiki.to_string())).collect()
        }
    };
    let (wikis, host_headers) = (wikis.iter().map(|(wiki, _)| wiki.clone()).collect(), wikis.into_iter().collect());
    let path = path?.map_or_else(|| "/".to_owned(), |at| at.value);
    Some(Kind::Served(Served { wikis, host_headers, path, field, deadline_ms: deadline_ms? }))
}

/// Each wiki and the name that is asked for: its own, or the one that it leads to.
fn wikis(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Vec<(Wiki, String)>> {
    let found = match &node.value {
        Value::Map(_) => parts::entries(node, "`wikis`", sink, |key, value, sink| {
            let key = Node { place: key.place, value: Value::Text(key.text.clone()) };
            let (wiki, name) = (parts::wiki(&key, known, sink), parts::host_header(value, sink));
            Some((wiki?, name?))
        }),
        _ => list(node, "`wikis`", |n, s| parts::wiki(n, known, s).map(|wiki| (wiki.clone(), wiki.to_string())), sink),
    }?;
    let empty = matches!(&node.value, Value::List(items) if items.is_empty()) || node.value == Value::Map(Vec::new());
    if empty {
        sink.add(node.place, "at least one wiki must stand here");
    }
    (!found.is_empty()).then_some(found)
}

/// Keys of contract.
pub const CONTRACT_KEYS: &[&str] = &["urls", "headers", "expected", "deadline"];

/// A gate of kind contract.
pub fn contract(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let urls = f.need("urls", |n, s| list(n, "`urls`", |n, s| url(n, known, s), s));
    let headers = f.optional("headers", |n, s| list(n, "`headers`", expect::name, s));
    let expected = f.optional("expected", expected);
    let deadline_ms = deadline(f);
    let (urls, headers) = (urls?, headers?.map_or(Vec::new(), |at| at.value));
    if urls.value.is_empty() && f.broken.is_empty() {
        f.sink.add(urls.place, "at least one URL must stand here");
    }
    let expected: BTreeMap<String, String> = expected?.map_or(Vec::new(), |at| at.value).into_iter().collect();
    let headers = headers.iter().map(|name| name.to_ascii_lowercase()).collect();
    (!urls.value.is_empty())
        .then_some(())
        .and(deadline_ms)
        .map(|deadline_ms| Kind::Contract(Contract { urls: urls.value, headers, expected, deadline_ms }))
}

fn url(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<(String, String)> {
    let mut f = Fields::of(node, &["wiki", "host_header", "path"], "a URL", sink)?;
    let (name, path) = (parts::asked_name(&mut f, known), f.need("path", parts::path));
    Some((name?, path?.value))
}

/// What headers, or `status`, are on the candidate.
fn expected(node: &Node, sink: &mut Sink) -> Option<Vec<(String, String)>> {
    parts::entries(node, "`expected`", sink, |key, value, sink| {
        let name = parts::header_name(key, sink)?.to_ascii_lowercase();
        let value = match &value.value {
            Value::Number(status) if name == "status" => status.to_string(),
            _ => parts::header_value(value, sink)?,
        };
        Some((name, value))
    })
}
