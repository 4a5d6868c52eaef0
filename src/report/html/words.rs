//! Small pieces that every part of the page uses: a moment, a duration, a word with its mood.

use super::super::timeline::day_and_time;
use crate::model::time::Time;
use maud::{Markup, html};

/// What a word means for whoever reads it. A sign stands beside the colour, since colour alone tells some people nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mood {
    Bad,
    Doubtful,
    Quiet,
    Good,
}

impl Mood {
    fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Doubtful => "doubtful",
            Self::Quiet => "quiet",
            Self::Good => "good",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Bad => "✕",
            Self::Doubtful => "◆",
            Self::Quiet => "○",
            Self::Good => "✓",
        }
    }
}

/// A word with its sign and its colour.
pub(super) fn badge(mood: Mood, word: &str) -> Markup {
    html! { span.badge.(mood.class()) { span aria-hidden="true" { (mood.sign()) } " " (word) } }
}

/// `2016-01-23 01:16:05 UTC`.
pub(super) fn moment(at: Time) -> Markup {
    let (day, time) = day_and_time(at);
    html! { time datetime=(at) { (day) " " (time) " UTC" } }
}

/// `01:16:05`, for tables whose caption says the day.
pub(super) fn clock(at: Time) -> Markup {
    html! { time datetime=(at) { (day_and_time(at).1) } }
}

/// A table that scrolls sideways where it is too wide, by keyboard too, and has a name for who can't see it.
pub(super) fn scrolled(label: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="group" aria-label=(label) { (table) } }
}

/// `340 ms`, `12.4 s`, `7 min 5 s`, `3 h 20 min`.
pub(super) fn lasted(ms: u64) -> String {
    let s = ms / 1000;
    match ms {
        0..=999 => format!("{ms} ms"),
        1000..=119_999 => format!("{}.{} s", s, ms % 1000 / 100),
        120_000..=7_199_999 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_the_units_that_matter() {
        let shown = [0, 999, 1_000, 12_449, 119_999, 425_000, 12_000_000].map(lasted);
        assert_eq!(shown, ["0 ms", "999 ms", "1.0 s", "12.4 s", "119.9 s", "7 min 5 s", "3 h 20 min"]);
    }
}
