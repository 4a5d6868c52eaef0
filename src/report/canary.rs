//! What a canary check found, or a check of readiness alone, as one value for every output: text, JSON, Nagios, JUnit,
//! Prometheus.

use super::escape::Untrusted;
use super::gates::reason;
use super::stale;
use super::words::names;
use crate::gate::soak::Standing;
use crate::model::names::{GateName, HostName};
use crate::model::protocol::Level;
use crate::model::stale::Stale;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};

/// Which command looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// `canary`: readiness and gates.
    Canary,
    /// `check`: readiness, and no gate is asked.
    Check,
}

impl Looked {
    /// The command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Check => "check",
        }
    }
}

/// Everything that a canary check found, or a check of readiness alone.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryView {
    /// Which of the two it was.
    pub by: Looked,
    /// When it ended, by the controller's clock.
    pub now: Time,
    /// How long it took, ms.
    pub took_ms: u64,
    /// The hosts that were looked at.
    pub hosts: BTreeSet<HostName>,
    /// Those of them that were judged; the others were the control.
    pub canaries: BTreeSet<HostName>,
    /// By what level those that are ready were proven.
    pub levels: BTreeMap<HostName, Level>,
    /// Those that are not ready.
    pub stale: BTreeMap<HostName, Stale>,
    /// The gates, in the order of groups.yaml.
    pub gates: Vec<Asked>,
    /// Who is to blame for failed gates, a sentence each.
    pub blamed: Vec<String>,
}

/// How one gate came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its name.
    pub name: GateName,
    /// Its kind as groups.yaml names it.
    pub kind: String,
    /// Whether it decides; a gate that observes is shown and counts for nothing.
    pub enforces: bool,
    /// How it stands by its counters.
    pub standing: Standing,
    /// Its last judgement; `None`: it gave none in time.
    pub judgement: Option<Judgement>,
}

impl Asked {
    /// Its verdict over all its counted judgements. No answer is an error, and never a pass.
    pub fn verdict(&self) -> Verdict {
        match (self.standing, self.judgement.as_ref().map(|last| last.verdict)) {
            (Standing::Passed, _) => Verdict::Pass,
            (Standing::Failed, _) => Verdict::Fail,
            (Standing::Errored, _) | (_, None | Some(Verdict::Error)) => Verdict::Error,
            (Standing::Open | Standing::Undecided, _) => Verdict::Inconclusive,
        }
    }

    /// Why, in harmless words that fit after the verdict.
    pub fn reason(&self) -> String {
        let last = self.judgement.as_ref().map(|last| reason(&last.sentence));
        last.unwrap_or_else(|| "it gave no answer in time".to_owned())
    }

    /// One line: `logins fail: ...`, and that it counts for nothing when it observes.
    pub fn line(&self) -> String {
        let observes = if self.enforces { "" } else { " (observes only)" };
        format!("{} {}{observes}: {}", self.name, self.verdict(), self.reason())
    }
}

impl CanaryView {
    /// The gates that decide and came out so.
    pub fn enforced(&self, verdict: Verdict) -> Vec<&Asked> {
        self.gates.iter().filter(|gate| gate.enforces && gate.verdict() == verdict).collect()
    }

    /// Whether hosts are ready and every gate that decides passed.
    pub fn is_well(&self) -> bool {
        self.stale.is_empty() && self.gates.iter().all(|gate| !gate.enforces || gate.verdict() == Verdict::Pass)
    }

    /// What is wrong, a clause each, the gravest first; empty when all is well.
    pub fn clauses(&self) -> Vec<String> {
        let words = |(verdict, what): (Verdict, &str)| {
            let found = self.enforced(verdict);
            let gates = names(found.iter().map(|gate| format!("{} ({})", gate.name, gate.reason())));
            (!found.is_empty()).then(|| format!("{} {what}: {gates}", count(found.len(), "gate")))
        };
        let hosts = (!self.stale.is_empty()).then(|| {
            let each = self.stale.iter().map(|(host, stale)| format!("{host} ({})", stale::reason(&stale.reason)));
            format!("{} not ready: {}", count(self.stale.len(), "host"), names(each))
        });
        let failed = words((Verdict::Fail, "failed"));
        let rest = [(Verdict::Inconclusive, "inconclusive"), (Verdict::Error, "could not be checked")];
        failed.into_iter().chain(hosts).chain(rest.into_iter().filter_map(words)).collect()
    }

    /// All of it in a few words: `12 of 12 hosts ready (L2), 5 of 5 gates passed`.
    pub fn summary(&self) -> String {
        let ready = self.hosts.len() - self.stale.len();
        let hosts = stale::ready_of(ready, self.hosts.len(), &self.levels);
        let enforced = self.gates.iter().filter(|gate| gate.enforces).count();
        let passed = self.enforced(Verdict::Pass).len();
        match enforced {
            _ if self.by == Looked::Check => hosts,
            0 => format!("{hosts}, no gate is asked by a canary check"),
            all => format!("{hosts}, {passed} of {} passed", count(all, "gate")),
        }
    }
}

/// The view for people, a line each.
pub fn lines(view: &CanaryView) -> Vec<String> {
    let stale = view.stale.iter().map(|(host, stale)| stale::line(host, stale, view.now));
    let blamed = view.blamed.iter().map(|sentence| format!("  {}", Untrusted(sentence)));
    stale.chain(view.gates.iter().map(Asked::line)).chain(blamed).collect()
}

#[cfg(test)]
mod tests;
