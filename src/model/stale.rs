//! Why a host is not trusted now. A host is stale until it is proven fresh.

use super::component::Component;
use super::digest::Digest;
use super::fault::Fault;
use super::ids::{Generation, Incarnation};
use super::names::HostName;
use super::protocol::{Readiness, Refusal};
use super::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why, as the books keep it and as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StaleReason {
    /// Never seen.
    New,
    /// No answer as an agent.
    Fault(Fault),
    /// Another installation than the books know, or a restored image.
    Rebuilt {
        /// What the books know.
        was: Incarnation,
        /// What it is now; the same when its fence went back.
        now: Incarnation,
    },
    /// The same incarnation on two hosts.
    Cloned {
        /// The other one.
        twin: HostName,
    },
    /// Its fence is absurdly high.
    AbsurdFence {
        /// The epoch it claims.
        epoch: u64,
    },
    /// It obeyed a command that these books never sent: they are an old copy.
    BooksBehind {
        /// The highest that it obeyed.
        fence: Generation,
    },
    /// Components that are not as wanted; never empty.
    NotReady(Vec<(Component, Readiness)>),
    /// It serves another map than the books want of it.
    MapDiffers {
        /// Digest of what it serves.
        have: Option<Digest>,
        /// Digest of what the books want.
        want: Digest,
    },
    /// It did not obey.
    Refused(Refusal),
    /// A command was sent and no answer came: it counts as switched.
    Unanswered(Fault),
    /// The same as books keep it, which say why in the outcome of the command.
    Unknown,
    /// Switched on disk, but the restart hook failed, so it may serve old code.
    RestartFailed(String),
    /// A gate's errors come from it and not from the release; in words.
    Suspect(String),
    /// The content that the books want was moved and it was not there.
    Missed(String),
}

impl StaleReason {
    /// As books keep it, so that programs of before [`Self::Unanswered`] read them.
    pub fn kept(self) -> Self {
        match self {
            Self::Unanswered(_) => Self::Unknown,
            other => other,
        }
    }
}

/// A reason and since when, which stays while the reason's kind stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stale {
    /// Why.
    pub reason: StaleReason,
    /// Since when, by the controller's clock.
    pub since: Time,
}
