//! How a component comes to a host: what is asked for, what is copied, what is built, and who may finish.

use super::bench::{Controller, Tree, build, component, failing, map, memory, on_both, readiness, tree};
use crate::agent::Agent;
use crate::agent::guard::Stop;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::prepare::{copied, put_if_right};
use crate::model::component::Want;
use crate::model::digest::Digest;
use crate::model::protocol::{Level, Readiness, Refusal, Reply};

on_both! {
    fn only_what_the_host_lacks_is_asked_for(agent) {
        let (old, new) = (tree("1.27.0-wmf.10"), tree("1.27.0-wmf.11"));
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        let (ready, asked) = controller.prepare(agent, &old, old.want(), &[]).expect("prepared");
        assert_eq!(asked, 4, "each content once, and nothing for the empty file");
        let bytes = old.manifest.bytes();
        assert_eq!(ready, Readiness::Ready { files: 7, bytes, level: Level::L3, age_ms: 0 });
        let (_, asked) = controller.prepare(agent, &new, new.want(), &[]).expect("prepared");
        assert_eq!(asked, 1, "the one file that is its own");
        let (again, asked) = controller.prepare(agent, &new, new.want(), &[]).expect("prepared");
        assert_eq!((again.is_ready(), asked), (true, 0));
        let seq = controller.seq;
        let seen = controller.observe(agent, &[new.want()]).expect("obeyed");
        assert_eq!(seen.fence.expect("it has one").generation.seq, seq, "also when there was nothing to do");
        for tree in [&old, &new] {
            assert!(readiness(agent, &tree.want(), Level::L3).is_ready());
        }
        let link = Place::root("php-1.27.0-wmf.11/i18n/link");
        assert_eq!(agent.fs.read_link(&link).expect("a link"), "../includes");
        let run = Place::root("php-1.27.0-wmf.11/bin/run");
        assert!(agent.fs.lstat(&run).expect("asked").expect("there").exec);
        assert_eq!(agent.fs.list(&Place::root(".pointsman-staging")).expect("there"), [], "nothing is left behind");
    }
}

on_both! {
    fn a_damaged_tree_is_repaired_from_the_host_itself(agent) {
        let (old, new) = (tree("1.27.0-wmf.10"), tree("1.27.0-wmf.11"));
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        for tree in [&old, &new] {
            controller.prepare(agent, tree, tree.want(), &[]).expect("prepared");
        }
        agent.fs.write(&Place::root("php-1.27.0-wmf.11/index.php"), b"<?php hacked").expect("written");
        agent.fs.write(&Place::root("php-1.27.0-wmf.11/extra.php"), b"<?php more").expect("written");
        let damaged = readiness(agent, &new.want(), Level::L1);
        let first = "index.php".to_owned();
        assert_eq!(damaged, Readiness::Damaged { missing: 0, changed: 1, extra: 1, first });
        let (_, asked) = controller.prepare(agent, &new, new.want(), &[]).expect("prepared");
        assert_eq!(asked, 0, "the other version has it");
        assert!(readiness(agent, &new.want(), Level::L3).is_ready());
        assert_eq!(agent.fs.lstat(&Place::root("php-1.27.0-wmf.11/extra.php")).expect("asked"), None);
    }
}

on_both! {
    fn an_unmarked_tree_is_used_but_not_believed(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &tree, tree.want_built(), &build()).expect("prepared");
        for state in ["ready", "index"] {
            agent.fs.remove_tree(&Place::state(state)).expect("removed");
        }
        agent.fs.write(&Place::root("php-1.27.0-wmf.10/index.php"), b"<?php SHARED").expect("written");
        let Readiness::Unproven { artefacts } = readiness(agent, &tree.want_built(), Level::L1) else { panic!() };
        assert_eq!((artefacts[0].have, artefacts[0].want), (2, 2));
        let failed = controller.prepare(agent, &tree, tree.want_built(), &failing());
        assert_eq!(failed, Err(Refusal::BuildFailed("exit code 3: no memory left".into())), "it must be built anew");
        let (_, asked) = controller.prepare(agent, &tree, tree.want_built(), &build()).expect("prepared");
        assert_eq!(asked, 1, "the file of the right length and the wrong bytes");
        assert!(readiness(agent, &tree.want_built(), Level::L3).is_ready());
    }
}

