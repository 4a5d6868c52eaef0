//! What can go wrong in the simulated world, and how often.

use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A command never arrives.
    CommandLost,
    /// A command is obeyed and the answer never arrives.
    ReplyLost,
    /// A command arrives seconds or minutes late, after newer ones.
    Late,
    /// A command arrives a second time, later.
    Twice,
    /// A host is off for a while.
    Dead,
    /// A host is reinstalled, or its disk is moved to another machine.
    Rebuilt,
    /// An operator dies between two effects; what it sent still arrives.
    Crash,
    /// A second operator takes over with a rollback while the first one acts.
    TakeOver,
}

/// How often each kind happens, in 10,000 chances: per command, per effect for crashes, per undertaking for take-overs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub BTreeMap<Kind, u32>);

impl Default for Faults {
    fn default() -> Self {
        use Kind::{CommandLost, Crash, Dead, Late, Rebuilt, ReplyLost, TakeOver, Twice};
        let rates = [
            (CommandLost, 15),
            (ReplyLost, 15),
            (Late, 15),
            (Twice, 100),
            (Dead, 8),
            (Rebuilt, 12),
            (Crash, 10),
            (TakeOver, 2_000),
        ];
        Self(rates.into())
    }
}

impl Faults {
    /// In 10,000 chances.
    pub fn rate(&self, kind: Kind) -> u32 {
        self.0.get(&kind).copied().unwrap_or_default()
    }
}
