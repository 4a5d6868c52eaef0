//! The controller's side of a host: transports, sessions, deadlines, fault classes.
//!
//! Invariant: whatever a host does or answers ends within the deadline given, as an answer or as a named
//! [`Fault`]; one host never waits for another beyond the site's `parallel_hosts_max`. The command lines that run on
//! hosts are compile-time constants. Deliberately absent: retries and decisions, which are the driver's and the core's.

pub mod bootstrap;
pub mod channel;
pub mod classify;
pub mod exchange;
mod fetching;
pub mod install;
mod kept;
pub mod local;
pub mod program;
mod question;
pub mod runtime;
pub mod session;
pub mod ssh;
pub mod ssh_config;
mod ssh_files;
pub mod trust;

use crate::config::policy::{HostPolicy, Limits, Policy, Transport};
use crate::model::fault::Fault;
use crate::model::names::HostName;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Whether a missing agent is put on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// Never: commands that only look.
    Never,
    /// On first contact: commands that act.
    IfMissing,
}

/// Why there is no fleet to talk to; always a matter of this machine.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The program that hosts are to run cannot be read.
    #[error("cannot read the program that hosts run, {}", path.display())]
    Program {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// ssh cannot be configured as groups.yaml says.
    #[error(transparent)]
    Config(#[from] ssh_config::ConfigError),
    /// There is no private place for control sockets.
    #[error("no private directory for ssh")]
    Runtime(#[from] runtime::RuntimeError),
}

/// All hosts of a site and what it takes to reach them.
pub struct Fleet {
    shared: Arc<Shared>,
}

/// What sessions share.
struct Shared {
    hosts: BTreeMap<HostName, HostPolicy>,
    root: PathBuf,
    state: PathBuf,
    limits: Limits,
    program: program::Program,
    /// `None` when no host is reached by ssh.
    ssh: Option<ssh::Ssh>,
    gate: Semaphore,
}

impl Fleet {
    /// Prepares to reach the hosts of `policy`, with the agent that was built with this program, else with this very
    /// program as their agent. Control sockets lie below
    /// `place` (see [`runtime::place`]), which is made and used only when some host is reached by ssh.
    pub fn open(policy: &Policy, place: &Path) -> Result<Self, OpenError> {
        let path = PathBuf::from("/proc/self/exe");
        let own = std::env::current_exe().map_err(|source| OpenError::Program { path, source })?;
        let beside = program::beside(&own);
        Self::open_with(policy, place, beside.as_deref().unwrap_or(&own))
    }

    /// The same with another program as agent.
    pub fn open_with(policy: &Policy, place: &Path, program: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Program { path: program.to_owned(), source };
        let by_ssh = |host: &HostPolicy| matches!(host.transport, Transport::Ssh { .. });
        let ssh = match policy.hosts.values().any(by_ssh) {
            true => Some(ssh::Ssh::open(place, &policy.ssh)?),
            false => None,
        };
        let run = ssh.as_ref().map(ssh::Ssh::run);
        let program = program::Program::open(program, run).map_err(failed)?;
        let shared = Shared {
            hosts: policy.hosts.clone(),
            root: policy.root.clone(),
            state: policy.state.clone(),
            limits: policy.limits.clone(),
            program,
            ssh,
            gate: Semaphore::new(policy.limits.parallel_hosts_max.max(1)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Connects to a host, over a connection that an earlier command left if there is one. Its agent is asked, and
    /// installed if need be, with the first request.
    pub async fn session(&self, host: &HostName, install: Install) -> Result<session::Session, Fault> {
        let _permit = self.shared.gate.acquire().await;
        self.connect(host, install, true).await
    }

    /// The same beside the hosts' turns, of which it takes none, neither now nor with its requests: for the few sessions that
    /// hosts wait for which have a turn.
    pub async fn session_beside(&self, host: &HostName, install: Install) -> Result<session::Session, Fault> {
        self.connect(host, install, false).await
    }

    async fn connect(&self, host: &HostName, install: Install, in_turn: bool) -> Result<session::Session, Fault> {
        let shared = Arc::clone(&self.shared);
        let (link, channel) = match (&shared.host(host)?.transport, &shared.ssh) {
            (Transport::Local { directory }, _) => {
                local::check(directory)?;
                (session::Link::Local(directory.clone()), None)
            }
            (transport, Some(ssh)) => {
                let way = ssh::Way { host, transport, limits: &shared.limits };
                let (connection, channel) = ssh.connect(way).await?;
                (session::Link::Ssh(connection), channel)
            }
            (_, None) => return Err(Fault::Other("here: there is no directory for ssh".into())),
        };
        Ok(session::Session::new((host.clone(), link), Arc::clone(&shared), channel, install, in_turn))
    }
}

impl Shared {
    fn host(&self, host: &HostName) -> Result<&HostPolicy, Fault> {
        self.hosts.get(host).ok_or_else(|| Fault::Other("is not in groups.yaml".into()))
    }

    fn digest(&self) -> Result<&str, Fault> {
        self.program.digest().map_err(|e| Fault::Other(format!("here: the program cannot be read: {e}")))
    }

    fn start_local(&self, directory: &Path) -> Result<channel::Channel, Fault> {
        local::start(self.program.path(), directory)
    }
}
