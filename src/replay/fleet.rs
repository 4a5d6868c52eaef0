//! The hosts of an incident: the agent that real hosts run, on hosts in memory.
//!
//! Invariant: what a host shows and obeys comes from [`crate::agent`]; an incident only decides whether it can be reached
//! and what a reinstall left on it. Trees are small stand-ins: one file of code a version and the inputs of what is built.

use crate::agent::Agent;
use crate::agent::hostfs::{Ended, HostFs, Place, present};
use crate::agent::memfs::{Hook, MemFs};
use crate::config::policy::Policy;
use crate::drive::look::{LookError, Looked};
use crate::model::component::{ArtefactRule, Component, Want};
use crate::model::fault::Fault;
use crate::model::map::VersionMap;
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::protocol::{Command, Level, Peek, Reply};
use crate::sim::fleet::Host;
use crate::sim::look;
use crate::sim::site::Contents;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// The versions that a host serves, by group.
pub type Serving = BTreeMap<Group, BTreeSet<Version>>;

/// The hosts, and what the deploy host has for them.
pub struct Fleet {
    hosts: BTreeMap<HostName, Host>,
    /// What each version and the configuration consist of.
    pub contents: Contents,
    versions: BTreeSet<Version>,
    artefacts: Vec<ArtefactRule>,
    groups: Vec<(Group, BTreeSet<Wiki>)>,
    /// Hosts that can't be reached, with what ssh says.
    pub down: BTreeMap<HostName, String>,
    /// What each host serves, as it was read last.
    serving: BTreeMap<HostName, Arc<Serving>>,
    /// Hosts on which something may be missing.
    reinstalled: BTreeSet<HostName>,
}

impl Fleet {
    /// Empty hosts of a site that may come to hold these versions.
    pub fn new(policy: &Policy, versions: &BTreeSet<Version>) -> Self {
        let mut contents = Contents::default();
        let inputs: Vec<String> = policy.artefacts.iter().flat_map(|rule| &rule.inputs).cloned().collect();
        for version in versions {
            let mut files = vec![("index.php".to_owned(), format!("the code of {version}"))];
            files.extend(inputs.iter().map(|path| (format!("{path}/messages.json"), format!("messages of {version}"))));
            let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
            contents.add(Component::Version(version.clone()), &files);
        }
        for component in &policy.configuration {
            contents.add(component.clone(), &[("Settings.php", "settings".to_owned())]);
        }
        let hook = build_hook(policy.artefacts.clone());
        let host = |(seed, name): (u64, &HostName)| {
            let mut fs = MemFs::new(seed);
            fs.hook = Some(hook.clone());
            (name.clone(), Host { fs, dead_until: 0, full_until: 0, downs: 0 })
        };
        let serving = policy.hosts.iter().filter(|(_, host)| host.serves());
        Self {
            hosts: (1..).zip(serving.map(|(name, _)| name)).map(host).collect(),
            contents,
            versions: versions.clone(),
            artefacts: policy.artefacts.clone(),
            groups: policy.groups.iter().map(|group| (group.name.clone(), group.wikis.clone())).collect(),
            down: BTreeMap::new(),
            serving: BTreeMap::new(),
            reinstalled: BTreeSet::new(),
        }
    }

    /// What commands come to, one a host, in their order; hosts are apart, so several work at the same time.
    pub fn deliver(&mut self, now_ms: u64, sent: &[(HostName, Box<Command>)]) -> Vec<Result<Reply, Fault>> {
        let mut hosts: BTreeMap<&HostName, &mut Host> = self.hosts.iter_mut().collect();
        let mut work: Vec<_> = sent.iter().map(|(name, command)| (hosts.remove(name), name, &**command)).collect();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (down, contents, part) = (&self.down, &self.contents, work.len().div_ceil(threads).max(1));
        let replies: Vec<Result<Reply, Fault>> = std::thread::scope(|scope| {
            let of = |(host, name, command): &mut (Option<&mut Host>, &HostName, &Command)| match down.get(*name) {
                Some(words) => Err(Fault::Other(words.clone())),
                None => host.as_mut().ok_or(Fault::NoRoute).map(|host| {
                    host.fs.uptime_ms = now_ms;
                    host.deliver(contents, command)
                }),
            };
            let parts = work.chunks_mut(part);
            let running: Vec<_> = parts.map(|part| scope.spawn(move || part.iter_mut().map(of).collect())).collect();
            let ended = running.into_iter().map(|thread| thread.join().expect("an agent does not panic"));
            ended.flat_map(|replies: Vec<_>| replies).collect()
        });
        for ((name, _), reply) in sent.iter().zip(&replies) {
            if matches!(reply, Ok(Reply::Switched { .. })) {
                self.serving.remove(name);
            }
        }
        replies
    }

