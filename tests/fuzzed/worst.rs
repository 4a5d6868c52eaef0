//! The worst that a file of the largest size can say, and what the program takes of memory for it (rule S14).
//!
//! docs/security.md has the time that each takes; no test asserts a duration.

use crate::files::SITE;
use pointsman::model::limits::CONFIG_BYTES_MAX;
use std::fs;
use std::process::{Command, Output};

/// As much of `unit` as fits into a file behind `head`, and before `tail`.
fn full(head: &str, unit: &str, tail: &str) -> String {
    let room = CONFIG_BYTES_MAX as usize - head.len() - tail.len();
    [head, &unit.repeat(room / unit.len()), tail].concat()
}

/// The same with a number in the place of each `#`.
fn counted(head: &str, unit: &str, tail: &str) -> String {
    let room = CONFIG_BYTES_MAX as usize - head.len() - tail.len();
    let units = (0..room / (unit.len() + 5)).map(|n| unit.replace('#', &n.to_string()));
    [head.to_owned(), units.collect(), tail.to_owned()].concat()
}

/// Files of 1 MiB that are nothing but YAML: deep, wide, long, doubled, unfinished, and with all that is refused.
fn of_yaml() -> Vec<(&'static str, String)> {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        bomb.push_str(&format!("{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n"));
    }
    vec![
        ("lists in lists", full("", "[", "")),
        ("maps in maps", full("", "{a: ", "")),
        ("dashes in a line", full("", "- ", "")),
        ("question marks in a line", full("", "? ", "")),
        ("empty lists", full("[", "[],", "]")),
        ("empty maps", full("[", "{},", "]")),
        ("lists of 31 levels", full("[", &format!("{}{},", "[".repeat(30), "]".repeat(30)), "]")),
        ("nothings", full("", "-\n", "")),
        ("letters in a list", full("[", "a,", "]")),
        ("letters in a map", full("{", "a,", "}")),
        ("one key many times", full("", "a:\n", "")),
        ("many keys", counted("", "k#:\n", "")),
        ("many keys of a line", counted("{", "k#: 1,", "}")),
        ("numbers that are none", full("", "- 1.10\n", "")),
        ("one text", full("a: ", "x", "")),
        ("one text of escapes", full("a: \"", "\\u0041", "\"")),
        ("one text of lines", full("a: >\n", " x\n\n", "")),
        ("one text as it is", full("a: |\n", " x\n", "")),
        ("one key of a megabyte", full("", "x", ": 1")),
        ("a comment", full("#", "x", "\n")),
        ("comments", full("", "#\n", "")),
        ("spaces", full("", " ", "")),
        ("tabs", full("", "\t", "")),
        ("line ends", full("", "\n", "")),
        ("returns", full("", "\r", "")),
        ("letters of three bytes", full("- ", "\u{4e00}", "")),
        ("anchors", full("", "- &a x\n", "")),
        ("aliases", full("- &a x\n", "- *a\n", "")),
        ("a bomb of aliases", bomb.clone()),
        ("bombs of aliases", full("", &bomb, "")),
        ("tags", full("", "- !a x\n", "")),
        ("merges", full("", "<<: {a: 1}\n", "")),
        ("documents", full("", "---\n", "")),
        ("directives", full("", "%A\n", "")),
        ("a quote without an end", full("a: '", "x\n ", "")),
        ("a list without an end", full("a: [", "x, ", "")),
    ]
}

/// Files of 1 MiB that are groups.yaml as far as they go.
fn of_groups() -> Vec<(&'static str, String)> {
    let gates = format!("{SITE}gates:\n");
    let gate = "kind: counts, logs: {file: /var/log/x, events: ";
    vec![
        ("ranges of hosts", counted("hosts:\n", "- {name: 'a#x[1-9999]', roles: [canary], datacenter: a}\n", "")),
        ("the same hosts", full("hosts:\n", "- {name: 'a[1-10000]', roles: [canary], datacenter: a}\n", "")),
        ("wikis", counted("wikis: [", "w#, ", "]\n")),
        ("wikis of groups", counted(SITE, "", "").replace("wikis: [testwiki]", &counted("wikis: [", "w#, ", "]"))),
        ("groups", counted("wikis: [a]\ngroups:\n", "- {name: g#, wikis: [a]}\n", "")),
        ("keys that are not known", counted(SITE, "grops#: 1\n", "")),
        ("an expression", full("wikis: [a]\ngroups:\n- {name: a, expression: '%% all.dblist", " + all.dblist", "'}\n")),
        ("gates", counted(&gates, &format!("- {{name: g#, {gate}x}}}}\n"), "")),
        ("expressions of gates", counted(&gates, &format!("- {{name: g#, {gate}'(x{{99}}){{99}}'}}}}\n"), "")),
        ("hosts of gates", counted(&gates, &format!("- {{name: g#, hosts: 'mw[1-9999]', {gate}x}}}}\n"), "")),
    ]
}

/// Runs `config check` over a file with so much memory for its data, KiB; the kernel gives it no more.
fn checked(text: &str, kib_max: u32) -> Output {
    let home = tempfile::tempdir().expect("a directory is made");
    fs::write(home.path().join("groups.yaml"), text).expect("it is written");
    fs::write(home.path().join("all.dblist"), "testwiki\nenwiki\ndewiki\n").expect("it is written");
    fs::write(home.path().join("group0.dblist"), "testwiki\n").expect("it is written");
    let mut command = Command::new("sh");
    let script = format!("ulimit -d {kib_max} && exec \"$0\" -C \"$1\" config check");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_pointsman")]).arg(home.path()).output().expect("it is run")
}

#[test]
fn s14_the_worst_files_are_read_within_64_mib() {
    for (name, text) in [of_yaml(), of_groups()].concat() {
        assert!(text.len() as u64 <= CONFIG_BYTES_MAX, "{name}");
        let ended = checked(&text, 64 << 10);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{name}: {}: {}", ended.status, &said[..said.len().min(2000)]);
        assert!(said.len() < 300_000, "{name}: {} bytes are said", said.len());
    }
    let starved = checked(&full("[", "a,", "]"), 8 << 10);
    assert_eq!(starved.status.code(), None, "the limit is none: {}", starved.status);
}
