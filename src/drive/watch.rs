//! After a promotion or a rollback: gates are asked on for a while, and what they say is acted on.
//!
//! Invariant: it holds no lock while it watches; a rollback by somebody else ends it. What it does itself, a rollback or
//! the repair of a host, is an order like any other.

use super::act::{ActError, Ended, Order, act};
use super::clock;
use super::deploy::{Deploy, who};
use super::gating::{Gating, Step};
use super::run::{Audience, RunError};
use super::signals::{Signalled, Signals};
use crate::config::policy::Policy;
use crate::gate::spec::{Gate, Moment};
use crate::model::books::{BY_THE_WATCH, Books, Kind, Rollout};
use crate::model::names::HostName;
use crate::plan::goal::{Extent, Site};
use crate::plan::{back, content, gates as scopes, hosts};
use crate::report::notice;
use crate::rollout::effect::{GateCall, GateEnd};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often it is looked whether somebody else moved the fleet.
const LOOK: Duration = Duration::from_secs(2);

/// How a watch ended.
#[derive(Debug)]
pub enum Watched {
    /// Nothing was found for as long as was asked.
    Passed,
    /// Somebody moved the fleet meanwhile.
    Superseded,
    /// A person is needed, a line each.
    Paused(Vec<String>),
    /// The release failed, a line each, and was taken back.
    TakenBack(Vec<String>, Box<Ended>),
    /// By a signal.
    Stopped(Signalled),
}

/// Watches `rollout`, a promotion or a rollback that has ended, for `ms`.
pub async fn watch(
    deploy: &Deploy,
    store: &mut dyn Store,
    audience: &mut dyn Audience,
    gating: &mut Gating,
    (rollout, ms): (&Rollout, u64),
) -> Result<Watched, ActError> {
    let until = clock::now().0.saturating_add(ms);
    let mut left_out = BTreeSet::new();
    loop {
        let books = store.load()?;
        if !stands(&books, rollout) {
            return Ok(Watched::Superseded);
        }
        let left_ms = until.saturating_sub(clock::now().0);
        let site = Site { policy: &deploy.policy, books: &books, now: clock::now(), by: who() };
        let call = call(site, rollout, (left_ms, &left_out))?;
        gating.begin(call, books);
        let end = match until_decided(deploy, store, audience, (gating, rollout)).await? {
            Ok(end) => end,
            Err(watched) => return Ok(watched),
        };
        match end {
            GateEnd::GoOn { leave_out } if leave_out.is_empty() => return Ok(Watched::Passed),
            GateEnd::GoOn { leave_out } => {
                repair(deploy, store, audience, &leave_out).await?;
                left_out.extend(leave_out.into_keys());
            }
            GateEnd::Paused(why) => {
                let hint = format!("pointsman rollback takes it back, pointsman watch {} goes on", rollout.id);
                deploy.notifier.tell([notice::paused(clock::now(), rollout, &why, &hint)]);
                return Ok(Watched::Paused(why));
            }
            // What went back is not sent forward again by a machine.
            GateEnd::Failed(why) if rollout.kind != Kind::Promote => {
                deploy.notifier.tell([notice::gate_failed(clock::now(), rollout, &why, "a person is needed")]);
                return Ok(Watched::Paused(why));
            }
            GateEnd::Failed(why) => {
                deploy.notifier.tell([notice::gate_failed(clock::now(), rollout, &why, "everything is taken back")]);
                let ended = take_back(deploy, store, audience, &why).await?;
                return Ok(Watched::TakenBack(why, Box::new(ended)));
            }
        }
    }
}

/// Whether the fleet is still wanted at the versions of `rollout`; new content for them, as a sync brings it, is
/// watched with them.
fn stands(books: &Books, rollout: &Rollout) -> bool {
    let promoted = books.snapshots.get(&rollout.to).map(|snapshot| &snapshot.map);
    books.current == Some(rollout.to) || books.wanted().is_some_and(|wanted| Some(&wanted.map) == promoted)
}

