//! The property that a store is: what it loads is what [`crate::model::books::Books::apply`] makes of its records.

use super::{Kept, directory, host, rollout, snapshot};
use crate::model::books::{Record, Status};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::health::HealthRecord;
use crate::model::ids::{Generation, Incarnation, PlaybookId, RolloutId, SnapshotId};
use crate::model::names::{GateName, HostName};
use crate::model::playbook::{PlaybookRecord, PlaybookRun, PlaybookStatus};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::store::memory::MemoryStore;
use crate::store::{Store, error::StoreError};
use proptest::option::of;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Records over few names, so that they meet; snapshots 1 to 6 may be named before they are recorded.
fn record() -> impl Strategy<Value = Record> {
    let generation = || (1..4u64, 1..9u64).prop_map(|(epoch, seq)| Generation { epoch, seq });
    let digest = || any::<u8>().prop_map(|n| Digest::of(&[n]));
    let rollout_id = || (1..8u64).prop_map(RolloutId);
    let words = || "\\PC{0,8}";
    prop_oneof![
        4 => (1..8u64, of(1..7u64), 1..7u64, any::<bool>(), any::<bool>()).prop_map(|(id, from, to, brings, moves)| {
            let snapshot = brings.then(|| snapshot(to));
            Record::Opened { rollout: rollout(id, from, to), snapshot, moves_current: moves }
        }),
        2 => (rollout_id(), any::<bool>(), proptest::collection::vec((hosts(), generation()), 0..3)).prop_map(
            |(rollout, switch, hosts)| {
                let command = if switch { "switch" } else { "observe" }.to_owned();
                Record::Intents { rollout, command, hosts }
            }
        ),
        1 => (rollout_id(), hosts(), generation(), words()).prop_map(|(rollout, host, generation, result)| {
            Record::Outcome { rollout, command: "switch".into(), host, generation, result }
        }),
        3 => (hosts(), of(any::<u128>()), of(digest()), words(), of(generation())).prop_map(
            |(host, incarnation, active, boot_id, generation)| {
                Record::Seen { host, incarnation: incarnation.map(Incarnation), active, boot_id, generation }
            }
        ),
        3 => (hosts(), reasons()).prop_map(|(host, reason)| Record::Stale { host, reason }),
        1 => hosts().prop_map(|host| Record::Fresh { host }),
        1 => (hosts(), words()).prop_map(|(host, what)| Record::Owed { host, what }),
        2 => (rollout_id(), statuses(), any::<bool>(), words()).prop_map(|(rollout, status, moves_current, effect)| {
            Record::Ended { rollout, status, moves_current, effect }
        }),
        1 => (words(), words()).prop_map(|(by, reason)| Record::Held { by, reason }),
        1 => words().prop_map(|by| Record::Released { by }),
        1 => (hosts(), words(), words()).prop_map(|(host, by, reason)| Record::Depooled { host, by, reason }),
        1 => (hosts(), words()).prop_map(|(host, by)| Record::Pooled { host, by }),
        1 => hosts().prop_map(|host| Record::Forgotten { host }),
        4 => health().prop_map(Record::Health),
        4 => playbook().prop_map(Record::Playbook),
        1 => (words(), words()).prop_map(|(by, text)| Record::Note { by, text }),
    ]
}

fn playbook() -> impl Strategy<Value = PlaybookRecord> {
    let id = || (1..4u64).prop_map(PlaybookId);
    let stage = || "[ab]";
    let statuses = || prop_oneof![Just(PlaybookStatus::Paused), Just(PlaybookStatus::Done)];
    let words = || "\\PC{0,8}";
    prop_oneof![
        2 => id().prop_map(|id| PlaybookRecord::Began { run: Box::new(playbook_run(id)) }),
        2 => (id(), stage()).prop_map(|(id, stage)| PlaybookRecord::Stage { id, stage }),
        1 => (id(), stage(), any::<u8>(), any::<bool>())
            .prop_map(|(id, stage, code, passed)| PlaybookRecord::StageEnded { id, stage, code, passed }),
        1 => (id(), stage(), proptest::collection::btree_map("[s-u]", any::<bool>(), 0..3))
            .prop_map(|(id, stage, items)| PlaybookRecord::Items { id, stage, items }),
        1 => (id(), stage(), any::<bool>(), words()).prop_map(|(id, stage, yes, by)| {
            PlaybookRecord::Answered { id, stage, yes, by, reason: "seen".into() }
        }),
        1 => (id(), words()).prop_map(|(id, by)| PlaybookRecord::Overridden { id, by, reason: "needed".into() }),
        2 => (id(), statuses(), words()).prop_map(|(id, status, why)| {
            PlaybookRecord::Stands { id, status, why, by: "alice".into() }
        }),
    ]
}

