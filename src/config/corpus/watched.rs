//! Gates over log lines, plugins and machines: what is read, and what is said of mistakes.

use super::GOOD;
use crate::config::parse;
use crate::config::policy::Policy;
use crate::gate::spec::Kind;
use crate::gate::spec::hosts::{Command, Fact, Host};
use crate::gate::spec::numbers::{Condition, Op};
use crate::gate::spec::signatures::Borne;
use crate::model::time::Time;
use expect_test::{Expect, expect};
use std::io;
use std::path::Path;

const KNOWN: &str = r#"- signature: "session 4711 lost at /srv/x.php"
  reason: T124440, fixed in the next version
  owner: sessions
  until: "2016-03-01"
"#;

fn read(path: &Path, acknowledged: &str) -> io::Result<String> {
    match path.to_str() {
        Some("signatures.yaml") => Ok(acknowledged.to_owned()),
        _ => super::read(path),
    }
}

fn policy(gate: &str, acknowledged: &str) -> Result<Policy, String> {
    let text = format!("{GOOD}gates:\n  - {{name: x, {gate}}}\n");
    parse(Path::new("groups.yaml"), &text, &|path| read(path, acknowledged)).map_err(|mistakes| mistakes.to_string())
}

fn kind(gate: &str) -> Kind {
    let policy = policy(gate, KNOWN).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    policy.gates[0].kind.clone()
}

fn check(gate: &str, want: Expect) {
    want.assert_eq(&policy(gate, KNOWN).map_or_else(|mistakes| mistakes, |_| "good".to_owned()));
}

fn acknowledged(text: &str, want: Expect) {
    let gate = "kind: signatures, files: [/var/log/a.log], acknowledged: signatures.yaml";
    want.assert_eq(&policy(gate, text).map_or_else(|mistakes| mistakes, |_| "good".to_owned()));
}

#[test]
fn what_is_written_is_what_is_meant() {
    let Kind::Signatures(signatures) =
        kind("kind: signatures, files: [/var/log/a.log], acknowledged: signatures.yaml, look_back: 7d, max_ratio: 2")
    else {
        panic!("signatures")
    };
    assert_eq!((signatures.look_back_ms, signatures.min_events, signatures.min_hosts), (7 * 86_400_000, 3, 2));
    assert_eq!((signatures.limits.max_ratio, signatures.limits.alpha), (2.0, 0.01));
    let one = &signatures.acknowledged[0];
    assert_eq!((one.signature.as_str(), one.owner.as_str()), ("session <n> lost at <path>", "sessions"));
    assert_eq!(one.until.to_string(), "2016-03-01T00:00:00Z");
    let borne = |signature: &str, now| signatures.borne(signature, now);
    assert_eq!(borne(&one.signature, Time(one.until.0 - 1)), Borne::By(one));
    assert_eq!(borne(&one.signature, one.until), Borne::Ended(one), "it counts again from that moment on");
    assert_eq!(borne("another", Time(0)), Borne::No);
    let argv = vec!["/usr/lib/nagios/plugins/check_load".to_owned(), "-w".to_owned(), "5".to_owned()];
    assert_eq!(
        kind("kind: command, argv: [/usr/lib/nagios/plugins/check_load, -w, '5'], where: hosts, warning: fail"),
        Kind::Command(Command { argv, on_hosts: true, warning_fails: true, deadline_ms: 60_000 })
    );
    let host = "kind: host, conditions: {disk_free_percent: '>= 10', load_per_processor: '<2.5', \
                log_bytes_per_second: {file: /var/log/a.log, limit: '< 1000'}}";
    let conditions = vec![
        (Fact::DiskFreePercent, Condition { op: Op::AtLeast, limit: 10.0 }),
        (Fact::LoadPerProcessor, Condition { op: Op::Below, limit: 2.5 }),
        (Fact::LogBytesPerSecond("/var/log/a.log".into()), Condition { op: Op::Below, limit: 1000.0 }),
    ];
    assert_eq!(kind(host), Kind::Host(Host { conditions }));
}

