//! Freezes and allowed hours, each in a time zone.

use super::spec::{Freeze, Hours};
use crate::config::diagnostic::{Place, Sink};
use crate::config::fields::{Fields, list, text};
use crate::config::yaml::Node;
use crate::model::time::Time;
use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// Days of the week from Monday, as playbooks name them.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn zone(written: &str, place: Place, sink: &mut Sink) -> Option<TimeZone> {
    let found = TimeZone::get(written).ok();
    if found.is_none() {
        sink.hint(place, format!("`{written}` is not a time zone"), Some("as in `UTC` or `Europe/Berlin`".to_owned()));
    }
    found
}

/// `{timezone: UTC, days: [mon, tue], from: "09:00", to: "17:00"}`
pub fn hours(node: &Node, sink: &mut Sink) -> Option<Hours> {
    let mut f = Fields::of(node, &["timezone", "days", "from", "to"], "`hours`", sink)?;
    let (name, days) = (f.need("timezone", text), f.need("days", |n, s| list(n, "`days`", day, s)));
    let (from, to) = (f.need("from", time), f.need("to", time));
    let sink = f.sink;
    let name = name?;
    let zone = zone(&name.value, name.place, sink)?;
    let (from, to, days) = (from?, to?, days?);
    if from.value >= to.value {
        sink.add(to.place, "`to` must be later than `from` on the same day");
        return None;
    }
    if days.value.is_empty() {
        sink.add(days.place, "on no day at all nothing could ever run");
        return None;
    }
    let days: BTreeSet<i8> = days.value.into_iter().collect();
    Some(Hours { zone, zone_name: name.value, days, from: from.value, to: to.value })
}

fn day(node: &Node, sink: &mut Sink) -> Option<i8> {
    let days: Vec<(&str, i8)> = DAYS.iter().copied().zip(1..).collect();
    crate::config::fields::choice(node, &days, sink)
}

fn time(node: &Node, sink: &mut Sink) -> Option<civil::Time> {
    let written = text(node, sink)?;
    let found = civil::Time::strptime("%H:%M", &written).ok();
    if found.is_none() {
        sink.hint(node.place, format!("`{written}` is not a time of day"), Some("as in \"09:00\"".to_owned()));
    }
    found
}

/// `{timezone: UTC, from: "2016-12-23", to: "2017-01-02", reason: holidays}`; a day as `to` is frozen to its end.
pub fn freeze(node: &Node, sink: &mut Sink) -> Option<Freeze> {
    let mut f = Fields::of(node, &["timezone", "from", "to", "reason"], "a freeze", sink)?;
    let (name, from) = (f.need("timezone", text), f.need("from", text));
    let (to, reason) = (f.need("to", text), f.need("reason", text));
    let sink = f.sink;
    let name = name?;
    let zone = zone(&name.value, name.place, sink)?;
    let (from, to) = (from?, to?);
    let first = moment(&from.value, &zone, false).ok_or_else(|| not_a_moment(&from.value, from.place, sink)).ok();
    let last = moment(&to.value, &zone, true).ok_or_else(|| not_a_moment(&to.value, to.place, sink)).ok();
    let (from, end) = (first?, last?);
    if from >= end {
        sink.add(to.place, "the freeze ends before it begins");
        return None;
    }
    Some(Freeze { from, to: end, reason: reason?.value })
}

fn not_a_moment(written: &str, place: Place, sink: &mut Sink) {
    let hint = "as in \"2016-12-23\" or \"2016-12-23T18:00\"".to_owned();
    sink.hint(place, format!("`{written}` is not a day or a moment"), Some(hint));
}

fn moment(written: &str, zone: &TimeZone, end: bool) -> Option<Time> {
    let moment: DateTime = match written.parse::<civil::Date>().ok().filter(|_| written.len() == 10) {
        Some(day) if end => day.tomorrow().ok()?.to_datetime(civil::Time::midnight()),
        Some(day) => day.to_datetime(civil::Time::midnight()),
        None => written.parse().ok()?,
    };
    let stamp = moment.to_zoned(zone.clone()).ok()?.timestamp();
    u64::try_from(stamp.as_millisecond()).ok().map(Time)
}
