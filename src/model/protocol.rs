//! What the controller may ask of a host and what a host may answer. The wire frames these; the core only sees these.
//!
//! Invariant: every command that changes a host carries a [`Stamp`] and an [`Expect`], and the agent refuses it when
//! either does not hold (DESIGN: fence, incarnation, compare-and-set).

use super::books::Pins;
use super::component::{Component, Want};
use super::digest::Digest;
use super::ids::{BooksId, Generation, Incarnation, RolloutId, SnapshotId};
use super::map::VersionMap;
use super::names::Version;
use super::signed::Signing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Whose command it is and its place in the order of all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The books that the sender writes to.
    pub books: BooksId,
    /// Must be above the host's fence.
    pub generation: Generation,
}

/// What the sender believes of the host, as this epoch's observe returned it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expect {
    /// Another one: the host was rebuilt.
    pub incarnation: Incarnation,
    /// Digest of the served map; `None` when there is none yet.
    pub active: Option<Digest>,
}

/// How thoroughly a proof looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Level {
    /// Stat index and a walk for extra files.
    L1,
    /// As L1; files too young for their stat to be trusted, and some that a number of the controller chooses, are read
    /// and hashed.
    L2,
    /// Every file is read and hashed.
    L3,
}

/// Forward needs the version to go back to as well; back needs the target only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards a version that was not served before.
    Forward,
    /// Towards a recorded state.
    Back,
}

/// A look that changes nothing on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peek {
    /// What to prove.
    pub prove: Vec<Want>,
    /// How thoroughly: L1 or L3.
    pub level: Level,
    /// Whether the confirmed maps are asked for, which are large.
    pub confirmed: bool,
    /// Makes an L2 of L1, and chooses the files that are hashed. A field of its own, because an agent that is older
    /// than L2 passes it over, and then names L1 as what it proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<u64>,
    /// How old a proof may be that the host wrote down and that no directory speaks against, ms; `None`: every file is
    /// looked at. An agent that is older than this passes it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_age_ms_max: Option<u64>,
}

/// Something that raises the host's fence, and perhaps changes more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Raises the fence, finishes or undoes an unfinished journal, then looks.
    Observe {
        /// Whose command.
        stamp: Stamp,
        /// Whether a host of other books is taken over.
        adopt: bool,
        /// What to look at.
        peek: Peek,
    },
    /// Brings one component to its wanted content, builds its artefacts, proves it and marks it ready.
    Prepare {
        /// Whose command.
        stamp: Stamp,
        /// Guard.
        expect: Expect,
        /// The content and artefacts.
        want: Want,
        /// The build step, an argv run in the tree; empty: none.
        build: Vec<String>,
        /// What is said about signatures. An agent that is older than this passes it over.
        #[serde(default, skip_serializing_if = "Signing::is_nothing")]
        signing: Signing,
    },
    /// Makes another map the served one.
    Switch {
        /// Whose command.
        stamp: Stamp,
        /// Guard.
        expect: Expect,
        /// The new map of this host.
        map: VersionMap,
        /// Forward or back.
        direction: Direction,
        /// What must be ready there at this moment: the target; forward also what one would go back to.
        needs: Vec<Want>,
        /// The restart hook, an argv; empty: none.
        restart: Vec<String>,
        /// As in [`Peek`], for what no wiki moves to; the files of what wikis move to are looked at in any case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof_age_ms_max: Option<u64>,
    },
    /// Notes the served map as confirmed.
    Confirm {
        /// Whose command.
        stamp: Stamp,
        /// Guard; `active` is the map that is confirmed.
        expect: Expect,
        /// What is written down beside the map.
        note: ConfirmNote,
        /// Versions that stay, when everything else that the agent once brought is to be removed; the host adds what it
        /// serves and what it has confirmed. An agent that is older than this passes it over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<BTreeSet<Version>>,
    },
}

/// What a confirmation carries beside the map, for the day when the books are lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmNote {
    /// The pins that were in force.
    pub pins: Pins,
    /// The wanted content ids.
    pub wanted: BTreeMap<Component, Digest>,
    /// The snapshot that this state is.
    pub snapshot: SnapshotId,
    /// The rollout that led here.
    pub rollout: RolloutId,
}

/// What a host no longer has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// Whole versions, built artefacts too.
    pub versions: BTreeSet<Version>,
    /// What they took, bytes; artefacts not counted.
    pub bytes: u64,
    /// Programs of earlier agents.
    pub agents: u64,
}

/// A confirmed map as a host keeps it, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// The map that was served.
    pub map: VersionMap,
    /// What was written beside it.
    pub note: ConfirmNote,
}

/// A component that a host holds whole, by its marker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Which.
    pub component: Component,
    /// Its content.
    pub id: Digest,
}

/// The highest generation that a host has seen, and of which books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fence {
    /// The books it obeys.
    pub books: BooksId,
    /// Nothing at or below is obeyed.
    pub generation: Generation,
}

/// What a host says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// Which installation; `None` from a peek at a host that has no state yet.
    pub incarnation: Option<Incarnation>,
    /// The kernel's boot id; another one since the last proof voids it.
    pub boot_id: String,
    /// Digest of the served map; `None` when there is none.
    pub active: Option<Digest>,
    /// Wikis per version of the served map; empty when there is none, or when pointsman did not write it.
    pub versions: BTreeMap<Version, usize>,
    /// As it was before this look (an observe raises it after); `None` when no command ever came.
    pub fence: Option<Fence>,
    /// Whether a staged change is unfinished (only a peek can see one).
    pub journal_open: bool,
    /// The answer to each [`Want`], in the order asked.
    pub readiness: Vec<(Component, Readiness)>,
    /// Every component that is marked ready, with its id, asked for or not.
    pub held: BTreeMap<Component, Digest>,
    /// Newest first, at most two; empty unless asked for.
    pub confirmed: Vec<Confirmed>,
    /// Numbers about the machine.
    pub facts: Facts,
}

