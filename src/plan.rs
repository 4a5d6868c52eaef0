//! Intent, books and what hosts showed, turned into a plan that leaves no choice to its execution.
//!
//! Two steps. A [`goal::Goal`] says which state is wanted and needs the books only, so a rollback never waits for a
//! look at the fleet. A [`hosts::Plan`] adds what is expected of each host and in which wave it moves.
//!
//! Invariant: pure. No clock, no randomness, no file: what is not in the arguments is not known.

pub mod assess;
pub mod back;
pub mod changed;
pub mod content;
pub mod facts;
pub mod forward;
pub mod gates;
pub mod goal;
pub mod hosts;
pub mod lint;
pub mod needs;
pub mod permit;
pub mod saved;
pub mod soaked;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;
