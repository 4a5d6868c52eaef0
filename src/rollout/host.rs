//! Where each host stands in a rollout.

use crate::model::component::Want;
use crate::model::ids::Generation;
use crate::model::protocol::{Expect, Observation};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::plan::assess;
use std::collections::VecDeque;

/// What is being waited for from a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing was sent yet, or everything sent was answered.
    Idle,
    /// The answer to an observe.
    Observing,
    /// The answer to a prepare; the rest are to follow.
    Preparing(VecDeque<Want>),
    /// The answer to a switch.
    Switching,
    /// The answer to a confirm.
    Confirming,
    /// The depool hook.
    Depooling,
    /// It is proven at the wanted state; only where each goes for itself.
    Done,
    /// It is left behind.
    Left,
}

/// One host's progress.
#[derive(Debug, Clone)]
pub struct HostState {
    /// What is being waited for.
    pub step: Step,
    /// The command that is not answered yet.
    pub pending: Option<Generation>,
    /// The last observation under this epoch, and when it was asked for.
    pub seen: Option<(Box<Observation>, Time)>,
    /// The observe that `seen` answered.
    pub observed: Option<Generation>,
    /// The last command that the host can have obeyed when it showed what is, or was last, waited for.
    pub sent_before: Option<Generation>,
    /// Whether `seen` came with the answer to a switch.
    pub read_back: bool,
    /// How often something was tried again.
    pub attempts: u32,
    /// Why it is not as wanted, once that is known.
    pub failure: Option<StaleReason>,
    /// Whether it was taken out of service.
    pub depooled: bool,
}

impl HostState {
    /// Before anything.
    pub fn new() -> Self {
        Self {
            step: Step::Idle,
            pending: None,
            seen: None,
            observed: None,
            sent_before: None,
            read_back: false,
            attempts: 0,
            failure: None,
            depooled: false,
        }
    }

    /// What a mutating command names: the host as this epoch's observe returned it.
    pub fn expect(&self) -> Option<Expect> {
        self.seen.as_ref().and_then(|(seen, _)| assess::expect(seen))
    }

    /// Whether nothing more is to come from it.
    pub fn ended(&self) -> bool {
        matches!(self.step, Step::Done | Step::Left)
    }
}
