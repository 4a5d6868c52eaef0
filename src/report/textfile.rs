//! A canary check, or a check of readiness alone, as metrics, in the text form that node_exporter's textfile collector reads.
//!
//! Invariants: no sample has a time of its own, since the collector refuses those; every metric has HELP and TYPE; a
//! label's value escapes `\`, `"` and line ends. Metrics of the last run stay until the next one, so its age is one too.

use super::canary::{Asked, CanaryView, Looked};
use super::status::StatusView;
use crate::model::books::HostRow;
use crate::model::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Every verdict, one series each, so that a change of verdict ends none.
const VERDICTS: [Verdict; 4] = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive, Verdict::Error];

/// The file.
pub fn text(view: &CanaryView) -> String {
    let mut page = Page::default();
    // Both files may lie in one directory, where no series may stand twice.
    let (own, shared) = match view.by {
        Looked::Canary => ("pointsman_canary", "pointsman"),
        Looked::Check => ("pointsman_check", "pointsman_check"),
    };
    page.one(&format!("{own}_last_run_timestamp_seconds"), "When the check ended.", view.now.0 as f64 / 1000.0);
    page.one(&format!("{own}_duration_seconds"), "How long the check took.", view.took_ms as f64 / 1000.0);
    let well = "1 when every host is ready and every gate passed.";
    page.one(&format!("{own}_well"), well, f64::from(view.is_well()));
    page.one(&format!("{shared}_hosts"), "Hosts that were looked at.", view.hosts.len() as f64);
    page.one(&format!("{shared}_stale_hosts"), "Hosts that are not ready.", view.stale.len() as f64);
    let since = format!("{shared}_host_stale_since_timestamp_seconds");
    page.head(&since, "Since when a host is not ready.");
    for (host, stale) in &view.stale {
        page.sample(&since, &[("host", host.as_str())], stale.since.0 as f64 / 1000.0);
    }
    if view.by == Looked::Check {
        return page.0;
    }
    page.head("pointsman_gate_verdict", "1 for the verdict that a gate gave.");
    for gate in &view.gates {
        for verdict in VERDICTS {
            let (name, mode) = (gate.name.as_str(), if gate.enforces { "enforce" } else { "observe" });
            let word = verdict.to_string();
            let labels = [("gate", name), ("kind", gate.kind.as_str()), ("mode", mode), ("verdict", word.as_str())];
            page.sample("pointsman_gate_verdict", &labels, f64::from(gate.verdict() == verdict));
        }
    }
    gauges(&mut page, view);
    page.0
}

/// The books as metrics, and the number of events in the journal.
pub fn books(view: &StatusView, events: u64) -> String {
    let (mut page, books) = (Page::default(), &view.books);
    let rows = |is: fn(&HostRow) -> bool| books.hosts.values().filter(|row| is(row)).count() as f64;
    page.one("pointsman_hosts", "Hosts that serve wikis.", view.hosts.len() as f64);
    page.one("pointsman_stale_hosts", "Hosts that are not trusted.", view.stale().len() as f64);
    page.one("pointsman_owed_hosts", "Hosts that were left behind.", rows(|row| row.owed.is_some()));
    page.one("pointsman_depooled_hosts", "Hosts that are out of service.", rows(|row| row.depooled.is_some()));
    page.one("pointsman_open_rollouts", "Undertakings that have not ended.", books.open().count() as f64);
    page.one(
        "pointsman_waiting_approvals",
        "Approvals that wait for a person.",
        (super::html::board::waiting(view).len() + view.asked.len()) as f64,
    );
    page.one("pointsman_hold", "1 while nothing may go forward.", f64::from(books.hold.is_some()));
    page.one("pointsman_locked", "1 while somebody has the lock.", f64::from(books.lock.is_some()));
    page.one("pointsman_blockers", "Open blockers.", books.health.blockers.len() as f64);
    page.one("pointsman_journal_events", "Events of the journal.", events as f64);
    page.head("pointsman_wikis", "Wikis of a group by the version that is wanted of them.");
    let map = books.wanted().map(|wanted| wanted.map.0.clone()).unwrap_or_default();
    for (group, wikis) in &view.groups {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        wikis
            .iter()
            .filter_map(|wiki| map.get(wiki))
            .for_each(|version| *counts.entry(version.as_str()).or_default() += 1);
        for (version, wikis) in counts {
            page.sample("pointsman_wikis", &[("group", group.as_str()), ("version", version)], wikis as f64);
        }
    }
    page.0
}

/// What gates measured.
fn gauges(page: &mut Page, view: &CanaryView) {
    page.head("pointsman_gate_value", "The number that decided, in the unit of the gate's limit.");
    let last = |gate: &Asked| gate.judgement.as_ref().map(|last| (last.value, last.n));
    for gate in &view.gates {
        if let Some((Some(value), _)) = last(gate) {
            page.sample("pointsman_gate_value", &[("gate", gate.name.as_str())], value);
        }
    }
    page.head("pointsman_gate_samples", "How many samples, hosts or events a verdict rests on.");
    for gate in &view.gates {
        if let Some((_, n)) = last(gate) {
            page.sample("pointsman_gate_samples", &[("gate", gate.name.as_str())], n as f64);
        }
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {}", number(value));
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => format!("{value}"),
    }
}
