//! Who is obeyed: order, books, incarnation, compare-and-set, readiness.

use super::bench::{Controller, assert_map_files, build, failing, look, map, memory, on_both, readiness, tree};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::state::{self, Journal, Step};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation};
use crate::model::limits::{MAP_BYTES_MAX, STATE_BYTES_MAX};
use crate::model::map::VersionMap;
use crate::model::names::Version;
use crate::model::protocol::{Command, Direction, Level, Readiness, Refusal, Reply};
use crate::model::signed::Signing;
use std::collections::BTreeMap;

fn clear(fs: &mut impl HostFs, base: &Place) {
    for listed in fs.list(base).expect("it is there") {
        fs.remove_tree(&base.join(listed.name.to_str().expect("plain"))).expect("it can be removed");
    }
}

on_both! {
    fn a_peek_at_a_new_host_finds_nothing_and_makes_nothing(agent) {
        let want = tree("1.27.0-wmf.10").want();
        // Not even the deploy root is there.
        let seen = agent.peek(&look(&[want], Level::L1)).expect("it answers");
        assert_eq!((seen.incarnation, seen.active, seen.fence, seen.journal_open), (None, None, None, false));
        assert_eq!(seen.readiness[0].1, Readiness::Absent);
        assert_eq!(agent.fs.lstat(&Place::root("")).expect("it can be asked"), None);
        assert_eq!(agent.fs.lstat(&Place::state("")).expect("it can be asked"), None);
    }
}

on_both! {
    fn the_whole_way_of_two_versions(agent) {
        let (old, new) = (tree("1.27.0-wmf.10"), tree("1.27.0-wmf.11"));
        let mut controller = Controller::new(1);
        let first = controller.observe(agent, &[old.want_built()]).expect("obeyed");
        assert_eq!((first.fence, first.readiness[0].1.clone()), (None, Readiness::Absent));
        for tree in [&old, &new] {
            controller.prepare(agent, tree, tree.want_built(), &build()).expect("prepared");
        }
        for (version, needs) in [("1.27.0-wmf.10", old.want_built()), ("1.27.0-wmf.11", new.want_built())] {
            assert_eq!(controller.switch(agent, &map(version), &[needs]), Ok(None));
            assert_map_files(&agent.fs, Some(&map(version)));
            controller.confirm(agent).expect("confirmed");
            controller.confirm(agent).expect("and again, which replaces the note");
        }
        controller.switch(agent, &map("1.27.0-wmf.10"), &[old.want_built()]).expect("back");
        controller.confirm(agent).expect("confirmed");
        let seen = controller.observe(agent, &[old.want_built(), new.want_built()]).expect("obeyed");
        assert!(seen.readiness.iter().all(|(_, readiness)| readiness.is_ready()), "{:?}", seen.readiness);
        assert_eq!(seen.active, Some(map("1.27.0-wmf.10").digest()));
        assert_eq!(seen.versions, map("1.27.0-wmf.10").counts());
        let confirmed: Vec<_> = seen.confirmed.iter().map(|confirmed| &confirmed.map).collect();
        assert_eq!(confirmed, [&map("1.27.0-wmf.10"), &map("1.27.0-wmf.11")]);
        let fence = seen.fence.expect("it has one").generation;
        assert_eq!(fence, Generation { epoch: 1, seq: controller.seq - 1 }, "as it was before the look");
        assert_eq!(seen.held.len(), 2);
    }
}

/// A map whose longer file has so many bytes.
fn map_of(bytes: usize) -> VersionMap {
    let version: Version = "1.27.0-wmf.10".parse().expect("a version");
    let entry =
        |n: usize, more: usize| (format!("w{n:06}{}", "x".repeat(more)).parse().expect("a wiki"), version.clone());
    let length = |map: &VersionMap| map.to_json().len().max(map.to_php().len());
    let of_one = |count: usize| length(&VersionMap((0..count).map(|n| entry(n, 0)).collect()));
    let each = of_one(2) - of_one(1);
    let count = (bytes - of_one(1)) / each;
    let mut left = bytes - of_one(1) - (count - 1) * each;
    let mut map = VersionMap(BTreeMap::new());
    for n in 0..count {
        let more = left.min(20);
        left -= more;
        map.0.extend([entry(n, more)]);
    }
    assert_eq!(length(&map), bytes);
    map
}

