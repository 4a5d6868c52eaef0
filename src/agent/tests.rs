//! The agent on a disk and in memory: the same stories on both.

mod asked;
pub(crate) mod bench;
mod bundles;
mod collected;
mod disk;
mod files;
mod guards;
mod killed;
mod levels;
pub(crate) mod plugins;
mod power;
mod prepares;
mod proofs;
mod recalled;
mod served;
mod trees;
mod wired;
