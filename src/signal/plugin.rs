//! Nagios and Icinga plugins, on hosts or on the deploy host.
//!
//! Invariant: whatever a plugin does, there is an answer soon after its deadline, and its whole process group is gone. No
//! shell sees its arguments, and nothing of our environment reaches it.

use super::ask::{each, words};
use super::{Provider, World};
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::spec::hosts::Command;
use crate::model::limits::{ASK_MS_MAX, PLUGIN_OUTPUT_BYTES_MAX};
use crate::model::names::HostName;
use crate::model::question::{Answer, PluginSaid, Question};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Where plugins find programs, as on hosts.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the end of the output is waited for once the group was killed.
const OUTPUT_MS_MAX: u64 = 1_000;

/// A plugin.
#[derive(Debug)]
pub struct Plugin {
    command: Command,
}

impl Plugin {
    /// The plugin of a gate.
    pub fn new(command: Command) -> Self {
        Self { command }
    }
}

impl Provider for Plugin {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let query = self.command.argv.join(" ");
        let within = Duration::from_millis(self.command.deadline_ms);
        let said = match self.command.on_hosts {
            true => {
                let hosts = scope.hosts();
                let answers = each(&hosts, |host| ask(world, host, &self.command)).await;
                if answers.is_empty() {
                    return Err(ReadError { query, why: "there is no host to ask".to_owned() });
                }
                answers.into_iter().map(|(host, answer)| (Some(host), answer.unwrap_or_else(unasked))).collect()
            }
            false => {
                let said = run(&self.command.argv, within).await;
                BTreeMap::from([(None, said.unwrap_or_else(|error| unasked(error.to_string())))])
            }
        };
        Ok(Reading { what: What::Plugins(said), query, window_ms: 0, newest_age_ms: None })
    }
}

fn unasked(why: String) -> PluginSaid {
    PluginSaid { code: None, output: words(&why) }
}

async fn ask<W: World>(world: &W, host: &HostName, command: &Command) -> Result<PluginSaid, String> {
    let question = Question::Plugin { argv: command.argv.clone(), deadline_ms: command.deadline_ms };
    let within = Duration::from_millis(command.deadline_ms.saturating_add(ASK_MS_MAX));
    match world.ask(host, question, within).await {
        Ok(Answer::Plugin(said)) => Ok(said),
        Ok(Answer::Failed(why)) => Err(why),
        Ok(_) => Err("its answer is not one to what was asked".to_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Kills a process group when dropped, so that a check that is given up leaves nothing behind.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// Runs a plugin here.
pub async fn run(argv: &[String], within: Duration) -> io::Result<PluginSaid> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir("/").env_clear().env("PATH", PATH).env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).ok_or(io::ErrorKind::Other)?;
    let group = Group(pid);
    let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut output = Vec::new();
    let ended = tokio::time::timeout(within, async {
        // Whichever ends first: what it forked may keep the output open, and it may close its output and go on.
        tokio::select! {
            biased;
            status = child.wait() => status,
            () = drain(&mut stdout, &mut output) => child.wait().await,
        }
    })
    .await;
    drop(group);
    let _ = tokio::time::timeout(Duration::from_millis(OUTPUT_MS_MAX), drain(&mut stdout, &mut output)).await;
    let code = match ended {
        Ok(status) => status?.code(),
        Err(_) => None,
    };
    Ok(PluginSaid { code, output: String::from_utf8_lossy(&output).into_owned() })
}

/// Reads to the end and keeps the first bytes.
async fn drain(from: &mut (impl AsyncRead + Unpin), output: &mut Vec<u8>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let room = PLUGIN_OUTPUT_BYTES_MAX - output.len();
        output.extend_from_slice(&buffer[..n.min(room)]);
    }
}

#[cfg(test)]
mod tests;