on_both! {
    fn a_map_has_an_end(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &tree, tree.want(), &[]).expect("prepared");
        for more in [1, 100] {
            let refused = controller.switch(agent, &map_of(MAP_BYTES_MAX + more), &[tree.want()]);
            let why = format!("the version map has more than {MAP_BYTES_MAX} bytes");
            assert_eq!(refused, Err(Refusal::Failed(why)), "{more}");
        }
        controller.switch(agent, &map_of(MAP_BYTES_MAX), &[tree.want()]).expect("it has as many as it may");
    }
}

on_both! {
    fn a_demand_for_signatures_is_obeyed_where_nobody_is_believed(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        let (stamp, expect) = (controller.stamp(), controller.expect());
        let signing = Signing { demanded: true, signed: None };
        let refused = agent.prepare_begin(stamp, &expect, tree.want(), tree.manifest.clone(), &signing);
        assert!(matches!(&refused, Err(Refusal::Unsigned(why)) if why.contains("this host has no")), "{refused:?}");
        controller.begin(agent, &tree, tree.want()).expect("nobody demands one");
    }
}

on_both! {
    fn what_is_too_large_to_be_ours_is_nothing_and_what_cannot_be_read_is_an_error(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &tree, tree.want(), &[]).expect("prepared");
        let marker = Place::state("ready/php-1.27.0-wmf.10");
        agent.fs.write(&marker, &vec![b' '; STATE_BYTES_MAX + 1]).expect("written");
        assert!(matches!(readiness(agent, &tree.want(), Level::L1), Readiness::Unproven { .. }));
        agent.fs.remove_file(&marker).expect("removed");
        agent.fs.make_dir(&marker).expect("made");
        assert!(agent.peek(&look(&[tree.want()], Level::L1)).is_err());
    }
}

on_both! {
    fn late_repeated_and_foreign_commands_are_refused(agent) {
        let mut old = Controller::new(1);
        old.observe(agent, &[]).expect("obeyed");
        let mut new = Controller::new(2);
        new.observe(agent, &[]).expect("obeyed");
        let fence = Generation { epoch: 2, seq: 1 };
        assert_eq!(old.observe(agent, &[]), Err(Refusal::Fenced(fence)));
        assert_eq!(old.switch(agent, &map("1.27.0-wmf.10"), &[]), Err(Refusal::Fenced(fence)));
        assert_eq!(old.confirm(agent), Err(Refusal::Fenced(fence)));
        assert_eq!(old.begin(agent, &tree("1.27.0"), tree("1.27.0").want()).err(), Some(Refusal::Fenced(fence)));
        new.seq = 0;
        assert_eq!(new.observe(agent, &[]), Err(Refusal::Fenced(fence)), "the same one again");
        let mut foreign = Controller { books: BooksId(2), expect: new.expect, ..Controller::new(9) };
        assert_eq!(foreign.observe(agent, &[]), Err(Refusal::Foreign(BooksId(1))));
        assert_eq!(foreign.confirm(agent), Err(Refusal::Foreign(BooksId(1))));
        assert_map_files(&agent.fs, None);
    }
}

on_both! {
    fn other_books_take_over_only_by_adopting(agent) {
        let mut first = Controller::new(5);
        first.observe(agent, &[]).expect("obeyed");
        let mut other = Controller { books: BooksId(2), ..Controller::new(1) };
        let adopt = Command::Observe { stamp: other.stamp(), adopt: true, peek: look(&[], Level::L1) };
        let Reply::Observed(seen) = agent.command(&adopt) else { panic!("adopted") };
        assert_eq!(seen.fence.expect("that of the first").books, BooksId(1));
        assert_eq!(first.observe(agent, &[]), Err(Refusal::Foreign(BooksId(2))));
        other.observe(agent, &[]).expect("obeyed");
    }
}

