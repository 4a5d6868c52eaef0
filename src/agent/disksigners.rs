//! The owner's list of signers on a real host, and `ssh-keygen`, which reads it.
//!
//! Invariant: a list counts only where nobody but root and the agent's own user can have written it, and neither its
//! directory. `ssh-keygen` runs without a shell, with nothing in its environment but `PATH`, for a bounded time.

use super::diskask;
use crate::model::limits::{LINE_BYTES_MAX, SIGNERS_MAX, VERIFY_MS_MAX};
use crate::model::signed::RELEASE_NAMESPACE;
use rustix::process::geteuid;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Whether somebody of the list signed this text.
pub(super) fn verify(signers: &Path, text: &str, signature: &Path) -> Result<(), String> {
    let files: [&OsStr; 4] = ["-f".as_ref(), signers.as_ref(), "-s".as_ref(), signature.as_ref()];
    let find = [&["-Y".as_ref(), "find-principals".as_ref()], &files[..]].concat();
    let principals = match run(&find, "")? {
        (true, principals) => principals,
        (false, said) => return Err(format!("ssh-keygen says `{}`", said.trim())),
    };
    let mut said = String::new();
    for principal in principals.lines().take(SIGNERS_MAX) {
        let how = ["-Y", "verify", "-n", RELEASE_NAMESPACE, "-I", principal].map(OsStr::new);
        match run(&[&how, &files[..]].concat(), text)? {
            (true, _) => return Ok(()),
            (false, why) => said = why,
        }
    }
    Err(format!("ssh-keygen says `{}`", said.trim()))
}

/// Runs `ssh-keygen`, which reads `text`: whether it ended well, and what it said; within an error, that it cannot be run.
fn run(arguments: &[&OsStr], text: &str) -> Result<(bool, String), String> {
    run_within(arguments, text).map_err(|error| format!("ssh-keygen cannot be run there: {error}"))
}

fn run_within(arguments: &[&OsStr], text: &str) -> io::Result<(bool, String)> {
    let ((stdin, mut input), (output, writer)) = (io::pipe()?, io::pipe()?);
    // It is bounded by what a pipe takes, so nobody has to read meanwhile.
    input.write_all(text.as_bytes())?;
    drop(input);
    let mut command = Command::new("ssh-keygen");
    command.args(arguments).stdin(stdin).stdout(writer.try_clone()?).stderr(writer);
    let said = diskask::ran(command, output, VERIFY_MS_MAX)?;
    Ok((said.code == Some(0), said.output[..said.output.floor_char_boundary(LINE_BYTES_MAX)].to_owned()))
}
