//! What is wanted: a snapshot to reach, how to get there, and the exact effect in numbers.

use crate::config::policy::Policy;
use crate::model::books::{Books, Kind, Pin, Pins, Rollout, Snapshot, Status};
use crate::model::ids::SnapshotId;
use crate::model::map::VersionMap;
use crate::model::names::{Group, Version};
use crate::model::time::Time;
use crate::model::words::count;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What every planning function needs to know beside its own arguments.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The site.
    pub policy: &'a Policy,
    /// The books as they stand.
    pub books: &'a Books,
    /// By the controller's clock.
    pub now: Time,
    /// Who asks, as `user@deploy-host`.
    pub by: &'a str,
}

/// How hosts move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All are proven before any is switched, wave after wave; too many failures and all go back.
    Barrier,
    /// Each host as soon as it can, whatever the others do, repaired on the way.
    Each,
}

/// How much of the wanted content each host is brought and proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// What the host will serve: enough to move, and nothing else can be in the way.
    Served,
    /// Every version that the books want, a newly cut one too, so that the next promotion finds it.
    Wanted,
}

/// Wikis of one group that move from one version to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Which group.
    pub group: Group,
    /// Before; `None`: the wiki is new.
    pub from: Option<Version>,
    /// After.
    pub to: Version,
    /// How many wikis.
    pub wikis: usize,
}

impl fmt::Display for Change {
    /// `group1: 592 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.as_ref().map_or("nothing", Version::as_str);
        write!(f, "{}: {} {from} -> {}", self.group, count(self.wikis, "wiki"), self.to)
    }
}

/// What happens to a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinFate {
    /// The move goes around it.
    SteppedAround,
    /// It was lost and comes back.
    Restored,
    /// It was made since and stays.
    Kept,
    /// It is made now.
    Made,
    /// It is removed now.
    Removed,
}

/// A pin and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinNote {
    /// The wiki's or host's name.
    pub subject: String,
    /// The version that it is held on.
    pub version: Version,
    /// What happens.
    pub fate: PinFate,
}

/// A wanted state and the way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Goal {
    /// The undertaking as it will stand in the books, status [`Status::Open`].
    pub rollout: Rollout,
    /// The state to reach.
    pub snapshot: Snapshot,
    /// Whether the books do not have that state yet.
    pub is_new: bool,
    /// How hosts move.
    pub mode: Mode,
    /// What each host is brought and proves.
    pub extent: Extent,
    /// The exact effect on the map.
    pub changes: Vec<Change>,
    /// What happens to pins.
    pub pins: Vec<PinNote>,
    /// Versions that a rollback from the new state would need; proven too before a forward move.
    pub fallback: BTreeSet<Version>,
    /// Groups whose last move this takes back, for the hold; `None`: no hold is set.
    pub hold: Option<String>,
    /// Versions that stay on hosts when all others are to be removed there; `None`: nothing is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<BTreeSet<Version>>,
}

/// Why something can't be planned, in words, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Blocked {
    /// What kind; it decides the exit code.
    pub why: Why,
    /// What is wrong.
    pub what: String,
    /// What to type.
    pub hint: Option<String>,
}

/// Kinds of [`Blocked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The arguments can't be meant.
    Usage,
    /// Policy says no: hold, rolled back before.
    Refused,
    /// Whoever asks has no right to it.
    NoRight,
    /// A person is needed first: expired pin, unfinished undertaking.
    Paused,
}

impl Blocked {
    /// A reason without a hint.
    pub fn new(why: Why, what: impl Into<String>) -> Self {
        Self { why, what: what.into(), hint: None }
    }

    /// Adds what to type.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Site<'_> {
    /// The wanted state, or why there is none yet.
    pub fn wanted(&self) -> Result<&Snapshot, Blocked> {
        self.books.wanted().ok_or_else(|| {
            Blocked::new(Why::Paused, "the books are empty: no content was ever taken from staging")
                .hint("pointsman sync-common --from-staging")
        })
    }

    /// A rollout row for an undertaking that begins now.
    pub fn rollout(&self, kind: Kind, to: SnapshotId, why: &str) -> Rollout {
        Rollout {
            id: self.books.next_rollout(),
            kind,
            groups: Vec::new(),
            version: None,
            from: self.books.current,
            to,
            by: self.by.to_owned(),
            why: why.to_owned(),
            at: self.now,
            status: Status::Open,
            dispatched: false,
            effect: String::new(),
            playbook: None,
        }
    }

    /// The pins in force: those of the books, and those that groups.yaml declares now, the books' winning.
    pub fn pins(&self) -> Pins {
        let recorded = self.books.wanted().map(|s| s.pins.clone()).unwrap_or_default();
        let mut pins = self.policy.pins.clone();
        let by_hand = |pin: &Pin| pin.source == crate::model::books::PinSource::Books;
        pins.wikis.extend(recorded.wikis.into_iter().filter(|(_, pin)| by_hand(pin)));
        pins.hosts.extend(recorded.hosts.into_iter().filter(|(_, pin)| by_hand(pin)));
        pins
    }
}

/// The effect of going from one map to another, per group in the order of promotion.
pub fn changes(policy: &Policy, from: &VersionMap, to: &VersionMap) -> Vec<Change> {
    let mut changes = Vec::new();
    for group in &policy.groups {
        let mut counts: BTreeMap<(Option<&Version>, &Version), usize> = BTreeMap::new();
        for wiki in &group.wikis {
            let (before, after) = (from.0.get(wiki), to.0.get(wiki));
            if let Some(after) = after.filter(|_| before != after) {
                *counts.entry((before, after)).or_default() += 1;
            }
        }
        let named = |((from, to), wikis): ((Option<&Version>, &Version), usize)| Change {
            group: group.name.clone(),
            from: from.cloned(),
            to: to.clone(),
            wikis,
        };
        changes.extend(counts.into_iter().map(named));
    }
    changes
}
