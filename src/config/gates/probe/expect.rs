//! What must be true of an answer.
//!
//! Invariant: there is at least one thing, and every pattern and pointer is one.

use super::parts::{entries, header_name, header_value, json};
use crate::config::diagnostic::Sink;
use crate::config::fields::{Fields, choice, duration, number, text};
use crate::config::gates::counts::pattern;
use crate::config::yaml::{Key, Node, Value};
use crate::gate::spec::probe::{Assert, CookieState};

const KEYS: &[&str] =
    &["status", "headers", "headers_regex", "headers_absent", "body_contains", "body_regex", "json", "cookies", "time"];

/// What is expected, never empty.
pub fn expect(node: &Node, sink: &mut Sink) -> Option<Vec<Assert>> {
    let mut f = Fields::of(node, KEYS, "`expect`", sink)?;
    let parts = [
        f.optional("status", |n, s| Some(vec![Assert::Status(status(n, s)?)])),
        f.optional("headers", equal),
        f.optional("headers_regex", matching),
        f.optional("headers_absent", absent),
        f.optional("body_contains", contains),
        f.optional("body_regex", |n, s| one_or_more(n, s, pattern).map(|all| each(all, Assert::BodyRegex))),
        f.optional("json", pointers),
        f.optional("cookies", cookies),
        f.optional("time", |n, s| Some(vec![Assert::TimeMax(time(n, s)?)])),
    ];
    whole(parts.into_iter().map(|part| Some(part?.map(|at| at.value))), &mut f)
}

/// All of them; that there is none is noted.
pub fn whole(parts: impl IntoIterator<Item = Option<Option<Vec<Assert>>>>, f: &mut Fields<'_>) -> Option<Vec<Assert>> {
    let parts: Vec<Option<Vec<Assert>>> = parts.into_iter().collect::<Option<_>>()?;
    let all: Vec<Assert> = parts.into_iter().flatten().flatten().collect();
    if all.is_empty() && f.broken.is_empty() {
        let hint = "as in `status: 200`".to_owned();
        f.sink.hint(f.node.place, "nothing is expected here, so that every answer would be good", Some(hint));
    }
    (!all.is_empty()).then_some(all)
}

/// One status or a list of them.
pub fn status(node: &Node, sink: &mut Sink) -> Option<Vec<u16>> {
    let one = |node: &Node, sink: &mut Sink| {
        let number = number(node, sink)?;
        let status = u16::try_from(number).ok().filter(|status| (100..=599).contains(status));
        if status.is_none() {
            sink.add(node.place, format!("{number} is not a status, which is from 100 to 599"));
        }
        status
    };
    one_or_more(node, sink, one)
}

/// Headers with their exact values.
pub fn equal(node: &Node, sink: &mut Sink) -> Option<Vec<Assert>> {
    named(node, sink, header_value, Assert::Header)
}

/// Headers with patterns of their values.
pub fn matching(node: &Node, sink: &mut Sink) -> Option<Vec<Assert>> {
    named(node, sink, pattern, Assert::HeaderRegex)
}

fn named(
    node: &Node,
    sink: &mut Sink,
    read: impl Fn(&Node, &mut Sink) -> Option<String>,
    assert: impl Fn(String, String) -> Assert,
) -> Option<Vec<Assert>> {
    entries(node, "headers", sink, |key, value, sink| {
        let (name, value) = (header_name(key, sink), read(value, sink));
        Some(assert(name?, value?))
    })
}

/// Headers that must not be there.
pub fn absent(node: &Node, sink: &mut Sink) -> Option<Vec<Assert>> {
    one_or_more(node, sink, name).map(|names| each(names, Assert::HeaderAbsent))
}

/// A header's name as a value.
pub fn name(node: &Node, sink: &mut Sink) -> Option<String> {
    header_name(&Key { place: node.place, text: text(node, sink)? }, sink)
}

/// Texts that the body must have.
pub fn contains(node: &Node, sink: &mut Sink) -> Option<Vec<Assert>> {
    let one = |node: &Node, sink: &mut Sink| {
        let text = text(node, sink)?;
        if text.is_empty() {
            sink.add(node.place, "every body contains nothing; a text must stand here");
        }
        (!text.is_empty()).then_some(text)
    };
    one_or_more(node, sink, one).map(|texts| each(texts, Assert::BodyContains))
}

/// A JSON pointer (RFC 6901) to something, not to the whole.
pub fn pointer(key: &Key, sink: &mut Sink) -> Option<String> {
    let tilde = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    let sound = key.text.starts_with('/') && key.text.split('~').skip(1).all(tilde);
    if !sound {
        let hint = "as in `/query/general/generator`, with `~1` for a `/` in a name and `~0` for a `~`".to_owned();
        sink.hint(key.place, format!("`{}` is not a JSON pointer", key.text), Some(hint));
    }
    sound.then(|| key.text.clone())
}

fn pointers(node: &Node, sink: &mut Sink) -> Option<Vec<Assert>> {
    entries(node, "`json`", sink, |key, value, sink| {
        let (pointer, value) = (pointer(key, sink), json(value, sink));
        Some(Assert::Json(pointer?, value?))
    })
}

fn cookies(node: &Node, sink: &mut Sink) -> Option<Vec<Assert>> {
    let states = [("set", CookieState::Set), ("absent", CookieState::Absent), ("cleared", CookieState::Cleared)];
    entries(node, "`cookies`", sink, |key, value, sink| {
        // A cookie's name is a token, as a header's is.
        let sound = reqwest::header::HeaderName::from_bytes(key.text.as_bytes()).is_ok();
        if !sound {
            sink.add(key.place, format!("`{}` is not the name of a cookie", key.text));
        }
        let state = choice(value, &states, sink);
        sound.then_some(Assert::Cookie(key.text.clone(), state?))
    })
}

fn time(node: &Node, sink: &mut Sink) -> Option<u64> {
    let ms = duration(node, sink)?;
    if ms == 0 {
        sink.add(node.place, "no answer takes no time; it is at least 1ms");
    }
    (ms > 0).then_some(ms)
}

fn each<T>(all: Vec<T>, assert: impl Fn(T) -> Assert) -> Vec<Assert> {
    all.into_iter().map(assert).collect()
}

/// One, or a list of at least one.
pub fn one_or_more<T>(node: &Node, sink: &mut Sink, read: impl Fn(&Node, &mut Sink) -> Option<T>) -> Option<Vec<T>> {
    let Value::List(items) = &node.value else { return read(node, sink).map(|one| vec![one]) };
    if items.is_empty() {
        sink.add(node.place, "at least one must stand here");
        return None;
    }
    items.iter().map(|item| read(item, sink)).collect()
}
