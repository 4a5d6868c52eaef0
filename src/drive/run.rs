//! The loop around a machine: effects out, events in.
//!
//! Invariant: effects are executed strictly in order, and a `Persist` has returned before a later `Send` leaves. When
//! the books refuse a `Persist`, nothing after it happens.

use super::clock;
use super::deploy::Deploy;
use super::gating::{self, Gating};
use super::hook;
use super::offered::{Offered, Way};
use super::proxies::Proxies;
use super::signals::{Signalled, Signals};
use crate::fleet::session::Session;
use crate::fleet::{Fleet, Install};
use crate::model::books::{Record, Status};
use crate::model::fault::Fault;
use crate::model::ids::Generation;
use crate::model::limits::SIGNATURES_MS_MAX;
use crate::model::names::{GateName, HostName};
use crate::model::protocol::{Command, Reply};
use crate::model::signed::Signing;
use crate::model::time::Time;
use crate::plan::hosts::Plan;
use crate::report::notice;
use crate::rollout::effect::{Effect, Event, GateCall, Outcome, Told};
use crate::rollout::machine::Machine;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::tree::content::ContentStore;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Who watches and who decides.
pub trait Audience {
    /// Shows a plan and asks whether to go on. The answer may take its time: signals are heard meanwhile, and an audience
    /// that goes away without one has not agreed.
    fn ask(&mut self, plan: &Plan) -> oneshot::Receiver<bool>;
    /// Shows a step.
    fn tell(&mut self, told: &Told);
    /// A command is under way to a host, or came to an end there.
    fn moves(&mut self, host: &HostName, step: Step);
    /// A signal was heard: no new step begins, and what is under way to so many hosts is finished.
    fn stopping(&mut self, hosts: usize);
    /// Where the bytes of content that go from here to hosts are counted.
    fn sent(&self) -> Arc<AtomicU64>;
}

/// How a command to a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It was sent: `observe`, `prepare`, `switch`, `confirm`.
    Begun(&'static str),
    /// Its answer came.
    Answered,
    /// No answer came.
    Failed,
}

/// Why a run ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The books refused or broke.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A second signal: stopped at once, with whatever was in flight.
    #[error("stopped at once by a second signal; the fleet may be between two states")]
    Killed(Signalled),
    /// Signals can't be listened to.
    #[error("signals can't be listened to")]
    Signals(#[source] std::io::Error),
}

/// Of a prepare: who may serve the host.
struct Lead {
    proxies: Arc<Proxies>,
    datacenter: String,
    /// Whether groups.yaml demands that what is brought is signed.
    demands_signature: bool,
}

/// What was waited for.
enum Waited {
    /// These happened.
    For(Vec<Event>),
    /// Somebody wishes for an end.
    Signalled(Signalled),
}

/// What a task gives back: the event, and the session to keep.
type Done = (Event, Option<(HostName, Session)>);

/// One run of one machine.
pub struct Run<'a> {
    deploy: &'a Deploy,
    content: Arc<ContentStore>,
    store: &'a mut dyn Store,
    epoch: u64,
    audience: &'a mut dyn Audience,
    sessions: &'a mut BTreeMap<HostName, Session>,
    signalled: &'a mut Option<Signalled>,
    gates: &'a mut Gates,
    proxies: Arc<Proxies>,
    tasks: JoinSet<Done>,
    /// The answer that a person owes.
    asked: Option<oneshot::Receiver<bool>>,
}

/// The gates of a command, from their first look on.
#[derive(Debug, Default)]
pub struct Gates {
    /// Gates that a person overrules, with the reason.
    pub overruled: BTreeMap<GateName, String>,
    /// Once they were asked.
    pub gating: Option<Gating>,
}

impl<'a> Run<'a> {
    /// A run under `epoch`. Sessions are kept for the next run of the same command; `signalled` says afterwards whether
    /// somebody wished for an end.
    pub fn new(
        deploy: &'a Deploy,
        store: &'a mut dyn Store,
        epoch: u64,
        audience: &'a mut dyn Audience,
        sessions: &'a mut BTreeMap<HostName, Session>,
        signalled: &'a mut Option<Signalled>,
        gates: &'a mut Gates,
    ) -> Self {
        let content = Arc::new(deploy.content.clone());
        let proxies = Arc::new(Proxies::new(Arc::clone(&deploy.fleet), Arc::clone(&deploy.mirrors)));
        let (tasks, asked) = (JoinSet::new(), None);
        Self { deploy, content, store, epoch, audience, sessions, signalled, gates, proxies, tasks, asked }
    }

    /// Runs `machine` to its end.
    pub async fn until_the_end(mut self, machine: &mut Machine<'_>) -> Result<Outcome, RunError> {
        let mut signals = Signals::new().map_err(RunError::Signals)?;
        // Of this run: one that goes back after a stop can be stopped anew.
        let mut stopping = false;
        let mut effects = machine.start(clock::now());
        loop {
            for effect in effects {
                if let Some(outcome) = self.execute(effect, machine.plan())? {
                    self.proxies.close().await;
                    return Ok(outcome);
                }
            }
            let events = match self.wait(&mut signals).await? {
                Waited::For(events) => events,
                Waited::Signalled(by) if stopping => return Err(RunError::Killed(by)),
                Waited::Signalled(by) => {
                    (*self.signalled, stopping) = (Some(by), true);
                    self.audience.stopping(self.tasks.len());
                    vec![Event::Stop]
                }
            };
            effects = machine.step(clock::now(), events);
        }
    }

