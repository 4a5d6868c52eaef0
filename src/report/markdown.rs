//! Text that somebody else made, shown so that it stays text in Markdown.
//!
//! Invariant: what [`Cell`] writes can't end a table's cell or row, open a code span, an emphasis, a link, an image or a
//! formula, mention a person, or become HTML. Names of hosts need nothing of it: their grammar has no such character, and
//! [`hosts`] puts them into a code span.
//!
//! Absent on purpose: Markdown from outside that stays Markdown. A reason is a reason, not a document.

use super::escape::Untrusted;
use crate::model::names::HostName;
use crate::model::ranges::fold;
use std::fmt::{self, Display, Write};

/// A text in a cell of a table: in one line, bounded, and nothing but text.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a>(pub &'a str);

impl Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Untrusted(self.0).to_string();
        let mut before = ' ';
        for (at, c) in shown.char_indices() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '\\' | '`' | '|' | '*' | '_' | '[' | ']' | '~' | '$' | '@' | '#' | '!' => write!(f, "\\{c}")?,
                // What would be made a link without being marked as one.
                '/' if before == ':' => f.write_str("\\/")?,
                '.' if ends_in_www(&shown[..at]) => f.write_str("\\.")?,
                _ => f.write_char(c)?,
            }
            before = c;
        }
        Ok(())
    }
}

fn ends_in_www(text: &str) -> bool {
    text.len().checked_sub(3).and_then(|from| text.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

/// Hosts in a code span, folded into ranges.
pub fn hosts<'a>(hosts: impl IntoIterator<Item = &'a HostName>) -> String {
    let hosts: Vec<HostName> = hosts.into_iter().cloned().collect();
    format!("`{}`", fold(&hosts))
}

/// A piece of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Text.
    Plain(String),
    /// Text that is stressed.
    Strong(String),
    /// Names of hosts.
    Code(String),
}

impl Span {
    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Strong(text) | Self::Code(text) => text,
        }
    }
}

/// Reads a cell that was written here, for those who show it otherwise than as Markdown: what [`Cell`] wrote is the text
/// that it was, and stress and code spans are ours.
pub fn spans(cell: &str) -> Vec<Span> {
    let (mut spans, mut text, mut strong) = (Vec::new(), String::new(), false);
    let mut rest = cell;
    while let Some(c) = rest.chars().next() {
        let (read, taken) = match c {
            '\\' => (rest.chars().nth(1), 1 + rest.chars().nth(1).map_or(0, char::len_utf8)),
            '&' => entity(rest),
            '*' if rest.starts_with("**") => {
                spans.extend(span(std::mem::take(&mut text), strong));
                (strong, rest) = (!strong, &rest[2..]);
                continue;
            }
            '`' => {
                let (code, after) = rest[1..].split_once('`').unwrap_or((&rest[1..], ""));
                spans.extend(span(std::mem::take(&mut text), strong));
                spans.push(Span::Code(code.to_owned()));
                rest = after;
                continue;
            }
            c => (Some(c), c.len_utf8()),
        };
        text.extend(read);
        rest = &rest[taken..];
    }
    spans.extend(span(text, strong));
    spans
}

fn span(text: String, strong: bool) -> Option<Span> {
    let made = if strong { Span::Strong } else { Span::Plain };
    (!text.is_empty()).then(|| made(text))
}

fn entity(text: &str) -> (Option<char>, usize) {
    let known = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')];
    let found = known.into_iter().find(|(name, _)| text.starts_with(name));
    found.map_or((Some('&'), 1), |(name, c)| (Some(c), name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cell_is_read_as_the_text_that_was_written(text in any::<String>()) {
            let spans = spans(&Cell(&text).to_string());
            let read: String = spans.iter().map(Span::text).collect();
            prop_assert_eq!(read, Untrusted(&text).to_string());
            prop_assert!(spans.iter().all(|span| matches!(span, Span::Plain(_))));
        }
    }

    #[test]
    fn stress_and_hosts_are_told_from_text() {
        let cell = format!("**r2** goes *on* at `mw2020`: {}", Cell("**not** `this` &amp;"));
        let plain = |text: &str| Span::Plain(text.into());
        let want = [
            Span::Strong("r2".into()),
            plain(" goes *on* at "),
            Span::Code("mw2020".into()),
            plain(": **not** `this` &amp;"),
        ];
        assert_eq!(spans(&cell), want);
    }

    #[test]
    fn s12_nothing_of_a_text_is_markup() {
        let attacks = [
            "a | b\n| 01:16 | all is well |",
            "`code` and **bold** and labs_wiki_",
            "<img src=x onerror=alert(1)> &lt;",
            "![x](http://evil/?a=1) [y](javascript:z)",
            "www.evil.example, WWW.evil.example and https://evil",
            "@team #12 ~~gone~~ $x$",
            "\x1b[2J\u{202e}",
            "back\\slash \\| \\`",
        ];
        let shown: Vec<String> = attacks.iter().map(|text| Cell(text).to_string()).collect();
        expect![[r#"
            a \| b\\u{a}\| 01:16 \| all is well \|
            \`code\` and \*\*bold\*\* and labs\_wiki\_
            &lt;img src=x onerror=alert(1)&gt; &amp;lt;
            \!\[x\](http:\//evil/?a=1) \[y\](javascript:z)
            www\.evil.example, WWW\.evil.example and https:\//evil
            \@team \#12 \~\~gone\~\~ \$x\$
            \\u{1b}\[2J\\u{202e}
            back\\slash \\\| \\\`"#]]
        .assert_eq(&shown.join("\n"));
    }
}
