//! What follows a failed gate: the release, single hosts with a second witness, or a person.

use super::asking::{Asking, Decided, Suspicion};
use crate::gate::attribution::{Attribution, Blame, Consequence, attribute, consequence, with_witness};
use crate::gate::judge::tallies;
use crate::gate::reading::{Reading, What};
use crate::gate::spec::Gate;
use crate::model::books::Record;
use crate::model::health::HealthRecord;
use crate::model::limits::SIGNATURES_SHOWN_MAX;
use crate::model::names::HostName;
use crate::plan::assess;
use crate::report::stale;
use crate::rollout::effect::{GateEnd, Told};
use std::collections::{BTreeMap, BTreeSet};

impl Asking {
    /// What follows from these gates' failures; the gravest of what each leads to.
    pub(super) fn failed(&mut self, gates: &[Gate]) -> Decided {
        let mut why = Vec::new();
        let (mut back, mut pause) = (false, false);
        let mut leave_out = BTreeMap::new();
        if let Some(suspicion) = self.suspicion(gates) {
            return Decided::LookAgain(suspicion);
        }
        for gate in gates {
            let found = self.attributed(gate);
            let suspects: BTreeSet<HostName> = found.iter().flat_map(|found| &found.suspects).cloned().collect();
            let witnesses: BTreeMap<HostName, Vec<String>> =
                suspects.iter().map(|host| (host.clone(), self.witnesses(host))).collect();
            let witnessed = !suspects.is_empty() && witnesses.values().all(|seen| !seen.is_empty());
            let sentence = found.as_ref().map(|found| with_witness(&found.sentence, &witnesses));
            let line = self.line(gate, sentence.as_deref());
            let (blame, hosts) = found.map_or((None, 0), |found| (Some(found.blame), found.hosts));
            match consequence(blame, witnessed, gate.on_fail, hosts) {
                Consequence::Rollback => back = true,
                Consequence::Pause => pause = true,
                Consequence::LeaveOut => leave_out.extend(
                    witnesses.iter().map(|(host, seen)| (host.clone(), format!("{}: {}", gate.name, seen.join(", ")))),
                ),
                Consequence::GoOn => {}
            }
            self.note(gate, sentence, back);
            why.push(line);
        }
        Decided::Ended(match (back, pause) {
            (true, _) => GateEnd::Failed(why),
            (false, true) => GateEnd::Paused(why),
            (false, false) => GateEnd::GoOn { leave_out },
        })
    }

    /// What follows when no gate failed: errors of a single host are few among those of all, and still its own.
    pub(super) fn passed(&mut self, gates: &[Gate]) -> Decided {
        if let Some(suspicion) = self.suspicion(gates) {
            return Decided::LookAgain(suspicion);
        }
        let mut blamed: BTreeMap<HostName, String> = BTreeMap::new();
        for gate in gates {
            if let Some(found) = self.attributed(gate).filter(|found| found.blame == Blame::Host) {
                let said = |host| (host, format!("{}: {}", gate.name, found.sentence));
                blamed.extend(found.suspects.iter().cloned().map(said));
            }
        }
        let mut leave_out = BTreeMap::new();
        for (host, sentence) in blamed {
            let seen = self.witnesses(&host);
            let said = with_witness(&sentence, &[(host.clone(), seen.clone())].into());
            self.told.push(Told::Blamed(said));
            if !seen.is_empty() {
                leave_out.insert(host, seen.join(", "));
            }
        }
        Decided::Ended(GateEnd::GoOn { leave_out })
    }

    /// Hosts that any of these gates suspects, unless there was a second look already.
    fn suspicion(&self, gates: &[Gate]) -> Option<Suspicion> {
        let mut suspicion = Suspicion { hosts: BTreeSet::new(), gates: Vec::new() };
        for gate in gates.iter().filter(|_| self.looked.is_none()) {
            let suspects = self.attributed(gate).map(|found| found.suspects).unwrap_or_default();
            if !suspects.is_empty() {
                suspicion.hosts.extend(suspects);
                suspicion.gates.push(gate.clone());
            }
        }
        (!suspicion.hosts.is_empty()).then_some(suspicion)
    }

    /// Who is to blame for a gate; `None` where its reading does not tell hosts apart.
    fn attributed(&self, gate: &Gate) -> Option<Attribution> {
        let scope = self.call.scope.only(gate.hosts.as_ref());
        let reading = self.readings.get(&gate.name)?;
        let (rolled, control, wikis) = tallies(gate, &scope, reading)?;
        Some(attribute(&rolled, &control, &wikis, &scope))
    }

    /// What else speaks against a host: what the books have, and what it showed to a second look.
    fn witnesses(&self, host: &HostName) -> Vec<String> {
        let mut seen = Vec::new();
        let row = self.books.hosts.get(host);
        if let Some(row) = row {
            seen.extend(row.stale.as_ref().map(|stale| stale::reason(&stale.reason)));
            seen.extend(row.owed.as_ref().map(|owed| format!("is owed {}", owed.what)));
        }
        let looked = self.looked.as_ref().and_then(|looked| looked.get(host));
        let wanted = self.call.hosts.get(host);
        match (looked, wanted) {
            (Some(Ok(shown)), Some(wanted)) => {
                seen.extend(assess::all(&self.books, host, shown, wanted.map).map(|reason| stale::reason(&reason)));
            }
            (Some(Err(fault)), _) => seen.push(fault.to_string()),
            _ => {}
        }
        seen.dedup();
        seen
    }

    fn line(&self, gate: &Gate, sentence: Option<&str>) -> String {
        let said = self.soak.standing().find(|(other, ..)| other.name == gate.name).and_then(|(.., last)| last);
        let said = said.map_or_else(String::new, |last| last.sentence.clone());
        match sentence {
            Some(sentence) => format!("{}: {said} {sentence}", gate.name),
            None => format!("{}: {said}", gate.name),
        }
    }

    /// Writes down who is to blame; a new signature of the release stops every further group.
    fn note(&mut self, gate: &Gate, sentence: Option<String>, release: bool) {
        let rollout = self.call.rollout;
        if let Some(blame) = sentence {
            self.told.push(Told::Blamed(blame.clone()));
            self.health(HealthRecord::Attributed { rollout, gate: gate.name.clone(), blame });
        }
        let Some(Reading { what: What::Signatures(seen), .. }) = self.readings.get(&gate.name) else { return };
        let new = seen.iter().filter(|seen| release && seen.known_since.is_none());
        let version = self.call.scope.version.clone();
        let blocked: Vec<HealthRecord> = new
            .map(|seen| HealthRecord::Blocked {
                id: crate::gate::signature::id(&seen.signature),
                by: gate.name.to_string(),
                text: seen.sample.clone(),
                version: version.clone(),
            })
            .collect();
        self.records.extend(blocked.into_iter().map(Record::Health));
    }

    /// Signatures of hosts that were not switched, or of before, are known from now on.
    pub(super) fn signatures(&mut self) {
        let mut known = BTreeSet::new();
        for reading in self.readings.values() {
            if let What::Signatures(seen) = &reading.what {
                known.extend(seen.iter().filter(|seen| seen.known_since.is_some()).map(|seen| seen.signature.clone()));
            }
        }
        let known: Vec<String> = known.into_iter().collect();
        for part in known.chunks(SIGNATURES_SHOWN_MAX) {
            self.health(HealthRecord::Signatures { seen: part.to_vec() });
        }
    }
}
