//! The screen as people see it, for the incident's fleet and for a large bad one.

use super::*;
use crate::model::books::{HostRow, Lock, Owed, Pins, Status};
use crate::model::ids::{BooksId, RolloutId, SnapshotId};
use crate::model::map::VersionMap;
use crate::model::protocol::{ArtefactCount, Facts, Readiness};
use expect_test::expect;

const NOW: Time = Time(1_453_511_640_000);
const REINSTALLED: Time = Time(1_453_427_280_000);

fn host(n: usize) -> HostName {
    format!("mw{n}.codfw.wmnet").parse().expect("a host")
}

fn version(n: u32) -> Version {
    format!("1.27.0-wmf.{n}").parse().expect("a version")
}

fn pin(n: u32, reason: &str, source: PinSource, until: Option<u64>) -> Pin {
    Pin {
        version: version(n),
        reason: reason.into(),
        owner: "anomie".into(),
        since: REINSTALLED,
        until: until.map(Time),
        source,
    }
}

fn wikis(group: &str, n: usize) -> Vec<Wiki> {
    (0..n).map(|i| format!("{group}_{i}wiki").parse().expect("a wiki")).collect()
}

/// Groups of 5, 594 and 295 wikis on .11, two of them pinned to .9; hosts from 2001 on.
fn view(hosts: usize) -> StatusView {
    let groups: Vec<(Group, Vec<Wiki>)> = [("group0", 5), ("group1", 594), ("group2", 295)]
        .map(|(name, n)| (name.parse().expect("a group"), wikis(name, n)))
        .into();
    let mut map: BTreeMap<Wiki, Version> =
        groups.iter().flat_map(|(_, wikis)| wikis).map(|wiki| (wiki.clone(), version(11))).collect();
    let mut pins = Pins::default();
    for wiki in wikis("group1", 2) {
        map.insert(wiki.clone(), version(9));
        pins.wikis.insert(wiki, pin(9, "import runs", PinSource::Config, Some(NOW.0 - 1)));
    }
    pins.hosts.insert(host(2001), pin(10, "debugging", PinSource::Books, None));
    let mut books = Books::new(BooksId(1));
    let wanted = Snapshot { id: SnapshotId(7), map: VersionMap(map), pins, wanted: BTreeMap::new(), at: REINSTALLED };
    books.snapshots.insert(wanted.id, wanted);
    books.current = Some(SnapshotId(7));
    let hosts: Vec<HostName> = (2001..2001 + hosts).map(host).collect();
    books.hosts = hosts.iter().map(|host| (host.clone(), HostRow::default())).collect();
    StatusView {
        format: FORMAT,
        now: NOW,
        books,
        holder_lives: Some(false),
        groups,
        hosts,
        observed: BTreeMap::new(),
        rollback: None,
        asked: Vec::new(),
    }
}

fn lacking() -> StaleReason {
    let count = ArtefactCount { path: "cache/l10n".into(), have: 0, want: 449 };
    StaleReason::NotReady(vec![("php-1.27.0-wmf.10".parse().expect("it"), Readiness::ArtefactsMissing(count))])
}

fn look(active: Option<Digest>) -> Look {
    Look::Observed(Box::new(Observation {
        incarnation: None,
        boot_id: String::new(),
        active,
        versions: [(version(11), 894)].into(),
        fence: None,
        journal_open: false,
        readiness: Vec::new(),
        held: [("wmf-config".parse().expect("a component"), Digest::of(b"c"))].into(),
        confirmed: Vec::new(),
        facts: Facts::default(),
    }))
}

