//! Looks at hosts and changes nothing there: for status, check and dry runs.
//!
//! Invariant: nothing here can send a command; the only request that leaves is a peek, and no agent is installed.

use super::CLOSE;
use crate::fleet::session::PeekError;
use crate::fleet::{Fleet, Install};
use crate::model::component::Want;
use crate::model::fault::Fault;
use crate::model::names::HostName;
use crate::model::protocol::{Level, Observation, Peek, Refusal};
use crate::plan::assess;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What a look at one host gave.
pub type Looked = Result<Observation, LookError>;

/// Why a look gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// It was not reached, or there is no agent.
    #[error("{0}")]
    Fault(Fault),
    /// The agent could not look.
    #[error("{0}")]
    Refused(Refusal),
}

/// A door to the fleet that can only peek.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    fleet: &'a Arc<Fleet>,
    within: Duration,
}

impl<'a> Look<'a> {
    /// A door to `fleet`; each host has `deadline_ms` for everything, connecting included.
    pub fn new(fleet: &'a Arc<Fleet>, deadline_ms: u64) -> Self {
        Self { fleet, within: Duration::from_millis(deadline_ms) }
    }

    /// Asks every host for the proofs that are wanted of it.
    pub async fn at(self, asked: &BTreeMap<HostName, Vec<Want>>, level: Level) -> BTreeMap<HostName, Looked> {
        let nonce = nonce();
        self.peeks(asked.iter().map(|(host, prove)| (host, Peek::new(prove.clone(), level, nonce)))).await
    }

    /// Asks every host what it is, what it serves and which components it has marked as complete, and compares no file:
    /// of what is wanted, that without a marker of its id is lacking in what comes back.
    pub async fn marked(self, asked: &BTreeMap<HostName, Vec<Want>>) -> BTreeMap<HostName, Looked> {
        let mut looked = self.peeks(asked.keys().map(|host| (host, Peek::at_state()))).await;
        for (host, wants) in asked {
            if let Some(Ok(seen)) = looked.get_mut(host) {
                seen.readiness = assess::unmarked(seen, wants);
            }
        }
        looked
    }

    /// Asks every host for the confirmed maps that it keeps.
    pub async fn confirmed(self, hosts: impl Iterator<Item = &HostName>) -> BTreeMap<HostName, Looked> {
        self.peeks(hosts.map(|host| (host, Peek { confirmed: true, ..Peek::at_state() }))).await
    }

    /// Asks every host at the same time.
    async fn peeks<'h>(self, peeks: impl Iterator<Item = (&'h HostName, Peek)>) -> BTreeMap<HostName, Looked> {
        let mut looks = JoinSet::new();
        for (host, peek) in peeks {
            looks.spawn_local(peek_at(Arc::clone(self.fleet), host.clone(), peek, self.within));
        }
        looks.join_all().await.into_iter().collect()
    }
}

/// A number that no host can know before: it chooses the files that an L2 hashes.
pub fn nonce() -> u64 {
    getrandom::u64().unwrap_or_else(|_| super::clock::now().0)
}

async fn peek_at(fleet: Arc<Fleet>, host: HostName, peek: Peek, within: Duration) -> (HostName, Looked) {
    let looked = async {
        let mut session = fleet.session(&host, Install::Never).await.map_err(LookError::Fault)?;
        let seen = session.peek(peek, within).await;
        session.close(CLOSE).await;
        seen.map_err(|error| match error {
            PeekError::Fault(fault) => LookError::Fault(fault),
            PeekError::Refused(refusal) => LookError::Refused(refusal),
        })
    };
    let looked = looked.await;
    (host, looked)
}
