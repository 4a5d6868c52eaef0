//! `check`: proves readiness and changes nothing on any host.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::drive::look::{Look, LookError, Looked};
use crate::drive::{clock, deploy::Deploy};
use crate::model::books::{Books, Record};
use crate::model::component::{Component, Want};
use crate::model::names::{HostName, Version};
use crate::model::protocol::Level;
use crate::model::stale::StaleReason;
use crate::model::words::count;
use crate::plan::goal::Site;
use crate::plan::{assess, back, needs};
use crate::report;
use crate::store::Store;
use crate::store::error::StoreError;
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};

/// Prove that hosts are ready: complete trees, built artefacts, the right map
///
/// Without versions: what each host serves, and what a rollback would need. One line a stale host: what is wrong,
/// since when, what to type. Nothing changes on any host; what was seen is noted in the books.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman check\n  pointsman check 1.27.0-wmf.10 --hosts dc:codfw\n  pointsman check --deep --hosts mw2020.codfw.wmnet"
)]
pub struct Check {
    /// Versions to prove
    versions: Vec<Version>,
    /// Only these: names, ranges, role:canary, dc:codfw
    #[arg(long, value_name = "SELECTOR")]
    hosts: Option<String>,
    /// Read and hash every file, instead of trusting the stat index
    #[arg(long)]
    deep: bool,
}

impl Check {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let deploy = seat.deploy()?;
        let mut store = seat.books(&deploy.policy)?;
        let books = store.load()?;
        let hosts = seat.hosts(&deploy.policy, self.hosts.as_deref())?;
        let asked = self.asked(&deploy, &books, &hosts)?;
        let limits = &deploy.policy.limits;
        let (level, deadline_ms) = match self.deep {
            true => (Level::L3, limits.prepare_ms_max),
            false => (Level::L1, limits.connect_ms_max + limits.command_ms_max),
        };
        let look = Look::new(&deploy.fleet, deadline_ms);
        let looked = seat.block_on(look.at(&asked, level))?;
        let mut stale = BTreeMap::new();
        for (host, looked) in &looked {
            if let Some(reason) = self.judge(&books, host, looked) {
                stale.insert(host.clone(), reason);
            }
        }
        note(&mut store, books.epoch, &looked, &stale, self.versions.is_empty())?;
        self.say(seat, &store.load()?, &stale, &looked);
        Ok(if stale.is_empty() { Exit::Done } else { Exit::Stale })
    }

    /// What each host is asked to prove.
    fn asked(
        &self,
        deploy: &Deploy,
        books: &Books,
        hosts: &BTreeSet<HostName>,
    ) -> anyhow::Result<BTreeMap<HostName, Vec<Want>>> {
        let site = Site { policy: &deploy.policy, books, now: clock::now(), by: &deploy.by };
        let wanted = site.wanted()?;
        for version in &self.versions {
            if !wanted.wanted.contains_key(&Component::Version(version.clone())) {
                return Err(Usage(format!(
                    "version {version} was never synced; pointsman status lists those that were"
                ))
                .into());
            }
        }
        let fallback = back::restored(site, &back::Scope::Last).map(|restored| restored.map).unwrap_or_default();
        let mut asked = BTreeMap::new();
        for host in hosts {
            let versions: BTreeSet<Version> = match self.versions.is_empty() {
                true => needs::versions_of(wanted, host).into_iter().chain(fallback.0.values().cloned()).collect(),
                false => self.versions.iter().cloned().collect(),
            };
            asked.insert(host.clone(), needs::wants(site, wanted, &versions)?);
        }
        Ok(asked)
    }

    fn judge(&self, books: &Books, host: &HostName, looked: &Looked) -> Option<StaleReason> {
        match looked {
            Err(LookError::Fault(fault)) => Some(StaleReason::Fault(fault.clone())),
            Err(LookError::Refused(refusal)) => Some(StaleReason::Refused(refusal.clone())),
            Ok(seen) => {
                let want = books.wanted().map(|wanted| wanted.map_of(host).digest())?;
                assess::all(books, host, seen, want)
            }
        }
    }

    fn say(
        &self,
        seat: &Seat,
        books: &Books,
        stale: &BTreeMap<HostName, StaleReason>,
        looked: &BTreeMap<HostName, Looked>,
    ) {
        for (host, reason) in stale {
            let since = books.hosts.get(host).and_then(|row| row.stale.clone());
            let line = match since {
                Some(since) => report::stale::line(host, &since, clock::now()),
                None => report::stale::now_line(host, reason),
            };
            match seat.json {
                true => seat.printer.event("stale", &serde_json::json!({"host": host, "reason": reason})),
                false => seat.printer.data(&line),
            }
            if let (false, Some(lacks)) = (seat.json, lacks(reason, &looked[host])) {
                seat.printer.data(&format!("  {lacks}"));
            }
        }
        let ready = looked.len() - stale.len();
        seat.printer.talk(&format!("{ready} of {} ready", count(looked.len(), "host")));
    }
}

/// What a host lacks besides a graver reason, which would hide it.
fn lacks(reason: &StaleReason, looked: &Looked) -> Option<String> {
    let seen = looked.as_ref().ok().filter(|_| !matches!(reason, StaleReason::NotReady(_)))?;
    assess::readiness(seen).map(|lacking| report::stale::reason(&lacking))
}

/// A look leaves a trace in the books, with since-when; no switch ever rests on it.
fn note(
    store: &mut dyn Store,
    looked_under: u64,
    looked: &BTreeMap<HostName, Looked>,
    stale: &BTreeMap<HostName, StaleReason>,
    all_was_proven: bool,
) -> Result<(), StoreError> {
    let mut records = Vec::new();
    for (host, looked) in looked {
        if let Ok(seen) = looked {
            records.push(Record::Seen {
                host: host.clone(),
                incarnation: None,
                active: seen.active,
                boot_id: seen.boot_id.clone(),
                generation: None,
            });
        }
        match stale.get(host) {
            Some(reason) => records.push(Record::Stale { host: host.clone(), reason: reason.clone() }),
            // A proof of single versions says nothing about the rest, so it clears nothing.
            None if all_was_proven => records.push(Record::Fresh { host: host.clone() }),
            None => {}
        }
    }
    store.note(clock::now(), looked_under, &records)
}
