//! The plan: a goal, the hosts in scope with what is expected of each, and the waves.

use super::gates::{self, Gating};
use super::goal::{Blocked, Extent, Goal, Mode, Site};
use super::needs;
use crate::config::policy::Role;
use crate::model::component::Want;
use crate::model::digest::Digest;
use crate::model::names::{HostName, Version};
use crate::model::protocol::Expect;
use crate::model::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Immutable once made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// What is wanted.
    pub goal: Goal,
    /// Every host in scope.
    pub hosts: BTreeMap<HostName, HostPlan>,
    /// Hosts by wave, in order; each host in scope stands in exactly one.
    pub waves: Vec<Vec<HostName>>,
    /// Hosts that serve wikis and are left out, with the reason; they are owed.
    pub excluded: BTreeMap<HostName, String>,
    /// What is asked before it goes on.
    pub gating: Gating,
}

/// One host's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostPlan {
    /// Digest of the map it will serve.
    pub map: Digest,
    /// What must be there for it.
    pub needs: Vec<Want>,
    /// What must be there to go back; empty when the move goes back itself.
    pub fallback: Vec<Want>,
    /// What it showed when the plan was made; `None`: as it shows itself when its turn comes.
    pub expect: Option<Expect>,
}

impl Plan {
    /// The plan's name: the digest of its JSON, whoever makes it and when.
    pub fn id(&self) -> Digest {
        Digest::of(&serde_json::to_vec(&self.of_nobody()).expect("a plan has only string keys"))
    }

    /// The same plan, made by nobody at no time.
    fn of_nobody(&self) -> Plan {
        let mut plan = self.clone();
        (plan.goal.rollout.by, plan.goal.rollout.at) = (String::new(), Time(0));
        plan.goal.snapshot.at = Time(0);
        plan
    }

    /// What of it is kept to when it is carried out later: all but who makes it, when, for which run of a playbook, what
    /// hosts showed (that is compared host by host), and from when to when pins are.
    pub fn kept_to(&self) -> Plan {
        let mut plan = self.of_nobody();
        plan.goal.rollout.playbook = None;
        plan.hosts.values_mut().for_each(|part| part.expect = None);
        let pins = &mut plan.goal.snapshot.pins;
        pins.wikis.values_mut().chain(pins.hosts.values_mut()).for_each(|pin| (pin.since, pin.until) = (Time(0), None));
        plan
    }
}

impl HostPlan {
    /// Everything to be proven, each component once.
    pub fn prove(&self) -> Vec<Want> {
        let mut wants = self.needs.clone();
        wants.extend(self.fallback.iter().filter(|want| !self.needs.contains(want)).cloned());
        wants
    }
}

/// Plans `goal` for the hosts in `only` (all that serve when `None`), without expectations yet.
pub fn plan(site: Site<'_>, goal: Goal, only: Option<&BTreeSet<HostName>>) -> Result<Plan, Blocked> {
    let mut plan =
        Plan { goal, hosts: BTreeMap::new(), waves: Vec::new(), excluded: BTreeMap::new(), gating: Gating::default() };
    for (host, policy) in site.policy.hosts.iter().filter(|(_, policy)| policy.serves()) {
        if only.is_some_and(|only| !only.contains(host)) {
            continue;
        }
        let depooled = site.books.hosts.get(host).and_then(|row| row.depooled.as_ref());
        if let Some(why) = depooled.filter(|_| plan.goal.mode == Mode::Barrier) {
            plan.excluded.insert(host.clone(), format!("depooled by {}: {}", why.by, why.reason));
            continue;
        }
        debug_assert!(!policy.roles.is_empty(), "a host that serves has a role");
        plan.hosts.insert(host.clone(), host_plan(site, &plan.goal, host)?);
    }
    plan.waves = waves(site, &plan);
    plan.gating = gates::gating(site, &plan.goal, &plan)?;
    Ok(plan)
}

fn host_plan(site: Site<'_>, goal: &Goal, host: &HostName) -> Result<HostPlan, Blocked> {
    let mut versions = needs::versions_of(&goal.snapshot, host);
    if goal.extent == Extent::Wanted {
        versions.extend(needs::all_versions(&goal.snapshot));
    }
    let pinned = goal.snapshot.pins.hosts.contains_key(host);
    let fallback: BTreeSet<Version> = match pinned {
        true => goal.fallback.difference(&versions).cloned().collect(),
        false => goal.fallback.clone(),
    };
    let fallback = match goal.mode {
        Mode::Barrier => needs::wants(site, &goal.snapshot, &fallback)?,
        Mode::Each => Vec::new(),
    };
    Ok(HostPlan {
        map: goal.snapshot.map_of(host).digest(),
        needs: needs::wants(site, &goal.snapshot, &versions)?,
        fallback,
        expect: None,
    })
}

/// Debug hosts, then canaries, then the rest; when each goes for itself there is one wave.
fn waves(site: Site<'_>, plan: &Plan) -> Vec<Vec<HostName>> {
    let rank = |host: &HostName| {
        let roles = site.policy.hosts.get(host).map(|policy| &policy.roles);
        match roles {
            _ if plan.goal.mode == Mode::Each => 2,
            Some(roles) if roles.contains(&Role::Debug) => 0,
            Some(roles) if roles.contains(&Role::Canary) => 1,
            _ => 2,
        }
    };
    let mut waves: BTreeMap<u8, Vec<HostName>> = BTreeMap::new();
    for host in plan.hosts.keys() {
        waves.entry(rank(host)).or_default().push(host.clone());
    }
    waves.into_values().collect()
}
