//! Phrases that every report uses: moments, sizes, names in a row, lines of effect.

use crate::model::limits::NAMES_SHOWN_MAX;
use crate::model::protocol::Collected;
use crate::model::time::Time;
use crate::model::words::count;
use crate::plan::goal::Change;
use std::fmt::Display;

/// A moment as people write it: `2016-01-22 01:48 UTC`.
pub fn moment(time: Time) -> String {
    time.moment()
}

/// How long something has lasted: `since 2016-01-22 01:48 UTC, 23 h ago`.
pub fn since(time: Time, now: Time) -> String {
    time.since(now)
}

/// A size: `512 bytes`, `1.5 KiB`, `109.0 GiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (n.max(1).ilog2() / 10) as usize;
    match unit.checked_sub(1) {
        None => count(usize::try_from(n).expect("it is below 1024"), "byte"),
        Some(unit) => format!("{:.1} {}", n as f64 / 1024_f64.powi(unit as i32 + 1), UNITS[unit]),
    }
}

/// Names in a row, at most [`NAMES_SHOWN_MAX`], the rest counted: `a, b and 12 more`.
pub fn names<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match all.len() > NAMES_SHOWN_MAX {
        true => format!("{} and {} more", all[..NAMES_SHOWN_MAX].join(", "), all.len() - NAMES_SHOWN_MAX),
        false => all.join(", "),
    }
}

/// What a host no longer has; `None`: nothing went.
pub fn removed(removed: &Collected) -> Option<String> {
    let mut parts = Vec::new();
    if !removed.versions.is_empty() {
        parts.push(format!("{} ({})", names(&removed.versions), bytes(removed.bytes)));
    }
    if removed.agents > 0 {
        parts.push(count(usize::try_from(removed.agents).unwrap_or(usize::MAX), "earlier agent"));
    }
    (!parts.is_empty()).then(|| format!("removed {}", parts.join(", ")))
}

/// One line of effect: `group1: 594 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11`.
pub fn change(change: &Change) -> String {
    let from = change.from.as_ref().map_or("none".to_owned(), ToString::to_string);
    format!("{}: {} {from} -> {}", change.group, count(change.wikis, "wiki"), change.to)
}

/// The lines of effect in one: joined by `; `, or `no wiki moves`.
pub fn effect(changes: &[Change]) -> String {
    match changes.is_empty() {
        true => "no wiki moves".to_owned(),
        false => changes.iter().map(change).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_their_distance() {
        let (then, now) = (Time(1_453_427_280_000), Time(1_453_511_760_000));
        assert_eq!(since(then, now), "since 2016-01-22 01:48 UTC, 23 h ago");
        assert_eq!(moment(Time(u64::MAX)), format!("{} ms", u64::MAX), "a moment out of any calendar");
    }

    #[test]
    fn sizes_have_one_unit() {
        let shown = [0, 1, 1023, 1024, 1536, 117_037_000_000, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "1.5 KiB", "109.0 GiB", "16.0 EiB"]);
    }

    #[test]
    fn many_names_are_counted() {
        assert_eq!(names(["a", "b"]), "a, b");
        assert_eq!(names(1..=8), "1, 2, 3, 4, 5, 6, 7, 8");
        assert_eq!(names(1..=20), "1, 2, 3, 4, 5, 6, 7, 8 and 12 more");
    }

    #[test]
    fn effects_say_how_many_wikis() {
        let moved = |group: &str, from: Option<&str>, wikis| Change {
            group: group.parse().expect("a group"),
            from: from.map(|from| from.parse().expect("a version")),
            to: "1.27.0-wmf.11".parse().expect("a version"),
            wikis,
        };
        let changes = [moved("group1", Some("1.27.0-wmf.10"), 594), moved("group2", None, 1)];
        let expected = "group1: 594 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11; group2: 1 wiki none -> 1.27.0-wmf.11";
        assert_eq!(effect(&changes), expected);
        assert_eq!(effect(&[]), "no wiki moves");
    }
}
