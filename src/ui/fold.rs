//! Lines that fit the terminal: a longer one is broken between words and goes on below, indented.
//!
//! Invariants: no word is broken, so that a path, a digest or the name of a host is copied whole; a command to type begins a new
//! line where it would be broken otherwise; a row of a table is broken between its cells; and only white space changes. A line that shows what was typed (`$ ...`) stays whole.
//!
//! Absent on purpose: folding where there is no terminal. What reads a pipe or a log wants one line for one thing.

use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter};

/// How much further a line's continuation stands.
const INDENT: usize = 4;
/// What stands before a command that is hinted at, `hint: `, and stays before it.
const HINT: usize = 6;
/// What every command to type begins with.
const PROGRAM: &str = "pointsman ";
/// What stands in the place of a space at which a line may not be broken.
const HARD: &str = "\u{a0}";
/// What stands between the cells of a row at least.
const GAP: &str = "  ";

/// Every line of a text within so many columns, as far as its words allow.
pub fn folded(text: &str, columns: usize) -> String {
    text.split('\n').map(|line| self::line(line, columns)).collect::<Vec<_>>().join("\n")
}

fn line(line: &str, columns: usize) -> String {
    if display_width(line) <= columns || line.starts_with("$ ") {
        return line.to_owned();
    }
    let words = line.trim_start();
    let indent = " ".repeat(line.len() - words.len());
    let below = format!("{indent}{:INDENT$}", "");
    let hard =
        held_together(&row(words, columns.saturating_sub(below.len())), columns.saturating_sub(below.len() + HINT));
    let options = Options::new(columns).initial_indent(&indent).subsequent_indent(&below).break_words(false);
    let options = options.word_splitter(WordSplitter::NoHyphenation).word_separator(WordSeparator::AsciiSpace);
    let first = textwrap::wrap(&hard, &options).first().map_or(String::new(), ToString::to_string);
    // Cells below are under no column, so nothing pads them any more.
    let rest = cells(hard[first.len() - indent.len()..].trim_start_matches(' ')).join(GAP);
    let mut lines = vec![first];
    if !rest.is_empty() {
        lines.extend(textwrap::wrap(&rest, options.initial_indent(&below)).iter().map(ToString::to_string));
    }
    lines.join("\n").replace(HARD, " ")
}

/// What stands between gaps.
fn cells(words: &str) -> Vec<&str> {
    words.split(GAP).map(|cell| cell.trim_matches(' ')).filter(|cell| !cell.is_empty()).collect()
}

/// A row with its cells as one word each, as far as they fit into so many columns; the last one, which is prose, can be broken.
fn row(words: &str, columns: usize) -> String {
    let cells = cells(words);
    let (Some((_, cells)), mut whole) = (cells.split_last(), String::new()) else { return words.to_owned() };
    let mut rest = words;
    for cell in cells {
        let (before, after) = rest.split_once(cell).expect("a cell stands in its row");
        whole += before;
        whole += &if display_width(cell) <= columns { cell.replace(' ', HARD) } else { (*cell).to_owned() };
        rest = after;
    }
    whole + rest
}

/// The line with its commands to type as one word each, as far as they fit into so many columns.
fn held_together(words: &str, columns: usize) -> String {
    let mut parts = words.split(PROGRAM);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = ["; ", ", ", " ("].iter().filter_map(|end| part.find(end)).min().unwrap_or(part.len());
        let (command, rest) = part.split_at(end);
        let mut width = PROGRAM.trim_end().len();
        whole += PROGRAM.trim_end();
        for word in command.trim_end_matches(' ').split(' ') {
            width += 1 + display_width(word);
            whole += if width <= columns && !word.is_empty() { HARD } else { " " };
            whole += word;
        }
        whole += if command.ends_with(' ') { " " } else { "" };
        whole += rest;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const NO_BOOKS: &str = "  hint: pointsman sync-common --from-staging makes them; if there were some: pointsman books rebuild makes \
                        them anew from what the hosts keep";

    #[test]
    fn a_long_line_goes_on_below_and_a_command_to_type_is_not_broken() {
        expect![[r#"
            error: no books
              hint: pointsman sync-common --from-staging makes them; if
                  there were some:
                  pointsman books rebuild makes them anew from what the
                  hosts keep"#]]
        .assert_eq(&folded(&format!("error: no books\n{NO_BOOKS}"), 60));
        let row =
            "r12  2016-01-21 18:54 UTC  bob@deploy  promote group1 to 1.27.0-wmf.11     done    group1: 594 wikis";
        expect![[r#"
            r12  2016-01-21 18:54 UTC  bob@deploy  promote group1 to 1.27.0-wmf.11     done
                group1: 594 wikis"#]]
        .assert_eq(&folded(row, 80));
        expect![[r#"
            r12  2016-01-21 18:54 UTC  bob@deploy
                promote group1 to 1.27.0-wmf.11  done  group1: 594 wikis"#]]
        .assert_eq(&folded(row, 60));
        expect![[r#"
            r12  2016-01-21 18:54 UTC  bob@deploy
                promote group1 to 1.27.0-wmf.11 of a very long name
                done  group1: 594 wikis"#]]
        .assert_eq(&folded(&row.replace("1.27.0-wmf.11 ", "1.27.0-wmf.11 of a very long name "), 60));
    }

    #[test]
    fn what_fits_and_what_was_typed_and_what_is_one_word_stays() {
        for (text, columns) in
            [("a b\n\n  c d", 5), ("$ pointsman show r12", 10), ("/srv/mediawiki/php-1.27.0-wmf.10", 8)]
        {
            assert_eq!(folded(text, columns), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn only_white_space_changes_and_lines_fit(words in "(([a-z;,(]{1,9}|pointsman) {1,2}){0,40}", columns in 20_usize..80) {
            let text = folded(&words, columns);
            let plain = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(plain(&text), plain(&words));
            for line in text.lines() {
                assert!(display_width(line) <= columns || !line.trim().contains(' '), "{line}");
            }
        }
    }
}
