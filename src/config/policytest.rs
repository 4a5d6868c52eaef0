//! Policy tests (`NAME.test.yaml`): an incident, one of its chapters, and what a policy must do there.
//!
//! Invariant: an expectation that comes out can be met and can be missed: what it names is in the incident's site, and
//! a test expects at least one thing.

#[cfg(test)]
mod corpus;

use super::diagnostic::{Diagnostics, Place, Sink, did_you_mean};
use super::fields::{Fields, choice, duration, list, number, text};
use super::incident::spec::{Chapter, Incident};
use super::incident::{self, known, nested};
use super::playbook::spec::Playbook;
use super::policy::Policy;
use super::trust;
use super::yaml::{self, Node, Value};
use crate::model::limits::POLICY_TEST_EXPECT_MAX;
use crate::model::names::{Group, HostName};
use std::collections::BTreeMap;
use std::path::Path;

const KEYS: &[&str] = &["name", "incident", "given", "policy", "playbook", "vars", "chapter", "expect"];
/// Every expectation has exactly one of these.
const KINDS: &[&str] = &["act", "never", "served"];
const EXPECT: &[&str] = &["act", "nth", "is", "because", "within", "repaired", "lacked", "never", "served", "at_most"];
/// What an undertaking is called first; see `replay`.
const ACTS: &[&str] = &["promote", "rollback", "repair"];
/// How an undertaking can end.
pub const ENDS: &[&str] = &["promoted", "held", "stale", "rolled-back", "paused", "done", "nothing"];

/// A test of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyTest {
    /// Its name, in words.
    pub name: String,
    /// With the gates of `policy`, where the test names one.
    pub incident: Incident,
    /// In the place of the people's promotions.
    pub playbook: Option<Playbook>,
    /// Where pointsman takes over.
    pub chapter: Chapter,
    /// Never empty.
    pub expect: Vec<Expectation>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Where it stands.
    pub place: Place,
    /// What.
    pub what: Expect,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Something was undertaken, and ended so.
    Act(ExpectedAct),
    /// No wiki went to the version that the incident is about.
    NeverForward,
    /// Nothing repaired a host.
    NeverRepair,
    /// The group served that version for so long at most, ms.
    Served(Group, u64),
}

/// An undertaking that must be there; of what is `None` nothing is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedAct {
    /// Words that its name begins with.
    pub act: String,
    /// Which of those, from 1.
    pub nth: usize,
    /// How it ended, one of [`ENDS`].
    pub is: Option<&'static str>,
    /// Part of a line of why.
    pub because: Option<String>,
    /// At most so long from its begin to its end, ms.
    pub within: Option<u64>,
    /// A host that was repaired on the way.
    pub repaired: Option<HostName>,
    /// Part of what that host lacked.
    pub lacked: Option<String>,
}

/// Reads the test `file` and what it names.
///
/// # Errors
///
/// All mistakes at once, each in its file; a file that somebody else could have written is one.
pub fn load(file: &Path) -> Result<PolicyTest, Diagnostics> {
    let invoker = trust::Invoker::of_process();
    let read = |path: &Path| trust::read(path, invoker);
    match read(file) {
        Ok(text) => parse(file, &text, &read),
        Err(error) => Err(Diagnostics::unread(file, error)),
    }
}

/// Reads the text of the test `file`; `read` gives the files that it names, relative to its directory.
///
/// # Errors
///
/// All mistakes at once.
pub fn parse(file: &Path, text: &str, read: super::dblist::Reader<'_>) -> Result<PolicyTest, Diagnostics> {
    let mut sink = Sink::new(file);
    let test = yaml::read(text, &mut sink).and_then(|tree| test(&tree, text, read, &mut sink));
    sink.finish(test)
}

