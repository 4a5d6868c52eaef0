//! A site in a temporary directory, for tests of the demo.

use super::site::{Site, prepare};
use super::{fleet, reinstall};
use crate::config::policy::Policy;
use crate::model::map::VersionMap;
use crate::model::names::HostName;
use std::path::Path;
use tempfile::TempDir;

/// The embedded site, written to a directory that lives as long as the first value.
pub fn site() -> (TempDir, Site) {
    let directory = tempfile::tempdir().expect("a directory");
    let site = prepare(directory.path()).expect("the embedded site is good");
    (directory, site)
}

/// What the embedded groups.yaml says.
pub fn policy() -> Policy {
    site().1.policy
}

/// A made fleet whose hosts all serve `map`, each with what its versions need.
pub fn serving(hosts: &[&HostName], site: &Site, map: impl FnOnce(VersionMap) -> VersionMap) -> VersionMap {
    let made = fleet::create(site).expect("it is made");
    let map = map(made.map);
    for host in hosts {
        reinstall::serve(site, &site.hosts()[*host], &map).expect("it is filled");
    }
    map
}

/// Files below a directory.
pub fn files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}