/// What the watch of `rollout` asks about for so long: every host that serves the promoted state, but for those that
/// were left out.
pub fn call(
    site: Site<'_>,
    rollout: &Rollout,
    (left_ms, left_out): (u64, &BTreeSet<HostName>),
) -> Result<GateCall, ActError> {
    let Site { policy, books, .. } = site;
    let goal = content::converge(site, Extent::Served, "watch")?;
    let mut plan = hosts::plan(site, goal, None)?;
    plan.goal.rollout.groups.clone_from(&rollout.groups);
    plan.goal.rollout.version.clone_from(&rollout.version);
    let out =
        |host: &HostName| left_out.contains(host) || books.hosts.get(host).is_some_and(|row| row.depooled.is_some());
    plan.hosts.retain(|host, _| !out(host));
    let rolled = plan.hosts.keys().cloned().collect();
    Ok(GateCall {
        moment: Moment::Watch,
        what: "watch".to_owned(),
        rollout: rollout.id,
        gates: gates(policy, rollout).map(|gate| gate.name.clone()).collect(),
        least_ms: left_ms,
        scope: scopes::scope(policy, &plan, &rolled, rollout.at),
        hosts: plan.hosts,
    })
}

/// The gates that the watch of `rollout` asks.
pub fn gates<'a>(policy: &'a Policy, rollout: &Rollout) -> impl Iterator<Item = &'a Gate> {
    policy.gates.iter().filter(|gate| {
        let group = |groups: &BTreeSet<_>| rollout.groups.iter().any(|group| groups.contains(group));
        let concerns = rollout.groups.is_empty() || gate.groups.as_ref().is_none_or(group);
        gate.at.contains(&Moment::Watch) && concerns
    })
}

/// Writes down what is learned until the gates decide, somebody else moves the fleet, or a signal comes.
async fn until_decided(
    deploy: &Deploy,
    store: &mut dyn Store,
    audience: &mut dyn Audience,
    (gating, rollout): (&mut Gating, &Rollout),
) -> Result<Result<GateEnd, Watched>, ActError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let mut look = tokio::time::interval(LOOK);
    loop {
        let step = tokio::select! {
            step = gating.next() => step,
            by = signals.next() => return Ok(Err(Watched::Stopped(by))),
            _ = look.tick() => match stands(&store.load()?, rollout) {
                true => continue,
                false => return Ok(Err(Watched::Superseded)),
            },
        };
        let (end, records, told) = match step {
            Step::Books => {
                gating.books(store.load()?);
                continue;
            }
            Step::Learned { records, told } => (None, records, told),
            Step::Ended { end, records, told } => (Some(end), records, told),
        };
        store.note(clock::now(), 0, &records)?;
        deploy.notifier.asked(store, &records);
        told.iter().for_each(|told| audience.tell(told));
        if let Some(end) = end {
            return Ok(Ok(end));
        }
    }
}

/// The release is to blame: everything goes back to before its first promotion.
async fn take_back(
    deploy: &Deploy,
    store: &mut dyn Store,
    audience: &mut dyn Audience,
    why: &[String],
) -> Result<Ended, ActError> {
    let why = format!("{BY_THE_WATCH}: {}", why.join("; "));
    let goal = |site: Site<'_>| back::rollback(site, &back::Scope::Last, &why);
    act(deploy, store, audience, &Order { take_over: true, ..Order::new("rollback by the watch", &goal) }).await
}

/// Single hosts are to blame: they are brought to the wanted state again.
async fn repair(
    deploy: &Deploy,
    store: &mut dyn Store,
    audience: &mut dyn Audience,
    hosts: &BTreeMap<HostName, String>,
) -> Result<Ended, ActError> {
    let goal = |site: Site<'_>| content::converge(site, Extent::Served, "repair of hosts that a gate blames");
    let only = Some(hosts.keys().cloned().collect());
    act(deploy, store, audience, &Order { only, ..Order::new("repair by the watch", &goal) }).await
}
