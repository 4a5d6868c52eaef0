//! An incident as a file tells it: the site at its start, what people did, what befell hosts, and what could be measured.
//!
//! Invariant: a value of this type was checked: names are those of its site, events are in order of time. What is measured
//! is told with its cause ([`Cause`]), because in a replay the fleet may serve something else than it did then.

use crate::config::policy::Policy;
use crate::model::names::{GateName, Group, HostName, Version, Wiki};
use crate::model::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its name, of the grammar of names.
    pub name: String,
    /// In one line.
    pub title: String,
    /// The fleet, the groups with their wikis, the gates; its directories are not used.
    pub site: Policy,
    /// The version that it is about: for how long it was served is what is compared.
    pub version: Version,
    /// Its first moment; before the first event.
    pub from: Time,
    /// Its last; not before the last event.
    pub to: Time,
    /// What each group serves at the start; pins of the site are stepped around.
    pub map: BTreeMap<Group, Version>,
    /// Requests that each host serves in a minute.
    pub requests_per_minute: u64,
    /// In order of time.
    pub events: Vec<Event>,
    /// What could be measured.
    pub signals: Vec<Signal>,
    /// Where pointsman takes over from history, in order of time; never empty.
    pub chapters: Vec<Chapter>,
}

/// From here on pointsman acts; everything before is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// Its name.
    pub name: String,
    /// Since when.
    pub from: Time,
    /// Until when; `None`: the incident's end.
    pub to: Option<Time>,
}

/// Something that happened at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
    /// In words; may be empty.
    pub text: String,
    /// Where this is known from; `assumed`: made up for the replay.
    pub prov: String,
    /// People did it because of this signal: where that never shows, they don't.
    pub because: Option<String>,
    /// The tool did it by itself, as recordings have it: in a replay it is not asked for, but found again or not.
    pub by_itself: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// People send a group to a version.
    Promote(Group, Version),
    /// People send groups back; `None`: all.
    Rollback(Option<Group>, Version),
    /// People bring a host to what the others have.
    Repair(HostName),
    /// Pins are overwritten by a move that did not know them.
    LostPins(BTreeSet<Wiki>),
    /// Something befalls a host.
    Host(HostName, HostEvent),
    /// Anything else that is worth a line.
    Note,
}

/// What befalls a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEvent {
    /// It can't be reached from now on, with what ssh says.
    Unreachable(String),
    /// It can be reached again.
    Up,
    /// It is installed anew: the code of every version is there, what is built on the host is there for
    /// the versions that are served at that moment, but for these.
    Reinstalled {
        /// Versions of which nothing was built; empty: those that are not served.
        lacks: BTreeSet<Version>,
    },
}

/// Something that can be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Its name, once in the file.
    pub name: String,
    /// What is measured.
    pub shows: Shows,
    /// Where it shows.
    pub cause: Cause,
    /// How long after its cause began it shows, ms.
    pub after_ms: u64,
    /// Not before; `None`: from the start.
    pub from: Option<Time>,
    /// Not any more from here on; `None`: to the end.
    pub until: Option<Time>,
    /// Where this is known from.
    pub prov: String,
}

/// What a signal shows while it shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Shows {
    /// Lines of an error log on each host where its cause holds: gates of the kinds signatures and counts.
    Errors {
        /// A line as it is logged.
        text: String,
        /// So many a minute and host.
        per_minute: f64,
    },
    /// A number, for these gates of the kind threshold: `base`, and `value` where the cause holds anywhere.
    Series {
        /// The gates that measure it.
        gates: BTreeSet<GateName>,
        /// While it does not show.
        base: f64,
        /// While it does.
        value: f64,
    },
    /// These gates of the kind probe or contract fail on each host where the cause holds.
    Fails {
        /// Which.
        gates: BTreeSet<GateName>,
        /// In words.
        text: String,
    },
}

/// Where a signal shows: on hosts for which all of this holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause {
    /// They serve this version to a wiki (of the group, when one is named).
    pub version: Option<Version>,
    /// They serve this group at the version that is named, or at all.
    pub group: Option<Group>,
    /// These hosts; `None`: any.
    pub hosts: Option<BTreeSet<HostName>>,
    /// They serve a version of which what is built on the host is missing.
    pub lacks_artefacts: bool,
}
