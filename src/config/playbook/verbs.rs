//! The verbs: each reads its keys and becomes the line that a person would type.
//!
//! Invariant: what stands in a line was checked: names by their grammar and against groups.yaml, free words only behind
//! `--option=`.

mod items;

use super::spec::{Commands, Moves, Notify, Verb};
use crate::config::diagnostic::{Place, Sink, did_you_mean};
use crate::config::fields::{Fields, argv, duration, flag, text, texts};
use crate::config::policy::Policy;
use crate::config::raw::At;
use crate::config::resolve::parsed;
use crate::config::select::select;
use crate::config::yaml::Node;
use crate::gate::feasible::feasible;
use crate::gate::spec::{Gate, Mode, Moment};
use crate::model::names::{Group, HostName, Version};
use std::collections::BTreeSet;

/// What a verb gives: itself, how many its budget counts among, and why its group goes before another.
pub struct Given {
    /// What the stage does.
    pub verb: Verb,
    /// 0: it has no budget.
    pub targets: usize,
    /// Of a promotion.
    pub out_of_order: Option<String>,
}

/// Reads what stands behind a verb; `None` after a mistake, which was noted.
pub type Reader = fn(&Node, &str, &Policy, &mut Sink) -> Option<Given>;

/// Every verb.
pub const VERBS: [(&str, Reader); 16] = [
    ("check", check),
    ("sync-common", sync_common),
    ("sync-file", sync_file),
    ("promote", promote),
    ("gate", gate),
    ("soak", soak),
    ("approve", approve),
    ("pin", pin),
    ("unpin", unpin),
    ("rollback", rollback),
    ("depool", depool),
    ("pool", pool),
    ("converge", converge),
    ("run", items::run),
    ("notify", notify),
    ("undo", undo),
];

fn commands(lines: Vec<Vec<String>>, moves: Moves, hosts: BTreeSet<HostName>, targets: usize) -> Option<Given> {
    let verb = Verb::Commands(Commands { lines, moves, hosts, for_ms: None });
    Some(Given { verb, targets, out_of_order: None })
}

fn line(words: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    words.into_iter().map(Into::into).collect()
}

/// The hosts of a selector; all that serve when there is none.
fn hosts(selector: Option<&At<String>>, policy: &Policy, sink: &mut Sink) -> Option<BTreeSet<HostName>> {
    let Some(selector) = selector else {
        return Some(policy.hosts.iter().filter(|(_, host)| host.serves()).map(|(name, _)| name.clone()).collect());
    };
    match select(&policy.hosts, &selector.value) {
        Ok(hosts) => Some(hosts),
        Err(error) => {
            sink.hint(selector.place, error.message, error.hint);
            None
        }
    }
}

fn check(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["versions", "hosts", "deep"], what, sink)?;
    let (versions, selector) = (f.optional("versions", texts), f.optional("hosts", text));
    let deep = f.optional("deep", flag);
    let sink = f.sink;
    let mut words = line(["check"]);
    for version in versions?.map(|at| at.value).unwrap_or_default() {
        words.push(parsed::<Version>(&version, "a version", sink)?.to_string());
    }
    let selector = selector?;
    let hosts = hosts(selector.as_ref(), policy, sink)?;
    words.extend(selector.map(|at| format!("--hosts={}", at.value)));
    words.extend(deep?.filter(|at| at.value).map(|_| "--deep".to_owned()));
    let targets = hosts.len();
    commands(vec![words], Moves::Nothing, hosts, targets)
}

fn sync_common(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["from_staging", "hosts", "message"], what, sink)?;
    let (staging, selector) = (f.optional("from_staging", flag), f.optional("hosts", text));
    let message = f.need("message", text);
    let (place, sink) = (f.node.place, f.sink);
    let selector = selector?;
    let staging = staging?.is_some_and(|at| at.value);
    if staging && selector.is_some() {
        sink.add(place, "staging is taken for the whole fleet: leave `hosts` or `from_staging` out");
    }
    let hosts = hosts(selector.as_ref(), policy, sink)?;
    let mut words = line(["sync-common", "--yes"]);
    words.push(format!("--message={}", message?.value));
    words.extend(staging.then(|| "--from-staging".to_owned()));
    words.extend(selector.map(|at| at.value));
    let targets = hosts.len();
    commands(vec![words], if staging { Moves::Content } else { Moves::Nothing }, hosts, targets)
}

fn sync_file(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["paths", "hosts", "message"], what, sink)?;
    let (paths, selector) = (f.need("paths", texts), f.optional("hosts", text));
    let message = f.need("message", text);
    let sink = f.sink;
    if let Some(at) = paths.as_ref().filter(|at| at.value.is_empty()) {
        sink.add(at.place, "at least one path must stand here");
    }
    let selector = selector?;
    let hosts = hosts(selector.as_ref(), policy, sink)?;
    let mut words = line(["sync-file", "--yes"]);
    words.push(format!("--message={}", message?.value));
    words.extend(selector.map(|at| format!("--hosts={}", at.value)));
    words.push("--".to_owned());
    words.extend(paths?.value.into_iter().map(|path| path.value));
    let targets = hosts.len();
    commands(vec![words], Moves::Content, hosts, targets)
}

