//! One ssh connection: a master process, channels in it, and the next command's use of it.
//!
//! Invariant: a master that is not up when its deadline passes is killed, and one that nobody uses ends by itself. A
//! kept connection is used once the host itself has opened a channel in it; until it has, it says nothing about the host,
//! and a new connection is opened beside it. The `openssh` crate speaks to the master (native multiplexing: no process a channel); the master is started
//! here, because the crate's own start inherits the whole environment, cannot be killed at a deadline and keeps ssh's
//! own words only as an error kind that does not tell faults apart.

use super::bootstrap::RUN;
use super::channel::Channel;
use super::kept::{self, Kept};
use super::runtime::Runtime;
use super::{OpenError, classify, ssh_config, ssh_files};
use crate::config::policy::{Limits, SshPolicy, Transport};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::limits::{SSH_ALIVE_S, SSH_IDLE_S_MAX, SSH_KEPT_ALONE_MS, STDERR_BYTES_MAX};
use crate::model::names::HostName;
use openssh::Stdio;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// What ssh may know of our environment: where the keys are and who we are.
const ENVIRONMENT: [&str; 7] = ["HOME", "PATH", "USER", "LOGNAME", "SSH_AUTH_SOCK", "KRB5CCNAME", "XDG_RUNTIME_DIR"];
/// What authentication gets beyond ssh's own connect timeout, which covers TCP and the banner only.
const GRACE_MS: u64 = 500;

/// Digits of a digest that name the directory of a host's kept connections.
const KEY_DIGITS: usize = 20;

/// How this run makes and finds connections.
#[derive(Debug)]
pub struct Ssh {
    runtime: Runtime,
    /// The text of ssh's configuration file.
    config: String,
    /// How long a connection is kept without use, s; 0: not.
    keep_s: u64,
    /// Of everything that decides how connections are made; `None` where none is kept.
    settings: Option<Digest>,
}

/// One host and the way to it.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// Its name.
    pub host: &'a HostName,
    /// By ssh.
    pub transport: &'a Transport,
    /// Deadlines.
    pub limits: &'a Limits,
}

/// An open connection to one host.
#[derive(Debug)]
pub struct Connection {
    session: Arc<openssh::Session>,
    /// Where its socket and log are.
    dir: PathBuf,
    /// `None`: it is kept.
    own: Option<TempDir>,
}

/// What ssh gets of our environment.
pub fn environment() -> impl Iterator<Item = (&'static str, OsString)> {
    ENVIRONMENT.into_iter().filter_map(|key| Some((key, std::env::var_os(key)?)))
}

/// An OpenSSH tool with a cleared environment, killed when dropped. It runs in `/`, so that no path of ssh's configuration
/// depends on where a command was typed, and a master that stays holds no directory; and in a process group of its own, so
/// that Ctrl-C at a terminal is for us alone.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir("/");
    command.env_clear().envs(environment()).env("LC_ALL", "C").kill_on_drop(true).process_group(0);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

/// Arguments that say who and where, ending with the destination. Both are names of strict grammars.
pub fn destination(host: &HostName, transport: &Transport) -> Vec<String> {
    let mut arguments = Vec::new();
    if let Transport::Ssh { user, address, port } = transport {
        arguments.extend(user.iter().flat_map(|user| ["-l".to_owned(), user.to_string()]));
        arguments.extend(address.iter().map(|address| format!("-oHostName={address}")));
        arguments.extend(port.iter().map(|port| format!("-p{port}")));
    }
    arguments.extend(["--".to_owned(), host.to_string()]);
    arguments
}

impl Ssh {
    /// Makes the private directory of this run below `place`.
    pub fn open(place: &Path, policy: &SshPolicy) -> Result<Self, OpenError> {
        let config = ssh_config::text(policy)?;
        let runtime = Runtime::open(place, &config)?;
        let settings = (policy.keep_s > 0).then(|| ssh_files::digest(&config)).flatten();
        Ok(Self { runtime, config, keep_s: policy.keep_s, settings })
    }

    /// The private directory of this run.
    pub fn run(&self) -> &Path {
        self.runtime.path()
    }

    /// ssh's configuration file.
    pub fn config(&self) -> PathBuf {
        self.runtime.config()
    }

    /// A connection within `connect_ms_max` and a little: one that was kept, if it answers, else a new one. With a kept
    /// one comes the channel whose opening was the answer; it runs [`RUN`].
    pub async fn connect(&self, way: Way<'_>) -> Result<(Connection, Option<Channel>), Fault> {
        let found = self.kept(way).map(|kept| kept.found()).unwrap_or_default();
        let new = async { Ok((self.fresh(way).await?, None)) };
        if found.is_empty() {
            return new.await;
        }
        let within = Duration::from_millis(way.limits.connect_ms_max);
        let old = async { tokio::time::timeout(within, answering(&found)).await.ok().flatten() };
        let (mut old, mut new) = (pin!(old), pin!(new));
        match tokio::time::timeout(Duration::from_millis(SSH_KEPT_ALONE_MS), &mut old).await {
            Ok(Some((connection, channel))) => return Ok((connection, Some(channel))),
            Ok(None) => return new.await,
            Err(_) => {}
        }
        tracing::debug!(host = %way.host, "a kept connection does not answer, a new one is opened beside it");
        tokio::select! {
            answered = &mut old => match answered {
                Some((connection, channel)) => Ok((connection, Some(channel))),
                None => new.await,
            },
            opened = &mut new => match opened {
                Ok(opened) => {
                    found.iter().for_each(|instance| kept::retire(instance));
                    Ok(opened)
                }
                Err(fault) => old.await.map(|(connection, channel)| (connection, Some(channel))).ok_or(fault),
            },
        }
    }

