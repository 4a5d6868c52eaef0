//! Proofs that were written down: when one will do, and everything that voids it.

use super::bench::{Controller, Tree, disk, map, memory, tree};
use super::levels::settled;
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::memfs::MemFs;
use crate::agent::proven::{Directory, Proven};
use crate::model::component::Want;
use crate::model::digest::Digest;
use crate::model::protocol::{Command, Level, Peek, Readiness, Refusal, Reply};
use std::path::PathBuf;
use tempfile::TempDir;

const AGE_MS_MAX: u64 = 60_000;

/// What an observe says of the tree that accepts a proof of at most [`AGE_MS_MAX`].
fn asked<F: HostFs>(agent: &mut Agent<F>, by: &mut Controller, want: &Want, level: Level) -> Readiness {
    let peek = Peek { proof_age_ms_max: Some(AGE_MS_MAX), ..Peek::new(vec![want.clone()], level, 1) };
    match agent.command(&Command::Observe { stamp: by.stamp(), adopt: false, peek }) {
        Reply::Observed(mut seen) => seen.readiness.remove(0).1,
        other => panic!("{other:?}"),
    }
}

/// A host that holds the tree and has just proven it at L2.
fn proven<F: HostFs>(agent: &mut Agent<F>, tree: &Tree) -> Controller {
    let mut controller = Controller::new(1);
    controller.observe(agent, &[]).expect("obeyed");
    controller.prepare(agent, tree, tree.want(), &[]).expect("prepared");
    let ready = asked(agent, &mut controller, &tree.want(), Level::L2);
    assert!(ready.is_ready(), "{ready:?}");
    controller
}

/// A host on a disk that holds the tree and wrote its proof down, and where that is.
fn noted<F: HostFs>(kept: &TempDir, agent: &mut Agent<F>, tree: &Tree) -> (Controller, PathBuf) {
    let mut controller = proven(agent, tree);
    let note = kept.path().join("var/pointsman/proven/php-1.27.0-wmf.10");
    let mut looks = 0;
    // A tree that was made in this very tick is not written down; the next look does it.
    while !note.exists() {
        looks += 1;
        assert!(looks < 1_000, "it is never written down");
        std::thread::sleep(std::time::Duration::from_millis(2));
        asked(agent, &mut controller, &tree.want(), Level::L2);
    }
    (controller, note)
}

fn in_tree(path: &str) -> Place {
    Place::root(format!("php-1.27.0-wmf.10/{path}"))
}

/// A host in memory that proved the tree one second ago, after which `change` happened.
fn after(change: impl FnOnce(&mut MemFs)) -> Readiness {
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    let mut controller = proven(&mut agent, &tree);
    agent.fs.uptime_ms += 1_000;
    change(&mut agent.fs);
    asked(&mut agent, &mut controller, &tree.want(), Level::L2)
}