fn undo(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["message"], what, sink)?;
    let message = f.need("message", text);
    let hosts = hosts(None, policy, f.sink)?;
    let words = line(["undo".to_owned(), "--yes".to_owned(), format!("--message={}", message?.value)]);
    let targets = hosts.len();
    commands(vec![words], Moves::Back, hosts, targets)
}

fn promote(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let keys = ["group", "version", "message", "soak", "again", "out_of_order"];
    let mut f = Fields::of(node, &keys, what, sink)?;
    let (group, version) = (f.need("group", text), f.need("version", text));
    let message = f.need("message", text);
    let soak = f.optional("soak", |n, s| duration(n, s).and(text(n, s)));
    let (again, why) = (f.optional("again", text), f.optional("out_of_order", text));
    let sink = f.sink;
    let (name, version) = (known_group(&group?, policy, sink)?, version?);
    let version: Version = parsed(&version, "a version", sink)?;
    let why = why?;
    if let Some(why) = why.as_ref().filter(|why| why.value.trim().is_empty()) {
        sink.add(why.place, "say why this group goes before the one that comes first");
    }
    let mut words = line(["promote", name.as_str(), version.as_str(), "--yes", "--detach"]);
    let order = why.as_ref().map(|why| format!(" (out of order: {})", why.value)).unwrap_or_default();
    words.push(format!("--message={}{order}", message?.value));
    words.extend(soak?.map(|soak| format!("--soak={}", soak.value)));
    if let Some(again) = again? {
        words.extend(["--again".to_owned(), format!("--reason={}", again.value)]);
    }
    let given = commands(vec![words], Moves::Promote(name, version), BTreeSet::new(), 0)?;
    Some(Given { out_of_order: why.map(|why| why.value), ..given })
}

/// A group; one that groups.yaml lacks is noted.
fn known_group(named: &At<String>, policy: &Policy, sink: &mut Sink) -> Option<Group> {
    let name: Group = parsed(named, "a group", sink)?;
    if !policy.groups.iter().any(|known| known.name == name) {
        let hint = did_you_mean(name.as_str(), policy.groups.iter().map(|known| known.name.as_str()));
        sink.hint(named.place, format!("groups.yaml has no group `{name}`"), hint);
    }
    Some(name)
}

fn gate(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["gates", "hosts", "window"], what, sink)?;
    let (names, selector) = (f.need("gates", texts), f.optional("hosts", text));
    let window = f.optional("window", |n, s| duration(n, s).and(text(n, s)));
    let sink = f.sink;
    let (names, selector) = (names?, selector?);
    if names.value.is_empty() {
        sink.add(names.place, "no gate can't fail: name at least one");
    }
    let arms = hosts(selector.as_ref(), policy, sink)?;
    let mut words = line(["canary"]);
    words.extend(selector.map(|at| format!("--hosts={}", at.value)));
    words.extend(window?.map(|at| format!("--window={}", at.value)));
    for name in &names.value {
        let Some(gate) = policy.gates.iter().find(|gate| gate.name.as_str() == name.value) else {
            let hint = did_you_mean(&name.value, policy.gates.iter().map(|gate| gate.name.as_str()));
            sink.hint(name.place, format!("groups.yaml has no gate `{}`", name.value), hint);
            continue;
        };
        if let Err(why) = can_fail(gate, policy, &arms) {
            let message = format!("the gate `{}` can't fail here: {why}", gate.name);
            sink.hint(name.place, message, Some("change it in groups.yaml, or name another".to_owned()));
        }
        words.push(format!("--gate={}", gate.name));
    }
    commands(vec![words], Moves::Nothing, BTreeSet::new(), 0)
}

/// Whether a gate, asked now of canary and debug hosts against the others, could say no.
fn can_fail(gate: &Gate, policy: &Policy, hosts: &BTreeSet<HostName>) -> Result<(), String> {
    use crate::config::policy::Role;
    if gate.mode == Mode::Observe {
        return Err("it only observes".to_owned());
    }
    if !gate.at.contains(&Moment::Canary) {
        return Err("it is not asked at the moment `canary`".to_owned());
    }
    let ours = |host: &&HostName| hosts.contains(*host) && gate.hosts.as_ref().is_none_or(|only| only.contains(*host));
    let first =
        |host: &&HostName| policy.hosts[*host].roles.iter().any(|role| matches!(role, Role::Canary | Role::Debug));
    let (canary, rest): (Vec<_>, Vec<_>) = policy.hosts.keys().filter(ours).partition(first);
    feasible(gate, canary.len(), rest.len())
}

fn soak(node: &Node, what: &str, _: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["time"], what, sink)?;
    let time = f.need("time", duration)?;
    Some(Given { verb: Verb::Soak(time.value), targets: 0, out_of_order: None })
}

