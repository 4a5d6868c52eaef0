//! Files of httpbb, as sites that test their web servers with it have them already.
//!
//! ```yaml
//! https://en.wikipedia.org:
//!   - path: /wiki/Main_Page
//!     assert_status: 200
//!     assert_body_contains: Welcome
//! ```
//!
//! Invariant: every case becomes a journey of one step; a key that is not known is a mistake and not skipped, since what
//! it asserts would not be asserted.

use super::expect::{absent, contains, equal, matching, one_or_more, status, whole};
use super::parts::{entries, headers, host_header, json, method, path};
use super::step::as_json;
use crate::config::diagnostic::Sink;
use crate::config::fields::{Fields, list};
use crate::config::gates::Known;
use crate::config::gates::counts::pattern;
use crate::config::raw::At;
use crate::config::resolve::local_path;
use crate::config::yaml::{self, Key, Node, Value};
use crate::gate::spec::probe::{Assert, Journey, Step, Target};
use std::path::Path;

const KEYS: &[&str] = &[
    "path",
    "method",
    "request_headers",
    "json_body",
    "assert_status",
    "assert_body_contains",
    "assert_body_regex",
    "assert_headers",
    "assert_headers_regex",
    "assert_headers_absent",
];

/// The cases of a file beside groups.yaml, in its order; its mistakes are noted with its own name and places.
pub fn journeys(file: &At<String>, known: &Known<'_>, sink: &mut Sink) -> Option<Vec<Journey>> {
    local_path(file, known.base, sink)?;
    // As people named it, so that what is said of it is said in their words.
    let path = sink.file().parent().unwrap_or(Path::new("")).join(&file.value);
    let text = match (known.read)(&path) {
        Ok(text) => text,
        Err(error) => {
            sink.add(file.place, format!("{} cannot be read: {error}", path.display()));
            return None;
        }
    };
    let mut own = Sink::new(&path);
    let hosts = yaml::read(&text, &mut own)
        .and_then(|node| entries(&node, "an httpbb file", &mut own, |k, n, s| host(k, n, known, s)));
    let found: Vec<Journey> = hosts.into_iter().flatten().flatten().collect();
    if found.is_empty() && own.count() == 0 {
        sink.add(file.place, format!("there is no case in {}, so that every host would be good", path.display()));
    }
    let good = own.count() == 0 && !found.is_empty();
    sink.absorb(own);
    good.then_some(found)
}

/// The cases of one `https://NAME`.
fn host(key: &Key, cases: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Vec<Journey>> {
    let (tls, name) = match key.text.split_once("://") {
        Some(("https", name)) => (true, name),
        Some(("http", name)) => (false, name),
        _ => {
            let hint = "as in `https://en.wikipedia.org`".to_owned();
            sink.hint(key.place, format!("`{}` is not the URL of a host", key.text), Some(hint));
            return None;
        }
    };
    let name = Value::Text(name.trim_end_matches('/').to_owned());
    let name = host_header(&Node { place: key.place, value: name }, sink)?;
    list(cases, "the cases of a host", |case, sink| journey(tls, &name, case, known, sink), sink)
}

fn journey(tls: bool, name: &str, case: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Journey> {
    let mut f = Fields::of(case, KEYS, "a case", sink)?;
    let (path, method) = (f.need("path", path), f.optional("method", method));
    let headers = f.optional("request_headers", |n, s| headers(n, known, s));
    let body = f.optional("json_body", json);
    let asserts = asserts(&mut f);
    let mut headers = headers?.map_or(Vec::new(), |at| at.value);
    let body = body?.map(|at| as_json(&at.value, &mut headers));
    let (path, method) = (path?.value, method?.map_or_else(|| "GET".to_owned(), |at| at.value));
    let step = Step {
        jar: "a".to_owned(),
        target: Target::Scope,
        tls: Some(tls),
        host_header: name.to_owned(),
        method,
        path,
        headers,
        body,
        redirects_max: 0,
        asserts: asserts?,
    };
    Some(Journey { name: super::named(&step), steps: vec![step] })
}

fn asserts(f: &mut Fields<'_>) -> Option<Vec<Assert>> {
    let matches = |n: &Node, s: &mut Sink| {
        one_or_more(n, s, pattern).map(|all| all.into_iter().map(Assert::BodyRegex).collect::<Vec<_>>())
    };
    let parts = [
        f.optional("assert_status", |n, s| Some(vec![Assert::Status(status(n, s)?)])),
        f.optional("assert_headers", equal),
        f.optional("assert_headers_regex", matching),
        f.optional("assert_headers_absent", absent),
        f.optional("assert_body_contains", contains),
        f.optional("assert_body_regex", matches),
    ];
    whole(parts.into_iter().map(|part| Some(part?.map(|at| at.value))), f)
}
