//! What an observation means against the books: fresh, or stale for a reason.

use crate::model::books::{Books, HostRow};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation, Incarnation};
use crate::model::limits::FENCE_EPOCH_LEAP_MAX;
use crate::model::names::HostName;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Expect, Observation, Readiness, Refusal};
use crate::model::stale::StaleReason;

/// Who it is: another installation, another owner, a twin. `None`: the host that the books know, or a new one.
pub fn identity(books: &Books, host: &HostName, seen: &Observation) -> Option<StaleReason> {
    let row = books.hosts.get(host).cloned().unwrap_or_default();
    let twin = seen.incarnation.and_then(|incarnation| twin(books, host, incarnation));
    if let Some(twin) = twin.filter(|_| !planted(Bug::TwinsAreBelieved)) {
        return Some(StaleReason::Cloned { twin });
    }
    foreign(books.id, seen).or_else(|| absurd_fence(books, seen)).or_else(|| rebuilt(&row, seen))
}

fn twin(books: &Books, host: &HostName, incarnation: Incarnation) -> Option<HostName> {
    let other = books.hosts.iter().find(|(name, row)| *name != host && row.incarnation == Some(incarnation));
    other.map(|(name, _)| name.clone())
}

fn foreign(books: BooksId, seen: &Observation) -> Option<StaleReason> {
    let fence = seen.fence.filter(|fence| fence.books != books)?;
    Some(StaleReason::Refused(Refusal::Foreign(fence.books)))
}

fn absurd_fence(books: &Books, seen: &Observation) -> Option<StaleReason> {
    let epoch = seen.fence?.generation.epoch;
    (epoch > books.epoch.saturating_add(FENCE_EPOCH_LEAP_MAX)).then_some(StaleReason::AbsurdFence { epoch })
}

fn rebuilt(row: &HostRow, seen: &Observation) -> Option<StaleReason> {
    let was = row.incarnation?;
    let now = seen.incarnation.unwrap_or(Incarnation(0));
    let restored = seen.fence.map(|fence| fence.generation) < row.fence;
    (was != now || restored).then_some(StaleReason::Rebuilt { was, now })
}

/// Whether the host obeyed what these books never sent, so that they are an old copy of those that did. `sent` is the last
/// command that went to the host before this look, as the books have it. Once that was seen it stays so for these books: the
/// look itself has made the host obey them.
pub fn behind(books: &Books, host: &HostName, sent: Option<Generation>, seen: &Observation) -> Option<StaleReason> {
    if absurd_fence(books, seen).is_some() {
        return None;
    }
    let fence = seen.fence.filter(|fence| fence.books == books.id)?.generation;
    // Another installation may have brought a fence along; of an epoch that nobody took, none could.
    let row = books.hosts.get(host).filter(|row| row.incarnation == seen.incarnation);
    let noted = row.and_then(|row| row.stale.as_ref()).map(|stale| &stale.reason);
    if let Some(StaleReason::BooksBehind { fence }) = noted {
        return Some(StaleReason::BooksBehind { fence: *fence });
    }
    let never_sent = row.is_some() && sent.is_some_and(|sent| fence > sent);
    (never_sent || fence.epoch > books.epoch).then_some(StaleReason::BooksBehind { fence })
}

/// Why a host refused an observe for its order, which only one does that obeyed a newer one: either somebody took over, and
/// the books will refuse us too, or they are an old copy, or nobody ever sent that.
pub fn fenced(books: &Books, fence: Generation) -> StaleReason {
    match fence.epoch > books.epoch.saturating_add(FENCE_EPOCH_LEAP_MAX) {
        true => StaleReason::AbsurdFence { epoch: fence.epoch },
        false => StaleReason::BooksBehind { fence },
    }
}

/// What a command to the host that showed this names; `None`: it has no state yet.
pub fn expect(seen: &Observation) -> Option<Expect> {
    Some(Expect { incarnation: seen.incarnation?, active: seen.active })
}

/// Whether all that was asked for is there.
pub fn readiness(seen: &Observation) -> Option<StaleReason> {
    let lacking: Vec<_> = seen.readiness.iter().filter(|(_, r)| !r.is_ready()).cloned().collect();
    (!lacking.is_empty() && !planted(Bug::FailedSyncCountsAsOk)).then_some(StaleReason::NotReady(lacking))
}

/// What is wanted and has no marker of its id; that something is marked proves nothing about its files.
pub fn unmarked(seen: &Observation, wants: &[Want]) -> Vec<(Component, Readiness)> {
    let lacking = |want: &Want| match seen.held.get(&want.component) {
        None => Some(Readiness::Absent),
        Some(have) if *have != want.id => Some(Readiness::Differs { have: *have }),
        Some(_) => None,
    };
    wants.iter().filter_map(|want| Some((want.component.clone(), lacking(want)?))).collect()
}

/// What is wanted and not there: by the proof, where one was asked for, and by the markers.
pub fn lacking(seen: &Observation, wants: &[Want]) -> Option<StaleReason> {
    readiness(seen).or_else(|| {
        let unmarked = unmarked(seen, wants);
        (!unmarked.is_empty()).then_some(StaleReason::NotReady(unmarked))
    })
}

/// Whether the served map is the wanted one.
pub fn map(seen: &Observation, want: Digest) -> Option<StaleReason> {
    (seen.active != Some(want)).then_some(StaleReason::MapDiffers { have: seen.active, want })
}

/// Everything at once, the gravest first: who it is, what it lacks, what it serves.
pub fn all(books: &Books, host: &HostName, seen: &Observation, want: Digest) -> Option<StaleReason> {
    identity(books, host, seen).or_else(|| readiness(seen)).or_else(|| map(seen, want))
}

#[cfg(test)]
mod tests;
