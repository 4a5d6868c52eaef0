//! A check that changes nothing: readiness of hosts, and every gate that is asked at the moment `canary`.
//!
//! Invariants. No lock is taken, no command is sent, no agent is installed. What is found goes to the books beside
//! whoever acts, and opens no blocker: canaries and the other hosts serve the same map here, so a difference between
//! them is not yet a release's fault.

use super::act::ActError;
use super::clock;
use super::deploy::Deploy;
use super::gating::{Gating, Step};
use super::look::Look;
use super::ready;
use crate::config::policy::Role;
use crate::fleet::Install;
use crate::gate::feasible::feasible;
use crate::gate::scope::Scope;
use crate::gate::soak::Standing;
use crate::gate::spec::{Gate, Kind, Mode, Moment};
use crate::model::books::{self, Books, Record, Rollout, Status};
use crate::model::health::HealthRecord;
use crate::model::ids::RolloutId;
use crate::model::limits::SIGNATURES_MS_MAX;
use crate::model::names::{GateName, HostName};
use crate::model::protocol::Level;
use crate::model::stale::{Stale, StaleReason};
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::plan::goal::{Extent, Site};
use crate::plan::{content, gates, hosts};
use crate::report::canary::{Asked, CanaryView};
use crate::rollout::effect::{GateCall, Told};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// What the moment is called in the books.
const WHAT: &str = "canary check";

/// Looks at `hosts` and asks the gates about them, over at most the last `window_ms`.
///
/// # Errors
///
/// Nothing is wanted yet, or the books refuse.
pub async fn canary(
    deploy: &Deploy,
    store: &mut dyn Store,
    hosts: &BTreeSet<HostName>,
    window_ms: u64,
) -> Result<CanaryView, ActError> {
    let began = clock::now();
    let stale = look(deploy, store, hosts).await?;
    let (asked, blamed) = ask(deploy, store, hosts, window_ms).await?;
    let books = store.load()?;
    let since = |host: &HostName| books.hosts.get(host).and_then(|row| row.stale.clone()).map(|stale| stale.since);
    let now = clock::now();
    let stale = stale.into_iter().map(|(host, reason)| {
        let since = since(&host).unwrap_or(now);
        (host, Stale { reason, since })
    });
    let canaries = hosts.iter().filter(|host| is_canary(deploy, host)).cloned().collect();
    Ok(CanaryView {
        now,
        took_ms: now.ms_since(began),
        hosts: hosts.clone(),
        canaries,
        stale: stale.collect(),
        gates: asked,
        blamed,
    })
}

/// Those that are not ready, judged by the books of before the look.
async fn look(
    deploy: &Deploy,
    store: &mut dyn Store,
    hosts: &BTreeSet<HostName>,
) -> Result<BTreeMap<HostName, StaleReason>, ActError> {
    let books = store.load()?;
    let asked = ready::asked(deploy, &books, hosts, &BTreeSet::new())?;
    let limits = &deploy.policy.limits;
    let look = Look::new(&deploy.fleet, limits.connect_ms_max + limits.command_ms_max);
    let looked = look.at(&asked, Level::L1).await;
    let stale = ready::stale(&books, &looked);
    ready::note(store, books.epoch, &looked, &stale, true)?;
    Ok(stale)
}

fn is_canary(deploy: &Deploy, host: &HostName) -> bool {
    let policy = deploy.policy.hosts.get(host);
    policy.is_some_and(|policy| policy.roles.iter().any(|role| matches!(role, Role::Canary | Role::Debug)))
}

/// Asks every gate until it has given as many verdicts as it counts; how each stands, and who is to blame, a line each.
async fn ask(
    deploy: &Deploy,
    store: &mut dyn Store,
    hosts: &BTreeSet<HostName>,
    window_ms: u64,
) -> Result<(Vec<Asked>, Vec<String>), ActError> {
    let books = store.load()?;
    let promotion = promotion(&books).cloned();
    let (call, unfit) = call(deploy, &books, hosts, (promotion.as_ref(), window_ms))?;
    let known = store.signatures(Time(clock::now().0.saturating_sub(SIGNATURES_MS_MAX)))?;
    let mut gating = Gating::new(deploy, Install::Never, &known, BTreeMap::new());
    gating.begin(call, books);
    let blamed = until_heard(store, &mut gating, promotion.as_ref().map(|rollout| rollout.id)).await;
    let stood = gating.stood().clone();
    gating.close().await;
    let asked = |gate: &&Gate| stood.contains_key(&gate.name) || unfit.contains_key(&gate.name);
    let asked = deploy.policy.gates.iter().filter(asked).map(|gate| {
        let (standing, judgement) = match (stood.get(&gate.name), unfit.get(&gate.name)) {
            (Some(stood), _) => stood.clone(),
            (None, unfit) => (Standing::Errored, unfit.cloned()),
        };
        let (name, kind) = (gate.name.clone(), gate.kind.name().to_owned());
        Asked { name, kind, enforces: gate.mode == Mode::Enforce, standing, judgement }
    });
    Ok((asked.collect(), blamed?))
}

