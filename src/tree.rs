//! Release trees: manifest, ids, stat index, the deploy host's content store.

pub mod manifest;
pub mod path;
