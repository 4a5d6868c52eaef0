//! What takes back what a run moved, and nothing else: commands, newest first, by what the books have of it.
//!
//! Invariant: only what still stands is named, so that this can be asked again after a crash in the middle of going back.
//! Nothing follows from exit codes: a command that was killed, refused or lost its connection has moved what the books
//! say it moved. What others moved meanwhile is never taken along: where that can't be told apart, nothing is done and
//! a person decides.

#[cfg(test)]
mod tests;

use crate::model::books::{Books, Kind, Pin, Pins, Rollout, Snapshot, Status};
use crate::model::ids::RolloutId;
use crate::model::names::{Group, Version};
use crate::model::playbook::PlaybookRun;
use crate::plan::back::{Scope, moved, taken_back};
use crate::plan::content::undoable;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Command lines to be run in this order; none: nothing is left to be taken back.
///
/// # Errors
///
/// Why a person has to decide, and what could be typed.
pub fn lines(run: &PlaybookRun, books: &Books, why: &str) -> Result<Vec<Vec<String>>, String> {
    let ours = Ours { run, books };
    let message = format!("--message=playbook {}: {why}", run.id);
    let reason = format!("--reason=playbook {}: {why}", run.id);
    let mut lines: Vec<(RolloutId, Vec<String>)> = Vec::new();
    match ours.promotions()? {
        Promotions::None => {}
        Promotions::All(newest) => lines.push((newest, words(["rollback", &message, "--yes"]))),
        Promotions::Groups(groups) => lines
            .extend(groups.into_iter().map(|(group, id)| (id, words(["rollback", group.as_str(), &message, "--yes"])))),
    }
    lines.extend(ours.syncs()?.into_iter().map(|id| (id, words(["undo", &id.to_string(), &message, "--yes"]))));
    lines.extend(ours.pins().into_iter().map(|(subject, id)| (id, words(["unpin", &subject, &reason, "--yes"]))));
    lines.sort_by_key(|(id, _)| Reverse(*id));
    // What was begun is ended first; a promotion that switched hosts is taken back with the others.
    let begun = ours.rollouts().any(|r| r.status == Status::Open && !(r.kind == Kind::Promote && r.dispatched));
    let converge = begun.then(|| words(["converge", "--yes"]));
    Ok(converge.into_iter().chain(lines.into_iter().map(|(_, line)| line)).collect())
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// The newest promotion of a group to a version that has ended, whoever made it: what a soak watches.
pub fn promotion<'a>(books: &'a Books, group: &Group, version: &Version) -> Option<&'a Rollout> {
    let ended = |r: &&Rollout| r.kind == Kind::Promote && matches!(r.status, Status::Done | Status::Owed);
    let found = books.rollouts.values().rev().filter(ended).find(|r| r.groups.contains(group));
    found.filter(|r| r.version.as_ref() == Some(version))
}

/// The rollback by somebody else that a run meets, if there is one.
pub fn by_others<'a>(books: &'a Books, run: &PlaybookRun) -> Option<&'a Rollout> {
    let others = |r: &&Rollout| r.kind == Kind::Rollback && r.id.0 > run.seen && r.playbook != Some(run.id) && moved(r);
    books.rollouts.values().rev().find(others)
}

/// How the promotions of a run are taken back.
enum Promotions {
    /// None stands.
    None,
    /// By one rollback, which takes back nothing else.
    All(RolloutId),
    /// Group by group; the newest promotion of each.
    Groups(BTreeMap<Group, RolloutId>),
}

/// What the books know of a run.
struct Ours<'a> {
    run: &'a PlaybookRun,
    books: &'a Books,
}

impl<'a> Ours<'a> {
    fn is_ours(&self, rollout: &Rollout) -> bool {
        rollout.playbook == Some(self.run.id)
    }

