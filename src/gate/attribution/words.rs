//! An attribution in plain words: where the events come from, what is left without the worst hosts, one wiki or all, one
//! group or all.

use super::{ALPHA, Attribution, Blame, SURE, sum};
use crate::gate::scope::Scope;
use crate::model::limits::NAMES_SHOWN_MAX;
use crate::model::names::{HostName, Wiki};
use crate::model::verdict::{Count, HostCounts};
use crate::model::words::count;
use std::collections::BTreeMap;
use std::fmt::Display;

/// One wiki or one group is named when it has this share of all events.
const NEARLY_ALL: f64 = 0.95;

/// The whole sentence.
pub(super) fn sentence(
    found: &Attribution,
    rolled: &HostCounts,
    control: &HostCounts,
    wikis: &BTreeMap<Wiki, Count>,
    scope: &Scope,
) -> String {
    let unit = Unit::of(rolled, control);
    let others = sum(control.values()).events;
    let mut said = match found.blame {
        Blame::Clean => return format!("Nothing is wrong on {}.", count(found.hosts, "switched host")),
        Blame::Host => suspects(found, rolled, &unit),
        _ if found.hosts == 1 => alone(found, rolled, &unit),
        Blame::Ambient => ambient(found, others, control.len(), &unit),
        Blame::Release => release(found, &unit),
        Blame::Mixed => mixed(found, &unit),
        Blame::NoControl => format!(
            "{}, and every host was switched: nothing is left to compare with but before the switch.",
            broad(found, &unit)
        ),
    };
    if let Some(place) = place(wikis, scope) {
        said = format!("{said} {place}");
    }
    said
}

/// What is counted: events among traffic, or hosts that fail a check.
struct Unit {
    checks: bool,
    /// Whether exposure is known, so that a share of traffic can be said.
    traffic: bool,
}

impl Unit {
    fn of(rolled: &HostCounts, control: &HostCounts) -> Self {
        let all = || rolled.values().chain(control.values());
        let checks = all().all(|count| count.exposure == SURE && (count.events == 0 || count.events == SURE));
        Self { checks, traffic: !checks && all().any(|count| count.exposure > SURE) }
    }

    fn events(&self, n: u64) -> String {
        match self.checks {
            true => format!("{} failing", count((n / SURE) as usize, "host")),
            false => count(n as usize, "event"),
        }
    }
}

/// `340 of 340 events come from mw2020 (1 of 100 hosts, 1 % of traffic); without it nothing is left.`
fn suspects(found: &Attribution, rolled: &HostCounts, unit: &Unit) -> String {
    let names = listed(&found.suspects);
    let (it, of) = if found.suspects.len() == 1 { ("it", "fails") } else { ("them", "fail") };
    let left = match (found.left, found.p_left) {
        (0, _) => format!("without {it} nothing is left"),
        (left, Some(p)) => {
            format!("without {it} {} left, no more than on the others (p {})", are(left, unit), short(p))
        }
        (left, None) => format!("without {it} {} left", are(left, unit)),
    };
    if unit.checks {
        return format!("{names} {of} ({} of {}); {left}.", found.suspects.len(), count(found.hosts, "switched host"));
    }
    let here = found.events - found.left;
    let events = count(found.events as usize, "event");
    let come = if here == 1 { "comes" } else { "come" };
    let share = traffic(&found.suspects, rolled, unit);
    format!(
        "{here} of {events} {come} from {names} ({} of {}{share}); {left}.",
        found.suspects.len(),
        count(found.hosts, "host")
    )
}

fn are(n: u64, unit: &Unit) -> String {
    let one = n == 1 || unit.checks && n == SURE;
    format!("{} {}", unit.events(n), if one { "is" } else { "are" })
}

fn traffic(hosts: &[HostName], rolled: &HostCounts, unit: &Unit) -> String {
    let all = sum(rolled.values()).exposure;
    let ours = sum(hosts.iter().filter_map(|host| rolled.get(host))).exposure;
    match unit.traffic && all > 0 {
        true => format!(", {} of traffic", percent(ours as f64 / all as f64)),
        false => String::new(),
    }
}

/// One host alone was switched.
fn alone(found: &Attribution, rolled: &HostCounts, unit: &Unit) -> String {
    let names = listed(&rolled.keys().cloned().collect::<Vec<_>>());
    let compared = match found.p_all {
        Some(p) if p >= ALPHA => format!(", no more than chance and the others explain (p {})", short(p)),
        Some(p) => format!(", more than on the others (p {})", short(p)),
        None => String::new(),
    };
    let what = match unit.checks {
        true => format!("{names} fails"),
        false => format!("{} on {names}", count(found.events as usize, "event")),
    };
    format!("{what}{compared}; it is the only switched host, so that host and release can't be told apart.")
}

