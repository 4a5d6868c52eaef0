//! Why a host is not trusted, in words, and what to type.

use super::escape::Untrusted;
use super::words::since;
use crate::model::component::Component;
use crate::model::fault::Fault;
use crate::model::names::HostName;
use crate::model::protocol::{ArtefactCount, Level, Readiness, Refusal};
use crate::model::stale::{Stale, StaleReason};
use crate::model::time::Time;
use std::collections::BTreeMap;
use std::fmt::Display;

/// One line for a reason that was found just now: the host, what is wrong and what to type.
pub fn now_line(host: &HostName, reason: &StaleReason) -> String {
    format!("{host}: {}; type: {}", self::reason(reason), remedy(host, reason))
}

/// The same for a host that is left behind, with how it is left.
pub fn left_line(host: &HostName, reason: &StaleReason, left: &str) -> String {
    format!("{host}: {}, {left}; type: {}", self::reason(reason), remedy(host, reason))
}

/// One line: the host, what is wrong, since when, what to type.
pub fn line(host: &HostName, stale: &Stale, now: Time) -> String {
    let (why, when) = (reason(&stale.reason), since(stale.since, now));
    format!("{host}: {why}, {when}; type: {}", remedy(host, &stale.reason))
}

/// What is wrong: a fragment that fits "HOST: {...}".
pub fn reason(reason: &StaleReason) -> String {
    match reason {
        StaleReason::New => "never seen".to_owned(),
        StaleReason::Fault(fault) => self::fault(fault),
        StaleReason::Rebuilt { was, now } if was == now => "restored from an older image of itself".to_owned(),
        StaleReason::Rebuilt { was, now } => format!("rebuilt: installation {was:?} became {now:?}"),
        StaleReason::Cloned { twin } => format!("has the same installation as {twin}: one is a clone of the other"),
        StaleReason::AbsurdFence { epoch } => format!("its fence claims epoch {epoch}, which nobody ever took"),
        StaleReason::BooksBehind { fence } => {
            format!("obeyed command {fence}, which these books never sent: they are an old copy")
        }
        StaleReason::NotReady(lacking) => {
            let each = lacking.iter().map(|(component, readiness)| self::readiness(component, readiness));
            each.collect::<Vec<_>>().join("; ")
        }
        StaleReason::MapDiffers { have, want } => {
            let have = have.map_or("no version map".to_owned(), |have| format!("version map {}", have.short()));
            format!("serves {have}, wanted is {}", want.short())
        }
        StaleReason::Refused(refusal) => format!("refused: {}", self::refusal(refusal)),
        StaleReason::Unanswered(fault) => {
            format!("its switch was not answered ({}), so it counts as switched", self::fault(fault))
        }
        StaleReason::Unknown => "its switch was not answered, so it counts as switched".to_owned(),
        StaleReason::RestartFailed(why) => {
            format!("switched, but the restart hook failed ({}), so it may serve old code", Untrusted(why))
        }
        StaleReason::Suspect(why) => format!("at fault, and not the release: {}", Untrusted(why)),
        StaleReason::Missed(what) => format!("missed {}", Untrusted(what)),
    }
}

/// Why it could not be reached or did not answer as an agent, in words.
pub fn fault(fault: &Fault) -> String {
    Untrusted(&fault.to_string()).to_string()
}

/// Why it did not obey, in words.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotReady(which) => readiness(&which.component, &which.readiness),
        other => Untrusted(&other.to_string()).to_string(),
    }
}

/// How many hosts are ready, and by what level that is proven: `3 of 3 hosts ready (L2)`, `3 of 4 hosts ready (2 L2, 1
/// L3)`.
pub fn ready_of(ready: usize, all: usize, levels: &BTreeMap<HostName, Level>) -> String {
    let mut counts: BTreeMap<Level, usize> = BTreeMap::new();
    levels.values().for_each(|level| *counts.entry(*level).or_default() += 1);
    let named: Vec<String> = match counts.len() {
        1 => counts.keys().map(Level::to_string).collect(),
        _ => counts.iter().map(|(level, hosts)| format!("{hosts} {level}")).collect(),
    };
    let levels = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
    format!("{ready} of {} ready{levels}", crate::model::words::count(all, "host"))
}

