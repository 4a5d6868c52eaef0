//! What gates found, as the signals from which the same gates find the same.

use crate::config::policy::Policy;
use crate::gate::spec::numbers::Rule;
use crate::gate::spec::{Gate, Kind};
use crate::model::books::Rollout;
use crate::model::health::HealthRecord;
use crate::model::ids::RolloutId;
use crate::model::names::{GateName, Group, HostName, Version};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Failures, and what is needed to tell them.
#[derive(Debug, Default)]
pub struct Measured {
    /// The group that each moved last.
    groups: BTreeMap<RolloutId, Group>,
    switched: BTreeMap<RolloutId, Time>,
    /// The last value that a gate passed with.
    passed: BTreeMap<GateName, f64>,
    failed: BTreeMap<GateName, Failed>,
    /// The gate that failed last.
    newest: Option<GateName>,
}

/// A gate's first failure.
#[derive(Debug)]
struct Failed {
    judgement: Judgement,
    /// What was moved when it failed.
    group: Option<Group>,
    /// When.
    at: Time,
    /// From the first switch to the failure, ms.
    after_ms: u64,
    /// Hosts that were to blame; empty: the release.
    blamed: BTreeSet<HostName>,
}

impl Measured {
    /// An undertaking began.
    pub fn opened(&mut self, rollout: &Rollout) {
        self.groups.extend(rollout.groups.last().map(|group| (rollout.id, group.clone())));
    }

    /// A host was switched.
    pub fn switched(&mut self, rollout: RolloutId, at: Time) {
        self.switched.entry(rollout).or_insert(at);
    }

    /// A host is not trusted; after a gate failed it may be the one to blame.
    pub fn stale(&mut self, host: &HostName, reason: &StaleReason) {
        let newest = self.newest.as_ref().and_then(|gate| self.failed.get_mut(gate));
        if let (StaleReason::Suspect(_), Some(failed)) = (reason, newest) {
            failed.blamed.insert(host.clone());
        }
    }

    /// Takes what is about health; a line about it, without any text that was measured.
    pub fn take(&mut self, at: Time, health: &HealthRecord, words: bool) -> Option<String> {
        match health {
            HealthRecord::Judged { rollout, judgement, .. } => {
                let gate = judgement.gate.clone();
                match (judgement.verdict, judgement.value) {
                    (Verdict::Pass, Some(value)) => _ = self.passed.insert(gate, value),
                    (Verdict::Fail, _) if !self.failed.contains_key(&gate) => {
                        let after_ms = self.switched.get(rollout).map_or(0, |switched| at.ms_since(*switched));
                        let group = self.groups.get(rollout).cloned();
                        let failed =
                            Failed { judgement: judgement.clone(), at, group, after_ms, blamed: BTreeSet::new() };
                        self.newest = Some(gate.clone());
                        self.failed.insert(gate.clone(), failed);
                        return Some(format!("the gate {gate} fails"));
                    }
                    _ => {}
                }
                None
            }
            HealthRecord::Blocked { id, .. } => Some(format!("the blocker {id} is opened")),
            HealthRecord::Unblocked { id, .. } => Some(format!("the blocker {id} is closed")),
            HealthRecord::Answered { gate, yes, reason, .. } => {
                let answer = if *yes { "yes" } else { "no" };
                let why = if words { format!(": {reason}") } else { String::new() };
                Some(format!("{gate}: a person says {answer}{why}"))
            }
            HealthRecord::Attributed { .. } | HealthRecord::Asked { .. } | HealthRecord::Signatures { .. } => None,
        }
    }

    /// The key `signals` with everything below it; nothing when there is no signal.
    pub fn text(&self, policy: &Policy, version: &Version) -> String {
        let (mut out, mut without) = (String::new(), Vec::new());
        for (name, failed) in &self.failed {
            let gate = policy.gates.iter().find(|gate| gate.name == *name);
            let Some(mut signal) = gate.and_then(|gate| self.shows(gate, failed)) else {
                without.push(name.as_str());
                continue;
            };
            signal["name"] = json!(format!("recorded-{name}"));
            signal["prov"] = json!("assumed");
            signal["cause"] = json!({"version": version});
            if let Some(group) = &failed.group {
                signal["cause"]["group"] = json!(group);
            }
            if !failed.blamed.is_empty() {
                signal["cause"]["hosts"] = json!(failed.blamed);
            }
            out += &format!("  - {signal}\n");
        }
        let out = if out.is_empty() { out } else { format!("signals:\n{out}") };
        match without.is_empty() {
            true => out,
            false => format!("{out}# These gates failed too, and a replay can't tell how: {}\n", without.join(", ")),
        }
    }

    fn shows(&self, gate: &Gate, failed: &Failed) -> Option<Value> {
        let after = format!("{}ms", failed.after_ms);
        match &gate.kind {
            Kind::Threshold(threshold) => {
                let (base, value) = match &threshold.rule {
                    Rule::PercentAbove(rule) if rule.under => (rule.warn + rule.warn.abs() + 1.0, rule.crit - 1.0),
                    Rule::PercentAbove(rule) => (rule.warn - rule.warn.abs() - 1.0, rule.crit + 1.0),
                    Rule::Number { .. } => (*self.passed.get(&gate.name)?, failed.judgement.value?),
                };
                Some(json!({"series": [gate.name], "base": base, "value": value, "after": after}))
            }
            Kind::Probe(_) | Kind::Contract(_) => {
                // By the clock: waves were switched one after the other, and all of them failed then.
                Some(json!({"fails": [gate.name], "text": "as recorded", "from": failed.at.to_string()}))
            }
            Kind::Signatures(signatures) => {
                let each = signatures.min_events.div_ceil(signatures.min_hosts.max(1)).max(1);
                Some(errors(gate, per_minute(each as f64, failed.after_ms)))
            }
            Kind::Counts(_) => {
                let counts: Vec<f64> = failed.judgement.samples.iter().filter_map(|line| events(line)).collect();
                let mean = counts.iter().sum::<f64>() / counts.len() as f64;
                (!counts.is_empty()).then(|| errors(gate, per_minute(mean, failed.after_ms)))
            }
            _ => None,
        }
    }
}

/// Lines without any text that was logged: letters, so that two gates have two signatures.
fn errors(gate: &Gate, per_minute: f64) -> Value {
    let letters: String = crate::gate::signature::id(gate.name.as_str())
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| char::from_digit(digit + 10, 26))
        .collect();
    json!({"errors": format!("recorded error {letters}"), "per_minute": per_minute})
}

/// The rate at which so many came in this time, a little more so that none is lost to rounding.
fn per_minute(events: f64, ms: u64) -> f64 {
    1.05 * events * 60_000.0 / ms.max(1000) as f64
}

/// `mw2020.codfw.wmnet 340 of 1000`.
fn events(line: &str) -> Option<f64> {
    line.rsplit_once(" of ")?.0.rsplit_once(' ')?.1.parse().ok()
}
