//! What people and time decide.

use super::{Known, counts};
use crate::config::fields::{Fields, argv, duration, number};
use crate::gate::spec::Kind;
use crate::gate::spec::counts::CountSource;
use crate::gate::spec::people::{Blockers, Soak};

/// Keys of blockers.
pub const BLOCKERS_KEYS: &[&str] = &["argv", "deadline"];
/// Keys of soak.
pub const SOAK_KEYS: &[&str] = &["time", "min_requests", "requests"];

/// No open blocker, neither on the books nor in a tracker.
pub fn blockers(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let (argv, deadline) = (f.optional("argv", argv), f.optional("deadline", duration));
    let argv = match argv? {
        Some(argv) => super::program(&argv, known, f.sink)?,
        None => Vec::new(),
    };
    Some(Kind::Blockers(Blockers { argv, deadline_ms: deadline?.map_or(10_000, |at| at.value) }))
}

/// A person says yes.
pub fn approval(_: &mut Fields<'_>, _: &Known<'_>) -> Option<Kind> {
    Some(Kind::Approval)
}

/// Time and exposure.
pub fn soak(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let (time, least) = (f.need("time", duration), f.optional("min_requests", number));
    let least = least?;
    let source = f.get("requests").and_then(|node| counts::source(node, known, f.sink));
    let place = f.node.place;
    if let Some(CountSource::Logs(_)) = source {
        let hint = "count them by prometheus, graphite, a program or search".to_owned();
        f.sink.hint(place, "log files are read from now on, and a soak is about the past", Some(hint));
        return None;
    }
    let min_requests = match (least, source) {
        (Some(least), Some(source)) => Some((least.value, source)),
        (None, None) => None,
        _ => {
            let hint = "`min_requests` says how many and `requests` where they are counted".to_owned();
            f.sink.hint(place, "`min_requests` and `requests` belong together", Some(hint));
            return None;
        }
    };
    Some(Kind::Soak(Soak { time_ms: time?.value, min_requests }))
}
