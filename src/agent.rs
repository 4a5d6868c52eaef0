//! The host's side: looks, receives, prepares, switches and confirms on a small file system boundary.

pub mod diskfs;
mod diskrun;
mod disktree;
pub mod hostfs;
pub mod killat;
pub mod memfs;