fn ambient(found: &Attribution, others: u64, control: usize, unit: &Unit) -> String {
    let p = short(found.p_all.unwrap_or(1.0));
    format!(
        "{} among {} and {} among {} that {} not: chance explains the difference (p {p}), so it is not shown to be the release.",
        unit.events(found.events),
        count(found.hosts, "switched host"),
        unit.events(others),
        count(control, "host"),
        if control == 1 { "was" } else { "were" },
    )
}

/// `399 events on 96 of 100 switched hosts`.
fn broad(found: &Attribution, unit: &Unit) -> String {
    let hit = (found.breadth * found.hosts as f64).round() as usize;
    match unit.checks {
        true => format!("{hit} of {} {}", count(found.hosts, "switched host"), if hit == 1 { "fails" } else { "fail" }),
        false => {
            format!("{} on {hit} of {}", count(found.events as usize, "event"), count(found.hosts, "switched host"))
        }
    }
}

fn release(found: &Attribution, unit: &Unit) -> String {
    let p = short(found.p_left.unwrap_or(0.0));
    let worst = match found.dropped.len() {
        1 => "the worst host".to_owned(),
        n => format!("the {n} worst hosts"),
    };
    format!("{}; without {worst} it is still more than on the others (p {p}): it is the release.", broad(found, unit))
}

fn mixed(found: &Attribution, unit: &Unit) -> String {
    let chance = (found.breadth_expected * found.hosts as f64).round() as usize;
    format!(
        "{}, where chance would reach {chance}: more than on the others (p {}), but neither single hosts nor the release explain it alone.",
        broad(found, unit),
        short(found.p_all.unwrap_or(1.0)),
    )
}

/// One wiki or all, one group or all; `None` where events are not known by wiki.
fn place(wikis: &BTreeMap<Wiki, Count>, scope: &Scope) -> Option<String> {
    let all = sum(wikis.values());
    let (top, most) = wikis.iter().max_by_key(|(_, count)| count.events)?;
    if all.events == 0 {
        return None;
    }
    let known = wikis.keys().filter(|wiki| !scope.wikis.contains_key(*wiki)).count() + scope.wikis.len();
    let mut groups: BTreeMap<String, Vec<Count>> = BTreeMap::new();
    for (wiki, count) in wikis {
        let group = scope.wikis.get(wiki).map_or_else(|| "no group".to_owned(), |(group, _)| group.to_string());
        groups.entry(group).or_default().push(*count);
    }
    let share = |count: Count| match all.exposure > 0 {
        true => format!(", {} of traffic", percent(count.exposure as f64 / all.exposure as f64)),
        false => String::new(),
    };
    let hit = wikis.values().filter(|count| count.events > 0).count();
    let nearly = |count: Count| count.events as f64 >= NEARLY_ALL * all.events as f64;
    if nearly(*most) {
        let group = scope.wikis.get(top).map_or_else(String::new, |(group, _)| format!(" of {group}"));
        return Some(format!(
            "{} of {} on one wiki: {top}{group} (1 of {}{}).",
            most.events,
            all.events,
            count(known, "wiki"),
            share(*most)
        ));
    }
    let sums: Vec<(&String, Count)> = groups.iter().map(|(group, counts)| (group, sum(counts.iter()))).collect();
    let wide = format!("{hit} of {}", count(known, "wiki"));
    match sums.iter().find(|(_, count)| nearly(*count)) {
        Some((group, count)) if sums.len() > 1 => {
            Some(format!("On {wide}; {} of {} in one group: {group}{}.", count.events, all.events, share(*count)))
        }
        Some((group, _)) => Some(format!("On {wide}, all in {group}.")),
        None => {
            let with = sums.iter().filter(|(_, count)| count.events > 0).count();
            Some(format!("On {wide}, in {with} of {}.", count(sums.len(), "group")))
        }
    }
}

/// The sentence with what else speaks against each suspect, and what to do. A host without any is said to have none.
pub fn with_witness(sentence: &str, witnesses: &BTreeMap<HostName, Vec<String>>) -> String {
    let mut said = sentence.to_owned();
    for (host, seen) in witnesses {
        let more = match seen.as_slice() {
            [] => format!(
                " Nothing else speaks against {host}: look at it before it is repaired or depooled, and do not revert yet."
            ),
            [..] => format!(" {host} {}: repair it, do not revert.", joined(seen)),
        };
        said.push_str(&more);
    }
    said
}

/// `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn listed<T: Display>(all: &[T]) -> String {
    let shown: Vec<String> = all.iter().take(NAMES_SHOWN_MAX).map(T::to_string).collect();
    match all.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => joined(&shown),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 %`, `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p >= 0.95 || p == 0.0 => format!("{p:.0} %"),
        p if p >= 0.05 => format!("{p:.1} %"),
        _ => "less than 0.1 %".to_owned(),
    }
}

/// A probability with two digits.
pub(super) fn short(p: f64) -> String {
    match p {
        p if p >= 0.001 => format!("{p:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        p if p > 0.0 => format!("{p:.1e}"),
        _ => "below 1e-300".to_owned(),
    }
}
