//! Commands that act: the lock, the goal, the plan, the run, and the way back when too many hosts failed.

use super::CLOSE;
use super::clock;
use super::deploy::{Deploy, holder, who};
use super::gating::Gating;
use super::run::{Audience, Gates, Run, RunError};
use super::signals::Signalled;
use super::signing;
use crate::fleet::session::Session;
use crate::model::books::{Books, Lock, Record};
use crate::model::names::{GateName, HostName};
use crate::model::right::Right;
use crate::plan::changed::{Changed, keep_to};
use crate::plan::content;
use crate::plan::goal::{Blocked, Extent, Goal, Site};
use crate::plan::hosts::{Plan, plan};
use crate::plan::permit::{self, Person};
use crate::plan::saved::{Basis, Saved};
use crate::rollout::effect::{Left, Outcome};
use crate::rollout::machine::{Machine, Operator};
use crate::store::Store;
use crate::store::error::StoreError;
use std::collections::{BTreeMap, BTreeSet};

/// What is wanted, by the books as they stand once the lock is held.
pub type GoalOf<'a> = &'a dyn Fn(Site<'_>) -> Result<Goal, Blocked>;

/// What somebody ordered.
pub struct Order<'a> {
    /// For the lock: what for.
    pub reason: String,
    /// Whether the lock is taken from whoever holds it.
    pub take_over: bool,
    /// Whether hosts of other books are taken over.
    pub adopt: bool,
    /// Whether hosts that already serve the target are accepted.
    pub resumes: bool,
    /// Which hosts; `None`: all that serve.
    pub only: Option<BTreeSet<HostName>>,
    /// Gates that are overruled, with the reason.
    pub overruled: BTreeMap<GateName, String>,
    /// Who ordered it; `None`: the machine, or everybody may.
    pub by: Option<Person>,
    /// Rights to what it sets aside, each with a reason, beside the one to what it moves.
    pub beside: BTreeSet<Right>,
    /// What is wanted.
    pub goal: GoalOf<'a>,
    /// A saved plan: nothing but this is done.
    pub saved: Option<&'a Saved>,
}

impl<'a> Order<'a> {
    /// An order to all hosts that takes nobody's lock and adopts no host.
    pub fn new(reason: impl Into<String>, goal: GoalOf<'a>) -> Self {
        let (only, overruled, by, beside, saved) = (None, BTreeMap::new(), None, BTreeSet::new(), None);
        let (reason, take_over, adopt, resumes) = (reason.into(), false, false, false);
        Self { reason, take_over, adopt, resumes, only, overruled, by, beside, goal, saved }
    }
}

/// How an order ended.
#[derive(Debug)]
pub struct Ended {
    /// The plan as it was carried out.
    pub plan: Plan,
    /// Its outcome.
    pub outcome: Outcome,
    /// When too many hosts failed: how bringing all of them back ended.
    pub went_back: Option<Outcome>,
    /// When a gate found single hosts to be at fault: how their repair ended.
    pub repaired: Option<Outcome>,
    /// The gates as they were asked last, for the watch that follows; `None`: there are none.
    pub gating: Option<Gating>,
    /// Whose lock was taken over.
    pub took_over_from: Option<Lock>,
    /// The signal that stopped it, if one did.
    pub signalled: Option<Signalled>,
    /// The most requests that one host had to answer.
    pub round_trips_max: u32,
}

/// Why an order did not come to an outcome.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// It can't be planned.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// It is not what was planned.
    #[error(transparent)]
    Changed(#[from] Changed),
    /// The books, a signal.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<StoreError> for ActError {
    fn from(error: StoreError) -> Self {
        Self::Run(RunError::Store(error))
    }
}

/// Carries out `order` under the lock.
pub async fn act(
    deploy: &Deploy,
    store: &mut dyn Store,
    audience: &mut dyn Audience,
    order: &Order<'_>,
) -> Result<Ended, ActError> {
    let claim = store.take_lock(clock::now(), &holder(), &order.reason, order.take_over)?;
    let (mut sessions, mut signalled) = (BTreeMap::new(), None);
    let mut gates = Gates { overruled: order.overruled.clone(), gating: None };
    let (sessions_of, stop, epoch) = (&mut sessions, &mut signalled, claim.epoch);
    let mut held = Held { deploy, store, audience, sessions: sessions_of, signalled: stop, epoch, gates: &mut gates };
    let ended = held.carry_out(order).await;
    let released = held.store.release_lock(clock::now(), claim.epoch);
    let round_trips_max = sessions.values().map(Session::round_trips).max().unwrap_or_default();
    let closing: tokio::task::JoinSet<()> = sessions.into_values().map(|session| session.close(CLOSE)).collect();
    closing.join_all().await;
    // When somebody took over, that is what is said, and not that the lock is no longer ours to give back.
    let ended = ended?;
    released?;
    match (&ended.outcome, &mut gates.gating) {
        // What was done is watched afterwards, with what the providers know.
        (Outcome::Done { .. }, Some(gating)) => gating.rest().await,
        _ => gates.gating = None,
    }
    Ok(Ended { took_over_from: claim.took_over_from, signalled, round_trips_max, gating: gates.gating, ..ended })
}

