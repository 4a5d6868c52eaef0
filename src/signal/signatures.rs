//! Signatures of log lines in files on hosts. What is known is the business of [`super::clusters`].

use super::ask::query;
use super::clusters::{Clusters, Lines};
use super::tail::Follower;
use super::{Provider, World};
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::model::time::Time;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Signatures from log files.
#[derive(Debug)]
pub struct FileSignatures {
    follower: Follower,
    /// The number of the file whose lines are requests.
    requests_file: Option<usize>,
    clusters: Clusters,
}

impl FileSignatures {
    /// Follows these files; `known`: the signatures on the books and when each was seen, of which those within
    /// `look_back_ms` (before the switch) count; `requests_file`: a log whose lines are requests.
    pub fn new(
        mut files: Vec<PathBuf>,
        requests_file: Option<PathBuf>,
        look_back_ms: u64,
        known: BTreeMap<String, Time>,
    ) -> Self {
        let logs = files.len();
        let number = requests_file.is_some().then_some(logs);
        files.extend(requests_file);
        // Requests go on when a log channel is switched off, so they don't show that it lives.
        let follower = Follower::new(files, logs);
        Self { follower, requests_file: number, clusters: Clusters::new(look_back_ms, known) }
    }

    /// What is known now, for the books: each signature and when it was seen.
    pub fn known(&self) -> &BTreeMap<String, Time> {
        self.clusters.known()
    }
}

impl Provider for FileSignatures {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let hosts = scope.hosts();
        let requests_file = self.requests_file;
        let fold = |lines: &mut Lines, file: usize, line: &str| match requests_file == Some(file) {
            true => lines.requests += 1,
            false => lines.add(line),
        };
        let answers = self.follower.read(&hosts, world, fold).await;
        let query = query(&self.follower.files(), &answers)?;
        let now = world.now();
        for (host, fresh) in answers.into_iter().filter_map(|(host, answer)| Some((host, answer.ok()?))) {
            self.clusters.take(scope, &host, now, fresh.found, fresh.lost);
        }
        Ok(Reading {
            what: What::Signatures(self.clusters.seen(scope, requests_file.is_some())),
            query: query + &self.clusters.lost(&hosts),
            window_ms: now.ms_since(scope.since),
            newest_age_ms: Some(self.follower.newest_age_ms(now)),
        })
    }
}

#[cfg(test)]
mod tests;
