//! The incident's fleet for tests of the plan: 894 wikis in groups of 5, 594 and 295, two pins, and a dozen hosts.
//!
//! The numbers and the two pins are those of the public history of wikiversions.json in January 2016; names of wikis
//! that it does not give are generated.

use super::forward;
use super::goal::{Goal, Site};
use super::hosts::{self, Plan};
use crate::config::policy::{
    GroupPolicy, Hooks, HostPolicy, Limits, Policy, Role, Soak, SshConfig, SshPolicy, Transport, Web,
};
use crate::model::books::{Books, Pin, PinSource, Pins, Record, Snapshot, Status};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, SnapshotId};
use crate::model::map::VersionMap;
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// `1.27.0-wmf.N`.
pub fn wmf(n: u32) -> Version {
    format!("1.27.0-wmf.{n}").parse().expect("a version")
}

/// A group's name.
pub fn group(name: &str) -> Group {
    name.parse().expect("a group")
}

/// A wiki's name.
pub fn wiki(name: &str) -> Wiki {
    name.parse().expect("a wiki")
}

fn wikis(prefix: &str, n: usize, named: &[&str]) -> BTreeSet<Wiki> {
    let generated = (0..n - named.len()).map(|i| wiki(&format!("{prefix}{i:03}wiki")));
    generated.chain(named.iter().map(|name| wiki(name))).collect()
}

fn host(roles: &[Role], datacenter: &str) -> HostPolicy {
    let transport = Transport::Local { directory: PathBuf::from("/nowhere") };
    HostPolicy { roles: roles.iter().copied().collect(), datacenter: datacenter.to_owned(), transport, proxy: None }
}

/// The site as groups.yaml would give it, with `hosts` hosts: one debug host, two canaries, the rest.
pub fn policy(hosts: usize) -> Policy {
    let role = |i| match i {
        0 => Role::Debug,
        1 | 2 => Role::Canary,
        _ => Role::Appserver,
    };
    let name = |i: usize| format!("mw{:04}.codfw.wmnet", 2001 + i).parse::<HostName>().expect("a host");
    Policy {
        file: PathBuf::from("/site/groups.yaml"),
        files: BTreeMap::new(),
        root: PathBuf::from("/srv/mediawiki"),
        state: PathBuf::from("/var/lib/pointsman"),
        staging: PathBuf::from("/srv/staging"),
        books: PathBuf::from("/var/lib/pointsman-books"),
        store: None,
        signed: false,
        configuration: vec![Component::Config("wmf-config".to_owned())],
        groups: vec![
            GroupPolicy { name: group("group0"), wikis: wikis("zero", 5, &["testwiki"]) },
            GroupPolicy { name: group("group1"), wikis: wikis("one", 594, &["labswiki", "labtestwiki", "hewiki"]) },
            GroupPolicy { name: group("group2"), wikis: wikis("two", 295, &["enwiki"]) },
        ],
        hosts: (0..hosts).map(|i| (name(i), host(&[role(i)], "codfw"))).collect(),
        pins: Pins { wikis: ["labswiki", "labtestwiki"].map(|w| (wiki(w), declared_pin())).into(), ..Pins::default() },
        hooks: Hooks::default(),
        artefacts: Vec::new(),
        limits: Limits::default(),
        ssh: SshPolicy { config: SshConfig::Own, kex: None, keep_s: 0 },
        gates: Vec::new(),
        soak: Soak::default(),
        web: Web::default(),
        environments: Vec::new(),
        mirrors: Vec::new(),
        notify: Vec::new(),
        rights: None,
    }
}

fn declared_pin() -> Pin {
    Pin {
        version: wmf(9),
        reason: "stays behind".to_owned(),
        owner: "labs".to_owned(),
        since: Time(0),
        until: None,
        source: PinSource::Config,
    }
}

/// A pin that somebody made by hand.
pub fn hand_pin(version: u32, until: Option<u64>) -> Pin {
    Pin {
        version: wmf(version),
        reason: "debugging".to_owned(),
        owner: "bd808".to_owned(),
        since: Time(0),
        until: until.map(Time),
        source: PinSource::Books,
    }
}

/// Books after the first sync: everything on `.10`, the pinned wikis on `.9`, contents known for `.9` to `.12`.
pub fn books(policy: &Policy) -> Books {
    let version = |wiki: &Wiki| if policy.pins.wikis.contains_key(wiki) { wmf(9) } else { wmf(10) };
    let map = policy.groups.iter().flat_map(|g| &g.wikis).map(|wiki| (wiki.clone(), version(wiki))).collect();
    let mut wanted: BTreeMap<Component, Digest> =
        (9..13).map(|n| (Component::Version(wmf(n)), Digest::of(format!("tree {n}").as_bytes()))).collect();
    wanted.insert(Component::Config("wmf-config".to_owned()), Digest::of(b"configuration"));
    let snapshot = Snapshot { id: SnapshotId(1), map: VersionMap(map), pins: policy.pins.clone(), wanted, at: Time(0) };
    let mut books = Books::new(BooksId(7));
    books.snapshots.insert(snapshot.id, snapshot);
    books.current = Some(SnapshotId(1));
    books
}

/// A site at `now`.
pub fn site<'a>(policy: &'a Policy, books: &'a Books, now: u64) -> Site<'a> {
    Site { policy, books, now: Time(now), by: "operator@deploy1001" }
}

/// The books after the undertaking of `goal` was opened, which moves hosts already if it is `dispatched`.
pub fn opened(books: &mut Books, goal: Goal, dispatched: bool, now: u64) {
    let id = goal.rollout.id;
    let snapshot = goal.is_new.then_some(goal.snapshot);
    books.apply(Time(now), &Record::Opened { rollout: goal.rollout, snapshot, moves_current: false });
    if dispatched {
        books.apply(Time(now), &Record::Intents { rollout: id, command: "switch".to_owned(), hosts: Vec::new() });
    }
}

/// The books after `goal` was carried out on every host.
pub fn done(books: &mut Books, goal: Goal, now: u64) {
    let moves = goal.rollout.to;
    ended(books, goal, Status::Done, now);
    assert_eq!(books.current, Some(moves));
}

/// The books after the undertaking of `goal` ended so.
pub fn ended(books: &mut Books, goal: Goal, status: Status, now: u64) {
    let (rollout, effect) = (goal.rollout.id, goal.rollout.effect.clone());
    opened(books, goal, status != Status::Dropped, now);
    let moves_current = matches!(status, Status::Done | Status::Owed);
    books.apply(Time(now), &Record::Ended { rollout, status, moves_current, effect });
}

/// `version: n` for each version of a map, in one line.
pub fn counts(map: &VersionMap) -> String {
    let words = map.counts().into_iter().map(|(version, n)| format!("{version}: {n}"));
    words.collect::<Vec<_>>().join(", ")
}

/// The plan of group0's promotion to `.11` over a dozen hosts.
pub fn promotion() -> Plan {
    let policy = policy(12);
    let books = books(&policy);
    let site = site(&policy, &books, 1);
    let goal = forward::promote(site, &group("group0"), &wmf(11), "train, T119517", None).expect("it is planned");
    hosts::plan(site, goal, None).expect("it is planned")
}
