//! What pages are made from: the books and the journal, read as `status`, `show` and `timeline` read them.

use crate::model::books::{Record, Rollout};
use crate::model::limits::TIMELINE_EVENTS_MAX;
use crate::model::time::Time;
use crate::report::html::case::Case;
use crate::report::html::{Told, page};
use crate::report::timeline::{Mark, Span, Teller};
use crate::store::error::StoreError;
use crate::store::{Store, StoredEvent};

/// Gives every event after the one numbered `after` to `take`, in order; the number of the last one.
///
/// # Errors
///
/// The books could not be read.
pub fn events(store: &dyn Store, after: u64, mut take: impl FnMut(&StoredEvent)) -> Result<u64, StoreError> {
    let mut last = after;
    loop {
        let events = store.events(last, TIMELINE_EVENTS_MAX)?;
        let Some(newest) = events.last() else { return Ok(last) };
        last = newest.seq;
        events.iter().for_each(&mut take);
    }
}

/// Where an event stands.
pub fn mark(event: &StoredEvent) -> Mark {
    Mark { seq: event.seq, at: event.at, epoch: event.epoch }
}

/// The page of one undertaking.
///
/// # Errors
///
/// The books could not be read.
pub fn report(store: &dyn Store, rollout: Rollout, now: Time) -> Result<String, StoreError> {
    let before = rollout.from.map(|from| store.snapshot(from)).transpose()?.flatten();
    let after = store.snapshot(rollout.to)?;
    let (mut case, mut teller) = (Case::new(rollout), Teller::new(Span { since: None, until: now }));
    events(store, 0, |event| {
        case.take(mark(event), event.hash, &event.record);
        teller.take(mark(event), &event.record);
    })?;
    let rows = teller.rows();
    Ok(page(Told { case: &case, rows: &rows, before: before.as_ref(), after: after.as_ref(), now }))
}

/// The undertaking that an event begins.
pub fn opened(event: &StoredEvent) -> Option<&Rollout> {
    match &event.record {
        Record::Opened { rollout, .. } => Some(rollout),
        _ => None,
    }
}
