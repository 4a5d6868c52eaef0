//! What became of hosts: stale and why, proven again, out of service and back. Hosts to which the same happened within
//! [`TIMELINE_TOGETHER_MS`] share a line.

use super::super::markdown::{self, Cell};
use super::super::stale;
use super::{Mark, Row};
use crate::model::books::Record;
use crate::model::limits::TIMELINE_TOGETHER_MS;
use crate::model::names::HostName;
use crate::model::stale::StaleReason;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of hosts, and the lines about them.
#[derive(Debug, Default)]
pub struct Hosts {
    stale: BTreeMap<HostName, StaleReason>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    mark: Mark,
    hosts: BTreeSet<HostName>,
    says: String,
}

impl Hosts {
    /// Takes the next event of the journal.
    pub fn take(&mut self, mark: Mark, record: &Record) {
        let (host, says) = match record {
            Record::Stale { host, reason } => {
                let before = self.stale.insert(host.clone(), reason.clone());
                // The same trouble in other numbers is no news.
                if before.is_some_and(|before| before.same_kind(reason)) {
                    return;
                }
                (host, format!("stale: {}", Cell(&stale::reason(reason))))
            }
            Record::Fresh { host } => match self.stale.remove(host) {
                Some(was) => (host, format!("proven again; was stale: {}", Cell(&stale::reason(&was)))),
                None => return,
            },
            Record::Depooled { host, by, reason } => (host, format!("**depooled** by {}: {}", Cell(by), Cell(reason))),
            Record::Pooled { host, by } => (host, format!("pooled again by {}", Cell(by))),
            Record::Forgotten { host } => {
                self.stale.remove(host);
                (host, "taken off the books: groups.yaml no longer has it".to_owned())
            }
            _ => return,
        };
        let near = self.lines.iter_mut().rev().take_while(|line| mark.at.ms_since(line.mark.at) < TIMELINE_TOGETHER_MS);
        // A host to which it happens twice gets a second line.
        match near.into_iter().find(|line| line.says == says && !line.hosts.contains(host)) {
            Some(line) => drop(line.hosts.insert(host.clone())),
            None => self.lines.push(Line { mark, hosts: BTreeSet::from([host.clone()]), says }),
        }
    }

    /// Their lines.
    pub fn end(self, rows: &mut Vec<Row>) {
        let row = |line: Line| Row { mark: line.mark, text: format!("{} {}", markdown::hosts(&line.hosts), line.says) };
        rows.extend(self.lines.into_iter().map(row));
    }
}
