//! What pages are made from: the books and the journal, read as `status`, `show` and `timeline` read them.

use crate::model::books::{Record, Rollout};
use crate::model::time::Time;
use crate::report::html::case::Case;
use crate::report::html::{Told, page};
use crate::report::timeline::{Mark, Span, Teller};
use crate::store::error::StoreError;
use crate::store::{Store, StoredEvent, events_after};

/// The page of one undertaking.
///
/// # Errors
///
/// The books could not be read.
pub fn report(store: &dyn Store, rollout: Rollout, now: Time) -> Result<String, StoreError> {
    let before = rollout.from.map(|from| store.snapshot(from)).transpose()?.flatten();
    let after = store.snapshot(rollout.to)?;
    let (mut case, mut teller) = (Case::new(rollout), Teller::new(Span { since: None, until: now }));
    for event in events_after(store, 0) {
        let event = event?;
        case.take(Mark::from(&event), event.hash, &event.record);
        teller.take(Mark::from(&event), &event.record);
    }
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