/// How a component stands on a host: `php-1.27.0-wmf.10 lacks built artefacts: cache/l10n has 0 of 449 files`.
pub fn readiness(component: &Component, readiness: &Readiness) -> String {
    match readiness {
        Readiness::Ready { files, bytes, level, .. } => {
            format!("{component} is ready ({level}): {}, {}", files_of(*files), super::words::bytes(*bytes))
        }
        Readiness::Absent => format!("{component} is missing"),
        Readiness::Unproven { artefacts } => match artefacts.iter().find(|count| count.have < count.want) {
            Some(count) => format!("{component} was never proven, and {}", artefact(count)),
            None => format!("{component} was never proven"),
        },
        Readiness::Differs { have } => format!("{component} has other content than wanted: {}", have.short()),
        Readiness::Damaged { missing, changed, extra, first } => {
            let first = Untrusted(first);
            format!(
                "{component} was changed since it was proven: {}, {first} for one",
                damage(*missing, *changed, *extra)
            )
        }
        Readiness::ArtefactsMissing(count) => format!("{component} lacks built artefacts: {}", artefact(count)),
        Readiness::ArtefactsStale { path } => {
            format!("{component} has artefacts of other input than wanted: {}", Untrusted(path))
        }
    }
}

fn artefact(count: &ArtefactCount) -> String {
    format!("{} has {} of {}", Untrusted(&count.path), count.have, files_of(count.want))
}

fn files_of(n: u64) -> String {
    match n {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    }
}

fn damage(missing: u64, changed: u64, extra: u64) -> String {
    let kinds = [(missing, "gone"), (changed, "changed"), (extra, "that nobody sent")];
    let named = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{} {kind}", files_of(*n)));
    named.collect::<Vec<_>>().join(", ")
}

/// What to type, and what to do before where a command is not enough. `host` is a name or a range of names.
pub fn remedy(host: impl Display, reason: &StaleReason) -> String {
    let sync = format!("pointsman sync-common {host}");
    match reason {
        StaleReason::New | StaleReason::Rebuilt { .. } | StaleReason::NotReady(_) | StaleReason::Missed(_) => sync,
        StaleReason::Fault(fault) => fault_remedy(&host, fault),
        StaleReason::Refused(refusal) => refusal_remedy(&host, refusal),
        StaleReason::Cloned { .. } | StaleReason::AbsurdFence { .. } => {
            format!("{sync} (after its agent's state directory was removed by hand)")
        }
        StaleReason::BooksBehind { .. } => "pointsman books rebuild (or put the newest books back)".to_owned(),
        StaleReason::MapDiffers { .. }
        | StaleReason::Unanswered(_)
        | StaleReason::Unknown
        | StaleReason::RestartFailed(_) => "pointsman converge".to_owned(),
        StaleReason::Suspect(_) => format!("pointsman converge {host}"),
    }
}

fn fault_remedy(host: &impl Display, fault: &Fault) -> String {
    let sync = format!("pointsman sync-common {host}");
    match fault {
        Fault::Refused | Fault::TimedOut(_) | Fault::NoRoute | Fault::Dns => {
            format!("pointsman depool {host} (or {sync} when it is back)")
        }
        Fault::HostKeyChanged | Fault::HostKeyUnknown => format!("pointsman hosts trust {host}"),
        Fault::PasswordPrompt | Fault::PermissionDenied => format!("{sync} (after our key was put there)"),
        Fault::ClosedEarly | Fault::Other(_) => format!("pointsman check --hosts {host}"),
        Fault::DiskFull(_) => format!("{sync} (after space was made there)"),
        Fault::ReadOnly => format!("{sync} (after it was mounted writable)"),
        Fault::AgentKeptOut(_) => format!("{sync} (after this program's agent was put there under that name)"),
        Fault::NoAgent | Fault::Protocol(_) => format!("pointsman agent install {host}"),
        Fault::WrongArchitecture { .. } => format!("pointsman depool {host} (it needs a pointsman of its own kind)"),
    }
}

fn refusal_remedy(host: &impl Display, refusal: &Refusal) -> String {
    let sync = format!("pointsman sync-common {host}");
    match refusal {
        Refusal::Foreign(_) => format!("pointsman hosts adopt {host}"),
        Refusal::Fenced(_) | Refusal::Conflict(_) => "pointsman converge".to_owned(),
        Refusal::Reborn(_) | Refusal::NotReady(_) | Refusal::BuildFailed(_) => sync,
        Refusal::DiskFull(_) => format!("{sync} (after space was made there)"),
        Refusal::ReadOnly => format!("{sync} (after it was mounted writable)"),
        Refusal::Unsigned(_) => format!("{sync} (after that was put right; see pointsman sign --help)"),
        Refusal::Failed(_) => format!("pointsman check --hosts {host}"),
    }
}

#[cfg(test)]
mod tests;
