//! Goals that go forward: promote, pin and unpin. All of them step around pins and say so.

use super::back;
use super::gates;
use super::goal::{Blocked, Extent, Goal, Mode, PinFate, PinNote, Site, Why, changes};
use crate::config::policy::GroupPolicy;
use crate::model::books::{Books, Kind, Pin, Pins, Rollout, Snapshot, Status};
use crate::model::component::Component;
use crate::model::map::VersionMap;
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::words::nearest;
use std::collections::BTreeSet;

/// What to hold or let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Everywhere.
    Wiki(Wiki),
    /// For all wikis there.
    Host(HostName),
}

/// All wikis of `group` that are not pinned go to `version`. `again` is the reason for a version that was rolled back.
pub fn promote(
    site: Site<'_>,
    group: &Group,
    version: &Version,
    why: &str,
    again: Option<&str>,
) -> Result<Goal, Blocked> {
    let wanted = site.wanted()?;
    let group = find_group(site, group)?;
    known_version(wanted, version)?;
    free_to_go_forward(site)?;
    not_rolled_back(site, version, again)?;
    let pins = site.pins();
    let mut map = refreshed(site, &wanted.map, &pins);
    for wiki in &group.wikis {
        if !pins.wikis.contains_key(wiki) {
            map.0.insert(wiki.clone(), version.clone());
        }
    }
    let notes = stepped_around(group, &pins, version);
    let reason = again.map_or_else(|| why.to_owned(), |again| format!("{why} (again: {again})"));
    let mut goal = forward(site, Kind::Promote, map, pins, notes, &reason);
    goal.rollout.groups = vec![group.name.clone()];
    goal.rollout.version = Some(version.clone());
    goal.fallback = fallback(site, &goal);
    Ok(goal)
}

/// No blocker is open but those that were accepted for this promotion; these as an addition to its reason.
pub fn no_blocker(site: Site<'_>, accepted: &[(String, String)]) -> Result<String, Blocked> {
    let open = &site.books.health.blockers;
    let of = |id: &str| accepted.iter().find(|(name, _)| name == id);
    if let Some((id, blocker)) = open.iter().find(|(id, _)| of(id).is_none()) {
        let what =
            format!("the blocker {id} is open {} ({}): {}", blocker.since.since(site.now), blocker.by, blocker.text);
        return Err(Blocked::new(Why::Refused, what)
            .hint(format!("pointsman blocker close {id} -m WHY, or promote with --accept {id}=REASON")));
    }
    if let Some((id, _)) = accepted.iter().find(|(id, _)| !open.contains_key(id)) {
        return Err(Blocked::new(Why::Usage, format!("no blocker {id} is open")).hint("pointsman blocker list"));
    }
    let named = accepted.iter().map(|(id, reason)| format!(" (accepted {id}: {reason})"));
    Ok(named.collect())
}

/// Takes up the promotion that was begun and not ended; its reason and its groups stay.
pub fn resume(site: Site<'_>) -> Result<Goal, Blocked> {
    let begun = site.books.open().rfind(|r| r.kind == Kind::Promote && r.dispatched);
    let parts = begun.and_then(|begun| Some((begun, begun.groups.first()?, begun.version.as_ref()?)));
    let Some((begun, group, version)) = parts else {
        return Err(Blocked::new(Why::Usage, "no promotion is unfinished").hint("pointsman converge"));
    };
    let mut books = site.books.clone();
    books.rollouts.values_mut().filter(|r| r.status == Status::Open).for_each(|r| r.status = Status::Superseded);
    promote(Site { books: &books, ..site }, group, version, &begun.why, Some("taken up after an interruption"))
}

/// `subject` is held on the pin's version from now on. A hold does not stop it: one host on the version that was taken
/// back, to find out why, is asked for by name and with a reason.
pub fn pin(site: Site<'_>, subject: &Subject, pin: Pin) -> Result<Goal, Blocked> {
    let wanted = site.wanted()?;
    known_version(wanted, &pin.version)?;
    nothing_unfinished(site)?;
    let mut pins = site.pins();
    let note = note(subject, &pin.version, PinFate::Made);
    let why = format!("pin {}: {}", note.subject, pin.reason);
    match subject {
        Subject::Wiki(wiki) => {
            if !wanted.map.0.contains_key(wiki) {
                let near = nearest(wiki.as_str(), wanted.map.0.keys().map(Wiki::as_str));
                return Err(unknown("wiki", wiki.as_str(), near));
            }
            pins.wikis.insert(wiki.clone(), pin);
        }
        Subject::Host(host) => {
            pins.hosts.insert(host.clone(), pin);
        }
    }
    let map = refreshed(site, &wanted.map, &pins);
    let mut goal = forward(site, Kind::Pin, map, pins, vec![note], &why);
    goal.fallback = fallback(site, &goal);
    Ok(goal)
}

