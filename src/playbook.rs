//! Playbooks: ordered stages over the verbs of the command line.
//!
//! Invariant: pure. Time and what stages ended with are arguments; what is to be done comes out as effects, and a
//! record is an effect before the command that it announces. Where a run stands follows from its row in the books
//! alone, so that going on after a crash is what going on always is.
//!
//! Absent on purpose: a language. A stage is one verb with values; there are no conditions, loops or expressions.

pub mod asked;
pub mod back;
pub mod budget;
pub mod machine;
#[cfg(test)]
mod tests;
pub mod windows;
