//! `lock` and `unlock`: nobody else acts meanwhile.

use super::exit::Exit;
use super::seat::Seat;
use crate::drive::clock;
use crate::drive::deploy::{holder, who};
use crate::drive::signals::Signals;
use crate::store::Store;
use crate::store::error::StoreError;
use anyhow::Context;
use clap::Args;

/// Hold the lock until Ctrl-C, so that nobody else acts; a rollback takes it all the same
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
        let claim = store.take_lock(clock::now(), &holder(&who()), &self.message, false)?;
        seat.printer.talk(&format!("locked: {}; Ctrl-C unlocks", self.message));
        seat.block_on(ended())?.context("failed to listen to signals")?;
        store.release_lock(clock::now(), claim.epoch)?;
        seat.printer.talk("unlocked");
        Ok(Exit::Done)
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
        let claim = match store.take_lock(clock::now(), &holder(&who()), &self.message, true) {
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
