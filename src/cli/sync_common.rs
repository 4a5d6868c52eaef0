//! `sync-common`: hosts get the content that the books want; with `--from-staging` the books want what staging has.

use super::acting::{self, Acting};
use super::dry;
use super::exit::Exit;
use super::seat::Seat;
use super::staged::{self, Staged};
use super::wishes::Wishes;
use super::words::Words;
use crate::drive::act::Order;
use crate::drive::deletions;
use crate::drive::staging::{self, Taken};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::right::Right;
use crate::plan::content;
use crate::report::plan::file_counts;
use crate::report::words;
use crate::store::error::StoreError;
use crate::ui::prompt;
use clap::Args;
use std::collections::BTreeMap;

/// Repair hosts to the content that the books want, and prove it
///
/// All versions in use, the one a rollback needs, and configuration; what hosts build themselves is built there. With
/// --from-staging, staging first becomes the wanted content: the difference is shown and has to be confirmed.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman sync-common mw2020.codfw.wmnet\n  pointsman sync-common --from-staging -m 'cut of 1.27.0-wmf.11'"
)]
pub struct SyncCommon {
    /// Only these: names, ranges, role:canary, dc:codfw
    #[arg(conflicts_with = "from_staging")]
    hosts: Option<String>,
    /// Take staging as the new wanted content of the whole fleet
    #[arg(long)]
    pub(super) from_staging: bool,
    /// Why, for the log line
    #[arg(short, long, value_name = "MSG", default_value = "sync-common")]
    message: String,
    /// Let staging lack more files than `limits.delete_percent_max` allows: they are deleted everywhere; needs -m
    #[arg(long, requires_all = ["from_staging", "message"])]
    pub(super) delete: bool,
    #[command(flatten)]
    pub(super) acting: Acting,
}

impl SyncCommon {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if self.from_staging {
            return self.take_staging(seat);
        }
        let only = match &self.hosts {
            Some(hosts) => Some(seat.hosts(&seat.policy()?, Some(hosts))?),
            None => None,
        };
        let goal = |site: crate::plan::goal::Site<'_>| {
            content::converge(site, crate::plan::goal::Extent::Wanted, &self.message)
        };
        acting::run(seat, &self.acting, Order { only, ..Order::new("sync-common", &goal) })
    }

    fn take_staging(&self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let store = seat.content(&policy)?;
        let books = match dry::books(seat, &policy, self.acting.view.as_deref()) {
            Ok(books) => Some(books),
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::NoBooks(_))) => None,
            Err(error) => return Err(error),
        };
        let wanted = books.as_ref().and_then(|books| books.wanted());
        let components = staging::components(&policy)?;
        if !self.acting.looks_first() {
            // The content store lies beside the books; both are made on first use.
            seat.books(&policy)?;
        }
        let take = |keep| staging::take((&policy, &store), wanted, &components, keep);
        let taken = take(!self.acting.looks_first())?;
        let news = news(&taken, wanted.map(|wanted| &wanted.wanted));
        say(seat, &news);
        if !self.delete {
            deletions::check(&news, policy.limits.delete_percent_max)?;
        }
        let initial = staging::map(&policy)?;
        if news.is_empty() && wanted.is_some() {
            seat.printer.talk("staging holds what the books want already");
        } else if !self.acting.looks_first()
            && !self.acting.yes
            && !prompt::confirm("Take this as the wanted content?")?
        {
            seat.printer.talk("nothing was changed: not confirmed");
            return Ok(Exit::Paused);
        }
        let content = staged::ids(&taken);
        let goal =
            |site: crate::plan::goal::Site<'_>| content::sync(site, &content, initial.as_ref(), true, &self.message);
        let keep = || Ok(staged::the_same(&taken, &take(true)?)?);
        let staged = Staged { taken: &taken, keep: &keep };
        let beside = self.delete.then_some(Right::Force).into_iter().collect();
        let order = Order { beside, ..Order::new("sync-common --from-staging", &goal) };
        acting::run_with(seat, &self.acting, order, &Wishes::default(), &staged)
    }

    /// The command as words.
    pub fn words(&self) -> Vec<String> {
        let Self { hosts, from_staging, message, delete, acting: _ } = self;
        let words = Words::new("sync-common").flag("from-staging", *from_staging).flag("delete", *delete);
        words.options("message", Some(message)).last(hosts)
    }
}

fn news<'a>(taken: &'a [Taken], wanted: Option<&BTreeMap<Component, Digest>>) -> Vec<&'a Taken> {
    let differs = |t: &&Taken| wanted.and_then(|wanted| wanted.get(&t.component)) != Some(&t.id);
    taken.iter().filter(differs).collect()
}

/// What changes, a line a component.
pub fn say(seat: &Seat, news: &[&Taken]) {
    for taken in news {
        let diff = &taken.diff;
        let names: Vec<String> =
            diff.changed.iter().chain(&diff.added).chain(&diff.removed).map(ToString::to_string).collect();
        let (component, id, files) = (&taken.component, taken.id.short(), file_counts(&dry::counts(taken)));
        seat.printer.talk(&format!("{component} {id}: {files} ({})", words::names(&names)));
    }
}
