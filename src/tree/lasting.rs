//! Names of directories that outlast a power cut.
//!
//! Invariant: a directory's name lasts once the directory that it stands in was synced, and so on upwards. What is synced
//! inside a directory is of no use while its own name may vanish.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Syncs every directory above `path`. One that we may not read, or whose file system keeps nothing, is not ours to sync:
/// whoever made it did so before.
///
/// # Errors
///
/// The system's own.
pub fn sync_above(path: &Path) -> io::Result<()> {
    for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        match File::open(above).and_then(|directory| directory.sync_all()) {
            Err(e) if is_not_ours(e.kind()) => {}
            synced => synced?,
        }
    }
    Ok(())
}

fn is_not_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::ReadOnlyFilesystem)
}
