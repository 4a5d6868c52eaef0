//! The power is cut at every moment of every command, and of the recovery from such a cut: whatever the disk then has, the
//! host is old or new, what is marked as complete is, and nothing that was acknowledged is lost.
//!
//! [`disk`] has the model of a disk that forgets what was not synced. Where there are more states than are tried, they are
//! drawn by a seed; `POINTSMAN_DRILLS=all` tries many more. Each sync of a command is also taken away: the drill has to find
//! that, or to say why nothing is lost.

mod disk;
mod recording;

use super::bench::{Controller, map, memory, readiness};
use super::killed::{Act, assert_known, assert_untorn, fixed, found, new, old, perform, set_up, whole};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::memfs::MemFs;
use crate::agent::observe::held;
use crate::agent::state;
use crate::model::digest::Digest;
use crate::model::ids::{Generation, Incarnation};
use crate::model::protocol::{Confirmed, Level};
use disk::{Disk, Random};
use recording::Recording;
use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What was acknowledged by replies before the cut.
struct Told {
    act: Act,
    /// Whether the reply to the command that was under way had come.
    replied: bool,
    generation: Generation,
    incarnation: Incarnation,
    confirmed: Vec<Confirmed>,
}

/// What came of a drill.
#[derive(Default)]
struct Sums {
    moments: usize,
    states: usize,
    /// States of hosts whose recovery was cut too.
    recoveries: usize,
    broken: usize,
    met: BTreeSet<Digest>,
}

/// Which states are tried, and how many.
struct Amount {
    states_of_a_moment: usize,
    /// Every so-manieth state with an open journal is recovered with cuts in between.
    recoveries_every: usize,
    /// Every so-manieth sync of a command is taken away.
    syncs_every: usize,
}

/// How many states of a moment are tried to see whether a sync is missed.
const STATES_TO_MISS: usize = 8;

fn amount() -> Amount {
    match std::env::var_os("POINTSMAN_DRILLS").is_some_and(|all| all == "all") {
        true => Amount { states_of_a_moment: 600, recoveries_every: 1, syncs_every: 1 },
        false => Amount { states_of_a_moment: 24, recoveries_every: 40, syncs_every: 3 },
    }
}

/// What a cut leaves of a file whose bytes nobody synced, by one of five habits of file systems.
fn remains(habit: u64, bytes: &[u8], random: &mut Random) -> Vec<u8> {
    match if habit == 4 { random.below(4) } else { habit } {
        0 => bytes.to_vec(),
        1 => Vec::new(),
        2 => bytes[..bytes.len() / 2].to_vec(),
        _ => vec![0; bytes.len()],
    }
}

/// Calls `judge` with each new state that a cut at this moment may leave.
fn each_state(disk: &Disk, like: &MemFs, most: usize, sums: &mut Sums, judge: &mut dyn FnMut(MemFs, &mut Sums)) {
    let mut random = Random(sums.moments as u64);
    sums.moments += 1;
    let habits = if disk.may_tear() { 5 } else { 1 };
    for happened in disk.choices(most, &mut random) {
        for habit in 0..habits {
            let fs = disk.after_cut(like, &happened, &mut |bytes| remains(habit, bytes, &mut random));
            if sums.met.insert(fs.fingerprint()) {
                sums.states += 1;
                judge(fs, sums);
            }
        }
    }
}

/// A command that was performed on a watched host.
struct Watched {
    told: Told,
    moments: Vec<Disk>,
    fs: MemFs,
    /// What the command synced, in order.
    syncs: Vec<String>,
}

/// Performs a command on a watched host, on which one of its syncs may do nothing.
fn watched(act: Act, ignored: Option<usize>) -> Watched {
    let mut agent = Agent::new(Recording::new(memory()));
    let mut controller = set_up(&mut agent, act);
    agent.fs.inner.reboot();
    let generation = Generation { epoch: controller.epoch, seq: controller.seq };
    let confirmed = state::load_confirmed(&agent.fs).expect("readable");
    let incarnation = controller.expect().incarnation;
    agent.fs.ignored = ignored;
    agent.fs.watch();
    perform(&mut agent, &mut controller, act).expect("obeyed");
    let syncs = std::mem::take(&mut agent.fs.syncs);
    let (moments, fs) = agent.fs.end();
    Watched { told: Told { act, replied: false, generation, incarnation, confirmed }, moments, fs, syncs }
}