fn incident() -> StatusView {
    let mut view = view(20);
    let books = &mut view.books;
    let row = books.hosts.get_mut(&host(2020)).expect("a row");
    row.stale = Some(Stale { reason: lacking(), since: REINSTALLED });
    row.owed = Some(Owed { what: "switch to s7".into(), since: REINSTALLED });
    row.depooled = Some(Hold { by: "alice".into(), reason: "reinstall\x1b[2J".into(), since: REINSTALLED });
    books.lock = Some(Lock { epoch: 4, holder: "bob@deploy pid 7".into(), reason: "rollback".into(), since: NOW });
    books.hold = Some(Hold { by: "bob".into(), reason: "rollback r9: sessions".into(), since: NOW });
    let open = Rollout {
        id: RolloutId(9),
        kind: Kind::Promote,
        groups: vec!["group2".parse().expect("a group")],
        version: Some(version(11)),
        from: Some(SnapshotId(6)),
        to: SnapshotId(7),
        by: "alice".into(),
        why: "train".into(),
        at: REINSTALLED,
        status: Status::Open,
        dispatched: true,
        effect: String::new(),
        playbook: None,
    };
    books.rollouts.insert(open.id, open);
    let wanted = view.books.wanted().expect("a state");
    let (fleet, pinned) = (wanted.map.digest(), wanted.map_of(&host(2001)).digest());
    view.observed.insert(host(2001), look(Some(pinned)));
    view.observed.extend((2002..2018).map(|n| (host(n), look(Some(fleet)))));
    view.observed.insert(host(2018), look(None));
    view.observed.insert(host(2019), Look::Failed(Fault::PasswordPrompt));
    view.observed.insert(host(2020), look(Some(fleet)));
    view.rollback = Some("group0: 5 wikis 1.27.0-wmf.11 -> 1.27.0-wmf.10".into());
    view
}