/// `subject` runs again what its group runs.
pub fn unpin(site: Site<'_>, subject: &Subject, why: &str) -> Result<Goal, Blocked> {
    let wanted = site.wanted()?;
    nothing_unfinished(site)?;
    let mut pins = site.pins();
    let mut map = refreshed(site, &wanted.map, &pins);
    let declared = match subject {
        Subject::Wiki(wiki) => site.policy.pins.wikis.contains_key(wiki),
        Subject::Host(host) => site.policy.pins.hosts.contains_key(host),
    };
    if declared {
        return Err(Blocked::new(
            Why::Usage,
            format!("{} is pinned in groups.yaml: remove the pin there", name(subject)),
        )
        .hint("the next promotion then takes it along"));
    }
    let removed = match subject {
        Subject::Wiki(wiki) => pins.wikis.remove(wiki),
        Subject::Host(host) => pins.hosts.remove(host),
    };
    let Some(removed) = removed else {
        return Err(Blocked::new(Why::Usage, format!("{} is not pinned", name(subject))).hint("pointsman status"));
    };
    if let Subject::Wiki(wiki) = subject {
        let version = version_of_group(site, wiki, wanted, &pins)?;
        map.0.insert(wiki.clone(), version);
    }
    let notes = vec![note(subject, &removed.version, PinFate::Removed)];
    let mut goal = forward(site, Kind::Unpin, map, pins, notes, why);
    goal.fallback = fallback(site, &goal);
    Ok(goal)
}

fn forward(site: Site<'_>, kind: Kind, map: VersionMap, pins: Pins, notes: Vec<PinNote>, why: &str) -> Goal {
    let before = site.books.wanted();
    let changes = before.map(|before| changes(site.policy, &before.map, &map)).unwrap_or_default();
    let snapshot = Snapshot {
        id: site.books.next_snapshot(),
        map,
        pins,
        wanted: before.map(|before| before.wanted.clone()).unwrap_or_default(),
        at: site.now,
    };
    let rollout = site.rollout(kind, snapshot.id, why);
    Goal {
        rollout,
        snapshot,
        is_new: true,
        mode: Mode::Barrier,
        extent: Extent::Served,
        changes,
        pins: notes,
        fallback: BTreeSet::new(),
        hold: None,
        keep: None,
    }
}

/// The books as they will stand once `goal` is reached.
pub fn afterwards(books: &Books, goal: &Goal) -> Books {
    let mut books = books.clone();
    let done = Rollout { status: Status::Done, ..goal.rollout.clone() };
    books.snapshots.insert(goal.snapshot.id, goal.snapshot.clone());
    books.rollouts.insert(done.id, done);
    books.current = Some(goal.snapshot.id);
    books
}

/// What a rollback would need once `goal` is reached: that is what must be proven before.
fn fallback(site: Site<'_>, goal: &Goal) -> BTreeSet<Version> {
    let books = afterwards(site.books, goal);
    let before = site.books.wanted().map(|s| s.map.clone()).unwrap_or_default();
    let target = back::restored(Site { books: &books, ..site }, &back::Scope::Last).map(|r| r.map).unwrap_or_default();
    // A host that is let go, or held on another version, would go back to the one that it was held on.
    let held = site.books.wanted().into_iter().flat_map(|before| before.pins.hosts.values());
    let hosts = goal.snapshot.pins.hosts.values().chain(held).map(|pin| &pin.version);
    before.0.values().chain(target.0.values()).chain(hosts).cloned().collect()
}

fn find_group<'a>(site: Site<'a>, name: &Group) -> Result<&'a GroupPolicy, Blocked> {
    site.policy.groups.iter().find(|group| group.name == *name).ok_or_else(|| {
        let near = nearest(name.as_str(), site.policy.groups.iter().map(|g| g.name.as_str()));
        unknown("group", name.as_str(), near)
    })
}

/// An error for a name that is not there.
pub fn unknown(what: &str, name: &str, near: Option<&str>) -> Blocked {
    let blocked = Blocked::new(Why::Usage, format!("there is no {what} `{name}`"));
    match near {
        Some(near) => blocked.hint(format!("did you mean `{near}`?")),
        None => blocked,
    }
}

