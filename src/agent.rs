//! The host's side: looks, receives, prepares, switches, confirms and collects on a small file system boundary.
//!
//! Invariant: the agent keeps nothing in memory between two calls. Everything it knows is on the host, so many
//! processes of it, one after another or side by side, are one agent; the switch lock puts their effects in order.
//!
//! Deliberately absent: any decision, and the network but for mirrors that the controller names and, on a proxy, the
//! server of one session. What is wanted comes with each command; what is refused, and why, goes back.

mod collect;
mod compare;
mod diskagents;
mod diskask;
mod diskbase;
pub mod diskfs;
mod diskmirror;
mod diskrun;
mod diskserve;
mod disksigners;
mod disktree;
mod fetch;
mod guard;
mod hashing;
pub mod hostfs;
mod index;
mod install;
pub mod keygen;
pub mod killat;
mod look;
pub mod memfs;
pub mod memhost;
mod observe;
pub mod prepare;
mod proven;
mod question;
mod seal;
mod serve;
pub mod session;
mod signed;
mod state;
mod switch;
#[cfg(test)]
pub(crate) mod tests;
pub mod unpack;
mod walk;

use crate::model::component::Want;
use crate::model::digest::Digest;
use crate::model::protocol::{Command, Expect, Held, Observation, Peek, Refusal, Reply, Stamp};
use crate::model::question::{Answer, Question};
use crate::model::signed::Signing;
use crate::tree::manifest::Manifest;
use crate::wire::fetch::{Fetch, Fetched};
use diskfs::DiskFs;
use guard::Stop;
use hostfs::HostFs;
use look::Depth;
use prepare::Transfer;
use session::SessionError;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use unpack::Bundle;

/// A host's agent.
#[derive(Debug)]
pub struct Agent<F> {
    /// The host.
    pub fs: F,
}

impl<F: HostFs> Agent<F> {
    /// The agent of this host.
    pub fn new(fs: F) -> Self {
        Self { fs }
    }

    /// Looks, and changes nothing: not a byte, not a lock.
    pub fn peek(&self, peek: &Peek) -> Result<Observation, Refusal> {
        let seen = observe::view(&self.fs, peek, Depth::of(peek), None);
        seen.map(|(observation, _)| observation).map_err(|e| Stop::Io(e).refusal(&self.fs))
    }

    /// Answers a question, and changes nothing.
    pub fn answer(&self, question: &Question) -> Answer {
        question::answer(&self.fs, question).unwrap_or_else(|error| Answer::Failed(error.to_string()))
    }

    /// Obeys one command, or refuses it. A prepare has its own three calls, since it needs files; here it is refused.
    pub fn command(&mut self, command: &Command) -> Reply {
        match self.obey(command) {
            Ok(reply) => reply,
            Err(stop) => Reply::Refused(stop.refusal(&self.fs)),
        }
    }

    fn obey(&mut self, command: &Command) -> Result<Reply, Stop> {
        let fs = &mut self.fs;
        match command {
            Command::Observe { stamp, adopt, peek } => {
                Ok(Reply::Observed(Box::new(observe::observe(fs, stamp, *adopt, peek)?)))
            }
            Command::Switch { stamp, expect, map, direction: _, needs, restart, proof_age_ms_max } => {
                switch::switch(fs, stamp, expect, map, needs, *proof_age_ms_max)?;
                let restart_failed = switch::restart(fs, restart);
                Ok(Reply::Switched { restart_failed, seen: observe::state(fs).ok().map(Box::new) })
            }
            Command::Confirm { stamp, expect, note, keep } => {
                switch::confirm(fs, stamp, expect, note)?;
                match keep {
                    Some(keep) => Ok(Reply::Collected(collect::collect(fs, stamp, keep)?)),
                    None => Ok(Reply::Confirmed),
                }
            }
            Command::Prepare { .. } => Err(Refusal::Failed("a prepare came without its manifest".to_owned()).into()),
        }
    }

    /// Begins to bring a component to its wanted content; `manifest` must be that of the wanted id, and a signature right
    /// where one is demanded.
    ///
    /// The answer says which files the host lacks. When it was ready already there is nothing to bring.
    pub fn prepare_begin(
        &mut self,
        stamp: Stamp,
        expect: &Expect,
        want: Want,
        manifest: Manifest,
        signing: &Signing,
    ) -> Result<Transfer, Refusal> {
        prepare::begin(&mut self.fs, stamp, expect, want, manifest, signing).map_err(|stop| stop.refusal(&self.fs))
    }

    /// Takes one of [`Transfer::needs`]; `from` must end after exactly its bytes.
    pub fn prepare_put(&mut self, transfer: &mut Transfer, digest: Digest, from: &mut dyn Read) -> Result<(), Refusal> {
        prepare::put(&mut self.fs, transfer, digest, from).map_err(|stop| stop.refusal(&self.fs))
    }

    /// What is whole here, so that a bundle may stand on it.
    pub fn held(&self) -> Result<Vec<Held>, Refusal> {
        let held = observe::held(&self.fs).map_err(|e| Stop::Io(e).refusal(&self.fs))?;
        Ok(held.into_iter().map(|(component, id)| Held { component, id }).collect())
    }

    /// What a bundle on `base` is to bring; `None` when this host does not hold that.
    pub fn prepare_open(&self, transfer: &Transfer, base: Option<&Held>) -> Result<Option<Bundle>, Refusal> {
        unpack::open(&self.fs, base, &transfer.manifest).map_err(|e| Stop::Io(e).refusal(&self.fs))
    }

    /// Takes what a transfer waits for out of one frame of a bundle. A frame that is not as it should be brings less.
    pub fn prepare_unpack(
        &mut self,
        transfer: &mut Transfer,
        bundle: &Bundle,
        number: u32,
        from: &mut dyn Read,
    ) -> Result<(), Refusal> {
        unpack::unpack(&mut self.fs, transfer, bundle, number, from).map_err(|stop| stop.refusal(&self.fs))
    }

    /// Takes what a transfer waits for from a mirror, as far as that has it.
    pub fn prepare_fetch(&mut self, transfer: &mut Transfer, fetch: &Fetch) -> Result<Fetched, Refusal> {
        fetch::fetch(&mut self.fs, transfer, fetch).map_err(|stop| stop.refusal(&self.fs))
    }

    /// Builds what is to be built and puts the component in its place; `build` is an argv, empty for no build step.
    pub fn prepare_finish(&mut self, transfer: Transfer, build: &[String]) -> Reply {
        match install::finish(&mut self.fs, &transfer, build) {
            Ok(readiness) => Reply::Prepared { readiness },
            Err(stop) => {
                install::abandon(&mut self.fs, &transfer);
                Reply::Refused(stop.refusal(&self.fs))
            }
        }
    }

    /// Forgets a transfer that cannot be finished here. One whose sender is gone is kept instead: what has come is there
    /// for the next.
    pub fn prepare_abandon(&mut self, transfer: &Transfer) {
        install::abandon(&mut self.fs, transfer);
    }
}

/// Answers a controller on these streams until its requests end, on this machine's disk. `signers` is the owner's list,
/// [`crate::model::signed::ALLOWED_SIGNERS`] wherever the host is a whole machine.
pub fn serve(signers: &Path, from: &mut impl Read, to: &mut impl Write) -> Result<(), SessionError> {
    let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to));
    let greeting = session::greet(&mut from, &mut to)?;
    let mut agent = Agent::new(DiskFs::new(&greeting.root, &greeting.state).with_signers(signers));
    session::run(&mut agent, greeting.offers, &mut from, &mut to)
}
