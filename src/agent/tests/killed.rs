//! Killed at every step: what is left is old or new, is known for what it is, and the command can be given again.

use super::bench::{Controller, Tree, assert_map_files, build, disk, disk_in, map, memory, tree};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::killat::KillAt;
use crate::agent::memfs::MemFs;
use crate::model::protocol::{Level, Readiness, Refusal};
use crate::tree::manifest::{EntryKind, Manifest};

/// More changes than any command makes on these small trees.
const CHANGES_MAX: u64 = 300;

pub(super) fn old() -> Tree {
    tree("1.27.0-wmf.10")
}

pub(super) fn new() -> Tree {
    tree("1.27.0-wmf.11")
}

/// A change of a version that is served.
pub(super) fn fixed() -> Tree {
    super::bench::component(
        "php-1.27.0-wmf.10",
        &[("index.php", "fixed", false), ("i18n/en.json", "{\"a\": 1}", false)],
    )
}

/// The commands that are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Observe,
    Prepare,
    Replace,
    Switch,
    Confirm,
    Collect,
}

/// A host that serves the old version, holds the new one only where it is needed, and rebooted since.
pub(super) fn set_up<F: HostFs>(agent: &mut Agent<F>, act: Act) -> Controller {
    let mut controller = Controller::new(1);
    controller.observe(agent, &[]).expect("obeyed");
    controller.prepare(agent, &old(), old().want_built(), &build()).expect("prepared");
    controller.switch(agent, &map("1.27.0-wmf.10"), &[old().want_built()]).expect("switched");
    controller.confirm(agent).expect("confirmed");
    if !matches!(act, Act::Prepare) {
        controller.prepare(agent, &new(), new().want_built(), &build()).expect("prepared");
    }
    controller
}

pub(super) fn perform<F: HostFs>(agent: &mut Agent<F>, controller: &mut Controller, act: Act) -> Result<(), Refusal> {
    match act {
        Act::Observe => controller.observe(agent, &[old().want_built()]).map(drop),
        Act::Prepare => controller.prepare(agent, &new(), new().want_built(), &build()).map(drop),
        Act::Replace => controller.prepare(agent, &fixed(), fixed().want_built(), &build()).map(drop),
        Act::Switch => controller.switch(agent, &map("1.27.0-wmf.11"), &[new().want_built()]).map(drop),
        Act::Confirm => controller.confirm(agent),
        Act::Collect => controller.collect(agent, &[]).map(drop),
    }
}

/// What is below a component, by its bytes alone; `None` when it is not there.
pub(super) fn found<F: HostFs>(fs: &F, tree: &Tree) -> Option<Vec<(String, Vec<u8>)>> {
    let top = Place::root(tree.component.to_string());
    fs.lstat(&top).expect("asked")?;
    let mut files = Vec::new();
    let walk = crate::agent::walk::walk(fs, &top).expect("a directory");
    for path in walk.files.keys().filter(|path| !path.is_within("cache")) {
        let at = top.join(path.as_str());
        let bytes = fs.read(&at, 1 << 20).or_else(|_| fs.read_link(&at).map(String::into_bytes)).expect("readable");
        files.push((path.to_string(), bytes));
    }
    Some(files)
}

pub(super) fn whole(tree: &Tree, manifest: &Manifest) -> Vec<(String, Vec<u8>)> {
    let bytes = |kind: &EntryKind| match kind {
        EntryKind::File { digest, .. } => tree.files[digest].clone(),
        EntryKind::Symlink { target } => target.clone().into_bytes(),
    };
    manifest.entries().iter().map(|entry| (entry.path.to_string(), bytes(&entry.kind))).collect()
}

/// What must hold right after the kill, before any other command.
pub(super) fn assert_untorn<F: HostFs>(agent: &Agent<F>) {
    let php = agent.fs.read(&Place::root("wikiversions.php"), 1 << 20).expect("one is served");
    assert!([map("1.27.0-wmf.10").to_php(), map("1.27.0-wmf.11").to_php()].contains(&php), "a torn map");
    let served = found(&agent.fs, &old()).expect("the served version is always there");
    assert!([whole(&old(), &old().manifest), whole(&fixed(), &fixed().manifest)].contains(&served), "a torn tree");
    let other = found(&agent.fs, &new());
    assert!(other.is_none_or(|files| files == whole(&new(), &new().manifest)), "a torn tree");
}

/// What must hold once a new operator has looked.
pub(super) fn assert_known<F: HostFs>(agent: &mut Agent<F>) -> Controller {
    let mut controller = Controller::new(2);
    let wants = [old().want_built(), fixed().want_built(), new().want_built()];
    let seen = controller.observe(agent, &wants).expect("obeyed");
    assert!(!seen.journal_open);
    let served = [map("1.27.0-wmf.10"), map("1.27.0-wmf.11")].into_iter().find(|map| Some(map.digest()) == seen.active);
    assert_map_files(&agent.fs, Some(&served.expect("one of the two")));
    let readiness: Vec<&Readiness> = seen.readiness.iter().map(|(_, readiness)| readiness).collect();
    let marked = readiness[0].is_ready() || readiness[1].is_ready();
    assert!(marked, "what is served is proven as one or the other: {readiness:?}");
    for (want, first) in wants.iter().zip(&readiness) {
        let hashed = super::bench::readiness(agent, want, Level::L3);
        assert_eq!(first.is_ready(), hashed.is_ready(), "{first:?} but {hashed:?}");
    }
    controller
}

