//! Two adjacent releases of something large and real, one after another: what a week's train brings.
//!
//! The trees are Django 5.0.1 and 5.0.2 from the Python package index, 3,650 files each; `scripts/test` gets them.

use crate::site::{Site, V10, V11};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Puts a release into a version's tree in staging.
fn stage(site: &Site, release: &str, version: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench").join(release);
    assert!(from.is_dir(), "{} is not there; scripts/test gets it", from.display());
    let to = site.path(&format!("staging/php-{version}/vendor"));
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success());
}

/// Every file below `top` with its bytes and whether it can be executed.
fn files(top: &Path) -> BTreeMap<PathBuf, (Vec<u8>, bool)> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![top.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("it is listed") {
            let path = entry.expect("it is listed").path();
            let meta = fs::symlink_metadata(&path).expect("it is there");
            if meta.is_dir() {
                waiting.push(path);
                continue;
            }
            let below = path.strip_prefix(top).expect("it is below").to_owned();
            let bytes = fs::read(&path).expect("it is read");
            found.insert(below, (bytes, meta.permissions().mode() & 0o111 != 0));
        }
    }
    found
}

/// Fails unless every host has a release exactly as it is in staging.
#[track_caller]
fn all_hold(site: &Site, version: &str) {
    let wanted = files(&site.path(&format!("staging/php-{version}/vendor")));
    assert!(wanted.len() > 3_000, "{} files", wanted.len());
    for host in site.hosts() {
        let there = files(&site.served(host, &format!("php-{version}/vendor")));
        let wrong: Vec<&PathBuf> =
            wanted.keys().chain(there.keys()).filter(|p| wanted.get(*p) != there.get(*p)).collect();
        assert!(wrong.is_empty(), "{host} has other files than staging: {:?}", &wrong[..wrong.len().min(5)]);
    }
}

/// The bytes of all bundles that were made.
fn bundles(site: &Site) -> u64 {
    let entries = files(&site.path("books/content/bundles"));
    entries.values().map(|(bytes, _)| bytes.len() as u64).sum()
}

#[test]
fn a_week_comes_as_a_difference_and_whole() {
    let site = Site::unsynced("");
    stage(&site, "v1", V10);
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "the first"]).ends(0);
    all_hold(&site, V10);
    let pack = bundles(&site);
    stage(&site, "v2", V11);
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "the next"]).ends(0);
    all_hold(&site, V10);
    all_hold(&site, V11);
    let difference = bundles(&site) - pack;
    assert!(difference > 0 && difference * 8 < pack, "a difference of {difference} bytes to a pack of {pack}");
    site.run(&["check"]).ends(0);

    // Other bytes, and all else as it was, down to the time.
    let spoilt = site.served(&site.hosts()[1], &format!("php-{V11}/vendor/django/__init__.py"));
    let (mut bytes, before) = (fs::read(&spoilt).expect("it is there"), fs::metadata(&spoilt).expect("it is there"));
    bytes[0] ^= 1;
    fs::write(&spoilt, bytes).expect("ours");
    let file = fs::File::options().write(true).open(&spoilt).expect("ours");
    file.set_modified(before.modified().expect("it has a time")).expect("ours");
    let after = fs::metadata(&spoilt).expect("it is there");
    assert_eq!((before.len(), before.mtime_nsec()), (after.len(), after.mtime_nsec()));
    site.run(&["check"]).ends(7).says(&site.hosts()[1]).says("django/__init__.py");
    site.run(&["converge", "--yes"]).ends(0);
    all_hold(&site, V11);
}
