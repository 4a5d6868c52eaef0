//! The secrets that groups.yaml and commands refer to, read when they are needed and not before.
//!
//! Invariant: a file counts only where nobody but its owner and root can read it, and no error has any part of a secret.

use crate::model::limits::CREDENTIALS_BYTES_MAX;
use crate::model::secret::{Reference, Secret};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The secret that a reference leads to, without space around it.
///
/// # Errors
///
/// It is not there, or others could read it; in words without any of it.
pub fn referred(reference: &Reference) -> Result<Secret, String> {
    let text = match reference {
        Reference::Env(name) => std::env::var(name).map(Secret::new).map_err(|_| "this variable is not set".to_owned()),
        Reference::File(path) => text(path),
    };
    text.map(|text| text.trimmed())
}

/// The text of a file with a secret in it, which nobody but its owner and root can read.
///
/// # Errors
///
/// Why it can't be read or trusted, in words without any of it.
pub fn text(path: &Path) -> Result<Secret, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let uid = rustix::process::geteuid().as_raw();
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
        return Err(format!("others could read it; type `chmod 600 {}`", path.display()));
    }
    if metadata.uid() != uid && metadata.uid() != 0 {
        return Err(format!("it belongs to uid {}, neither root nor you", metadata.uid()));
    }
    let mut text = String::new();
    file.take(CREDENTIALS_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.kind().to_string())?;
    Ok(Secret::new(text))
}