    /// Newest first.
    fn rollouts(&self) -> impl Iterator<Item = &'a Rollout> {
        let id = self.run.id;
        self.books.rollouts.values().rev().filter(move |r| r.playbook == Some(id))
    }

    /// The states before and after it.
    fn states(&self, rollout: &Rollout) -> Option<(&'a Snapshot, &'a Snapshot)> {
        let state = |id| self.books.snapshots.get(&id);
        Some((state(rollout.from?)?, state(rollout.to)?))
    }

    fn promotions(&self) -> Result<Promotions, String> {
        let standing: Vec<&Rollout> = self.rollouts().filter(|r| self.stands(r)).collect();
        let Some(newest) = standing.first() else { return Ok(Promotions::None) };
        let of_group = |r: &&'a Rollout| r.groups.iter().map(|group| (group.clone(), r.id)).collect::<Vec<_>>();
        let groups: BTreeMap<Group, RolloutId> = standing.iter().rev().flat_map(of_group).collect();
        let all = taken_back(self.books, &Scope::Last);
        let covers = |group: &Group| all.iter().any(|r| r.groups.contains(group));
        if all.iter().all(|r| self.is_ours(r)) && groups.keys().all(covers) {
            return Ok(Promotions::All(newest.id));
        }
        for rollout in standing {
            for group in &rollout.groups {
                let newest = taken_back(self.books, &Scope::Group(group.clone())).first().copied();
                if let Some(other) = newest.filter(|newest| newest.version != rollout.version) {
                    let before = rollout.from.map_or("SNAPSHOT".to_owned(), |id| id.to_string());
                    return Err(not_alone(rollout, other, &format!("pointsman rollback --to {before}")));
                }
            }
        }
        Ok(Promotions::Groups(groups))
    }

    /// Whether a wiki that this promotion moved is still wanted where it put it, or may serve it.
    fn stands(&self, rollout: &Rollout) -> bool {
        if rollout.kind != Kind::Promote || !moved(rollout) {
            return false;
        }
        let (Some((before, after)), Some(wanted)) = (self.states(rollout), self.books.wanted()) else { return false };
        let moved = after.map.0.iter().filter(|(wiki, version)| before.map.0.get(wiki) != Some(version));
        let is_open = rollout.status == Status::Open;
        moved.into_iter().any(|(wiki, version)| is_open || wanted.map.0.get(wiki) == Some(version))
    }

    /// Syncs that were not undone, newest first.
    fn syncs(&self) -> Result<Vec<RolloutId>, String> {
        let mut content = self.books.wanted().map(|wanted| wanted.wanted.clone()).unwrap_or_default();
        let mut syncs = Vec::new();
        for sync in undoable(self.books).filter(|sync| self.is_ours(sync)) {
            let Some((before, after)) = self.states(sync) else { continue };
            // What is new with a sync has nothing to go back to.
            let changed = after.wanted.iter().filter_map(|(component, id)| {
                let old = before.wanted.get(component).filter(|old| *old != id)?;
                Some((component, id, *old))
            });
            let changed: Vec<_> = changed.collect();
            for (component, id, old) in &changed {
                if content.get(component) != Some(id) {
                    let other = undoable(self.books).find(|other| !self.is_ours(other)).unwrap_or(sync);
                    return Err(not_alone(sync, other, &format!("pointsman undo {}", other.id)));
                }
                content.insert((*component).clone(), *old);
            }
            if !changed.is_empty() {
                syncs.push(sync.id);
            }
        }
        Ok(syncs)
    }

    /// What is held by a pin of the run's own.
    fn pins(&self) -> Vec<(String, RolloutId)> {
        let Some(wanted) = self.books.wanted() else { return Vec::new() };
        let mut subjects = Vec::new();
        for rollout in self.rollouts().filter(|r| r.kind == Kind::Pin) {
            let Some((before, after)) = self.states(rollout) else { continue };
            let (old, now) = (all(&before.pins), all(&wanted.pins));
            let made = all(&after.pins).into_iter().filter(|pin| !old.contains(pin) && now.contains(pin));
            subjects.extend(made.map(|(subject, _)| (subject, rollout.id)));
        }
        subjects
    }
}

fn not_alone(ours: &Rollout, other: &Rollout, way: &str) -> String {
    format!(
        "{} can't be taken back without {}, which {} made after it, so nothing was: pointsman history, then {way}",
        ours.id, other.id, other.by
    )
}

/// Every pin with its subject.
fn all(pins: &Pins) -> Vec<(String, &Pin)> {
    let wikis = pins.wikis.iter().map(|(wiki, pin)| (wiki.to_string(), pin));
    wikis.chain(pins.hosts.iter().map(|(host, pin)| (host.to_string(), pin))).collect()
}
