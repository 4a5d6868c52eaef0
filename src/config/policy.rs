//! What groups.yaml means once it is read, checked and resolved: everything a plan needs to know about the site.
//!
//! Invariant: a value of this type is consistent: groups are disjoint and cover every wiki, every name has passed its
//! grammar, every path is absolute or normalised. No reader of it checks again.

use super::sections::Files;
use crate::gate::spec::Gate;
use crate::model::books::Pins;
use crate::model::component::{ArtefactRule, Component};
use crate::model::names::{AccountName, GateName, Group, HostName, UserName, Wiki};
use crate::model::notice::Occasion;
use crate::model::right::Right;
use crate::model::secret::Reference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A site: its wikis, groups, hosts, hooks and limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The groups.yaml it was read from, absolute.
    pub file: PathBuf,
    /// What it was read from: groups.yaml, dblists and what else it names, by section.
    pub files: Files,
    /// Where hosts serve from, absolute, the same path on each: `/srv/mediawiki`.
    pub root: PathBuf,
    /// Where the agent keeps its state on hosts, absolute, outside of `root`.
    pub state: PathBuf,
    /// The source trees on the deploy host, absolute.
    pub staging: PathBuf,
    /// The directory of the books on the deploy host (mode 0700), absolute; holds `books.sqlite` and `content/`.
    pub books: PathBuf,
    /// The server that keeps the books for several deploy hosts; `None`: they lie in `books`.
    pub store: Option<StorePolicy>,
    /// Whether hosts take nothing but content that somebody signed.
    pub signed: bool,
    /// Directories below staging, beside the version trees, that are synced as configuration.
    pub configuration: Vec<Component>,
    /// Groups in the order of promotion, disjoint, covering every wiki.
    pub groups: Vec<GroupPolicy>,
    /// Every host.
    pub hosts: BTreeMap<HostName, HostPolicy>,
    /// Pins declared in the file, each with source [`crate::model::books::PinSource::Config`].
    pub pins: Pins,
    /// Commands of the site.
    pub hooks: Hooks,
    /// What each host builds in a version's tree.
    pub artefacts: Vec<ArtefactRule>,
    /// Numbers.
    pub limits: Limits,
    /// How ssh is called.
    pub ssh: SshPolicy,
    /// Gates in the order of the file, each name once.
    pub gates: Vec<Gate>,
    /// How long a promotion is watched.
    pub soak: Soak,
    /// Where web servers listen.
    pub web: Web,
    /// How stages differ from production.
    pub environments: Vec<Environment>,
    /// Where hosts can fetch content, in the order of the file.
    pub mirrors: Vec<MirrorPolicy>,
    /// Who is told what became of rollouts, in the order of the file.
    pub notify: Vec<NotifierPolicy>,
    /// Who may do what; `None`: whoever can write the books may do everything.
    pub rights: Option<Rights>,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The line of groups.yaml where they begin.
    pub line: u64,
    /// The line that demands that who approves is not who began it; `None`: it is not demanded.
    pub second_person: Option<u64>,
    /// What no rule gives nobody has; never empty.
    pub rules: Vec<Rule>,
}

/// Rights of some people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its line of groups.yaml.
    pub line: u64,
    /// Users of the deploy host.
    pub users: BTreeSet<AccountName>,
    /// Groups of users there; one of both is not empty.
    pub members_of: BTreeSet<AccountName>,
    /// What they may do, never empty.
    pub may: BTreeSet<Right>,
    /// For which groups of wikis; `None`: for all.
    pub groups: Option<BTreeSet<Group>>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierPolicy {
    /// Its name, which warnings say.
    pub name: GateName,
    /// Of what.
    pub on: BTreeSet<Occasion>,
    /// How.
    pub to: NotifyTo,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifyTo {
    /// A line in the log of the site.
    Sal(SalTo),
    /// By HTTP.
    Webhook {
        /// What is sent.
        hook: Hook,
        /// Where the URL stands.
        url: Reference,
        /// Where a token stands that goes with it.
        token: Option<Reference>,
        /// A file of PEM certificates that are trusted instead of the system's, absolute.
        ca: Option<PathBuf>,
    },
    /// By mail.
    Mail {
        /// From whom, `name@host`.
        from: String,
        /// To whom, at least one.
        to: Vec<String>,
        /// The program that takes it, absolute.
        sendmail: PathBuf,
    },
    /// The system's log.
    Syslog(SyslogTo),
}

/// Where the line for people goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SalTo {
    /// It is appended to this file, absolute.
    File(PathBuf),
    /// This program gets it on its stdin.
    Argv(Vec<String>),
}

