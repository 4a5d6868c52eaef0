//! Providers: each asks one kind of source for what a gate needs to know.
//!
//! Invariants. What comes from a source is hostile: time, bytes, redirects and nesting are bounded, and a source that is
//! down gives an error and never a number. Nothing is changed anywhere. One file a provider; how to add one is in
//! CONTRIBUTING.md.

mod alive;
mod ask;
mod clusters;
pub mod contract;
pub mod facts;
mod fetch;
pub mod graphite;
pub mod history;
pub mod http;
pub mod logs;
mod named;
pub mod numbers;
pub mod plugin;
pub mod probe;
pub mod process;
pub mod prometheus;
pub mod reader;
pub mod search;
pub mod served;
pub mod signatures;
mod tail;
#[cfg(test)]
mod testworld;

use crate::gate::reading::{ReadError, Reading};
use crate::gate::scope::Scope;
use crate::model::fault::Fault;
use crate::model::names::HostName;
use crate::model::question::{Answer, Question};
use crate::model::time::Time;
use std::net::SocketAddr;
use std::time::Duration;

/// What providers need of the world around them.
pub trait World {
    /// Asks a host's agent; at the deadline at the latest there is an answer.
    fn ask(&self, host: &HostName, question: Question, within: Duration)
    -> impl Future<Output = Result<Answer, Fault>>;

    /// Where a host's web server listens, or why that is not known.
    fn web(&self, host: &HostName) -> impl Future<Output = Result<SocketAddr, String>>;

    /// The controller's clock.
    fn now(&self) -> Time;
}

/// Something that can be measured: what each kind of gate's source implements.
pub trait Provider {
    /// Measures once. It is kept for as long as its gate is asked, so that it can remember where it stopped reading.
    fn read<W: World>(&mut self, scope: &Scope, world: &W) -> impl Future<Output = Result<Reading, ReadError>>;
}
