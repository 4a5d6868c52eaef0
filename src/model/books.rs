//! The books: everything that survives a crash, as one value, and the records that change it.
//!
//! Invariant: a store is correct when loading it gives the same [`Books`] as applying its records in order to an
//! empty one. The simulator keeps books by [`Books::apply`] alone; SQLite and PostgreSQL keep rows.

mod apply;

use super::component::Component;
use super::digest::Digest;
use super::health::{Health, HealthRecord};
use super::ids::{BooksId, Generation, Incarnation, PlaybookId, RolloutId, SnapshotId};
use super::map::VersionMap;
use super::names::{Group, HostName, Version, Wiki};
use super::playbook::{PlaybookRecord, PlaybookRun};
use super::protocol::Readiness;
use super::stale::{Stale, StaleReason};
use super::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The wanted state of the fleet and its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Books {
    /// Which books.
    pub id: BooksId,
    /// The highest epoch that was ever taken.
    pub epoch: u64,
    /// Who holds the right to act; `None`: nobody.
    pub lock: Option<Lock>,
    /// The snapshot that the fleet is wanted to be in; `None` before the first sync.
    pub current: Option<SnapshotId>,
    /// Recorded states.
    pub snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// What was undertaken.
    pub rollouts: BTreeMap<RolloutId, Rollout>,
    /// What is known of each host.
    pub hosts: BTreeMap<HostName, HostRow>,
    /// Why nothing may go forward.
    pub hold: Option<Hold>,
    /// Open blockers, and what gates said in the rollouts above.
    pub health: Health,
    /// Runs of playbooks.
    #[serde(default)]
    pub playbooks: BTreeMap<PlaybookId, PlaybookRun>,
}

/// The holder of the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// Its epoch.
    pub epoch: u64,
    /// Who, as `user@deploy-host pid 12`.
    pub holder: String,
    /// For what.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// A reason that stops forward moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Who set it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// A wanted state: which wiki runs what, at which content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// The fleet's map, wiki pins already in it.
    pub map: VersionMap,
    /// Pins in force.
    pub pins: Pins,
    /// The wanted content id of every component.
    pub wanted: BTreeMap<Component, Digest>,
    /// When it was recorded.
    pub at: Time,
}

/// Wikis and hosts that are held on a version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Pins {
    /// Held everywhere.
    pub wikis: BTreeMap<Wiki, Pin>,
    /// The host runs this version for all wikis; beats wiki pins.
    pub hosts: BTreeMap<HostName, Pin>,
}

/// Why something is held on a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pin {
    /// On which.
    pub version: Version,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Since when.
    pub since: Time,
    /// When it expires; it then blocks the next promotion until renewed or removed.
    pub until: Option<Time>,
    /// Where it was declared.
    pub source: PinSource,
}

/// Where a pin was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinSource {
    /// By the `pin` command.
    Books,
    /// In groups.yaml.
    Config,
}

/// What kind of undertaking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Groups to a version.
    Promote,
    /// Back to a recorded state.
    Rollback,
    /// A wiki or host held on a version.
    Pin,
    /// And let go.
    Unpin,
    /// New wanted content.
    Sync,
    /// The content before.
    Undo,
    /// Hosts brought to the wanted state, which does not move.
    Converge,
}

/// How an undertaking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Begun and not ended; after a crash `converge` ends it.
    Open,
    /// Proven on every host in scope.
    Done,
    /// Done, and hosts are owed.
    Owed,
    /// Ended before any host was switched.
    Dropped,
    /// Some hosts were switched, and all were brought back.
    WentBack,
    /// Replaced by a newer undertaking.
    Superseded,
}

/// How the reason of a rollback begins that nobody asked for.
pub const BY_THE_WATCH: &str = "by the watch";

/// An undertaking in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// Its name.
    pub id: RolloutId,
    /// What kind.
    pub kind: Kind,
    /// Which groups it moves; empty when it moves none as such.
    pub groups: Vec<Group>,
    /// The version promoted to or taken back.
    pub version: Option<Version>,
    /// The wanted state before; `None` for the very first sync.
    pub from: Option<SnapshotId>,
    /// The wanted state after.
    pub to: SnapshotId,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// When it was recorded.
    pub at: Time,
    /// How it stands.
    pub status: Status,
    /// Whether a switch was ever intended, so that hosts may have moved.
    pub dispatched: bool,
    /// One line of effect, written when it ended.
    pub effect: String,
    /// For which run of a playbook; `None`: a person or a timer typed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookId>,
}

/// What the books know of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HostRow {
    /// Its installation, as last accepted.
    pub incarnation: Option<Incarnation>,
    /// The map it served when last seen.
    pub active: Option<Digest>,
    /// Its kernel's boot id then.
    pub boot_id: String,
    /// The highest generation that was sent to it.
    pub sent: Option<Generation>,
    /// The highest generation that it answered to; a lower fence there is a restored image.
    pub fence: Option<Generation>,
    /// When an agent last answered there.
    pub seen: Option<Time>,
    /// Why it is not trusted now; a host without a row is new, which is stale too.
    pub stale: Option<Stale>,
    /// What it is owed, and since when.
    pub owed: Option<Owed>,
    /// Out of service by our hand, and why.
    pub depooled: Option<Hold>,
}

/// Something that the fleet has and this host does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owed {
    /// In words: `switch to s12`.
    pub what: String,
    /// Since when.
    pub since: Time,
}

