//! What people and programs read: books and observations turned into text and JSON.
//!
//! Invariant: pure. Every text that a host made goes through [`escape::Untrusted`] at the place where it is put into a
//! line; a message says what happened, to which host, why, since when and what to type.
//!
//! Absent on purpose: printing (that is `ui`) and any decision about a host but the planner's own assessment.

pub mod access;
pub mod canary;
pub mod coverage;
pub mod declared;
pub mod doctor;
pub mod escape;
pub mod events;
#[cfg(test)]
mod fixture;
pub mod gates;
pub mod history;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod nagios;
pub mod notice;
pub mod otlp;
pub mod plan;
pub mod policytests;
pub mod progress;
pub mod recording;
pub mod simulation;
pub mod stale;
pub mod status;
mod table;
pub mod textfile;
pub mod timeline;
pub mod words;
