//! The simulated hosts: the agent that real hosts run, each on a host in memory.

use super::look;
use super::random::Random;
use super::site::{self, Contents};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::killat::KillAt;
use crate::agent::memfs::MemFs;
use crate::agent::prepare::Transfer;
use crate::config::policy::Policy;
use crate::model::digest::Digest;
use crate::model::map::VersionMap;
use crate::model::names::{HostName, Version};
use crate::model::protocol::{Command, Refusal, Reply};
use std::collections::BTreeMap;

/// A host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its disk.
    pub fs: MemFs,
    /// Until when it is off, ms; 0: it is on.
    pub dead_until: u64,
    /// Until when its disk is full, ms.
    pub full_until: u64,
    /// How often all that ran on it ended at once.
    pub downs: u64,
}

/// Every host by name.
pub type Fleet = BTreeMap<HostName, Host>;

/// Empty hosts, all on.
pub fn empty(policy: &Policy) -> Fleet {
    let host = |(i, name): (u64, &HostName)| {
        let mut fs = MemFs::new(i);
        fs.hook = Some(site::build_hook());
        (name.clone(), Host { fs, dead_until: 0, full_until: 0, downs: 0 })
    };
    (1..).zip(policy.hosts.keys()).map(host).collect()
}

impl Host {
    /// The agent obeys or refuses. A prepare brings all that it asks for.
    pub fn deliver(&mut self, contents: &Contents, command: &Command) -> Reply {
        match command {
            Command::Prepare { want, build, .. } => match self.begin(contents, command, u64::MAX).0 {
                Ok(transfer) => self.end(contents.files.get(&want.id), transfer, build, u64::MAX).0,
                Err(reply) => reply,
            },
            _ => self.obey(command, u64::MAX).0,
        }
    }

    /// A command other than a prepare, to an agent that is killed at the change after `changes` ones; whether it came to
    /// that. Nobody hears what it says then.
    pub fn obey(&mut self, command: &Command, changes: u64) -> (Reply, bool) {
        self.with_agent(changes, |agent| agent.command(command))
    }

    /// The first half of a prepare: what is here is copied; what it answers when there is no second half.
    pub fn begin(&mut self, contents: &Contents, command: &Command, changes: u64) -> (Result<Transfer, Reply>, bool) {
        self.with_agent(changes, |agent| {
            let Command::Prepare { stamp, expect, want, signing, .. } = command else {
                return Err(Reply::Refused(Refusal::Failed("not a prepare".to_owned())));
            };
            let manifest = contents.manifests.get(&want.id).cloned().ok_or_else(|| Reply::Refused(unknown()))?;
            agent.prepare_begin(*stamp, expect, want.clone(), manifest, signing).map_err(Reply::Refused)
        })
    }

    /// The second half of a prepare: what is missing comes out of `files`, and the tree takes its place.
    pub fn end(
        &mut self,
        files: Option<&BTreeMap<String, Vec<u8>>>,
        mut transfer: Transfer,
        build: &[String],
        changes: u64,
    ) -> (Reply, bool) {
        self.with_agent(changes, |agent| match bring(agent, files, &mut transfer) {
            Ok(()) => agent.prepare_finish(transfer, build),
            Err(refusal) => Reply::Refused(refusal),
        })
    }

    fn with_agent<T>(&mut self, changes: u64, act: impl FnOnce(&mut Agent<KillAt<MemFs>>) -> T) -> (T, bool) {
        let fs = std::mem::replace(&mut self.fs, MemFs::new(0));
        let mut agent = Agent::new(KillAt::new(fs, changes));
        let said = act(&mut agent);
        let killed = agent.fs.killed();
        self.fs = agent.fs.inner;
        (said, killed)
    }

    /// Somebody else's tool writes the served map: another one, or none at all.
    pub fn edit_map(&mut self, random: &mut Random) -> &'static str {
        let at = Place::root("wikiversions.php");
        let version = site::wmf(random.between(9, 12));
        let served = look::served(&self.fs);
        let (bytes, what) = match random.chance(7_000) {
            true => {
                (VersionMap(served.into_keys().map(|wiki| (wiki, version.clone())).collect()).to_php(), "another map")
            }
            false => (b"<?php // nothing".to_vec(), "no map"),
        };
        match self.fs.overwrite(&at, &bytes) {
            Ok(()) => what,
            Err(_) => "nothing, there is no map to change",
        }
    }

    /// A file of one of its trees is gone or another one; which.
    pub fn damage(&mut self, random: &mut Random) -> String {
        let component = match random.between(9, 13) {
            13 => "wmf-config/Settings.php".to_owned(),
            n => format!("{}/index.php", site::wmf(n).directory()),
        };
        let at = Place::root(&component);
        let there = match random.chance(5_000) {
            true => self.fs.remove_file(&at),
            false => self.fs.overwrite(&at, b"<?php // edited by hand"),
        };
        match there {
            Ok(()) => component,
            Err(_) => format!("nothing at {component}"),
        }
    }

    /// Rebuilt in one of three ways; the way in words.
    pub fn rebuild(&mut self, random: &mut Random) -> &'static str {
        match random.between(0, 2) {
            0 => {
                self.fs.wipe();
                "empty"
            }
            1 => {
                self.lose_state(random).expect("the disk is neither full nor read-only");
                "trees without state"
            }
            _ => {
                self.fs.machine_id = format!("{:032x}", random.any());
                "its disk in another machine"
            }
        }
    }

    /// As a reinstall leaves it: trees that nobody proved, some without what was built there.
    fn lose_state(&mut self, random: &mut Random) -> std::io::Result<()> {
        self.fs.machine_id = format!("{:032x}", random.any());
        self.fs.remove_tree(&Place::state(""))?;
        for n in 9..13 {
            let version: Version = site::wmf(n);
            if random.chance(5_000) {
                self.fs.remove_tree(&Place::root(version.directory()).join(site::ARTEFACTS.0))?;
            }
        }
        if random.chance(5_000) {
            self.fs.remove_file(&Place::root("wikiversions.php"))?;
        }
        Ok(())
    }
}

fn unknown() -> Refusal {
    Refusal::Failed("the deploy host does not have this content".to_owned())
}

fn bring(
    agent: &mut Agent<KillAt<MemFs>>,
    files: Option<&BTreeMap<String, Vec<u8>>>,
    transfer: &mut Transfer,
) -> Result<(), Refusal> {
    let files = files.ok_or_else(unknown)?;
    for digest in transfer.needs() {
        let bytes = files.values().find(|bytes| Digest::of(bytes) == digest);
        agent.prepare_put(transfer, digest, &mut bytes.ok_or_else(unknown)?.as_slice())?;
    }
    Ok(())
}
