//! What can go wrong with the demo.

use crate::config::diagnostic::Diagnostics;
use std::io;
use std::path::{Path, PathBuf};

/// A result of the demo.
pub type Result<T> = std::result::Result<T, DemoError>;

/// Why the demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// groups.yaml has mistakes.
    #[error(transparent)]
    Config(#[from] Diagnostics),
    /// The groups.yaml that lies here is of a real site.
    #[error("{} is not a demo's: {why}; name another directory with `--dir`", file.display())]
    NotADemo {
        /// Which file.
        file: PathBuf,
        /// What shows it.
        why: String,
    },
    /// There is a fleet already.
    #[error("{} is already there; remove it with `pointsman demo down`", .0.display())]
    Exists(PathBuf),
    /// A directory that has the demo's name and not its mark.
    #[error("{} was not made by `pointsman demo`; it is left alone", .0.display())]
    Foreign(PathBuf),
    /// The build step of a tree.
    #[error("building localisation in {} ended with {status}: {stderr}", tree.display())]
    Build {
        /// Where.
        tree: PathBuf,
        /// How it ended.
        status: String,
        /// What it said, bounded.
        stderr: String,
    },
    /// A host that does not serve yet or any more.
    #[error("{} cannot be read as a version map: {why}", path.display())]
    Map {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The web tier's process.
    #[error("the web tier {0}")]
    Web(String),
    /// A file or directory.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// A verb: `write`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Says in an error what was tried with which path.
pub fn at<T>(what: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| DemoError::Io { what, path: path.to_owned(), source })
}
