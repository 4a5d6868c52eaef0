//! Where a command sits: the global options, resolved once, and the ways to open what it needs.

use super::usage::Usage;
use crate::config::policy::Policy;
use crate::config::trust::Invoker;
use crate::drive::deploy::Deploy;
use crate::drive::mirrors::Mirrors;
use crate::drive::notify::Notifier;
use crate::fleet::{Fleet, runtime};
use crate::model::ids::PlaybookId;
use crate::model::names::HostName;
use crate::report::escape::Untrusted;
use crate::report::events::Event;
use crate::store::keeper;
use crate::store::sqlstore::SqlStore;
use crate::store::writer::Firm;
use crate::tree::content::ContentStore;
use crate::ui::Printer;
use anyhow::Context;
use clap::Args;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Options of every command.
#[derive(Args)]
pub struct SeatArgs {
    /// The site: a groups.yaml, or the directory it lies in [default: the current directory]
    #[arg(short = 'C', long = "site", global = true, value_name = "PATH")]
    site: Option<PathBuf>,
    /// Write typed, versioned events as JSON lines on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Say errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// The global options, resolved.
pub struct Seat {
    site: Option<PathBuf>,
    /// Whether stdout is for machines.
    pub json: bool,
    /// The only way to say something.
    pub printer: Arc<Printer>,
    /// The run of a playbook whose stage this is; `None`: a person or a timer typed it.
    playbook: Option<PlaybookId>,
    notifier: Arc<OnceLock<Arc<Notifier>>>,
}

impl Seat {
    /// Resolves the options once.
    pub fn new(args: &SeatArgs) -> Self {
        Self {
            site: args.site.clone(),
            json: args.json,
            printer: Arc::new(Printer::new(args.quiet, args.json)),
            playbook: None,
            notifier: Arc::default(),
        }
    }

    /// The same seat for the commands of a playbook's run.
    pub fn of_playbook(&self, id: PlaybookId) -> Self {
        let Self { site, json, printer, notifier, .. } = self;
        let (site, printer, notifier) = (site.clone(), printer.clone(), notifier.clone());
        Self { site, json: *json, printer, playbook: Some(id), notifier }
    }

    /// One event of the JSON stream.
    pub fn event(&self, event: &Event) {
        let mut body = serde_json::to_value(event).expect("an event has only string keys");
        let kind = body["type"].take();
        self.printer.event(kind.as_str().unwrap_or_default(), &body);
    }

    /// Reads groups.yaml.
    pub fn policy(&self) -> anyhow::Result<Policy> {
        let file = crate::config::find(self.site.as_deref())?;
        Ok(crate::config::load(&file)?)
    }

    /// Where groups.yaml lies.
    pub fn groups_yaml_file(&self) -> anyhow::Result<PathBuf> {
        Ok(crate::config::find(self.site.as_deref())?)
    }

    /// Where groups.yaml is, or would be.
    pub fn site_to_be(&self) -> PathBuf {
        crate::config::place(self.site.as_deref())
    }

    /// Who is told; the same for all that this process does, and waited for at its end.
    pub fn notifier(&self, policy: &Policy) -> Arc<Notifier> {
        let printer = Arc::clone(&self.printer);
        let warn = move |why: &str| printer.talk(&format!("warning: {}", Untrusted(why)));
        Arc::clone(self.notifier.get_or_init(|| Arc::new(Notifier::new(policy.notify.clone(), Arc::new(warn)))))
    }

    /// The text of groups.yaml.
    pub fn groups_yaml(&self) -> anyhow::Result<String> {
        let file = crate::config::find(self.site.as_deref())?;
        crate::config::trust::read(&file, Invoker::of_process())
            .with_context(|| format!("{} cannot be read", file.display()))
    }

    /// Everything that a command needs that talks to hosts.
    pub fn deploy(&self) -> anyhow::Result<Deploy> {
        let policy = self.policy()?;
        let place = runtime::place().context("failed to find a private directory for ssh")?;
        let fleet = Fleet::open(&policy, &place).context("failed to open the fleet")?;
        let content = self.content(&policy)?;
        let mirrors = Arc::new(Mirrors::new(&policy.mirrors, &policy.hosts));
        let notifier = self.notifier(&policy);
        Ok(Deploy { policy, fleet: Arc::new(fleet), content, mirrors, notifier, playbook: self.playbook })
    }

    /// The deploy host's content store; nothing is made.
    pub fn content(&self, policy: &Policy) -> anyhow::Result<ContentStore> {
        Ok(ContentStore::open(&policy.books)?)
    }

    /// The books, to be changed; made when they are not there.
    pub fn books(&self, policy: &Policy) -> anyhow::Result<SqlStore> {
        Ok(keeper::open(policy, None)?)
    }

    /// The same for a command that takes over: a process that keeps it out of the books is ended, and that is said.
    pub fn books_firmly(&self, policy: &Policy) -> anyhow::Result<SqlStore> {
        Ok(keeper::open(policy, Some(self.firm()))?)
    }

    /// How a command takes over.
    pub fn firm(&self) -> Firm {
        let printer = Arc::clone(&self.printer);
        Firm::new(move |said| printer.talk(&format!("warning: {said}")))
    }

    /// The books, to be read only.
    pub fn read_books(&self, policy: &Policy) -> anyhow::Result<SqlStore> {
        Ok(keeper::open_read_only(policy)?)
    }

    /// The hosts that a selector names; every host that serves wikis when there is none.
    pub fn hosts(&self, policy: &Policy, selector: Option<&str>) -> anyhow::Result<BTreeSet<HostName>> {
        match selector {
            Some(selector) => {
                crate::config::select::select(&policy.hosts, selector).map_err(|e| Usage(e.to_string()).into())
            }
            None => Ok(policy.hosts.iter().filter(|(_, h)| h.serves()).map(|(name, _)| name.clone()).collect()),
        }
    }

    /// Runs something asynchronous to its end, on one thread.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("failed to start the runtime")?;
        Ok(tokio::task::LocalSet::new().block_on(&runtime, future))
    }
}
