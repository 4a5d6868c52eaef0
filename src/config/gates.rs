//! The section `gates`: one file a family of kinds, which reads its keys straight into [`crate::gate::spec`].
//!
//! Invariant: a gate without a condition is refused here, and so is one whose expressions, URLs or programs are malformed:
//! nothing about a gate is found to be wrong while a rollout waits for it.

pub mod counts;
pub mod hosts;
pub mod numbers;
pub mod people;
pub mod probe;
pub mod signatures;

use super::dblist::Reader;
use super::diagnostic::{Sink, did_you_mean};
use super::fields::{Fields, choice, duration, number, text, texts};
use super::policy::GroupPolicy;
use super::raw::At;
use super::resolve::{local_path, parsed};
use super::select::{Hosts, select};
use super::stages::groups_of;
use super::yaml::Node;
use crate::gate::spec::{Counters, Gate, Kind, MOMENTS, Mode, Moment, OnFail};
use crate::model::limits::{GATES_HOSTS_MAX, GATES_MAX};
use crate::model::names::{GateName, HostName};
use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

/// What gates may refer to.
pub struct Known<'a> {
    /// The directory of groups.yaml.
    pub base: &'a Path,
    /// Every group.
    pub groups: &'a [GroupPolicy],
    /// Every host.
    pub hosts: &'a Hosts,
    /// Reads a file beside groups.yaml.
    pub read: Reader<'a>,
}

/// Keys of every kind.
const COMMON: &[&str] = &[
    "name",
    "kind",
    "at",
    "groups",
    "hosts",
    "mode",
    "on_fail",
    "needs",
    "interval",
    "initial_delay",
    "count",
    "failure_limit",
    "inconclusive_limit",
    "consecutive_error_limit",
    "consecutive_success_limit",
];

/// Reads what a kind has beside [`COMMON`]; `None` after a mistake, which was noted.
type Read = fn(&mut Fields<'_>, &Known<'_>) -> Option<Kind>;