/// Cuts the power at every moment of a command. Panics at the first state that is broken.
fn cut_everywhere(act: Act) -> (Sums, Watched) {
    let mut watched = watched(act, None);
    let mut sums = Sums::default();
    let Amount { states_of_a_moment, recoveries_every, .. } = amount();
    for number in 0..watched.moments.len() {
        watched.told.replied = number + 1 == watched.moments.len();
        if watched.told.replied {
            // The same state is judged by more once the reply is out.
            sums.met.clear();
        }
        let Watched { told, moments, fs, .. } = &watched;
        let mut judged = |host: MemFs, sums: &mut Sums| {
            let open = host.lstat(&state::journal_place()).expect("asked").is_some();
            let again = (open && sums.states.is_multiple_of(recoveries_every)).then(|| host.clone());
            if catch_unwind(AssertUnwindSafe(|| judge(host, told))).is_err() {
                panic!("{act:?}, moment {number} of {}: see above", moments.len());
            }
            if let Some(host) = again {
                recover_with_cuts(host, told, sums);
            }
        };
        each_state(&moments[number], fs, states_of_a_moment, &mut sums, &mut judged);
    }
    (sums, watched)
}

/// Whether a command without one of its syncs is found broken. A moment at which the disk is as it is with that sync has
/// nothing new to find.
fn is_missed(act: Act, whole: &Watched, ignored: usize) -> bool {
    let mut without = watched(act, Some(ignored));
    let mut sums = Sums::default();
    for number in 0..without.moments.len() {
        if whole.moments.get(number) == Some(&without.moments[number]) {
            continue;
        }
        without.told.replied = number + 1 == without.moments.len();
        let Watched { told, moments, fs, .. } = &without;
        let mut judged = |host: MemFs, sums: &mut Sums| {
            let broken = sums.broken == 0 && catch_unwind(AssertUnwindSafe(|| judge(host, told))).is_err();
            sums.broken += usize::from(broken);
        };
        if told.replied {
            sums.met.clear();
        }
        each_state(&moments[number], fs, STATES_TO_MISS, &mut sums, &mut judged);
        if sums.broken > 0 {
            return true;
        }
    }
    false
}

/// A host that comes back from a cut is observed, and the power is cut at every moment of that too.
fn recover_with_cuts(host: MemFs, told: &Told, sums: &mut Sums) {
    sums.recoveries += 1;
    let mut agent = Agent::new(Recording::new(host));
    agent.fs.watch();
    let mut controller = Controller { seq: told.generation.seq + 5, ..Controller::new(told.generation.epoch) };
    controller.observe(&mut agent, &[old().want_built(), new().want_built()]).expect("obeyed");
    let (moments, fs) = agent.fs.end();
    let mut inner = Sums::default();
    for moment in &moments {
        each_state(moment, &fs, 8, &mut inner, &mut |host, _| judge(host, told));
    }
    sums.states += inner.states;
}

/// What must hold of a host that comes back, and of what is done with it then.
fn judge(host: MemFs, told: &Told) {
    let mut agent = Agent::new(host);
    assert_untorn(&agent);
    assert_kept(&agent, told);
    assert_marked_is_whole(&agent);
    let mut next = assert_known(&mut agent);
    perform(&mut agent, &mut next, told.act).unwrap_or_else(|e| panic!("{:?} again: {e:?}", told.act));
    assert_untorn(&agent);
}

/// Nothing that a reply told of is lost.
fn assert_kept(agent: &Agent<MemFs>, told: &Told) {
    let incarnation = state::load_incarnation(&agent.fs).expect("readable");
    assert_eq!(incarnation, Some(told.incarnation), "it is no longer the same installation");
    let fence = state::load_fence(&agent.fs).expect("readable").expect("a fence that was told of stays");
    let acknowledged = Generation { seq: told.generation.seq + u64::from(told.replied), ..told.generation };
    assert!(fence.generation >= acknowledged, "the fence fell to {} from {acknowledged}", fence.generation);
    let confirmed = state::load_confirmed(&agent.fs).expect("readable");
    assert!(!confirmed.is_empty(), "what may be gone back to is forgotten");
    let served = agent.fs.read(&Place::root("wikiversions.php"), 1 << 20).expect("one is served");
    match (told.act, told.replied) {
        (Act::Switch, true) => assert_eq!(served, map("1.27.0-wmf.11").to_php(), "a switch that was told of"),
        (Act::Confirm | Act::Collect, true) => assert_ne!(confirmed, told.confirmed, "a confirmation that was told of"),
        (Act::Confirm | Act::Collect, false) => {}
        _ => assert_eq!(confirmed, told.confirmed),
    }
    let prepared = match told.act {
        Act::Prepare if told.replied => new(),
        Act::Replace if told.replied => fixed(),
        _ => return,
    };
    let found = readiness(agent, &prepared.want_built(), Level::L3);
    assert!(found.is_ready(), "what was told to be prepared is {found:?}");
}

