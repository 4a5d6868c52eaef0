//! Plugins and facts of machines.

use super::numbers::Condition;
use std::path::PathBuf;

/// A Nagios or Icinga plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program, absolute, and its arguments.
    pub argv: Vec<String>,
    /// Whether on every host in scope, or once on the deploy host.
    pub on_hosts: bool,
    /// Whether code 1 fails; else it is inconclusive.
    pub warning_fails: bool,
    /// ms.
    pub deadline_ms: u64,
}

/// Facts of machines, each with a condition that is good.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Never empty.
    pub conditions: Vec<(Fact, Condition)>,
}

/// A number of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Percent of the disk below the deploy root that is free for us.
    DiskFreePercent,
    /// Hours until that disk is full, at the rate of the last two readings; none when it does not fill.
    DiskFullHours,
    /// Percent of inodes that are free.
    InodesFreePercent,
    /// Load of the last minute by processor.
    LoadPerProcessor,
    /// Percent of memory that can be had without swapping.
    MemoryAvailablePercent,
    /// Since the machine started, s.
    UptimeSeconds,
    /// Growth of this log file, bytes a second.
    LogBytesPerSecond(PathBuf),
}
