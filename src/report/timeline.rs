//! The timeline of an incident, out of the journal: what had an effect, what was seen and what people decided, as a
//! table in Markdown for a post-mortem.
//!
//! Invariants. A line says an effect only when the journal has its end; an undertaking that was begun and did not end is
//! said to be so, with what is known of its hosts. The order is that of the journal, not of any clock. Whatever a person, a
//! host or a log wrote goes through [`Cell`].
//!
//! Absent on purpose: routine (looks that found nothing new, single commands, signatures that were known, the lock around
//! an undertaking), and any judgement of who was right.

mod gates;
mod hosts;
mod locks;
mod playbooks;
#[cfg(test)]
mod tests;
mod undertakings;

use super::markdown::Cell;
use super::words::moment;
use crate::model::books::Record;
use crate::model::health::HealthRecord;
use crate::model::time::Time;
use crate::store::StoredEvent;
use serde::Serialize;
use serde_json::{Value, json};

/// Where an event stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mark {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was committed.
    pub at: Time,
    /// The newest epoch then.
    pub epoch: u64,
}

impl From<&StoredEvent> for Mark {
    fn from(event: &StoredEvent) -> Self {
        Self { seq: event.seq, at: event.at, epoch: event.epoch }
    }
}

/// The time that is told of; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From when; `None`: from the beginning of the journal.
    pub since: Option<Time>,
    /// Until when.
    pub until: Time,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Where it stands.
    #[serde(flatten)]
    pub mark: Mark,
    /// What happened, in Markdown that fits a cell of a table.
    pub text: String,
}

/// Takes the events of a journal from its first one on, in order, and has the lines of a span in the end. What was before
/// the span is needed too: a line about a host says what it was before.
#[derive(Debug)]
pub struct Teller {
    span: Span,
    undertakings: undertakings::Undertakings,
    gates: gates::Gates,
    hosts: hosts::Hosts,
    locks: locks::Locks,
    playbooks: playbooks::Playbooks,
    rows: Vec<Row>,
}

impl Teller {
    /// Nothing was taken yet.
    pub fn new(span: Span) -> Self {
        Self {
            span,
            undertakings: Default::default(),
            gates: Default::default(),
            hosts: Default::default(),
            locks: Default::default(),
            playbooks: Default::default(),
            rows: Vec::new(),
        }
    }

    /// Takes the next event; one after the span is as if it were not there.
    pub fn take(&mut self, mark: Mark, record: &Record) {
        if mark.at > self.span.until {
            return;
        }
        self.locks.take(mark, record, &mut self.rows);
        self.hosts.take(mark, record);
        match record {
            Record::Opened { .. }
            | Record::Intents { .. }
            | Record::Outcome { .. }
            | Record::Fresh { .. }
            | Record::Owed { .. }
            | Record::Ended { .. } => self.undertakings.take(mark, record, &mut self.rows),
            Record::Health(health) => self.gates.take(mark, health, &mut self.rows),
            Record::Playbook(record) => self.playbooks.take(mark, record, &mut self.rows),
            Record::Held { by, reason } => self.say(mark, format!("**hold** by {}: {}", Cell(by), Cell(reason))),
            Record::Released { by } => self.say(mark, format!("hold released by {}", Cell(by))),
            Record::Note { by, text } if crate::store::lock_note(record).is_none() => {
                self.say(mark, format!("note by {}: {}", Cell(by), Cell(text)));
            }
            Record::Note { .. }
            | Record::Seen { .. }
            | Record::Stale { .. }
            | Record::Depooled { .. }
            | Record::Pooled { .. }
            | Record::Forgotten { .. } => {}
        }
    }

    /// The lines, in the order of the journal.
    pub fn rows(self) -> Vec<Row> {
        let mut rows = self.rows;
        self.undertakings.end(&mut rows);
        self.gates.end(&mut rows);
        self.hosts.end(&mut rows);
        self.locks.end(&mut rows);
        self.playbooks.end(&mut rows);
        rows.retain(|row| self.span.since.is_none_or(|since| row.mark.at >= since));
        rows.sort_by_key(|row| row.mark.seq);
        rows
    }

    fn say(&mut self, mark: Mark, text: String) {
        self.rows.push(Row { mark, text });
    }
}

/// The lines as a document: a table a day, times in UTC.
pub fn text(rows: &[Row], span: Span) -> String {
    let since = span.since.or(rows.first().map(|row| row.mark.at));
    let from = since.map(|since| format!("{} to ", moment(since))).unwrap_or_default();
    let mut text = format!("# Timeline: {from}{}\n\n", moment(span.until));
    if rows.is_empty() {
        return text + "The journal has nothing of this time.\n";
    }
    text += "Times are UTC. What is said to be done, the journal has as done. `pointsman journal verify` proves the journal,\n\
        `pointsman show ID` has an undertaking whole.\n";
    let mut day = String::new();
    for row in rows {
        let (today, time) = day_and_time(row.mark.at);
        if today != day {
            text += &format!("\n## {today}\n\n| time UTC | what |\n|---|---|\n");
            day = today;
        }
        text += &format!("| {time} | {} |\n", row.text);
    }
    text
}

/// The same for programs.
pub fn json(rows: &[Row], span: Span) -> Value {
    json!({ "since": span.since, "until": span.until, "rows": rows })
}

/// `2016-01-23` and `01:16:05`; a time out of any calendar is its own day.
pub(super) fn day_and_time(at: Time) -> (String, String) {
    let stamp = at.to_string();
    match (stamp.get(..10), stamp.get(11..19)) {
        (Some(day), Some(time)) if stamp.ends_with('Z') => (day.to_owned(), time.to_owned()),
        _ => (stamp.clone(), stamp),
    }
}

/// `01:16:05`.
fn time(at: Time) -> String {
    day_and_time(at).1
}

/// The time, with its day where that is not the day of `near`.
fn time_near(at: Time, near: Time) -> String {
    let (day, time) = day_and_time(at);
    if day == day_and_time(near).0 { time } else { format!("{day} {time}") }
}

/// Whether a record of health is about a gate.
fn is_of_gate(record: &HealthRecord) -> bool {
    record.gate().is_some()
}
