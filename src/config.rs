//! groups.yaml, dblists and host ranges, read into a [`policy::Policy`] with all mistakes reported at once.
//!
//! Invariant: the way is text -> tree (`yaml`) -> shape (`decode`, `raw`) -> meaning (`resolve`), and every step notes
//! its mistakes and goes on. A policy comes out only when there was none. Nothing here writes, and nothing reads but
//! [`load`] and [`secret`], which trust no file that a stranger could have written. No template and no expression but dblists' sets.

pub mod begin;
pub mod dblist;
mod decode;
pub mod diagnostic;
pub mod fields;
pub mod gates;
mod hosts;
pub mod incident;
mod mirrors;
mod notify;
mod pins;
pub mod playbook;
pub mod policy;
pub mod policytest;
pub mod ranges;
pub mod rates;
pub mod raw;
mod resolve;
mod rights;
pub mod secret;
pub mod sections;
pub mod select;
mod stages;
mod store;
pub mod trust;
mod wikis;
mod yaml;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod example;

use diagnostic::{Diagnostics, Sink};
use policy::Policy;
use std::io;
use std::path::{Path, PathBuf};

pub use raw::schema;

/// The name of the file.
pub const FILE_NAME: &str = "groups.yaml";

/// Where groups.yaml is, or would be: the file that `-C` names, or the one in the directory that it names, else
/// `./groups.yaml`.
pub fn place(dash_c: Option<&Path>) -> PathBuf {
    match dash_c {
        Some(path) if path.is_dir() => path.join(FILE_NAME),
        Some(path) => path.to_owned(),
        None => PathBuf::from(FILE_NAME),
    }
}

/// The groups.yaml to use.
///
/// # Errors
///
/// There is no such file.
pub fn find(dash_c: Option<&Path>) -> Result<PathBuf, Diagnostics> {
    let path = place(dash_c);
    match path.is_file() {
        true => Ok(path),
        false => {
            let hint = "name the directory or the file with `-C`".to_owned();
            Err(Diagnostics::of_file(&path, "there is no such file", Some(hint)))
        }
    }
}

/// Reads a groups.yaml and its dblists.
///
/// # Errors
///
/// All mistakes at once; a file that somebody else could have written is one.
pub fn load(path: &Path) -> Result<Policy, Diagnostics> {
    let invoker = trust::Invoker::of_process();
    let read = |path: &Path| trust::read(path, invoker);
    match read(path) {
        Ok(text) => parse(path, &text, &read),
        Err(error) => Err(Diagnostics::unread(path, error)),
    }
}

/// Reads the text of the groups.yaml `file`; `read` gives dblists, which are named relative to the directory of `file`.
///
/// # Errors
///
/// All mistakes at once.
pub fn parse(file: &Path, text: &str, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<Policy, Diagnostics> {
    let mut sink = Sink::new(file);
    let tree = yaml::read(text, &mut sink);
    let raw = tree.and_then(|tree| decode::file(&tree, &mut sink));
    let policy = raw.and_then(|raw| resolve::policy(&raw, text, read, &mut sink));
    sink.finish(policy)
}
