//! What goes into the machine and what comes out.

use crate::model::books::Record;
use crate::model::fault::Fault;
use crate::model::ids::Generation;
use crate::model::names::{HostName, Version};
use crate::model::protocol::{Command, Reply};
use crate::model::stale::StaleReason;
use crate::plan::hosts::Plan;
use std::collections::BTreeMap;

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
    /// A person wants no new step.
    Stop,
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
    /// A host is left behind.
    Left(HostName, StaleReason),
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