/// What has a marker is whole, also before anybody recovered anything: it may be selected, and others may build on it.
fn assert_marked_is_whole(agent: &Agent<MemFs>) {
    for (component, id) in held(&agent.fs).expect("listed") {
        let tree =
            [old(), fixed(), new()].into_iter().find(|tree| tree.component == component && tree.manifest.id() == id);
        let tree = tree.unwrap_or_else(|| panic!("{component} is marked as {id}, which nobody sent"));
        assert_eq!(found(&agent.fs, &tree), Some(whole(&tree, &tree.manifest)), "{component} is marked as {id}");
    }
}

fn drill(act: Act) {
    let (Sums { moments, states, recoveries, .. }, Watched { syncs, .. }) = cut_everywhere(act);
    let syncs = syncs.len();
    if std::env::var_os("POINTSMAN_DRILLS").is_some() {
        let line =
            format!("{act:?}: {moments} moments, {syncs} syncs, {states} states, {recoveries} recoveries cut too\n");
        std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
    }
    assert!(moments > 5 && states > moments, "{act:?}: {moments} moments and {states} states are too few");
}

#[test]
fn an_observe_loses_power_everywhere() {
    drill(Act::Observe);
}

#[test]
fn a_prepare_loses_power_everywhere() {
    drill(Act::Prepare);
}

#[test]
fn replacing_a_served_tree_loses_power_everywhere() {
    drill(Act::Replace);
}

#[test]
fn a_switch_loses_power_everywhere() {
    drill(Act::Switch);
}

#[test]
fn a_confirmation_loses_power_everywhere() {
    drill(Act::Confirm);
}

#[test]
fn a_collection_loses_power_everywhere() {
    drill(Act::Collect);
}

/// Why nothing is lost without a sync.
const CACHE: &str = "an index that is lost or torn says nothing: the tree is read whole";
const JOURNAL_FIRST: &str =
    "nothing that is served changes before the journal is there, whose sync is of the same directory";
const NOT_SERVED: &str = "nothing serves the version: without a marker, or with a torn journal, it is prepared again";
const COVERED: &str = "the next sync of the directory comes before the trees are exchanged";
const BOTH: &str =
    "an exchange is one change of two directories here, and the other one is synced; a file system may know it better";
const SERVED: &str = "a torn journal of a switch is recovered from the map that is served";
const WHOLE: &str = "a tree is taken away at one moment: a marker or an index without one says nothing";

/// The syncs of each command that nobody misses, by their number, what they make last, and why they are there nevertheless
/// or, where another one does the same, why the drill finds nothing.
const NOT_MISSED: [(Act, usize, &str, &str); 15] = [
    (Act::Observe, 3, "names in state/index", CACHE),
    (Act::Prepare, 1, "names in state/", JOURNAL_FIRST),
    (Act::Prepare, 4, "names in state/index", CACHE),
    (Act::Prepare, 6, "names in state/ready", NOT_SERVED),
    (Act::Prepare, 7, "bytes of state/journal.next", NOT_SERVED),
    (Act::Prepare, 8, "names in state/", NOT_SERVED),
    (Act::Prepare, 9, "names in root/", BOTH),
    (Act::Prepare, 10, "names in root/.pointsman-staging", BOTH),
    (Act::Replace, 1, "names in state/", JOURNAL_FIRST),
    (Act::Replace, 6, "names in state/ready", COVERED),
    (Act::Replace, 10, "names in root/", BOTH),
    (Act::Replace, 11, "names in root/.pointsman-staging", BOTH),
    (Act::Switch, 3, "bytes of state/journal.next", SERVED),
    (Act::Collect, 3, "names in state/ready", WHOLE),
    (Act::Collect, 5, "names in state/index", WHOLE),
];

/// Takes every so-manieth sync of each command away: it is missed, or it is listed.
#[test]
fn every_sync_that_is_taken_away_is_missed_or_listed() {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for act in [Act::Observe, Act::Prepare, Act::Replace, Act::Switch, Act::Confirm, Act::Collect] {
        let whole = watched(act, None);
        for (n, what) in whole.syncs.iter().enumerate().step_by(amount().syncs_every) {
            let is_listed = |listed: &&(Act, usize, &str, &str)| (listed.0, listed.1, listed.2) == (act, n, what);
            let listed = NOT_MISSED.iter().find(is_listed);
            tried += 1;
            match (is_missed(act, &whole, n), listed) {
                (true, Some((.., why))) => wrong.push(format!("{act:?} misses its sync {n}, {what}, though {why}")),
                (false, None) => wrong.push(format!("{act:?} does not miss its sync {n}, {what}")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty() && tried > 10, "{tried} tried: {wrong:#?}");
}
