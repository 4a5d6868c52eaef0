//! What goes into the machine and what comes out.

use crate::gate::scope::Scope;
use crate::gate::spec::Moment;
use crate::model::books::Record;
use crate::model::fault::Fault;
use crate::model::ids::{Generation, RolloutId};
use crate::model::names::{GateName, HostName, Version};
use crate::model::protocol::{Collected, Command, Reply};
use crate::model::stale::StaleReason;
use crate::model::verdict::Judgement;
use crate::plan::hosts::{HostPlan, Plan};
use std::collections::{BTreeMap, BTreeSet};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A command was answered, or can't be any more.
    Reply {
        /// Where.
        host: HostName,
        /// The command's generation; an answer to an older command is ignored.
        generation: Generation,
        /// What came.
        answer: Result<Reply, Fault>,
    },
    /// A person agreed with the plan that was asked about.
    Approved,
    /// Or did not.
    Denied,
    /// The depool hook of a host ended.
    Depooled {
        /// Which.
        host: HostName,
        /// Why it failed.
        result: Result<(), String>,
    },
    /// What came of the gates that were asked last.
    Gated(GateEnd),
    /// A person wants no new step.
    Stop,
}

/// What came of gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateEnd {
    /// They passed, or single hosts are to blame, each with why: these are left out.
    GoOn {
        /// Proven to be at fault by a second witness.
        leave_out: BTreeMap<HostName, String>,
    },
    /// The release is to blame, a line each.
    Failed(Vec<String>),
    /// A person is needed, a line each.
    Paused(Vec<String>),
}

/// What gates are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateCall {
    /// When.
    pub moment: Moment,
    /// In words: `after wave 2 of 3`.
    pub what: String,
    /// For which rollout.
    pub rollout: RolloutId,
    /// Which.
    pub gates: BTreeSet<GateName>,
    /// For at least so long, ms.
    pub least_ms: u64,
    /// Who is judged against whom.
    pub scope: Scope,
    /// What each host must hold and serve, for a second look at one that is suspected.
    pub hosts: BTreeMap<HostName, HostPlan>,
}

/// Something to be done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Commit these in one transaction; nothing later may happen before.
    Persist(Vec<Record>),
    /// Send a command; answer with [`Event::Reply`], at the deadline at the latest.
    Send {
        /// To whom.
        host: HostName,
        /// What.
        command: Box<Command>,
        /// Time for the whole of it, ms.
        deadline_ms: u64,
    },
    /// Show the plan and ask; answer with [`Event::Approved`] or [`Event::Denied`].
    Ask(Box<Plan>),
    /// Run the depool hook for a host; answer with [`Event::Depooled`].
    Depool(HostName),
    /// Ask gates; answer with [`Event::Gated`].
    Gate(Box<GateCall>),
    /// For people who watch.
    Tell(Told),
    /// Nothing follows.
    Finish(Outcome),
}

/// A step that people may want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A wave begins.
    Wave {
        /// Counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Its hosts.
        hosts: usize,
    },
    /// The hosts of a wave were switched, and these of them are proven.
    WaveDone {
        /// Counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// How many are proven.
        proven: usize,
        /// Its hosts.
        hosts: usize,
    },
    /// A host lacks content and is being repaired.
    Repairing {
        /// Which.
        host: HostName,
        /// What it lacks.
        reason: StaleReason,
    },
    /// A host serves the wanted map now.
    Switched(HostName),
    /// A host is proven at the wanted state.
    Fresh(HostName),
    /// A host removed what nobody needs, or could not.
    Collected {
        /// Which.
        host: HostName,
        /// What it removed, or why it did not.
        collected: Result<Collected, String>,
    },
    /// Gates are asked.
    Gating {
        /// When, in words.
        what: String,
        /// For at least so long, ms.
        least_ms: u64,
        /// How many.
        gates: usize,
    },
    /// A gate gave another verdict than before.
    Judged(Box<Judgement>),
    /// Who is to blame for a failed gate, in words.
    Blamed(String),
    /// A host is left behind.
    Left(HostName, StaleReason),
    /// What is wrong with a mirror, in words.
    Mirror(String),
    /// Bytes that hosts got, by where they came from.
    Brought(BTreeMap<String, u64>),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every host in scope is proven at the wanted state already.
    Nothing,
    /// Reached; `left` hosts are owed.
    Done {
        /// One line of effect, as in the books.
        effect: String,
        /// Hosts that were left behind.
        left: BTreeMap<HostName, Left>,
    },
    /// Not begun: these hosts are stale.
    Stale(BTreeMap<HostName, StaleReason>),
    /// Not begun: a person said no.
    Denied,
    /// Not begun: the plan contradicts itself, a mistake of ours.
    Lint(Vec<String>),
    /// Too many hosts failed: the driver converges the fleet back to the state before.
    GoBack(BTreeMap<HostName, StaleReason>),
    /// A gate says that it is the release: the driver converges the fleet back to the state before.
    GateFailed(Vec<String>),
    /// Not begun: a gate says no.
    Held(Vec<String>),
    /// A gate needs a person.
    Paused {
        /// A line each.
        why: Vec<String>,
        /// Whether hosts were switched before, which stay so.
        begun: bool,
    },
    /// Hosts are not as they were when the plan was made, a line each; nothing was switched.
    Changed(Vec<String>),
    /// A person stopped it; the fleet may be on two states.
    Stopped,
}

/// A host that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Why.
    pub reason: StaleReason,
    /// What it serves as far as is known; empty: not known.
    pub serves: BTreeMap<Version, usize>,
    /// Whether it was taken out of service.
    pub depooled: bool,
}

impl Left {
    /// Whether a gate found it to be at fault.
    pub fn is_suspect(&self) -> bool {
        matches!(self.reason, StaleReason::Suspect(_))
    }
}
