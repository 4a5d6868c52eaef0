//! Gates that the books answer: approvals, blockers, and for how long a version has run.

use super::{Asking, Gating};
use crate::gate::reading::{Answered, Reading, What};
use crate::gate::spec::{Gate, Kind};
use crate::model::health::HealthRecord;
use crate::plan::soaked;
use crate::rollout::effect::Told;

impl Gating {
    /// The reading of a gate that the books answer alone; `None`: a provider is asked.
    pub(super) fn people(&mut self, gate: &Gate) -> Option<Reading> {
        let now = crate::drive::clock::now();
        let asking = self.asking.as_mut()?;
        let what = match &gate.kind {
            Kind::Approval => What::Answer(asking.approval(gate)),
            Kind::Blockers(blockers) if blockers.argv.is_empty() => What::Blockers(asking.blockers()),
            Kind::Soak(soak) if soak.min_requests.is_none() => {
                let version = asking.call.scope.version.as_ref();
                let since = version.and_then(|version| soaked::since(&asking.books, version));
                What::Soaked { time_ms: since.map(|since| now.ms_since(since)), requests: None }
            }
            _ => return None,
        };
        Some(Reading { what, query: "the books".to_owned(), window_ms: 0, newest_age_ms: None })
    }
}

impl Asking {
    pub(super) fn has_people_due(&self) -> bool {
        self.soak.standing().any(|(gate, ..)| matches!(gate.kind, Kind::Approval | Kind::Blockers(_) | Kind::Soak(_)))
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
