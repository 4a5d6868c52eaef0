//! Plugins and facts of machines.

use super::numbers::Condition;
use std::fmt;
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
    /// Hours until that disk is full, at the rate of the last two readings; infinite when it does not fill.
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

/// The facts by name, but for the one that names a file.
pub const FACTS: [(&str, Fact); 6] = [
    ("disk_free_percent", Fact::DiskFreePercent),
    ("disk_full_hours", Fact::DiskFullHours),
    ("inodes_free_percent", Fact::InodesFreePercent),
    ("load_per_processor", Fact::LoadPerProcessor),
    ("memory_available_percent", Fact::MemoryAvailablePercent),
    ("uptime_seconds", Fact::UptimeSeconds),
];

/// The name of [`Fact::LogBytesPerSecond`].
pub const LOG_FACT: &str = "log_bytes_per_second";

impl fmt::Display for Fact {
    /// `disk_free_percent`, `log_bytes_per_second of /var/log/session.log`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, FACTS.iter().find(|(_, fact)| fact == self)) {
            (Self::LogBytesPerSecond(file), _) => write!(f, "{LOG_FACT} of {}", file.display()),
            (_, Some((name, _))) => f.write_str(name),
            (_, None) => write!(f, "{self:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_written_by_their_names() {
        assert_eq!(FACTS.map(|(_, fact)| fact.to_string()), FACTS.map(|(name, _)| name.to_owned()));
        let growth = Fact::LogBytesPerSecond("/var/log/session.log".into());
        assert_eq!(growth.to_string(), "log_bytes_per_second of /var/log/session.log");
    }
}
