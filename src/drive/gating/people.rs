//! Gates that the books answer: approvals, blockers, and for how long a version has run.

use super::asking::Asking;
use crate::gate::reading::{Answered, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::spec::{Gate, Kind};
use crate::model::health::HealthRecord;
use crate::model::time::Time;
use crate::plan::soaked;
use crate::rollout::effect::Told;

impl Asking {
    /// The reading of a gate that the books answer alone; `None`: a provider is asked.
    pub(super) fn people(&mut self, gate: &Gate, now: Time) -> Option<Reading> {
        let what = match &gate.kind {
            Kind::Approval => What::Answer(self.approval(gate)),
            Kind::Blockers(blockers) if blockers.argv.is_empty() => What::Blockers(self.blockers()),
            Kind::Soak(soak) if soak.min_requests.is_none() => {
                What::Soaked { time_ms: self.soaked_ms(now), requests: None }
            }
            _ => return None,
        };
        Some(Reading { what, query: "the books".to_owned(), window_ms: 0, newest_age_ms: None })
    }

    /// What a provider read, with what the books have of the same.
    pub(super) fn with_books(&self, reading: Reading, now: Time) -> Reading {
        let what = match reading.what {
            What::Soaked { time_ms: None, requests } => What::Soaked { time_ms: self.soaked_ms(now), requests },
            What::Blockers(tracked) => What::Blockers(self.blockers().into_iter().chain(tracked).collect()),
            what => what,
        };
        Reading { what, ..reading }
    }

    /// What a gate is asked about; for a soak that is the time since the version has run at its content of now.
    pub fn scope_of(&self, gate: &Gate) -> Scope {
        let scope = self.call.scope.only(gate.hosts.as_ref());
        match (&gate.kind, self.soaked_since()) {
            (Kind::Soak(_), Some(since)) => Scope { since, ..scope },
            _ => scope,
        }
    }

    fn soaked_since(&self) -> Option<Time> {
        let version = self.call.scope.version.as_ref()?;
        soaked::since(&self.books, version)
    }

    fn soaked_ms(&self, now: Time) -> Option<u64> {
        self.soaked_since().map(|since| now.ms_since(since))
    }

    /// What a person answered; the first time nobody did, it is asked for.
    fn approval(&mut self, gate: &Gate) -> Option<Answered> {
        let rollout = self.call.rollout;
        let row = self.books.health.gates.get(&rollout).and_then(|gates| gates.get(&gate.name));
        if let Some(answer) = row.and_then(|row| row.answer.as_ref()) {
            return Some(Answered { yes: answer.yes, by: answer.by.clone(), reason: answer.reason.clone() });
        }
        if row.is_none_or(|row| row.asked.is_none()) && !self.said.contains_key(&gate.name) {
            self.health(HealthRecord::Asked { rollout, gate: gate.name.clone() });
            self.told.push(Told::Blamed(format!(
                "{} waits for a person: pointsman approve {rollout} -m WHY, or pointsman deny {rollout} -m WHY",
                gate.name
            )));
        }
        None
    }

    /// Open blockers, a line each.
    fn blockers(&self) -> Vec<String> {
        let open = self.books.health.blockers.iter();
        open.map(|(id, blocker)| format!("{id} since {} by {}: {}", blocker.since, blocker.by, blocker.text)).collect()
    }
}
