//! Moments by the controller's own clock. No decision compares them with another machine's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z by the controller's clock; shown in UTC to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default)]
pub struct Time(pub u64);

impl Time {
    /// Milliseconds from `earlier` to here; 0 when the clock was set back meanwhile.
    pub fn ms_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads `2016-02-01`, the first moment of that day in UTC, or an RFC 3339 time.
    pub fn parse(text: &str) -> Option<Self> {
        let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10);
        let whole = day.map_or_else(|| text.to_owned(), |day| format!("{day}T00:00:00Z"));
        let stamp = whole.parse::<jiff::Timestamp>().ok()?;
        u64::try_from(stamp.as_millisecond()).ok().map(Self)
    }

    /// As people write it: `2016-01-22 01:48 UTC`.
    pub fn moment(self) -> String {
        let stamp = self.to_string();
        match (stamp.get(..10), stamp.get(11..16)) {
            (Some(day), Some(minute)) if stamp.ends_with('Z') => format!("{day} {minute} UTC"),
            _ => stamp,
        }
    }

    /// How long something has lasted: `since 2016-01-22 01:48 UTC, 23 h ago`.
    pub fn since(self, now: Time) -> String {
        format!("since {}, {}", self.moment(), self.ago(now))
    }

    /// The distance in words, as people say it: `3 h ago`.
    pub fn ago(self, now: Time) -> String {
        let seconds = now.ms_since(self) / 1000;
        match seconds {
            0..=89 => format!("{seconds} s ago"),
            90..=5399 => format!("{} min ago", seconds / 60),
            5400..=172_799 => format!("{} h ago", seconds / 3600),
            _ => format!("{} d ago", seconds / 86_400),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0 / 1000).ok().and_then(|s| jiff::Timestamp::from_second(s).ok()) {
            Some(stamp) => write!(f, "{stamp}"),
            None => write!(f, "{} ms", self.0),
        }
    }
}