on_both! {
    fn a_transfer_of_one_deploy_host_ends_when_another_one_adopts(agent) {
        let (tree, mut first) = (tree("1.27.0-wmf.10"), Controller::new(5));
        first.observe(agent, &[]).expect("obeyed");
        let mut transfer = first.begin(agent, &tree, tree.want()).expect("begun");
        for digest in transfer.needs().to_vec() {
            agent.prepare_put(&mut transfer, digest, &mut tree.files[&digest].as_slice()).expect("put");
        }
        // Whose epochs say nothing of those of the first.
        let mut other = Controller { books: BooksId(2), ..Controller::new(1) };
        agent.command(&Command::Observe { stamp: other.stamp(), adopt: true, peek: look(&[], Level::L1) });
        assert_eq!(agent.prepare_finish(transfer, &[]), Reply::Refused(Refusal::Foreign(BooksId(2))));
        assert_eq!(readiness(agent, &tree.want(), Level::L1), Readiness::Absent);
    }
}

on_both! {
    fn an_open_journal_is_ended_by_what_is_served(agent) {
        let (tree, mut controller) = (tree("1.27.0-wmf.10"), Controller::new(1));
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &tree, tree.want(), &[]).expect("prepared");
        controller.switch(agent, &map("1.27.0-wmf.10"), &[tree.want()]).expect("switched");
        let (json, journal) = (Place::root("wikiversions.json"), state::journal_place());
        // Torn: the other file follows the map that is served.
        agent.fs.write(&json, b"{}").expect("written");
        agent.fs.write(&journal, b"{\"format\": 1, \"bo").expect("written");
        controller.observe(agent, &[]).expect("obeyed");
        assert_map_files(&agent.fs, Some(&map("1.27.0-wmf.10")));
        // Of a switch that has not happened: the other file becomes what it was.
        let step = Step::Switch { map: map("1.27.0-wmf.11").digest(), json_before: Some("before".to_owned()) };
        state::store(&mut agent.fs, &journal, &Journal { generation: Generation { epoch: 1, seq: 3 }, step }).expect("written");
        controller.observe(agent, &[]).expect("obeyed");
        assert_eq!(agent.fs.read(&json, 100).expect("there"), b"before");
        // Of one that has.
        let step = Step::Switch { map: map("1.27.0-wmf.10").digest(), json_before: Some("before".to_owned()) };
        state::store(&mut agent.fs, &journal, &Journal { generation: Generation { epoch: 1, seq: 3 }, step }).expect("written");
        controller.observe(agent, &[]).expect("obeyed");
        assert_map_files(&agent.fs, Some(&map("1.27.0-wmf.10")));
    }
}

on_both! {
    fn s08_a_host_that_lost_its_state_is_another_one(agent) {
        let mut controller = Controller::new(1);
        let before = controller.observe(agent, &[]).expect("obeyed").incarnation;
        clear(&mut agent.fs, &Place::state(""));
        assert_eq!(controller.confirm(agent), Err(Refusal::Reborn(None)), "before anybody looked");
        let mut other = controller.clone();
        let after = other.observe(agent, &[]).expect("obeyed").incarnation;
        assert_ne!(before, after);
        controller.seq = 10;
        assert_eq!(controller.confirm(agent), Err(Refusal::Reborn(after)), "and after");
    }
}

on_both! {
    fn a_damaged_fence_makes_another_incarnation(agent) {
        let mut controller = Controller::new(3);
        let before = controller.observe(agent, &[]).expect("obeyed").incarnation;
        agent.fs.write(&Place::state("fence"), b"{\"format\": 1, \"body\": ").expect("written");
        let mut late = controller.clone();
        (late.epoch, late.seq) = (1, 0);
        assert_eq!(late.confirm(agent), Err(Refusal::Reborn(None)), "an old command does not slip in");
        assert_ne!(controller.observe(agent, &[]).expect("obeyed").incarnation, before);
    }
}

