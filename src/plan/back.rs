//! Goals that go back: what a rollback restores (P20). Its target is a recorded state, never guessed.
//!
//! Without a scope it is every group of the version last promoted, to the state before that version's first
//! promotion. The incident's rollback was 894 wikis so, not the 295 of the last step.

use super::goal::{Blocked, Extent, Goal, Mode, PinFate, PinNote, Site, Why, changes};
use super::needs;
use crate::model::books::{Books, Kind, Pin, Pins, Rollout, Snapshot, Status};
use crate::model::ids::SnapshotId;
use crate::model::map::VersionMap;
use crate::model::names::{Group, Version, Wiki};
use crate::model::planted::{Bug, planted};
use std::collections::{BTreeMap, BTreeSet};

/// How far back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every group of the version last promoted.
    Last,
    /// One group of it.
    Group(Group),
    /// A recorded state by name, whole.
    To(SnapshotId),
}

/// What a rollback would restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The map afterwards.
    pub map: VersionMap,
    /// The pins afterwards.
    pub pins: Pins,
    /// Groups that move.
    pub groups: Vec<Group>,
    /// The version that is taken back; `None` with an explicit snapshot.
    pub version: Option<Version>,
    /// The recorded state that it comes from.
    pub source: SnapshotId,
}

/// The goal of a rollback. When the newest move was a rollback, that one is finished instead.
pub fn rollback(site: Site<'_>, scope: &Scope, why: &str) -> Result<Goal, Blocked> {
    let wanted = site.wanted()?;
    if let (Scope::Last, Some(last)) = (scope, last_move(site.books).filter(|last| last.kind == Kind::Rollback)) {
        return Ok(finish(site, wanted, last, why));
    }
    let restored = restored(site, scope)?;
    let before = served_before(site);
    let pins = pin_notes(&wanted.pins, &restored);
    let changes = changes(site.policy, &before, &restored.map);
    let snapshot = Snapshot {
        id: site.books.next_snapshot(),
        map: restored.map,
        pins: restored.pins,
        wanted: wanted.wanted.clone(),
        at: site.now,
    };
    let mut rollout = site.rollout(Kind::Rollback, snapshot.id, why);
    rollout.groups = restored.groups;
    rollout.version = restored.version;
    let hold = Some(format!("rollback {}: {why}", rollout.id));
    let (mode, extent, fallback) = (Mode::Each, Extent::Served, BTreeSet::new());
    Ok(Goal { rollout, snapshot, is_new: true, mode, extent, changes, pins, fallback, hold, keep: None })
}

/// The rollback that was begun last, taken up again: the wanted state does not move.
fn finish(site: Site<'_>, wanted: &Snapshot, last: &Rollout, why: &str) -> Goal {
    let mut rollout = site.rollout(Kind::Rollback, wanted.id, why);
    rollout.groups.clone_from(&last.groups);
    rollout.version.clone_from(&last.version);
    Goal {
        rollout,
        snapshot: wanted.clone(),
        is_new: false,
        mode: Mode::Each,
        extent: Extent::Served,
        changes: Vec::new(),
        pins: Vec::new(),
        fallback: BTreeSet::new(),
        hold: site.books.hold.is_none().then(|| format!("rollback {}: {why}", last.id)),
        keep: None,
    }
}

/// What the fleet may serve now: the wanted map, or what an unfinished promotion was moving it to.
fn served_before(site: Site<'_>) -> VersionMap {
    let moving = site.books.open().rfind(|r| r.kind == Kind::Promote && r.dispatched);
    let snapshot = moving.and_then(|r| site.books.snapshots.get(&r.to)).or(site.books.wanted());
    snapshot.map(|s| s.map.clone()).unwrap_or_default()
}

/// What `scope` would restore, computed from the books alone.
pub fn restored(site: Site<'_>, scope: &Scope) -> Result<Restored, Blocked> {
    let wanted = site.wanted()?;
    match scope {
        Scope::To(id) => {
            let source = snapshot(site.books, *id)?;
            Ok(Restored {
                map: source.map.clone(),
                pins: source.pins.clone(),
                groups: site.policy.groups.iter().map(|g| g.name.clone()).collect(),
                version: None,
                source: *id,
            })
        }
        Scope::Last => {
            let last = last_promote(site.books, None).ok_or_else(nothing_to_take_back)?;
            from_run(site, wanted, last, None)
        }
        Scope::Group(group) => {
            let last = last_promote(site.books, Some(group)).ok_or_else(nothing_to_take_back)?;
            from_run(site, wanted, last, Some(group))
        }
    }
}

/// The promotions that a rollback with this scope would take back, newest first; none when it would finish a rollback,
/// and for a state by name.
pub fn taken_back<'a>(books: &'a Books, scope: &Scope) -> Vec<&'a Rollout> {
    let group = match scope {
        Scope::Last if last_move(books).is_none_or(|last| last.kind == Kind::Rollback) => return Vec::new(),
        Scope::To(_) => return Vec::new(),
        Scope::Last => None,
        Scope::Group(group) => Some(group),
    };
    let last = last_promote(books, group);
    last.and_then(|last| Some(run(books, last.version.as_ref()?, last, group))).unwrap_or_default()
}

fn nothing_to_take_back() -> Blocked {
    Blocked::new(Why::Usage, "the books record no promotion that could be taken back")
        .hint("pointsman history, then pointsman rollback --to SNAPSHOT")
}

fn snapshot(books: &Books, id: SnapshotId) -> Result<&Snapshot, Blocked> {
    books
        .snapshots
        .get(&id)
        .ok_or_else(|| Blocked::new(Why::Usage, format!("the books have no snapshot {id}")).hint("pointsman history"))
}