/// Numbers about the machine; none of them decides alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
pub struct Facts {
    /// Bytes free for us below the deploy root.
    pub disk_free_bytes: u64,
    /// Inodes free there.
    pub inodes_free: u64,
    /// `uname -m`.
    pub arch: String,
    /// Version of the agent.
    pub agent: String,
    /// The host's clock, ms since 1970; shown as skew, never decided on.
    pub clock_ms: u64,
}

/// Whether a component is there as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// Complete, artefacts included, by a look of the named level.
    Ready {
        /// Files, artefacts not counted.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// How thoroughly it was looked at.
        level: Level,
        /// How long ago, ms, by the host's own clock of its uptime; 0: now.
        #[serde(default, skip_serializing_if = "is_zero")]
        age_ms: u64,
    },
    /// There is no such directory.
    Absent,
    /// A directory, but never proven: what a reinstall or a hand leaves.
    Unproven {
        /// Files found per artefact rule: path, found, wanted.
        artefacts: Vec<ArtefactCount>,
    },
    /// Proven, but as other content than wanted.
    Differs {
        /// The id it has.
        have: Digest,
    },
    /// It was proven once and has been changed since.
    Damaged {
        /// Files that are gone.
        missing: u64,
        /// Files that differ.
        changed: u64,
        /// Files that nobody sent.
        extra: u64,
        /// One of them, relative to the component.
        first: String,
    },
    /// Code complete, artefacts not.
    ArtefactsMissing(ArtefactCount),
    /// Artefacts complete, but built from other input.
    ArtefactsStale {
        /// Which rule.
        path: String,
    },
}

/// How many files a host holds of those it should have built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtefactCount {
    /// The rule's directory.
    pub path: String,
    /// Found.
    pub have: u64,
    /// Wanted.
    pub want: u64,
}

/// A host's answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// To observe and to a peek.
    Observed(Box<Observation>),
    /// To prepare: the component as it stands now, always `Ready`.
    Prepared {
        /// The proof.
        readiness: Readiness,
    },
    /// To switch.
    Switched {
        /// What the restart hook said, when it failed.
        restart_failed: Option<String>,
        /// What the host shows after it: read back, not remembered. `None` from an agent that is older than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Box<Observation>>,
    },
    /// To confirm.
    Confirmed,
    /// To confirm with versions to keep: what was removed.
    Collected(Collected),
    /// Nothing was changed.
    Refused(Refusal),
}

/// Why a host did not obey; a fragment that fits "HOST refused: {...}".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// It belongs to other books.
    #[error("it belongs to other books ({0:?})")]
    Foreign(BooksId),
    /// A newer or the same command was there before.
    #[error("a newer command was there before ({0})")]
    Fenced(Generation),
    /// It was rebuilt since.
    #[error("it was rebuilt since it was observed")]
    Reborn(Option<Incarnation>),
    /// It serves another map than the sender believes.
    #[error("its version map changed since it was observed")]
    Conflict(Option<Digest>),
    /// A needed component is not complete there.
    #[error("{} is not ready there", .0.component)]
    NotReady(Box<NotReady>),
    /// The build step failed; its last words.
    #[error("the build step failed: {0}")]
    BuildFailed(String),
    /// No room, with the numbers.
    #[error("disk full: {0}")]
    DiskFull(String),
    /// Mounted read-only.
    #[error("read-only file system")]
    ReadOnly,
    /// A signature is demanded, and there is none that the owner of the host accepts; what it lacks.
    #[error("{0}")]
    Unsigned(String),
    /// The system's words.
    #[error("{0}")]
    Failed(String),
}

/// Which component is not ready, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotReady {
    /// Which.
    pub component: Component,
    /// How.
    pub readiness: Readiness,
}

impl Peek {
    /// A look of this level; `nonce` chooses the files that L2 hashes and is not used by others.
    pub fn new(prove: Vec<Want>, level: Level, nonce: u64) -> Self {
        let (level, nonce) = match level {
            Level::L2 => (Level::L1, Some(nonce)),
            level => (level, None),
        };
        Self { prove, level, confirmed: false, nonce, proof_age_ms_max: None }
    }

    /// A look that proves nothing.
    pub fn at_state() -> Self {
        Self::new(Vec::new(), Level::L1, 0)
    }
}

impl Observation {
    /// How old the oldest of its proofs was when it was made, ms.
    pub fn proof_age_ms(&self) -> u64 {
        let age = |(_, readiness): &(Component, Readiness)| match readiness {
            Readiness::Ready { age_ms, .. } => *age_ms,
            _ => 0,
        };
        self.readiness.iter().map(age).max().unwrap_or(0)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Readiness {
    /// Whether it is complete.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        })
    }
}

impl Command {
    /// What it is called in the books.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Observe { .. } => "observe",
            Self::Prepare { .. } => "prepare",
            Self::Switch { .. } => "switch",
            Self::Confirm { .. } => "confirm",
        }
    }

    /// Its place in the order of all commands.
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::Observe { stamp, .. }
            | Self::Prepare { stamp, .. }
            | Self::Switch { stamp, .. }
            | Self::Confirm { stamp, .. } => *stamp,
        }
    }
}
