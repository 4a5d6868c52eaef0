//! Signatures on the deploy host: `ssh-keygen` looks at what people bring, and content that nobody signed is stopped where
//! the books would come to want it.
//!
//! Invariant: no private key is ever seen here. Whether a signature is one that counts is for each host to say, by its
//! owner's list; here it is only seen that it is one of this very text, so that a mix-up is told at once.

use super::deploy::Deploy;
use crate::model::books::Books;
use crate::model::component::Component;
use crate::model::signed::RELEASE_NAMESPACE;
use crate::plan::goal::{Blocked, Goal, Why};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a signature is none.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// `ssh-keygen` does not run.
    #[error("failed to run ssh-keygen")]
    Run(#[source] io::Error),
    /// It says no; its words.
    #[error("{} is no signature of this text for `{namespace}`: ssh-keygen says `{said}`", signature.escape_debug())]
    Wrong {
        /// The file.
        signature: String,
        /// What it was to be for.
        namespace: &'static str,
        /// Its last words.
        said: String,
    },
}

/// Refuses an order that would have the books want content that groups.yaml demands a signature for and that has none.
///
/// What leads to content that is wanted already is let pass: hosts are asked then, and a way back waits for nobody here.
pub fn check(deploy: &Deploy, books: &Books, goal: &Goal) -> Result<(), Blocked> {
    if !deploy.policy.signed {
        return Ok(());
    }
    let known = |id, component| books.snapshots.values().any(|known| known.wanted.get(component) == Some(id));
    let news = goal.snapshot.wanted.iter().filter(|(component, id)| !known(*id, *component));
    let lacks = |(component, id): &(&Component, &_)| !matches!(deploy.content.signed(component, **id), Ok(Some(_)));
    let lacking: Vec<String> =
        news.filter(lacks).map(|(component, id)| format!("{component} ({})", id.short())).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let what = format!("groups.yaml demands signed content, and nobody signed {}", lacking.join(", "));
    let hint = format!(
        "pointsman sign > release && ssh-keygen -Y sign -n {RELEASE_NAMESPACE} -f KEY release && pointsman sign --keep release"
    );
    Err(Blocked::new(Why::Refused, what).hint(hint))
}

/// Sees that a file has a signature of this text for this purpose, whoever made it.
pub fn is_of(text: &str, signature: &Path, namespace: &'static str) -> Result<(), SigningError> {
    run(&["check-novalidate".as_ref()], text, signature, namespace).map(drop)
}

/// Sees that somebody of this list made it; who.
pub fn is_allowed(
    text: &str,
    signature: &Path,
    namespace: &'static str,
    signers: &Path,
) -> Result<String, SigningError> {
    let list: [&OsStr; 2] = ["-f".as_ref(), signers.as_os_str()];
    let found = run(&[&["find-principals".as_ref()], &list[..]].concat(), "", signature, namespace)?;
    let principal = found.lines().next().unwrap_or_default();
    let how: [&OsStr; 3] = ["verify".as_ref(), "-I".as_ref(), principal.as_ref()];
    run(&[&how, &list[..]].concat(), text, signature, namespace)?;
    Ok(principal.to_owned())
}

/// Runs `ssh-keygen -Y`, which reads `text`; what it said.
fn run(how: &[&OsStr], text: &str, signature: &Path, namespace: &'static str) -> Result<String, SigningError> {
    let mut command = Command::new("ssh-keygen");
    command.arg("-Y").args(how).args(["-n", namespace, "-s"]).arg(signature).env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path))).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(SigningError::Run)?;
    let mut input = child.stdin.take().expect("it was asked for");
    // It may end without reading; what it says then tells why.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().map_err(SigningError::Run)?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => {
            let said = format!("{} {}", said(&output.stdout), said(&output.stderr)).trim().to_owned();
            Err(SigningError::Wrong { signature: signature.display().to_string(), namespace, said })
        }
    }
}