/// What a webhook is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// As Slack's incoming webhooks read it.
    Slack,
    /// As Mattermost's read it.
    Mattermost,
    /// As the API of Matterbridge reads it, which brings it to IRC.
    IrcBridge {
        /// Its gateway.
        gateway: String,
    },
    /// Every part by its name.
    Json,
}

/// Where a syslog listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogTo {
    /// At a Unix datagram socket, absolute.
    Socket(PathBuf),
    /// By UDP at a name or an address, and a port.
    Udp(String, u16),
}

/// A server that keeps the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePolicy {
    /// Where its address stands, which may have a password in it.
    pub source: Reference,
    /// Certificates that its own is verified against, PEM; `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

/// A place that holds content by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorPolicy {
    /// As it stands in the file: `s3://bucket/prefix`; without secrets.
    pub name: String,
    /// How it is reached.
    pub source: MirrorSource,
    /// The datacenters that it is near to; empty: it is for all, after those that are near.
    pub datacenters: BTreeSet<String>,
    /// A file of PEM certificates that are trusted instead of the system's, absolute.
    pub ca: Option<PathBuf>,
}

/// How a mirror is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MirrorSource {
    /// As an S3 bucket: the controller writes with its credentials, hosts read by presigned URLs.
    S3 {
        /// The bucket.
        bucket: String,
        /// Before each name, without slashes around it; may be empty.
        prefix: String,
        /// The region.
        region: String,
        /// The server's URL without a path; `None`: Amazon's for the region.
        endpoint: Option<String>,
        /// A file with the keys, absolute; `None`: they are in the environment.
        credentials: Option<PathBuf>,
    },
    /// As a directory of a web server, which hosts read as anybody could.
    Http {
        /// Its URL, without a slash at its end.
        url: String,
    },
}

/// How long gates are asked at least and at most, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Soak {
    /// After each wave, at least.
    pub wave_ms: u64,
    /// After the last wave of a group, at least.
    pub group_ms: u64,
    /// In all at one place, before a person is asked.
    pub max_ms: u64,
    /// After a promotion ended.
    pub watch_ms: u64,
}

/// Where the web servers of hosts listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Whether they speak TLS.
    pub tls: bool,
    /// On which port.
    pub port: u16,
    /// A file with a line `HOST ADDRESS:PORT` for each host that is elsewhere, absolute; read when a gate asks.
    pub addresses: Option<PathBuf>,
    /// A file of PEM certificates that are trusted instead of the system's, absolute.
    pub ca: Option<PathBuf>,
}

/// How a stage differs from production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name: `beta`.
    pub name: String,
    /// The groups whose evidence comes from it.
    pub groups: BTreeSet<Group>,
    /// Trait to what is different, in words: `tls` to `no TLS here`.
    pub differs: BTreeMap<String, String>,
}

impl Default for Soak {
    /// Ten years of a public deployment history say that the median time from a promotion to its rollback is 32 min.
    fn default() -> Self {
        Self { wave_ms: 20_000, group_ms: 60_000, max_ms: 1_800_000, watch_ms: 1_800_000 }
    }
}

impl Default for Web {
    fn default() -> Self {
        Self { tls: false, port: 80, addresses: None, ca: None }
    }
}

/// A group and its wikis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPolicy {
    /// Its name.
    pub name: Group,
    /// Its wikis, never empty.
    pub wikis: BTreeSet<Wiki>,
}

