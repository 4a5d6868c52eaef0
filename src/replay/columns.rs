//! A replay as text: what happened on the left, what pointsman would have done on the right.
//!
//! Invariant: every text is made harmless before it is wrapped; no line is wider than asked.

use super::played::{ChapterPlayed, Played, Row, Served, Side};
use crate::gate::signature::harmless;
use crate::model::limits::LINE_BYTES_MAX;
use crate::model::time::Time;
use std::fmt::Write;
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter};

/// `HH:MM:SS` and a space.
const TIME_WIDTH: usize = 9;
/// Between the columns.
const GAP: &str = " | ";

/// The whole of it, no line wider than `width` columns.
pub fn text(played: &Played, width: usize) -> String {
    let mut out = wrapped(&format!("{}: {}", shown(&played.incident), shown(&played.title)), width);
    for chapter in &played.chapters {
        out.push('\n');
        out.push_str(&self::chapter(chapter, width));
    }
    out
}

fn chapter(chapter: &ChapterPlayed, width: usize) -> String {
    let column = (width.saturating_sub(TIME_WIDTH + GAP.len()) / 2).max(20);
    let head = format!("== {}: from {} to {}, with pointsman", shown(&chapter.name), chapter.from, chapter.to);
    let mut out = wrapped(&head, width);
    let whole = "what pointsman would have done";
    let here = if whole.len() <= column { whole } else { "with pointsman" };
    let _ = writeln!(out, "{:TIME_WIDTH$}{:column$}{GAP}{here}", "", "what happened");
    let mut day = String::new();
    for row in &chapter.rows {
        let (date, time) = parts(row.at);
        if date != day {
            let _ = writeln!(out, "{date}");
            day = date;
        }
        self::row(&mut out, row, &time, column);
    }
    out.push('\n');
    for line in sums(chapter) {
        out.push_str(&wrapped(&line, width));
    }
    out
}

/// Times and names of hosts are not broken at their hyphens.
fn whole_words(width: usize) -> Options<'static> {
    Options::new(width).word_splitter(WordSplitter::NoHyphenation).word_separator(WordSeparator::AsciiSpace)
}

/// Lines of at most `width` columns.
fn wrapped(text: &str, width: usize) -> String {
    textwrap::wrap(text, whole_words(width)).iter().map(|line| format!("{line}\n")).collect()
}

fn row(out: &mut String, row: &Row, time: &str, column: usize) {
    let text = match row.prov.as_str() {
        "assumed" => format!("{} (assumed)", shown(&row.text)),
        _ => shown(&row.text),
    };
    for (number, line) in textwrap::wrap(&text, whole_words(column)).iter().enumerate() {
        let time = if number == 0 { time } else { "" };
        let line = match row.side {
            Side::History => {
                let pad = column.saturating_sub(display_width(line));
                format!("{time:TIME_WIDTH$}{line}{:pad$}{GAP}", "")
            }
            Side::Pointsman => format!("{time:TIME_WIDTH$}{:column$}{GAP}{line}", ""),
        };
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// For how long each group served the version, what is saved, and what could not be asked.
pub fn sums(chapter: &ChapterPlayed) -> Vec<String> {
    let mut lines = Vec::new();
    for (group, served) in &chapter.served {
        let Served { history_ms, pointsman_ms } = *served;
        if history_ms.max(pointsman_ms) > 0 {
            let word = if pointsman_ms > history_ms { "longer" } else { "saved" };
            let (then, now, less) = (span(history_ms), span(pointsman_ms), span(history_ms.abs_diff(pointsman_ms)));
            lines.push(match history_ms == pointsman_ms {
                true => format!("{group} served it for {then}; with pointsman as long"),
                false => format!("{group} served it for {then}; with pointsman {now}: {less} {word}"),
            });
        }
    }
    if !chapter.unmeasured.is_empty() {
        lines.push(format!(
            "not asked, because the incident says nothing about them: {}",
            shown(&chapter.unmeasured.join(", "))
        ));
    }
    lines
}

/// `1 h 49 min`, `4 min 39 s`, `not at all`.
pub fn span(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    let parts = match seconds {
        0 => return "not at all".to_owned(),
        1..3600 => [(seconds / 60, "min"), (seconds % 60, "s")],
        _ => [(seconds / 3600, "h"), (seconds % 3600 / 60, "min")],
    };
    let there = parts.iter().filter(|(number, _)| *number > 0);
    there.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

/// The day and the time of day of a moment, UTC.
fn parts(at: Time) -> (String, String) {
    let text = at.to_string();
    match text.split_once('T') {
        Some((day, time)) => (day.to_owned(), time.trim_end_matches('Z').to_owned()),
        None => (text, String::new()),
    }
}

/// A text that may come from the incident's file.
pub fn shown(text: &str) -> String {
    harmless(text, LINE_BYTES_MAX)
}