/// Writes `records` under the lock, for commands that send nothing to hosts.
pub fn record(store: &mut dyn Store, reason: &str, records: &[Record]) -> Result<(), StoreError> {
    let claim = store.take_lock(clock::now(), &holder(), reason, false)?;
    store.append(clock::now(), claim.epoch, records)?;
    store.release_lock(clock::now(), claim.epoch)
}

/// Everything under one lock.
struct Held<'a> {
    deploy: &'a Deploy,
    store: &'a mut dyn Store,
    audience: &'a mut dyn Audience,
    sessions: &'a mut BTreeMap<HostName, Session>,
    signalled: &'a mut Option<Signalled>,
    epoch: u64,
    gates: &'a mut Gates,
}

impl Held<'_> {
    async fn carry_out(&mut self, order: &Order<'_>) -> Result<Ended, ActError> {
        let books = self.store.load()?;
        let plan = self.plan(&books, order.goal, order.only.as_ref());
        let plan = match order.saved {
            Some(saved) => keep_to(saved, &Basis::of(&self.deploy.policy, &books), &books, plan)?,
            None => plan?,
        };
        if let Some(person) = &order.by {
            permit::order(&self.deploy.policy, person, &plan.goal, (&order.beside, &order.overruled))?;
        }
        signing::check(self.deploy, &books, &plan.goal)?;
        let operator = Operator {
            epoch: self.epoch,
            seq: super::look::nonce() >> 32,
            nonce: super::look::nonce(),
            adopt: order.adopt,
            resumes: order.resumes,
        };
        let mut machine = Machine::new(&self.deploy.policy, books, plan, operator);
        let outcome = self.run(&mut machine).await?;
        let operator = Operator { seq: machine.seq(), resumes: false, ..operator };
        let (mut went_back, mut repaired) = (None, None);
        match &outcome {
            Outcome::GoBack(_) => went_back = Some(self.go_back(operator, "too many hosts failed to switch").await?),
            Outcome::GateFailed(_) => went_back = Some(self.go_back(operator, "a gate failed").await?),
            Outcome::Done { left, .. } => repaired = self.repair(operator, suspects(left)).await?,
            _ => {}
        }
        let (plan, gating) = (machine.plan().clone(), None);
        let (took_over_from, signalled, round_trips_max) = (None, None, 0);
        Ok(Ended { plan, outcome, went_back, repaired, gating, took_over_from, signalled, round_trips_max })
    }

    /// All are brought to the wanted state, which has not moved.
    async fn go_back(&mut self, operator: Operator, why: &str) -> Result<Outcome, ActError> {
        let books = self.store.load()?;
        let plan = self.plan(&books, &|site| content::converge(site, Extent::Served, why), None)?;
        let mut machine = Machine::new(&self.deploy.policy, books, plan, operator);
        self.run(&mut machine).await
    }

    /// Hosts that a gate found to be at fault are brought to the wanted state, beside the others that are there.
    async fn repair(&mut self, operator: Operator, hosts: BTreeSet<HostName>) -> Result<Option<Outcome>, ActError> {
        if hosts.is_empty() {
            return Ok(None);
        }
        let books = self.store.load()?;
        let goal: GoalOf<'_> = &|site| content::converge(site, Extent::Served, "repair of hosts that a gate blames");
        let plan = self.plan(&books, goal, Some(&hosts))?;
        let mut machine = Machine::new(&self.deploy.policy, books, plan, operator);
        self.run(&mut machine).await.map(Some)
    }

    fn plan(&self, books: &Books, goal: GoalOf<'_>, only: Option<&BTreeSet<HostName>>) -> Result<Plan, Blocked> {
        let site = Site { policy: &self.deploy.policy, books, now: clock::now(), by: who() };
        let mut goal = goal(site)?;
        goal.rollout.playbook = self.deploy.playbook;
        plan(site, goal, only)
    }

    async fn run(&mut self, machine: &mut Machine<'_>) -> Result<Outcome, ActError> {
        let run =
            Run::new(self.deploy, self.store, self.epoch, self.audience, self.sessions, self.signalled, self.gates);
        Ok(run.until_the_end(machine).await?)
    }
}

/// Those that a gate found to be at fault.
fn suspects(left: &BTreeMap<HostName, Left>) -> BTreeSet<HostName> {
    let blamed = left.iter().filter(|(_, left)| left.is_suspect());
    blamed.map(|(host, _)| host.clone()).collect()
}
