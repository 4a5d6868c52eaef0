//! Counting over hosts in memory, whose files grow, rotate and vanish.

use super::super::testworld::{Memory, block_on, name, scope};
use super::*;

const LOG: &str = "/var/log/apache2/access.log";

fn spec() -> LogCounts {
    LogCounts {
        file: LOG.into(),
        exposure: None,
        events_file: None,
        events: r#"" 5\d\d "#.to_owned(),
        wiki: Some(r"^(\w+) ".to_owned()),
    }
}

fn tally(logs: &mut Logs, scope: &Scope, world: &Memory) -> (Tally, Reading) {
    let reading = block_on(logs.read(scope, world)).expect("hosts answer");
    let What::Counts(tally) = reading.what.clone() else { panic!("counts give counts") };
    (tally, reading)
}

fn counts(tally: &Tally, host: &str) -> (u64, u64) {
    tally.hosts.get(&name(host)).map_or((0, 0), |count| (count.events, count.exposure))
}

const GOOD: &str = r#"enwiki "GET / HTTP/1.1" 200 12"#;
const BAD: &str = r#"dewiki "GET / HTTP/1.1" 503 12"#;

#[test]
fn counts_begin_at_the_switch_and_go_on_over_a_rotation() {
    let world = Memory::new(&["a", "b"]);
    let mut logs = Logs::new(&spec()).expect("expressions");
    let scope = scope(&["a"], &["b"], 1000);
    world.write("a", LOG, &[BAD, BAD]);
    tally(&mut logs, &scope, &world);
    world.write("a", LOG, &[GOOD, GOOD, BAD]);
    world.write("b", LOG, &[GOOD]);
    world.at(900);
    let (before, _) = tally(&mut logs, &scope, &world);
    assert_eq!(counts(&before, "a"), (0, 0));
    let before = before.before.expect("counted");
    assert_eq!(before[&name("a")], Count { events: 1, exposure: 3 });
    assert_eq!(before[&name("b")], Count { events: 0, exposure: 1 }, "its file came later and is read whole");
    world.at(2000);
    world.write("a", LOG, &[BAD, GOOD]);
    tally(&mut logs, &scope, &world);
    world.write("a", LOG, &[GOOD]);
    world.on("a", |fs| fs.host.rotate(LOG));
    world.write("a", LOG, &[BAD]);
    world.write("b", LOG, &[GOOD, BAD, "nowiki"]);
    let (after, reading) = tally(&mut logs, &scope, &world);
    assert_eq!((counts(&after, "a"), counts(&after, "b")), ((2, 4), (1, 3)));
    let wiki: Vec<_> = after.wikis.iter().map(|(wiki, n)| (wiki.as_str(), n.events, n.exposure)).collect();
    assert_eq!(wiki, [("dewiki", 2, 2), ("enwiki", 0, 2)], "on switched hosts only");
    assert_eq!((reading.window_ms, reading.newest_age_ms), (1000, Some(0)));
    assert_eq!(reading.query, format!("{LOG} on 2 hosts"));
}

#[test]
fn a_host_that_is_switched_later_is_counted_anew() {
    let world = Memory::new(&["a", "b"]);
    let mut logs = Logs::new(&spec()).expect("expressions");
    world.write("b", LOG, &[GOOD]);
    tally(&mut logs, &scope(&["a"], &["b"], 0), &world);
    world.write("b", LOG, &[BAD, GOOD]);
    tally(&mut logs, &scope(&["a"], &["b"], 0), &world);
    world.write("b", LOG, &[GOOD]);
    let (all, _) = tally(&mut logs, &scope(&["a", "b"], &[], 0), &world);
    assert_eq!(counts(&all, "b"), (0, 1));
    assert_eq!(all.before.expect("counted")[&name("b")], Count { events: 1, exposure: 2 });
}

#[test]
fn what_a_host_wrote_while_it_was_left_out_is_of_no_time_before_the_switch() {
    let world = Memory::new(&["a", "b"]);
    let mut logs = Logs::new(&spec()).expect("expressions");
    world.write("a", LOG, &[GOOD]);
    tally(&mut logs, &scope(&[], &["a", "b"], 1000), &world);
    world.write("a", LOG, &[GOOD]);
    tally(&mut logs, &scope(&[], &["a", "b"], 1000), &world);
    world.at(2000);
    let (out, _) = tally(&mut logs, &scope(&["a"], &["b"], 1000), &world);
    world.write("a", LOG, &[BAD, BAD]);
    tally(&mut logs, &scope(&["b"], &["a"], 1000), &world);
    let (again, _) = tally(&mut logs, &scope(&["a", "b"], &[], 1000), &world);
    let before = [out, again].map(|tally| tally.before.expect("counted")[&name("a")]);
    assert_eq!(before, [Count { events: 0, exposure: 1 }; 2]);
}

#[test]
fn silent_hosts_and_blind_sources_are_seen() {
    let world = Memory::new(&["a"]);
    let mut logs = Logs::new(&spec()).expect("expressions");
    let (_, never) = tally(&mut logs, &scope(&["a"], &["gone"], 0), &world);
    assert_eq!(never.newest_age_ms, Some(crate::model::limits::DURATION_MS_MAX), "no file was ever there");
    assert_eq!(never.query, format!("{LOG} on 2 hosts, 1 did not answer (gone: connection refused)"));
    world.write("a", LOG, &[GOOD]);
    tally(&mut logs, &scope(&["a"], &[], 0), &world);
    world.at(60_000);
    world.on("a", |fs| fs.host.logs.clear());
    let (_, blind) = tally(&mut logs, &scope(&["a"], &[], 0), &world);
    assert_eq!(blind.newest_age_ms, Some(60_000));
    let error = block_on(logs.read(&scope(&["gone"], &[], 0), &world)).expect_err("nobody is there");
    assert_eq!(error.to_string(), format!("{LOG} on 1 host: no host answered (gone: connection refused)"));
    assert!(Logs::new(&LogCounts { events: "(".to_owned(), ..spec() }).is_err());
}