fn playbook_run(id: PlaybookId) -> PlaybookRun {
    PlaybookRun {
        id,
        file: "/p.yaml".into(),
        text: "stages: []".into(),
        vars: [("version".to_owned(), "1.27.0".to_owned())].into(),
        by: "alice".into(),
        at: Time(1),
        status: PlaybookStatus::Open,
        why: String::new(),
        override_freeze: None,
        seen: 0,
        stages: std::collections::BTreeMap::new(),
    }
}

fn health() -> impl Strategy<Value = HealthRecord> {
    let place = || ((1..8u64).prop_map(RolloutId), (0..2u32).prop_map(gate));
    let words = || "\\PC{0,8}";
    let id = || "T[12]";
    prop_oneof![
        3 => (place(), any::<bool>()).prop_map(|((rollout, gate), fails)| {
            HealthRecord::Judged { rollout, moment: "wave 1".into(), judgement: judgement(gate, fails) }
        }),
        1 => (place(), words()).prop_map(|((rollout, gate), blame)| HealthRecord::Attributed { rollout, gate, blame }),
        1 => place().prop_map(|(rollout, gate)| HealthRecord::Asked { rollout, gate }),
        1 => (place(), any::<bool>(), words()).prop_map(|((rollout, gate), yes, by)| {
            HealthRecord::Answered { rollout, gate, yes, by, reason: "seen".into() }
        }),
        2 => (id(), words(), words()).prop_map(|(id, by, text)| HealthRecord::Blocked { id, by, text, version: None }),
        1 => (id(), words()).prop_map(|(id, by)| HealthRecord::Unblocked { id, by, reason: "fixed".into() }),
        1 => proptest::collection::vec("[ab]", 0..3).prop_map(|seen| HealthRecord::Signatures { seen }),
    ]
}

fn gate(n: u32) -> GateName {
    format!("gate{n}").parse().expect("a gate's name")
}

fn judgement(gate: GateName, fails: bool) -> Judgement {
    Judgement {
        gate,
        verdict: if fails { Verdict::Fail } else { Verdict::Pass },
        at: Time(5),
        value: Some(0.25),
        limit: "below 1".into(),
        n: 3,
        window_ms: 10,
        query: "up".into(),
        sentence: "it is so".into(),
        samples: vec!["mw2020 1".into()],
        against: Default::default(),
    }
}

fn hosts() -> impl Strategy<Value = HostName> {
    (2001..2004u32).prop_map(host)
}

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Open), Just(Status::Done), Just(Status::Owed), Just(Status::Dropped)]
}

fn reasons() -> impl Strategy<Value = StaleReason> {
    prop_oneof![
        Just(StaleReason::New),
        Just(StaleReason::Fault(Fault::Refused)),
        "\\PC{0,8}".prop_map(|phase| StaleReason::Fault(Fault::TimedOut(phase))),
        (any::<u128>(), any::<u128>())
            .prop_map(|(was, now)| StaleReason::Rebuilt { was: Incarnation(was), now: Incarnation(now) }),
        any::<u64>().prop_map(|epoch| StaleReason::AbsurdFence { epoch }),
    ]
}

/// What one of two operators does.
#[derive(Debug, Clone)]
enum Does {
    /// Takes the lock, from the other one too or not.
    Takes(usize, bool),
    /// Gives it back.
    Releases(usize),
    /// Writes with the lock or without.
    Writes(usize, bool, Vec<Record>),
}

fn story() -> impl Strategy<Value = Vec<Does>> {
    let who = || 0..2usize;
    let records = || proptest::collection::vec(record(), 0..4);
    let does = prop_oneof![
        2 => (who(), any::<bool>()).prop_map(|(who, take_over)| Does::Takes(who, take_over)),
        1 => who().prop_map(Does::Releases),
        6 => (who(), any::<bool>(), records()).prop_map(|(who, locked, records)| Does::Writes(who, locked, records)),
    ];
    proptest::collection::vec(does, 0..12)
}

fn kind<T>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => error.to_string(),
    }
}

const RECENT_MAX: usize = 2;

/// Does one thing in one store, whose epochs are the operators' own; what came of it.
fn does(store: &mut dyn Store, epochs: &mut [u64; 2], now: Time, does: &Does) -> String {
    let name = |who: usize| ["alice@deploy1 pid 1", "bob@deploy2 pid 2"][who];
    match does {
        Does::Takes(who, take_over) => {
            kind(store.take_lock(now, name(*who), "train", *take_over).map(|claim| epochs[*who] = claim.epoch))
        }
        Does::Releases(who) => kind(store.release_lock(now, epochs[*who])),
        Does::Writes(who, true, records) => kind(store.append(now, epochs[*who], records)),
        Does::Writes(_, false, records) => kind(store.note(now, 0, records)),
    }
}

