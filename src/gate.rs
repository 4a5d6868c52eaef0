//! Gates: named checks with limits, their verdicts, exact statistics, and whether a host or the release is to blame.
//!
//! A provider (`signal`) makes a [`reading::Reading`]; [`judge`] makes of it a judgement; [`soak`] counts judgements and
//! decides whether a rollout goes on; [`attribution`] says who is to blame. What each kind means is in docs/gates.md.
//!
//! Invariants. Pure: no clock, no file, no socket. No data is never a pass: what can't be measured is an error, what is too
//! little is inconclusive.

pub mod attribution;
pub mod feasible;
pub mod judge;
pub mod reading;
pub mod scope;
pub mod signature;
pub mod soak;
pub mod spec;
pub mod stat;
pub mod suggest;
