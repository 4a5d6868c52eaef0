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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

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
