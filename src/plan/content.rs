//! Goals about content and hosts: sync, undo and converge.

use super::back;
use super::goal::{Blocked, Extent, Goal, Mode, Site, Why, changes};
use crate::model::books::{Books, Kind, Rollout, Snapshot, Status};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::ids::RolloutId;
use crate::model::map::VersionMap;
use crate::model::names::Version;
use crate::model::planted::{Bug, planted};
use std::collections::{BTreeMap, BTreeSet};

/// New wanted content for some components. With `whole` it is all that is wanted beside what is in use, pinned or
/// needed by a rollback, so versions that left staging cease to be wanted. `initial` is the map that staging brings
/// when the books have none.
pub fn sync(
    site: Site<'_>,
    content: &BTreeMap<Component, Digest>,
    initial: Option<&VersionMap>,
    whole: bool,
    why: &str,
) -> Result<Goal, Blocked> {
    let before = site.books.wanted();
    let map = before.map(|b| b.map.clone()).or_else(|| initial.cloned()).ok_or_else(no_map)?;
    covers_every_wiki(site, &map)?;
    let mut wanted = before.map(|b| b.wanted.clone()).unwrap_or_default();
    if whole {
        let used = in_use(site);
        wanted.retain(|component, _| match component {
            Component::Version(version) => used.contains(version),
            Component::Config(_) => true,
        });
    }
    wanted.extend(content.iter().map(|(component, id)| (component.clone(), *id)));
    let changes = changes(site.policy, before.map_or(&VersionMap::default(), |b| &b.map), &map);
    let pins = before.map_or_else(|| site.pins(), |b| b.pins.clone());
    let snapshot = Snapshot { id: site.books.next_snapshot(), map, pins, wanted, at: site.now };
    let rollout = site.rollout(Kind::Sync, snapshot.id, why);
    Ok(each(rollout, snapshot, true, changes))
}

/// Versions that are served, pinned, or needed by a rollback.
fn in_use(site: Site<'_>) -> BTreeSet<Version> {
    let served = site.books.wanted().map(|wanted| wanted.map.clone()).unwrap_or_default();
    let fallback = back::restored(site, &back::Scope::Last).map(|restored| restored.map);
    let fallback = fallback.ok().filter(|_| !planted(Bug::RollbackVersionForgotten)).unwrap_or_default();
    let pins = site.pins();
    let pinned = pins.wikis.values().chain(pins.hosts.values()).map(|pin| &pin.version);
    served.0.values().chain(fallback.0.values()).chain(pinned).cloned().collect()
}

/// Moves the wanted content back to what it was before a sync; the newest one that was not undone when none is named.
pub fn undo(site: Site<'_>, which: Option<RolloutId>, why: &str) -> Result<Goal, Blocked> {
    let wanted = site.wanted()?;
    let sync = find_sync(site, which)?;
    let before = sync.from.and_then(|id| site.books.snapshots.get(&id));
    let after = site.books.snapshots.get(&sync.to);
    let (Some(before), Some(after)) = (before, after) else {
        return Err(Blocked::new(Why::Usage, format!("{} was the first sync: there is nothing before it", sync.id)));
    };
    let mut content = wanted.wanted.clone();
    for (component, id) in &after.wanted {
        match before.wanted.get(component) {
            Some(old) if old != id => content.insert(component.clone(), *old),
            _ => None,
        };
    }
    if content == wanted.wanted {
        return Err(Blocked::new(Why::Usage, format!("{} changed no content that was there before", sync.id)));
    }
    let snapshot = Snapshot { id: site.books.next_snapshot(), wanted: content, at: site.now, ..wanted.clone() };
    let mut rollout = site.rollout(Kind::Undo, snapshot.id, why);
    rollout.effect = sync.id.to_string();
    Ok(each(rollout, snapshot, true, Vec::new()))
}

