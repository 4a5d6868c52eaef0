//! Readiness as a look finds it: what hosts are asked to prove, what their answers mean, and the trace in the books.
//!
//! Invariant: nothing changes on any host, and no switch ever rests on what is noted here.

use super::clock;
use super::deploy::{Deploy, who};
use super::look::{Look, LookError, Looked};
use crate::model::books::{Books, Record};
use crate::model::component::Want;
use crate::model::names::{HostName, Version};
use crate::model::protocol::{Level, Readiness};
use crate::model::stale::StaleReason;
use crate::plan::goal::{Blocked, Site};
use crate::plan::{assess, back, needs};
use crate::store::Store;
use crate::store::error::StoreError;
use std::collections::{BTreeMap, BTreeSet};

/// What each of `hosts` is asked to prove: `versions`, or where there are none what it serves and what a rollback would
/// need.
///
/// # Errors
///
/// Nothing is wanted yet, or a version was never synced.
pub fn asked(
    deploy: &Deploy,
    books: &Books,
    hosts: &BTreeSet<HostName>,
    versions: &BTreeSet<Version>,
) -> Result<BTreeMap<HostName, Vec<Want>>, Blocked> {
    let site = Site { policy: &deploy.policy, books, now: clock::now(), by: who() };
    let wanted = site.wanted()?;
    let fallback = back::restored(site, &back::Scope::Last).map(|restored| restored.map).unwrap_or_default();
    let mut asked = BTreeMap::new();
    for host in hosts {
        let versions: BTreeSet<Version> = match versions.is_empty() {
            true => needs::versions_of(wanted, host).into_iter().chain(fallback.0.values().cloned()).collect(),
            false => versions.clone(),
        };
        asked.insert(host.clone(), needs::wants(site, wanted, &versions)?);
    }
    Ok(asked)
}

/// Looks at hosts: at `level`, but at those that were found damaged by reading every file, since a lesser look could
/// call them well again without having seen what was wrong.
pub async fn look(
    deploy: &Deploy,
    books: &Books,
    asked: BTreeMap<HostName, Vec<Want>>,
    level: Level,
) -> BTreeMap<HostName, Looked> {
    let limits = &deploy.policy.limits;
    let deep = |host: &HostName| level == Level::L3 || books.was_damaged(host);
    let (deep, other): (BTreeMap<_, _>, BTreeMap<_, _>) = asked.into_iter().partition(|(host, _)| deep(host));
    let (deeply, quickly) = tokio::join!(
        Look::new(&deploy.fleet, limits.prepare_ms_max).at(&deep, Level::L3),
        Look::new(&deploy.fleet, limits.contact_ms_max()).at(&other, level),
    );
    deeply.into_iter().chain(quickly).collect()
}

/// By what level each host that was looked at is proven: the lowest of its components. Those that are not ready, or of
/// which nothing was wanted, have none.
pub fn levels(looked: &BTreeMap<HostName, Looked>) -> BTreeMap<HostName, Level> {
    let of = |readiness: &Readiness| match readiness {
        Readiness::Ready { level, .. } => Some(*level),
        _ => None,
    };
    let lowest = |looked: &Looked| {
        let levels: Option<Vec<Level>> = looked.as_ref().ok()?.readiness.iter().map(|(_, r)| of(r)).collect();
        levels?.into_iter().min()
    };
    looked.iter().filter_map(|(host, looked)| Some((host.clone(), lowest(looked)?))).collect()
}

/// Those of the hosts that were looked at that are not ready, each with its gravest reason.
pub fn stale(books: &Books, looked: &BTreeMap<HostName, Looked>) -> BTreeMap<HostName, StaleReason> {
    let judged = looked.iter().filter_map(|(host, looked)| Some((host.clone(), judge(books, host, looked)?)));
    judged.collect()
}

/// Those of the hosts that were looked at that obeyed what `books` never sent. These must have been loaded after the look:
/// what is sent is on the books before a host can have obeyed it.
pub fn behind(books: &Books, looked: &BTreeMap<HostName, Looked>) -> BTreeMap<HostName, StaleReason> {
    let judged = looked.iter().filter_map(|(host, looked)| {
        let sent = books.hosts.get(host).and_then(|row| row.sent);
        Some((host.clone(), assess::behind(books, host, sent, looked.as_ref().ok()?)?))
    });
    judged.collect()
}

fn judge(books: &Books, host: &HostName, looked: &Looked) -> Option<StaleReason> {
    match looked {
        Err(LookError::Fault(fault)) => Some(StaleReason::Fault(fault.clone())),
        Err(LookError::Refused(refusal)) => Some(StaleReason::Refused(refusal.clone())),
        Ok(seen) => {
            let want = books.wanted().map(|wanted| wanted.map_of(host).digest())?;
            assess::all(books, host, seen, want)
        }
    }
}

/// A look leaves a trace in the books, with since-when. `all_was_proven` says whether a host that is not stale was asked
/// for everything: a proof of single versions clears nothing.
///
/// # Errors
///
/// The books refuse.
pub fn note(
    store: &mut dyn Store,
    looked_under: u64,
    looked: &BTreeMap<HostName, Looked>,
    stale: &BTreeMap<HostName, StaleReason>,
    all_was_proven: bool,
) -> Result<(), StoreError> {
    let mut records = Vec::new();
    for (host, looked) in looked {
        if let Ok(seen) = looked {
            records.push(Record::Seen {
                host: host.clone(),
                incarnation: None,
                active: seen.active,
                boot_id: seen.boot_id.clone(),
                generation: None,
            });
        }
        match stale.get(host) {
            Some(reason) => records.push(Record::Stale { host: host.clone(), reason: reason.clone() }),
            None if all_was_proven => records.push(Record::Fresh { host: host.clone() }),
            None => {}
        }
    }
    store.note(clock::now(), looked_under, &records)
}
