//! Exact statistics: what the judges and the attribution reckon with.
//!
//! Invariant: every probability holds to a relative error of 1e-9, far out in the tails too; the numbers that this is held
//! against are in `tests/fixtures/gates`.

pub mod beta;
pub mod counts;
pub mod ranks;
pub mod sequential;

#[cfg(test)]
pub mod vectors;
