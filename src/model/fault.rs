//! What can go wrong between the controller and a host, told apart by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a host could not be reached or did not answer as an agent; a fragment that fits "HOST: {...}".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nobody listens on the port.
    #[error("connection refused")]
    Refused,
    /// Nothing came back in time; the text says in which phase.
    #[error("timed out {0}")]
    TimedOut(String),
    /// The network knows no way there.
    #[error("no route to host")]
    NoRoute,
    /// The name does not resolve.
    #[error("name does not resolve")]
    Dns,
    /// The host shows another key than known_hosts has.
    #[error("host key changed")]
    HostKeyChanged,
    /// known_hosts has no key for the host.
    #[error("host key unknown")]
    HostKeyUnknown,
    /// Our key was refused and the host offers to ask for a password.
    #[error("asks for a password")]
    PasswordPrompt,
    /// Our key was refused.
    #[error("permission denied")]
    PermissionDenied,
    /// The connection ended before the reply was whole.
    #[error("closed the connection early")]
    ClosedEarly,
    /// No room for what had to be written; the text has the numbers.
    #[error("disk full: {0}")]
    DiskFull(String),
    /// The file system is mounted read-only.
    #[error("read-only file system")]
    ReadOnly,
    /// The agent is built for another machine.
    #[error("wrong architecture: it is {host}, the agent is for {agent}")]
    WrongArchitecture {
        /// What `uname -m` says there.
        host: String,
        /// What this program is built for.
        agent: String,
    },
    /// No agent of this program's content is there, and this command may not install one.
    #[error("no agent")]
    NoAgent,
    /// The login runs nothing but agents that the host's owner put there, and the one of this name is not among them.
    #[error("its login runs only agents that its owner put there, and `{0}` is not one of them")]
    AgentKeptOut(String),
    /// The bytes that came are not the protocol.
    #[error("does not speak the protocol: {0}")]
    Protocol(String),
    /// Something that has no name of its own here; ssh's or the system's words.
    #[error("{0}")]
    Other(String),
}
