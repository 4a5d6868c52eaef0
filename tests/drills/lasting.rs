//! What is synced before anything rests on it: the names of the directories in which everything else is kept.

use crate::killed::CONVERGE;
use crate::site::Site;
use crate::stand::{Stand, Who};
use crate::trace::{self, Call};
use std::process::Command;

fn position(calls: &[Call], name: &str, words: &str) -> Option<usize> {
    calls.iter().position(|call| call.name == name && call.rest.contains(words))
}

#[test]
fn a_new_host_syncs_the_names_of_its_directories_before_its_fence() {
    let stand = Stand::new(&CONVERGE);
    let above = format!("{}/var/lib>", stand.site.host(&stand.site.hosts()[1]).display());
    let of_agents = stand.recorded.iter().filter(|(who, _)| *who != Who::Controller);
    let synced = |calls: &Vec<Call>| position(calls, "fsync", &above).zip(position(calls, "renameat", "\"fence\""));
    let (synced, fence) = of_agents.filter_map(|(_, calls)| synced(calls)).next().expect("the new host syncs it");
    assert!(synced < fence);
}

#[test]
fn new_books_sync_the_name_of_their_directory_before_a_host_is_told() {
    let site = Site::unsynced("");
    let log = site.path("log");
    let mut command = Command::new("strace");
    command.args(["-qq", "-y", "-o"]).arg(&log).arg(env!("CARGO_BIN_EXE_pointsman")).arg("-C").arg(site.path(""));
    let ended = command.args(["sync-common", "--from-staging", "--yes", "-m", "first"]).output().expect("strace runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let calls = trace::read(&log);
    let told = calls.len() - trace::between_intent_and_reply(&calls, trace::Books::File).len();
    for directory in [site.path("books"), site.path("")] {
        let directory = directory.to_str().expect("it is UTF-8").trim_end_matches('/');
        let synced = position(&calls, "fsync", &format!("<{directory}>")).expect("its names are synced");
        assert!(synced < told, "{directory}");
    }
}
