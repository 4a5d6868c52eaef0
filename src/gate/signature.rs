//! Signatures: log lines with what varies taken out, so that a new kind of error can be told from an old one.

use crate::model::names::HostName;
use crate::model::time::Time;
use crate::model::verdict::HostCounts;
use std::collections::BTreeMap;

/// One signature, as a source saw it since the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The masked line, as it is printed and acknowledged.
    pub signature: String,
    /// One whole line of it, made harmless and bounded.
    pub sample: String,
    /// Events by host since the switch.
    pub hosts: BTreeMap<HostName, u64>,
    /// Exposure by host, for the comparison of frequencies; empty: not known.
    pub exposure: HostCounts,
    /// When it was first seen within the look-back and before the switch; `None`: never.
    pub known_since: Option<Time>,
}
