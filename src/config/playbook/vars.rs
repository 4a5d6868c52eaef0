//! Variables: declared with a type, given on the command line, and put where `$name` is the whole value.

use crate::config::diagnostic::{Place, Sink, did_you_mean};
use crate::config::fields::{Fields, choice, parse_duration, text};
use crate::config::policy::Policy;
use crate::config::yaml::{Node, Value};
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::words::nearest;
use std::collections::{BTreeMap, BTreeSet};

/// What the program puts in itself.
const BUILT_IN: &str = "item";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Version,
    Group,
    Wiki,
    Host,
    Duration,
    Number,
    Text,
}

const TYPES: [(&str, Type); 7] = [
    ("version", Type::Version),
    ("group", Type::Group),
    ("wiki", Type::Wiki),
    ("host", Type::Host),
    ("duration", Type::Duration),
    ("number", Type::Number),
    ("text", Type::Text),
];

struct Variable {
    name: String,
    place: Place,
    value: Option<Value>,
}

/// Puts values where variables stand, and gives the values; what is undeclared, unused, missing or of the wrong type is
/// noted. `None`: values are missing in the tree, so that nothing more can be said about it.
pub fn replace(
    tree: &mut Node,
    policy: &Policy,
    given: &BTreeMap<String, String>,
    sink: &mut Sink,
) -> Option<BTreeMap<String, String>> {
    let Value::Map(entries) = &mut tree.value else { return Some(BTreeMap::new()) };
    let declared = entries.iter().find(|(key, _)| key.text == "variables").map(|(_, node)| node.clone());
    let variables = declared.map_or_else(|| Some(Vec::new()), |node| declarations(&node, policy, given, sink))?;
    for name in given.keys().filter(|name| !variables.iter().any(|variable| variable.name == **name)) {
        let hint = did_you_mean(name, variables.iter().map(|variable| variable.name.as_str()));
        sink.hint(Place::default(), format!("`--var {name}`: the playbook declares no such variable"), hint);
    }
    let (mut used, before) = (BTreeSet::new(), sink.count());
    for (_, node) in entries.iter_mut().filter(|(key, _)| key.text != "variables") {
        put(node, &variables, &mut used, sink);
    }
    let whole = sink.count() == before && variables.iter().all(|variable| variable.value.is_some());
    for variable in variables.iter().filter(|variable| !used.contains(&variable.name)) {
        let hint = format!("remove it, or write `${}` where it belongs", variable.name);
        sink.hint(variable.place, format!("the variable `{}` is never used", variable.name), Some(hint));
    }
    let shown = |variable: &Variable| Some((variable.name.clone(), shown(variable.value.as_ref()?)));
    whole.then(|| variables.iter().filter_map(shown).collect())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        _ => String::new(),
    }
}

fn declarations(
    node: &Node,
    policy: &Policy,
    given: &BTreeMap<String, String>,
    sink: &mut Sink,
) -> Option<Vec<Variable>> {
    let Value::Map(entries) = &node.value else {
        sink.add(node.place, "`variables` must be a mapping of names to types");
        return None;
    };
    let mut found = Vec::new();
    for (key, node) in entries {
        let name = key.text.clone();
        if !is_name(&name) || name == BUILT_IN {
            sink.add(
                key.place,
                format!("`{name}` can't be a variable: lower case letters, digits, `_` and `-`, not `item`"),
            );
        }
        let Some(mut f) = Fields::of(node, &["type", "default"], "a variable", sink) else { continue };
        let of = f.need("type", |n, s| choice(n, &TYPES, s));
        let default = f.get("default").cloned();
        let Some(of) = of else {
            found.push(Variable { name, place: key.place, value: None });
            continue;
        };
        let written = given.get(&name).cloned().or_else(|| {
            let node = default?;
            match node.value {
                Value::Number(number) => Some(number.to_string()),
                _ => text(&node, sink),
            }
        });
        let value = match written {
            Some(written) => typed(of.value, &written, policy).map_err(|(why, hint)| {
                sink.hint(key.place, format!("the variable `{name}`: {why}"), hint);
            }),
            None => {
                let hint = format!("--var {name}=VALUE");
                sink.hint(key.place, format!("the variable `{name}` has no value and no default"), Some(hint));
                Err(())
            }
        };
        found.push(Variable { name, place: key.place, value: value.ok() });
    }
    Some(found)
}

