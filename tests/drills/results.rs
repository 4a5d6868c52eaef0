//! What was tried, night after night: a line of JSON a trial, in `target/drills.jsonl`.
//!
//! Invariant: a point counts by its newest line alone, so that one that broke since counts as not tried.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/drills.jsonl")
}

/// The commit that is tried, `-dirty` when there is more than that.
fn commit() -> &'static str {
    static COMMIT: OnceLock<String> = OnceLock::new();
    COMMIT.get_or_init(|| {
        let mut git = Command::new("git");
        git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--exclude=*"]);
        let said = git.output().ok().filter(|said| said.status.success());
        said.map_or("unknown".to_owned(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    })
}

/// Notes one trial.
pub fn note(drill: &str, point: &str, end: &str, held: bool) {
    let line = json!({"commit": commit(), "drill": drill, "point": point, "end": end, "held": held});
    let mut file = OpenOptions::new().append(true).create(true).open(file()).expect("target/ can be written");
    // One write a line: drills run beside each other.
    file.write_all(format!("{line}\n").as_bytes()).expect("written");
}

/// In words, how many of these points were tried until now and held, and since which commit.
pub fn so_far<'a>(drill: &str, points: impl Iterator<Item = &'a str>) -> String {
    let text = fs::read_to_string(file()).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("we wrote it"));
    let ours: Vec<Value> = lines.filter(|line: &Value| line["drill"] == drill).collect();
    let newest: BTreeMap<&str, usize> =
        ours.iter().enumerate().filter_map(|(n, line)| Some((line["point"].as_str()?, n))).collect();
    let (mut all, mut tried) = (0, Vec::new());
    for point in points {
        all += 1;
        tried.extend(newest.get(point).copied().filter(|n| ours[*n]["held"] == true));
    }
    let since =
        tried.iter().min().map_or("nothing yet", |oldest: &usize| ours[*oldest]["commit"].as_str().expect("ours"));
    format!("{} of {all} points tried since commit {since}", tried.len())
}
