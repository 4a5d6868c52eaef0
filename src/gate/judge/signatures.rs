//! Log lines by signature: new ones, and known ones that became more frequent.

use super::counts::{compare, of, sum};
use super::{Found, shown};
use crate::gate::scope::Scope;
use crate::gate::signature::Seen;
use crate::gate::spec::counts::CountLimits;
use crate::gate::spec::signatures::Signatures;
use crate::model::names::HostName;
use crate::model::time::Time;
use crate::model::verdict::{Against, Count, HostCounts, Verdict};
use crate::model::words::count;
use std::collections::BTreeSet;

/// What one signature amounts to.
struct Part<'a> {
    seen: &'a Seen,
    verdict: Verdict,
    why: String,
}

pub(super) fn judge(gate: &Signatures, scope: &Scope, seen: &[Seen], now: Time) -> Found {
    let parts = parts(gate, scope, seen, now);
    let acknowledged = seen.len() - seen.iter().filter(|one| !is_acknowledged(gate, one, now)).count();
    let verdict = super::gravest(parts.iter().map(|part| part.verdict)).unwrap_or(Verdict::Pass);
    let alike: Vec<&Part<'_>> = parts.iter().filter(|part| part.verdict == verdict).collect();
    let more = if alike.len() > 1 { format!("; {} more like it", alike.len() - 1) } else { String::new() };
    let mut says = match alike.first().filter(|_| verdict != Verdict::Pass) {
        Some(part) => format!("`{}` {}{more}", shown(&part.seen.signature), part.why),
        None => format!("{}, none new and none more frequent", count(parts.len(), "signature")),
    };
    if acknowledged > 0 {
        says.push_str(&format!(", {acknowledged} acknowledged"));
    }
    let limit = format!(
        "no new signature with {} on {}",
        count(gate.min_events as usize, "event"),
        count(gate.min_hosts as usize, "host")
    );
    let failed = alike.len() * usize::from(verdict != Verdict::Pass);
    let samples = alike.iter().take(failed).map(|part| shown(&part.seen.sample)).collect();
    let (value, n, against) = (Some(failed as f64), parts.len() as u64, Against::bound(0.0));
    Found { verdict, value, limit, n, says, samples, against }
}

/// Signatures because of which the gate fails.
pub(super) fn failing<'a>(gate: &Signatures, scope: &Scope, seen: &'a [Seen], now: Time) -> Vec<&'a Seen> {
    let parts = parts(gate, scope, seen, now).into_iter();
    parts.filter(|part| part.verdict == Verdict::Fail).map(|part| part.seen).collect()
}

fn is_acknowledged(gate: &Signatures, seen: &Seen, now: Time) -> bool {
    gate.acknowledged.iter().any(|known| known.signature == seen.signature && known.until > now)
}

fn parts<'a>(gate: &Signatures, scope: &Scope, seen: &'a [Seen], now: Time) -> Vec<Part<'a>> {
    let live: Vec<&Seen> = seen.iter().filter(|one| !is_acknowledged(gate, one, now)).collect();
    let (new, known): (Vec<&Seen>, Vec<&Seen>) = live.into_iter().partition(|one| is_new(one, scope));
    // Each of the known is judged by itself, so that together they alarm no more often than alpha.
    let limits = CountLimits { alpha: gate.limits.alpha / known.len().max(1) as f64, ..gate.limits };
    let new = new.into_iter().filter(|one| on(one, &scope.rolled) > 0).map(|one| fresh(gate, scope, one, now));
    new.chain(known.into_iter().map(|one| frequent(&limits, scope, one))).collect()
}

fn on(seen: &Seen, hosts: &BTreeSet<HostName>) -> u64 {
    let events = seen.hosts.iter().filter(|(host, _)| hosts.contains(*host)).map(|(_, events)| *events);
    events.fold(0, u64::saturating_add)
}

fn is_new(seen: &Seen, scope: &Scope) -> bool {
    seen.known_since.is_none() && on(seen, &scope.control) == 0
}

fn fresh<'a>(gate: &Signatures, scope: &Scope, seen: &'a Seen, now: Time) -> Part<'a> {
    let events = on(seen, &scope.rolled);
    let hosts = seen.hosts.iter().filter(|(host, events)| scope.rolled.contains(*host) && **events > 0).count();
    let enough = events >= gate.min_events && hosts as u64 >= gate.min_hosts;
    let verdict = if enough { Verdict::Fail } else { Verdict::Inconclusive };
    let expired = gate.acknowledged.iter().find(|known| known.signature == seen.signature && known.until <= now);
    let expired = expired.map_or_else(String::new, |known| {
        format!(", and {}'s acknowledgement ended {}", shown(&known.owner), known.until)
    });
    let why = format!("is new: {} on {}{expired}", count(events as usize, "event"), count(hosts, "switched host"));
    Part { seen, verdict, why }
}

/// A known one fails when it is surely more frequent; that it is rare is no reason to wait.
fn frequent<'a>(limits: &CountLimits, scope: &Scope, seen: &'a Seen) -> Part<'a> {
    let (rolled, control) = (counts(seen, &scope.rolled), counts(seen, &scope.control));
    // Without exposure each host weighs the same.
    let least = if seen.exposure.is_empty() { 1 } else { limits.min_exposure };
    let found = compare(&CountLimits { min_exposure: least, ..*limits }, sum(&rolled), &control, "on the other hosts");
    match found.verdict {
        Verdict::Fail => Part { seen, verdict: Verdict::Fail, why: format!("became more frequent: {}", found.says) },
        _ => Part { seen, verdict: Verdict::Pass, why: String::new() },
    }
}

/// Its events by host, with exposure where it is known and else 1 a host.
pub(super) fn counts(seen: &Seen, hosts: &BTreeSet<HostName>) -> HostCounts {
    let exposures = of(&seen.exposure, hosts);
    let known = !seen.exposure.is_empty();
    let count = |host: &HostName| Count {
        events: seen.hosts.get(host).copied().unwrap_or(0),
        exposure: if known { exposures.get(host).map_or(0, |count| count.exposure) } else { 1 },
    };
    hosts.iter().map(|host| (host.clone(), count(host))).collect()
}
