//! A check that changes nothing: readiness of hosts, and every gate that is asked at the moment `canary`.
//!
//! Invariants. No lock is taken, no command is sent, no agent is installed. What is found goes to the books beside
//! whoever acts, and opens no blocker: canaries and the other hosts serve the same map here, so a difference between
//! them is not yet a release's fault.

use super::act::ActError;
use super::clock;
use super::deploy::{Deploy, who};
use super::gating::{Gating, Step};
use super::ready;
use crate::config::policy::Role;
use crate::fleet::Install;
use crate::gate::feasible::feasible;
use crate::gate::scope::Scope;
use crate::gate::soak::Standing;
use crate::gate::spec::counts::CountSource;
use crate::gate::spec::hosts::Fact;
use crate::gate::spec::signatures::LogSource;
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
use crate::report::canary::{Asked, CanaryView, Looked};
use crate::rollout::effect::{GateCall, Told};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the moment is called in the books.
const WHAT: &str = "canary check";

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The hosts that are looked at, and that gates are asked about.
    pub hosts: &'a BTreeSet<HostName>,
    /// Whether a person chose them; else gates may name hosts beside them that serve no wikis.
    pub narrowed: bool,
    /// How far back counts and logs are looked at, ms.
    pub window_ms: u64,
}

/// Looks at hosts and asks the gates about them.
///
/// # Errors
///
/// Nothing is wanted yet, or the books refuse.
pub async fn canary(deploy: &Deploy, store: &mut dyn Store, check: Check<'_>) -> Result<CanaryView, ActError> {
    let (began, hosts) = (clock::now(), check.hosts);
    let (stale, levels) = look(deploy, store, hosts).await?;
    let (asked, blamed) = ask(deploy, store, check).await?;
    let books = store.load()?;
    let since = |host: &HostName| books.hosts.get(host).and_then(|row| row.stale.clone()).map(|stale| stale.since);
    let now = clock::now();
    let stale = stale.into_iter().map(|(host, reason)| {
        let since = since(&host).unwrap_or(now);
        (host, Stale { reason, since })
    });
    let canaries = hosts.iter().filter(|host| is_canary(deploy, host)).cloned().collect();
    Ok(CanaryView {
        by: Looked::Canary,
        now,
        took_ms: now.ms_since(began),
        hosts: hosts.clone(),
        canaries,
        levels,
        stale: stale.collect(),
        gates: asked,
        blamed,
    })
}

/// Those that are not ready, judged by the books of before the look, and by what level the others are proven.
async fn look(
    deploy: &Deploy,
    store: &mut dyn Store,
    hosts: &BTreeSet<HostName>,
) -> Result<(BTreeMap<HostName, StaleReason>, BTreeMap<HostName, Level>), ActError> {
    let books = store.load()?;
    let asked = ready::asked(deploy, &books, hosts, &BTreeSet::new())?;
    let looked = ready::look(deploy, &books, asked, Level::L2).await;
    let stale = ready::stale(&books, &looked);
    ready::note(store, books.epoch, &looked, &stale, true)?;
    let mut levels = ready::levels(&looked);
    levels.retain(|host, _| !stale.contains_key(host));
    Ok((stale, levels))
}

fn is_canary(deploy: &Deploy, host: &HostName) -> bool {
    let policy = deploy.policy.hosts.get(host);
    policy.is_some_and(|policy| policy.roles.iter().any(|role| matches!(role, Role::Canary | Role::Debug)))
}

/// Asks every gate until it has given as many verdicts as it counts; how each stands, and who is to blame, a line each.
async fn ask(deploy: &Deploy, store: &mut dyn Store, check: Check<'_>) -> Result<(Vec<Asked>, Vec<String>), ActError> {
    let books = store.load()?;
    let promotion = promotion(&books).cloned();
    let (call, unfit) = call(deploy, &books, check, promotion.as_ref())?;
    let known = store.signatures(Time(clock::now().0.saturating_sub(SIGNATURES_MS_MAX)))?;
    let mut gating = Gating::new(deploy, Install::Never, &known, BTreeMap::new());
    first_look(deploy, &mut gating, &call, &books).await;
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

/// Gates of log files and rates know only what happens between two readings: they read once, and are asked after the
/// longest of their intervals.
async fn first_look(deploy: &Deploy, gating: &mut Gating, call: &GateCall, books: &Books) {
    let asked = deploy.policy.gates.iter().filter(|gate| call.gates.contains(&gate.name));
    let Some(ms) = asked.filter(|gate| is_of_two_readings(gate)).map(|gate| gate.counters.interval_ms).max() else {
        return;
    };
    let control = call.scope.rolled.union(&call.scope.control).cloned().collect();
    let scope = Scope { rolled: BTreeSet::new(), control, ..call.scope.clone() };
    gating.begin(GateCall { moment: Moment::Before, gates: BTreeSet::new(), scope, ..call.clone() }, books.clone());
    // Nobody is asked, so there is nothing to answer or to write down.
    while !matches!(gating.next().await, Step::Ended { .. }) {}
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn is_of_two_readings(gate: &Gate) -> bool {
    match &gate.kind {
        Kind::Counts(counts) => matches!(counts.source, CountSource::Logs(_)),
        Kind::Signatures(signatures) => matches!(signatures.source, LogSource::Files(_)),
        Kind::Host(host) => {
            host.conditions.iter().any(|(fact, _)| matches!(fact, Fact::DiskFullHours | Fact::LogBytesPerSecond(_)))
        }
        _ => false,
    }
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
    check: Check<'_>,
    promotion: Option<&Rollout>,
) -> Result<(GateCall, Unfit), ActError> {
    let policy = &deploy.policy;
    let now = clock::now();
    let site = Site { policy, books, now, by: who() };
    let mut plan = hosts::plan(site, content::converge(site, Extent::Served, WHAT)?, Some(check.hosts))?;
    plan.goal.rollout.version = promotion.and_then(|rollout| rollout.version.clone());
    plan.hosts.retain(|host, _| books.hosts.get(host).is_none_or(|row| row.depooled.is_none()));
    let canaries = plan.hosts.keys().filter(|host| is_canary(deploy, host)).cloned().collect();
    let since = site.wanted()?.at.max(Time(now.0.saturating_sub(check.window_ms)));
    let mut scope = gates::scope(policy, &plan, &canaries, since);
    scope.others.retain(|host| !check.narrowed || check.hosts.contains(host));
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
        against: Default::default(),
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
