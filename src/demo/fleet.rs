//! Makes the embedded fleet: staging with four versions, and empty directories that stand for hosts.
//!
//! Invariant: a fleet is made whole or not at all where there is none; one that is there is never written over.
//! Hosts get nothing: what lies on them comes from the commands that the demo shows.

use super::error::{DemoError, Result, at};
use super::site::Site;
use super::trees;
use crate::model::map::VersionMap;
use crate::model::names::Version;
use std::fs::{DirBuilder, create_dir_all, remove_dir_all, rename};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The versions in staging: the one of the pins, the one that everybody runs, the one that went wrong, and the one in
/// which that is repaired.
pub const VERSIONS: [&str; 4] = ["1.27.0-wmf.9", "1.27.0-wmf.10", trees::BROKEN, "1.27.0-wmf.12"];
/// What every wiki without a pin runs when the demo begins; an index of [`VERSIONS`].
const START: usize = 1;
/// The file that marks a `.demo/` as ours to remove.
pub const MARK: &str = "made-by-pointsman-demo";

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The source trees.
    pub staging: PathBuf,
    /// Versions in it, oldest first.
    pub versions: Vec<Version>,
    /// Files in each version.
    pub files: usize,
    /// How many hosts there are.
    pub hosts: usize,
    /// The map that staging begins with.
    pub map: VersionMap,
}

/// Makes `.demo/` of the site: built beside it first, so that a half-made one is never taken for a fleet.
///
/// # Errors
///
/// There is one already, or the disk refuses.
pub fn create(site: &Site) -> Result<Made> {
    let home = site.home();
    if home.symlink_metadata().is_ok() {
        return Err(DemoError::Exists(home));
    }
    let draft = site.directory.join(".demo.draft");
    match remove_dir_all(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return at("remove", &draft, Err(error)),
        _ => at("make", &draft, DirBuilder::new().mode(0o700).create(&draft))?,
    }
    trees::put(&draft.join(MARK), "pointsman demo made this directory; `pointsman demo down` removes it.\n")?;
    // The draft mirrors the home, so a path within one is the same path within the other.
    let drafted = |path: &Path| draft.join(path.strip_prefix(&home).expect("a site's paths were checked to be inside"));
    for directory in site.hosts().values() {
        site.empty_host(directory, drafted)?;
    }
    let versions: Vec<Version> = VERSIONS.iter().map(|v| v.parse().expect("they follow the grammar")).collect();
    let map = serves(site, 0, VERSIONS[START]);
    let files = stage(&drafted(&site.policy.staging), site, &versions, &map)?;
    at("move into place", &home, rename(&draft, &home))?;
    Ok(Made { staging: site.policy.staging.clone(), versions, files, hosts: site.hosts().len(), map })
}

/// What every wiki serves when the first `ahead` groups are on `version`, one of [`VERSIONS`], and the others where they
/// began; pinned wikis stay where they are pinned.
pub fn serves(site: &Site, ahead: usize, version: &str) -> VersionMap {
    let parsed = |version: &str| version.parse::<Version>().expect("they follow the grammar");
    let mut map = VersionMap::default();
    for (n, group) in site.policy.groups.iter().enumerate() {
        let version = parsed(if n < ahead { version } else { VERSIONS[START] });
        for wiki in &group.wikis {
            let pin = site.policy.pins.wikis.get(wiki);
            map.0.insert(wiki.clone(), pin.map_or(&version, |pin| &pin.version).clone());
        }
    }
    map
}

/// Fills staging; returns the number of files in each version.
fn stage(staging: &Path, site: &Site, versions: &[Version], map: &VersionMap) -> Result<usize> {
    let languages = trees::languages(&site.policy);
    for version in versions {
        trees::write(&staging.join(version.directory()), version, &languages)?;
    }
    for component in &site.policy.configuration {
        let directory = staging.join(component.to_string());
        at("make", &directory, create_dir_all(&directory))?;
        trees::put(&directory.join("CommonSettings.php"), "<?php\n\n$wgSitename = 'Demo';\n")?;
        trees::put(&directory.join("InitialiseSettings.php"), "<?php\n\nreturn [ 'wgServer' => [] ];\n")?;
    }
    let path = staging.join("wikiversions.json");
    at("write", &path, std::fs::write(&path, map.to_json()))?;
    Ok(trees::files())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fixture;

    #[test]
    fn a_fleet_is_made_once_and_starts_where_the_incident_started() {
        let (directory, site) = fixture::site();
        let made = create(&site).expect("it is made");
        assert_eq!(made.hosts, 12);
        let counts = made.map.counts();
        let counts: Vec<(&str, usize)> = counts.iter().map(|(v, n)| (v.as_str(), *n)).collect();
        assert_eq!(counts, [("1.27.0-wmf.10", 892), ("1.27.0-wmf.9", 2)]);
        let bytes = std::fs::read(made.staging.join("wikiversions.json")).expect("it is there");
        assert_eq!(VersionMap::from_json(&bytes), Ok(made.map.clone()));
        for version in &made.versions {
            let tree = made.staging.join(version.directory());
            assert_eq!(fixture::files(&tree), made.files, "{version}");
            let built = tree.join(trees::BUILT);
            assert!(!built.exists(), "localisation is built on hosts, not in staging");
        }
        assert!(made.staging.join("wmf-config/CommonSettings.php").is_file());
        for host in site.hosts().values() {
            assert_eq!(fixture::files(host), 0, "hosts begin empty");
            assert!(site.root(host).is_dir());
        }
        assert!(!directory.path().join(".demo.draft").exists());
        let error = create(&site).expect_err("there is one already").to_string();
        assert!(error.ends_with("is already there; remove it with `pointsman demo down`"), "{error}");
    }

    #[test]
    fn a_draft_that_a_crash_left_is_made_anew() {
        let (directory, site) = fixture::site();
        let left = directory.path().join(".demo.draft/staging/php-1.27.0-wmf.9/left");
        create_dir_all(&left).expect("made");
        let made = create(&site).expect("it is made");
        assert!(!made.staging.join("php-1.27.0-wmf.9/left").exists());
    }
}
