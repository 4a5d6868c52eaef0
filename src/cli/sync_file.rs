//! `sync-file`: single files or directories, linted first.

use super::acting::{self, Acting};
use super::dry;
use super::exit::Exit;
use super::seat::Seat;
use super::staged::{self, Staged};
use super::sync_common::say;
use super::usage::Usage;
use super::wishes::Wishes;
use super::words::Words;
use crate::drive::act::Order;
use crate::drive::staging::Taken;
use crate::drive::{deletions, filelint, staging};
use crate::model::component::Component;
use crate::model::right::Right;
use crate::plan::content;
use crate::tree::content::ContentError;
use crate::tree::path::RelPath;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Sync single files or directories from staging to every host
///
/// Everything else of their component stays as the books want it, whatever staging holds. PHP is checked by `php -l`
/// where PHP is installed, JSON and YAML by their readers. `undo` takes it back.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman sync-file wmf-config/InitialiseSettings.php -m 'switch off the session log channel'"
)]
pub struct SyncFile {
    /// Files or directories, relative to staging or absolute inside it
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Only these first: names, ranges, role:canary, dc:codfw; the others get it by sync-common
    #[arg(long, value_name = "SELECTOR")]
    hosts: Option<String>,
    /// Why, for the log line
    #[arg(short, long, value_name = "MSG")]
    message: String,
    /// Let more files be deleted than `limits.delete_percent_max` allows
    #[arg(long)]
    pub(super) delete: bool,
    #[command(flatten)]
    pub(super) acting: Acting,
}

/// A path that is nowhere, or of what was never synced, was typed wrongly.
fn meant(error: staging::StagingError) -> anyhow::Error {
    match error {
        staging::StagingError::Path(words) => Usage(words).into(),
        staging::StagingError::Tree { source: source @ ContentError::NoSuchPath(_), component } => {
            Usage(format!("{component}: {source}")).into()
        }
        other => other.into(),
    }
}

impl SyncFile {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let store = seat.content(&policy)?;
        let sorted = staging::by_component(&policy, &self.paths).map_err(|e| Usage(e.to_string()))?;
        if self.lint_fails(seat, &policy.staging, &sorted)? {
            return Ok(Exit::Usage);
        }
        let only = match &self.hosts {
            Some(hosts) => Some(seat.hosts(&policy, Some(hosts))?),
            None => None,
        };
        let books = dry::books(seat, &policy, self.acting.view.as_deref())?;
        let Some(wanted) = books.wanted() else {
            return Err(
                Usage("the books are empty: pointsman sync-common --from-staging comes first".to_owned()).into()
            );
        };
        let take = |keep: bool| -> anyhow::Result<Vec<Taken>> {
            let one = |(component, paths): (&Component, &Vec<RelPath>)| {
                staging::take_paths((&policy, &store), wanted, component, paths, keep).map_err(meant)
            };
            sorted.iter().map(one).collect()
        };
        let taken = take(!self.acting.looks_first())?;
        say(seat, &taken.iter().collect::<Vec<_>>());
        if !self.delete {
            deletions::check(&taken.iter().collect::<Vec<_>>(), policy.limits.delete_percent_max)?;
        }
        let content = staged::ids(&taken);
        let goal = |site: crate::plan::goal::Site<'_>| content::sync(site, &content, None, false, &self.message);
        let beside = self.delete.then_some(Right::Force).into_iter().collect();
        let order = Order { only, beside, ..Order::new("sync-file", &goal) };
        let keep = || Ok(staged::the_same(&taken, &take(true)?)?);
        let staged = Staged { taken: &taken, keep: &keep };
        acting::run_with(seat, &self.acting, order, &Wishes::default(), &staged)
    }

    /// The command as words.
    pub fn words(&self) -> Vec<String> {
        let Self { paths, hosts, message, delete, acting: _ } = self;
        let words = Words::new("sync-file").options("hosts", hosts).options("message", Some(message));
        words.flag("delete", *delete).last(paths.iter().map(|path| path.display()))
    }

    fn lint_fails(
        &self,
        seat: &Seat,
        root: &std::path::Path,
        sorted: &BTreeMap<Component, Vec<RelPath>>,
    ) -> anyhow::Result<bool> {
        let mut failed = false;
        for (component, paths) in sorted {
            for path in paths {
                let file = root.join(component.to_string()).join(path.as_str());
                for wrong in seat.block_on(filelint::lint(&file))?? {
                    seat.printer.talk(&format!("{}: {}", wrong.file.display(), wrong.why));
                    failed = true;
                }
            }
        }
        if failed {
            seat.printer.talk("nothing was synced: mend the file first");
        }
        Ok(failed)
    }
}
