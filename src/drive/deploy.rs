//! What a command needs of the deploy host: the site, the fleet, the content store, and who asks.

use super::mirrors::Mirrors;
use super::notify::Notifier;
use crate::config::policy::Policy;
use crate::fleet::Fleet;
use crate::model::ids::PlaybookId;
use crate::store::writer::user;
use crate::tree::content::ContentStore;
use std::sync::Arc;

/// The deploy host, opened for one command.
pub struct Deploy {
    /// The site.
    pub policy: Policy,
    /// Its hosts.
    pub fleet: Arc<Fleet>,
    /// What the books want lies here, whatever staging looks like.
    pub content: ContentStore,
    /// Where hosts can fetch content.
    pub mirrors: Arc<Mirrors>,
    /// Who is told of what became of it.
    pub notifier: Arc<Notifier>,
    /// Who asks, as `user@deploy-host`.
    pub by: String,
    /// For which run of a playbook; `None`: a person or a timer typed it.
    pub playbook: Option<PlaybookId>,
}

/// Who runs this: the name of the real uid (an environment variable could be forged) and this host's name.
pub fn who() -> String {
    let name = user(rustix::process::getuid().as_raw());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{name}@{host}")
}

/// Who holds the lock: [`who`] and the process.
pub fn holder(by: &str) -> String {
    format!("{by} pid {}", std::process::id())
}
