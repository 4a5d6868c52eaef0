//! The only door to the terminal: data to stdout, talk to stderr, questions to a person.
//!
//! Invariants: stdout carries what was asked for and nothing else; a reader that went away (a broken pipe) is success;
//! colour never carries meaning alone, and there is none without a terminal or with `NO_COLOR`.
//!
//! Absent on purpose: words. What is printed was composed, and made harmless, in `report`.

pub mod json;
pub mod printer;
pub mod progress;
pub mod prompt;
