//! What came of a replay.

use crate::model::names::{Group, HostName};
use crate::model::time::Time;
use std::collections::BTreeMap;

/// A replayed incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// The incident's name.
    pub incident: String,
    /// In one line.
    pub title: String,
    /// Each chapter that was asked for, in order.
    pub chapters: Vec<ChapterPlayed>,
}

/// One chapter.
#[derive(Debug, Clone, PartialEq)]
pub struct ChapterPlayed {
    /// Its name.
    pub name: String,
    /// Since when pointsman acts.
    pub from: Time,
    /// Its last moment.
    pub to: Time,
    /// In order of time.
    pub rows: Vec<Row>,
    /// What pointsman was asked to do or did by itself, in order.
    pub acts: Vec<Act>,
    /// Gates of which the incident says nothing, so that they were not asked.
    pub unmeasured: Vec<String>,
    /// For how long each group served the version that the incident is about, within the chapter.
    pub served: BTreeMap<Group, Served>,
}

/// One line of the two columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub at: Time,
    /// Whose column.
    pub side: Side,
    /// In words; text of the incident's file is in it.
    pub text: String,
    /// Where it is known from; empty for pointsman's.
    pub prov: String,
}

/// Whose column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// What happened.
    History,
    /// What pointsman would have done.
    Pointsman,
}

/// One undertaking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// As it is typed: `promote group1 1.27.0-wmf.11`, `rollback`, `repair mw2020.codfw.wmnet`.
    pub what: String,
    /// When it began.
    pub began: Time,
    /// When it ended, a promotion's watch included.
    pub ended: Time,
    /// How.
    pub end: ActEnd,
    /// Why: a line each.
    pub why: Vec<String>,
    /// Hosts that were repaired on the way, and what they lacked.
    pub repaired: BTreeMap<HostName, String>,
    /// Hosts that were left behind, and why.
    pub left: BTreeMap<HostName, String>,
    /// Whether wikis went to the version that the incident is about.
    pub forward: bool,
}

/// How an undertaking ended. The names are those of policy tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActEnd {
    /// It went through and its watch passed.
    Promoted,
    /// The books or a gate did not let it begin.
    Held,
    /// Hosts were not ready, so nothing was switched.
    Stale,
    /// The release was to blame and was taken back.
    RolledBack,
    /// A person is needed.
    Paused,
    /// A rollback or a repair was done.
    Done,
    /// There was nothing to do.
    Nothing,
}

/// For how long a group served the version, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Served {
    /// In history.
    pub history_ms: u64,
    /// With pointsman.
    pub pointsman_ms: u64,
}

impl ActEnd {
    /// As in JSON and in policy tests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Held => "held",
            Self::Stale => "stale",
            Self::RolledBack => "rolled-back",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Nothing => "nothing",
        }
    }
}