/// Whether it moved wikis: neither dropped nor brought back whole by itself.
pub fn moved(rollout: &Rollout) -> bool {
    match rollout.status {
        Status::Done | Status::Owed => true,
        Status::Open | Status::Superseded => rollout.dispatched || rollout.kind == Kind::Rollback,
        Status::Dropped | Status::WentBack => false,
    }
}

/// The newest promotion or rollback that moved wikis.
fn last_move(books: &Books) -> Option<&Rollout> {
    let of_kind = |r: &&Rollout| matches!(r.kind, Kind::Promote | Kind::Rollback) && moved(r);
    books.rollouts.values().rev().find(of_kind)
}

fn last_promote<'a>(books: &'a Books, group: Option<&Group>) -> Option<&'a Rollout> {
    let of_group = |r: &Rollout| group.is_none_or(|group| r.groups.contains(group));
    books.rollouts.values().rev().find(|r| r.kind == Kind::Promote && moved(r) && of_group(r))
}

/// Goes back over the promotions of one version to the first of its run, and restores the state before that one.
fn from_run(site: Site<'_>, wanted: &Snapshot, last: &Rollout, only: Option<&Group>) -> Result<Restored, Blocked> {
    let version = last.version.clone().ok_or_else(nothing_to_take_back)?;
    let run = run(site.books, &version, last, only);
    let first = run.last().and_then(|r| r.from).ok_or_else(nothing_to_take_back)?;
    let source = snapshot(site.books, first)?;
    let groups: BTreeSet<&Group> =
        run.iter().flat_map(|r| &r.groups).filter(|g| only.is_none_or(|o| o == *g)).collect();
    let pins = merged_pins(&source.pins, &wanted.pins);
    let mut map = wanted.map.clone();
    for group in site.policy.groups.iter().filter(|g| groups.contains(&g.name)) {
        for wiki in &group.wikis {
            let recorded = target(site, source, &group.wikis, wiki);
            let guess = || needs::all_versions(wanted).into_iter().filter(|other| *other < version).max();
            let target = if planted(Bug::RollbackTargetGuessed) { guess() } else { recorded };
            if let Some(version) = target {
                map.0.insert(wiki.clone(), version);
            }
        }
    }
    for (wiki, pin) in &pins.wikis {
        if let Some(version) = map.0.get_mut(wiki) {
            version.clone_from(&pin.version);
        }
    }
    let groups = site.policy.groups.iter().map(|g| g.name.clone()).filter(|g| groups.contains(g)).collect();
    Ok(Restored { map, pins, groups, version: Some(version), source: first })
}

/// The promotions of `version` up to `last`, newest first, back to the one before which no unpinned wiki ran it.
fn run<'a>(books: &'a Books, version: &Version, last: &Rollout, only: Option<&Group>) -> Vec<&'a Rollout> {
    let mut run = Vec::new();
    let of_version = |r: &&Rollout| r.kind == Kind::Promote && moved(r) && r.version.as_ref() == Some(version);
    let of_group = |r: &&Rollout| only.is_none_or(|group| r.groups.contains(group));
    for rollout in books.rollouts.range(..=last.id).rev().map(|(_, r)| r).filter(of_version).filter(of_group) {
        run.push(rollout);
        let before = rollout.from.and_then(|id| books.snapshots.get(&id));
        if before.is_none_or(|before| !runs_unpinned(before, version)) {
            break;
        }
    }
    run
}

fn runs_unpinned(snapshot: &Snapshot, version: &Version) -> bool {
    snapshot.map.0.iter().any(|(wiki, v)| v == version && !snapshot.pins.wikis.contains_key(wiki))
}

/// Where a wiki goes back to: its recorded version, or for a wiki that is newer than the record its group's.
fn target(site: Site<'_>, source: &Snapshot, group: &BTreeSet<Wiki>, wiki: &Wiki) -> Option<Version> {
    debug_assert!(site.policy.groups.iter().any(|g| &g.wikis == group), "the wikis are one group's");
    let recorded = source.map.0.get(wiki).cloned();
    recorded.or_else(|| {
        let others: BTreeMap<Wiki, Version> =
            group.iter().filter_map(|w| Some((w.clone(), source.map.0.get(w)?.clone()))).collect();
        VersionMap(others).counts().into_iter().max_by_key(|(_, n)| *n).map(|(version, _)| version)
    })
}

/// Recorded pins come back, pins made since stay and win.
fn merged_pins(recorded: &Pins, now: &Pins) -> Pins {
    let mut pins = recorded.clone();
    if planted(Bug::RollbackDropsPins) {
        return pins;
    }
    pins.wikis.extend(now.wikis.clone());
    pins.hosts.extend(now.hosts.clone());
    pins
}

fn pin_notes(now: &Pins, restored: &Restored) -> Vec<PinNote> {
    let had = |subject: &str| {
        let wiki = subject.parse().ok().and_then(|wiki: Wiki| now.wikis.get(&wiki));
        wiki.is_some() || subject.parse().ok().is_some_and(|host| now.hosts.contains_key(&host))
    };
    let wikis = restored.pins.wikis.iter().map(|(wiki, pin)| (wiki.to_string(), pin));
    let hosts = restored.pins.hosts.iter().map(|(host, pin)| (host.to_string(), pin));
    let noted = |(subject, pin): (String, &Pin)| {
        let fate = if had(&subject) { PinFate::Kept } else { PinFate::Restored };
        PinNote { subject, version: pin.version.clone(), fate }
    };
    wikis.chain(hosts).map(noted).collect()
}