on_both! {
    fn artefacts_are_carried_over_while_their_input_stays(agent) {
        let old = tree("1.27.0-wmf.10");
        let mut files = vec![("index.php", "<?php fixed", false), ("i18n/en.json", "{\"a\": \"b\"}", false)];
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        let first = component("php-1.27.0-wmf.10", &[files[0], files[1]]);
        controller.prepare(agent, &first, first.want_built(), &build()).expect("built");
        files[0].1 = "<?php fixed again";
        let fixed = component("php-1.27.0-wmf.10", &files);
        controller.prepare(agent, &fixed, fixed.want_built(), &failing()).expect("nothing is built");
        assert!(readiness(agent, &fixed.want_built(), Level::L3).is_ready());
        let want = Want { id: old.manifest.id(), ..fixed.want_built() };
        assert_eq!(readiness(agent, &want, Level::L1), Readiness::Differs { have: fixed.manifest.id() });
        files[1].1 = "{\"a\": \"c\"}";
        let other = component("php-1.27.0-wmf.10", &files);
        let refused = controller.prepare(agent, &other, other.want_built(), &failing());
        assert!(matches!(refused, Err(Refusal::BuildFailed(_))), "{refused:?}");
        assert!(readiness(agent, &fixed.want_built(), Level::L3).is_ready(), "a failed build leaves what was there");
        controller.prepare(agent, &other, other.want_built(), &build()).expect("built");
        assert!(readiness(agent, &other.want_built(), Level::L3).is_ready());
    }
}

on_both! {
    fn what_was_built_is_not_carried_over_to_where_a_file_is_sent(agent) {
        let files = [("i18n/en.json", "{}", false), ("cache/l10n/en.cdb", "sent", false)];
        let (first, other) = (component("php-1.27.0-wmf.10", &files[..1]), component("php-1.27.0-wmf.10", &files));
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &first, first.want_built(), &build()).expect("built");
        let refused = controller.prepare(agent, &other, other.want_built(), &failing());
        assert_eq!(refused, Err(Refusal::BuildFailed("exit code 3: no memory left".into())), "it is built anew");
    }
}

on_both! {
    fn a_build_that_makes_too_little_or_nothing_is_refused(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        let mut want = tree.want_built();
        want.artefacts[0].files = 3;
        let refused = controller.prepare(agent, &tree, want, &build());
        assert_eq!(refused, Err(Refusal::BuildFailed("`cache/l10n` has 2 files of 3 after it".into())));
        let refused = controller.prepare(agent, &tree, tree.want_built(), &[]);
        assert_eq!(refused, Err(Refusal::BuildFailed("`cache/l10n` is not built, and there is no build step".into())));
        assert_eq!(readiness(agent, &tree.want(), Level::L1), Readiness::Absent);
        assert_eq!(agent.fs.list(&Place::root(".pointsman-staging")).expect("there"), [], "nothing is left behind");
    }
}

on_both! {
    fn wrong_bytes_and_wrong_manifests_are_refused(agent) {
        let (tree, other) = (tree("1.27.0-wmf.10"), tree("1.27.0-wmf.11"));
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        assert!(matches!(controller.begin(agent, &other, tree.want()), Err(Refusal::Failed(_))));
        let mut transfer = controller.begin(agent, &tree, tree.want()).expect("begun");
        let digest = transfer.needs()[0];
        let len = usize::try_from(transfer.size_of(&digest).expect("it is needed")).expect("small");
        for wrong in [vec![b'x'; len], vec![b'x'; len + 1], vec![b'x'; len - 1]] {
            let refused = agent.prepare_put(&mut transfer, digest, &mut wrong.as_slice());
            assert!(matches!(refused, Err(Refusal::Failed(_))), "{refused:?}");
        }
        let stranger = agent.prepare_put(&mut transfer, Digest::of(b"x"), &mut b"x".as_slice());
        assert!(matches!(stranger, Err(Refusal::Failed(_))));
        let early = agent.prepare_finish(transfer, &[]);
        assert_eq!(early, Reply::Refused(Refusal::Failed("4 files did not come".into())));
        assert_eq!(readiness(agent, &tree.want(), Level::L1), Readiness::Absent);
    }
}

on_both! {
    fn a_newer_observe_ends_an_older_transfer(agent) {
        let tree = tree("1.27.0-wmf.10");
        let mut old = Controller::new(1);
        old.observe(agent, &[]).expect("obeyed");
        let mut transfer = old.begin(agent, &tree, tree.want()).expect("begun");
        let digest = transfer.needs()[0];
        agent.prepare_put(&mut transfer, digest, &mut tree.files[&digest].as_slice()).expect("taken");
        let whole = {
            let mut whole = old.begin(agent, &component("conf", &[]), component("conf", &[]).want()).expect("begun");
            assert_eq!(whole.needs(), []);
            whole.want.artefacts.clear();
            whole
        };
        Controller::new(2).observe(agent, &[]).expect("obeyed");
        let digest = transfer.needs()[1];
        let late = agent.prepare_put(&mut transfer, digest, &mut tree.files[&digest].as_slice());
        assert!(matches!(late, Err(Refusal::Fenced(_))), "{late:?}");
        assert!(matches!(agent.prepare_finish(whole, &[]), Reply::Refused(Refusal::Fenced(_))));
        assert_eq!(readiness(agent, &component("conf", &[]).want(), Level::L1), Readiness::Absent);
    }
}

