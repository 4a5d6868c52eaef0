//! Who had the lock: taken over, or held for nothing that left another trace.

use super::super::markdown::Cell;
use super::{Mark, Row, time_near};
use crate::model::books::Record;
use crate::store::{LockNote, lock_note};
use std::collections::BTreeMap;

/// Locks that were taken and under which nothing else was written yet, by epoch.
#[derive(Debug, Default)]
pub struct Locks(BTreeMap<u64, Taken>);

#[derive(Debug)]
struct Taken {
    mark: Mark,
    by: String,
    reason: String,
}

impl Locks {
    /// Takes the next event of the journal.
    pub fn take(&mut self, mark: Mark, record: &Record, rows: &mut Vec<Row>) {
        match (lock_note(record), record) {
            (Some(LockNote::Took(reason)), Record::Note { by, .. }) => {
                self.0.insert(mark.epoch, Taken { mark, by: by.clone(), reason: reason.to_owned() });
            }
            (Some(LockNote::TookOver), Record::Note { by, text }) => {
                let lost = std::mem::take(&mut self.0).into_values();
                rows.extend(lost.map(|held| held.row("and nothing was undertaken under it until it was taken")));
                rows.push(Row { mark, text: format!("{} {}", Cell(by), Cell(text)) });
            }
            (Some(LockNote::GaveBack), _) => {
                let held = self.0.remove(&mark.epoch);
                rows.extend(held.map(|held| {
                    let until = format!("until {}; nothing was undertaken under it", time_near(mark.at, held.mark.at));
                    held.row(&until)
                }));
            }
            // These wait for nobody's lock.
            (_, Record::Seen { .. } | Record::Stale { .. } | Record::Fresh { .. } | Record::Playbook(_)) => {}
            (_, Record::Health(health)) if !super::is_of_gate(health) => {}
            _ => drop(self.0.remove(&mark.epoch)),
        }
    }

    /// Locks that nobody gave back.
    pub fn end(self, rows: &mut Vec<Row>) {
        rows.extend(self.0.into_values().map(|taken| taken.row("not given back within this time")));
    }
}

impl Taken {
    fn row(&self, how_long: &str) -> Row {
        let text = format!("lock held by {}, {how_long}: {}", Cell(&self.by), Cell(&self.reason));
        Row { mark: self.mark, text }
    }
}