/// A host and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPolicy {
    /// At least one.
    pub roles: BTreeSet<Role>,
    /// Free text of the name grammar: `codfw`.
    pub datacenter: String,
    /// How to reach it.
    pub transport: Transport,
    /// Where it serves content to its datacenter, when it does.
    pub proxy: Option<SocketAddr>,
}

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Serves a small share of the traffic; switched first.
    Canary,
    /// Serves people who debug; switched first, before canaries.
    Debug,
    /// Serves the wikis.
    Appserver,
    /// Where the controller runs.
    Deploy,
    /// Serves content to its datacenter.
    Proxy,
    /// No wikis: a log host, a database. Gates can ask for its facts and metrics.
    Other,
}

/// How the agent on a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// By ssh.
    Ssh {
        /// The login; `None`: ssh's own choice.
        user: Option<UserName>,
        /// The address when it is not the name.
        address: Option<HostName>,
        /// `None`: ssh's own choice.
        port: Option<u16>,
    },
    /// A directory of this machine stands for the host: `root` and `state` are taken below it.
    Local {
        /// Absolute.
        directory: PathBuf,
    },
}

/// Commands of the site, argv lists that no shell sees; empty: none. They get `POINTSMAN_*` variables and nothing else
/// but `PATH` in their environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// On a host, in a version's tree: makes the artefacts.
    pub build: Vec<String>,
    /// On a host, after a switch.
    pub restart: Vec<String>,
    /// On the deploy host: takes `POINTSMAN_HOST` out of service.
    pub depool: Vec<String>,
    /// On the deploy host: puts it back.
    pub pool: Vec<String>,
}

/// Numbers of the site, with their units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Hosts that are talked to at the same time. So many key exchanges (28 to 56 ms of CPU each) are through on two
    /// cores well within the connect deadline.
    pub parallel_hosts_max: usize,
    /// Connecting and authenticating, ms.
    pub connect_ms_max: u64,
    /// One command without a transfer, ms.
    pub command_ms_max: u64,
    /// Bringing one component to one host, its build included, ms.
    pub prepare_ms_max: u64,
    /// The age of a proof at which a switch asks for another, ms.
    pub proof_age_ms_max: u64,
    /// Time that a rollback gives to repairs, ms.
    pub repair_budget_ms_max: u64,
    /// Hosts that may be stale when a promotion begins, and fail while it runs.
    pub stale_hosts_max: usize,
    /// What share of a component's files a sync may delete without being told so, percent.
    pub delete_percent_max: u64,
}

/// How ssh is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshPolicy {
    /// Whose configuration file is included after our own options.
    pub config: SshConfig,
    /// Key exchange algorithms; `None`: OpenSSH's own choice.
    pub kex: Option<String>,
    /// How long a connection that nobody uses is kept for the next command, whole s; 0: it ends with its command.
    pub keep_s: u64,
}

/// Whose configuration ssh reads beside ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshConfig {
    /// The user's and the system's.
    User,
    /// None but ours.
    Own,
    /// This file.
    File(PathBuf),
}

impl Limits {
    /// Connecting to a host and one command there without a transfer, ms.
    pub fn contact_ms_max(&self) -> u64 {
        self.connect_ms_max + self.command_ms_max
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parallel_hosts_max: 128,
            connect_ms_max: 10_000,
            command_ms_max: 30_000,
            prepare_ms_max: 900_000,
            proof_age_ms_max: 600_000,
            repair_budget_ms_max: 30_000,
            stale_hosts_max: 0,
            delete_percent_max: 25,
        }
    }
}

impl Rule {
    /// Whether it gives `right` for `group`, to those that it is for.
    pub fn gives(&self, right: Right, group: &Group) -> bool {
        self.may.iter().any(|own| own.gives(right)) && self.groups.as_ref().is_none_or(|groups| groups.contains(group))
    }
}

impl HostPolicy {
    /// Whether the host serves wikis, so that promotions and rollbacks switch it.
    pub fn serves(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Canary | Role::Debug | Role::Appserver))
    }
}
