//! What a person sees: the program at a terminal of some width, or in a pipe, and its words without what differs from run
//! to run.

use crate::site::{Ran, Site, ran};
use regex::Regex;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Runs a line of a shell: at a terminal of so many columns, or with its words in pipes. What is said on stderr follows what is
/// said on stdout, as both do on a terminal, but for the living line.
pub fn typed(site: &Site, columns: Option<usize>, line: &str) -> Ran {
    let program = Path::new(env!("CARGO_BIN_EXE_pointsman")).parent().expect("it has a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("there is one"));
    // A command that waits for somebody is a mistake in the story.
    let line = format!("timeout 60 sh -c {}", shell_words(line));
    let mut command = match columns {
        Some(columns) => {
            let mut script = Command::new("script");
            script.args(["-qe", "-E", "never", "-c", &format!("stty cols {columns} rows 50; {line}"), "/dev/null"]);
            script
        }
        None => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("exec 2>&1; {line}")]);
            shell
        }
    };
    command
        .current_dir(site.path(""))
        .env("PATH", path)
        .env("SHELL", "/bin/sh")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color");
    ran(command.stdin(Stdio::null()), &[&line])
}

/// A line as one word of a shell.
fn shell_words(line: &str) -> String {
    format!("'{}'", line.replace('\'', "'\\''"))
}

/// What stays on the screen, were it endlessly wide: of the sequences those are obeyed that a living line is drawn with.
pub fn screen(written: &str) -> String {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => column = 0,
            '\n' => (row, column) = (row + 1, 0),
            '\x1b' => match sequence(&mut rest) {
                ('A', n) => row = row.saturating_sub(n),
                ('B', n) => row += n,
                ('K', _) => lines[row].clear(),
                _ => {}
            },
            c => {
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let text: String = lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned() + "\n").collect();
    text.trim_end_matches('\n').to_owned() + "\n"
}

/// The letter that a sequence ends with, and its number, which is 1 where none is said.
fn sequence(rest: &mut std::str::Chars<'_>) -> (char, usize) {
    let mut whole = String::new();
    for c in rest.by_ref() {
        whole.push(c);
        if c.is_ascii_alphabetic() {
            break;
        }
    }
    let number = whole.trim_start_matches('[').trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse();
    (whole.chars().last().unwrap_or_default(), number.unwrap_or(1))
}

/// What differs from run to run, and what stands in its place here. The first have the width of what they stand for, so that
/// nothing moves; lines with one of the others may be broken elsewhere the next time.
const SAME_WIDTH: [(&str, &str); 4] = [
    (r"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2016-01-23T01:16:00Z"),
    (r"20[2-9]\d-\d\d-\d\d(\s+)\d\d:\d\d(\s+)UTC", "2016-01-23${1}01:16${2}UTC"),
    (r"20[2-9]\d-\d\d-\d\d", "2016-01-23"),
    (r"(\| |begun |until )\d\d:\d\d:\d\d", "${1}01:16:00"),
];
const OTHER_WIDTH: [(&str, &str); 11] = [
    (r"\nevents \d+", "\nevents N"),
    (r"journal:(\s+)\d+:", "journal:${1}N:"),
    (r"\b\d{3,}(\s+)events", "N${1}events"),
    (r"\d+\.\d s\)", "N.N s)"),
    (r"\b\d+(\s+)(?:s|min)(\s+)ago", "N${1}s${2}ago"),
    (r"\b(in|about|took)(\s+)\d+(?:\.\d+)?(\s+)(?:ms|s|min)\b", "${1}${2}N${3}s"),
    (r"\d+\.\d s on \d threads, \d+ rollouts", "N.N s on N threads, N rollouts"),
    (r"\d+\.\d [KMGT]iB free", "N GiB free"),
    (r"\bpid(\s+)\d+", "pid${1}N"),
    (r"[a-z_]+(\\?)@[A-Za-z0-9._-]+", "alice${1}@deploy"),
    (r"/tmp/\.tmp\w{6}", "/site"),
];
/// What a text has that one of the others was masked in.
const LOOSE: [&str; 10] = [
    "events N",
    "journal: N",
    "N events",
    " N s",
    "N.N s",
    "N GiB free",
    "pid N",
    "alice@deploy",
    "alice\\@deploy",
    "/site",
];

static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let all = SAME_WIDTH.iter().chain(&OTHER_WIDTH);
    all.map(|(pattern, instead)| (Regex::new(pattern).expect("it is a pattern"), *instead)).collect()
});
static DIGEST: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[0-9a-f]{8,64}\b").expect("it is a pattern"));

/// The host that stands for all that are being repaired: whichever was the first.
static FIRST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^mw\d{4}\.\w{5}\.wmnet(: (?:[^\n]*\n    )*?[^\n]*repairing\s+it)").expect("it is a pattern")
});

/// A text without what differs from run to run.
pub fn masked(text: &str) -> String {
    let mut text = DIGEST.replace_all(text, |found: &regex::Captures<'_>| "d".repeat(found[0].len())).into_owned();
    for (pattern, instead) in MASKS.iter() {
        text = pattern.replace_all(&text, *instead).into_owned();
    }
    if FIRST.find_iter(&text).count() == 1 {
        text = FIRST.replace(&text, "mwNNNN.first.wmnet$1").into_owned();
    }
    in_order(&text)
}

/// Whether lines of a masked text may be broken elsewhere the next time.
pub fn is_loose(masked: &str) -> bool {
    let words = masked.split_whitespace().collect::<Vec<_>>().join(" ");
    LOOSE.iter().any(|mask| words.contains(mask))
}

/// Hosts of one wave come in any order; here in that of their names, each with the lines below that belong to it.
fn in_order(text: &str) -> String {
    let mut paragraphs: Vec<String> = Vec::new();
    for line in text.lines() {
        match paragraphs.last_mut().filter(|last| line.starts_with("    ") && is_of_a_host(last)) {
            Some(last) => *last += &format!("{line}\n"),
            None => paragraphs.push(format!("{line}\n")),
        }
    }
    for alike in paragraphs.chunk_by_mut(|a, b| is_of_a_host(a) && is_of_a_host(b)) {
        alike.sort_unstable();
    }
    paragraphs.concat()
}

fn is_of_a_host(line: &str) -> bool {
    line.starts_with("mw") && line.split_once(": ").is_some_and(|(host, _)| host.ends_with(".wmnet"))
}