#[test]
fn the_incident_on_one_screen() {
    expect![[r#"
        at 2016-01-23 01:14 UTC, wanted is s7, recorded 2016-01-22 01:48 UTC

        group   wikis  1.27.0-wmf.9  1.27.0-wmf.11
        group0      5             -              5
        group1    594             2            592
        group2    295             -            295
        all       894             2            892

        pins: 3
          group1_0wiki at 1.27.0-wmf.9: import runs (anomie, by groups.yaml, EXPIRED 2016-01-23 01:13 UTC; renew or remove it there)
          group1_1wiki at 1.27.0-wmf.9: import runs (anomie, by groups.yaml, EXPIRED 2016-01-23 01:13 UTC; renew or remove it there)
          mw2001.codfw.wmnet at 1.27.0-wmf.10: debugging (anomie, by the books, since 2016-01-22 01:48 UTC, without end)
        hosts: 20
          17 as wanted by map and markers of now, files not compared (pointsman check does): mw[2001-2017].codfw.wmnet
          3 stale: mw[2018-2020].codfw.wmnet
        stale: 3 hosts
          mw2018.codfw.wmnet: serves no version map, wanted is e0962e818d54, since 2016-01-23 01:14 UTC, 0 s ago; type: pointsman converge
          mw2019.codfw.wmnet: asks for a password, since 2016-01-23 01:14 UTC, 0 s ago; type: pointsman sync-common mw2019.codfw.wmnet (after our key was put there)
          mw2020.codfw.wmnet: php-1.27.0-wmf.10 lacks built artefacts: cache/l10n has 0 of 449 files, since 2016-01-22 01:48 UTC, 23 h ago; type: pointsman sync-common mw2020.codfw.wmnet
        owed: 1 host
          mw2020.codfw.wmnet: switch to s7, since 2016-01-22 01:48 UTC, 23 h ago; type: pointsman converge
        depooled: 1 host
          mw2020.codfw.wmnet: reinstall\u{1b}[2J (alice, since 2016-01-22 01:48 UTC, 23 h ago); type: pointsman pool mw2020.codfw.wmnet
        unfinished: r9 promote group2 to 1.27.0-wmf.11 by alice, since 2016-01-22 01:48 UTC, 23 h ago; hosts may have been switched; type: pointsman converge
        lock: bob@deploy pid 7, since 2016-01-23 01:14 UTC, 0 s ago: rollback; that process is gone, the next command takes the lock
        hold: rollback r9: sessions (bob, since 2016-01-23 01:14 UTC, 0 s ago); type: pointsman release
        rollback would restore: group0: 5 wikis 1.27.0-wmf.11 -> 1.27.0-wmf.10
    "#]].assert_eq(&text(&incident()));
}

#[test]
fn five_hundred_hosts_in_any_state_fit_one_screen() {
    let mut view = view(500);
    for (i, row) in view.books.hosts.values_mut().enumerate() {
        let reason = match i % 10 {
            0 => StaleReason::AbsurdFence { epoch: i as u64 },
            1..5 => StaleReason::Fault(Fault::Refused),
            _ => lacking(),
        };
        row.stale = Some(Stale { reason, since: REINSTALLED });
    }
    let text = text(&view);
    assert!(text.lines().count() <= 50, "{text}");
    assert!(text.contains("  and 28 more; type: pointsman check\n"), "{text}");
}

#[test]
fn a_quiet_fleet_and_empty_books() {
    let mut quiet = view(500);
    expect![[r#"
        at 2016-01-23 01:14 UTC, wanted is s7, recorded 2016-01-22 01:48 UTC

        group   wikis  1.27.0-wmf.9  1.27.0-wmf.11
        group0      5             -              5
        group1    594             2            592
        group2    295             -            295
        all       894             2            892

        pins: 3
          group1_0wiki at 1.27.0-wmf.9: import runs (anomie, by groups.yaml, EXPIRED 2016-01-23 01:13 UTC; renew or remove it there)
          group1_1wiki at 1.27.0-wmf.9: import runs (anomie, by groups.yaml, EXPIRED 2016-01-23 01:13 UTC; renew or remove it there)
          mw2001.codfw.wmnet at 1.27.0-wmf.10: debugging (anomie, by the books, since 2016-01-22 01:48 UTC, without end)
        hosts: 500
          500 as wanted when last proven, not looked at now: mw[2001-2500].codfw.wmnet
        stale: none
        owed: none
        lock: free
        hold: none
        rollback would restore: nothing, there is no promotion to take back
    "#]].assert_eq(&text(&quiet));
    quiet.books = Books::new(BooksId(1));
    quiet.hosts.truncate(2);
    quiet.groups.truncate(1);
    expect![[r#"
        at 2016-01-23 01:14 UTC, nothing is wanted yet; type: pointsman sync-common --from-staging

        group   wikis  none
        group0      5     5
        all         5     5

        hosts: 2
          2 stale: mw[2001-2002].codfw.wmnet
        stale: 2 hosts
          mw2001.codfw.wmnet: never seen, since 2016-01-23 01:14 UTC, 0 s ago; type: pointsman sync-common mw2001.codfw.wmnet
          mw2002.codfw.wmnet: never seen, since 2016-01-23 01:14 UTC, 0 s ago; type: pointsman sync-common mw2002.codfw.wmnet
        owed: none
        lock: free
        hold: none
        rollback would restore: nothing, there is no promotion to take back
    "#]].assert_eq(&text(&quiet));
}

#[test]
fn what_status_wrote_is_read_back() {
    let view = incident();
    let bytes = serde_json::to_vec(&json(&view)).expect("it has only string keys");
    assert_eq!(StatusView::read(&bytes).expect("it was just written"), view);
    let newer = String::from_utf8(bytes).expect("JSON is text").replacen("\"format\":1", "\"format\":2", 1);
    assert!(matches!(StatusView::read(newer.as_bytes()), Err(ViewError::Format(2))));
    assert!(matches!(StatusView::read(b"{}"), Err(ViewError::Malformed(_))));
}

#[test]
fn the_same_as_metrics() {
    let metrics = crate::report::textfile::books(&incident(), 1134);
    let samples: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    expect![[r#"
        pointsman_hosts 20
        pointsman_stale_hosts 3
        pointsman_owed_hosts 1
        pointsman_depooled_hosts 1
        pointsman_open_rollouts 1
        pointsman_waiting_approvals 0
        pointsman_hold 1
        pointsman_locked 1
        pointsman_blockers 0
        pointsman_journal_events 1134
        pointsman_wikis{group="group0",version="1.27.0-wmf.11"} 5
        pointsman_wikis{group="group1",version="1.27.0-wmf.11"} 592
        pointsman_wikis{group="group1",version="1.27.0-wmf.9"} 2
        pointsman_wikis{group="group2",version="1.27.0-wmf.11"} 295"#]]
    .assert_eq(&samples.join("\n"));
}
