//! Pins declared in groups.yaml.
//!
//! Invariant: a pin names one wiki or one host that exists, once, and says why, who answers for it and, if it ends,
//! when. Whether it has expired is not judged here: that needs a clock.

use super::diagnostic::{Sink, did_you_mean};
use super::raw::{At, PinEntry};
use super::resolve::{line, parsed};
use crate::model::books::{Pin, PinSource, Pins};
use crate::model::names::{HostName, NameError, Version, Wiki};
use crate::model::time::Time;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// What pins may name; `None` where the section had mistakes.
pub struct Known<'a> {
    /// Every wiki.
    pub wikis: Option<BTreeSet<&'a str>>,
    /// Every host.
    pub hosts: Option<BTreeSet<&'a str>>,
}

/// The pins of the file; what is wrong is noted.
pub fn pins(entries: &[PinEntry], known: &Known<'_>, sink: &mut Sink) -> Pins {
    let mut pins = Pins::default();
    for entry in entries {
        let pin = pin(entry, sink);
        match (&entry.wiki, &entry.host) {
            (Some(wiki), None) => {
                insert::<Wiki>(&mut pins.wikis, wiki, "wiki", pin, known.wikis.as_ref(), sink);
            }
            (None, Some(host)) => {
                insert::<HostName>(&mut pins.hosts, host, "host", pin, known.hosts.as_ref(), sink);
            }
            _ => sink.add(entry.version.place, "a pin names either a `wiki` or a `host`"),
        }
    }
    pins
}

fn insert<T: FromStr<Err = NameError> + Ord>(
    pins: &mut BTreeMap<T, Pin>,
    name: &At<String>,
    what: &str,
    pin: Option<Pin>,
    known: Option<&BTreeSet<&str>>,
    sink: &mut Sink,
) {
    let Some(parsed) = parsed::<T>(name, &format!("a {what}"), sink) else { return };
    if let Some(known) = known.filter(|known| !known.contains(name.value.as_str())) {
        let near = || did_you_mean(&name.value, known.iter().copied());
        let hint = if sink.is_full() { None } else { near() };
        sink.hint(name.place, format!("there is no {what} `{}`", name.value), hint);
    }
    match (pins.entry(parsed), pin) {
        (Entry::Occupied(_), _) => {
            let hint = "keep one of the two".to_owned();
            sink.hint(name.place, format!("the {what} `{}` is pinned twice", name.value), Some(hint));
        }
        (Entry::Vacant(entry), Some(pin)) => drop(entry.insert(pin)),
        (Entry::Vacant(_), None) => {}
    }
}

fn pin(entry: &PinEntry, sink: &mut Sink) -> Option<Pin> {
    let version: Option<Version> = parsed(&entry.version, "a version", sink);
    let (reason, owner) = (line(&entry.reason, "a reason", sink), line(&entry.owner, "an owner", sink));
    let until = entry.until.as_ref().map(|until| time(until, sink));
    let until = match until {
        Some(until) => Some(until?),
        None => None,
    };
    let (version, reason, owner) = (version?, reason?, owner?);
    Some(Pin { version, reason, owner, since: Time(0), until, source: PinSource::Config })
}

/// A date is the first moment of that day in UTC.
pub fn time(text: &At<String>, sink: &mut Sink) -> Option<Time> {
    let time = Time::parse(&text.value);
    if time.is_none() {
        let hint = "write \"2016-02-01\" (from 00:00 UTC of that day) or \"2016-02-01T12:00:00Z\"".to_owned();
        sink.hint(text.place, format!("`{}` is neither a date nor an RFC 3339 time", text.value), Some(hint));
    }
    time
}
