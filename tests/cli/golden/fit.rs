//! What holds for every output, whatever it says.

use regex::Regex;
use std::sync::LazyLock;

/// `1 hosts`, `2 host`, and the same of what else is counted.
static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
    let nouns =
        "host|wiki|gate|file|wave|command|byte|event|stage|pin|rollout|request|seed|promotion|rollback|time|fault";
    Regex::new(&format!(r"(?:^|[^\w.:-])(?:1 (?:{nouns})s|(?:[02-9]|[1-9]\d+) (?:{nouns}))\b"))
        .expect("it is a pattern")
});
/// What follows "of", as in `1 of 6 hosts` and `0 of 1 gate`, is counted by the number before it.
static LISTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(mw(\d+)\.\w+\.wmnet, ){2}mw\d+\.").expect("it is a pattern"));

/// What is wrong with an output, by its form alone; `None`: nothing.
pub fn wrong(columns: Option<usize>, written: &str, shown: &str) -> Option<String> {
    let escape = columns.is_none() && written.contains(['\x1b', '\r']);
    let blanks = columns.is_none() && written.lines().any(|line| line.ends_with([' ', '\t']));
    let wide = columns.and_then(|columns| shown.lines().find(|line| is_too_wide(line, columns)));
    let counted = COUNTED.find(shown).map(|found| found.as_str());
    let listed = LISTED.find(shown).map(|found| found.as_str());
    let found = [
        wide.map(|line| format!("too wide: {line}")),
        escape.then(|| "an escape sequence without a terminal".to_owned()),
        blanks.then(|| "blanks at the end of a line".to_owned()),
        counted.map(|words| format!("not counted as people do: `{words}`")),
        listed.map(|hosts| format!("hosts that are not folded: `{hosts}`")),
    ];
    found.into_iter().flatten().next()
}

/// Whether a line could have been broken and was not. What was typed stays whole, and so does a single word.
fn is_too_wide(line: &str, columns: usize) -> bool {
    line.chars().count() > columns && !line.starts_with("$ ") && line.trim().contains(' ')
}

#[test]
fn what_is_wrong_is_found() {
    let ill = |columns, text: &str| wrong(columns, text, text).unwrap_or_default();
    for (columns, text, words) in [
        (Some(60), "a word ".repeat(10), "too wide"),
        (None, "\x1b[31mred\x1b[0m".to_owned(), "escape"),
        (None, "blank \n".to_owned(), "blanks"),
        (None, "1 hosts are stale".to_owned(), "`1 hosts`"),
        (None, "(2 host)".to_owned(), "2 host`"),
        (None, "12 wiki".to_owned(), "12 wiki`"),
        (None, "mw1.a.wmnet, mw2.a.wmnet, mw3.a.wmnet".to_owned(), "not folded"),
    ] {
        assert!(ill(columns, &text).contains(words), "{text}: {}", ill(columns, &text));
    }
    let well = "1 host, 21 hosts, 0 files; mw[1-3].a.wmnet\n$ pointsman a very long command that was typed by somebody there\n";
    assert_eq!(ill(Some(60), well), "");
}
