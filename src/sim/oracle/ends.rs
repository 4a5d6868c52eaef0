//! The end of an undertaking, and of the story.

use super::{Oracle, is_forward};
use crate::model::books::{Books, HostRow, Kind, Rollout, Snapshot, Status};
use crate::model::component::Want;
use crate::model::ids::RolloutId;
use crate::model::names::HostName;
use crate::sim::fleet::Fleet;
use crate::sim::look;
use crate::sim::site::Contents;
use std::collections::BTreeSet;

/// An undertaking that ended.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its name.
    pub id: RolloutId,
    /// Its kind.
    pub kind: Kind,
    /// Its epoch.
    pub epoch: u64,
    /// When it began, ms.
    pub began: u64,
    /// The state that it led to.
    pub wanted: &'a Snapshot,
    /// Every host in scope.
    pub hosts: &'a BTreeSet<HostName>,
    /// Those that it named as left behind.
    pub left: &'a BTreeSet<HostName>,
}

impl Oracle {
    /// An undertaking ended well but for `left`: what it says must be true.
    pub fn done(&mut self, run: Run<'_>, books: &Books, fleet: &Fleet) {
        self.reach("P14");
        self.said_of_all(run, books, fleet);
        if run.kind == Kind::Rollback {
            self.waited_for_nobody(run, fleet);
        }
    }

    /// Who is called done was looked at meanwhile and serves what is wanted; who was left out is owed what the others got.
    fn said_of_all(&mut self, run: Run<'_>, books: &Books, fleet: &Fleet) {
        for host in run.hosts.difference(run.left) {
            let seen = self.known.get(&(run.epoch, host.clone())).is_some_and(|known| known.at >= run.began);
            if !seen {
                self.broken("P14", format!("{} calls {host} done and never looked at it", run.id));
            }
            if self.knows(run.epoch, host) && look::served(&fleet[host].fs) != look::map_for(run.wanted, host) {
                self.broken("P14", format!("{} is called done and {host} serves another map", run.id));
            }
        }
        for (host, at) in fleet.iter().filter(|(host, _)| is_forward(run.kind) && !run.hosts.contains(*host)) {
            let owed = books.hosts.get(host).is_some_and(|row| row.owed.is_some());
            if !owed && look::served(&at.fs) != look::map_for(run.wanted, host) {
                self.broken("P14", format!("{} left {host} out and does not owe it anything", run.id));
            }
        }
    }

    fn waited_for_nobody(&mut self, run: Run<'_>, fleet: &Fleet) {
        if run.hosts.iter().any(|host| self.touched.get(host).is_some_and(|last| *last >= run.began)) {
            self.reach("P9");
        }
        for host in run.hosts {
            let unmolested = self.touched.get(host).is_none_or(|last| *last < run.began);
            if unmolested && look::served(&fleet[host].fs) != look::map_for(run.wanted, host) {
                self.broken("P9", format!("{} left {host} behind, which nothing had touched", run.id));
            }
        }
    }

    /// A rollback could not be planned.
    pub fn no_way_back(&mut self, why: &str) {
        let moved =
            |rollout: &&Rollout| rollout.kind == Kind::Promote && matches!(rollout.status, Status::Done | Status::Owed);
        if let Some(last) = self.rollouts.values().rfind(moved) {
            let id = last.id;
            self.broken("P9", format!("{id} can't be taken back: {why}"));
        }
    }

    /// Everything was converged and cleaned up; what a rollback needs must be there from now on.
    pub fn all_in_place(&mut self) {
        self.in_place = true;
    }

    /// No more faults; what they left is to be converged.
    pub fn peace(&mut self, books: &Books) {
        let left = |row: &HostRow| row.stale.is_some() || row.owed.is_some();
        if books.open().next().is_some() || books.hosts.values().any(left) {
            self.reach("P8");
        }
    }

    /// Everything is over: the last converge had no faults.
    pub fn end(&mut self, books: &Books, fleet: &Fleet, contents: &Contents) {
        let Some(wanted) = self.current.and_then(|id| books.snapshots.get(&id)) else {
            return self.broken("P8", "there is no wanted state");
        };
        for (host, at) in fleet {
            let map = look::map_for(wanted, host);
            let wants: Vec<Want> = look::wants(wanted, map.values());
            let lacks = look::lacking(&at.fs, contents, &wants, map.values());
            if look::served(&at.fs) != map || lacks.is_some() {
                self.broken("P8", format!("after converge {host} is not as wanted, lacks {lacks:?}"));
            }
            let row = books.hosts.get(host).cloned().unwrap_or_default();
            if row.stale.is_some() || row.owed.is_some() || row.incarnation.is_none() {
                self.broken("P8", format!("after converge the books call {host} {:?} {:?}", row.stale, row.owed));
            }
        }
        for open in books.rollouts.values().filter(|r| r.status == Status::Open) {
            self.broken("P8", format!("{} ({:?}) is open after converge", open.id, open.kind));
        }
    }
}
