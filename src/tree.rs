//! Release trees: manifest, ids, stat index, the deploy host's content store.

pub mod bundle;
pub mod collect;
pub mod content;
pub mod diff;
pub mod import;
pub mod lasting;
pub mod listing;
pub mod manifest;
pub mod packed;
pub mod packing;
pub mod path;
pub mod scan;
pub mod stat_index;
