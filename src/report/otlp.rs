//! A rollout as an OpenTelemetry trace, in the JSON encoding of OTLP 1.x: one span for the rollout, for each of its
//! stages, for each wave and for each host in it; what was sent to a host and what came of it are events of its span.
//!
//! Invariants. It is made of what the books have, so that it can be made again at any time and is the same: ids are
//! digests of names. Times are the controller's. Text that a host made is harmless in it.
//!
//! Written by hand, since that is one document: the crates of OpenTelemetry measure what runs now, with a clock and an
//! exporter of their own, and would come with a second HTTP client. The encoding is that of the OTLP specification, "JSON
//! Protobuf Encoding": ids in hexadecimal digits, 64-bit numbers as texts, enumerations as numbers.

use super::escape::Untrusted;
use super::history;
use crate::model::books::{Kind, Rollout, Status};
use crate::model::digest::Digest;
use crate::model::health::GateRow;
use crate::model::ids::BooksId;
use crate::model::names::{GateName, HostName};
use crate::model::step::Step;
use crate::model::time::Time;
use crate::model::version::VERSION;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u32 = 1;
/// `STATUS_CODE_OK`.
const OK: u32 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: u32 = 2;
/// What came of a command that did what it was sent for.
const DONE: &str = "ok";

/// What a trace is made of.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// Whose books.
    pub books: BooksId,
    /// The rollout.
    pub rollout: &'a Rollout,
    /// What was sent for it, in the order of sending.
    pub steps: &'a [Step],
    /// What gates said of it.
    pub gates: Option<&'a BTreeMap<GateName, GateRow>>,
}

/// The document, as `/v1/traces` takes it.
pub fn document(recorded: Recorded<'_>) -> Value {
    let attributes = [("service.name", json!("pointsman")), ("service.version", json!(VERSION))];
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes.map(|(key, value)| attribute(key, &value))},
        "scopeSpans": [{"scope": {"name": "pointsman", "version": VERSION}, "spans": Trace::of(recorded).spans}],
    }]})
}

struct Trace {
    id: String,
    /// Names the rollout within ids.
    seed: String,
    spans: Vec<Value>,
}

/// One span before it is written.
struct Span<'a> {
    /// Where it stands in the tree: `r12/switch/2/mw2020.codfw.wmnet`; the part before the last `/` is its parent.
    path: String,
    name: String,
    within: (Time, Time),
    attributes: Vec<(&'a str, Value)>,
    events: Vec<Value>,
    status: Value,
}

impl Trace {
    fn of(recorded: Recorded<'_>) -> Self {
        let Recorded { books, rollout, steps, gates } = recorded;
        let seed = format!("{books} {}", rollout.id);
        let mut trace = Self { id: hex(&format!("{seed} trace"), 32), seed, spans: Vec::new() };
        let root = rollout.id.to_string();
        let within = span_of(steps.iter()).map_or((rollout.at, rollout.at), |(from, to)| (from.min(rollout.at), to));
        let groups: Vec<&str> = rollout.groups.iter().map(|group| group.as_str()).collect();
        let mut attributes = vec![
            ("pointsman.rollout", json!(root)),
            ("pointsman.kind", json!(history::kind(rollout.kind))),
            ("pointsman.groups", json!(groups.join(","))),
            ("pointsman.by", json!(plain(&rollout.by))),
            ("pointsman.why", json!(plain(&rollout.why))),
        ];
        attributes.extend(rollout.version.iter().map(|version| ("pointsman.version", json!(version))));
        attributes.extend(rollout.playbook.iter().map(|run| ("pointsman.playbook", json!(run.to_string()))));
        let name = format!("{} {}", history::kind(rollout.kind), groups.join(" "));
        let (events, status) = (judged(gates), ended(rollout));
        trace.add(Span { path: root.clone(), name: name.trim().to_owned(), within, attributes, events, status });
        trace.stages(&root, rollout.kind, steps);
        trace
    }

    /// What came before the first switch, and the waves.
    fn stages(&mut self, root: &str, kind: Kind, steps: &[Step]) {
        let first = steps.iter().position(|step| step.command == "switch").unwrap_or(steps.len());
        let (proven, switched) = steps.split_at(if has_waves(kind) { first } else { 0 });
        for (stage, steps) in [("prove", proven), ("switch", switched)] {
            let Some(within) = span_of(steps.iter()) else { continue };
            let path = format!("{root}/{stage}");
            let (attributes, events, status) = (Vec::new(), Vec::new(), json!({}));
            self.add(Span { path: path.clone(), name: stage.to_owned(), within, attributes, events, status });
            match stage {
                "prove" => self.hosts(&path, &steps.iter().collect::<Vec<_>>()),
                _ => self.waves(&path, &waves(kind, steps), steps),
            }
        }
    }

    fn waves(&mut self, stage: &str, waves: &[BTreeSet<HostName>], steps: &[Step]) {
        for (number, hosts) in waves.iter().enumerate() {
            let of: Vec<&Step> = steps.iter().filter(|step| hosts.contains(&step.host)).collect();
            let Some(within) = span_of(of.iter().copied()) else { continue };
            let path = format!("{stage}/{}", number + 1);
            let name = format!("wave {} of {}", number + 1, waves.len());
            let attributes = vec![("pointsman.wave", json!(number + 1)), ("pointsman.hosts", json!(hosts.len()))];
            self.add(Span { path: path.clone(), name, within, attributes, events: Vec::new(), status: json!({}) });
            self.hosts(&path, &of);
        }
    }