/// One change of the books. Several are committed in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// An undertaking begins.
    Opened {
        /// It, with status [`Status::Open`].
        rollout: Rollout,
        /// The state it leads to; absent when it is already recorded.
        snapshot: Option<Snapshot>,
        /// Whether the wanted state moves now (rollback, sync) or only at the end (promote).
        moves_current: bool,
    },
    /// Commands are about to be sent: the durable intent before any effect.
    Intents {
        /// For which undertaking.
        rollout: RolloutId,
        /// Which command: `observe`, `prepare`, `switch`, `confirm`.
        command: String,
        /// To whom, each with its generation.
        hosts: Vec<(HostName, Generation)>,
    },
    /// What came of a command.
    Outcome {
        /// For which undertaking.
        rollout: RolloutId,
        /// Which command.
        command: String,
        /// Where.
        host: HostName,
        /// Its generation.
        generation: Generation,
        /// `ok`, or what went wrong in words.
        result: String,
    },
    /// An agent answered; this is what it is now.
    Seen {
        /// Which host.
        host: HostName,
        /// Accepted as this host's installation; `None` leaves what the books have.
        incarnation: Option<Incarnation>,
        /// The map it serves.
        active: Option<Digest>,
        /// Its boot id.
        boot_id: String,
        /// The observe that it answered to; `None` for a peek.
        generation: Option<Generation>,
    },
    /// A host is not trusted from now on; since-when stays while the reason's kind stays.
    Stale {
        /// Which host.
        host: HostName,
        /// Why.
        reason: StaleReason,
    },
    /// A host was proven at the wanted state: neither stale nor owed any more.
    Fresh {
        /// Which host.
        host: HostName,
    },
    /// A host was left behind.
    Owed {
        /// Which host.
        host: HostName,
        /// What it is owed.
        what: String,
    },
    /// An undertaking ends.
    Ended {
        /// Which.
        rollout: RolloutId,
        /// How.
        status: Status,
        /// Whether the wanted state moves to its `to` now.
        moves_current: bool,
        /// One line of effect.
        effect: String,
    },
    /// Nothing may go forward; an existing hold is replaced.
    Held {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Forward is free again.
    Released {
        /// Who.
        by: String,
    },
    /// A host was taken out of service.
    Depooled {
        /// Which.
        host: HostName,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// And put back.
    Pooled {
        /// Which.
        host: HostName,
        /// Who.
        by: String,
    },
    /// A host is no longer in groups.yaml and was taken off the books.
    Forgotten {
        /// Which.
        host: HostName,
    },
    /// Something about the health of a release.
    Health(HealthRecord),
    /// Something about the run of a playbook.
    Playbook(PlaybookRecord),
    /// A line for people, of something that is not one of the above: a trusted key, an installed agent.
    Note {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
}

impl Books {
    /// Books with nothing in them.
    pub fn new(id: BooksId) -> Self {
        Self {
            id,
            epoch: 0,
            lock: None,
            current: None,
            snapshots: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            hosts: BTreeMap::new(),
            hold: None,
            health: Health::default(),
            playbooks: BTreeMap::new(),
        }
    }

    /// The wanted state; `None` before the first sync.
    pub fn wanted(&self) -> Option<&Snapshot> {
        self.current.and_then(|id| self.snapshots.get(&id))
    }

    /// Whether the host is stale because files were changed: perhaps without a trace in their stat, as on a disk that
    /// rots, so that only reading them all tells that it is well again.
    pub fn was_damaged(&self, host: &HostName) -> bool {
        let reason = self.hosts.get(host).and_then(|row| row.stale.as_ref()).map(|stale| &stale.reason);
        let damaged = |readiness: &Readiness| matches!(readiness, Readiness::Damaged { .. });
        matches!(reason, Some(StaleReason::NotReady(lacking)) if lacking.iter().any(|(_, r)| damaged(r)))
    }

    /// The undertakings that were begun and not ended, oldest first.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Rollout> {
        self.rollouts.values().filter(|r| r.status == Status::Open)
    }

    /// The next free rollout id.
    pub fn next_rollout(&self) -> RolloutId {
        RolloutId(self.rollouts.keys().next_back().map_or(1, |id| id.0 + 1))
    }

    /// The next free name of a playbook's run.
    pub fn next_playbook(&self) -> PlaybookId {
        PlaybookId(self.playbooks.keys().next_back().map_or(1, |id| id.0 + 1))
    }

    /// The next free snapshot id.
    pub fn next_snapshot(&self) -> SnapshotId {
        SnapshotId(self.snapshots.keys().next_back().map_or(1, |id| id.0 + 1))
    }
}

impl Snapshot {
    /// The map that this host is wanted to serve: the fleet's, or its pin's version for every wiki.
    pub fn map_of(&self, host: &HostName) -> VersionMap {
        match self.pins.hosts.get(host) {
            Some(pin) => VersionMap(self.map.0.keys().map(|wiki| (wiki.clone(), pin.version.clone())).collect()),
            None => self.map.clone(),
        }
    }
}

impl StaleReason {
    /// Whether two reasons are of one kind, so that since-when goes on counting.
    pub fn same_kind(&self, other: &StaleReason) -> bool {
        match (self, other) {
            (Self::Fault(a), Self::Fault(b)) => std::mem::discriminant(a) == std::mem::discriminant(b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}
