//! One ssh connection: a master process that is started once and kept, and channels in it.
//!
//! Invariant: a master that is not up when its deadline passes is killed, and one that lost its pointsman ends by
//! itself. The `openssh` crate speaks to the master (native multiplexing: no process a channel); the master is started
//! here, because the crate's own start inherits the whole environment, cannot be killed at a deadline and keeps ssh's
//! own words only as an error kind that does not tell faults apart.

use super::channel::Channel;
use super::classify;
use super::runtime::Runtime;
use crate::config::policy::{Limits, Transport};
use crate::model::fault::Fault;
use crate::model::limits::{SSH_ALIVE_S, SSH_IDLE_S_MAX, STDERR_BYTES_MAX};
use crate::model::names::HostName;
use openssh::Stdio;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// What ssh may know of our environment: where the keys are and who we are.
const ENVIRONMENT: [&str; 7] = ["HOME", "PATH", "USER", "LOGNAME", "SSH_AUTH_SOCK", "KRB5CCNAME", "XDG_RUNTIME_DIR"];
/// What authentication gets beyond ssh's own connect timeout, which covers TCP and the banner only.
const GRACE_MS: u64 = 500;

/// An open connection to one host.
#[derive(Debug)]
pub struct Connection {
    session: Arc<openssh::Session>,
    dir: TempDir,
}

/// An OpenSSH tool with a cleared environment, killed when dropped.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    let kept = ENVIRONMENT.iter().filter_map(|key| Some((key, std::env::var_os(key)?)));
    command.env_clear().envs(kept).env("LC_ALL", "C").kill_on_drop(true);
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

impl Connection {
    /// Connects and authenticates, within `connect_ms_max` and a little.
    pub async fn open(
        runtime: &Runtime,
        host: &HostName,
        transport: &Transport,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let dir = runtime.connection().map_err(ours)?;
        let (socket, log) = (dir.path().join("master"), log_of(&dir));
        let seconds = (limits.connect_ms_max / 1000).max(1);
        let mut ssh = tool("ssh");
        ssh.arg("-F").arg(runtime.config()).arg("-E").arg(&log).arg("-S").arg(&socket).args(["-M", "-f", "-N"]);
        ssh.arg(format!("-oConnectTimeout={seconds}"));
        ssh.arg(format!("-oServerAliveInterval={SSH_ALIVE_S}")).arg("-oServerAliveCountMax=3");
        ssh.arg(format!("-oControlPersist={SSH_IDLE_S_MAX}s"));
        ssh.args(destination(host, transport));
        let outer = Duration::from_millis(limits.connect_ms_max.max(seconds * 1000) + GRACE_MS);
        match tokio::time::timeout(outer, ssh.status()).await {
            Err(_) => Err(Fault::TimedOut("authenticating".into())),
            Ok(Err(error)) => Err(Fault::Other(format!("cannot start ssh: {error}"))),
            Ok(Ok(status)) if status.success() => {
                let session = openssh::Session::resume_mux(socket.into(), None);
                Ok(Self { session: Arc::new(session), dir })
            }
            Ok(Ok(_)) => Err(classify::ssh_log(&read_bounded(&log))),
        }
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

    /// Ends the connection, as far as `within` allows; what does not end then ends idle.
    pub async fn close(self, within: Duration) {
        if let Ok(session) = Arc::try_unwrap(self.session) {
            let _ = tokio::time::timeout(within, session.close()).await;
        }
    }
}

fn log_of(dir: &TempDir) -> PathBuf {
    dir.path().join("log")
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
    fn who_and_where_are_whole_words_and_the_name_comes_last() {
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
