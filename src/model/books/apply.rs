//! What each record does to the books: the meaning that every store has to keep.

use super::{Books, Hold, HostRow, Owed, Record};
use crate::model::ids::{Generation, RolloutId};
use crate::model::names::HostName;
use crate::model::stale::Stale;
use crate::model::time::Time;

impl Books {
    /// Applies one record; `now` is when it was committed.
    pub fn apply(&mut self, now: Time, record: &Record) {
        match record {
            Record::Opened { rollout, snapshot, moves_current } => {
                if let Some(snapshot) = snapshot {
                    self.snapshots.insert(snapshot.id, snapshot.clone());
                }
                if *moves_current {
                    self.current = Some(rollout.to);
                }
                self.rollouts.insert(rollout.id, rollout.clone());
            }
            Record::Intents { rollout, command, hosts } => self.apply_intents(*rollout, command, hosts),
            Record::Ended { rollout, status, moves_current, effect } => {
                if let Some(row) = self.rollouts.get_mut(rollout) {
                    row.status = *status;
                    row.effect.clone_from(effect);
                    if *moves_current {
                        self.current = Some(row.to);
                    }
                }
            }
            Record::Held { by, reason } => {
                self.hold = Some(Hold { by: by.clone(), reason: reason.clone(), since: now });
            }
            Record::Released { .. } => self.hold = None,
            Record::Forgotten { host } => {
                self.hosts.remove(host);
            }
            Record::Health(record) => self.health.apply(now, record),
            Record::Playbook(record) => record.apply(now, &mut self.playbooks),
            Record::Outcome { .. } | Record::Note { .. } => {}
            Record::Seen { host, .. }
            | Record::Stale { host, .. }
            | Record::Fresh { host }
            | Record::Owed { host, .. }
            | Record::Depooled { host, .. }
            | Record::Pooled { host, .. } => self.hosts.entry(host.clone()).or_default().apply(now, record),
        }
    }

    fn apply_intents(&mut self, rollout: RolloutId, command: &str, hosts: &[(HostName, Generation)]) {
        if let Some(row) = self.rollouts.get_mut(&rollout) {
            row.dispatched |= command == "switch";
        }
        for (host, generation) in hosts {
            let row = self.hosts.entry(host.clone()).or_default();
            row.sent = row.sent.max(Some(*generation));
        }
    }
}

impl HostRow {
    fn apply(&mut self, now: Time, record: &Record) {
        match record {
            Record::Seen { incarnation, active, boot_id, generation, .. } => {
                self.incarnation = incarnation.or(self.incarnation);
                self.fence = self.fence.max(*generation);
                self.active = *active;
                self.boot_id.clone_from(boot_id);
                self.seen = Some(now);
            }
            Record::Stale { reason, .. } => {
                let since = match &self.stale {
                    Some(old) if old.reason.same_kind(reason) => old.since,
                    _ => now,
                };
                self.stale = Some(Stale { reason: reason.clone(), since });
            }
            Record::Fresh { .. } => {
                self.stale = None;
                self.owed = None;
            }
            Record::Owed { what, .. } => {
                let since = self.owed.as_ref().map_or(now, |owed| owed.since);
                self.owed = Some(Owed { what: what.clone(), since });
            }
            Record::Depooled { by, reason, .. } => {
                self.depooled = Some(Hold { by: by.clone(), reason: reason.clone(), since: now });
            }
            Record::Pooled { .. } => self.depooled = None,
            _ => {}
        }
    }
}
