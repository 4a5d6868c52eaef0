//! Two operators, and an operator who is killed: a restart hook that waits makes the moment exact.

use crate::harness::TestFleet;
use crate::kept::until;
use crate::site::{end_of, signal};
use rusqlite::Connection;
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::Duration;

/// The appserver whose restart hook waits.
const LATE: usize = 9;

/// Stops a command while it waits for hosts. One that is stopped in the middle of a write keeps SQLite's own lock, and then
/// others are told that the books are busy.
pub fn stop_between_writes(fleet: &TestFleet, command: &Child) {
    for _ in 0..500 {
        signal(command, Signal::STOP);
        let stat = format!("/proc/{}/stat", command.id());
        until(|| fs::read_to_string(&stat).expect("it is our child").contains(") T "));
        let books = Connection::open(fleet.path("books/books.sqlite")).expect("they are there");
        books.busy_timeout(Duration::ZERO).expect("it is a number");
        if books.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            return;
        }
        signal(command, Signal::CONT);
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it writes all the time");
}

#[test]
fn a_rollback_waits_for_no_lock() {
    let fleet = TestFleet::promoted(16, &["group0"]);
    let mut lock = fleet.spawn(&["lock", "-m", "moving the deploy host"]);
    let mut said = String::new();
    BufReader::new(lock.stderr.as_mut().expect("piped")).read_line(&mut said).expect("it says that it holds the lock");
    assert!(said.starts_with("locked: moving the deploy host"), "{said}");
    let refused = fleet.promote("group1", &[]).is(5).said();
    assert!(refused.contains("moving the deploy host"), "{refused}");
    fleet.all_serve(2, &[]);
    let said = fleet.run(&["rollback", "-m", "sessions are lost"]).is(0).said();
    assert!(said.contains("took over from") && said.contains("moving the deploy host"), "{said}");
    fleet.all_serve(0, &[]);
    signal(&lock, Signal::TERM);
    end_of(lock);
}

#[test]
fn a_promotion_that_was_taken_over_moves_nothing_more() {
    let fleet = TestFleet::promoted(16, &[]);
    let gate = fleet.gate(1);
    let mut promote = fleet.spawn(&["promote", "group0", "1.27.0-wmf.11", "-m", "the train", "-y"]);
    fleet.at_the_gate(1, &mut promote);
    stop_between_writes(&fleet, &promote);
    assert_eq!([0, 1, 3].map(|i| fleet.serves(i, crate::site::NEW)), [2, 2, 0], "in the middle of the second wave");
    let said = fleet.run(&["rollback", "-m", "sessions are lost"]).is(0).said();
    assert!(said.contains("took over from"), "{said}");
    fleet.all_serve(0, &[]);
    drop(gate);
    signal(&promote, Signal::CONT);
    end_of(promote).is(5);
    fleet.all_serve(0, &[]);
    fleet.run(&["check"]).is(0);
}

#[test]
fn a_killed_promotion_is_seen_and_brought_back() {
    let fleet = TestFleet::promoted(16, &["group0"]);
    let gate = fleet.gate(LATE);
    let mut promote = fleet.spawn(&["promote", "group1", "1.27.0-wmf.11", "-m", "the train", "-y"]);
    fleet.at_the_gate(LATE, &mut promote);
    signal(&promote, Signal::KILL);
    promote.wait().expect("it is our child");
    let status = fleet.run(&["status"]).is(0).said();
    assert!(status.contains("unfinished: r3 promote group1 to 1.27.0-wmf.11"), "{status}");
    let moved = (0..16).filter(|i| fleet.serves(*i, crate::site::NEW) == 5).count();
    assert!(moved >= 4, "the first waves and the late host were switched: {moved}");
    fleet.run(&["converge"]).is(0);
    fleet.all_serve(2, &[]);
    fleet.run(&["converge"]).is(0);
    fleet.all_serve(2, &[]);
    drop(gate);
    let status = fleet.run(&["status"]).is(0).said();
    assert!(!status.contains("unfinished"), "{status}");
    fleet.promote("group1", &[]).is(10).names("1.27.0-wmf.11", "was taken back");
    fleet.promote("group1", &["--again", "--reason", "the deploy host is back"]).is(0);
    fleet.all_serve(5, &[]);
}

#[test]
fn ctrl_c_at_a_terminal_is_for_the_controller_and_hosts_finish() {
    let fleet = TestFleet::promoted(4, &[]);
    let gate = fleet.gate(1);
    let order = ["promote", "group0", "1.27.0-wmf.11", "-m", "the train", "-y"];
    let mut promote = fleet.spawn_in_front(&order);
    fleet.at_the_gate(1, &mut promote);
    let group = rustix::process::Pid::from_raw(i32::try_from(promote.id()).expect("a process id"));
    rustix::process::kill_process_group(group.expect("a process id"), Signal::INT).expect("it is ours");
    let mut heard = BufReader::new(promote.stderr.take().expect("it is piped"));
    let mut said = String::new();
    while !said.contains("stopping: no new step begins") {
        assert!(heard.read_line(&mut said).expect("it is text") > 0, "it ended: {said}");
    }
    drop(gate);
    heard.read_to_string(&mut said).expect("it is text");
    end_of(promote).is(130);
    assert!(!said.contains("not answered") && !said.contains("closed the connection"), "{said}");
    fleet.run(&["converge"]).is(0);
    fleet.all_serve(0, &[]);
}
