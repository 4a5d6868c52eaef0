//! The entries of a YAML mapping and the scalars in them, every mistake noted.
//!
//! Invariant: a value that is missing or of the wrong kind is left out only after it was noted.

use super::diagnostic::{Place, Sink, did_you_mean};
use super::raw::At;
use super::yaml::{Node, Value};
use crate::model::limits::DURATION_MS_MAX;
use std::collections::BTreeSet;

/// A text; what YAML reads as something else is refused with the way to quote it.
pub fn text(node: &Node, sink: &mut Sink) -> Option<String> {
    let message = match &node.value {
        Value::Text(text) => return Some(text.clone()),
        Value::Number(number) => return quote(node.place, &number.to_string(), sink),
        Value::Other(written) => return quote(node.place, written, sink),
        Value::Null => "a text must stand here",
        Value::List(_) => "a text must stand here, not a list",
        Value::Map(_) => "a text must stand here, not a mapping",
    };
    sink.add(node.place, message);
    None
}

fn quote(place: Place, written: &str, sink: &mut Sink) -> Option<String> {
    let message = format!("`{written}` without quotes is not a text in YAML");
    sink.hint(place, message, Some(format!("write \"{written}\", in quotes")));
    None
}

/// A list of texts.
pub fn texts(node: &Node, sink: &mut Sink) -> Option<Vec<At<String>>> {
    let at = |node: &Node, sink: &mut Sink| text(node, sink).map(|value| At { value, place: node.place });
    list(node, "a list of texts", at, sink)
}

/// A list of arguments.
pub fn argv(node: &Node, sink: &mut Sink) -> Option<Vec<At<String>>> {
    if let Value::Text(text) = &node.value {
        let words: Vec<&str> = text.split_whitespace().collect();
        let hint = format!("write it as a list of arguments, no shell reads it: [{}]", words.join(", "));
        sink.hint(node.place, "a hook is a list of arguments, not one text", Some(hint));
        return None;
    }
    texts(node, sink)
}

/// A whole number.
pub fn number(node: &Node, sink: &mut Sink) -> Option<u64> {
    match &node.value {
        Value::Number(number) => Some(*number),
        Value::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            sink.hint(node.place, "a number stands without quotes", Some(format!("write {text}")));
            None
        }
        _ => {
            sink.add(node.place, "a whole number in decimal digits must stand here");
            None
        }
    }
}

/// A TCP port.
pub fn port(node: &Node, sink: &mut Sink) -> Option<u16> {
    let number = number(node, sink)?;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        sink.add(node.place, format!("{number} is not a port, which is from 1 to 65535"));
    }
    port
}

/// A number with or without a fraction, finite.
pub fn decimal(node: &Node, sink: &mut Sink) -> Option<f64> {
    let number = match &node.value {
        Value::Number(number) => Some(*number as f64),
        Value::Other(written) => written.parse::<f64>().ok().filter(|number| number.is_finite()),
        _ => None,
    };
    if number.is_none() {
        sink.hint(node.place, "a number must stand here", Some("as in `1000` or `0.5`, without quotes".to_owned()));
    }
    number
}

/// `true` or `false`.
pub fn flag(node: &Node, sink: &mut Sink) -> Option<bool> {
    match &node.value {
        Value::Other(written) if written == "true" => Some(true),
        Value::Other(written) if written == "false" => Some(false),
        _ => {
            sink.add(node.place, "`true` or `false` must stand here");
            None
        }
    }
}

/// A duration with its unit: `500ms`, `10s`, `5m`, `2h` or `7d`; in ms, at most [`DURATION_MS_MAX`].
pub fn duration(node: &Node, sink: &mut Sink) -> Option<u64> {
    let written = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Other(other) => other.clone(),
        _ => String::new(),
    };
    let ms = parse_duration(&written);
    if ms.is_none() {
        let hint = "a number and a unit, as in `500ms`, `10s`, `5m`, `2h` or `30d`, at most a year";
        sink.hint(node.place, format!("`{written}` is not a duration"), Some(hint.to_owned()));
    }
    ms
}

/// The ms of `500ms`, `10s`, `5m`, `2h` or `7d`; `None` when it is none of these or longer than [`DURATION_MS_MAX`].
pub fn parse_duration(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit).filter(|ms| *ms <= DURATION_MS_MAX)
}

/// One of a closed set of words.
pub fn choice<T: Copy>(node: &Node, choices: &[(&str, T)], sink: &mut Sink) -> Option<T> {
    let text = text(node, sink)?;
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = did_you_mean(&text, names.iter().copied()).unwrap_or_else(|| format!("one of {}", names.join(", ")));
        sink.hint(node.place, format!("`{text}` is not known here"), Some(hint));
    }
    found
}

/// The items of a list that are of use; the others were noted.
pub fn list<T>(
    node: &Node,
    what: &str,
    read: impl Fn(&Node, &mut Sink) -> Option<T>,
    sink: &mut Sink,
) -> Option<Vec<T>> {
    let Value::List(items) = &node.value else {
        let hint = "a list is one `- item` a line, or `[a, b]`".to_owned();
        sink.hint(node.place, format!("{what} must be a list"), Some(hint));
        return None;
    };
    Some(items.iter().filter_map(|item| read(item, sink)).collect())
}

/// The entries of a mapping, whose unknown keys were noted.
pub struct Fields<'a> {
    what: &'a str,
    /// The mapping itself.
    pub node: &'a Node,
    /// Where mistakes are noted.
    pub sink: &'a mut Sink,
    /// Keys whose values had mistakes.
    pub broken: BTreeSet<&'static str>,
}

impl<'a> Fields<'a> {
    /// The entries of a mapping; what is none is noted, as are keys that are not among `keys`.
    pub fn of(node: &'a Node, keys: &[&str], what: &'a str, sink: &'a mut Sink) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let hint = format!("its keys are {}", keys.join(", "));
            sink.hint(node.place, format!("{what} must be a mapping of keys to values"), Some(hint));
            return None;
        };
        for (key, _) in entries.iter().filter(|(key, _)| !keys.contains(&key.text.as_str())) {
            let hint = || {
                did_you_mean(&key.text, keys.iter().copied())
                    .unwrap_or_else(|| format!("the keys of {what} are {}", keys.join(", ")))
            };
            let hint = if sink.is_full() { None } else { Some(hint()) };
            sink.hint(key.place, format!("`{}` is not a key of {what}", key.text), hint);
        }
        Some(Self { what, node, sink, broken: BTreeSet::new() })
    }

    /// The value of a key that is there and not null.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        let Value::Map(entries) = &self.node.value else { return None };
        entries.iter().find(|(k, v)| k.text == key && v.value != Value::Null).map(|(_, value)| value)
    }

    /// A value that must be there.
    pub fn need<T>(&mut self, key: &'static str, read: impl Fn(&Node, &mut Sink) -> Option<T>) -> Option<At<T>> {
        if self.get(key).is_none() {
            self.broken.insert(key);
            self.sink.add(self.node.place, format!("`{key}` is missing in {}", self.what));
        }
        self.optional(key, read)?
    }

    /// A value that may be left out: `Some(None)`; `None` when it is there and wrong.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Node, &mut Sink) -> Option<T>,
    ) -> Option<Option<At<T>>> {
        let Some(node) = self.get(key) else { return Some(None) };
        let before = self.sink.count();
        let value = read(node, self.sink);
        if self.sink.count() > before {
            self.broken.insert(key);
        }
        value.map(|value| Some(At { value, place: node.place }))
    }
}
