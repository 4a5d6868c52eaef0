//! The embedded fleet: a dozen local hosts, each with a small web tier that serves from its own trees.
//!
//! Invariant: everything made lies below `.demo/` of a [`site`] whose every path was checked to be there, and only a
//! `.demo/` that carries our mark is ever removed. The web tier knows nothing of pointsman's books: it reads what
//! lies on its host, on every request. Deliberately absent: promoting and rolling back, which are the real commands.

pub mod accident;
pub mod answer;
pub mod ask;
pub mod down;
pub mod error;
pub mod fleet;
pub mod kept;
pub mod log;
pub mod reinstall;
pub mod serve;
pub mod session;
pub mod site;
pub mod story;
pub mod traffic;
pub mod trees;
pub mod web;

#[cfg(test)]
mod fixture;
