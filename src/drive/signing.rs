//! Signatures on the deploy host: `ssh-keygen` looks at what people bring, and content that nobody signed is stopped where
//! the books would come to want it.
//!
//! Invariant: no private key is ever seen here. Whether a signature is one that counts is for each host to say, by its
//! owner's list; here it is only seen that it is one of this very text, so that a mix-up is told at once.

use super::deploy::Deploy;
use crate::agent::keygen::{self, KeygenError};
use crate::model::books::Books;
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::signed::RELEASE_NAMESPACE;
use crate::plan::goal::{Blocked, Goal, Why};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Why a signature is none.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// `ssh-keygen` gave no answer.
    #[error(transparent)]
    Failed(KeygenError),
    /// It says no.
    #[error("{} is no signature of this text for `{namespace}`", signature.escape_debug())]
    Wrong {
        /// The file.
        signature: String,
        /// What it was to be for.
        namespace: &'static str,
        /// Its words.
        #[source]
        said: KeygenError,
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
    let lacks =
        |(component, id): &(&Component, &Digest)| !matches!(deploy.content.signed(component, **id), Ok(Some(_)));
    let lacking: Vec<(&Component, &Digest)> = news.filter(lacks).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = lacking.iter().map(|(component, id)| format!("{component} ({})", id.short())).collect();
    let named: Vec<String> = lacking.iter().map(|(component, _)| component.to_string()).collect();
    let what = format!("groups.yaml demands signed content, and nobody signed {}", listed.join(", "));
    let sign = format!("ssh-keygen -Y sign -n {RELEASE_NAMESPACE} -f KEY release");
    let hint = format!("pointsman sign {} > release && {sign} && pointsman sign --keep release", named.join(" "));
    Err(Blocked::new(Why::Refused, what).hint(hint))
}

/// Sees that a file has a signature of this text for this purpose, whoever made it.
pub fn is_of(text: &str, signature: &Path, namespace: &'static str) -> Result<(), SigningError> {
    keygen::is_of(&path(), text, &absolute(signature), namespace).map_err(|why| wrong(why, signature, namespace))
}

/// Sees that somebody of this list made it; who.
pub fn is_allowed(
    text: &str,
    signature: &Path,
    namespace: &'static str,
    signers: &Path,
) -> Result<String, SigningError> {
    let (list, file) = (absolute(signers), absolute(signature));
    keygen::is_allowed(&path(), &list, text, &file, namespace).map_err(|why| wrong(why, signature, namespace))
}

/// Where whoever runs this has programs.
fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into())
}

/// `ssh-keygen` runs in another directory than whoever typed the path.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn wrong(why: KeygenError, signature: &Path, namespace: &'static str) -> SigningError {
    match why {
        KeygenError::No(_) => SigningError::Wrong { signature: signature.display().to_string(), namespace, said: why },
        KeygenError::Run(_) | KeygenError::Late => SigningError::Failed(why),
    }
}
