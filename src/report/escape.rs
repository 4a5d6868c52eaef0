//! Text that a host made, shown so that it can't move the cursor, hide itself or pass for ours (S12).

use crate::model::limits::UNTRUSTED_SHOWN_MAX;
use std::fmt::{self, Write};

/// Shows a text of a host: control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls and
/// invisible characters as `\u{1b}`, and of a long text only the first [`UNTRUSTED_SHOWN_MAX`] characters.
#[derive(Debug, Clone, Copy)]
pub struct Untrusted<'a>(pub &'a str);

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shown, c) in self.0.chars().enumerate() {
            if shown == UNTRUSTED_SHOWN_MAX {
                return f.write_str("...");
            }
            match is_hostile(c) {
                true => write!(f, "{}", c.escape_unicode())?,
                false => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The same without an end, for lines that people wrote and that are shown whole.
pub fn whole(text: &str) -> String {
    let shown = |c: char| if is_hostile(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// A whole page or file with nothing in it that could lead its reader astray: what a text of it forgot to make visible is
/// made visible here. Lines stay lines.
pub fn visible(page: &str) -> String {
    page.split('\n').map(whole).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal or a reader may be led astray by it. Bidirectional controls are those of Unicode's UAX 9.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn s12_nothing_reaches_the_terminal_but_text() {
        let attacks = [
            "\x1b]52;c;cm0gLXJm\x07",
            "\x1b]8;;http://evil\x1b\\click",
            "fine\rmw2020: all ready",
            "one\nerror: fake",
            "a\u{9b}31mb\u{7f}",
            "\u{202e}gnp.exe\u{2066}",
            "zero\u{200b}width\u{feff}",
            "hôte à l'été 北京",
        ];
        let shown: Vec<String> = attacks.iter().map(|text| Untrusted(text).to_string()).collect();
        expect![[r#"
            \u{1b}]52;c;cm0gLXJm\u{7}
            \u{1b}]8;;http://evil\u{1b}\click
            fine\u{d}mw2020: all ready
            one\u{a}error: fake
            a\u{9b}31mb\u{7f}
            \u{202e}gnp.exe\u{2066}
            zero\u{200b}width\u{feff}
            hôte à l'été 北京"#]]
        .assert_eq(&shown.join("\n"));
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = "x".repeat(UNTRUSTED_SHOWN_MAX);
        assert_eq!(Untrusted(&text).to_string(), text);
        assert_eq!(Untrusted(&format!("{text}xx")).to_string(), format!("{text}..."));
    }
}
