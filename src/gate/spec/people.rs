//! What people and time decide.

use super::counts::CountSource;

/// Open blockers stop every further group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blockers {
    /// A program on the deploy host that lists open blockers of a tracker, one `ID TEXT` a line; empty: none.
    pub argv: Vec<String>,
    /// ms.
    pub deadline_ms: u64,
}

/// The version must have run so long, and served so much, in an earlier group at its content of now.
#[derive(Debug, Clone, PartialEq)]
pub struct Soak {
    /// ms.
    pub time_ms: u64,
    /// Requests that the version must have served; `None` with no source: time alone was asked for.
    pub min_requests: Option<(u64, CountSource)>,
}
