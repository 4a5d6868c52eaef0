//! Reads on in the journal and says when it has more.
//!
//! The newest undertaking is kept as far as it is read, so that a board that is looked at all day reads every event once.

use super::reading;
use crate::drive::clock;
use crate::model::books::Record;
use crate::model::limits::{BOARD_LOOK_MS, BOARD_LOOK_SHARED};
use crate::report::html::case::Case;
use crate::report::timeline::Mark;
use crate::store::{Store, StoredEvent, events_after, keeper};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// The newest undertaking.
#[derive(Default)]
pub struct Newest {
    read: u64,
    /// Commands that were sent since the last undertaking began: hosts are looked at before the next one is on the books.
    sent: Vec<StoredEvent>,
    /// As far as the journal has it.
    pub case: Option<Case>,
}

impl Newest {
    fn take(&mut self, event: &StoredEvent) {
        if let Some(rollout) = reading::opened(event) {
            let mut case = Case::new(rollout.clone());
            for sent in self.sent.drain(..) {
                case.take(Mark::from(&sent), sent.hash, &sent.record);
            }
            // What it goes on with is told of the new one.
            self.case = Some(case);
        }
        if matches!(event.record, Record::Intents { .. }) {
            self.sent.push(event.clone());
        }
        if let Some(case) = &mut self.case {
            case.take(Mark::from(event), event.hash, &event.record);
        }
    }
}

/// Looks again and again; never ends.
pub async fn watch(groups_yaml: PathBuf, newest: Arc<Mutex<Newest>>, books: Arc<RwLock<()>>, told: watch::Sender<u64>) {
    loop {
        let (file, newest, books) = (groups_yaml.clone(), Arc::clone(&newest), Arc::clone(&books));
        let read = tokio::task::spawn_blocking(move || look(&file, &newest, &books)).await;
        let mut pause = BOARD_LOOK_MS;
        match read {
            Ok(Ok((events, shared))) => {
                // Each look at a server is a connection of its own.
                pause *= if shared { BOARD_LOOK_SHARED } else { 1 };
                told.send_if_modified(|known| std::mem::replace(known, events) != events);
            }
            // A page that is asked for says the same to whoever asks.
            Ok(Err(why)) => tracing::debug!(why, "the books can't be read"),
            Err(error) => tracing::debug!(%error, "the look at the books ended"),
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// How many events the journal has, and whether a server keeps it.
fn look(groups_yaml: &std::path::Path, newest: &Mutex<Newest>, books: &RwLock<()>) -> Result<(u64, bool), String> {
    let _reading = books.read().unwrap_or_else(PoisonError::into_inner);
    let policy = crate::config::load(groups_yaml).map_err(|error| error.to_string())?;
    let store = keeper::open_read_only(&policy).map_err(|error| error.to_string())?;
    let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
    let events = store.head().map_err(|error| error.to_string())?.events;
    // Books that were rebuilt begin anew.
    if events < newest.read {
        *newest = Newest::default();
    }
    for event in events_after(&store, newest.read) {
        let event = event.map_err(|error| error.to_string())?;
        newest.take(&event);
        newest.read = event.seq;
    }
    tracing::trace!(at = %clock::now(), events, "the journal was looked at");
    Ok((events, policy.store.is_some()))
}
