//! The parts of a request: names, paths, headers and bodies, each legal once it was read.
//!
//! Invariant: nothing that is read here can change which host is connected to, or where a request ends: no address in
//! a Host header, no control character, no header that frames the body. No secret stands in a header: only where it stands
//! does, and what stands there by mistake is not repeated in a message.

use crate::config::diagnostic::{Sink, did_you_mean};
use crate::config::fields::{Fields, text};
use crate::config::gates::Known;
use crate::config::raw::At;
use crate::config::store::reference;
use crate::config::yaml::{Key, Node, Value};
use crate::gate::spec::probe::HeaderText;
use crate::model::names::Wiki;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Number;

/// The methods that a step may use.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Headers that are ours to send: they say to whom a request goes and where it ends.
const OURS: [&str; 6] = ["host", "connection", "content-length", "transfer-encoding", "te", "upgrade"];
/// Headers whose values are secrets, in lower case.
const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
/// How the names of others end.
const SECRET_ENDS: [&str; 5] = ["-token", "-api-key", "-access-key", "-secret", "-password"];
/// The longest path, bytes: what web servers take by default for a whole line.
const PATH_BYTES_MAX: usize = 8_000;

/// The name in the Host header: a wiki's or any other.
pub fn asked_name(f: &mut Fields<'_>, known: &Known<'_>) -> Option<String> {
    let wiki = f.optional("wiki", |node, sink| wiki(node, known, sink));
    let name = f.optional("host_header", host_header);
    match (wiki?, name?) {
        (Some(wiki), None) => Some(wiki.value.to_string()),
        (None, Some(name)) => Some(name.value),
        (wiki, _) => {
            let place = wiki.map_or(f.node.place, |wiki| wiki.place);
            let hint = "`wiki: enwiki`, or `host_header: en.wikipedia.org`".to_owned();
            f.sink.hint(place, "either `wiki` or `host_header` must say who is asked for", Some(hint));
            None
        }
    }
}

/// A wiki of a group, whose name can be a Host header.
pub fn wiki(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Wiki> {
    let written = text(node, sink)?;
    let all = || known.groups.iter().flat_map(|group| &group.wikis);
    let Some(wiki) = all().find(|wiki| wiki.as_str() == written) else {
        sink.hint(node.place, format!("there is no wiki `{written}`"), did_you_mean(&written, all().map(Wiki::as_str)));
        return None;
    };
    host_header(node, sink).map(|_| wiki.clone())
}

/// A name, and no address: that would be connected to instead of the host that is judged.
pub fn host_header(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let name = matches!(url::Host::parse(&written), Ok(url::Host::Domain(_)));
    let sound = name && written.len() <= 253 && written.bytes().all(legal);
    if !sound {
        let hint = "as in `en.wikipedia.org`, without a port; where hosts listen is said in the section `web`";
        sink.hint(node.place, format!("`{written}` is not a name to ask for"), Some(hint.to_owned()));
    }
    sound.then_some(written)
}

/// A path, with a query where there is one.
pub fn path(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let illegal = |c: char| c.is_control() || c.is_whitespace() || c == '\\' || c == '#';
    let sound = written.starts_with('/') && written.len() <= PATH_BYTES_MAX && !written.contains(illegal);
    if !sound {
        let hint = "it begins with `/`; a space is written `%20`, and what follows a `#` is not sent".to_owned();
        sink.hint(node.place, format!("`{written}` is not the path of a URL"), Some(hint));
    }
    sound.then_some(written)
}

/// A method.
pub fn method(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let known = METHODS.contains(&written.as_str());
    if !known {
        let hint = did_you_mean(&written, METHODS).unwrap_or_else(|| format!("one of {}", METHODS.join(", ")));
        sink.hint(node.place, format!("`{written}` is not a method"), Some(hint));
    }
    known.then_some(written)
}

/// What a mapping holds, each read with its key; `None` when it is none, which is noted.
pub fn entries<T>(
    node: &Node,
    what: &str,
    sink: &mut Sink,
    read: impl Fn(&Key, &Node, &mut Sink) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::Map(entries) = &node.value else {
        sink.add(node.place, format!("{what} must be a mapping of names to values"));
        return None;
    };
    Some(entries.iter().filter_map(|(key, value)| read(key, value, sink)).collect())
}

/// A header's name, as it was written.
pub fn header_name(key: &Key, sink: &mut Sink) -> Option<String> {
    let sound = HeaderName::from_bytes(key.text.as_bytes()).is_ok();
    if !sound {
        sink.add(key.place, format!("`{}` is not the name of a header", key.text));
    }
    sound.then(|| key.text.clone())
}

/// A header's value.
pub fn header_value(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let sound = HeaderValue::from_str(&written).is_ok();
    if !sound {
        sink.add(node.place, format!("`{written}` is not the value of a header"));
    }
    sound.then_some(written)
}

/// Whether what a header of this name says lets whoever knows it in.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.contains(&name.as_str()) || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// What a header says, or where its secret stands. One that is a secret by its name is not taken as it is, and not repeated.
fn header_text(name: &Key, node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<HeaderText> {
    let refuse = |sink: &mut Sink| {
        let hint =
            "as in `env:POINTSMAN_PROBE` or `file:/etc/pointsman/probe`, a file of mode 600 with the whole value";
        let message = format!("what `{}` says is a secret, so only where it stands is written here", name.text);
        sink.hint(node.place, message, Some(hint.to_owned()));
    };
    let (secret, refers) = (is_secret(&name.text), |text: &str| text.starts_with("env:") || text.starts_with("file:"));
    match &node.value {
        Value::Text(text) if secret || refers(text) => {
            let written = At { value: text.clone(), place: node.place };
            reference(&written, known.base, sink, refuse).map(HeaderText::Secret)
        }
        // A number would be repeated, with the advice to quote it.
        _ if secret => {
            refuse(sink);
            None
        }
        _ => header_value(node, sink).map(HeaderText::Plain),
    }
}

/// Headers that are sent.
pub fn headers(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Vec<(String, HeaderText)>> {
    entries(node, "headers", sink, |key, value, sink| {
        if OURS.iter().any(|ours| key.text.eq_ignore_ascii_case(ours)) {
            let hint = "who is asked for is said by `wiki` or `host_header`".to_owned();
            sink.hint(key.place, format!("`{}` is never set by hand", key.text), Some(hint));
            return None;
        }
        let (name, value) = (header_name(key, sink), header_text(key, value, known, sink));
        Some((name?, value?))
    })
}

/// YAML as JSON; what YAML alone knows (`no`, `0x10`, `1e400`) is refused with the way to quote it.
pub fn json(node: &Node, sink: &mut Sink) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    Some(match &node.value {
        Value::Null => Json::Null,
        Value::Number(number) => Json::Number((*number).into()),
        Value::Other(written) if written == "true" || written == "false" => Json::Bool(written == "true"),
        Value::Other(written) => match written.parse::<Number>() {
            Ok(number) => Json::Number(number),
            Err(_) => Json::String(text(node, sink)?),
        },
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(|item| json(item, sink)).collect::<Option<_>>()?),
        Value::Map(_) => {
            let pairs = entries(node, "JSON", sink, |key, value, sink| Some((key.text.clone(), json(value, sink)?)))?;
            Json::Object(pairs.into_iter().collect())
        }
    })
}
