//! What was sent for an undertaking and what came of it, as the books remember it.

use super::ids::Generation;
use super::names::HostName;
use super::time::Time;
use serde::{Deserialize, Serialize};

/// One command to one host, as the books have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which command: `observe`, `prepare`, `switch`, `confirm`.
    pub command: String,
    /// To whom.
    pub host: HostName,
    /// Its place in the order of all commands.
    pub generation: Generation,
    /// When the intent was committed.
    pub sent: Time,
    /// When an outcome was committed, and which; `None`: none ever was.
    pub outcome: Option<(Time, String)>,
}
