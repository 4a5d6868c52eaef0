//! Executes the core's effects in order; owns the clock and the signals.
//!
//! Two ways in: [`act`] takes the lock and changes things; [`look`] can only peek, and what only looks is given nothing
//! else, so that the compiler and not a flag keeps a dry run from changing a byte.

pub mod act;
#[cfg(test)]
mod bytes;
pub mod canary;
pub mod clock;
pub mod collect;
#[cfg(test)]
mod cut;
pub mod deletions;
pub mod deploy;
pub mod doctor;
pub mod estimate;
pub mod filelint;
pub mod gating;
pub mod hook;
pub mod items;
pub mod look;
pub mod mirrors;
pub mod notify;
mod offered;
pub mod proxies;
pub mod ready;
pub mod run;
pub mod salvage;
pub mod signals;
pub mod signing;
pub mod staging;
pub mod trace;
pub mod watch;
pub mod world;

/// How long the end of a connection is waited for.
const CLOSE: std::time::Duration = std::time::Duration::from_secs(1);
