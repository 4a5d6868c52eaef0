//! An incident once more, in virtual time: the production core, the agent, the gates and the attribution, over hosts in memory.
//!
//! Invariant: what decides here is what decides in production: `plan`, `rollout`, `Agent`, `gate` and the pure part of
//! `drive::gating`. Made up are only time, the hosts, and what could be measured, which the incident's file tells. Nothing
//! is random: the same file gives the same result.
//!
//! Deliberately absent: the wire, and how long transfers take. A round trip counts as a second.

pub mod columns;
mod engine;
pub mod expect;
mod fleet;
pub mod page;
mod past;
pub mod played;
#[cfg(test)]
mod recorded;
mod signals;
mod story;
#[cfg(test)]
mod tests;
mod words;

pub use engine::ReplayError;
pub use story::play;
