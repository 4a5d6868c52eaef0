//! Which gates a promotion is asked, in which wave, for how long, and what their evidence cannot cover.
//!
//! Invariant: pure, and what is written here is what is asked: execution chooses nothing.

use super::goal::{Blocked, Goal, Site, Why};
use super::hosts::Plan;
use crate::config::policy::{Policy, Soak};
use crate::gate::feasible::feasible;
use crate::gate::scope::Scope;
use crate::gate::spec::{Gate, Mode, Moment};
use crate::model::books::{Books, Kind};
use crate::model::health::GateRow;
use crate::model::limits::NAMES_SHOWN_MAX;
use crate::model::names::{GateName, Group, HostName, Version, Wiki};
use crate::model::time::Time;
use crate::model::verdict::Judgement;
use crate::model::words::count;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How a promotion is gated; nothing at all for every other move.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Gating {
    /// In the order of groups.yaml.
    pub gates: Vec<PlannedGate>,
    /// How long.
    pub soak: Soak,
    /// What differs from production where the evidence comes from, a line each.
    pub differs: Vec<String>,
    /// What gates found against the version before, a line each.
    pub evidence: Vec<String>,
}

/// A gate's part in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedGate {
    /// Which.
    pub name: GateName,
    /// Its kind as groups.yaml names it.
    pub kind: String,
    /// When it is asked.
    pub at: BTreeSet<Moment>,
    /// Whether it decides.
    pub enforces: bool,
    /// Waves, counted from 0, in which it could not decide, and why; it is not asked there.
    pub not_in: BTreeMap<usize, String>,
}

impl Gating {
    /// The gates that are asked at a moment, after a wave counted from 0.
    pub fn at(&self, moment: Moment, wave: usize) -> BTreeSet<GateName> {
        let asked = self.gates.iter().filter(|gate| gate.at.contains(&moment) && !gate.not_in.contains_key(&wave));
        asked.map(|gate| gate.name.clone()).collect()
    }
}

/// The gates of `goal`'s group, held against the waves that hosts move in.
///
/// # Errors
///
/// A gate could decide after no wave at all.
pub fn gating(site: Site<'_>, goal: &Goal, plan: &Plan) -> Result<Gating, Blocked> {
    let Some(group) = goal.rollout.groups.first().filter(|_| goal.rollout.kind == Kind::Promote) else {
        return Ok(Gating::default());
    };
    let ours = site.policy.gates.iter().filter(|gate| gate.groups.as_ref().is_none_or(|g| g.contains(group)));
    let version = goal.rollout.version.as_ref();
    let evidence = version.map(|version| evidence(site.books, version)).unwrap_or_default();
    let gates = ours.map(|gate| planned(site.policy, gate, plan)).collect::<Result<_, _>>()?;
    Ok(Gating { gates, soak: site.policy.soak, differs: differs(site.policy, group), evidence })
}

fn planned(policy: &Policy, gate: &Gate, plan: &Plan) -> Result<PlannedGate, Blocked> {
    let mut rolled = BTreeSet::new();
    let mut not_in = BTreeMap::new();
    let mut can = gate.at.iter().all(|moment| ![Moment::Wave, Moment::Group].contains(moment));
    for (number, wave) in plan.waves.iter().enumerate() {
        rolled.extend(wave.iter().cloned());
        let scope = scope(policy, plan, &rolled, Time(0)).only(gate.hosts.as_ref());
        let moment = if number + 1 == plan.waves.len() { Moment::Group } else { Moment::Wave };
        match feasible(gate, scope.rolled.len(), scope.control.len()) {
            Ok(()) => can |= gate.at.contains(&moment),
            Err(why) => drop(not_in.insert(number, why)),
        }
    }
    if let Some(why) = not_in.values().next_back().filter(|_| !can && gate.mode == Mode::Enforce) {
        let what = format!("the gate {} could decide after no wave: {why}", gate.name);
        return Err(Blocked::new(Why::Usage, what).hint("change the gate in groups.yaml, or let it only observe"));
    }
    Ok(PlannedGate {
        name: gate.name.clone(),
        kind: gate.kind.name().to_owned(),
        at: gate.at.clone(),
        enforces: gate.mode == Mode::Enforce,
        not_in,
    })
}

/// What differs from production in the stages of a group, and which gates' evidence lacks it.
fn differs(policy: &Policy, group: &Group) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in policy.environments.iter().filter(|stage| stage.groups.contains(group)) {
        for (word, how) in &stage.differs {
            let lacking = policy.gates.iter().filter(|gate| gate.needs.contains(word));
            let lacking: Vec<&str> = lacking.map(|gate| gate.name.as_str()).collect();
            let gates = match lacking.is_empty() {
                true => String::new(),
                false => format!("; not covered here: {}", lacking.join(", ")),
            };
            lines.push(format!("{} differs from production: {word}: {how}{gates}", stage.name));
        }
    }
    lines
}

