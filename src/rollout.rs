//! The state machine that executes a plan: an event comes in, effects go out.
//!
//! Invariant: sans-IO. It knows no async, no clock, no randomness, no file and no socket. The driver executes effects
//! strictly in order, and a `Persist` is durable before a later `Send` leaves. When a `Persist` is refused, because
//! somebody took over, the driver drops what follows it.
//!
//! Two ways of moving share the per-host state: `barrier` proves all, then moves wave after wave and takes everything
//! back when too many fail; `each` brings every host as far as it can, whatever the others do.

mod barrier;
mod each;
pub mod effect;
mod gated;
mod host;
pub mod machine;
mod send;

#[cfg(test)]
mod tests;
