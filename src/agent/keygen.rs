//! `ssh-keygen`, which verifies signatures: on a host by its owner's list, on the deploy host by one that a person names.
//!
//! Invariant: the rule is the same in both places. A signature is allowed when any principal that the list has for its key may
//! make it, for this purpose and at this time. The program runs without a shell, with nothing in its environment but
//! `PATH`, for a bounded time, and only its yes is one.
//!
//! Deliberately absent: who could have written the list. A host looks at that for its own (`disksigners`); whoever names
//! one on the deploy host vouches for it.

use super::diskask;
use crate::model::limits::{LINE_BYTES_MAX, SIGNERS_MAX, VERIFY_MS_MAX};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// Why a signature is not known to be one.
#[derive(Debug, thiserror::Error)]
pub enum KeygenError {
    /// The program does not run.
    #[error("ssh-keygen cannot be run: {0}")]
    Run(io::Error),
    /// It was killed, by us when its time was over.
    #[error("ssh-keygen did not end by itself within {} s", VERIFY_MS_MAX / 1000)]
    Late,
    /// It says no; its words.
    #[error("ssh-keygen says `{0}`")]
    No(String),
}

/// Sees that it is a signature of this text for this purpose, whoever made it. `path` is where programs are found.
pub fn is_of(path: &OsStr, text: &str, signature: &Path, namespace: &str) -> Result<(), KeygenError> {
    let how: [&OsStr; 4] = ["check-novalidate".as_ref(), "-n".as_ref(), namespace.as_ref(), "-s".as_ref()];
    run(path, &[&how, &[signature.as_os_str()][..]].concat(), text).map(drop)
}

/// Sees that somebody of the list `signers` made it; who.
pub fn is_allowed(
    path: &OsStr,
    signers: &Path,
    text: &str,
    signature: &Path,
    namespace: &str,
) -> Result<String, KeygenError> {
    let files: [&OsStr; 4] = ["-f".as_ref(), signers.as_ref(), "-s".as_ref(), signature.as_ref()];
    let principals = run(path, &[&["find-principals".as_ref()], &files[..]].concat(), "")?;
    let mut last = KeygenError::No("nobody of the list has this key".to_owned());
    for principal in principals.lines().take(SIGNERS_MAX) {
        let how = ["verify", "-n", namespace, "-I", principal].map(OsStr::new);
        match run(path, &[&how, &files[..]].concat(), text) {
            Ok(_) => return Ok(principal.to_owned()),
            // A line names several, and `!intern@example.org` among them nobody.
            Err(no @ KeygenError::No(_)) => last = no,
            Err(failed) => return Err(failed),
        }
    }
    Err(last)
}

/// Runs `ssh-keygen -Y`, which reads `text`; what it said when it ended well.
fn run(path: &OsStr, how: &[&OsStr], text: &str) -> Result<String, KeygenError> {
    let mut command = Command::new("ssh-keygen");
    command.arg("-Y").args(how);
    let (code, said) = ran(command, path, text).map_err(KeygenError::Run)?;
    match code {
        Some(0) => Ok(said),
        Some(_) => Err(KeygenError::No(said[..said.floor_char_boundary(LINE_BYTES_MAX)].trim().to_owned())),
        None => Err(KeygenError::Late),
    }
}

fn ran(mut command: Command, path: &OsStr, text: &str) -> io::Result<(Option<i32>, String)> {
    let ((stdin, mut input), (output, writer)) = (io::pipe()?, io::pipe()?);
    // A pipe may take a page only. Whoever ends without reading closes it, so that this ends too; what it says then tells why.
    let text = text.to_owned();
    std::thread::spawn(move || input.write_all(text.as_bytes()));
    command.stdin(stdin).stdout(writer.try_clone()?).stderr(writer);
    let said = diskask::ran(command, path, output, VERIFY_MS_MAX)?;
    Ok((said.code, said.output))
}
