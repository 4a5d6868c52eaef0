//! `test`: policies held against what they must do.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use super::whole;
use crate::config::diagnostic::Diagnostics;
use crate::config::policytest::{self, PolicyTest};
use crate::model::limits::{DIAGNOSTICS_MAX, POLICY_TEST_DEPTH_MAX, POLICY_TEST_ENTRIES_MAX};
use crate::replay::expect::check;
use crate::replay::play;
use crate::report::policytests::{self, Missed, Ran};
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What the files of tests end in.
const SUFFIX: &str = ".test.yaml";

/// Test the policy: replay incidents and hold what comes of them against what is expected
///
/// Runs every *.test.yaml below a directory, in the order of their names. Nothing is contacted and nothing is changed. Ends
/// with 0 when all pass, 1 when one does not, 2 when a file is wrong. See docs/replay.md for how a test is written.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman test\n  pointsman test incidents/night.test.yaml --junit policy.xml")]
pub struct Test {
    /// Directories and files [default: incidents]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write JUnit XML too, one case a test
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Test {
    /// Runs the command.
    pub fn run(mut self, seat: &Seat) -> anyhow::Result<Exit> {
        if self.paths.is_empty() {
            self.paths.push(PathBuf::from("incidents"));
        }
        let tests = read(&files(&self.paths)?)?;
        let mut all = Vec::new();
        for (file, test) in &tests {
            let ran = ran(file, test);
            if !seat.json {
                seat.printer.data(&policytests::line(&ran));
            }
            all.push(ran);
        }
        match seat.json {
            true => seat.printer.data(&policytests::json(&all).to_string()),
            false => seat.printer.data(&format!("\n{}", policytests::sum(&all))),
        }
        if let Some(file) = &self.junit {
            let xml = policytests::junit(&all).context("failed to write JUnit XML")?;
            whole::write(file, xml.as_bytes())?;
        }
        Ok(if all.iter().all(|ran| ran.missed.is_empty()) { Exit::Done } else { Exit::Ours })
    }
}

/// Every test, or the mistakes of all of them.
fn read(files: &[PathBuf]) -> Result<Vec<(PathBuf, PolicyTest)>, Diagnostics> {
    let (mut tests, mut mistakes) = (Vec::new(), Diagnostics { list: Vec::new(), more: 0 });
    for file in files {
        match policytest::load(file) {
            Ok(test) => tests.push((file.clone(), test)),
            Err(found) => {
                mistakes.list.extend(found.list);
                mistakes.more += found.more;
            }
        }
    }
    mistakes.more += mistakes.list.len().saturating_sub(DIAGNOSTICS_MAX);
    mistakes.list.truncate(DIAGNOSTICS_MAX);
    if mistakes.list.is_empty() { Ok(tests) } else { Err(mistakes) }
}

fn ran(file: &Path, test: &PolicyTest) -> Ran {
    let began = Instant::now();
    let missed = match play(&test.incident, std::slice::from_ref(&test.chapter), test.playbook.as_ref()) {
        Ok(played) => {
            let against = |expected: &policytest::Expectation| {
                let found = played.chapters.iter().filter_map(|chapter| check(&expected.what, chapter).err()).flatten();
                found.map(|found| Missed { line: expected.place.line, found }).collect::<Vec<_>>()
            };
            test.expect.iter().flat_map(against).collect()
        }
        Err(error) => vec![Missed { line: 0, found: error.to_string() }],
    };
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ran { file: file.to_owned(), name: test.name.clone(), missed, took_ms }
}

/// The files that were named, and the tests below the directories that were, in the order of their names.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut left) = (Vec::new(), POLICY_TEST_ENTRIES_MAX);
    for path in paths {
        let kind = std::fs::metadata(path).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
        let before = found.len();
        match kind.is_dir() {
            true => below(path, POLICY_TEST_DEPTH_MAX, &mut left, &mut found)?,
            false => found.push(path.clone()),
        }
        if found.len() == before {
            let message = format!("there is no test below {}: their names end in {SUFFIX}", path.display());
            return Err(Usage(message).into());
        }
    }
    Ok(found)
}

/// Symbolic links are not followed, hidden directories not looked into.
fn below(directory: &Path, depth: usize, left: &mut usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unread = || format!("failed to list {}", directory.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(unread)? {
        *left = left.checked_sub(1).ok_or_else(|| {
            let most = POLICY_TEST_ENTRIES_MAX;
            Usage(format!("more than {most} files: name the directories that hold tests"))
        })?;
        entries.push(entry.with_context(unread)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path, name) = (entry.file_type().with_context(unread)?, entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if kind.is_dir() && depth > 0 && !name.starts_with('.') {
            below(&path, depth - 1, left, found)?;
        } else if kind.is_file() && name.ends_with(SUFFIX) {
            found.push(path);
        }
    }
    Ok(())
}
