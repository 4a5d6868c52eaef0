//! What a look says of a component, and what it does not believe.

use super::bench::{Controller, Tree, build, disk, look, memory, on_both, readiness, reboot_disk, tree};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::model::protocol::{ArtefactCount, Level, Readiness};

fn built<F: HostFs>(agent: &mut Agent<F>) -> (Controller, Tree) {
    let tree = tree("1.27.0-wmf.10");
    let mut controller = Controller::new(1);
    controller.observe(agent, &[]).expect("obeyed");
    controller.prepare(agent, &tree, tree.want_built(), &build()).expect("prepared");
    (controller, tree)
}

fn at(path: &str) -> Place {
    Place::root(format!("php-1.27.0-wmf.10/{path}"))
}

fn level(readiness: &Readiness) -> Option<Level> {
    match readiness {
        Readiness::Ready { level, .. } => Some(*level),
        _ => None,
    }
}

on_both! {
    fn missing_changed_and_foreign_files_are_counted(agent) {
        let (_, tree) = built(agent);
        agent.fs.remove_file(&at("includes/copy.php")).expect("removed");
        agent.fs.write(&at("index.php"), b"<?php SHARED").expect("same length, other bytes");
        agent.fs.write(&at("i18n/zz.json"), b"{}").expect("written");
        agent.fs.remove_file(&at("i18n/link")).expect("removed");
        agent.fs.symlink("../bin", &at("i18n/link")).expect("made");
        for level in [Level::L1, Level::L3] {
            let first = "i18n/link".to_owned();
            let damaged = Readiness::Damaged { missing: 1, changed: 2, extra: 1, first };
            assert_eq!(readiness(agent, &tree.want_built(), level), damaged);
        }
    }
}

on_both! {
    fn a_file_that_was_only_rewritten_is_hashed_and_found_the_same(agent) {
        let (mut controller, tree) = built(agent);
        agent.fs.write(&at("index.php"), b"<?php shared").expect("the same bytes, another inode");
        assert_eq!(level(&readiness(agent, &tree.want_built(), Level::L1)), Some(Level::L1));
        let seen = controller.observe(agent, &[tree.want_built()]).expect("obeyed");
        assert!(seen.readiness[0].1.is_ready());
        assert_eq!(level(&readiness(agent, &tree.want_built(), Level::L3)), Some(Level::L3));
    }
}

on_both! {
    fn artefacts_are_counted_proven_and_bound_to_their_input(agent) {
        let (_, tree) = built(agent);
        let mut want = tree.want_built();
        want.artefacts[0].inputs = vec!["includes".to_owned()];
        let stale = Readiness::ArtefactsStale { path: "cache/l10n".to_owned() };
        assert_eq!(readiness(agent, &want, Level::L1), stale, "built from something else than is wanted now");
        let mut want = tree.want_built();
        want.artefacts[0].path = "bin".to_owned();
        want.artefacts[0].files = 0;
        assert!(matches!(readiness(agent, &want, Level::L1), Readiness::ArtefactsStale { .. }), "never built");
        assert!(readiness(agent, &tree.want(), Level::L1).is_ready(), "none asked for, and none is a stranger");
        agent.fs.write(&at("cache/l10n/de.cdb"), b"DE of 1.27.0-wmf.10\n").expect("same length, other bytes");
        let first = "cache/l10n/de.cdb".to_owned();
        let damaged = Readiness::Damaged { missing: 0, changed: 1, extra: 0, first };
        assert_eq!(readiness(agent, &tree.want_built(), Level::L1), damaged);
        agent.fs.write(&at("cache/l10n/fr.cdb"), b"fr").expect("written");
        let count = ArtefactCount { path: "cache/l10n".to_owned(), have: 3, want: 2 };
        assert_eq!(readiness(agent, &tree.want_built(), Level::L1), Readiness::ArtefactsMissing(count));
    }
}

on_both! {
    fn damaged_state_is_as_good_as_none(agent) {
        let (mut controller, tree) = built(agent);
        let files = ["index/php-1.27.0-wmf.10", "ready/php-1.27.0-wmf.10", "confirmed", "journal", "incarnation"];
        for (name, garbage) in files.iter().flat_map(|name| [(name, &b"\xff\0{"[..]), (name, b""), (name, b"{}")]) {
            controller.prepare(agent, &tree, tree.want_built(), &build()).expect("prepared");
            agent.fs.write(&Place::state(*name), garbage).expect("written");
            let seen = agent.peek(&look(&[tree.want_built()], Level::L1)).expect("it answers");
            let lost = name.contains('/');
            assert_eq!(matches!(seen.readiness[0].1, Readiness::Unproven { .. }), lost, "{name}: {seen:?}");
            assert_eq!(seen.journal_open, *name == "journal");
            let seen = controller.observe(agent, &[]).expect("obeyed");
            assert!(!seen.journal_open && seen.confirmed.is_empty());
        }
    }
}

fn story_of_a_reboot<F: HostFs>(agent: &mut Agent<F>, reboot: impl FnOnce(&mut F)) {
    let (mut controller, tree) = built(agent);
    assert_eq!(level(&readiness(agent, &tree.want_built(), Level::L1)), Some(Level::L1));
    reboot(&mut agent.fs);
    assert_eq!(level(&readiness(agent, &tree.want_built(), Level::L1)), Some(Level::L3), "stats prove nothing now");
    let seen = controller.observe(agent, &[tree.want_built()]).expect("obeyed");
    assert_eq!(level(&seen.readiness[0].1), Some(Level::L3));
    assert_eq!(level(&readiness(agent, &tree.want_built(), Level::L1)), Some(Level::L1), "the index is of this boot");
}

#[test]
fn a_reboot_voids_stats_until_an_observe() {
    story_of_a_reboot(&mut Agent::new(memory()), |fs| fs.reboot());
    let (kept, fs) = disk();
    story_of_a_reboot(&mut Agent::new(fs), |_| reboot_disk(kept.path(), "two"));
}

#[test]
fn a_peek_changes_nothing_whatever_it_finds() {
    let mut agent = Agent::new(memory());
    let (_, tree) = built(&mut agent);
    agent.fs.reboot();
    agent.fs.write(&Place::state("journal"), b"?").expect("written");
    let before = agent.fs.fingerprint();
    for level in [Level::L1, Level::L3] {
        readiness(&agent, &tree.want_built(), level);
    }
    assert_eq!(agent.fs.fingerprint(), before);
}
