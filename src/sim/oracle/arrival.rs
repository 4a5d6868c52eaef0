//! A command at a host: what it comes to before anything is done, and what is there when the agent was killed over it.

use super::{Oracle, expects, kept};
use crate::agent::memfs::MemFs;
use crate::model::books::Books;
use crate::model::digest::Digest;
use crate::model::ids::{Generation, Incarnation};
use crate::model::names::HostName;
use crate::model::protocol::{Command, Reply};
use crate::sim::fleet::Fleet;
use crate::sim::look;
use crate::sim::site::Contents;

impl Oracle {
    /// A command has arrived and nothing was done yet.
    pub fn about_to_deliver(
        &mut self,
        host: &HostName,
        command: &Command,
        before: (Option<Digest>, Option<Incarnation>),
        books: &Books,
        fs: &MemFs,
        contents: &Contents,
    ) {
        let generation = command.stamp().generation;
        let life = self.lives.get(host).cloned().unwrap_or_default();
        if life.observed_by > generation.epoch {
            self.reach("P3");
        }
        if life.obeyed >= Some(generation) {
            self.reach("P4");
        }
        if expects(command).is_some_and(|expect| expect != before) {
            self.reach("P6");
        }
        if let Command::Switch { map, .. } = command {
            let served = look::served(fs);
            let moves = map.0.iter().filter(|(wiki, version)| served.get(*wiki) != Some(*version));
            self.moved_to = moves.map(|(_, version)| version.clone()).collect();
        }
        self.kept = Vec::new();
        if matches!(command, Command::Confirm { keep: Some(_), .. }) {
            self.reach("P19");
            self.kept = kept::held(host, books, fs, contents);
        }
    }

    /// A prepare that a host began came to its end; `before` is the map that it served before that.
    pub fn finished(
        &mut self,
        host: &HostName,
        generation: Generation,
        reply: &Reply,
        before: Option<Digest>,
        fleet: &Fleet,
    ) {
        let observed_by = self.lives.get(host).map_or(0, |life| life.observed_by);
        if !matches!(reply, Reply::Refused(_)) && observed_by > generation.epoch {
            self.broken("P3", format!("{host} was observed by epoch {observed_by} and ended prepare {generation}"));
        }
        if look::active(&fleet[host].fs) != before {
            self.broken("P6", format!("prepare {generation} changed the map of {host}"));
        }
    }

    /// The agent was killed in a command; `before` is the map that it served before.
    pub fn killed(
        &mut self,
        host: &HostName,
        command: &Command,
        before: Option<Digest>,
        fleet: &Fleet,
        contents: &Contents,
    ) {
        self.reach("P11");
        let fs = &fleet[host].fs;
        self.still_kept(host, fs, contents);
        let switched = match command {
            Command::Switch { map, .. } => look::served(fs) == map.0,
            _ => false,
        };
        if look::active(fs) != before && !switched {
            self.broken("P11", format!("{host} serves neither the old nor the new map after a kill"));
        }
    }
}
