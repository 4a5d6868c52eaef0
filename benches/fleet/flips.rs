//! How long it takes from the first host's switch to the last one's, seen from outside: by the times that the file system gave
//! the files. It is compared with as many bare processes, which write, sync and rename a file on the same disk.

use crate::site::Site;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// What makes this program one of the bare processes.
pub const ARGUMENT: &str = "--flip";

/// Replaces a file.
pub fn flip(path: &Path) {
    let next = path.with_extension("next");
    let mut file = File::create(&next).expect("the host is ours");
    file.write_all(&[b'x'; 4096]).and_then(|()| file.sync_all()).expect("there is room");
    fs::rename(&next, path).expect("the host is ours");
}

/// One bare process a host, all at once; s from the first rename to the last.
pub fn bare(site: &Site) -> f64 {
    let flipped: Vec<PathBuf> = site.hosts.iter().map(|host| host.root.join("flipped")).collect();
    let own = std::env::current_exe().expect("it runs");
    let start = |path: &PathBuf| Command::new(&own).arg(ARGUMENT).arg(path).spawn().expect("it starts");
    let children: Vec<Child> = flipped.iter().map(start).collect();
    let ended = children.into_iter().all(|mut child| child.wait().is_ok_and(|status| status.success()));
    assert!(ended, "a bare process failed");
    let spread = first_to_last(flipped.iter().cloned());
    flipped.iter().for_each(|path| fs::remove_file(path).expect("it was made"));
    spread
}

/// From the first change of one of these files to the last, s: a rename changes the time of change of what is renamed.
pub fn first_to_last(paths: impl Iterator<Item = PathBuf>) -> f64 {
    let changed =
        |path: PathBuf| fs::metadata(path).map(|found| (found.ctime(), found.ctime_nsec())).expect("it is there");
    let times: Vec<(i64, i64)> = paths.map(changed).collect();
    let (first, last) = (times.iter().min(), times.iter().max());
    first.zip(last).map_or(0.0, |(first, last)| (last.0 - first.0) as f64 + (last.1 - first.1) as f64 / 1e9)
}
