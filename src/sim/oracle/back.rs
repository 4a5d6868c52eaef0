//! Where a rollback may lead.

use super::{Oracle, is_forward};
use crate::model::books::{Rollout, Snapshot, Status};
use crate::model::names::{Version, Wiki};

impl Oracle {
    /// A rollback is recorded. A `new` one leads each wiki to a version that some recorded state gave it, and those that
    /// are not pinned away from the version that it takes back.
    pub(super) fn rolls_back(&mut self, rollout: &Rollout, new: bool) {
        let cut = |other: &Rollout| is_forward(other.kind) && !matches!(other.status, Status::Done | Status::Owed);
        if self.rollouts.last_key_value().is_some_and(|(_, last)| cut(last)) {
            self.reach("P12");
        }
        self.rolled_back = Some(rollout.id);
        let now = self.current.and_then(|id| self.snapshots.get(&id)).map(|state| state.pins.clone());
        let Some(to) = self.snapshots.get(&rollout.to).cloned() else {
            return self.broken("P20", format!("{} leads to a state that nobody recorded", rollout.id));
        };
        if !new {
            return;
        }
        self.reach("P20");
        for (wiki, pin) in now.iter().flat_map(|pins| &pins.wikis) {
            if to.pins.wikis.get(wiki) != Some(pin) {
                self.broken("P20", format!("{} loses the pin of {wiki}", rollout.id));
            }
        }
        for (host, pin) in now.iter().flat_map(|pins| &pins.hosts) {
            if to.pins.hosts.get(host) != Some(pin) {
                self.broken("P20", format!("{} loses the pin of {host}", rollout.id));
            }
        }
        for (wiki, version) in &to.map.0 {
            if !self.had(&to, wiki, version) {
                self.broken("P20", format!("{} gives {wiki} the version {version}, which it never had", rollout.id));
            }
            if rollout.version.as_ref() == Some(version) && !to.pins.wikis.contains_key(wiki) {
                self.broken("P20", format!("{} leaves {wiki} on {version}", rollout.id));
            }
        }
    }

    fn had(&self, but: &Snapshot, wiki: &Wiki, version: &Version) -> bool {
        let others = self.snapshots.values().filter(|state| state.id != but.id);
        others.into_iter().any(|state| state.map.0.get(wiki) == Some(version))
    }
}
