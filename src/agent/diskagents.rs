//! The programs of earlier agents, beside the one that runs.
//!
//! Invariant: only files with the name that the bootstrap gives agents are touched, and only in the directory that this
//! agent itself runs from. A local agent runs from elsewhere, so that nothing is touched there.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Whether a name is `agent-` and 64 hexadecimal digits.
fn is_agent(name: &str) -> bool {
    let hex = |digits: &str| digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    name.strip_prefix("agent-").is_some_and(hex)
}

/// Removes all agents beside `own` but the newest, so that `kept` are left; how many it removed.
pub fn remove(own: &Path, kept: usize) -> io::Result<u64> {
    let (Some(directory), Some(name)) = (own.parent(), own.file_name().and_then(|name| name.to_str())) else {
        return Ok(0);
    };
    if !is_agent(name) {
        return Ok(0);
    }
    let mut others: Vec<(SystemTime, DirEntry)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.is_file() && entry.file_name().to_str().is_some_and(|other| is_agent(other) && other != name) {
            others.push((found.modified()?, entry));
        }
    }
    others.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
    let old = others.get(kept.saturating_sub(1)..).unwrap_or_default();
    old.iter().try_for_each(|(_, entry)| fs::remove_file(entry.path()))?;
    Ok(old.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_newest_and_the_own_one_stay_and_nothing_else_is_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let name = |n: u64| format!("agent-{n:064x}");
        for n in 0..5 {
            let file = fs::File::create(directory.path().join(name(n))).expect("it is made");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + n)).expect("its time is set");
        }
        for other in ["agent-1234", "upload.x", "agent-zz", &format!("{}.old", name(9))] {
            fs::write(directory.path().join(other), "").expect("it is written");
        }
        // The oldest is the one that runs.
        assert_eq!(remove(&directory.path().join(name(0)), 3).expect("it can"), 2);
        let left = |n: u64| directory.path().join(name(n)).exists();
        assert_eq!([0, 1, 2, 3, 4].map(left), [true, false, false, true, true]);
        assert_eq!(fs::read_dir(directory.path()).expect("it can").count(), 3 + 4);
        assert_eq!(remove(&directory.path().join("pointsman"), 1).expect("it can"), 0, "not installed as an agent");
    }
}
