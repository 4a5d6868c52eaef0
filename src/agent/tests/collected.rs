//! What a host removes and what stays.

use super::bench::{Controller, build, map, on_both, readiness, tree};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::model::protocol::{Collected, Level, Readiness};

const OLD: &str = "1.27.0-wmf.10";
const NEW: &str = "1.27.0-wmf.11";
const NEXT: &str = "1.27.0-wmf.12";

/// A host that served one version and serves the next one; the one after that is there.
fn moved<F: HostFs>(agent: &mut Agent<F>) -> Controller {
    let mut controller = Controller::new(1);
    controller.observe(agent, &[]).expect("obeyed");
    for version in [OLD, NEW, NEXT] {
        let tree = tree(version);
        controller.prepare(agent, &tree, tree.want_built(), &build()).expect("prepared");
        if version != NEXT {
            controller.switch(agent, &map(version), &[tree.want_built()]).expect("switched");
            controller.confirm(agent).expect("confirmed");
        }
    }
    controller
}

fn stands<F: HostFs>(agent: &Agent<F>, version: &str) -> Readiness {
    readiness(agent, &tree(version).want_built(), Level::L3)
}

fn exists<F: HostFs>(agent: &Agent<F>, place: &Place) -> bool {
    agent.fs.lstat(place).expect("asked").is_some()
}

on_both! {
    fn what_is_served_and_what_was_confirmed_before_stays_whatever_is_asked(agent) {
        let mut controller = moved(agent);
        let collected = controller.collect(agent, &[NEXT]).expect("obeyed");
        assert_eq!(collected, Collected::default(), "all three are needed");
        let collected = controller.collect(agent, &[]).expect("obeyed");
        assert_eq!(collected.versions, [NEXT.parse().expect("a version")].into());
        assert_eq!(collected.bytes, tree(NEXT).manifest.bytes());
        assert_eq!(stands(agent, NEXT), Readiness::Absent);
        assert!(stands(agent, OLD).is_ready() && stands(agent, NEW).is_ready(), "with what was built for them");
        for place in ["ready", "index"].map(|kind| Place::state(format!("{kind}/php-{NEXT}"))) {
            assert!(!exists(agent, &place), "{place}");
        }
        assert_eq!(controller.collect(agent, &[]).expect("obeyed"), Collected::default());
        // What went can come again.
        controller.prepare(agent, &tree(NEXT), tree(NEXT).want_built(), &build()).expect("prepared");
        assert!(stands(agent, NEXT).is_ready());
    }
}

on_both! {
    fn what_a_hand_put_there_stays(agent) {
        let mut controller = moved(agent);
        let foreign = Place::root("php-1.27.0-wmf.5");
        agent.fs.make_dir(&foreign).expect("made");
        agent.fs.write(&foreign.join("index.php"), b"by hand").expect("written");
        agent.fs.make_dir(&Place::root("images")).expect("made");
        let collected = controller.collect(agent, &[]).expect("obeyed");
        assert_eq!(collected.versions.len(), 1);
        assert!(exists(agent, &foreign.join("index.php")) && exists(agent, &Place::root("images")));
    }
}

on_both! {
    fn what_has_lost_one_of_its_two_marks_is_still_ours(agent) {
        let mut controller = moved(agent);
        for mark in ["ready", "index"] {
            controller.prepare(agent, &tree(NEXT), tree(NEXT).want_built(), &build()).expect("prepared");
            agent.fs.remove_file(&Place::state(format!("{mark}/php-{NEXT}"))).expect("removed");
            let collected = controller.collect(agent, &[]).expect("obeyed");
            assert_eq!(collected.versions, [NEXT.parse().expect("a version")].into(), "without {mark}");
            assert!(!exists(agent, &Place::root(format!("php-{NEXT}"))));
        }
    }
}

on_both! {
    fn an_older_operator_removes_nothing(agent) {
        let mut first = moved(agent);
        Controller::new(2).observe(agent, &[]).expect("obeyed");
        first.collect(agent, &[]).expect_err("it is fenced");
        assert!(stands(agent, NEXT).is_ready());
    }
}