/// The promotion that is in force, content and pins may have changed since: what is found now speaks about it too.
fn promotion(books: &Books) -> Option<&Rollout> {
    let ended = |r: &&Rollout| matches!(r.status, Status::Done | Status::Owed);
    let moves = |r: &&Rollout| matches!(r.kind, books::Kind::Promote | books::Kind::Rollback);
    let last = books.rollouts.values().rev().filter(ended).find(moves);
    last.filter(|rollout| rollout.kind == books::Kind::Promote)
}

/// Gates that can't decide with the hosts at hand, each with what it would need.
type Unfit = BTreeMap<GateName, Judgement>;

/// Canary and debug hosts against the others; hosts out of service, and those held on a version, stand on neither side.
fn call(
    deploy: &Deploy,
    books: &Books,
    hosts: &BTreeSet<HostName>,
    (promotion, window_ms): (Option<&Rollout>, u64),
) -> Result<(GateCall, Unfit), ActError> {
    let policy = &deploy.policy;
    let now = clock::now();
    let site = Site { policy, books, now, by: &deploy.by };
    let mut plan = hosts::plan(site, content::converge(site, Extent::Served, WHAT)?, Some(hosts))?;
    plan.goal.rollout.version = promotion.and_then(|rollout| rollout.version.clone());
    plan.hosts.retain(|host, _| books.hosts.get(host).is_none_or(|row| row.depooled.is_none()));
    let canaries = plan.hosts.keys().filter(|host| is_canary(deploy, host)).cloned().collect();
    let recorded = site.wanted()?.at;
    let scope = gates::scope(policy, &plan, &canaries, recorded.max(Time(now.0.saturating_sub(window_ms))));
    let (mut names, mut unfit) = (BTreeSet::new(), BTreeMap::new());
    // An approval is an answer to a promotion, and there is none.
    let ours = policy.gates.iter().filter(|gate| gate.at.contains(&Moment::Canary) && gate.kind != Kind::Approval);
    for gate in ours {
        match fits(gate, &scope) {
            Ok(()) => drop(names.insert(gate.name.clone())),
            Err(why) => drop(unfit.insert(gate.name.clone(), cannot(gate, why, now))),
        }
    }
    let rollout = promotion.map_or(RolloutId(0), |rollout| rollout.id);
    let what = WHAT.to_owned();
    let moment = Moment::Canary;
    Ok((GateCall { moment, what, rollout, gates: names, least_ms: 0, scope, hosts: plan.hosts }, unfit))
}

fn fits(gate: &Gate, scope: &Scope) -> Result<(), String> {
    let scope = scope.only(gate.hosts.as_ref());
    feasible(gate, scope.rolled.len(), scope.control.len())
}

/// The judgement of a gate that was not asked, because it could not decide.
fn cannot(gate: &Gate, why: String, now: Time) -> Judgement {
    Judgement {
        gate: gate.name.clone(),
        verdict: Verdict::Error,
        at: now,
        value: None,
        limit: String::new(),
        n: 0,
        window_ms: 0,
        query: String::new(),
        sentence: format!("not asked, it could not decide with these hosts: {why}"),
        samples: Vec::new(),
    }
}

/// Writes down what is learned until every gate was heard; who is to blame, a line each.
async fn until_heard(
    store: &mut dyn Store,
    gating: &mut Gating,
    promotion: Option<RolloutId>,
) -> Result<Vec<String>, ActError> {
    let mut blamed = Vec::new();
    loop {
        let (ended, records, told) = match gating.next().await {
            Step::Books => {
                gating.books(store.load()?);
                continue;
            }
            Step::Learned { records, told } => (false, records, told),
            Step::Ended { records, told, .. } => (true, records, told),
        };
        let records: Vec<Record> = records.into_iter().filter_map(|record| kept(record, promotion)).collect();
        store.note(clock::now(), 0, &records)?;
        blamed.extend(told.into_iter().filter_map(|told| match told {
            Told::Blamed(sentence) => Some(sentence),
            _ => None,
        }));
        if ended {
            return Ok(blamed);
        }
    }
}

/// What goes to the books: judgements as evidence about the promotion that led here, or as a note when none did.
fn kept(record: Record, promotion: Option<RolloutId>) -> Option<Record> {
    let note = |gate: &str, text: &str| {
        Some(Record::Note { by: "canary check".to_owned(), text: format!("the gate {gate}: {text}") })
    };
    match &record {
        Record::Health(HealthRecord::Signatures { .. }) => Some(record),
        Record::Health(HealthRecord::Judged { .. } | HealthRecord::Attributed { .. }) if promotion.is_some() => {
            Some(record)
        }
        Record::Health(HealthRecord::Judged { judgement, .. }) if judgement.verdict != Verdict::Pass => {
            note(judgement.gate.as_str(), &format!("{}: {}", judgement.verdict, judgement.sentence))
        }
        Record::Health(HealthRecord::Attributed { gate, blame, .. }) => note(gate.as_str(), blame),
        _ => None,
    }
}
