//! Nagios and Icinga plugins, on hosts or on the deploy host.
//!
//! Invariant: whatever a plugin does, there is an answer soon after its deadline, and its whole process group is gone. No
//! shell sees its arguments, and nothing of our environment reaches it.

use super::ask::{each, words};
use super::process::{self, Keep};
use super::{Provider, World};
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::spec::hosts::Command;
use crate::model::limits::{ASK_MS_MAX, PLUGIN_OUTPUT_BYTES_MAX};
use crate::model::names::HostName;
use crate::model::question::{Answer, PluginSaid, Question};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// Where plugins find programs, as on hosts.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
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

/// Runs a plugin here.
pub async fn run(argv: &[String], within: Duration) -> io::Result<PluginSaid> {
    let env = [("PATH", PATH.to_owned()), ("LC_ALL", "C".to_owned())];
    let ended = process::run(argv, &env, within, Keep::First(PLUGIN_OUTPUT_BYTES_MAX)).await?;
    let output = String::from_utf8_lossy(&ended.stdout).into_owned();
    Ok(PluginSaid { code: ended.status.and_then(|status| status.code()), output })
}

#[cfg(test)]
mod tests;