fn test(tree: &Node, body: &str, read: super::dblist::Reader<'_>, sink: &mut Sink) -> Option<PolicyTest> {
    let mut f = Fields::of(tree, KEYS, "a policy test", sink)?;
    let name = f.need("name", text);
    let incident = match (f.get("incident").cloned(), f.get("given").cloned()) {
        (Some(node), None) => named(&node, read, f.sink),
        (None, Some(node)) => incident::of_node(&node, body, read, f.sink),
        _ => {
            let hint = "`incident: FILE`, or the keys of one below `given:`".to_owned();
            f.sink.hint(tree.place, "a policy test has one incident", Some(hint));
            None
        }
    };
    let policy = f.optional("policy", |n, s| {
        nested(n, read, s, "a groups.yaml beside this file", |file, body| super::parse(file, body, read))
    });
    let incident = match policy?.map(|at| at.value) {
        Some(policy) => incident::with_policy(incident?, policy),
        None => incident?,
    };
    let vars = f.optional("vars", vars)?.map(|at| at.value).unwrap_or_default();
    let playbook = f.optional("playbook", |n, s| playbook(n, &incident.site, &vars, read, s));
    let chapter = chapter(&mut f, &incident);
    let expect = f.need("expect", |n, s| list(n, "`expect`", |n, s| expectation(n, &incident.site, s), s));
    let broken = f.broken.contains("expect");
    let expect = expect?;
    if expect.value.is_empty() && !broken {
        f.sink.add(expect.place, "a test that expects nothing always passes");
    }
    if expect.value.len() > POLICY_TEST_EXPECT_MAX {
        f.sink.add(expect.place, format!("a test expects at most {POLICY_TEST_EXPECT_MAX} things"));
    }
    let playbook = playbook?.map(|at| at.value);
    Some(PolicyTest { name: name?.value, incident, playbook, chapter: chapter?, expect: expect.value })
}

fn named(node: &Node, read: super::dblist::Reader<'_>, sink: &mut Sink) -> Option<Incident> {
    nested(node, read, sink, "an incident beside this file, or its keys below `given:`", |file, body| {
        incident::parse(file, body, read)
    })
}

/// Values of a playbook's variables, as `--var` gives them.
fn vars(node: &Node, sink: &mut Sink) -> Option<BTreeMap<String, String>> {
    let Value::Map(entries) = &node.value else {
        sink.add(node.place, "`vars` must be a mapping of names to texts");
        return None;
    };
    entries.iter().map(|(key, value)| Some((key.text.clone(), text(value, sink)?))).collect()
}

fn playbook(
    node: &Node,
    site: &Policy,
    vars: &BTreeMap<String, String>,
    read: super::dblist::Reader<'_>,
    sink: &mut Sink,
) -> Option<Playbook> {
    nested(node, read, sink, "a playbook beside this file", |file, body| super::playbook::parse(file, body, site, vars))
}

/// The chapter that is named; without a name the only one.
fn chapter(f: &mut Fields<'_>, incident: &Incident) -> Option<Chapter> {
    let chapters = &incident.chapters;
    let names: Vec<(&str, Chapter)> = chapters.iter().map(|chapter| (chapter.name.as_str(), chapter.clone())).collect();
    match (f.optional("chapter", |n, s| known(n, "chapter", &names, s))?, chapters.as_slice()) {
        (Some(at), _) => Some(at.value),
        (None, [only]) => Some(only.clone()),
        (None, _) => {
            let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            let hint = format!("`chapter:` with one of {}", names.join(", "));
            f.sink.hint(f.node.place, "the incident has several chapters: a test is about one", Some(hint));
            None
        }
    }
}