#[test]
fn mistakes_in_signatures() {
    check(
        "kind: signatures",
        expect![[r#"
        groups.yaml:23:5: a gate of kind signatures needs either `files` or `search`
          hint: `files: [/var/log/mediawiki/exception.log]`, or `search` for an index"#]],
    );
    check(
        "kind: signatures, files: [a.log], min_events: 0",
        expect![[r#"
        groups.yaml:23:41: `files` is a path on every host and must be absolute and plain
          hint: as in `/srv/mediawiki`, without `.` and `..`
        groups.yaml:23:61: it is at least 1"#]],
    );
    check(
        "kind: signatures, files: [], search: {server: x, index: y, message_field: z}",
        expect![[r#"
            groups.yaml:23:61: `x` is not the URL of a server: relative URL without a base
              hint: as in `http://prometheus:9090`
            groups.yaml:23:71: `y` without quotes is not a text in YAML
              hint: write "y", in quotes
            groups.yaml:23:74: `message_field` is not a key of search
              hint: the keys of search are server, index, query, message, host, time"#]],
    );
    check(
        "kind: signatures, files: [/a], alpha: 0.9, min_ratio: 3, look_back: 7",
        expect![[r#"
            groups.yaml:23:53: `alpha` is the chance of a false alarm, above 0 and at most 0.5, not 0.9
            groups.yaml:23:69: `min_ratio` 3 is above `max_ratio` 1.5
              hint: it passes below `max_ratio` and fails above `min_ratio`; between them evidence is too thin
            groups.yaml:23:83: `7` is not a duration
              hint: a number and a unit, as in `500ms`, `10s`, `5m`, `2h` or `30d`, at most a year"#]],
    );
    check(
        "kind: signatures, files: [/a], acknowledged: gone.yaml",
        expect!["groups.yaml:23:60: gone.yaml cannot be read: entity not found"],
    );
}

#[test]
fn mistakes_in_what_is_acknowledged() {
    acknowledged("", expect!["good"]);
    acknowledged(
        "- signature: x\n  reason: y\n",
        expect![[r#"
            signatures.yaml:1:3: `owner` is missing in a signature
            signatures.yaml:1:3: `until` is missing in a signature
            signatures.yaml:2:11: `y` without quotes is not a text in YAML
              hint: write "y", in quotes"#]],
    );
    acknowledged(
        "signature: x\n",
        expect![[r#"
            signatures.yaml:1:1: signatures must be a list
              hint: a list is one `- item` a line, or `[a, b]`"#]],
    );
    acknowledged(&format!("{KNOWN}{KNOWN}"), expect!["signatures.yaml:5:3: this signature is listed twice"]);
    acknowledged(
        &KNOWN.replace("2016-03-01", "soon").replace("owner: sessions", "owner: ''"),
        expect![[r#"
            signatures.yaml:3:10: an owner is one line of 1 to 1000 bytes
            signatures.yaml:4:10: `soon` is neither a date nor an RFC 3339 time
              hint: write "2016-02-01" (from 00:00 UTC of that day) or "2016-02-01T12:00:00Z""#]],
    );
    acknowledged(
        "- {signature: ' ', reason: r, owner: o, until: '2016-01-01', who: me}\n",
        expect![[r#"
            signatures.yaml:1:15: a signature is one line of at most 16384 bytes
            signatures.yaml:1:62: `who` is not a key of a signature
              hint: the keys of a signature are signature, reason, owner, until"#]],
    );
}

#[test]
fn mistakes_in_command_and_host() {
    check("kind: command", expect!["groups.yaml:23:5: `argv` is missing in a gate of kind command"]);
    check(
        "kind: command, argv: [check_load], where: hosts, deadline: 1h",
        expect![[r#"
        groups.yaml:23:37: `argv` is a path on every host and must be absolute and plain
          hint: as in `/srv/mediawiki`, without `.` and `..`
        groups.yaml:23:74: `deadline` is from 1ms to 300s"#]],
    );
    check(
        "kind: command, argv: [], where: there, warning: bad",
        expect![[r#"
        groups.yaml:23:47: `there` is not known here
          hint: did you mean `here`?
        groups.yaml:23:63: `bad` is not known here
          hint: one of inconclusive, fail"#]],
    );
    check("kind: host", expect!["groups.yaml:23:5: `conditions` is missing in a gate of kind host"]);
    check(
        "kind: host, conditions: {}",
        expect![[r#"
        groups.yaml:23:39: no condition stands here
          hint: the facts are disk_free_percent, disk_full_hours, inodes_free_percent, load_per_processor, memory_available_percent, uptime_seconds, log_bytes_per_second"#]],
    );
    check(
        "kind: host, conditions: {disk_free: '>= 10', load_per_processor: 2, uptime_seconds: '> much'}",
        expect![[r#"
            groups.yaml:23:40: `disk_free` is not a fact of a machine
              hint: the facts are disk_free_percent, disk_full_hours, inodes_free_percent, load_per_processor, memory_available_percent, uptime_seconds, log_bytes_per_second
            groups.yaml:23:80: `2` is not a condition
              hint: `< 5`, `<= 5`, `> 5` or `>= 5`, in quotes
            groups.yaml:23:99: `> much` is not a condition
              hint: `< 5`, `<= 5`, `> 5` or `>= 5`, in quotes"#]],
    );
    check(
        "kind: host, conditions: {log_bytes_per_second: [{file: a.log, limit: '> 1'}, {file: /a}]}",
        expect![[r#"
            groups.yaml:23:70: `file` is a path on every host and must be absolute and plain
              hint: as in `/srv/mediawiki`, without `.` and `..`
            groups.yaml:23:92: `limit` is missing in log_bytes_per_second"#]],
    );
}