    fn hosts(&mut self, parent: &str, steps: &[&Step]) {
        let hosts: BTreeSet<&HostName> = steps.iter().map(|step| &step.host).collect();
        for host in hosts {
            let of: Vec<&Step> = steps.iter().filter(|step| step.host == *host).copied().collect();
            let Some(within) = span_of(of.iter().copied()) else { continue };
            let last = of.iter().rev().find_map(|step| step.outcome.as_ref()).map(|(_, outcome)| outcome.as_str());
            let status = match last {
                Some(DONE) => json!({"code": OK}),
                Some(why) => json!({"code": ERROR, "message": plain(why)}),
                None => json!({"code": ERROR, "message": "no answer is on the books"}),
            };
            let (path, name) = (format!("{parent}/{host}"), host.to_string());
            let attributes = vec![("host.name", json!(name))];
            let events = of.iter().flat_map(|step| commanded(step)).collect();
            self.add(Span { path, name, within, attributes, events, status });
        }
    }

    fn add(&mut self, span: Span<'_>) {
        let id = |path: &str| hex(&format!("{} span {path}", self.seed), 16);
        let parent = span.path.rsplit_once('/').map(|(parent, _)| id(parent)).unwrap_or_default();
        let attributes: Vec<Value> = span.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
        let written = json!({
            "traceId": self.id,
            "spanId": id(&span.path),
            "parentSpanId": parent,
            "name": span.name,
            "kind": INTERNAL,
            "startTimeUnixNano": nanos(span.within.0),
            "endTimeUnixNano": nanos(span.within.1),
            "attributes": attributes,
            "events": span.events,
            "status": span.status,
        });
        self.spans.push(written);
    }
}

/// Whether every host is proven before the first is told to switch, wave after wave.
fn has_waves(kind: Kind) -> bool {
    matches!(kind, Kind::Promote | Kind::Pin | Kind::Unpin)
}

/// The hosts of each wave: those that were told to switch in one commit. Where each host goes for itself it is one wave.
fn waves(kind: Kind, steps: &[Step]) -> Vec<BTreeSet<HostName>> {
    if !has_waves(kind) {
        return vec![steps.iter().map(|step| step.host.clone()).collect()];
    }
    let mut waves: BTreeMap<Time, BTreeSet<HostName>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.command == "switch") {
        waves.entry(step.sent).or_default().insert(step.host.clone());
    }
    waves.into_values().collect()
}

/// From the first sending to the last answer.
fn span_of<'a>(steps: impl Iterator<Item = &'a Step>) -> Option<(Time, Time)> {
    let times = steps.map(|step| (step.sent, step.outcome.as_ref().map_or(step.sent, |(at, _)| (*at).max(step.sent))));
    times.reduce(|(from, to), (sent, answered)| (from.min(sent), to.max(answered)))
}

/// A command to a host, and its answer if one came.
fn commanded(step: &Step) -> Vec<Value> {
    let event =
        |at: Time, name: String, more: Vec<Value>| json!({"timeUnixNano": nanos(at), "name": name, "attributes": more});
    let sent = event(step.sent, format!("{} sent", step.command), Vec::new());
    let answered = step.outcome.as_ref().map(|(at, outcome)| {
        let result = attribute("pointsman.result", &json!(plain(outcome)));
        event(*at, format!("{} answered", step.command), vec![result])
    });
    std::iter::once(sent).chain(answered).collect()
}

/// The last word of each gate, and its first failure.
fn judged(gates: Option<&BTreeMap<GateName, GateRow>>) -> Vec<Value> {
    let rows = gates.into_iter().flatten();
    let said = rows.flat_map(|(_, row)| {
        row.failed.iter().chain(row.last.iter().filter(|last| row.failed.as_ref() != Some(*last)))
    });
    said.map(|judgement| {
        let attributes = [
            ("pointsman.gate", json!(judgement.gate)),
            ("pointsman.verdict", json!(judgement.verdict.to_string())),
            ("pointsman.reason", json!(plain(&judgement.sentence))),
        ];
        let attributes = attributes.map(|(key, value)| attribute(key, &value));
        json!({"timeUnixNano": nanos(judgement.at), "name": "gate", "attributes": attributes})
    })
    .collect()
}

fn ended(rollout: &Rollout) -> Value {
    match rollout.status {
        Status::Open => json!({}),
        Status::Done => json!({"code": OK}),
        Status::Owed | Status::Dropped | Status::WentBack | Status::Superseded => {
            json!({"code": ERROR, "message": plain(&rollout.effect)})
        }
    }
}

fn attribute(key: &str, value: &Value) -> Value {
    let value = match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        value => json!({"stringValue": value}),
    };
    json!({"key": key, "value": value})
}

fn nanos(at: Time) -> String {
    format!("{}", u128::from(at.0) * 1_000_000)
}

/// So many hexadecimal digits that belong to a name.
fn hex(name: &str, digits: usize) -> String {
    Digest::of(name.as_bytes()).to_string()[..digits].to_owned()
}

fn plain(text: &str) -> String {
    Untrusted(text).to_string()
}

#[cfg(test)]
mod tests;
