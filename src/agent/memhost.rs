//! What a host in memory has beside its two directories: log files, numbers of the machine, plugins.
//!
//! Invariant: as deterministic as [`super::memfs`], but for which threads stood back; an inode is never given twice.

use super::hostfs::OpenLog;
use crate::model::question::{MachineFacts, PluginSaid};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

/// Log files, numbers and plugins.
#[derive(Debug, Clone, Default)]
pub struct MemHost {
    /// Log files by absolute path.
    pub logs: BTreeMap<PathBuf, MemLog>,
    /// What the machine says of itself.
    pub machine: MachineFacts,
    /// What each plugin says, by program; others are not there.
    pub plugins: BTreeMap<String, PluginSaid>,
    /// The threads that stood back, whichever copy of this host they worked on.
    pub stood_back: Arc<Mutex<HashSet<ThreadId>>>,
    inodes: u64,
}

/// A log file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemLog {
    /// Its number.
    pub inode: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was last written, ms since 1970.
    pub mtime_ms: u64,
}

impl MemHost {
    /// Writes at the end of a log file, which is made when it is not there.
    pub fn append(&mut self, file: &str, bytes: &[u8], now_ms: u64) {
        self.inodes += 1;
        let fresh = MemLog { inode: self.inodes, ..MemLog::default() };
        let log = self.logs.entry(file.into()).or_insert(fresh);
        log.bytes.extend_from_slice(bytes);
        log.mtime_ms = now_ms;
    }

    /// Moves a log file to `FILE.1`, as logrotate does, over what was there.
    pub fn rotate(&mut self, file: &str) {
        if let Some(log) = self.logs.remove(Path::new(file)) {
            self.logs.insert(format!("{file}.1").into(), log);
        }
    }

    /// Opens a log file as it is now.
    pub fn open(&self, file: &Path) -> io::Result<Option<OpenLog>> {
        Ok(self.logs.get(file).map(|log| OpenLog {
            inode: log.inode,
            size: log.bytes.len() as u64,
            mtime_ms: log.mtime_ms,
            content: Box::new(Cursor::new(log.bytes.clone())),
        }))
    }

    /// What the plugin says.
    pub fn plugin(&self, argv: &[String]) -> io::Result<PluginSaid> {
        let said = argv.first().and_then(|program| self.plugins.get(program));
        said.cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// The thread that asks stands back.
    pub fn stand_back(&self) {
        self.stood_back.lock().unwrap_or_else(PoisonError::into_inner).insert(thread::current().id());
    }
}