fn approve(node: &Node, what: &str, _: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["text", "within"], what, sink)?;
    let (words, within) = (f.need("text", text), f.optional("within", duration));
    let verb = Verb::Approve { text: words?.value, within_ms: within?.map_or(0, |at| at.value) };
    Some(Given { verb, targets: 0, out_of_order: None })
}

fn pin(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["host", "wiki", "version", "reason", "for"], what, sink)?;
    let (version, reason) = (f.need("version", text), f.need("reason", text));
    let time = f.optional("for", duration);
    let subject = subject(&mut f, policy)?;
    let version: Version = parsed(&version?, "a version", f.sink)?;
    let reason = format!("--reason={}", reason?.value);
    let words = line(["pin", &subject, version.as_str(), "--yes", &reason]);
    let verb = Verb::Commands(Commands {
        lines: vec![words],
        moves: Moves::Pin(subject),
        hosts: BTreeSet::new(),
        for_ms: time?.map(|at| at.value),
    });
    Some(Given { verb, targets: 0, out_of_order: None })
}

fn unpin(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["host", "wiki", "reason"], what, sink)?;
    let reason = f.need("reason", text);
    let subject = subject(&mut f, policy)?;
    let words = line(["unpin", &subject, "--yes", &format!("--reason={}", reason?.value)]);
    commands(vec![words], Moves::Unpin, BTreeSet::new(), 0)
}

fn subject(f: &mut Fields<'_>, policy: &Policy) -> Option<String> {
    let (host, wiki) = (f.optional("host", text)?, f.optional("wiki", text)?);
    let named: Place = f.node.place;
    let (at, found, what) = match (host, wiki) {
        (Some(host), None) => {
            let found = policy.hosts.keys().any(|known| known.as_str() == host.value);
            (host, found, "host")
        }
        (None, Some(wiki)) => {
            let found = policy.groups.iter().flat_map(|g| &g.wikis).any(|known| known.as_str() == wiki.value);
            (wiki, found, "wiki")
        }
        _ => {
            f.sink.add(named, "either `host` or `wiki` must stand here");
            return None;
        }
    };
    if !found {
        f.sink.add(at.place, format!("groups.yaml has no {what} `{}`", at.value));
        return None;
    }
    Some(at.value)
}

fn rollback(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["group", "message"], what, sink)?;
    let (group, message) = (f.optional("group", text), f.need("message", text));
    let sink = f.sink;
    let mut words = line(["rollback", "--yes"]);
    words.push(format!("--message={}", message?.value));
    if let Some(group) = group? {
        words.push(known_group(&group, policy, sink)?.to_string());
    }
    let hosts = hosts(None, policy, sink)?;
    let targets = hosts.len();
    commands(vec![words], Moves::Back, hosts, targets)
}

fn depool(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    batched(node, what, "depool", policy, sink)
}

fn pool(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    batched(node, what, "pool", policy, sink)
}

fn converge(node: &Node, what: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    batched(node, what, "converge", policy, sink)
}

/// Hosts one batch after the other.
fn batched(node: &Node, what: &str, verb: &str, policy: &Policy, sink: &mut Sink) -> Option<Given> {
    let keys: &[&str] = if verb == "depool" { &["hosts", "batch", "reason"] } else { &["hosts", "batch"] };
    let mut f = Fields::of(node, keys, what, sink)?;
    let selector = match verb {
        "converge" => f.optional("hosts", text)?,
        _ => Some(f.need("hosts", text)?),
    };
    let batch = f.optional("batch", items::batch)?;
    let reason = if verb == "depool" { Some(f.need("reason", text)?.value) } else { None };
    let hosts = hosts(selector.as_ref(), policy, f.sink)?;
    let batches = match &batch {
        Some(batch) => items::batches(&hosts, batch.value, policy),
        None => vec![hosts.iter().map(HostName::to_string).collect()],
    };
    let one = |batch: &Vec<String>| {
        let mut words = line([verb, &batch.join(",")]);
        words.extend((verb == "converge").then(|| "--yes".to_owned()));
        words.extend(reason.iter().map(|reason| format!("--reason={reason}")));
        words
    };
    let lines = batches.iter().map(one).collect();
    let targets = hosts.len();
    commands(lines, Moves::Nothing, hosts, targets)
}

fn notify(node: &Node, what: &str, _: &Policy, sink: &mut Sink) -> Option<Given> {
    let mut f = Fields::of(node, &["argv", "sal"], what, sink)?;
    let (program, sal) = (f.optional("argv", argv)?, f.optional("sal", text)?);
    let place = f.node.place;
    let verb = match (program, sal) {
        (Some(argv), None) if !argv.value.is_empty() => {
            Notify::Argv(argv.value.into_iter().map(|word| word.value).collect())
        }
        (None, Some(sal)) => Notify::Sal(sal.value),
        _ => {
            f.sink.add(place, "either `argv`, a program, or `sal`, a line, must stand here");
            return None;
        }
    };
    Some(Given { verb: Verb::Notify(verb), targets: 0, out_of_order: None })
}
