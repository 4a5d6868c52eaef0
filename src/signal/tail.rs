//! Following log files on hosts from one reading to the next.
//!
//! Invariant: every line is given once. The first reading of a file only finds its end; a file that is not there yet is
//! read from its start when it comes. One reading takes a bounded number of bytes and goes on next time.

use super::World;
use super::ask::{Answers, each};
use crate::model::limits::{ASK_MS_MAX, DURATION_MS_MAX, TAIL_BYTES_MAX, TAIL_ROUNDS_MAX};
use crate::model::names::HostName;
use crate::model::question::{Answer, Cursor, Question, Tail};
use crate::model::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files, and where the last reading of each ended on each host.
#[derive(Debug)]
pub struct Follower {
    files: Vec<PathBuf>,
    /// So many of them, the first, show whether the source lives.
    aged: usize,
    cursors: BTreeMap<HostName, Vec<Cursor>>,
    /// When a host that answered last had one of those, and how old it was then, ms.
    alive: Option<(Time, u64)>,
}

/// What one host wrote since the last reading.
#[derive(Debug, Default)]
pub struct Fresh<T> {
    /// What was made of the lines.
    pub found: T,
    /// Whether lines are missing.
    pub lost: bool,
    age_ms: Option<u64>,
    cursors: Vec<Cursor>,
}

impl Follower {
    /// Follows these files, absolute on hosts; the first `aged` of them show whether the source lives.
    pub fn new(files: Vec<PathBuf>, aged: usize) -> Self {
        Self { files, aged, cursors: BTreeMap::new(), alive: None }
    }

    /// Gives `fold` every new line with the number of its file.
    pub async fn read<W: World, T: Default>(
        &mut self,
        hosts: &BTreeSet<HostName>,
        world: &W,
        fold: impl Fn(&mut T, usize, &str),
    ) -> Answers<Fresh<T>> {
        let (files, aged, cursors, fold) = (&self.files, self.aged, &self.cursors, &fold);
        let answers = each(hosts, |host| follow(world, host, (files, aged), cursors.get(host), fold)).await;
        let youngest = answers.values().flatten().filter_map(|fresh| fresh.age_ms).min();
        if let Some(age_ms) = youngest {
            self.alive = Some((world.now(), age_ms));
        }
        for (host, fresh) in answers.iter().filter_map(|(host, answer)| Some((host, answer.as_ref().ok()?))) {
            self.cursors.insert(host.clone(), fresh.cursors.clone());
        }
        answers
    }

    /// How long ago any host last wrote to any of the files that show it, ms; a year when none of them was ever there.
    pub fn newest_age_ms(&self, now: Time) -> u64 {
        self.alive.map_or(DURATION_MS_MAX, |(at, age_ms)| age_ms.saturating_add(now.ms_since(at)))
    }

    /// The files, in words.
    pub fn files(&self) -> String {
        self.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

async fn follow<W: World, T: Default>(
    world: &W,
    host: &HostName,
    (files, aged): (&[PathBuf], usize),
    cursors: Option<&Vec<Cursor>>,
    fold: &impl Fn(&mut T, usize, &str),
) -> Result<Fresh<T>, String> {
    let mut fresh = Fresh::default();
    for (number, file) in files.iter().enumerate() {
        let mut cursor = cursors.and_then(|cursors| cursors.get(number)).copied();
        for _ in 0..TAIL_ROUNDS_MAX {
            let tail = tail(world, host, file, cursor).await?;
            tail.lines.iter().for_each(|line| fold(&mut fresh.found, number, line));
            fresh.lost |= tail.lost || tail.skipped_bytes > 0;
            if tail.next.is_some() && number < aged {
                fresh.age_ms = fresh.age_ms.into_iter().chain([tail.age_ms]).min();
            }
            // Without progress, asking again would give the same.
            let over = tail.left_bytes == 0 || tail.next.is_none() || tail.next == cursor;
            cursor = tail.next.or(cursor);
            if over {
                break;
            }
        }
        fresh.cursors.push(cursor.unwrap_or_default());
    }
    Ok(fresh)
}

async fn tail<W: World>(world: &W, host: &HostName, file: &Path, from: Option<Cursor>) -> Result<Tail, String> {
    let question = Question::Tail { file: file.to_owned(), from, bytes_max: TAIL_BYTES_MAX };
    match world.ask(host, question, Duration::from_millis(ASK_MS_MAX)).await {
        Ok(Answer::Tail(tail)) => Ok(tail),
        Ok(Answer::Failed(why)) => Err(why),
        Ok(_) => Err("its answer is not one to what was asked".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}