/// Hosts are brought to the wanted state as it stands.
pub fn converge(site: Site<'_>, extent: Extent, why: &str) -> Result<Goal, Blocked> {
    let wanted = site.wanted()?;
    let rollout = site.rollout(Kind::Converge, wanted.id, why);
    Ok(Goal { extent, ..each(rollout, wanted.clone(), false, Vec::new()) })
}

/// Hosts are brought to the wanted state as it stands, and what nobody needs is removed there.
pub fn collect(site: Site<'_>, why: &str) -> Result<Goal, Blocked> {
    Ok(Goal { keep: Some(needed(site)), ..converge(site, Extent::Served, why)? })
}

/// Versions that hosts keep: wanted, served, pinned, needed by a rollback, or part of an undertaking that has not ended.
pub fn needed(site: Site<'_>) -> BTreeSet<Version> {
    let mut needed = in_use(site);
    let open = site.books.open().flat_map(|rollout| rollout.from.into_iter().chain([rollout.to]));
    for id in open.chain(site.books.current) {
        let Some(snapshot) = site.books.snapshots.get(&id) else { continue };
        needed.extend(snapshot.map.0.values().cloned());
        needed.extend(snapshot.wanted.keys().filter_map(|component| match component {
            Component::Version(version) => Some(version.clone()),
            Component::Config(_) => None,
        }));
    }
    needed
}

fn each(rollout: Rollout, snapshot: Snapshot, is_new: bool, changes: Vec<super::goal::Change>) -> Goal {
    let (pins, fallback) = (Vec::new(), BTreeSet::new());
    let (mode, extent) = (Mode::Each, Extent::Wanted);
    Goal { rollout, snapshot, is_new, mode, extent, changes, pins, fallback, hold: None, keep: None }
}

fn no_map() -> Blocked {
    Blocked::new(Why::Paused, "the books have no version map yet and staging has no wikiversions.json")
        .hint("put the map that the fleet serves into staging, then pointsman sync-common --from-staging")
}

fn covers_every_wiki(site: Site<'_>, map: &VersionMap) -> Result<(), Blocked> {
    let all = site.policy.groups.iter().flat_map(|g| &g.wikis);
    let missing: Vec<&str> = all.filter(|wiki| !map.0.contains_key(wiki)).map(|w| w.as_str()).collect();
    match missing.first() {
        None => Ok(()),
        Some(first) => {
            let n = missing.len();
            Err(Blocked::new(
                Why::Usage,
                format!("the version map lacks {n} of the wikis in groups.yaml, {first} first"),
            ))
        }
    }
}

/// A sync of what was wanted already, which would only stand before the one that is meant.
fn changed_nothing(books: &Books, sync: &Rollout) -> bool {
    let wanted = |id| books.snapshots.get(&id).map(|snapshot| &snapshot.wanted);
    sync.from.is_some_and(|from| wanted(from).is_some() && wanted(from) == wanted(sync.to))
}

fn is_sync(rollout: &&Rollout) -> bool {
    rollout.kind == Kind::Sync && rollout.status != Status::Dropped
}

/// Syncs that changed something and were not undone, newest first.
pub fn undoable(books: &Books) -> impl Iterator<Item = &Rollout> {
    let undos = books.rollouts.values().filter(|r| r.kind == Kind::Undo && r.status != Status::Dropped);
    let undone: BTreeSet<&str> = undos.filter_map(|r| r.effect.split(' ').next()).collect();
    let syncs = books.rollouts.values().rev().filter(is_sync);
    syncs.filter(move |r| !undone.contains(r.id.to_string().as_str()) && !changed_nothing(books, r))
}

fn find_sync(site: Site<'_>, which: Option<RolloutId>) -> Result<&Rollout, Blocked> {
    let found = match which {
        Some(id) => site.books.rollouts.get(&id).filter(is_sync),
        None => undoable(site.books).next(),
    };
    found.ok_or_else(|| Blocked::new(Why::Usage, "there is no such sync to undo").hint("pointsman history"))
}

#[cfg(test)]
mod tests;
