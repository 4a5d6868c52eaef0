//! Questions: over memory what a cursor means, over a disk what lies in wait there.

use super::disk::make_pipe;
use crate::agent::Agent;
use crate::agent::diskfs::DiskFs;
use crate::agent::hostfs::HostFs;
use crate::agent::memfs::MemFs;
use crate::model::limits::{LOG_LINE_BYTES_MAX, TAIL_BYTES_MAX};
use crate::model::question::{Answer, Cursor, Question, Tail};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LOG: &str = "/var/log/a.log";

fn ask<F: HostFs>(agent: &Agent<F>, file: &str, from: Option<Cursor>) -> Result<Tail, String> {
    ask_for(agent, file, from, TAIL_BYTES_MAX)
}

fn ask_for<F: HostFs>(agent: &Agent<F>, file: &str, from: Option<Cursor>, bytes_max: u64) -> Result<Tail, String> {
    let question = Question::Tail { file: file.into(), from, bytes_max };
    match agent.answer(&question) {
        Answer::Tail(tail) => Ok(tail),
        Answer::Failed(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

fn memory() -> (Agent<MemFs>, Cursor) {
    let mut agent = Agent::new(MemFs::new(1));
    agent.fs.host.append(LOG, b"old\n", 0);
    let first = ask(&agent, LOG, None).expect("it is there");
    assert_eq!((first.lines.len(), first.lost), (0, false), "the first reading finds the end only");
    (agent, first.next.expect("a cursor"))
}

#[test]
fn each_whole_line_is_given_once() {
    let (mut agent, cursor) = memory();
    agent.fs.clock_ms = 90;
    agent.fs.host.append(LOG, b"one\r\n\xff\0two\nthr", 40);
    let tail = ask(&agent, LOG, Some(cursor)).expect("it is there");
    assert_eq!(tail.lines, ["one", "\u{fffd}\0two"]);
    assert_eq!((tail.skipped_bytes, tail.left_bytes, tail.age_ms), (0, 3, 50));
    agent.fs.host.append(LOG, b"ee\n", 40);
    let tail = ask(&agent, LOG, tail.next).expect("it is there");
    assert_eq!((tail.lines, tail.left_bytes), (vec!["three".to_owned()], 0));
    assert_eq!(ask(&agent, LOG, tail.next).expect("it is there").lines, [""; 0]);
}

#[test]
fn a_rotation_loses_nothing_and_two_say_that_they_did() {
    let (mut agent, cursor) = memory();
    agent.fs.host.append(LOG, b"last, without an end", 0);
    agent.fs.host.rotate(LOG);
    let between = ask(&agent, LOG, Some(cursor)).expect("no error");
    assert_eq!((between.next, between.lines.len()), (None, 0), "there is no file for a moment");
    agent.fs.host.append(LOG, b"first\n", 0);
    let tail = ask(&agent, LOG, Some(cursor)).expect("it is there");
    assert_eq!(tail.lines, ["last, without an end", "first"]);
    assert!(!tail.lost);
    agent.fs.host.rotate(LOG);
    agent.fs.host.append(LOG, b"missed\n", 0);
    agent.fs.host.rotate(LOG);
    agent.fs.host.append(LOG, b"seen\n", 0);
    let tail = ask(&agent, LOG, tail.next).expect("it is there");
    assert_eq!((tail.lines, tail.lost), (vec!["seen".to_owned()], true));
    let from_none = ask(&agent, LOG, Some(Cursor::default())).expect("it is there");
    assert_eq!((from_none.lines, from_none.lost), (vec!["seen".to_owned()], false), "there was no file before");
}

#[test]
fn a_line_is_taken_when_it_has_ended_or_is_too_long() {
    let (mut agent, cursor) = memory();
    agent.fs.host.append(LOG, b"par", 0);
    let tail = ask(&agent, LOG, Some(cursor)).expect("it is there");
    assert_eq!((tail.lines.len(), tail.left_bytes), (0, 3));
    agent.fs.host.append(LOG, &vec![b'x'; LOG_LINE_BYTES_MAX - 3], 0);
    let tail = ask(&agent, LOG, tail.next).expect("it is there");
    assert_eq!(tail.lines.len(), 0, "it may end with the next byte");
    agent.fs.host.append(LOG, b"\n", 0);
    let tail = ask(&agent, LOG, tail.next).expect("it is there");
    assert_eq!((tail.lines.len(), tail.lines[0].len(), tail.skipped_bytes), (1, LOG_LINE_BYTES_MAX, 0));
    // However little is asked for, one that is too long is got past.
    agent.fs.host.append(LOG, &vec![b'x'; 2 * LOG_LINE_BYTES_MAX], 0);
    let tail = ask_for(&agent, LOG, tail.next, 1).expect("it is there");
    assert_eq!((tail.lines.len(), tail.lines[0].len()), (1, LOG_LINE_BYTES_MAX));
}

#[test]
fn what_was_rotated_comes_first_and_within_what_was_asked_for() {
    let most = LOG_LINE_BYTES_MAX as u64 + 1;
    let (mut agent, cursor) = memory();
    let lines = |letter: &str, count: usize| format!("{}\n", letter.repeat(9)).repeat(count);
    agent.fs.host.append(LOG, lines("a", 4000).as_bytes(), 0);
    agent.fs.host.rotate(LOG);
    agent.fs.host.append(LOG, lines("b", 10_000).as_bytes(), 0);
    let first = ask_for(&agent, LOG, Some(cursor), most).expect("it is there");
    let count = |tail: &Tail, letter: char| tail.lines.iter().filter(|line| line.starts_with(letter)).count();
    let taken = most as usize / 10;
    assert_eq!((count(&first, 'a'), first.lines.len()), (taken, taken));
    assert_eq!(first.left_bytes, 40_000 - 10 * taken as u64 + 100_000);
    let second = ask_for(&agent, LOG, first.next, most).expect("it is there");
    assert_eq!((count(&second, 'a'), second.lines.len()), (4000 - taken, taken), "the rest, and as many of the new");
    assert!(!second.lost);
}

#[test]
fn where_what_was_rotated_is_all_that_was_asked_for_the_new_file_comes_next() {
    let most = LOG_LINE_BYTES_MAX + 1;
    let (mut agent, cursor) = memory();
    agent.fs.host.append(LOG, format!("{}\n", "a".repeat(most - 1)).as_bytes(), 0);
    agent.fs.host.rotate(LOG);
    agent.fs.host.append(LOG, b"new\n", 0);
    let first = ask_for(&agent, LOG, Some(cursor), most as u64).expect("it is there");
    assert_eq!((first.lines.len(), first.left_bytes), (1, 4));
    let second = ask_for(&agent, LOG, first.next, most as u64).expect("it is there");
    assert_eq!((second.lines, second.left_bytes, second.lost), (vec!["new".to_owned()], 0, false));
}

#[test]
fn a_file_that_was_rotated_is_read_from_its_first_byte_to_its_last() {
    let mut agent = Agent::new(MemFs::new(1));
    agent.fs.host.append(LOG, b"", 0);
    let empty = ask(&agent, LOG, None).expect("it is there");
    agent.fs.host.append(LOG, b"one, without an end", 0);
    agent.fs.host.rotate(LOG);
    agent.fs.host.append(LOG, b"new\n", 0);
    let tail = ask(&agent, LOG, empty.next).expect("it is there");
    assert_eq!((tail.lines, tail.lost), (vec!["one, without an end".to_owned(), "new".to_owned()], false));
}

#[test]
fn a_file_that_was_cut_begins_anew() {
    let (mut agent, cursor) = memory();
    agent.fs.host.logs.get_mut(Path::new(LOG)).expect("it is there").bytes.clear();
    agent.fs.host.append(LOG, b"a\n", 0);
    let tail = ask(&agent, LOG, Some(cursor)).expect("it is there");
    assert_eq!((tail.lines, tail.lost), (vec!["a".to_owned()], true));
}

#[test]
fn a_line_without_an_end_is_one_short_line() {
    let (mut agent, cursor) = memory();
    let huge = vec![b'x'; 5 << 20];
    agent.fs.host.append(LOG, &huge, 0);
    agent.fs.host.append(LOG, b"\nnext\n", 0);
    let (mut lines, mut skipped, mut at) = (Vec::new(), 0, Some(cursor));
    loop {
        let tail = ask(&agent, LOG, at).expect("it is there");
        lines.extend(tail.lines);
        skipped += tail.skipped_bytes;
        at = tail.next;
        if tail.left_bytes == 0 {
            break;
        }
    }
    let lengths: Vec<usize> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [LOG_LINE_BYTES_MAX, 4]);
    assert_eq!(skipped, (5 << 20) + 1 - LOG_LINE_BYTES_MAX as u64);
}

#[test]
fn what_lies_far_behind_is_skipped_and_counted() {
    let (mut agent, cursor) = memory();
    agent.fs.host.append(LOG, &b"0123456789abcde\n".repeat(70 << 16), 0);
    let tail = ask(&agent, LOG, Some(cursor)).expect("it is there");
    assert_eq!(tail.skipped_bytes, 6 << 20);
    assert_eq!(tail.lines.len() as u64, TAIL_BYTES_MAX / 16);
    assert_eq!(tail.left_bytes, (64 << 20) - TAIL_BYTES_MAX);
}

fn disk(directory: &Path) -> Agent<DiskFs> {
    Agent::new(DiskFs::new(&directory.join("root"), &directory.join("state")))
}

#[test]
fn only_regular_files_are_read_from_a_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let agent = disk(directory.path());
    let at = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(at("a.log"), "old\n").expect("written");
    std::os::unix::fs::symlink(at("a.log"), at("link")).expect("linked");
    make_pipe(at("fifo").as_ref());
    for (name, why) in [("link", "Too many levels"), ("fifo", "is not a regular"), ("", "is not a regular")] {
        let said = ask(&agent, &at(name), None).expect_err(name);
        assert!(said.contains(why), "{name}: {said}");
    }
    assert!(ask(&agent, "/dev/zero", None).is_err());
    let first = ask(&agent, &at("a.log"), None).expect("it is there");
    let mut open = OpenOptions::new().append(true).open(at("a.log")).expect("it is there");
    fs::rename(at("a.log"), at("a.log.1")).expect("renamed");
    open.write_all(b"written after the rotation\n").expect("written");
    fs::write(at("a.log"), "new\n").expect("written");
    let tail = ask(&agent, &at("a.log"), first.next).expect("it is there");
    assert_eq!((tail.lines, tail.lost), (vec!["written after the rotation".to_owned(), "new".to_owned()], false));
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 4, "nothing was made");
}

