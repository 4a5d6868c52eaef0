//! One step of a journey: who asks whom for what, and what must be true of the answer.

use super::expect::expect;
use super::parts::{asked_name, headers, json, method, path};
use crate::config::diagnostic::{Sink, did_you_mean};
use crate::config::fields::{Fields, flag, number, text};
use crate::config::gates::Known;
use crate::config::yaml::Node;
use crate::gate::spec::probe::{HeaderText, Step, Target};
use crate::model::limits::REDIRECTS_MAX;
use crate::model::names::HostName;

const KEYS: &[&str] = &[
    "jar",
    "on",
    "wiki",
    "host_header",
    "method",
    "path",
    "headers",
    "body",
    "json",
    "redirects_max",
    "tls",
    "expect",
];

/// A step, whose expectation is never empty.
pub fn step(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Step> {
    let mut f = Fields::of(node, KEYS, "a step", sink)?;
    let (jar, target) = (f.optional("jar", jar), f.optional("on", |n, s| target(n, known, s)));
    let host_header = asked_name(&mut f, known);
    let (method, path) = (f.optional("method", method), f.optional("path", path));
    let headers = f.optional("headers", |n, s| headers(n, known, s));
    let (text, json) = (f.optional("body", text), f.optional("json", json));
    let redirects = f.optional("redirects_max", redirects);
    let tls = f.optional("tls", flag);
    let asserts = f.need("expect", expect);
    let (text, json) = (text?, json?);
    if let (Some(_), Some(json)) = (&text, &json) {
        f.sink.add(json.place, "`body` and `json` cannot stand together: one body is sent");
        return None;
    }
    let mut headers = headers?.map_or(Vec::new(), |at| at.value);
    let json = json.map(|at| as_json(&at.value, &mut headers));
    Some(Step {
        jar: jar?.map_or_else(|| "a".to_owned(), |at| at.value),
        target: target?.map_or(Target::Scope, |at| at.value),
        tls: tls?.map(|at| at.value),
        host_header: host_header?,
        method: method?.map_or_else(|| "GET".to_owned(), |at| at.value),
        path: path?.map_or_else(|| "/".to_owned(), |at| at.value),
        headers,
        body: text.map(|at| at.value).or(json),
        redirects_max: redirects?.map_or(0, |at| at.value),
        asserts: asserts?.value,
    })
}

/// The body that says a value in JSON; its type is added to the headers when they don't say one.
pub fn as_json(value: &serde_json::Value, headers: &mut Vec<(String, HeaderText)>) -> String {
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), HeaderText::Plain("application/json".to_owned())));
    }
    value.to_string()
}

fn jar(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let sound = (1..=32).contains(&written.len()) && written.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !sound {
        sink.add(node.place, "a jar's name is 1 to 32 letters and digits, as in `a`");
    }
    sound.then_some(written)
}

fn target(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Target> {
    let written = text(node, sink)?;
    match written.as_str() {
        "host" => Some(Target::Scope),
        "another" => Some(Target::Another),
        name => match known.hosts.keys().find(|host| host.as_str() == name) {
            Some(host) => Some(Target::Named(host.clone())),
            None => {
                let names = known.hosts.keys().map(HostName::as_str).chain(["host", "another"]);
                let hint = did_you_mean(name, names).unwrap_or_else(|| {
                    "`host` is the one that is judged, `another` a second one; else a host's name".to_owned()
                });
                sink.hint(node.place, format!("there is no host `{name}`"), Some(hint));
                None
            }
        },
    }
}

fn redirects(node: &Node, sink: &mut Sink) -> Option<u32> {
    let number = number(node, sink)?;
    let few = u32::try_from(number).ok().filter(|number| *number <= REDIRECTS_MAX);
    if few.is_none() {
        sink.add(node.place, format!("`redirects_max` is at most {REDIRECTS_MAX}"));
    }
    few
}
