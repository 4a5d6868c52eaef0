//! What can go wrong in the simulated world, and how often.

use crate::config::diagnostic::Diagnostics;
use crate::config::rates;
use std::collections::BTreeMap;
use std::path::Path;

/// Chances that a rate counts in.
pub const CHANCES: u32 = 10_000;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A command never arrives.
    CommandLost,
    /// A command is obeyed and the answer never arrives.
    ReplyLost,
    /// An answer arrives seconds or minutes late, after newer ones.
    ReplyLate,
    /// An answer arrives a second time, later.
    ReplyTwice,
    /// A command arrives seconds or minutes late, after newer ones.
    Late,
    /// A command arrives a second time, later.
    Twice,
    /// A host takes most of its time to answer, or a little more.
    Slow,
    /// A host is off for a while.
    Dead,
    /// A host is off for a while and comes back with another boot id.
    Rebooted,
    /// A host is reinstalled, or its disk is moved to another machine.
    Rebuilt,
    /// A host's disk is replaced by a copy of another one's.
    Cloned,
    /// A host's disk is full for a while.
    DiskFull,
    /// Files of a tree are gone or others, below its marker.
    Damaged,
    /// Somebody changes the served map by hand.
    MapEdited,
    /// The agent is killed between two changes, in the middle of one.
    AgentKilled,
    /// An operator dies between two effects; what it sent still arrives.
    Crash,
    /// A second operator takes over with a rollback while the first one acts.
    TakeOver,
    /// An operator's clock is hours or days off.
    Skewed,
    /// An operator's clock is set while it acts, by hours or days in either direction.
    ClockJumps,
    /// A gate fails, pauses or blames a host.
    GateFlaps,
}

/// Every kind, its name in a file of faults, and how often it happens unless that says otherwise.
pub const KINDS: [(Kind, &str, u32); 20] = [
    (Kind::CommandLost, "command_lost", 50),
    (Kind::ReplyLost, "reply_lost", 50),
    (Kind::ReplyLate, "reply_late", 50),
    (Kind::ReplyTwice, "reply_twice", 200),
    (Kind::Late, "late", 50),
    (Kind::Twice, "twice", 500),
    (Kind::Slow, "slow", 200),
    (Kind::Dead, "dead", 15),
    (Kind::Rebooted, "rebooted", 15),
    (Kind::Rebuilt, "rebuilt", 15),
    (Kind::Cloned, "cloned", 5),
    (Kind::DiskFull, "disk_full", 10),
    (Kind::Damaged, "damaged", 30),
    (Kind::MapEdited, "map_edited", 10),
    (Kind::AgentKilled, "agent_killed", 150),
    (Kind::Crash, "crash", 12),
    (Kind::TakeOver, "take_over", 3_000),
    (Kind::Skewed, "skewed", 2_500),
    (Kind::ClockJumps, "clock_jumps", 20),
    (Kind::GateFlaps, "gate_flaps", 1_500),
];

/// How often each kind happens, in [`CHANCES`]: per command, per effect for crashes and clocks that are
/// set, per undertaking for take-overs and clocks that are off, per question for gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub BTreeMap<Kind, u32>);

impl Default for Faults {
    fn default() -> Self {
        Self(KINDS.map(|(kind, _, rate)| (kind, rate)).into())
    }
}

impl Faults {
    /// The rates of a file, for kinds that it names; the others keep theirs.
    ///
    /// # Errors
    ///
    /// All mistakes of the file at once.
    pub fn load(file: &Path) -> Result<Self, Diagnostics> {
        let rates = rates::load(file, &KINDS.map(|(_, name, _)| name), CHANCES)?;
        Ok(Self(KINDS.map(|(kind, name, rate)| (kind, rates.get(name).copied().unwrap_or(rate))).into()))
    }

    /// In [`CHANCES`].
    pub fn rate(&self, kind: Kind) -> u32 {
        self.0.get(&kind).copied().unwrap_or_default()
    }
}

impl Kind {
    /// Whether it happens more often in bad weather. Hands and clocks know none, and it must hit in calm, when hosts do switch.
    pub fn knows_weather(self) -> bool {
        !matches!(self, Kind::GateFlaps | Kind::Skewed | Kind::ClockJumps | Kind::Damaged | Kind::MapEdited)
    }

    /// Its name in a file of faults.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }
}
