//! `check`: proves readiness and changes nothing on any host.

use super::exit::Exit;
use super::outputs::Outputs;
use super::seat::Seat;
use super::usage::Usage;
use crate::drive::look::Looked;
use crate::drive::{clock, deploy::Deploy, ready};
use crate::model::books::Books;
use crate::model::component::{Component, Want};
use crate::model::names::{HostName, Version};
use crate::model::protocol::Level;
use crate::model::stale::{Stale, StaleReason};
use crate::model::time::Time;
use crate::plan::assess;
use crate::report;
use crate::report::canary::{self, CanaryView};
use crate::report::events::Event;
use crate::store::Store;
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};

/// Prove that hosts are ready: complete trees, built artefacts, the right map
///
/// Without versions: what each host serves, and what a rollback would need. One line a stale host: what is wrong,
/// since when, what to type. Nothing changes on any host; what was seen is noted in the books.
///
/// A proof names its level. L1: every file's stat is that of when it was proven, and no file is foreign. L2, which this
/// command asks for: files too young for their stat to tell, and some chosen at random, are hashed too. L3, with --deep
/// or after a reboot: every file is hashed. A host that was found damaged is asked for L3 until it is well.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman check\n  pointsman check 1.27.0-wmf.10 --hosts dc:codfw\n  pointsman check --deep --hosts mw2020.codfw.wmnet\n  pointsman check --junit readiness.xml"
)]
pub struct Check {
    /// Versions to prove
    versions: Vec<Version>,
    /// Only these: names, ranges, role:canary, dc:codfw
    #[arg(long, value_name = "SELECTOR")]
    hosts: Option<String>,
    /// L3: read and hash every file, instead of trusting the stat index; hosts do it behind their other work
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    outputs: Outputs,
}

impl Check {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        self.outputs.end(seat, self.check(seat), |_, found| {
            self.say(seat, &found);
            if found.stale.is_empty() { Exit::Done } else { Exit::Stale }
        })
    }

    /// Looks, and notes what was seen.
    fn check(&self, seat: &Seat) -> anyhow::Result<(CanaryView, Found)> {
        self.outputs.agree(seat)?;
        let began = clock::now();
        let deploy = seat.deploy()?;
        let mut store = seat.books(&deploy.policy)?;
        let books = store.load()?;
        let hosts = seat.hosts(&deploy.policy, self.hosts.as_deref())?;
        let asked = self.asked(&deploy, &books, &hosts)?;
        let level = if self.deep { Level::L3 } else { Level::L2 };
        let looked = seat.block_on(ready::look(&deploy, &books, asked, level))?;
        let mut stale = ready::stale(&books, &looked);
        stale.extend(ready::behind(&store.load()?, &looked));
        ready::note(&mut store, books.epoch, &looked, &stale, self.versions.is_empty())?;
        let mut levels = ready::levels(&looked);
        levels.retain(|host, _| !stale.contains_key(host));
        let found = Found { books: store.load()?, stale, looked, levels };
        Ok((found.view(began), found))
    }

    /// What each host is asked to prove.
    fn asked(
        &self,
        deploy: &Deploy,
        books: &Books,
        hosts: &BTreeSet<HostName>,
    ) -> anyhow::Result<BTreeMap<HostName, Vec<Want>>> {
        let wanted = books.wanted().map(|wanted| wanted.wanted.clone()).unwrap_or_default();
        let unknown =
            |version: &&Version| !wanted.is_empty() && !wanted.contains_key(&Component::Version((*version).clone()));
        if let Some(version) = self.versions.iter().find(unknown) {
            let hint = "pointsman status lists those that were";
            return Err(Usage(format!("version {version} was never synced; {hint}")).into());
        }
        Ok(ready::asked(deploy, books, hosts, &self.versions.iter().cloned().collect())?)
    }

    fn say(&self, seat: &Seat, found: &Found) {
        let Found { books, stale, looked, levels } = found;
        for (host, reason) in stale {
            let since = books.hosts.get(host).and_then(|row| row.stale.clone());
            let line = match since {
                Some(since) => report::stale::line(host, &since, clock::now()),
                None => report::stale::now_line(host, reason),
            };
            match seat.json {
                true => seat.event(&Event::Stale { host: host.clone(), reason: reason.clone() }),
                false => seat.printer.data(&line),
            }
            if let (false, Some(lacks)) = (seat.json, lacks(reason, &looked[host])) {
                seat.printer.data(&format!("  {lacks}"));
            }
        }
        for (host, level) in levels.iter().filter(|_| seat.json) {
            seat.event(&Event::Ready { host: host.clone(), level: *level });
        }
        seat.printer.talk(&report::stale::ready_of(looked.len() - stale.len(), looked.len(), levels));
    }
}

/// What was seen.
struct Found {
    /// The books with it in them.
    books: Books,
    stale: BTreeMap<HostName, StaleReason>,
    looked: BTreeMap<HostName, Looked>,
    /// Of those that are ready.
    levels: BTreeMap<HostName, Level>,
}

impl Found {
    fn view(&self, began: Time) -> CanaryView {
        let now = clock::now();
        let stale = self.stale.iter().map(|(host, reason)| {
            let known = self.books.hosts.get(host).and_then(|row| row.stale.as_ref());
            let since = known.map_or(now, |stale| stale.since);
            (host.clone(), Stale { reason: reason.clone(), since })
        });
        CanaryView {
            by: canary::Looked::Check,
            now,
            took_ms: now.ms_since(began),
            hosts: self.looked.keys().cloned().collect(),
            canaries: BTreeSet::new(),
            levels: self.levels.clone(),
            stale: stale.collect(),
            gates: Vec::new(),
            blamed: Vec::new(),
        }
    }
}

/// What a host lacks besides a graver reason, which would hide it.
fn lacks(reason: &StaleReason, looked: &Looked) -> Option<String> {
    let seen = looked.as_ref().ok().filter(|_| !matches!(reason, StaleReason::NotReady(_)))?;
    assess::readiness(seen).map(|lacking| report::stale::reason(&lacking))
}
