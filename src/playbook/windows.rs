//! Freezes and allowed hours.

use crate::config::playbook::spec::{Hours, Playbook};
use crate::model::time::Time;
use jiff::Timestamp;

/// Why nothing that moves may run at `now`; `None`: it may.
pub fn closed(playbook: &Playbook, now: Time) -> Option<String> {
    let frozen = playbook.freezes.iter().find(|freeze| freeze.from <= now && now < freeze.to);
    if let Some(freeze) = frozen {
        return Some(format!("frozen until {}: {}", freeze.to, freeze.reason));
    }
    playbook.hours.as_ref().filter(|hours| !open(hours, now)).map(|hours| {
        let (from, to) = (hours.from.strftime("%H:%M"), hours.to.strftime("%H:%M"));
        format!("outside of the allowed hours, {from} to {to} in {} on {}", hours.zone_name, days(hours))
    })
}

fn open(hours: &Hours, now: Time) -> bool {
    let Some(stamp) = i64::try_from(now.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()) else {
        return false;
    };
    let there = stamp.to_zoned(hours.zone.clone());
    let time = there.time();
    hours.days.contains(&there.weekday().to_monday_one_offset()) && hours.from <= time && time < hours.to
}

/// Days of the week as playbooks name them, from Monday.
pub const DAYS: [&str; 7] = crate::config::playbook::DAYS;

fn days(hours: &Hours) -> String {
    let named = DAYS.iter().zip(1..).filter(|(_, number)| hours.days.contains(number)).map(|(name, _)| *name);
    named.collect::<Vec<_>>().join(", ")
}
