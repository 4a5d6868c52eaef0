//! `--hosts SELECTOR`: a comma list of hosts, ranges, `role:canary`, `dc:codfw` and `all`, as a set of hosts.
//!
//! Invariant: a selection is never empty and never guessed: a part that names nothing is an error, not nothing.

use super::diagnostic::did_you_mean;
use super::policy::HostPolicy;
use super::ranges;
use super::raw::ROLES;
use crate::model::names::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// All hosts of a site.
pub type Hosts = BTreeMap<HostName, HostPolicy>;

/// Why a selector selects nothing; a fragment that fits "`SELECTOR`: {...}", with what to type instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectError {
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

/// The hosts that `selector` names, the union of its parts.
///
/// # Errors
///
/// An unknown host, role or datacenter, with the nearest known; a malformed range; an empty part.
pub fn select(hosts: &Hosts, selector: &str) -> Result<BTreeSet<HostName>, SelectError> {
    let mut selected = BTreeSet::new();
    for part in ranges::split(selector) {
        selected.extend(match part.split_once(':') {
            None if part == "all" => hosts.keys().cloned().collect(),
            None => named(hosts, part)?,
            Some(("role", role)) => by_role(hosts, role)?,
            Some(("dc", datacenter)) => by_datacenter(hosts, datacenter)?,
            Some((kind, _)) => return Err(unknown("selector", kind, ["role", "dc"])),
        });
    }
    Ok(selected)
}

fn unknown<'a>(what: &str, text: &str, known: impl IntoIterator<Item = &'a str>) -> SelectError {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let listed = || known.iter().copied().take(20).collect::<Vec<_>>().join(", ");
    let all = (known.len() <= 20 && !known.is_empty()).then(|| format!("known: {}", listed()));
    SelectError {
        message: format!("there is no {what} `{text}`"),
        hint: did_you_mean(text, known.iter().copied()).or(all),
    }
}

fn named(hosts: &Hosts, part: &str) -> Result<BTreeSet<HostName>, SelectError> {
    if part.is_empty() {
        let hint = "name hosts, ranges, `role:NAME`, `dc:NAME` or `all`, by comma".to_owned();
        return Err(SelectError { message: "a part of the selector is empty".to_owned(), hint: Some(hint) });
    }
    let why = |error| SelectError { message: format!("`{part}`: {error}"), hint: None };
    let meant = ranges::expand(part).map_err(why)?;
    match meant.iter().find(|host| !hosts.contains_key(host)) {
        Some(host) => Err(unknown("host", host.as_str(), hosts.keys().map(HostName::as_str))),
        None => Ok(meant.into_iter().collect()),
    }
}

fn by_role(hosts: &Hosts, name: &str) -> Result<BTreeSet<HostName>, SelectError> {
    let Some((_, role)) = ROLES.iter().find(|(known, _)| *known == name) else {
        return Err(unknown("role", name, ROLES.map(|(known, _)| known)));
    };
    filled(filter(hosts, |host| host.roles.contains(role)), || format!("no host has the role `{name}`"))
}

fn by_datacenter(hosts: &Hosts, name: &str) -> Result<BTreeSet<HostName>, SelectError> {
    let found = filter(hosts, |host| host.datacenter == name);
    match found.is_empty() {
        true => Err(unknown("datacenter", name, hosts.values().map(|host| host.datacenter.as_str()))),
        false => Ok(found),
    }
}

fn filter(hosts: &Hosts, keep: impl Fn(&HostPolicy) -> bool) -> BTreeSet<HostName> {
    hosts.iter().filter(|(_, host)| keep(host)).map(|(name, _)| name.clone()).collect()
}

fn filled(hosts: BTreeSet<HostName>, why: impl Fn() -> String) -> Result<BTreeSet<HostName>, SelectError> {
    match hosts.is_empty() {
        true => Err(SelectError { message: why(), hint: None }),
        false => Ok(hosts),
    }
}
