//! Facts of machines.
//!
//! Invariant: a rate is made of two readings of the same machine by its own clock; after one reading, or after the machine
//! was started again, there is none.

use super::ask::{each, query};
use super::{Provider, World};
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::spec::hosts::{Fact, Host};
use crate::model::limits::ASK_MS_MAX;
use crate::model::names::HostName;
use crate::model::question::{Answer, MachineFacts, Question};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Facts of every host in scope.
#[derive(Debug)]
pub struct Facts {
    facts: Vec<Fact>,
    last: BTreeMap<HostName, MachineFacts>,
}

impl Facts {
    /// The facts of a gate, in the order of its conditions.
    pub fn new(gate: &Host) -> Self {
        Self { facts: gate.conditions.iter().map(|(fact, _)| fact.clone()).collect(), last: BTreeMap::new() }
    }

    fn logs(&self) -> Vec<PathBuf> {
        let file = |fact: &Fact| match fact {
            Fact::LogBytesPerSecond(file) => Some(file.clone()),
            _ => None,
        };
        self.facts.iter().filter_map(file).collect()
    }
}

impl Provider for Facts {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let logs = self.logs();
        let hosts = scope.hosts();
        let answers = each(&hosts, |host| ask(world, host, logs.clone())).await;
        let query = query("facts", &answers)?;
        let mut shown = BTreeMap::new();
        for (host, answer) in answers {
            let values = answer.map(|now| {
                let last = self.last.insert(host.clone(), now.clone());
                self.facts.iter().map(|fact| value(fact, &now, last.as_ref())).collect()
            });
            shown.insert(host, values.map_err(|why| super::ask::words(&why)));
        }
        Ok(Reading { what: What::Facts(shown), query, window_ms: 0, newest_age_ms: None })
    }
}

async fn ask<W: World>(world: &W, host: &HostName, logs: Vec<PathBuf>) -> Result<MachineFacts, String> {
    match world.ask(host, Question::Facts { logs }, Duration::from_millis(ASK_MS_MAX)).await {
        Ok(Answer::Facts(facts)) => Ok(facts),
        Ok(Answer::Failed(why)) => Err(why),
        Ok(_) => Err("its answer is not one to what was asked".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

fn value(fact: &Fact, now: &MachineFacts, last: Option<&MachineFacts>) -> Option<f64> {
    match fact {
        Fact::DiskFreePercent => percent(now.disk_free_bytes, now.disk_bytes),
        Fact::InodesFreePercent => percent(now.inodes_free, now.inodes),
        Fact::MemoryAvailablePercent => percent(now.memory_available_bytes?, now.memory_bytes?),
        Fact::LoadPerProcessor => {
            let processors = now.processors.filter(|processors| *processors > 0)?;
            Some(now.load1_milli? as f64 / 1000.0 / processors as f64)
        }
        Fact::UptimeSeconds => now.uptime_s.map(|seconds| seconds as f64),
        Fact::DiskFullHours => {
            let last = last?;
            let seconds = seconds_between(last, now)?;
            let filled = last.disk_free_bytes.saturating_sub(now.disk_free_bytes) as f64;
            Some(now.disk_free_bytes as f64 / (filled / seconds) / 3600.0).filter(|hours| !hours.is_nan())
        }
        Fact::LogBytesPerSecond(file) => {
            let seconds = seconds_between(last?, now)?;
            let (was, is) = (size(last?, file)?, size(now, file)?);
            // A file that is smaller now was rotated meanwhile: what it has is new.
            Some(if is >= was { is - was } else { is } as f64 / seconds)
        }
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

fn seconds_between(last: &MachineFacts, now: &MachineFacts) -> Option<f64> {
    let ms = now.monotonic_ms.checked_sub(last.monotonic_ms).filter(|ms| *ms > 0)?;
    Some(ms as f64 / 1000.0)
}

/// A file that is not there has grown by nothing.
fn size(facts: &MachineFacts, file: &Path) -> Option<u64> {
    facts.logs.iter().find(|(path, _)| path == file).map(|(_, size)| size.unwrap_or(0))
}

#[cfg(test)]
mod tests;
