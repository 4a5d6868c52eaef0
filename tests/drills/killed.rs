//! SIGKILL at every system call of the controller and of each agent; one converge after it, and all is old or new.

use crate::amount::{Trial, try_points};
use crate::points::{self, Point};
use crate::site::V11;
use crate::stand::{Drill, End, Stand};
use crate::trace::Order;

/// How many calls of the controller, and how many of agents, are tried in a usual run.
const USUALLY: [usize; 2] = [6, 6];

pub const PROMOTE: Drill = Drill {
    name: "promote",
    order: &["promote", "group0", V11, "--yes", "-m", "train"],
    before: |_| {},
    always_ends_new: false,
};

pub const ROLLBACK: Drill = Drill {
    name: "rollback",
    order: &["rollback", "--yes", "-m", "5xx"],
    before: |site| _ = site.promote("group0", V11).ends(0),
    always_ends_new: false,
};

pub const SYNC_COMMON: Drill = Drill {
    name: "sync-common",
    order: &["sync-common", "--from-staging", "--yes", "-m", "fix"],
    before: |site| {
        site.stage("php-1.27.0-wmf.10/includes/Session.php", "<?php\n// mended\n");
        site.stage("php-1.27.0-wmf.10/i18n/de.json", "{\"login\": \"mended\"}\n");
        site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    },
    always_ends_new: false,
};

pub const SYNC_FILE: Drill = Drill {
    name: "sync-file",
    order: &["sync-file", "wmf-config/limits.json", "--yes", "-m", "fix"],
    before: |site| site.stage("wmf-config/limits.json", "{\"a\": 2}\n"),
    always_ends_new: false,
};

pub const PIN: Drill = Drill {
    name: "pin",
    order: &["pin", "enwiki", V11, "--yes", "--reason", "debug"],
    before: |_| {},
    always_ends_new: false,
};

/// One host was reinstalled and another promoted by hand.
pub const CONVERGE: Drill = Drill {
    name: "converge",
    order: &["converge"],
    before: |site| {
        site.reinstall(&site.hosts()[1]);
        for name in ["wikiversions.json", "wikiversions.php"] {
            let file = site.served(&site.hosts()[2], name);
            let text = std::fs::read_to_string(&file).expect("it is there");
            let text = text.replacen("wmf.10", "wmf.11", 1);
            std::fs::write(&file, text).expect("written");
        }
    },
    always_ends_new: true,
};

fn drill(drill: &'static Drill) {
    let stand = Stand::new(drill);
    let killed = |whom: &str, points: &[(String, Point)], usually| {
        try_points(&format!("{} killed, {whom}", drill.name), points, usually, |Point { who, call, place }| {
            let (end, said) = stand.trial(*who, &Order::once(call, "signal=SIGKILL"));
            let judged = stand.judge(end, &said).map_err(|why| {
                format!("{} killed at {who:?} {}({}): {why}\nit had said:\n{said}", drill.name, call.name, call.nth)
            });
            Trial { kind: (*place).to_owned(), end: end.to_string(), judged }
        })
    };
    let sums = killed("controller", &points::of_controller(&stand), USUALLY[0]);
    assert!(sums.ended("killed") > 0, "nothing was killed");
    killed("agents", &points::of_agents(&stand), USUALLY[1]);
}

#[test]
fn a_promotion_is_killed_at_every_call() {
    drill(&PROMOTE);
}

#[test]
fn a_rollback_is_killed_at_every_call() {
    drill(&ROLLBACK);
}

#[test]
fn a_sync_of_all_is_killed_at_every_call() {
    drill(&SYNC_COMMON);
}

#[test]
fn a_sync_of_a_file_is_killed_at_every_call() {
    drill(&SYNC_FILE);
}

#[test]
fn a_pin_is_killed_at_every_call() {
    drill(&PIN);
}

#[test]
fn a_converge_is_killed_at_every_call() {
    drill(&CONVERGE);
}

#[test]
fn the_judge_notices_what_is_planted() {
    let stand = Stand::new(&PROMOTE);
    stand.put_back();
    let said = stand.judge(End::Code(0), "").expect_err("nothing was promoted");
    assert!(said.contains("it said that it is done, and it is not"), "{said}");
    stand.put_back();
    let map = stand.site.served(&stand.site.hosts()[1], "wikiversions.php");
    let text = std::fs::read_to_string(&map).expect("it is there");
    std::fs::write(&map, &text[..text.len() / 2]).expect("written");
    let said = stand.judge(End::Killed, "").expect_err("half a map is served");
    assert!(said.ends_with("`wikiversions.php` is neither old nor new"), "{said}");
    stand.put_back();
    std::fs::write(stand.site.path("books/books.sqlite"), "no books").expect("written");
    let said = stand.judge(End::Killed, "").expect_err("there are no books");
    assert!(said.contains("$ pointsman converge"), "{said}");
    stand.put_back();
    assert_eq!(stand.judge(End::Killed, ""), Ok(()));
}
