//! pointsman: moves groups of wikis between versions over a fleet, proves every host before it switches any, and
//! takes everything back with one command.
//!
//! The map of the house is in ARCHITECTURE.md; every import runs downwards:
//! `cli`, then `board` `drive` `sim` `replay` `demo` `ui`, then `fleet` `agent` `store` `report`, then `rollout` `playbook` `signal` `wire`, then
//! `plan` `gate` `tree` `config`, then `model`.

pub mod agent;
pub mod board;
pub mod cli;
pub mod config;
pub mod demo;
pub mod drive;
pub mod fleet;
pub mod gate;
pub mod mirror;
pub mod model;
pub mod plan;
pub mod playbook;
pub mod replay;
pub mod report;
pub mod rollout;
pub mod signal;
pub mod sim;
pub mod store;
pub mod tree;
pub mod ui;
pub mod wire;
