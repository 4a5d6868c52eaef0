//! `pointsman demo down`: ends the kept web tier and removes `.demo/`.
//!
//! Invariant: only a real directory with our mark in it is removed, and only after its web tier has ended. The
//! groups.yaml beside it stays, since somebody may have edited it.

use super::error::{DemoError, Result, at};
use super::fleet::MARK;
use super::kept::{self, Ended};
use super::site::Site;
use crate::model::limits::DEMO_WEB_MS_MAX;
use std::io::ErrorKind;
use std::time::Duration;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down {
    /// What became of the web tier.
    pub web: Ended,
    /// Whether there was a `.demo/`.
    pub removed: bool,
}

/// Ends and removes the demo of the site; nothing to do is fine.
///
/// # Errors
///
/// `.demo/` is not ours, its web tier does not end, or the disk refuses.
pub fn down(site: &Site) -> Result<Down> {
    let home = site.home();
    let metadata = match home.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Down { web: Ended::None, removed: false }),
        other => at("look at", &home, other)?,
    };
    if !metadata.is_dir() || !home.join(MARK).is_file() {
        return Err(DemoError::Foreign(home));
    }
    let web = kept::end(site, Duration::from_millis(DEMO_WEB_MS_MAX))?;
    at("remove", &home, std::fs::remove_dir_all(&home))?;
    Ok(Down { web, removed: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{fixture, fleet};

    #[test]
    fn what_the_demo_made_is_removed_and_groups_yaml_stays() {
        let (directory, site) = fixture::site();
        assert_eq!(down(&site).expect("nothing to do"), Down { web: Ended::None, removed: false });
        fleet::create(&site).expect("it is made");
        assert_eq!(down(&site).expect("removed"), Down { web: Ended::None, removed: true });
        assert!(!site.home().exists());
        assert!(directory.path().join("groups.yaml").exists());
        fleet::create(&site).expect("and made again");
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let (_directory, site) = fixture::site();
        std::fs::create_dir(site.home()).expect("made");
        assert!(matches!(down(&site), Err(DemoError::Foreign(_))));
        assert!(site.home().is_dir());
        std::fs::remove_dir(site.home()).expect("removed");
        let other = tempfile::tempdir().expect("a directory");
        std::fs::write(other.path().join(MARK), "").expect("written");
        std::os::unix::fs::symlink(other.path(), site.home()).expect("linked");
        assert!(matches!(down(&site), Err(DemoError::Foreign(_))));
        assert!(other.path().join(MARK).exists());
    }
}