/// Kills `act` at each of its changes in turn; `host` makes a set-up host, `again` what the next agent finds of it.
fn kill_everywhere<F: HostFs, K>(act: Act, host: impl Fn() -> (K, F), again: impl Fn(&K, F) -> F) {
    for changes in 0..CHANGES_MAX {
        let (kept, fs) = host();
        let mut agent = Agent::new(fs);
        let mut controller = set_up(&mut agent, act);
        let mut dying = Agent::new(KillAt::new(agent.fs, changes));
        let done = perform(&mut dying, &mut controller, act);
        let killed = dying.fs.killed();
        let mut agent = Agent::new(again(&kept, dying.fs.inner));
        assert_untorn(&agent);
        let mut next = assert_known(&mut agent);
        perform(&mut agent, &mut next, act).unwrap_or_else(|e| panic!("{act:?} again after {changes}: {e:?}"));
        assert_untorn(&agent);
        if !killed {
            assert_eq!(done, Ok(()));
            assert!(changes > 2, "nothing was changed at all");
            return;
        }
    }
    panic!("{act:?} makes more than {CHANGES_MAX} changes");
}

fn in_memory(act: Act) {
    kill_everywhere(act, || ((), memory()), |(), fs: MemFs| fs);
}

fn on_disk(act: Act) {
    kill_everywhere(act, disk, |kept, _| disk_in(kept.path()));
}

#[test]
fn observe_is_killed_everywhere() {
    in_memory(Act::Observe);
    on_disk(Act::Observe);
}

#[test]
fn prepare_is_killed_everywhere() {
    in_memory(Act::Prepare);
    on_disk(Act::Prepare);
}

#[test]
fn replacing_a_served_tree_is_killed_everywhere() {
    in_memory(Act::Replace);
    on_disk(Act::Replace);
}

#[test]
fn switch_is_killed_everywhere() {
    in_memory(Act::Switch);
    on_disk(Act::Switch);
}

#[test]
fn confirm_is_killed_everywhere() {
    in_memory(Act::Confirm);
    on_disk(Act::Confirm);
}

#[test]
fn a_collection_is_killed_everywhere() {
    in_memory(Act::Collect);
    on_disk(Act::Collect);
}

#[test]
fn the_first_observe_of_a_new_host_is_killed_everywhere() {
    for changes in 0..CHANGES_MAX {
        let mut dying = Agent::new(KillAt::new(memory(), changes));
        let _ = dying.command(&crate::model::protocol::Command::Observe {
            stamp: Controller::new(1).stamp(),
            adopt: false,
            peek: super::bench::look(&[], Level::L1),
        });
        let killed = dying.fs.killed();
        let mut agent = Agent::new(dying.fs.inner);
        Controller::new(2).observe(&mut agent, &[]).expect("obeyed");
        if !killed {
            return;
        }
    }
    panic!("it makes more than {CHANGES_MAX} changes");
}

#[test]
fn a_switch_whose_kill_is_followed_by_a_kill_of_the_recovery_still_ends_well() {
    for (first, second) in (0..40).flat_map(|first| (0..20).map(move |second| (first, second))) {
        let mut agent = Agent::new(memory());
        let mut controller = set_up(&mut agent, Act::Switch);
        let mut dying = Agent::new(KillAt::new(agent.fs, first));
        let _ = perform(&mut dying, &mut controller, Act::Switch);
        let mut dying = Agent::new(KillAt::new(dying.fs.inner, second));
        let peek = super::bench::look(&[], Level::L1);
        let stamp = Controller::new(1).stamp();
        let stamp = crate::model::protocol::Stamp {
            generation: crate::model::ids::Generation { epoch: 1, seq: controller.seq + 1 },
            ..stamp
        };
        let _ = dying.command(&crate::model::protocol::Command::Observe { stamp, adopt: false, peek });
        let mut agent = Agent::new(dying.fs.inner);
        assert_untorn(&agent);
        assert_known(&mut agent);
    }
}

/// One change fails and the agent lives on: what it answers is what is there.
fn fail_once_everywhere(act: Act, happened: fn(&Agent<KillAt<MemFs>>) -> bool) {
    for changes in 0..CHANGES_MAX {
        let mut agent = Agent::new(memory());
        let mut controller = set_up(&mut agent, act);
        let mut failing = Agent::new(KillAt::failing_once(agent.fs, changes));
        let answer = perform(&mut failing, &mut controller, act);
        let failed = failing.fs.killed();
        assert_eq!(answer.is_ok(), happened(&failing), "{act:?} at {changes}: {answer:?}");
        let mut agent = Agent::new(failing.fs.inner);
        assert_untorn(&agent);
        assert_known(&mut agent);
        if !failed {
            return;
        }
    }
    panic!("{act:?} makes more than {CHANGES_MAX} changes");
}

#[test]
fn after_a_failing_disk_the_answer_is_what_is_there() {
    fail_once_everywhere(Act::Switch, |agent| {
        let php = agent.fs.read(&Place::root("wikiversions.php"), 1 << 20).expect("one is served");
        php == map("1.27.0-wmf.11").to_php()
    });
    fail_once_everywhere(Act::Replace, |agent| {
        super::bench::readiness(agent, &fixed().want_built(), Level::L3).is_ready()
    });
}
