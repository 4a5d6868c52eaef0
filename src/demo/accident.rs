//! What goes wrong on one host in the middle of a promotion: its localisation is lost after it was proven.
//!
//! It stands for a disk that fills up, a cron job that cleans the wrong directory, a person: something that no look
//! beforehand can see, and that is no fault of the release.

use super::error::{Result, at};
use super::trees;
use crate::model::names::Version;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until the host has confirmed that it serves `version` for some wiki, so that its proof lies behind it, and takes
/// that version's localisation away. `state` is where its agent keeps its notes.
///
/// # Errors
///
/// The disk refuses.
pub async fn lose_localisation(root: PathBuf, state: PathBuf, version: Version) -> Result<()> {
    while !confirmed(&state, &version) {
        tokio::time::sleep(LOOK).await;
    }
    let lost = root.join(version.directory()).join(trees::BUILT);
    at("remove", &lost, std::fs::remove_dir_all(&lost))
}

/// Whether the newest confirmed map has `version` for some wiki. A note that cannot be read has not.
fn confirmed(state: &Path, version: &Version) -> bool {
    let text = std::fs::read_to_string(state.join("confirmed")).unwrap_or_default();
    let notes: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let map = notes.pointer("/body/0/map").and_then(|map| map.as_object());
    map.is_some_and(|map| map.values().any(|served| served.as_str() == Some(version.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{fixture, reinstall};

    #[tokio::test]
    async fn it_happens_when_the_version_was_proven_to_be_served_and_not_before() {
        let (_directory, site) = fixture::site();
        let host = "mw1019.eqiad.wmnet".parse().expect("a host");
        let new = "1.27.0-wmf.11".parse::<Version>().expect("a version");
        let mut map = fixture::serving(&[&host], &site, |map| map);
        let directory = site.hosts()[&host].clone();
        map.0.values_mut().for_each(|version| *version = new.clone());
        reinstall::serve(&site, &directory, &map).expect("it is filled");
        let (root, state) = (site.root(&directory), site.state(&directory));
        let mut losing = std::pin::pin!(lose_localisation(root.clone(), state.clone(), new.clone()));
        assert!(futures_now(losing.as_mut()).await.is_none(), "it is served, and nobody has proven it");
        let note = serde_json::json!({"format": 1, "body": [{"map": {"testwiki": new}, "note": {}}]});
        std::fs::create_dir_all(&state).expect("made");
        std::fs::write(state.join("confirmed"), note.to_string()).expect("written");
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
