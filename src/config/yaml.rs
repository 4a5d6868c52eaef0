//! YAML text to a tree of nodes that know their places.
//!
//! Invariant: nothing is guessed. A scalar is a text only if YAML says so; `1.10` and `no` stay what YAML makes of
//! them, with the words as they were written, so that the reader can say how to quote them. A doubled key is a
//! mistake, the first value is kept only to look for further mistakes. There are no aliases, tags or merges.

use super::diagnostic::{Place, Sink};
use crate::model::limits::{CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX, CONFIG_NODES_MAX};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned};
use std::collections::BTreeMap;
use std::fmt;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its first character.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A text.
    Text(String),
    /// A whole number in plain decimal digits.
    Number(u64),
    /// Another scalar that is not a text (`no`, `1.10`, `0x10`), as it was written.
    Other(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, each key once.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it stands.
    pub place: Place,
    /// The key.
    pub text: String,
}

/// Reads one document; broken YAML and exceeded limits are noted and give `None`, doubled keys are only noted.
pub fn read(text: &str, sink: &mut Sink) -> Option<Node> {
    if text.len() as u64 > CONFIG_BYTES_MAX {
        sink.hint(Place::default(), format!("it is larger than {CONFIG_BYTES_MAX} bytes"), too_large());
        return None;
    }
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => Some(node(raw, text, sink)),
        Err(error) => {
            let error = error.without_snippet();
            let place = error.location().map(place_of).unwrap_or_default();
            let (message, hint) = explain(error);
            sink.hint(place, message, hint);
            None
        }
    }
}

fn too_large() -> Option<String> {
    Some("keep lists of wikis in dblist files beside it".into())
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: Some(budget()),
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    }
}

fn budget() -> Budget {
    let mut budget = Budget::default();
    budget.max_depth = CONFIG_DEPTH_MAX;
    budget.max_nodes = CONFIG_NODES_MAX;
    budget.max_documents = 1;
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget
}

/// The parser's error in our words where it is one of our rules.
fn explain(error: &serde_saphyr::Error) -> (String, Option<String>) {
    use serde_saphyr::budget::BudgetBreach;
    match error {
        serde_saphyr::Error::Budget { breach, .. } => match breach {
            BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
                ("anchors (`&name`) and aliases (`*name`) are not allowed".into(), Some("write the value out".into()))
            }
            BudgetBreach::Depth { .. } => (format!("nested deeper than {CONFIG_DEPTH_MAX} levels"), None),
            BudgetBreach::Nodes { .. } => (format!("it has more than {CONFIG_NODES_MAX} keys and values"), too_large()),
            BudgetBreach::Documents { .. } => second_document(),
            other => (format!("it exceeds a limit: {other:?}"), None),
        },
        serde_saphyr::Error::MultipleDocuments { .. } => second_document(),
        other => (format!("this is not valid YAML: {}", without_place(&other.to_string())), None),
    }
}

fn second_document() -> (String, Option<String>) {
    ("a second document begins here; one file is one document".into(), Some("remove the `---`".into()))
}

/// The first line of the parser's words, without the place that the diagnostic names already.
fn without_place(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.rfind(" at line ").map_or(line, |end| &line[..end])
}

fn place_of(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

/// What serde gives, before places and doubled keys are looked at.
#[derive(Debug)]
enum Raw {
    Null,
    Text(String),
    Scalar,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar)
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary values are not used here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}

fn node(raw: Spanned<Raw>, source: &str, sink: &mut Sink) -> Node {
    let place = place_of(raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Text(text),
        Raw::Scalar => scalar(written(raw.referenced, source)),
        Raw::List(list) => Value::List(list.into_iter().map(|item| node(item, source, sink)).collect()),
        Raw::Map(entries) => Value::Map(map(entries, source, sink)),
    };
    Node { place, value }
}

/// A scalar as it stands in the text.
fn written(location: Location, source: &str) -> &str {
    let span = location.span();
    let start = span.byte_offset().and_then(|n| usize::try_from(n).ok());
    let len = span.byte_len().and_then(|n| usize::try_from(n).ok());
    start.zip(len).and_then(|(start, len)| source.get(start..start.checked_add(len)?)).unwrap_or("?").trim()
}

fn scalar(written: &str) -> Value {
    let plain = written.bytes().all(|b| b.is_ascii_digit()) && (written == "0" || !written.starts_with('0'));
    match written.parse() {
        Ok(number) if plain => Value::Number(number),
        _ => Value::Other(written.to_owned()),
    }
}

fn map(entries: Vec<(Spanned<String>, Spanned<Raw>)>, source: &str, sink: &mut Sink) -> Vec<(Key, Node)> {
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    let mut kept = Vec::new();
    for (key, value) in entries {
        let key = Key { place: place_of(key.referenced), text: key.value };
        let value = node(value, source, sink);
        match seen.get(&key.text) {
            Some(first) => sink.hint(
                key.place,
                format!("the key `{}` stands twice; the first is in line {}", key.text, first.line),
                Some("keep one of the two: which one was meant, no reader can know".to_owned()),
            ),
            None => {
                seen.insert(key.text.clone(), key.place);
                kept.push((key, value));
            }
        }
    }
    kept
}