/// The value, or why it is none and what was probably meant.
fn typed(of: Type, written: &str, policy: &Policy) -> Result<Value, (String, Option<String>)> {
    let words = Value::Text(written.to_owned());
    let wrong = |why: String| (format!("`{}` is not {why}", written.escape_debug()), None);
    let name = |what: &str, error: crate::model::names::NameError| wrong(format!("{what}: {error}"));
    let known = |what: &str, found: bool, names: &mut dyn Iterator<Item = &str>| match found {
        true => Ok(words.clone()),
        false => {
            let hint = nearest(written, names).map(|near| format!("did you mean `{near}`?"));
            Err((format!("groups.yaml has no {what} `{written}`"), hint))
        }
    };
    let groups = || policy.groups.iter();
    match of {
        Type::Version => written.parse::<Version>().map(|_| words.clone()).map_err(|e| name("a version", e)),
        Type::Group => {
            let group: Group = written.parse().map_err(|e| name("a group", e))?;
            known("group", groups().any(|g| g.name == group), &mut groups().map(|g| g.name.as_str()))
        }
        Type::Wiki => {
            let wiki: Wiki = written.parse().map_err(|e| name("a wiki", e))?;
            let mut all = groups().flat_map(|g| &g.wikis).map(Wiki::as_str);
            known("wiki", groups().any(|g| g.wikis.contains(&wiki)), &mut all)
        }
        Type::Host => {
            let host: HostName = written.parse().map_err(|e| name("a host", e))?;
            known("host", policy.hosts.contains_key(&host), &mut policy.hosts.keys().map(HostName::as_str))
        }
        Type::Duration => parse_duration(written)
            .map(|_| words.clone())
            .ok_or_else(|| wrong("a duration, as in `30s` or `2h`".into())),
        Type::Number => written.parse().map(Value::Number).map_err(|_| wrong("a whole number".into())),
        Type::Text => Ok(words.clone()),
    }
}

fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    text.bytes().all(legal) && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
}

fn put(node: &mut Node, variables: &[Variable], used: &mut BTreeSet<String>, sink: &mut Sink) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| put(item, variables, used, sink)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| put(value, variables, used, sink)),
        Value::Text(text) => {
            let Some(name) = text.strip_prefix('$').filter(|name| is_name(name) && *name != BUILT_IN) else {
                inside(text, node.place, variables, sink);
                return;
            };
            match variables.iter().find(|variable| variable.name == name) {
                Some(variable) => {
                    used.insert(name.to_owned());
                    // One without a value was noted at its declaration.
                    node.value = variable.value.clone().unwrap_or(Value::Null);
                }
                None => {
                    let hint = did_you_mean(name, variables.iter().map(|v| v.name.as_str()));
                    let hint = hint.unwrap_or_else(|| "declare it under `variables` with its type".to_owned());
                    sink.hint(node.place, format!("the variable `{name}` is not declared"), Some(hint));
                }
            }
        }
        _ => {}
    }
}

/// A variable inside of a longer text would stay as it is written.
fn inside(text: &str, place: Place, variables: &[Variable], sink: &mut Sink) {
    if let Some(variable) = variables.iter().find(|variable| text.contains(&format!("${}", variable.name))) {
        let hint = format!("write `${}` alone, or the words alone", variable.name);
        sink.hint(place, "a variable is a whole value, not a part of one", Some(hint));
    }
}
