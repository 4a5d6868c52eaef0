//! Hosts by the names that monitoring has for them.
//!
//! Invariant: a name that two hosts could have is nobody's.

use crate::gate::scope::Scope;
use crate::model::names::HostName;
use std::collections::BTreeMap;

/// The scope's hosts by the names that sources have for them.
pub struct Hosts(BTreeMap<String, Option<HostName>>);

impl Hosts {
    /// By whole name, and by the first label of it where only one host has that.
    pub fn of(scope: &Scope) -> Self {
        let mut names = BTreeMap::new();
        for host in scope.hosts() {
            let short = host.as_str().split('.').next().unwrap_or_default().to_owned();
            names.entry(short).and_modify(|known| *known = None).or_insert(Some(host));
        }
        names.extend(scope.hosts().into_iter().map(|host| (host.to_string(), Some(host))));
        Self(names)
    }

    /// The host of this name, with or without a port; `None`: not in the scope, or more than one.
    pub fn find(&self, name: &str) -> Option<HostName> {
        let bare = name.rsplit_once(':').map_or(name, |(host, _)| host);
        self.0.get(name).or_else(|| self.0.get(bare)).cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testworld::scope;
    use super::*;

    #[test]
    fn hosts_are_found_with_a_port_and_by_a_short_name_that_is_unique() {
        let scope = scope(&["mw1.codfw.wmnet", "mw1.eqiad.wmnet"], &["mw2.codfw.wmnet"], 0);
        let hosts = Hosts::of(&scope);
        let found = |name| hosts.find(name).map(|host| host.to_string());
        assert_eq!(found("mw1.eqiad.wmnet:9100").as_deref(), Some("mw1.eqiad.wmnet"));
        assert_eq!(found("mw2").as_deref(), Some("mw2.codfw.wmnet"));
        assert_eq!((found("mw1"), found("db1"), found("")), (None, None, None), "two hosts, or none");
    }
}
