//! What every fuzz target runs, over the inputs that are kept in `fuzz/seeds`: beginnings for `scripts/fuzz`, and whatever it found.
//!
//! Invariant: the functions here are the fuzz targets (`fuzz/src/lib.rs` includes the same files), so an input that broke one of
//! them stays mended.

#![expect(clippy::print_stdout, reason = "which input it was is shown where a check fails")]

mod files;
mod sources;
mod texts;
mod wire;
mod worst;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs that are kept for a target.
fn seeds(target: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(repository().join("fuzz/seeds").join(target)).expect("each target has seeds");
    let mut paths: Vec<_> = listed.map(|entry| entry.expect("it is listed").path()).collect();
    paths.sort();
    paths
}

/// Gives each kept input to a target.
fn each(target: &str, check: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() > 1, "{target} has {} seeds", seeds.len());
    for path in seeds {
        // Shown where the check fails.
        println!("{}", path.display());
        check(&fs::read(&path).expect("a seed can be read"));
    }
}

macro_rules! targets {
    ($($test:ident: $target:ident is $check:path;)*) => {
        $(
            #[test]
            fn $test() {
                each(stringify!($target), $check);
            }
        )*
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
    };
}

targets! {
    s01_names: names is texts::names;
    s01_ranges: ranges is texts::ranges;
    s04_requests: request is wire::request;
    s04_replies: reply is wire::reply;
    s04_an_agent: agent is wire::agent;
    s05_paths: path is texts::path;
    s05_manifests: manifest is files::manifest;
    s12_what_is_shown: escape is texts::escape;
    s12_lines_of_logs: log is texts::log;
    s14_groups: groups is files::groups;
    s14_playbooks: playbook is files::playbook;
    s14_incidents: incident is files::incident;
    s14_policy_tests: policytest is files::policytest;
    s14_files_of_httpbb: httpbb is files::httpbb;
    s16_frames: frames is wire::frames;
    s16_packed_messages: packed is wire::packed;
    s17_prometheus: prometheus is sources::prometheus;
    s17_graphite: graphite is sources::graphite;
    s17_elasticsearch: elasticsearch is sources::elasticsearch;
    s23_plans: plan is files::plan;
    s24_records: journal is files::journal;
    maps: map is files::map;
    dblists: dblist is texts::dblist;
    access_logs: access is texts::access;
}

#[test]
fn each_target_is_built_and_run_and_has_seeds() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|name| (*name).to_owned()).collect();
    let manifest = fs::read_to_string(repository().join("fuzz/Cargo.toml")).expect("it is there");
    let names = manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next());
    assert_eq!(names.map(str::to_owned).collect::<BTreeSet<_>>(), targets);
    let listed = fs::read_dir(repository().join("fuzz/seeds")).expect("it is there");
    let kept = listed.map(|entry| entry.expect("it is listed").file_name().to_string_lossy().into_owned());
    assert_eq!(kept.collect::<BTreeSet<_>>(), targets);
}