/// Whether a store that two operators have open does and keeps what one in memory does and keeps.
fn keeps(kept: &Kept, story: &[Does]) -> Result<(), TestCaseError> {
    kept.clear();
    let mut stores = [kept.open(), kept.open()];
    stores.iter_mut().for_each(|store| store.recent_max = RECENT_MAX);
    let mut memory = MemoryStore::with_recent(stores[0].load().expect("empty books").id, RECENT_MAX);
    let (mut epochs, mut epochs_of_memory) = ([0; 2], [0; 2]);
    let take = Does::Takes(0, false);
    for (now, next) in (1..).map(Time).zip([&take].into_iter().chain(story)) {
        let (Does::Takes(who, _) | Does::Releases(who) | Does::Writes(who, ..)) = next;
        let said = does(&mut stores[*who], &mut epochs, now, next);
        prop_assert_eq!(said, does(&mut memory, &mut epochs_of_memory, now, next));
        prop_assert_eq!(epochs, epochs_of_memory);
    }
    let [store, other] = &stores;
    prop_assert_eq!(store.load().expect("books"), memory.load().expect("books"));
    prop_assert_eq!(other.load().expect("books"), memory.load().expect("books"));
    prop_assert_eq!(store.events(0, 1000).expect("events"), memory.events(0, 1000).expect("events"));
    prop_assert_eq!(store.events(3, 2).expect("events"), memory.events(3, 2).expect("events"));
    prop_assert_eq!(store.verify().expect("whole"), memory.verify().expect("whole"));
    for id in (1..8).map(RolloutId) {
        prop_assert_eq!(store.rollout(id).expect("a row"), memory.rollout(id).expect("a row"));
        prop_assert_eq!(store.steps(id).expect("rows"), memory.steps(id).expect("rows"));
    }
    for id in (1..7).map(SnapshotId) {
        prop_assert_eq!(store.snapshot(id).expect("a row"), memory.snapshot(id).expect("a row"));
    }
    for since in [0, 4] {
        let seen = [store.signatures(Time(since)), memory.signatures(Time(since))].map(|s| s.expect("rows"));
        prop_assert_eq!(&seen[0], &seen[1]);
    }
    prop_assert_eq!(store.rollouts(3).expect("rows"), memory.rollouts(3).expect("rows"));
    Ok(())
}

fn all_stories(kept: &Kept) {
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&story(), |story| keeps(kept, &story));
    run.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn sqlite_keeps_what_memory_keeps() {
    all_stories(&Kept::sqlite());
}

#[test]
fn postgresql_keeps_what_memory_keeps() {
    all_stories(&Kept::postgres());
}

#[test]
fn an_old_open_rollout_is_loaded_with_its_snapshots() {
    let dir = directory();
    let mut store = super::open(dir.path());
    store.recent_max = 2;
    let epoch = store.take_lock(Time(1), "alice", "train", false).expect("it is free").epoch;
    for id in 1..=9 {
        store.append(Time(id), epoch, &[super::opened(id)]).expect("it is recorded");
        let ended = Record::Ended {
            rollout: RolloutId(id),
            status: Status::Done,
            moves_current: true,
            effect: "1 wiki".into(),
        };
        if id != 3 {
            store.append(Time(id), epoch, &[ended]).expect("it is recorded");
        }
    }
    let books = store.load().expect("books");
    assert_eq!(books.rollouts.keys().map(|id| id.0).collect::<Vec<_>>(), [3, 8, 9]);
    assert_eq!(books.snapshots.keys().map(|id| id.0).collect::<Vec<_>>(), [2, 3, 7, 8, 9]);
    assert!(store.snapshot(SnapshotId(1)).expect("a row").is_some(), "older ones can be asked for");
}

#[test]
fn a_look_that_saw_nothing_new_leaves_no_event() {
    let dir = directory();
    let mut store = super::open(dir.path());
    let stale = Record::Stale { host: host(2020), reason: StaleReason::Fault(Fault::PasswordPrompt) };
    store.note(Time(1), 0, std::slice::from_ref(&stale)).expect("it is noted");
    store.note(Time(2), 0, &[stale]).expect("it is noted");
    assert_eq!(store.events(0, 10).expect("events").len(), 1);
    let row = store.load().expect("books").hosts.remove(&host(2020)).expect("it is on the books");
    assert_eq!(row.stale.expect("it is stale").since, Time(1));
}