on_both! {
    fn of_two_prepares_of_one_component_the_older_cannot_finish(agent) {
        let (older, newer) = (component("conf", &[("a", "1", false)]), component("conf", &[("a", "2", false)]));
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        let mut late = controller.begin(agent, &older, older.want()).expect("begun");
        let digest = late.needs()[0];
        agent.prepare_put(&mut late, digest, &mut b"1".as_slice()).expect("taken");
        controller.prepare(agent, &newer, newer.want(), &[]).expect("prepared");
        assert!(matches!(agent.prepare_finish(late, &[]), Reply::Refused(Refusal::Failed(_))));
        assert!(readiness(agent, &newer.want(), Level::L3).is_ready());
        // Another component's transfer of the same epoch goes on.
        let (a, b) = (component("a", &[("x", "1", false)]), component("b", &[]));
        let mut first = controller.begin(agent, &a, a.want()).expect("begun");
        controller.prepare(agent, &b, b.want(), &[]).expect("prepared");
        let digest = first.needs()[0];
        agent.prepare_put(&mut first, digest, &mut b"1".as_slice()).expect("taken");
        assert!(matches!(agent.prepare_finish(first, &[]), Reply::Prepared { .. }));
    }
}

on_both! {
    fn the_served_version_can_be_replaced_under_its_name(agent) {
        let old = component("php-1.27.0", &[("index.php", "1", false)]);
        let new = component("php-1.27.0", &[("index.php", "2", false), ("b/c", "3", false)]);
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &old, old.want(), &[]).expect("prepared");
        controller.switch(agent, &map("1.27.0"), &[old.want()]).expect("switched");
        controller.prepare(agent, &new, new.want(), &[]).expect("prepared");
        assert!(readiness(agent, &new.want(), Level::L3).is_ready());
        controller.prepare(agent, &old, old.want(), &[]).expect("and taken back");
        assert!(readiness(agent, &old.want(), Level::L3).is_ready());
    }
}

#[test]
fn a_full_disk_and_a_read_only_one_are_named() {
    let tree = tree("1.27.0-wmf.10");
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    agent.fs.capacity_bytes = Some(10_000);
    controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("it fits");
    let free = agent.fs.space().expect("known").bytes_free;
    agent.fs.capacity_bytes = Some(10_000 - free + 10);
    let refused = controller.switch(&mut agent, &map("1.27.0-wmf.10"), &[tree.want()]);
    assert_eq!(refused, Err(Refusal::DiskFull(format!("10 bytes and {} inodes free", u64::MAX))));
    agent.fs.capacity_bytes = None;
    agent.fs.read_only = true;
    assert_eq!(controller.confirm(&mut agent), Err(Refusal::ReadOnly));
    agent.fs.read_only = false;
    controller.switch(&mut agent, &map("1.27.0-wmf.10"), &[tree.want()]).expect("switched");
}

#[test]
fn what_does_not_fit_is_refused_with_numbers_before_it_is_sent() {
    let big = component("conf", &[("a", &"x".repeat(1000), false)]);
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    agent.fs.capacity_bytes = Some(1200);
    let Err(Refusal::DiskFull(text)) = controller.begin(&mut agent, &big, big.want()) else { panic!("refused") };
    assert!(text.starts_with("1050 bytes needed, "), "{text}");
    let used = 1200 - agent.fs.space().expect("known").bytes_free;
    agent.fs.capacity_bytes = Some(used + 1050);
    controller.begin(&mut agent, &big, big.want()).expect("it fits to the last byte");
}

#[test]
fn so_is_what_has_more_files_and_directories_than_there_are_inodes() {
    let tree = tree("1.27.0-wmf.10");
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    controller.prepare(&mut agent, &tree, tree.want_built(), &build()).expect("there is room");
    // Of another content, so that there is something to do.
    let other = component("php-1.27.0-wmf.10", &[("a/b", "b", false), ("a/c", "c", false), ("d", "d", false)]);
    // Three files in one directory, and two that were built.
    agent.fs.inodes_free = 5;
    let refused = controller.begin(&mut agent, &other, other.want()).map(drop);
    assert_eq!(refused, Err(Refusal::DiskFull("6 inodes needed, 5 free".into())));
    agent.fs.inodes_free = 6;
    controller.begin(&mut agent, &other, other.want()).expect("it fits to the last inode");
}