#[test]
fn a_machine_says_its_numbers() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("a.log");
    fs::write(&log, "12345").expect("written");
    let gone = directory.path().join("gone");
    let question = Question::Facts { logs: vec![log.clone(), gone.clone()] };
    let Answer::Facts(facts) = disk(directory.path()).answer(&question) else { panic!("facts give facts") };
    assert_eq!(facts.logs, [(log, Some(5)), (gone, None)]);
    assert!(facts.disk_free_bytes > 0 && facts.disk_free_bytes <= facts.disk_bytes, "{facts:?}");
    assert!(facts.memory_available_bytes <= facts.memory_bytes && facts.memory_bytes > Some(0), "{facts:?}");
    assert!(facts.processors > Some(0) && facts.load1_milli.is_some() && facts.uptime_s.is_some(), "{facts:?}");
}

/// The words of a file in `/proc`.
fn proc(name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{name}")).expect("the kernel says it");
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_numbers_of_a_machine_are_in_their_units() {
    let directory = tempfile::tempdir().expect("a directory");
    let uptime_ms = || proc("uptime")[0].parse::<f64>().expect("seconds") * 1000.0;
    let (before, load) = (uptime_ms(), proc("loadavg"));
    let Answer::Facts(facts) = disk(directory.path()).answer(&Question::Facts { logs: vec![] }) else {
        panic!("facts")
    };
    let (after, load) = (uptime_ms(), [load, proc("loadavg")]);
    assert!((before.floor()..=after.ceil()).contains(&(facts.monotonic_ms as f64)), "{facts:?}");
    assert_eq!(facts.uptime_s, Some(facts.monotonic_ms / 1000));
    let thousandths = load.map(|words| (words[0].parse::<f64>().expect("a number") * 1000.0).round() as u64);
    assert!(thousandths.map(Some).contains(&facts.load1_milli), "{facts:?}, {thousandths:?}");
    let kib: u64 = proc("meminfo")[1].parse().expect("kB");
    assert_eq!(facts.memory_bytes, Some(kib * 1024));
    assert!(facts.memory_available_bytes > Some(1 << 20), "{facts:?}");
}

#[test]
fn a_log_is_as_old_as_its_file_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("a.log");
    fs::write(&log, "old\n").expect("written");
    // 999,999,999 ns after a full second, at least five seconds ago.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after it");
    let changed = Duration::new(now.as_secs() - 6, 999_999_999);
    let file = OpenOptions::new().append(true).open(&log).expect("it is there");
    file.set_modified(UNIX_EPOCH + changed).expect("set");
    let tail = ask(&disk(directory.path()), log.to_str().expect("UTF-8"), None).expect("it is there");
    let after = SystemTime::now().duration_since(UNIX_EPOCH).expect("after it");
    let ages = (now - changed).as_millis() as u64..=(after - changed).as_millis() as u64 + 1;
    assert!(ages.contains(&tail.age_ms), "{} is not in {ages:?}", tail.age_ms);
}