/// A kind: its name, its own keys, the moments at which it is asked unless said, and its reader.
type Row = (&'static str, &'static [&'static str], &'static [Moment], Read);

/// At these moments most kinds are asked.
const ALWAYS: &[Moment] = &[Moment::Wave, Moment::Group, Moment::Watch, Moment::Canary];

/// Every kind.
const KINDS: [Row; 12] = [
    ("probe", probe::PROBE_KEYS, ALWAYS, probe::probe),
    ("served", probe::SERVED_KEYS, ALWAYS, probe::served),
    ("contract", probe::CONTRACT_KEYS, &[Moment::Wave, Moment::Canary], probe::contract),
    ("threshold", numbers::THRESHOLD_KEYS, ALWAYS, numbers::threshold),
    ("ranks", numbers::RANKS_KEYS, &[Moment::Wave, Moment::Group, Moment::Watch], numbers::ranks),
    ("counts", counts::COUNTS_KEYS, ALWAYS, counts::counts),
    ("signatures", signatures::SIGNATURES_KEYS, ALWAYS, signatures::signatures),
    ("command", hosts::COMMAND_KEYS, ALWAYS, hosts::command),
    ("host", hosts::HOST_KEYS, ALWAYS, hosts::host),
    ("blockers", people::BLOCKERS_KEYS, &[Moment::Before], people::blockers),
    ("approval", &[], &[Moment::Before], people::approval),
    ("soak", people::SOAK_KEYS, &[Moment::Before], people::soak),
];

/// Every gate that has no mistake in it.
pub fn gates(nodes: &[Node], known: &Known<'_>, sink: &mut Sink) -> Vec<Gate> {
    let mut found: Vec<Gate> = Vec::new();
    if let Some(node) = nodes.get(GATES_MAX) {
        sink.add(node.place, format!("there are more than {GATES_MAX} gates"));
        return found;
    }
    let mut named = 0;
    for node in nodes {
        let Some(gate) = gate(node, known, sink) else { continue };
        named += gate.hosts.as_ref().map_or(0, BTreeSet::len);
        if named > GATES_HOSTS_MAX {
            sink.add(node.place, format!("the gates together name more than {GATES_HOSTS_MAX} hosts"));
            break;
        }
        match found.iter().any(|other| other.name == gate.name) {
            true => sink.add(node.place, format!("the gate `{}` is listed twice", gate.name)),
            false => found.push(gate),
        }
    }
    found
}

fn gate(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Gate> {
    let (name, keys, moments, read) = row(node, sink)?;
    let keys: Vec<&str> = COMMON.iter().chain(keys).copied().collect();
    let what = format!("a gate of kind {name}");
    let mut f = Fields::of(node, &keys, &what, sink)?;
    let name = f.need("name", text);
    let at = f.optional("at", texts);
    let groups = f.optional("groups", texts);
    let hosts = f.optional("hosts", text);
    let mode = f.optional("mode", |n, s| choice(n, &[("enforce", Mode::Enforce), ("observe", Mode::Observe)], s));
    let fails = [("rollback", OnFail::Rollback), ("pause", OnFail::Pause)];
    let on_fail = f.optional("on_fail", |n, s| choice(n, &fails, s));
    let needs = f.optional("needs", texts);
    let counters = counters(&mut f);
    let kind = read(&mut f, known);
    let sink = f.sink;
    let name: Option<GateName> = name.and_then(|name| parsed(&name, "the name of a gate", sink));
    let at = at?.map_or_else(|| moments.iter().copied().collect(), |at| self::moments(&at, sink));
    let groups = groups?.map(|groups| groups_of(&groups, known.groups, sink));
    let hosts = hosts?.map(|hosts| hosts_of(&hosts, known, sink));
    Some(Gate {
        name: name?,
        at,
        groups,
        hosts,
        counters: counters?,
        mode: mode?.map_or(Mode::Enforce, |at| at.value),
        on_fail: on_fail?.map_or(OnFail::Rollback, |at| at.value),
        needs: needs?.map(|at| at.value.into_iter().map(|word| word.value).collect()).unwrap_or_default(),
        kind: kind?,
    })
}

/// The row of the kind that a node names; what is wrong with it is noted.
fn row(node: &Node, sink: &mut Sink) -> Option<Row> {
    let all: Vec<&str> = KINDS.iter().flat_map(|(_, keys, ..)| *keys).chain(COMMON).copied().collect();
    let named = Fields::of(node, &all, "a gate", &mut Sink::new(Path::new("")))?.get("kind").cloned();
    let names = KINDS.map(|(name, ..)| name);
    let Some(named) = named else {
        sink.hint(node.place, "`kind` is missing in a gate", Some(format!("one of {}", names.join(", "))));
        return None;
    };
    let rows = KINDS.map(|row| (row.0, row));
    choice(&named, &rows, sink)
}

fn moments(names: &At<Vec<At<String>>>, sink: &mut Sink) -> BTreeSet<Moment> {
    let mut found = BTreeSet::new();
    for name in &names.value {
        match MOMENTS.iter().find(|(known, _)| *known == name.value) {
            Some((_, moment)) => drop(found.insert(*moment)),
            None => {
                let known = MOMENTS.map(|(name, _)| name);
                let hint = did_you_mean(&name.value, known).unwrap_or_else(|| format!("one of {}", known.join(", ")));
                sink.hint(name.place, format!("`{}` is not a moment", name.value), Some(hint));
            }
        }
    }
    if names.value.is_empty() {
        sink.add(names.place, "a gate that is never asked says nothing; leave `at` out, or name a moment");
    }
    found
}

/// The hosts that a selector in the file names.
pub fn hosts_of(selector: &At<String>, known: &Known<'_>, sink: &mut Sink) -> BTreeSet<HostName> {
    match select(known.hosts, &selector.value) {
        Ok(hosts) => hosts,
        Err(error) => {
            sink.hint(selector.place, error.message, error.hint);
            BTreeSet::new()
        }
    }
}

/// A program and its arguments: an absolute path, or one relative to groups.yaml.
pub fn program(argv: &At<Vec<At<String>>>, known: &Known<'_>, sink: &mut Sink) -> Option<Vec<String>> {
    let Some((first, rest)) = argv.value.split_first() else {
        sink.add(argv.place, "a program must stand here");
        return None;
    };
    let path = local_path(first, known.base, sink)?;
    let arguments = rest.iter().map(|argument| argument.value.clone());
    Some(std::iter::once(path.to_string_lossy().into_owned()).chain(arguments).collect())
}

fn counters(f: &mut Fields<'_>) -> Option<Counters> {
    let default = Counters::default();
    let mut time = |key, default| Some(f.optional(key, duration)?.map_or(default, |at| at.value));
    let interval_ms = time("interval", default.interval_ms);
    let initial_delay_ms = time("initial_delay", default.initial_delay_ms);
    let mut times = |key, least, default| {
        let at = f.optional(key, number)?;
        let Some(at) = at else { return Some(default) };
        let small = u32::try_from(at.value).ok().filter(|n| (least..=100_000).contains(n));
        if small.is_none() {
            f.sink.add(at.place, format!("`{key}` is from {least} to 100000"));
        }
        small
    };
    let count = times("count", 1, default.count);
    let failure_limit = times("failure_limit", 0, default.failure_limit);
    let inconclusive_limit = times("inconclusive_limit", 0, default.inconclusive_limit);
    let consecutive_error_limit = times("consecutive_error_limit", 0, default.consecutive_error_limit);
    let consecutive_success_limit = times("consecutive_success_limit", 0, default.consecutive_success_limit);
    if interval_ms == Some(0) {
        f.sink.add(f.node.place, "`interval` must be longer than nothing");
    }
    Some(Counters {
        interval_ms: interval_ms?,
        initial_delay_ms: initial_delay_ms?,
        count: count?,
        failure_limit: failure_limit?,
        inconclusive_limit: inconclusive_limit?,
        consecutive_error_limit: consecutive_error_limit?,
        consecutive_success_limit: consecutive_success_limit?,
    })
}

/// The section for editors: the keys of each kind.
pub struct Schema;

impl JsonSchema for Schema {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Gates".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        let kinds = KINDS.map(|(name, keys, ..)| {
            let keys = COMMON.iter().chain(keys).map(|key| ((*key).to_owned(), true.into()));
            let mut properties: serde_json::Map<String, serde_json::Value> = keys.collect();
            properties.insert("kind".to_owned(), json!({"const": name}));
            json!({
                "type": "object",
                "properties": properties,
                "required": ["name", "kind"],
                "additionalProperties": false,
            })
        });
        json_schema!({"type": "array", "items": {"oneOf": kinds}})
    }
}
