//! What may be asked of a host beside its readiness: numbers of the machine, the ends of log files, a plugin's verdict.
//!
//! Invariant: a question changes nothing on the host, and its answer is bounded.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A question to a host's agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Numbers of the machine, and how large these files are now (absolute paths).
    Facts {
        /// Log files whose growth is watched.
        logs: Vec<PathBuf>,
    },
    /// What was written to a log file since the cursor.
    Tail {
        /// The file, absolute.
        file: PathBuf,
        /// Where the last reading ended; `None`: from the end of the file as it is now, which gives no lines.
        from: Option<Cursor>,
        /// At most so many bytes, from [`super::limits::LOG_LINE_BYTES_MAX`] to [`super::limits::TAIL_BYTES_MAX`].
        bytes_max: u64,
    },
    /// Runs a Nagios or Icinga plugin.
    Plugin {
        /// The program, absolute, and its arguments; no shell sees them.
        argv: Vec<String>,
        /// Killed with all its children after so long, ms.
        deadline_ms: u64,
    },
}

/// Where a reading of a log file ended. A file that was rotated meanwhile has another inode; the default is of no file,
/// from where a file that comes into being is read from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The file's inode number.
    pub inode: u64,
    /// The byte after the last whole line that was read.
    pub offset: u64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To facts.
    Facts(MachineFacts),
    /// To tail.
    Tail(Tail),
    /// To a plugin.
    Plugin(PluginSaid),
    /// It could not be answered; the system's words.
    Failed(String),
}

/// Numbers of a machine. What the system does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Bytes free for us on the disk of the deploy root.
    pub disk_free_bytes: u64,
    /// Bytes of that disk, used or free for us: what `df` takes its percentages of.
    pub disk_bytes: u64,
    /// Inodes free there.
    pub inodes_free: u64,
    /// Inodes in all; 0 where the file system does not count them.
    pub inodes: u64,
    /// The load of the last minute, in thousandths.
    pub load1_milli: Option<u64>,
    /// Processors that can run.
    pub processors: Option<u64>,
    /// Memory that can be had without swapping, bytes.
    pub memory_available_bytes: Option<u64>,
    /// Memory in all, bytes.
    pub memory_bytes: Option<u64>,
    /// Since the machine started, s.
    pub uptime_s: Option<u64>,
    /// A clock of that machine that never goes back, ms: rates are made of two readings of the same machine.
    pub monotonic_ms: u64,
    /// The size of each log file asked for, bytes; `None`: it is not there.
    pub logs: Vec<(PathBuf, Option<u64>)>,
}

/// What was written to a log file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tail {
    /// Whole lines, without their ends, bytes that are no UTF-8 replaced, each at most
    /// [`super::limits::LOG_LINE_BYTES_MAX`] bytes.
    pub lines: Vec<String>,
    /// Where to go on; `None`: the file is not there, and the old cursor stays good for when it is.
    pub next: Option<Cursor>,
    /// Bytes that were skipped: ends of lines that are too long, and what lay too far behind.
    pub skipped_bytes: u64,
    /// Bytes that are there already and were not read this time.
    pub left_bytes: u64,
    /// Whether lines are missing and nobody knows how many: the file was rotated out of sight, or cut.
    pub lost: bool,
    /// How long ago the file was last written, by that machine's clock, ms.
    pub age_ms: u64,
}

/// What a plugin said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginSaid {
    /// Its exit code; `None`: it was killed, or could not be asked.
    pub code: Option<i32>,
    /// Its stdout with its perfdata, bounded; or why there is no code.
    pub output: String,
}
