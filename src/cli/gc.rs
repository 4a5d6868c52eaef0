//! `gc`: removes what nobody needs any more.

use super::acting::{self, Acting};
use super::exit::Exit;
use super::seat::Seat;
use super::usage::duration;
use crate::drive::act::Order;
use crate::drive::deploy::who;
use crate::drive::{clock, collect};
use crate::plan::content;
use crate::plan::goal::Site;
use crate::report::events::Event;
use crate::report::words::{bytes, names};
use crate::store::Store;
use crate::tree::collect::Removed;
use clap::Args;

/// Remove old versions from hosts, and old content from the deploy host
///
/// A host keeps every version that is wanted, served, pinned, needed by a rollback or by something that has not ended,
/// and those of the last two maps that it confirmed, each with what was built for it. It removes the others that pointsman
/// brought, once it is proven at the wanted state; what a hand put there stays. The deploy host keeps what was wanted in
/// the last --keep, so that each sync of that time can be undone.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman gc --dry-run\n  pointsman gc --yes --keep 14d")]
pub struct Gc {
    /// Only these: names, ranges, role:canary, dc:codfw
    hosts: Option<String>,
    /// How long the deploy host keeps content that is no longer wanted
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration)]
    keep: u64,
    #[command(flatten)]
    pub(super) acting: Acting,
}

impl Gc {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let deploy = seat.deploy()?;
        let books = seat.read_books(&deploy.policy)?.load()?;
        let site = Site { policy: &deploy.policy, books: &books, now: clock::now(), by: who() };
        seat.printer.talk(&format!("hosts keep {}", names(content::needed(site))));
        let only = match &self.hosts {
            Some(hosts) => Some(seat.hosts(&deploy.policy, Some(hosts))?),
            None => None,
        };
        let goal = |site: Site<'_>| content::collect(site, "gc");
        let exit = acting::run(seat, &self.acting, Order { only, ..Order::new("gc", &goal) })?;
        if self.acting.view.is_some() {
            return Ok(exit);
        }
        let books = seat.read_books(&deploy.policy)?.load()?;
        let removed = collect::collect(&deploy, &books, self.keep, self.acting.dry())?;
        let what = if self.acting.dry() { "would be removed here" } else { "removed here" };
        let files = removed.files + removed.manifests + removed.frames + removed.signatures;
        seat.printer.talk(&format!("{what}: {files} files, {}", bytes(removed.bytes)));
        if seat.json {
            let Removed { manifests, files, frames, signatures, bytes } = removed;
            let dry_run = self.acting.dry();
            seat.event(&Event::Collected { dry_run, manifests, files, frames, signatures, bytes });
        }
        Ok(exit)
    }
}
