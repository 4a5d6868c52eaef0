//! Hosts of groups.yaml: ranges expanded, each host once, with its roles and how to reach it.
//!
//! Invariant: a name that passes here passed the host grammar, so that ssh can never take it for an option; keys of one
//! transport are refused with the other.

use super::diagnostic::{Sink, did_you_mean, names};
use super::policy::{HostPolicy, Role, Transport};
use super::ranges;
use super::raw::{At, File, HostEntry, ROLES, TRANSPORTS};
use super::resolve::{local_path, parsed};
use crate::model::limits::RANGE_HOSTS_MAX;
use crate::model::names::{Group, HostName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Every host; `None` after a mistake, so that nothing is concluded from what is missing.
pub fn hosts(raw: &File, base: &Path, sink: &mut Sink) -> Option<BTreeMap<HostName, HostPolicy>> {
    let entries = raw.hosts.as_ref()?;
    let before = sink.count();
    let mut hosts = BTreeMap::new();
    let mut named = 0;
    for entry in &entries.value {
        named += add(entry, base, &mut hosts, sink);
        if named > RANGE_HOSTS_MAX {
            // Each entry may name as many, and there may be thousands.
            sink.add(entry.name.place, format!("there are more than {RANGE_HOSTS_MAX} hosts"));
            break;
        }
    }
    let sound = sink.count() == before && !raw.broken.contains("hosts");
    if sound && hosts.is_empty() {
        sink.add(entries.place, "there is no host");
    }
    sound.then_some(hosts)
}

/// Adds the hosts of an entry; how many it names, whether they could be added or not.
fn add(entry: &HostEntry, base: &Path, hosts: &mut BTreeMap<HostName, HostPolicy>, sink: &mut Sink) -> usize {
    let expanded = ranges::expand(&entry.name.value);
    let roles = roles(&entry.roles, sink);
    // A datacenter's name has the grammar of a group's.
    let datacenter: Option<Group> = parsed(&entry.datacenter, "a datacenter", sink);
    let names = match expanded {
        Ok(names) => names,
        Err(why) => {
            sink.add(entry.name.place, format!("`{}`: {why}", entry.name.value));
            return 0;
        }
    };
    let named = names.len();
    let transport = transport(entry, names.len(), base, sink);
    let proxy = proxy(entry, names.len(), hosts, sink);
    let twice: Vec<&HostName> = names.iter().filter(|name| hosts.contains_key(*name)).collect();
    if !twice.is_empty() {
        let message = format!("listed before: {}", self::names(&twice));
        sink.hint(entry.name.place, message, Some("list each host once, with all of its roles".to_owned()));
    }
    let (Some(roles), Some(datacenter), Some(way)) = (roles, datacenter, transport) else { return named };
    for name in names {
        let transport = way.of(&name);
        let datacenter = datacenter.to_string();
        hosts.insert(name, HostPolicy { roles: roles.clone(), datacenter, transport, proxy });
    }
    named
}

fn roles(entry: &At<Vec<At<String>>>, sink: &mut Sink) -> Option<BTreeSet<Role>> {
    let before = sink.count();
    let mut roles = BTreeSet::new();
    for text in &entry.value {
        match ROLES.iter().find(|(name, _)| *name == text.value) {
            Some((_, role)) if !roles.insert(*role) => sink.add(text.place, format!("`{}` stands twice", text.value)),
            Some(_) => {}
            None => {
                let known = ROLES.map(|(name, _)| name);
                let hint = did_you_mean(&text.value, known).unwrap_or_else(|| format!("roles: {}", known.join(", ")));
                sink.hint(text.place, format!("`{}` is not a role", text.value), Some(hint));
            }
        }
    }
    if entry.value.is_empty() {
        sink.add(entry.place, "a host has at least one role");
    }
    (sink.count() == before).then_some(roles)
}

/// Where the host of an entry serves its datacenter.
fn proxy(
    entry: &HostEntry,
    names: usize,
    hosts: &BTreeMap<HostName, HostPolicy>,
    sink: &mut Sink,
) -> Option<SocketAddr> {
    let at = entry.proxy.as_ref()?;
    let before = sink.count();
    let parsed: Option<SocketAddr> = at.value.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
    match parsed {
        None => {
            let hint = "such as 10.0.0.5:8731, an address that the other hosts reach".to_owned();
            sink.hint(at.place, format!("`{}` is not an IP address and a port", at.value), Some(hint));
        }
        Some(address) if address.ip().is_unspecified() => {
            sink.add(at.place, "hosts can't be sent to this address; write the one that they reach");
        }
        Some(address) => {
            if let Some((other, _)) = hosts.iter().find(|(_, host)| host.proxy == Some(address)) {
                sink.add(at.place, format!("{other} serves at this address already"));
            }
        }
    }
    if names > 1 {
        sink.add(at.place, format!("one `proxy` cannot stand for {names} hosts"));
    }
    let has = |wanted: fn(Role) -> bool| {
        ROLES.iter().any(|(name, role)| wanted(*role) && entry.roles.value.iter().any(|text| text.value == *name))
    };
    // What it serves is what it was brought for itself.
    if !has(|role| role == Role::Proxy) || !has(|role| matches!(role, Role::Canary | Role::Debug | Role::Appserver)) {
        let hint = "such as `roles: [appserver, proxy]`: it serves what it holds for itself".to_owned();
        sink.hint(at.place, "a proxy needs the role `proxy`, and one with which it serves wikis", Some(hint));
    }
    parsed.filter(|_| sink.count() == before)
}

/// A transport, still without the host's name in it.
enum Way {
    Ssh(Transport),
    Local(PathBuf),
}

impl Way {
    fn of(&self, name: &HostName) -> Transport {
        match self {
            Self::Ssh(transport) => transport.clone(),
            Self::Local(parent) => Transport::Local { directory: parent.join(name.as_str()) },
        }
    }
}

fn transport(entry: &HostEntry, hosts: usize, base: &Path, sink: &mut Sink) -> Option<Way> {
    match entry.transport.as_ref().map(|text| text.value.as_str()) {
        None | Some("ssh") => ssh(entry, hosts, sink),
        Some("local") => local(entry, base, sink),
        Some(other) => {
            let place = entry.transport.as_ref().map(|text| text.place).unwrap_or_default();
            let hint = did_you_mean(other, TRANSPORTS).unwrap_or_else(|| "transports: ssh, local".to_owned());
            sink.hint(place, format!("`{other}` is not a transport"), Some(hint));
            None
        }
    }
}

fn ssh(entry: &HostEntry, hosts: usize, sink: &mut Sink) -> Option<Way> {
    let before = sink.count();
    if let Some(directory) = &entry.directory {
        sink.hint(
            directory.place,
            "`directory` belongs to `transport: local`",
            Some("remove it, or write `transport: local`".to_owned()),
        );
    }
    let user = entry.user.as_ref().and_then(|user| parsed(user, "a login name", sink));
    let address = entry.address.as_ref().and_then(|address| parsed(address, "a host name or IPv4 address", sink));
    if let Some(address) = entry.address.as_ref().filter(|_| hosts > 1) {
        sink.add(address.place, format!("one `address` cannot stand for {hosts} hosts"));
    }
    let port = entry.port.as_ref().map(|port| port.value);
    (sink.count() == before).then_some(Way::Ssh(Transport::Ssh { user, address, port }))
}

fn local(entry: &HostEntry, base: &Path, sink: &mut Sink) -> Option<Way> {
    let places = [
        ("user", entry.user.as_ref().map(|at| at.place)),
        ("port", entry.port.as_ref().map(|at| at.place)),
        ("address", entry.address.as_ref().map(|at| at.place)),
    ];
    for (key, place) in places {
        if let Some(place) = place {
            sink.add(place, format!("`{key}` belongs to `transport: ssh`"));
        }
    }
    match &entry.directory {
        Some(directory) => local_path(directory, base, sink).map(Way::Local),
        None => {
            sink.add(entry.name.place, "`transport: local` needs a `directory`");
            None
        }
    }
}
