//! What a gate is asked about: which hosts were switched, which were not, since when, and which wiki is of which group.

use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// Who is judged, against whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Hosts that were switched: the candidate.
    pub rolled: BTreeSet<HostName>,
    /// Hosts that were not: the control. Empty when all were switched.
    pub control: BTreeSet<HostName>,
    /// Hosts that serve no wikis, a log host or a database; a gate asks those of them that it names.
    pub others: BTreeSet<HostName>,
    /// The group that is promoted; `None` for a canary check.
    pub group: Option<Group>,
    /// The version that it goes to.
    pub version: Option<Version>,
    /// Each wiki's group and the version that it is wanted at on rolled hosts.
    pub wikis: BTreeMap<Wiki, (Group, Version)>,
    /// When the first host was switched; events before are the control's when no host is left for it.
    pub since: Time,
}

impl Scope {
    /// Every host in it.
    pub fn hosts(&self) -> BTreeSet<HostName> {
        [&self.rolled, &self.control, &self.others].into_iter().flatten().cloned().collect()
    }

    /// The same for these hosts only; `None`: for those that serve wikis.
    pub fn only(&self, hosts: Option<&BTreeSet<HostName>>) -> Self {
        let Some(hosts) = hosts else { return Self { others: BTreeSet::new(), ..self.clone() } };
        let within = |all: &BTreeSet<HostName>| all.intersection(hosts).cloned().collect();
        let (rolled, control, others) = (within(&self.rolled), within(&self.control), within(&self.others));
        Self { rolled, control, others, ..self.clone() }
    }
}
