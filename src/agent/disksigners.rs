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
    let me = geteuid().as_raw();
    check(file, &found, me)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    let beside = directory.symlink_metadata().map_err(|error| format!("{}: {error}", directory.display()))?;
    check(directory, &beside, me)?;
    Ok(Some(file.to_owned()))
}

/// Whether nobody but root and this user can have written it.
fn check(path: &Path, found: &Metadata, me: u32) -> Result<(), String> {
    let (path, mode, owner) = (path.display(), found.mode() & 0o7777, found.uid());
    if mode & 0o022 != 0 {
        return Err(format!("{path} can be written by others (mode {mode:o}): chmod go-w {path} there"));
    }
    match owner == 0 || owner == me {
        true => Ok(()),
        false => Err(format!("{path} belongs to user {owner}: chown root {path} there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_cannot_be_looked_at_is_not_taken_for_none() {
        let kept = tempfile::tempdir().expect("a directory is made");
        let file = kept.path().join("file");
        assert_eq!(signers(&file), Ok(None));
        std::fs::write(&file, "").expect("written");
        let said = signers(&file.join("list")).expect_err("it is below a file");
        assert!(said.contains("cannot be looked at"), "{said}");
    }

    #[test]
    fn a_list_of_somebody_else_is_refused() {
        let kept = tempfile::tempdir().expect("a directory is made");
        let found = kept.path().metadata().expect("there");
        let owner = found.uid();
        assert_eq!(check(kept.path(), &found, owner), Ok(()));
        // What root wrote counts for everybody.
        assert_eq!(check(kept.path(), &found, owner + 1).is_ok(), owner == 0);
        // Which only root can do, and not everywhere.
        if std::os::unix::fs::chown(kept.path(), Some(1), None).is_ok() {
            let found = kept.path().metadata().expect("there");
            let said = check(kept.path(), &found, 0).expect_err("it is user 1's");
            assert!(said.contains("belongs to user 1: chown root "), "{said}");
            assert_eq!(check(kept.path(), &found, 1), Ok(()));
        }
    }
}
