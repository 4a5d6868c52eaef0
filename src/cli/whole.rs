//! Files that a command was asked to write.

use anyhow::Context;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file so that its readers find the old one or the whole new one; they may be other users.
pub fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        staged(file, bytes)?.persist(file)?;
        Ok(())
    };
    write().with_context(|| format!("failed to write {}", file.display()))
}

/// Writes a file that must not be there yet; it appears whole, and lasts.
pub fn write_new(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let new = staged(file, bytes)?;
        new.as_file().sync_all()?;
        new.persist_noclobber(file)?;
        Ok(())
    };
    write().with_context(|| format!("failed to write {}", file.display()))
}

/// The bytes under another name in the same directory.
fn staged(file: &Path, bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new().prefix(".pointsman-").suffix(".tmp").tempfile_in(directory)?;
    new.write_all(bytes)?;
    new.as_file().set_permissions(Permissions::from_mode(0o644))?;
    Ok(new)
}
