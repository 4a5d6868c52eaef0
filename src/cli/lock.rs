//! `lock` and `unlock`: nobody else acts meanwhile.

use super::exit::Exit;
use super::seat::Seat;
use crate::drive::clock;
use crate::drive::deploy::holder;
use crate::drive::signals::Signals;
use crate::model::limits::LOCK_LOOK_MS;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sqlstore::SqlStore;
use anyhow::Context;
use clap::Args;
use std::time::Duration;

/// Hold the lock until Ctrl-C, so that nobody else acts; a rollback takes it all the same
///
/// It ends with 5 once somebody took the lock away, by `unlock`, --take-over or a rollback.
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman lock -m 'moving the deploy host'")]
pub struct Lock {
    /// Why
    #[arg(short, long, value_name = "MSG")]
    message: String,
}

/// Take the lock from whoever holds it, and let it go
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman unlock -m 'ori went home'")]
pub struct Unlock {
    /// Why
    #[arg(short, long, value_name = "MSG", default_value = "unlock")]
    message: String,
}

impl Lock {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let mut store = seat.books(&seat.policy()?)?;
        let claim = store.take_lock(clock::now(), &holder(), &self.message, false)?;
        seat.printer.talk(&format!("locked: {}; Ctrl-C unlocks", self.message));
        seat.block_on(hold(seat, &mut store, claim.epoch))??;
        store.release_lock(clock::now(), claim.epoch)?;
        seat.printer.talk("unlocked");
        Ok(Exit::Done)
    }
}

/// Waits for SIGINT or SIGTERM, and looks meanwhile whether the lock is still ours.
async fn hold(seat: &Seat, store: &mut SqlStore, epoch: u64) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("failed to listen to signals")?;
    let mut sees = true;
    loop {
        tokio::select! {
            _ = signals.next() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(LOCK_LOOK_MS)) => {}
        }
        // Nothing is written, and that is refused once the lock is another's.
        match store.append(clock::now(), epoch, &[]) {
            Ok(()) => sees = true,
            Err(over @ StoreError::Superseded { .. }) => return Err(over).context("somebody took the lock away"),
            // Others write just now; whose the lock is shows at the next look.
            Err(StoreError::Busy { .. } | StoreError::ServerBusy(_)) => {}
            // It is held in the books all the same, and nobody is helped by a holder that is gone.
            Err(why) => {
                if std::mem::take(&mut sees) {
                    let unknown = "warning: whether the lock is still held cannot be seen just now";
                    seat.printer.talk(&format!("{unknown}: {why}; `pointsman status` says who holds it"));
                }
            }
        }
    }
}

/// Waits for SIGINT or SIGTERM.
pub async fn ended() -> std::io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}

impl Unlock {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let mut store = seat.books_firmly(&seat.policy()?)?;
        let claim = match store.take_lock(clock::now(), &holder(), &self.message, true) {
            Err(error @ StoreError::Superseded { .. }) => return Err(error.into()),
            claim => claim?,
        };
        store.release_lock(clock::now(), claim.epoch)?;
        match claim.took_over_from {
            Some(lock) => seat.printer.talk(&format!("taken from {} ({}) and let go", lock.holder, lock.reason)),
            None => seat.printer.talk("nobody held the lock"),
        }
        Ok(Exit::Done)
    }
}