fn known_version(wanted: &Snapshot, version: &Version) -> Result<(), Blocked> {
    if wanted.wanted.contains_key(&Component::Version(version.clone())) {
        return Ok(());
    }
    let known: Vec<&str> = wanted
        .wanted
        .keys()
        .filter_map(|component| match component {
            Component::Version(version) => Some(version.as_str()),
            Component::Config(_) => None,
        })
        .collect();
    let near = nearest(version.as_str(), known.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
    Err(Blocked::new(
        Why::Usage,
        format!("version {version} was never synced (known: {}){}", known.join(", "), near.unwrap_or_default()),
    )
    .hint(format!("when php-{version} lies in staging: pointsman sync-common --from-staging")))
}

/// No hold, no expired pin, nothing unfinished.
pub fn free_to_go_forward(site: Site<'_>) -> Result<(), Blocked> {
    not_held(site)?;
    nothing_unfinished(site)?;
    let pins = site.pins();
    let wikis = pins.wikis.iter().map(|(wiki, pin)| (wiki.as_str(), pin));
    let hosts = pins.hosts.iter().map(|(host, pin)| (host.as_str(), pin));
    for (name, pin) in wikis.chain(hosts) {
        if let Some(until) = pin.until.filter(|until| *until <= site.now) {
            return Err(Blocked::new(
                Why::Paused,
                format!("the pin of {name} on {} expired {until} ({}, {})", pin.version, pin.reason, pin.owner),
            )
            .hint(format!("pointsman pin {name} {} --reason R --until T, or pointsman unpin {name}", pin.version)));
        }
    }
    Ok(())
}

fn not_held(site: Site<'_>) -> Result<(), Blocked> {
    if let Some(hold) = &site.books.hold {
        return Err(Blocked::new(
            Why::Refused,
            format!("a hold is set by {}, {}: {}", hold.by, hold.since.since(site.now), hold.reason),
        )
        .hint("pointsman release, once the reason is gone"));
    }
    Ok(())
}

fn nothing_unfinished(site: Site<'_>) -> Result<(), Blocked> {
    if let Some(open) = site.books.open().next_back() {
        return Err(Blocked::new(Why::Paused, format!("{} of {} by {} is unfinished", open.id, open.at, open.by))
            .hint("pointsman converge"));
    }
    Ok(())
}

fn not_rolled_back(site: Site<'_>, version: &Version, again: Option<&str>) -> Result<(), Blocked> {
    let of_it = site.books.rollouts.values().rev().find(|r| {
        let moved = matches!(r.kind, Kind::Promote | Kind::Rollback) && r.status != Status::Dropped;
        moved && r.version.as_ref() == Some(version)
    });
    let taken_back = of_it.filter(|r| r.kind == Kind::Rollback || r.status == Status::WentBack);
    match (taken_back, again) {
        (Some(back), None) => Err(Blocked::new(
            Why::Refused,
            format!(
                "{version} was taken back by {} at {}, {} ({}: {}){}",
                back.by,
                back.at.moment(),
                back.at.ago(site.now),
                back.id,
                back.why,
                gates::evidence(site.books, version).into_iter().map(|line| format!("\n  {line}")).collect::<String>()
            ),
        )
        .hint("promote it again with --again --reason R")),
        _ => Ok(()),
    }
}

/// The map with the wikis that groups.yaml has now: a new wiki runs what its group runs, one that is gone leaves, and
/// pinned ones stand where they are pinned.
fn refreshed(site: Site<'_>, map: &VersionMap, pins: &Pins) -> VersionMap {
    let mut refreshed = VersionMap::default();
    for group in &site.policy.groups {
        let known = group.wikis.iter().filter_map(|wiki| Some((wiki.clone(), map.0.get(wiki)?.clone())));
        let known = VersionMap(known.collect());
        let most = known.counts().into_iter().max_by_key(|(_, n)| *n).map(|(version, _)| version);
        let version = |wiki: &Wiki| known.0.get(wiki).cloned().or_else(|| most.clone());
        refreshed.0.extend(group.wikis.iter().filter_map(|wiki| Some((wiki.clone(), version(wiki)?))));
    }
    with_pins(&refreshed, pins)
}

fn with_pins(map: &VersionMap, pins: &Pins) -> VersionMap {
    let mut map = map.clone();
    for (wiki, pin) in &pins.wikis {
        if let Some(version) = map.0.get_mut(wiki) {
            version.clone_from(&pin.version);
        }
    }
    map
}

fn stepped_around(group: &GroupPolicy, pins: &Pins, version: &Version) -> Vec<PinNote> {
    let wikis = pins.wikis.iter().filter(|(wiki, _)| group.wikis.contains(wiki)).map(|(w, pin)| (w.to_string(), pin));
    let hosts = pins.hosts.iter().map(|(host, pin)| (host.to_string(), pin));
    let other = wikis.chain(hosts).filter(|(_, pin)| pin.version != *version);
    let noted = |(subject, pin): (String, &Pin)| PinNote {
        subject,
        version: pin.version.clone(),
        fate: PinFate::SteppedAround,
    };
    other.map(noted).collect()
}

/// The version that most wikis of the wiki's group run, pinned ones aside.
fn version_of_group(site: Site<'_>, wiki: &Wiki, wanted: &Snapshot, pins: &Pins) -> Result<Version, Blocked> {
    let group = site.policy.groups.iter().find(|group| group.wikis.contains(wiki));
    let group = group.ok_or_else(|| unknown("wiki", wiki.as_str(), None))?;
    let others = group.wikis.iter().filter(|w| *w != wiki && !pins.wikis.contains_key(w));
    let map = VersionMap(others.filter_map(|w| Some((w.clone(), wanted.map.0.get(w)?.clone()))).collect());
    let most = map.counts().into_iter().max_by_key(|(_, n)| *n).map(|(version, _)| version);
    most.ok_or_else(|| {
        Blocked::new(Why::Usage, format!("{wiki} is alone in {}: promote the group instead", group.name))
    })
}

fn name(subject: &Subject) -> String {
    match subject {
        Subject::Wiki(wiki) => wiki.to_string(),
        Subject::Host(host) => host.to_string(),
    }
}

fn note(subject: &Subject, version: &Version, fate: PinFate) -> PinNote {
    PinNote { subject: name(subject), version: version.clone(), fate }
}