    /// Hosts get what `first` holds, as those that are installed from one image do, each with an identity of its own.
    pub fn image(&mut self, first: &HostName, others: &BTreeSet<HostName>) -> io::Result<()> {
        let Some(image) = self.hosts.get(first).cloned() else { return Ok(()) };
        for (_, host) in self.hosts.iter_mut().filter(|(name, _)| others.contains(*name)) {
            host.fs.image(&image.fs);
            present(host.fs.remove_file(&Place::state("incarnation")))?;
        }
        Ok(())
    }

    /// What hosts show when every file that is wanted of them is read.
    pub fn look(&self, asked: &BTreeMap<HostName, Vec<Want>>) -> BTreeMap<HostName, Looked> {
        asked.iter().map(|(host, prove)| (host.clone(), self.look_at(host, prove))).collect()
    }

    /// The same of one host.
    pub fn look_at(&self, name: &HostName, prove: &[Want]) -> Looked {
        if let Some(words) = self.down.get(name) {
            return Err(LookError::Fault(Fault::Other(words.clone())));
        }
        let host = self.hosts.get(name).ok_or(LookError::Fault(Fault::NoRoute))?;
        let peek = Peek::new(prove.to_vec(), Level::L3, 0);
        Agent::new(host.fs.clone()).peek(&peek).map_err(LookError::Refused)
    }

    /// What each host serves now.
    pub fn serving(&mut self) -> &BTreeMap<HostName, Arc<Serving>> {
        let mut known = BTreeMap::new();
        for (name, host) in self.hosts.iter().filter(|(name, _)| !self.serving.contains_key(*name)).collect::<Vec<_>>()
        {
            let Some(active) = look::active(&host.fs) else { continue };
            let serving = known.entry(active).or_insert_with(|| Arc::new(by_group(&self.groups, &host.fs)));
            self.serving.insert(name.clone(), Arc::clone(serving));
        }
        &self.serving
    }

    /// Whether a host serves a version of which something that is built there is missing.
    pub fn lacks(&self, name: &HostName) -> bool {
        let (Some(host), Some(serving)) = (self.hosts.get(name), self.serving.get(name)) else { return false };
        let complete = |version: &Version, rule: &ArtefactRule| {
            let at = Place::root(version.directory()).join(&rule.path);
            host.fs.list(&at).is_ok_and(|files| files.len() as u64 >= rule.files)
        };
        let served: BTreeSet<&Version> = serving.values().flatten().collect();
        self.reinstalled.contains(name)
            && served.iter().any(|version| self.artefacts.iter().any(|rule| !complete(version, rule)))
    }

    /// The host is installed anew, by whoever: trees of all versions that the others hold, without the agent's state, and
    /// without what is built for `lacking`; empty: for versions that it does not serve.
    pub fn reinstall(&mut self, name: &HostName, lacking: &BTreeSet<Version>) -> io::Result<()> {
        let served: BTreeSet<&Version> =
            self.serving.get(name).iter().flat_map(|serving| serving.values().flatten()).collect();
        let unserved = self.versions.iter().filter(|version| !served.contains(version)).cloned();
        let lacking = if lacking.is_empty() { unserved.collect() } else { lacking.clone() };
        let (Some(host), artefacts) = (self.hosts.get_mut(name), &self.artefacts) else { return Ok(()) };
        host.fs.machine_id = format!("{:032x}", u128::from_str_radix(&host.fs.machine_id, 16).unwrap_or_default() + 1);
        present(host.fs.remove_tree(&Place::state("")))?;
        for (version, rule) in lacking.iter().flat_map(|version| artefacts.iter().map(move |rule| (version, rule))) {
            present(host.fs.remove_tree(&Place::root(version.directory()).join(&rule.path)))?;
        }
        self.reinstalled.insert(name.clone());
        Ok(())
    }
}

/// The versions of each group's wikis in the map that a host serves.
fn by_group(groups: &[(Group, BTreeSet<Wiki>)], fs: &MemFs) -> Serving {
    let served = VersionMap(look::served(fs));
    let of = |wikis: &BTreeSet<_>| wikis.iter().filter_map(|wiki| served.0.get(wiki).cloned()).collect();
    groups.iter().map(|(group, wikis)| (group.clone(), of(wikis))).collect()
}

/// Builds what the site's rules say, a file for each that they count.
fn build_hook(artefacts: Vec<ArtefactRule>) -> Hook {
    Hook(Arc::new(move |fs, program| {
        for rule in &artefacts {
            for number in 0..rule.files {
                let at = program.directory.join(&format!("{}/{number}.cdb", rule.path));
                fs.put(&at, format!("built for {number}").as_bytes())?;
            }
        }
        Ok(Ended { success: true, how: "exit code 0".to_owned(), output: String::new() })
    }))
}
