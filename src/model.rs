//! The words of the field as types: what the rest of the house talks about.
//!
//! Invariant: everything here is pure data. No clock, no randomness, no file, no socket; what could be malformed
//! is parsed once into a type whose grammar is strict, and nothing else reaches a host, a path or a shell.

pub mod books;
pub mod clock;
pub mod component;
pub mod digest;
pub mod fault;
pub mod health;
pub mod ids;
pub mod limits;
pub mod map;
pub mod names;
pub mod notice;
pub mod planted;
pub mod playbook;
pub mod protocol;
pub mod question;
pub mod ranges;
pub mod right;
pub mod secret;
pub mod signed;
pub mod stale;
pub mod step;
pub mod time;
pub mod verdict;
pub mod version;
pub mod words;