    /// Where connections to this host are kept; the name covers all that decides where they go and how they are made.
    fn kept(&self, way: Way<'_>) -> Option<Kept> {
        let mut key = format!("{}\n{}\n", self.settings?, self.keep_s);
        for argument in destination(way.host, way.transport) {
            key += &format!("{}:{argument}\n", argument.len());
        }
        let key = Digest::of(key.as_bytes()).to_string();
        Some(Kept::new(self.runtime.place(), key.get(..KEY_DIGITS)?))
    }

    /// Connects and authenticates.
    async fn fresh(&self, way: Way<'_>) -> Result<Connection, Fault> {
        let begun = self.kept(way).map(|kept| kept.begin()).transpose().unwrap_or_else(|error| {
            tracing::debug!(host = %way.host, %error, "the connection is not kept");
            None
        });
        let Some(begun) = begun else {
            let dir = self.runtime.connection().map_err(ours)?;
            self.start(way, dir.path(), SSH_IDLE_S_MAX).await?;
            return Ok(Connection::new(dir.path().to_owned(), Some(dir)));
        };
        self.start(way, begun.path(), self.keep_s).await?;
        let unchanged = ssh_files::digest(&self.config) == self.settings;
        Ok(match unchanged {
            true => Connection::new(begun.keep(), None),
            // Somebody edited ssh's configuration meanwhile: nobody knows by which settings this one was made.
            false => Connection::new(begun.path().to_owned(), Some(begun.private())),
        })
    }

    /// Starts a master whose socket and log are in `dir`, which ends after `idle_s` without use.
    async fn start(&self, way: Way<'_>, dir: &Path, idle_s: u64) -> Result<(), Fault> {
        let (socket, log) = (dir.join("master"), log_of(dir));
        let seconds = (way.limits.connect_ms_max / 1000).max(1);
        let mut ssh = tool("ssh");
        ssh.arg("-F").arg(self.config()).arg("-E").arg(&log).arg("-S").arg(&socket).args(["-M", "-f", "-N"]);
        ssh.arg(format!("-oConnectTimeout={seconds}"));
        ssh.arg(format!("-oServerAliveInterval={SSH_ALIVE_S}")).arg("-oServerAliveCountMax=3");
        ssh.arg(format!("-oControlPersist={idle_s}s"));
        ssh.args(destination(way.host, way.transport));
        let outer = Duration::from_millis(way.limits.connect_ms_max.max(seconds * 1000) + GRACE_MS);
        match tokio::time::timeout(outer, ssh.status()).await {
            Err(_) => Err(Fault::TimedOut("authenticating".into())),
            Ok(Err(error)) => Err(Fault::Other(format!("cannot start ssh: {error}"))),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(_)) => Err(classify::ssh_log(&read_bounded(&log))),
        }
    }
}

/// The first of these kept connections in which the host opens a channel.
async fn answering(found: &[PathBuf]) -> Option<(Connection, Channel)> {
    for dir in found {
        let connection = Connection::new(dir.clone(), None);
        match connection.channel(RUN).await {
            Ok(channel) => return Some((connection, channel)),
            Err(_) => kept::retire(dir),
        }
    }
    None
}

impl Connection {
    fn new(dir: PathBuf, own: Option<TempDir>) -> Self {
        let session = openssh::Session::resume_mux(dir.join("master").into(), None);
        Self { session: Arc::new(session), dir, own }
    }

    /// Starts a constant command line there.
    pub async fn channel(&self, line: &'static str) -> Result<Channel, Fault> {
        let mut command = Arc::clone(&self.session).arc_raw_command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match command.spawn().await {
            Ok(child) => Channel::remote(child).map_err(ours),
            Err(openssh::Error::SshMux(error)) => Err(Fault::Other(format!("no channel: {error}"))),
            Err(_) => Err(self.fault()),
        }
    }

    /// Why the connection ended, by ssh's own log.
    pub fn fault(&self) -> Fault {
        classify::ssh_log(&read_bounded(&log_of(&self.dir)))
    }

    /// Whether the master still lives.
    pub async fn alive(&self) -> bool {
        self.session.check().await.is_ok()
    }

    /// Ends the connection unless it is kept, as far as `within` allows; what does not end then ends idle.
    pub async fn close(self, within: Duration) {
        if self.own.is_some()
            && let Ok(session) = Arc::try_unwrap(self.session)
        {
            let _ = tokio::time::timeout(within, session.close()).await;
        }
    }
}

fn log_of(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The first [`STDERR_BYTES_MAX`] bytes of a file; nothing when it can't be read.
fn read_bounded(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(STDERR_BYTES_MAX as u64).read_to_end(&mut bytes));
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn ours(error: io::Error) -> Fault {
    Fault::Other(format!("here: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s01_who_and_where_are_whole_words_and_the_name_comes_last() {
        let name = |text: &str| text.parse().expect("a legal name");
        let transport = Transport::Ssh {
            user: Some("deploy".parse().expect("a legal name")),
            address: Some(name("10.0.0.1")),
            port: Some(2222),
        };
        let arguments = destination(&name("mw2020.codfw.wmnet"), &transport);
        assert_eq!(arguments, ["-l", "deploy", "-oHostName=10.0.0.1", "-p2222", "--", "mw2020.codfw.wmnet"]);
    }
}
