//! `status`: one screen that says how the fleet is wanted and what is wrong.

use super::exit::Exit;
use super::seat::Seat;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::drive::look::{Look, LookError};
use crate::plan::goal::Site;
use crate::plan::{back, needs};
use crate::report;
use crate::report::status::{Look as Seen, StatusView};
use crate::store::Store;
use clap::Args;
use std::collections::BTreeMap;

/// Groups and versions, pins, stale hosts, the lock, what a rollback would restore, what hosts are owed
///
/// Reads the books; with --live it asks every host what it serves and which versions it has marked as complete; `check`
/// compares their files as well. Changes nothing, anywhere. What `status --json` writes can be planned from offline:
/// `promote ... --view FILE`.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman status\n  pointsman status --live --json > view.json")]
pub struct Status {
    /// Ask every host too: its map, its markers, what it is; compares no files
    #[arg(long)]
    live: bool,
}

impl Status {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let store = seat.read_books(&policy)?;
        let (books, holder_lives) = (store.load()?, store.holder_lives()?);
        let by = who();
        let site = Site { policy: &policy, books: &books, now: clock::now(), by };
        let observed = match self.live {
            true => self.look(seat, site)?,
            false => BTreeMap::new(),
        };
        let view = StatusView::of(&policy, books.clone(), holder_lives, clock::now(), by);
        let view = StatusView { observed, ..view };
        match seat.json {
            true => seat.printer.data(&report::status::json(&view).to_string()),
            false => seat.printer.data(report::status::text(&view).trim_end()),
        }
        Ok(Exit::Done)
    }

    fn look(&self, seat: &Seat, site: Site<'_>) -> anyhow::Result<BTreeMap<crate::model::names::HostName, Seen>> {
        let deploy = seat.deploy()?;
        let wanted = site.wanted()?;
        let fallback = back::restored(site, &back::Scope::Last).map(|restored| restored.map).unwrap_or_default();
        let mut asked = BTreeMap::new();
        for host in seat.hosts(&deploy.policy, None)? {
            let mut versions = needs::versions_of(wanted, &host);
            versions.extend(fallback.0.values().cloned());
            asked.insert(host.clone(), needs::wants(site, wanted, &versions)?);
        }
        let limits = &deploy.policy.limits;
        let look = Look::new(&deploy.fleet, limits.contact_ms_max());
        let looked = seat.block_on(look.marked(&asked))?;
        let seen = looked.into_iter().map(|(host, looked)| {
            let seen = match looked {
                Ok(seen) => Seen::Observed(Box::new(seen)),
                Err(LookError::Fault(fault)) => Seen::Failed(fault),
                Err(LookError::Refused(refusal)) => {
                    Seen::Failed(crate::model::fault::Fault::Other(refusal.to_string()))
                }
            };
            (host, seen)
        });
        Ok(seen.collect())
    }
}
