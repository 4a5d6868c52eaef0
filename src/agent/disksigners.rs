//! The owner's list of signers on a real host.
//!
//! Invariant: a list counts only where nobody but root and the agent's own user can have written it, and neither its
//! directory. What `ssh-keygen` makes of it is in `keygen`.

use rustix::process::geteuid;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The list, if there is one and only its owner can have written it; else what is wrong and what to type there.
pub(super) fn signers(file: &Path) -> Result<Option<PathBuf>, String> {
    let found = match file.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be looked at: {error}", file.display())),
    };
    if !found.is_file() {
        return Err(format!("{} is not a regular file", file.display()));
    }
    check(file, &found)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    let beside = directory.symlink_metadata().map_err(|error| format!("{}: {error}", directory.display()))?;
    check(directory, &beside)?;
    Ok(Some(file.to_owned()))
}

fn check(path: &Path, found: &Metadata) -> Result<(), String> {
    let (path, mode, owner) = (path.display(), found.mode() & 0o7777, found.uid());
    if mode & 0o022 != 0 {
        return Err(format!("{path} can be written by others (mode {mode:o}): chmod go-w {path} there"));
    }
    match owner == 0 || owner == geteuid().as_raw() {
        true => Ok(()),
        false => Err(format!("{path} belongs to user {owner}: chown root {path} there")),
    }
}
