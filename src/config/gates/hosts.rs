//! Plugins and facts of machines.
//!
//! ```yaml
//! - {name: load, kind: command, argv: [/usr/lib/nagios/plugins/check_load, -w, "5,4,3", -c, "9,8,7"], where: hosts}
//! - name: machines
//!   kind: host
//!   conditions:
//!     disk_free_percent: ">= 10"
//!     disk_full_hours: "> 24"
//!     log_bytes_per_second: {file: /var/log/mediawiki/session.log, limit: "< 1000000"}
//! ```

use super::Known;
use super::numbers::condition;
use crate::config::diagnostic::{Sink, did_you_mean};
use crate::config::fields::{Fields, argv, choice, duration, text};
use crate::config::raw::At;
use crate::config::resolve::host_path;
use crate::config::yaml::{Node, Value};
use crate::gate::spec::Kind;
use crate::gate::spec::hosts::{Command, FACTS, Fact, Host, LOG_FACT};
use crate::gate::spec::numbers::Condition;
use crate::model::limits::{LOG_FILES_MAX, PLUGIN_MS_MAX};

/// Keys of command.
pub const COMMAND_KEYS: &[&str] = &["argv", "where", "warning", "deadline"];

/// How long a plugin may run unless said, ms: what Nagios allows it.
const DEADLINE_MS: u64 = 60_000;

/// A gate of kind command: `where: here` (the deploy host) or `hosts`, `warning: inconclusive` or `fail`.
pub fn command(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let argv = f.need("argv", argv);
    let on_hosts = f.optional("where", |n, s| choice(n, &[("here", false), ("hosts", true)], s));
    let fails = f.optional("warning", |n, s| choice(n, &[("inconclusive", false), ("fail", true)], s));
    let deadline = f.optional("deadline", |node, sink| {
        let ms = duration(node, sink)?;
        let legal = (1..=PLUGIN_MS_MAX).contains(&ms);
        if !legal {
            sink.add(node.place, format!("`deadline` is from 1ms to {}s", PLUGIN_MS_MAX / 1000));
        }
        legal.then_some(ms)
    });
    let (argv, on_hosts) = (argv?, on_hosts?.is_some_and(|at| at.value));
    let program = match on_hosts {
        true => on_every_host(&argv, f.sink),
        false => super::program(&argv, known, f.sink),
    };
    Some(Kind::Command(Command {
        argv: program?,
        on_hosts,
        warning_fails: fails?.is_some_and(|at| at.value),
        deadline_ms: deadline?.map_or(DEADLINE_MS, |at| at.value),
    }))
}

fn on_every_host(argv: &At<Vec<At<String>>>, sink: &mut Sink) -> Option<Vec<String>> {
    let Some(first) = argv.value.first() else {
        sink.add(argv.place, "a program must stand here");
        return None;
    };
    host_path(first, "argv", sink)?;
    Some(argv.value.iter().map(|argument| argument.value.clone()).collect())
}

/// Keys of host.
pub const HOST_KEYS: &[&str] = &["conditions"];

/// A gate of kind host.
pub fn host(f: &mut Fields<'_>, _: &Known<'_>) -> Option<Kind> {
    let conditions = f.need("conditions", conditions)?;
    Some(Kind::Host(Host { conditions: conditions.value }))
}

/// Each fact with its condition; there is at least one.
fn conditions(node: &Node, sink: &mut Sink) -> Option<Vec<(Fact, Condition)>> {
    let names: Vec<&str> = FACTS.iter().map(|(name, _)| *name).chain([LOG_FACT]).collect();
    let Value::Map(entries) = &node.value else {
        let hint = "as in `disk_free_percent: \">= 10\"`".to_owned();
        sink.hint(node.place, "`conditions` must be a mapping of facts to conditions", Some(hint));
        return None;
    };
    if entries.is_empty() {
        sink.hint(node.place, "no condition stands here", Some(format!("the facts are {}", names.join(", "))));
    }
    let mut found = Vec::new();
    for (key, value) in entries {
        match FACTS.iter().find(|(name, _)| *name == key.text) {
            Some((_, fact)) => found.extend(condition(value, sink).map(|condition| (fact.clone(), condition))),
            None if key.text == LOG_FACT => found.extend(logs(value, sink)),
            None => {
                let hint = did_you_mean(&key.text, names.iter().copied())
                    .unwrap_or_else(|| format!("the facts are {}", names.join(", ")));
                sink.hint(key.place, format!("`{}` is not a fact of a machine", key.text), Some(hint));
            }
        }
    }
    let files = found.iter().filter(|(fact, _)| matches!(fact, Fact::LogBytesPerSecond(_))).count();
    if files > LOG_FILES_MAX {
        sink.add(
            node.place,
            format!("{files} log files are too many, at most {LOG_FILES_MAX} are watched by one gate"),
        );
    }
    (!found.is_empty()).then_some(found)
}

/// One `{file, limit}`, or a list of them.
fn logs(node: &Node, sink: &mut Sink) -> Vec<(Fact, Condition)> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    nodes.iter().filter_map(|node| log(node, sink)).collect()
}

fn log(node: &Node, sink: &mut Sink) -> Option<(Fact, Condition)> {
    let mut f = Fields::of(node, &["file", "limit"], LOG_FACT, sink)?;
    let (file, limit) = (f.need("file", text), f.need("limit", condition));
    let file = host_path(&file?, "file", f.sink)?;
    Some((Fact::LogBytesPerSecond(file), limit?.value))
}