#[test]
fn a_source_that_vanished_or_shrank_is_none_and_other_errors_stop() {
    use std::io::ErrorKind;
    for kind in [ErrorKind::NotFound, ErrorKind::InvalidData] {
        assert!(matches!(copied(Err(kind.into())), Ok(None)), "{kind}");
    }
    let stopped = copied(Err(ErrorKind::StorageFull.into()));
    assert_eq!(stopped.expect_err("it stops").kind(), ErrorKind::StorageFull);
}

#[test]
fn bytes_that_are_not_right_are_asked_for_again_and_a_disk_that_is_full_stops() {
    let tree = tree("1.27.0-wmf.10");
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    let mut transfer = controller.begin(&mut agent, &tree, tree.want()).expect("begun");
    let digest = transfer.needs()[0];
    let bytes = tree.files[&digest].clone();
    for wrong in [&bytes[1..], b"something else of another length", b""] {
        assert!(matches!(put_if_right(&mut agent.fs, &mut transfer, digest, &mut &*wrong), Ok(false)));
    }
    agent.fs.capacity_bytes = Some(0);
    let full = put_if_right(&mut agent.fs, &mut transfer, digest, &mut bytes.as_slice());
    assert!(matches!(full, Err(Stop::Io(_))), "{full:?}");
    agent.fs.capacity_bytes = None;
    assert!(matches!(put_if_right(&mut agent.fs, &mut transfer, digest, &mut bytes.as_slice()), Ok(true)));
}

on_both! {
    fn what_was_touched_is_a_source_and_what_was_changed_hides_none(agent) {
        let versions = ["1.27.0-wmf.9", "1.27.0-wmf.10", "1.27.0-wmf.11", "1.27.0-wmf.12"].map(tree);
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        controller.prepare(agent, &versions[0], versions[0].want(), &[]).expect("prepared");
        let index_php = |tree: &Tree| Place::root(format!("{}/index.php", tree.component));
        agent.fs.write(&index_php(&versions[0]), b"<?php shared").expect("the same bytes");
        let (_, asked) = controller.prepare(agent, &versions[1], versions[1].want(), &[]).expect("prepared");
        assert_eq!(asked, 1, "only the file that is its own");
        // Whichever of the two is looked at first.
        for (changed, next) in [(0, 2), (1, 3)] {
            agent.fs.write(&index_php(&versions[changed]), b"<?php SHARED").expect("of the same length");
            let next = &versions[next];
            let (_, asked) = controller.prepare(agent, next, next.want(), &[]).expect("prepared");
            assert_eq!(asked, 1, "another version has it");
            for tree in [&versions[changed], next] {
                agent.fs.remove_tree(&Place::root(tree.component.to_string())).expect("removed");
            }
            controller.prepare(agent, &versions[changed], versions[changed].want(), &[]).expect("prepared");
        }
    }
}

on_both! {
    fn what_has_no_index_is_a_source_if_it_is_a_version_or_what_is_brought(agent) {
        let (old, new) = (tree("1.27.0-wmf.10"), tree("1.27.0-wmf.11"));
        let settings = component("wmf-config", &[("a.php", "<?php settings", false)]);
        let mut controller = Controller::new(1);
        controller.observe(agent, &[]).expect("obeyed");
        for tree in [&old, &settings] {
            controller.prepare(agent, tree, tree.want(), &[]).expect("prepared");
        }
        for state in ["ready", "index"] {
            agent.fs.remove_tree(&Place::state(state)).expect("removed");
        }
        let (_, asked) = controller.prepare(agent, &new, new.want(), &[]).expect("prepared");
        assert_eq!(asked, 1, "the other version, unmarked as it is, has the rest");
        let (_, asked) = controller.prepare(agent, &settings, settings.want(), &[]).expect("prepared");
        assert_eq!(asked, 0, "it lies there already");
        // Nobody reads all of what else lies there.
        agent.fs.make_dir(&Place::root("images")).expect("made");
        agent.fs.write(&Place::root("images/a.php"), b"<?php image").expect("written");
        let image = component("wmf-config", &[("a.php", "<?php image", false)]);
        let (_, asked) = controller.prepare(agent, &image, image.want(), &[]).expect("prepared");
        assert_eq!(asked, 1);
    }
}

on_both! {
    fn what_an_older_operator_staged_is_removed_whatever_it_is_of(agent) {
        let (tree, settings) = (tree("1.27.0-wmf.10"), component("wmf-config", &[("a.php", "<?php", false)]));
        let (mut old, mut new) = (Controller::new(1), Controller::new(2));
        old.observe(agent, &[]).expect("obeyed");
        old.begin(agent, &tree, tree.want()).expect("begun, and never ended");
        new.observe(agent, &[]).expect("obeyed");
        new.prepare(agent, &settings, settings.want(), &[]).expect("prepared");
        assert_eq!(agent.fs.list(&Place::root(".pointsman-staging")).expect("there"), []);
    }
}