fn expectation(node: &Node, site: &Policy, sink: &mut Sink) -> Option<Expectation> {
    let f = Fields::of(node, EXPECT, "an expectation", sink)?;
    let there: Vec<&str> = KINDS.iter().copied().filter(|kind| f.get(kind).is_some()).collect();
    let [kind] = there.as_slice() else {
        let message = if there.is_empty() { "nothing is expected here" } else { "an expectation is about one thing" };
        f.sink.hint(node.place, message, Some(format!("one of {}", KINDS.join(", "))));
        return None;
    };
    // Again, with the keys that go with this kind alone.
    let what = match *kind {
        "act" => Expect::Act(act(node, site, sink)?),
        "never" => {
            let mut f = Fields::of(node, &["never"], "`never`", sink)?;
            let never = [("forward", Expect::NeverForward), ("repair", Expect::NeverRepair)];
            let names: Vec<(&str, usize)> = never.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
            let at = f.need("never", |n, s| choice(n, &names, s))?.value;
            never[at].1.clone()
        }
        _ => {
            let mut f = Fields::of(node, &["served", "at_most"], "`served`", sink)?;
            let groups: Vec<(&str, Group)> =
                site.groups.iter().map(|group| (group.name.as_str(), group.name.clone())).collect();
            let (group, at_most) =
                (f.need("served", |n, s| known(n, "group", &groups, s)), f.need("at_most", duration));
            Expect::Served(group?.value, at_most?.value)
        }
    };
    Some(Expectation { place: node.place, what })
}

fn act(node: &Node, site: &Policy, sink: &mut Sink) -> Option<ExpectedAct> {
    let keys: Vec<&str> = EXPECT.iter().copied().filter(|key| !["never", "served", "at_most"].contains(key)).collect();
    let mut f = Fields::of(node, &keys, "`act`", sink)?;
    let act = f.need("act", |n, s| undertaking(n, site, s));
    let nth = f.optional("nth", number);
    let ends: Vec<(&str, &'static str)> = ENDS.iter().map(|end| (*end, *end)).collect();
    let is = f.optional("is", |n, s| choice(n, &ends, s));
    let hosts: Vec<(&str, HostName)> = site.hosts.keys().map(|host| (host.as_str(), host.clone())).collect();
    let repaired = f.optional("repaired", |n, s| known(n, "host", &hosts, s));
    let (because, lacked) = (f.optional("because", part), f.optional("lacked", part));
    let within = f.optional("within", duration);
    let (nth, repaired, lacked) = (nth?, repaired?.map(|at| at.value), lacked?);
    if let Some(at) = nth.as_ref().filter(|at| at.value == 0) {
        f.sink.add(at.place, "`nth` counts from 1");
    }
    if let (Some(at), None) = (&lacked, &repaired) {
        f.sink.add(at.place, "`lacked` goes with `repaired: HOST`");
    }
    Some(ExpectedAct {
        act: act?.value,
        nth: nth.map_or(1, |at| usize::try_from(at.value).unwrap_or(usize::MAX)),
        is: is?.map(|at| at.value),
        because: because?.map(|at| at.value),
        within: within?.map(|at| at.value),
        repaired,
        lacked: lacked.map(|at| at.value),
    })
}

/// Part of a text; every text has the empty one.
fn part(node: &Node, sink: &mut Sink) -> Option<String> {
    let part = text(node, sink)?;
    if part.trim().is_empty() {
        sink.add(node.place, "every text has an empty one in it: nothing is expected so");
        return None;
    }
    Some(part)
}

/// `promote group1`, `rollback`, `repair HOST`: what it begins with is known, and what that names is there.
fn undertaking(node: &Node, site: &Policy, sink: &mut Sink) -> Option<String> {
    let act = text(node, sink)?;
    let words: Vec<&str> = act.split_whitespace().collect();
    let (verb, name) = (words.first().copied().unwrap_or_default(), words.get(1).copied());
    let names: Vec<&str> = match verb {
        "promote" | "rollback" => site.groups.iter().map(|group| group.name.as_str()).collect(),
        "repair" => site.hosts.keys().map(HostName::as_str).collect(),
        _ => {
            let hint = did_you_mean(verb, ACTS.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("one of {}", ACTS.join(", ")));
            sink.hint(node.place, format!("`{act}` is nothing that is undertaken"), Some(hint));
            return None;
        }
    };
    if let Some(name) = name.filter(|name| !names.contains(name)) {
        let hint = did_you_mean(name, names.iter().copied());
        sink.hint(node.place, format!("the incident has no `{name}` to {verb}"), hint);
        return None;
    }
    Some(words.join(" "))
}
