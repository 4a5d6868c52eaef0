//! Playbooks as they are carried out: read, checked, every variable replaced.
//!
//! Invariant: a value of this type was checked against the site that it was read for. What a stage does is a line as a
//! person would type it ([`Verb::Commands`]), so there is no second way to do anything.

use crate::model::names::{Group, HostName, Version};
use crate::model::time::Time;
use jiff::civil;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

/// Stages in order, and when they may run.
#[derive(Debug, Clone, PartialEq)]
pub struct Playbook {
    /// Its name.
    pub name: String,
    /// The value of each variable.
    pub vars: BTreeMap<String, String>,
    /// Never empty, each name once.
    pub stages: Vec<Stage>,
    /// When nothing that moves may run.
    pub freezes: Vec<Freeze>,
    /// When alone something that moves may run; `None`: always.
    pub hours: Option<Hours>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// What it does.
    pub verb: Verb,
    /// What follows when it fails.
    pub on_fail: OnFail,
    /// The stage that follows, always a later one; `None`: the playbook ends.
    pub next: Option<usize>,
    /// How much failure is borne; `None`: none.
    pub budget: Option<Budget>,
    /// The hosts or items that the budget counts among.
    pub targets: usize,
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Commands of the command line, one after the other.
    Commands(Commands),
    /// Asks the gates of the promotion before, for so long from the stage's first beginning, ms.
    Soak(u64),
    /// Waits for a person.
    Approve {
        /// What is asked.
        text: String,
        /// For so long before it pauses, ms.
        within_ms: u64,
    },
    /// A program over hosts or items.
    Run(Run),
    /// A program on the deploy host, or a line in the books.
    Notify(Notify),
}

/// Commands as they are typed, without the program's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// One for each batch.
    pub lines: Vec<Vec<String>>,
    /// What they move, for the way back and for freezes.
    pub moves: Moves,
    /// The hosts whose failures count; empty: every host that serves.
    pub hosts: BTreeSet<HostName>,
    /// A pin's `for`, ms: `--until` is added when it begins.
    pub for_ms: Option<u64>,
}

/// What a command moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moves {
    /// Nothing, or only towards what the books want already.
    Nothing,
    /// Groups go back.
    Back,
    /// A group goes to a version; `rollback` takes it back.
    Promote(Group, Version),
    /// Wanted content; `undo` takes it back.
    Content,
    /// A pin on this subject; `unpin` takes it back.
    Pin(String),
    /// A pin is removed, which nothing takes back.
    Unpin,
}

/// A program over hosts or items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The program and its arguments; `$item` stands for the item or the host.
    pub argv: Vec<String>,
    /// Whether it runs on the hosts themselves; otherwise on the deploy host.
    pub on_hosts: bool,
    /// Host or item names by wave, each once.
    pub waves: Vec<Vec<String>>,
    /// So many at the same time.
    pub parallel: usize,
    /// Each, ms.
    pub deadline_ms: u64,
}

/// How people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// A program on the deploy host.
    Argv(Vec<String>),
    /// A line in the books.
    Sal(String),
}

/// What follows a failed stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// What the playbook moved is taken back, newest first.
    Rollback,
    /// It waits for a person.
    Pause,
    /// It goes on all the same.
    Continue,
}

/// Failures that are borne: each bound holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// At most so many fail.
    pub hosts: Option<u64>,
    /// At most so many of a hundred fail.
    pub percent: Option<u64>,
    /// At most so many can't be reached; these are not counted among the failed.
    pub unreachable: u64,
}

/// A time in which nothing that moves may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Its first moment.
    pub from: Time,
    /// The first moment after it.
    pub to: Time,
    /// Why.
    pub reason: String,
}

/// Hours of a week.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// Whose clock.
    pub zone: TimeZone,
    /// Its name as it was written.
    pub zone_name: String,
    /// On which days, `mon` to `sun`, counted from Monday 1.
    pub days: BTreeSet<i8>,
    /// The first moment of a day.
    pub from: civil::Time,
    /// The first moment after.
    pub to: civil::Time,
}

impl Playbook {
    /// The groups that it promotes.
    pub fn promotes(&self) -> Vec<Group> {
        let promoted = self.stages.iter().filter_map(|stage| match &stage.verb {
            Verb::Commands(Commands { moves: Moves::Promote(group, _), .. }) => Some(group.clone()),
            _ => None,
        });
        promoted.collect()
    }
}

impl Stage {
    /// Whether freezes and hours stop it: what goes forward, and programs that nobody knows.
    pub fn is_forward(&self) -> bool {
        match &self.verb {
            Verb::Commands(commands) => !matches!(commands.moves, Moves::Nothing | Moves::Back),
            Verb::Run(_) => true,
            Verb::Soak(_) | Verb::Approve { .. } | Verb::Notify(_) => false,
        }
    }
}