    /// Executes one effect; an outcome ends the run.
    fn execute(&mut self, effect: Effect, plan: &Plan) -> Result<Option<Outcome>, StoreError> {
        match effect {
            Effect::Persist(records) => {
                self.store.append(clock::now(), self.epoch, &records)?;
                self.recorded(plan, &records);
            }
            Effect::Send { host, command, deadline_ms } => self.send(host, command, deadline_ms),
            Effect::Ask(plan) => self.asked = Some(self.audience.ask(&plan)),
            Effect::Depool(host) => self.depool(host),
            Effect::Gate(call) => self.gate(*call)?,
            Effect::Tell(told) => {
                self.deploy.notifier.tell(notice::told(clock::now(), &plan.goal.rollout, &told));
                self.audience.tell(&told);
            }
            Effect::Finish(outcome) => {
                self.deploy.notifier.tell(notice::ended(clock::now(), plan, &outcome));
                self.traffic();
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    /// Tells those who are not here what is on the books now.
    fn recorded(&self, plan: &Plan, records: &[Record]) {
        for record in records {
            let notice = match record {
                Record::Opened { .. } => notice::opened(clock::now(), plan),
                Record::Ended { rollout, status: Status::WentBack, .. } => {
                    // Without books there is nobody to name, and what follows here says so.
                    let books = self.store.load().ok();
                    let taken_back = books.as_ref().and_then(|books| books.rollouts.get(rollout));
                    taken_back.map(|rollout| notice::went_back(clock::now(), rollout, &plan.goal.rollout))
                }
                _ => None,
            };
            self.deploy.notifier.tell(notice);
        }
    }

    fn send(&mut self, host: HostName, command: Box<Command>, deadline_ms: u64) {
        let kept = self.sessions.remove(&host);
        let (fleet, content) = (Arc::clone(&self.deploy.fleet), Arc::clone(&self.content));
        let mirrors = Arc::clone(&self.deploy.mirrors);
        let datacenter = self.deploy.policy.hosts.get(&host).map_or("", |host| host.datacenter.as_str());
        let (near, within) = (mirrors.near(datacenter), Duration::from_millis(deadline_ms));
        let way = Way { mirrors, near, host, proxy: None, within };
        let lead = match &*command {
            Command::Prepare { .. } => Some(Lead {
                proxies: Arc::clone(&self.proxies),
                datacenter: datacenter.to_owned(),
                demands_signature: self.deploy.policy.signed,
            }),
            _ => None,
        };
        self.audience.moves(&way.host, Step::Begun(command.name()));
        let sent = self.audience.sent();
        self.tasks.spawn_local(converse(fleet, content, kept, way, command, lead, sent));
    }

    /// Tells what is new of mirrors, and what came from where.
    fn traffic(&mut self) {
        self.news();
        let brought = self.deploy.mirrors.brought();
        if brought.values().any(|bytes| *bytes > 0) {
            self.audience.tell(&Told::Brought(brought));
        }
    }

    fn news(&mut self) {
        self.deploy.mirrors.news().into_iter().for_each(|sentence| self.audience.tell(&Told::Mirror(sentence)));
    }

    fn depool(&mut self, host: HostName) {
        let argv = self.deploy.policy.hooks.depool.clone();
        let deadline_ms = self.deploy.policy.limits.command_ms_max;
        self.tasks.spawn_local(async move {
            let result = hook::run(&argv, &host, deadline_ms).await;
            (Event::Depooled { host, result }, None)
        });
    }

    /// Asks gates; providers that read logs keep what they know from one call to the next.
    fn gate(&mut self, call: GateCall) -> Result<(), StoreError> {
        let books = self.store.load()?;
        if self.gates.gating.is_none() {
            let known = self.store.signatures(Time(clock::now().0.saturating_sub(SIGNATURES_MS_MAX)))?;
            let overruled = self.gates.overruled.clone();
            self.gates.gating = Some(Gating::new(self.deploy, Install::IfMissing, &known, overruled));
        }
        if let Some(gating) = &mut self.gates.gating {
            gating.begin(call, books);
        }
        Ok(())
    }

    /// Does what the gates ask for; their end is an event.
    fn gated(&mut self, step: gating::Step) -> Result<Vec<Event>, StoreError> {
        let (records, told, events) = match step {
            gating::Step::Books => {
                let books = self.store.load()?;
                self.gates.gating.iter_mut().for_each(|gating| gating.books(books.clone()));
                return Ok(Vec::new());
            }
            gating::Step::Learned { records, told } => (records, told, Vec::new()),
            gating::Step::Ended { end, records, told } => (records, told, vec![Event::Gated(end)]),
        };
        if !records.is_empty() {
            self.store.append(clock::now(), self.epoch, &records)?;
            self.deploy.notifier.asked(self.store, &records);
        }
        told.iter().for_each(|told| self.audience.tell(told));
        Ok(events)
    }

    /// Waits for something to happen, then takes everything that has happened meanwhile: one commit serves all.
    async fn wait(&mut self, signals: &mut Signals) -> Result<Waited, StoreError> {
        let first = tokio::select! {
            Some(done) = self.tasks.join_next() => done,
            step = next(&mut self.gates.gating) => return self.gated(step).map(Waited::For),
            yes = answer(&mut self.asked) => {
                return Ok(Waited::For(vec![if yes { Event::Approved } else { Event::Denied }]));
            }
            by = signals.next() => return Ok(Waited::Signalled(by)),
        };
        let mut events = vec![self.done(first)];
        // Answers that are here already have to be read before they count: one turn for the driver, one for the conversation.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        while let Some(done) = self.tasks.try_join_next() {
            events.push(self.done(done));
        }
        Ok(Waited::For(events))
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) -> Event {
        let (event, kept) = done.expect("a conversation neither panics nor is cancelled");
        if let Event::Reply { host, answer, .. } = &event {
            self.audience.moves(host, if answer.is_ok() { Step::Answered } else { Step::Failed });
        }
        self.sessions.extend(kept);
        self.news();
        event
    }
}

/// What the gates want next; never anything while none are asked.
async fn next(gating: &mut Option<Gating>) -> gating::Step {
    match gating {
        Some(gating) => gating.next().await,
        None => std::future::pending().await,
    }
}

/// A person's answer; never anything while none is owed.
async fn answer(asked: &mut Option<oneshot::Receiver<bool>>) -> bool {
    match asked {
        Some(owed) => {
            let yes = owed.await.unwrap_or_default();
            *asked = None;
            yes
        }
        None => std::future::pending().await,
    }
}

/// One command to one host over its kept session, or over a new one.
async fn converse(
    fleet: Arc<Fleet>,
    content: Arc<ContentStore>,
    kept: Option<Session>,
    way: Way,
    command: Box<Command>,
    lead: Option<Lead>,
    sent: Arc<AtomicU64>,
) -> Done {
    let host = way.host.clone();
    let generation: Generation = command.stamp().generation;
    tracing::debug!(%host, %generation, within = ?way.within, "a command goes out");
    let asked = async {
        let mut session = match kept {
            Some(session) => session,
            None => fleet.session(&host, Install::IfMissing).await?,
        };
        let reply = ask(&mut session, &content, &command, way, lead, &sent).await?;
        Ok((reply, session))
    };
    let (answer, session) = match asked.await {
        Ok((reply, session)) => (Ok(reply), Some((host.clone(), session))),
        // A session that failed once is not trusted again: the next command opens another.
        Err(fault) => (Err(fault), None),
    };
    match &answer {
        Ok(_) => tracing::debug!(%host, %generation, "an answer came"),
        Err(fault) => tracing::debug!(%host, %generation, %fault, "no answer"),
    }
    (Event::Reply { host, generation, answer }, session)
}

/// The same command with the signature that was made of what it brings.
fn signed(mut command: Command, demanded: bool, content: &ContentStore) -> Result<Command, Fault> {
    if let Command::Prepare { want, signing, .. } = &mut command {
        let signed = content.signed(&want.component, want.id).map_err(|e| Fault::Other(e.to_string()))?;
        *signing = Signing { demanded, signed };
    }
    Ok(command)
}

async fn ask(
    session: &mut Session,
    content: &Arc<ContentStore>,
    command: &Command,
    mut way: Way,
    lead: Option<Lead>,
    counted: &AtomicU64,
) -> Result<Reply, Fault> {
    let (Command::Prepare { want, .. }, Some(lead)) = (command, lead) else {
        return session.command(command, way.within).await;
    };
    let command = &signed(command.clone(), lead.demands_signature, content)?;
    // Before the conversation, which takes a turn of the fleet.
    let begun = Instant::now();
    way.proxy = lead.proxies.near(&lead.datacenter, &way.host, want, way.within).await;
    way.near.splice(0..0, way.proxy.iter().map(|near| near.number));
    let within = way.within.saturating_sub(begun.elapsed());
    let missing = || {
        Fault::Other(format!(
            "this deploy host has no copy of {} ({}): `pointsman sync-common --from-staging` takes it in where staging \
             has it; or go on from the deploy host that took it in",
            want.component,
            want.id.short()
        ))
    };
    let listing = content.listing(want.id).map_err(|e| Fault::Other(e.to_string()))?.ok_or_else(missing)?;
    let mirrors = Arc::clone(&way.mirrors);
    let offered = Offered::new(Arc::clone(content), Arc::clone(&listing), way);
    let mut sent = |bytes| {
        counted.fetch_add(bytes, Ordering::Relaxed);
        mirrors.sent(bytes);
    };
    session.prepare(command, &listing.packed, &offered, within, &mut sent).await
}