#[test]
fn a_proof_that_was_written_down_will_do_and_says_its_age() {
    match after(|_| {}) {
        Readiness::Ready { level, age_ms, .. } => assert_eq!((level, age_ms), (Level::L2, 1_000)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_change_of_names_voids_it_and_is_found() {
    let gone = after(|fs| fs.remove_file(&in_tree("index.php")).expect("removed"));
    assert!(matches!(gone, Readiness::Damaged { missing: 1, .. }), "{gone:?}");
    let deep = after(|fs| fs.remove_file(&in_tree("includes/deep/er/Setup.php")).expect("removed"));
    assert!(matches!(deep, Readiness::Damaged { missing: 1, .. }), "{deep:?}");
    let foreign = after(|fs| fs.put(&in_tree("foreign.php"), b"<?php").expect("put"));
    assert!(matches!(foreign, Readiness::Damaged { extra: 1, .. }), "{foreign:?}");
    let replaced = after(|fs| {
        fs.put(&in_tree("index.php.new"), b"<?php other").expect("put");
        fs.rename(&in_tree("index.php.new"), &in_tree("index.php")).expect("renamed");
    });
    assert!(matches!(replaced, Readiness::Damaged { changed: 1, .. }), "{replaced:?}");
    let absent = after(|fs| fs.remove_tree(&Place::root("php-1.27.0-wmf.10")).expect("removed"));
    assert!(!absent.is_ready(), "{absent:?}");
}

#[test]
fn a_change_in_place_is_found_once_the_proof_is_too_old_or_no_age_is_accepted() {
    let edit = |fs: &mut MemFs| fs.overwrite(&in_tree("index.php"), b"<?php SHARED").expect("written");
    assert!(after(edit).is_ready(), "that is what an age accepts");
    let late = after(|fs| {
        edit(fs);
        fs.uptime_ms += AGE_MS_MAX;
    });
    assert!(matches!(late, Readiness::Damaged { changed: 1, .. }), "{late:?}");
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    let mut controller = proven(&mut agent, &tree);
    edit(&mut agent.fs);
    let deep = asked(&mut agent, &mut controller, &tree.want(), Level::L3);
    assert!(matches!(deep, Readiness::Damaged { changed: 1, .. }), "{deep:?}");
}

#[test]
fn where_no_directory_has_changed_none_is_read_however_old_the_proof_is() {
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    let mut controller = settled(&mut agent, &tree);
    agent.fs.uptime_ms += AGE_MS_MAX + 1;
    // Only a clock that is set back hides a new name.
    agent.fs.stop_clock(Some(1_000_000));
    agent.fs.put(&in_tree("foreign.php"), b"<?php").expect("put");
    let ready = asked(&mut agent, &mut controller, &tree.want(), Level::L2);
    assert!(matches!(ready, Readiness::Ready { age_ms: 0, .. }), "its files are looked at: {ready:?}");
    let deep = asked(&mut agent, &mut controller, &tree.want(), Level::L3);
    assert!(matches!(deep, Readiness::Damaged { extra: 1, .. }), "{deep:?}");
}

#[test]
fn another_boot_another_want_a_lost_marker_and_a_torn_note_void_it() {
    let reread = |change: &dyn Fn(&mut MemFs)| match after(change) {
        Readiness::Ready { level, age_ms, .. } => (level, age_ms),
        other => panic!("{other:?}"),
    };
    assert_eq!(reread(&MemFs::reboot), (Level::L3, 0), "everything is read again");
    let note = Place::state("proven/php-1.27.0-wmf.10");
    assert_eq!(reread(&|fs| fs.put(&note, b"{\"format\":1,\"bo").expect("put")), (Level::L2, 0));
    let unmarked = after(|fs| fs.remove_file(&Place::state("ready/php-1.27.0-wmf.10")).expect("removed"));
    assert!(matches!(unmarked, Readiness::Unproven { .. }), "{unmarked:?}");
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(memory()));
    let mut controller = proven(&mut agent, &tree);
    let other = Want { id: Digest::of(b"other"), ..tree.want() };
    let differs = asked(&mut agent, &mut controller, &other, Level::L2);
    assert!(matches!(differs, Readiness::Differs { .. }), "{differs:?}");
}

#[test]
fn a_switch_looks_at_every_file_of_what_wikis_move_to_and_takes_a_proof_for_the_way_back() {
    let (old, new) = (tree("1.27.0-wmf.10"), tree("1.27.0-wmf.11"));
    let mut agent = Agent::new(memory());
    let mut controller = proven(&mut agent, &old);
    controller.prepare(&mut agent, &new, new.want(), &[]).expect("prepared");
    for tree in [&old, &new] {
        assert!(asked(&mut agent, &mut controller, &tree.want(), Level::L2).is_ready());
    }
    controller.switch(&mut agent, &map("1.27.0-wmf.10"), &[old.want()]).expect("switched");
    controller.proof_age_ms_max = Some(AGE_MS_MAX);
    let (forward, needs) = (map("1.27.0-wmf.11"), [new.want(), old.want()]);
    let new_file = Place::root("php-1.27.0-wmf.11/index.php");
    agent.fs.overwrite(&new_file, b"<?php SHARED").expect("written");
    let refused = controller.switch(&mut agent, &forward, &needs);
    assert!(matches!(refused, Err(Refusal::NotReady(_))), "{refused:?}");
    controller.prepare(&mut agent, &new, new.want(), &[]).expect("repaired");
    agent.fs.overwrite(&in_tree("index.php"), b"<?php SHARED").expect("written");
    controller.switch(&mut agent, &forward, &needs).expect("its proof will do");
    let refused = controller.switch(&mut agent, &map("1.27.0-wmf.10"), &[old.want()]);
    assert!(matches!(refused, Err(Refusal::NotReady(_))), "the way back is looked at when it is gone: {refused:?}");
}

#[test]
fn what_could_still_change_without_another_time_is_not_written_down() {
    let proven = |mtime_ns: i64, ctime_ns: i64| Proven {
        want: tree("1.27.0-wmf.10").want(),
        marker: Digest::of(b""),
        level: Level::L2,
        uptime_ms: 0,
        boot_id: String::new(),
        incarnation: None,
        directories: vec![Directory { path: String::new(), mtime_ns, ctime_ns, inode: 1 }],
    };
    let now = 5;
    for (mtime, ctime, settled) in [(4, 4, true), (5, 4, false), (4, 5, false), (6, 4, false), (4, 6, false)] {
        assert_eq!(proven(mtime, ctime).is_settled(now), settled, "{mtime} {ctime}");
    }
}

#[test]
fn on_a_disk_it_holds_until_a_name_changes() {
    let (kept, host) = disk();
    let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(host));
    let (mut controller, note) = noted(&kept, &mut agent, &tree);
    let written = std::fs::read(&note).expect("there");
    assert!(asked(&mut agent, &mut controller, &tree.want(), Level::L2).is_ready());
    assert_eq!(std::fs::read(&note).expect("there"), written, "it was not proven again");
    std::fs::remove_file(kept.path().join("srv/mediawiki/php-1.27.0-wmf.10/index.php")).expect("removed");
    let gone = asked(&mut agent, &mut controller, &tree.want(), Level::L2);
    assert!(matches!(gone, Readiness::Damaged { missing: 1, .. }), "{gone:?}");
}

#[test]
fn a_link_in_the_place_of_a_directory_voids_it_wherever_it_leads() {
    // To the directory itself under another name, in circles, and to nothing.
    for to in ["../moved", "includes", "nothing"] {
        let (kept, host) = disk();
        let (tree, mut agent) = (tree("1.27.0-wmf.10"), Agent::new(host));
        let (mut controller, _) = noted(&kept, &mut agent, &tree);
        let root = kept.path().join("srv/mediawiki");
        let place = root.join("php-1.27.0-wmf.10/includes");
        std::fs::rename(&place, root.join("moved")).expect("moved");
        std::os::unix::fs::symlink(to, &place).expect("linked");
        let damaged = asked(&mut agent, &mut controller, &tree.want(), Level::L2);
        assert!(matches!(damaged, Readiness::Damaged { .. }), "{to}: {damaged:?}");
        controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("it can be repaired");
        assert!(asked(&mut agent, &mut controller, &tree.want(), Level::L2).is_ready());
    }
}
