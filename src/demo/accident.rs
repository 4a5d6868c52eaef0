//! What goes wrong on one host in the middle of a promotion: its localisation is lost after it was proven.
//!
//! It stands for a disk that fills up, a cron job that cleans the wrong directory, a person: something that no look
//! beforehand can see, and that is no fault of the release.

use super::error::{Result, at};
use super::reinstall::active;
use super::trees;
use crate::model::names::Version;
use std::path::PathBuf;
use std::time::Duration;

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until the host with this root serves `version` for some wiki, and takes that version's localisation away.
///
/// # Errors
///
/// The disk refuses.
pub async fn lose_localisation(root: PathBuf, version: Version) -> Result<()> {
    while !active(&root).is_ok_and(|map| map.0.values().any(|served| *served == version)) {
        tokio::time::sleep(LOOK).await;
    }
    let lost = root.join(version.directory()).join(trees::BUILT);
    at("remove", &lost, std::fs::remove_dir_all(&lost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{fixture, reinstall};

    #[tokio::test]
    async fn it_happens_when_the_version_is_served_and_not_before() {
        let (_directory, site) = fixture::site();
        let host = "mw1019.eqiad.wmnet".parse().expect("a host");
        let mut map = fixture::serving(&[&host], &site, |map| map);
        let directory = site.hosts()[&host].clone();
        let (root, new) = (site.root(&directory), "1.27.0-wmf.11".parse::<Version>().expect("a version"));
        let mut losing = std::pin::pin!(lose_localisation(root.clone(), new.clone()));
        assert!(futures_now(losing.as_mut()).await.is_none(), "nobody serves it");
        map.0.values_mut().for_each(|version| *version = new.clone());
        reinstall::serve(&site, &directory, &map).expect("it is filled");
        losing.await.expect("it is lost");
        assert!(!root.join(new.directory()).join(trees::BUILT).exists());
        assert!(root.join("php-1.27.0-wmf.10").join(trees::BUILT).is_dir(), "and nothing else");
    }

    /// What a future has to say at once.
    async fn futures_now<F: Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