#[test]
fn s08_a_copied_disk_is_another_incarnation() {
    let mut agent = Agent::new(memory());
    let before = Controller::new(1).observe(&mut agent, &[]).expect("obeyed").incarnation;
    agent.fs.machine_id = "another machine".to_owned();
    assert_eq!(agent.peek(&look(&[], Level::L1)).expect("it answers").incarnation, None);
    let after = Controller::new(2).observe(&mut agent, &[]).expect("obeyed").incarnation;
    assert_ne!(before, after);
}

on_both! {
    fn s23_a_map_that_somebody_changed_is_a_conflict(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &tree, tree.want(), &[]).expect("prepared");
        agent.fs.write(&Place::root("wikiversions.php"), b"<?php return [];").expect("written");
        let active = Some(Digest::of(b"<?php return [];"));
        let switched = controller.switch(agent, &map("1.27.0-wmf.10"), &[tree.want()]);
        assert_eq!(switched, Err(Refusal::Conflict(active)));
        let seen = controller.observe(agent, &[]).expect("obeyed");
        assert_eq!((seen.active, seen.versions.len()), (active, 0));
        assert_eq!(controller.confirm(agent), Err(Refusal::Failed("not a version map: not written by pointsman".into())));
        controller.switch(agent, &map("1.27.0-wmf.10"), &[tree.want()]).expect("it knows now");
        assert_map_files(&agent.fs, Some(&map("1.27.0-wmf.10")));
    }
}

on_both! {
    fn nothing_is_switched_to_what_is_not_ready_and_a_refusal_leaves_the_fence(agent) {
        let (old, new) = (tree("1.27.0-wmf.10"), tree("1.27.0-wmf.11"));
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &old, old.want_built(), &build()).expect("prepared");
        let not_ready = |refused: Result<Option<String>, Refusal>| match refused {
            Err(Refusal::NotReady(not_ready)) => (not_ready.component.to_string(), not_ready.readiness),
            other => panic!("{other:?}"),
        };
        let absent = ("php-1.27.0-wmf.11".to_owned(), Readiness::Absent);
        assert_eq!(not_ready(controller.switch(agent, &map("1.27.0-wmf.11"), &[new.want()])), absent);
        assert_eq!(not_ready(controller.switch(agent, &map("1.27.0-wmf.11"), &[old.want_built()])), absent);
        assert_eq!(not_ready(controller.switch(agent, &map("1.27.0-wmf.11"), &[])), absent, "named by nobody");
        let built = old.want_built();
        agent.fs.remove_file(&Place::root("php-1.27.0-wmf.10/cache/l10n/de.cdb")).expect("removed");
        let (_, readiness) = not_ready(controller.switch(agent, &map("1.27.0-wmf.10"), &[built]));
        assert!(matches!(readiness, Readiness::ArtefactsMissing(count) if (count.have, count.want) == (1, 2)));
        assert_map_files(&agent.fs, None);
        let fence = agent.peek(&look(&[], Level::L1)).expect("it answers").fence.expect("it has one");
        assert_eq!(fence.generation.seq, 2, "that of the prepare");
    }
}

on_both! {
    fn a_failing_restart_hook_is_told_and_the_switch_stays(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &tree, tree.want(), &[]).expect("prepared");
        let command = Command::Switch {
            stamp: controller.stamp(),
            expect: controller.expect(),
            map: map("1.27.0-wmf.10"),
            direction: Direction::Back,
            needs: vec![tree.want()],
            restart: failing(),
            proof_age_ms_max: None,
        };
        let restart_failed = Some("exit code 3: no memory left".to_owned());
        let Reply::Switched { restart_failed: failed, seen: Some(seen) } = agent.command(&command) else {
            panic!("it switches");
        };
        assert_eq!((failed, seen.active), (restart_failed, Some(map("1.27.0-wmf.10").digest())));
        assert_map_files(&agent.fs, Some(&map("1.27.0-wmf.10")));
        assert!(readiness(agent, &tree.want(), Level::L1).is_ready());
        assert!(matches!(agent.command(&command), Reply::Refused(Refusal::Fenced(_))), "never twice");
    }
}
