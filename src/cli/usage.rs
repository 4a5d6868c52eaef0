//! Arguments that can't be meant; they end with the code for usage.

use crate::config::fields::parse_duration;
use crate::model::time::Time;

/// An argument that can't be meant; a whole sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A duration as groups.yaml has them, in ms.
pub fn duration(text: &str) -> Result<u64, String> {
    parse_duration(text).ok_or_else(|| "a number and a unit, as in `30s`, `10m` or `2h`".to_owned())
}

/// A moment as an option names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// By the calendar.
    At(Time),
    /// So many ms before now.
    Ago(u64),
}

impl When {
    /// Reads `2016-01-23`, `2016-01-23T01:16:00Z` or `3h`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let ago = parse_duration(text).map(Self::Ago);
        let words = || "not a time: write 2016-01-23, 2016-01-23T01:16:00Z (UTC), or 3h for three hours ago".to_owned();
        ago.or_else(|| Time::parse(text).map(Self::At)).ok_or_else(words)
    }

    /// The moment itself.
    pub fn at(self, now: Time) -> Time {
        match self {
            Self::At(at) => at,
            Self::Ago(ms) => Time(now.0.saturating_sub(ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_by_the_calendar_and_before_now() {
        let now = Time(1_453_511_760_000);
        assert_eq!(When::parse("2016-01-23T01:16:00Z").map(|when| when.at(Time(0))), Ok(now));
        assert_eq!(When::parse("3h").map(|when| when.at(now)), Ok(Time(now.0 - 3 * 3_600_000)));
        assert_eq!(When::parse("30d").map(|when| when.at(Time(5))), Ok(Time(0)), "before the beginning of time");
        for wrong in ["", "3", "yesterday", "2016-13-01", "-3h"] {
            assert!(When::parse(wrong).is_err(), "{wrong}");
        }
    }
}
