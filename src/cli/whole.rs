//! Files that a command was asked to write.

use anyhow::Context;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file so that its readers find the old one or the whole new one; they may be other users.
pub fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut new = tempfile::Builder::new().prefix(".pointsman-").suffix(".tmp").tempfile_in(directory)?;
        new.write_all(bytes)?;
        new.as_file().set_permissions(Permissions::from_mode(0o644))?;
        new.persist(file)?;
        Ok(())
    };
    write().with_context(|| format!("failed to write {}", file.display()))
}
