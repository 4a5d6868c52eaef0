//! Which wikis there are and in which groups they stand.
//!
//! Invariant: what comes out covers every wiki exactly once. Nothing is concluded from lists that had mistakes.

use super::dblist::{Asked, Lists};
use super::diagnostic::{Place, Sink, did_you_mean, names};
use super::policy::GroupPolicy;
use super::raw::{At, File, GroupEntry, Wikis};
use super::resolve::{is_plain, parsed, relative};
use crate::model::names::{Group, Wiki};
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every wiki; `None` after a mistake.
pub fn all(raw: &File, lists: &mut Lists<'_>, sink: &mut Sink) -> Option<BTreeSet<Wiki>> {
    let wikis = raw.wikis.as_ref().filter(|_| !raw.broken.contains("wikis"))?;
    let found = match &wikis.value {
        Wikis::Names(names) => inline(names, sink),
        Wikis::Dblist(entry) => dblist(&entry.dblist, lists, sink),
    }?;
    if found.is_empty() {
        sink.add(wikis.place, "there is no wiki in it");
        return None;
    }
    Some(found)
}

/// The groups in order; of no use after a mistake, which was noted.
pub fn groups(
    raw: &File,
    all: Option<&BTreeSet<Wiki>>,
    lists: &mut Lists<'_>,
    sink: &mut Sink,
) -> Option<Vec<GroupPolicy>> {
    let entries = raw.groups.as_ref()?;
    let before = sink.count();
    let directory = expression_directory(raw, sink.file());
    let mut found: Vec<(Place, GroupPolicy)> = Vec::new();
    for entry in &entries.value {
        if let Some(group) = group(entry, directory.as_deref(), lists, sink) {
            if found.iter().any(|(_, other)| other.name == group.name) {
                sink.add(entry.name.place, format!("the group `{}` is named twice", group.name));
            }
            found.push((entry.name.place, group));
        }
    }
    if entries.value.is_empty() && !raw.broken.contains("groups") {
        sink.add(entries.place, "there is no group");
    }
    let sound = sink.count() == before && !raw.broken.contains("groups");
    sound.then(|| cover(entries.place, &found, all, sink));
    Some(found.into_iter().map(|(_, group)| group).collect())
}

/// The lists that a group's expression names stand beside the list of all wikis, else in `dblists`.
///
/// `None` when that is no place to look in, which was noted.
fn expression_directory(raw: &File, file: &Path) -> Option<PathBuf> {
    let beside = file.parent().unwrap_or(Path::new(""));
    match raw.wikis.as_ref().map(|wikis| &wikis.value) {
        Some(Wikis::Dblist(entry)) if is_plain(&entry.dblist.value) => {
            Some(beside.join(Path::new(&entry.dblist.value).parent()?))
        }
        Some(Wikis::Dblist(_)) => None,
        _ => Some(beside.join("dblists")),
    }
}

fn group(entry: &GroupEntry, directory: Option<&Path>, lists: &mut Lists<'_>, sink: &mut Sink) -> Option<GroupPolicy> {
    let name: Option<Group> = parsed(&entry.name, "a group", sink);
    let wikis = match (&entry.wikis, &entry.dblist, &entry.expression) {
        (Some(names), None, None) => inline(&names.value, sink),
        (None, Some(path), None) => dblist(path, lists, sink),
        (None, None, Some(text)) => {
            let file = sink.file().to_owned();
            lists.expression(&text.value, directory?, Asked { file: &file, place: text.place }, sink)
        }
        _ => {
            let message = "a group's wikis are named by exactly one of `wikis`, `dblist` and `expression`";
            sink.add(entry.name.place, message);
            None
        }
    }?;
    if wikis.is_empty() {
        sink.add(entry.name.place, format!("the group `{}` has no wiki", entry.name.value));
        return None;
    }
    Some(GroupPolicy { name: name?, wikis })
}

fn inline(texts: &[At<String>], sink: &mut Sink) -> Option<BTreeSet<Wiki>> {
    let before = sink.count();
    let mut wikis = BTreeSet::new();
    for text in texts {
        let wiki: Option<Wiki> = parsed(text, "a wiki", sink);
        if wiki.is_some_and(|wiki| !wikis.insert(wiki)) {
            sink.add(text.place, format!("`{}` stands twice in this list", text.value));
        }
    }
    (sink.count() == before).then_some(wikis)
}

fn dblist(path: &At<String>, lists: &mut Lists<'_>, sink: &mut Sink) -> Option<BTreeSet<Wiki>> {
    let relative = relative(path, sink)?;
    let file = sink.file().to_owned();
    let at = file.parent().unwrap_or(Path::new("")).join(relative);
    lists.file(&at, Asked { file: &file, place: path.place }, sink)
}

/// Notes wikis that stand in two groups, in none, or in a group only.
fn cover(place: Place, groups: &[(Place, GroupPolicy)], all: Option<&BTreeSet<Wiki>>, sink: &mut Sink) {
    let mut owner: BTreeMap<&Wiki, &Group> = BTreeMap::new();
    for (place, group) in groups {
        let mut twice: BTreeMap<&Group, Vec<&Wiki>> = BTreeMap::new();
        for wiki in &group.wikis {
            match owner.get(wiki) {
                Some(other) => twice.entry(other).or_default().push(wiki),
                None => drop(owner.insert(wiki, &group.name)),
            }
        }
        for (other, wikis) in twice {
            let counted = count(wikis.len(), "wiki");
            let verb = if wikis.len() == 1 { "stands" } else { "stand" };
            let message = format!("{counted} of `{}` {verb} in `{other}` too: {}", group.name, names(&wikis));
            sink.hint(*place, message, Some("every wiki is in exactly one group".to_owned()));
        }
        if let Some(all) = all {
            unknown(*place, group, all, sink);
        }
    }
    let missing: Vec<&Wiki> = all.into_iter().flatten().filter(|wiki| !owner.contains_key(wiki)).collect();
    if !missing.is_empty() {
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let message = format!("{} {verb} in no group: {}", count(missing.len(), "wiki"), names(&missing));
        sink.hint(place, message, Some("every wiki is in exactly one group".to_owned()));
    }
}

fn unknown(place: Place, group: &GroupPolicy, all: &BTreeSet<Wiki>, sink: &mut Sink) {
    let unknown: Vec<&Wiki> = group.wikis.difference(all).collect();
    if let Some(first) = unknown.first() {
        let verb = if unknown.len() == 1 { "is" } else { "are" };
        let counted = count(unknown.len(), "wiki");
        let message = format!("{counted} of `{}` {verb} not in `wikis`: {}", group.name, names(&unknown));
        let near = || did_you_mean(first.as_str(), all.iter().map(Wiki::as_str));
        let hint = if sink.is_full() { None } else { near() };
        sink.hint(place, message, hint);
    }
}