/// What gates found against a version in earlier rollouts, of each gate the newest, the newest first.
pub fn evidence(books: &Books, version: &Version) -> Vec<String> {
    let of_it = books.rollouts.values().rev().filter(|rollout| rollout.version.as_ref() == Some(version));
    let rows = of_it
        .flat_map(|rollout| books.health.gates.get(&rollout.id).into_iter().flatten().map(|row| (rollout.id, row)));
    let mut told = BTreeSet::new();
    let failed = rows.filter_map(|(id, (gate, row))| Some((id, gate, row, row.failed.as_ref()?)));
    let failed = failed.filter(|(_, gate, ..)| told.insert(*gate));
    let line = |(id, gate, row, failed): (_, &GateName, &GateRow, &Judgement)| {
        let blame = row.blame.as_ref().map(|blame| format!(" {blame}")).unwrap_or_default();
        format!("{id}, {}, the gate {gate}: {}{blame}", failed.at.moment(), failed.sentence)
    };
    failed.map(line).take(NAMES_SHOWN_MAX).collect()
}

/// Who is judged against whom once `rolled` were switched. Hosts that are pinned stand on neither side.
pub fn scope(policy: &Policy, plan: &Plan, rolled: &BTreeSet<HostName>, since: Time) -> Scope {
    let snapshot = &plan.goal.snapshot;
    let judged = |host: &&HostName| !snapshot.pins.hosts.contains_key(*host);
    let (rolled, control): (BTreeSet<HostName>, BTreeSet<HostName>) =
        plan.hosts.keys().filter(judged).cloned().partition(|host| rolled.contains(host));
    Scope {
        rolled,
        control,
        others: others(policy),
        group: plan.goal.rollout.groups.first().cloned(),
        version: plan.goal.rollout.version.clone(),
        wikis: wikis(policy, &snapshot.map.0),
        since,
    }
}

/// Hosts that serve no wikis.
pub fn others(policy: &Policy) -> BTreeSet<HostName> {
    policy.hosts.iter().filter(|(_, host)| !host.serves()).map(|(name, _)| name.clone()).collect()
}

/// Each wiki's group and version.
pub fn wikis(policy: &Policy, map: &BTreeMap<Wiki, Version>) -> BTreeMap<Wiki, (Group, Version)> {
    let groups = policy.groups.iter().flat_map(|group| group.wikis.iter().map(|wiki| (wiki, &group.name)));
    groups.filter_map(|(wiki, group)| Some((wiki.clone(), (group.clone(), map.get(wiki)?.clone())))).collect()
}

/// What will be asked, a few lines for people.
pub fn lines(gating: &Gating, waves: usize) -> Vec<String> {
    if gating.gates.is_empty() {
        return Vec::new();
    }
    let named = |moment: Moment| -> Vec<&str> {
        gating.gates.iter().filter(|gate| gate.at.contains(&moment)).map(|gate| gate.name.as_str()).collect()
    };
    let soak = gating.soak;
    let mut lines = Vec::new();
    for (moment, when) in [
        (Moment::Before, "gates before the first wave".to_owned()),
        (Moment::Wave, format!("gates after each wave but the last, for {}", span(soak.wave_ms))),
        (Moment::Group, format!("gates after the last wave, for {}", span(soak.group_ms))),
        (Moment::Watch, format!("watched for {} then", span(soak.watch_ms))),
    ] {
        let names = named(moment);
        let never =
            names.is_empty() || moment == Moment::Wave && waves < 2 || moment == Moment::Watch && soak.watch_ms == 0;
        lines.extend((!never).then(|| format!("{when}: {}", names.join(", "))));
    }
    for gate in &gating.gates {
        lines.extend((!gate.enforces).then(|| format!("{} observes only", gate.name)));
        for (wave, why) in gate.not_in.iter().filter(|_| gate.at.contains(&Moment::Wave)) {
            lines.push(format!("{} is not asked after wave {}: {why}", gate.name, wave + 1));
        }
    }
    lines.extend(gating.differs.iter().cloned());
    lines.extend(gating.evidence.iter().map(|line| format!("before: {line}")));
    lines
}

/// A duration as people say it: `20 s`, `30 min`, `2 h`.
pub fn span(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=119_999 => format!("{} s", ms / 1_000),
        120_000..=7_199_999 => format!("{} min", ms / 60_000),
        7_200_000..=172_799_999 => format!("{} h", ms / 3_600_000),
        _ => count((ms / 86_400_000) as usize, "day"),
    }
}

#[cfg(test)]
mod tests;
