//! `run`: a program over hosts or a list of items; and batches of hosts.

use super::Given;
use crate::config::diagnostic::Sink;
use crate::config::fields::{Fields, argv, duration, number, text, texts};
use crate::config::playbook::spec::{Run, Verb};
use crate::config::policy::Policy;
use crate::config::yaml::{Node, Value};
use crate::model::limits::{PLAYBOOK_ITEMS_MAX, PLAYBOOK_PARALLEL_MAX, PLUGIN_MS_MAX};
use crate::model::names::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// How many go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// So many, of each datacenter.
    Number(u64),
    /// Of a hundred, of each datacenter, at least one.
    Percent(u64),
}

/// `2` or `"10%"`.
pub fn batch(node: &Node, sink: &mut Sink) -> Option<Batch> {
    let found = match &node.value {
        Value::Number(n) => Some(*n).filter(|n| *n > 0).map(Batch::Number),
        Value::Text(text) => {
            let percent = text.strip_suffix('%').and_then(|n| n.parse().ok());
            percent.filter(|n| (1..=100).contains(n)).map(Batch::Percent)
        }
        _ => None,
    };
    if found.is_none() {
        sink.hint(node.place, "this is not a size of batches", Some("a number, or as in \"10%\"".to_owned()));
    }
    found
}

impl Batch {
    fn of(self, all: usize) -> usize {
        match self {
            Self::Number(n) => usize::try_from(n).unwrap_or(usize::MAX),
            Self::Percent(percent) => (all * usize::try_from(percent).unwrap_or(100) / 100).max(1),
        }
    }
}

/// Batches that take so many of each datacenter at a time.
pub fn batches(hosts: &BTreeSet<HostName>, batch: Batch, policy: &Policy) -> Vec<Vec<String>> {
    let mut by_datacenter: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for host in hosts {
        by_datacenter.entry(&policy.hosts[host].datacenter).or_default().push(host.to_string());
    }
    let mut batches: Vec<Vec<String>> = Vec::new();
    for names in by_datacenter.values() {
        for (number, part) in names.chunks(batch.of(names.len())).enumerate() {
            match batches.get_mut(number) {
                Some(batch) => batch.extend_from_slice(part),
                None => batches.push(part.to_vec()),
            }
        }
    }
    batches
}

/// The keys of `run`.
pub fn run(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let keys = ["argv", "hosts", "items", "shards", "batch", "parallel", "deadline"];
    let mut f = Fields::of(node, &keys, what, sink)?;
    let (program, selector) = (f.need("argv", argv), f.optional("hosts", text));
    let (items, shards) = (f.optional("items", texts), f.optional("shards", number));
    let (batch, parallel) = (f.optional("batch", batch), f.optional("parallel", number));
    let deadline = f.optional("deadline", duration);
    let (place, sink) = (f.node.place, f.sink);
    let (program, selector) = (program?, selector?);
    let (items, shards, batch) = (items?, shards?, batch?.map(|at| at.value));
    if program.value.is_empty() {
        sink.add(program.place, "a program must stand here");
    }
    let on_hosts = selector.is_some();
    let waves = match (&selector, items, shards) {
        (Some(selector), None, None) => {
            let hosts = super::hosts(Some(selector), policy, sink)?;
            batches(&hosts, batch.unwrap_or(Batch::Percent(100)), policy)
        }
        (None, Some(items), None) => chunks(items.value.into_iter().map(|item| item.value).collect(), batch),
        (None, None, Some(shards)) if (1..=PLAYBOOK_ITEMS_MAX).contains(&shards.value) => {
            chunks((0..shards.value).map(|n| n.to_string()).collect(), batch)
        }
        _ => {
            let hint = "`hosts: SELECTOR`, `items: [a, b]`, or `shards: 1000` for 0 to 999".to_owned();
            sink.hint(place, "one of `hosts`, `items` and `shards` says what it runs over", Some(hint));
            return None;
        }
    };
    let parallel = parallel?;
    if let Some(at) = parallel.as_ref().filter(|at| !(1..=PLAYBOOK_PARALLEL_MAX).contains(&at.value)) {
        sink.add(at.place, format!("`parallel` is from 1 to {PLAYBOOK_PARALLEL_MAX}"));
    }
    let parallel = parallel.map_or(1, |at| at.value);
    let targets = waves.iter().map(Vec::len).sum();
    if waves.iter().flatten().collect::<BTreeSet<_>>().len() < targets {
        sink.add(place, "an item stands twice");
    }
    let argv: Vec<String> = program.value.iter().map(|word| word.value.clone()).collect();
    if on_hosts && !argv.first().is_some_and(|program| program.starts_with('/')) {
        sink.add(program.place, "a program on hosts is named by its absolute path");
    }
    let deadline = deadline?;
    if let Some(at) = deadline.as_ref().filter(|at| on_hosts && at.value > PLUGIN_MS_MAX) {
        sink.add(at.place, format!("a program on hosts has {} s at most", PLUGIN_MS_MAX / 1000));
    }
    let deadline_ms = deadline.map_or(60_000, |at| at.value);
    let parallel = usize::try_from(parallel).unwrap_or(1);
    Some(Given { verb: Verb::Run(Run { argv, on_hosts, waves, parallel, deadline_ms }), targets, out_of_order: None })
}

fn chunks(items: Vec<String>, batch: Option<Batch>) -> Vec<Vec<String>> {
    let size = batch.map_or(items.len(), |batch| batch.of(items.len())).max(1);
    items.chunks(size).map(<[String]>::to_vec).collect()
}
