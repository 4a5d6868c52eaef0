//! The time of one run, which no jump of the wall clock touches.
//!
//! Ages of proofs and soaks are differences of two times of one run. A clock that is set while a run goes on would make an
//! old proof young, so the wall clock counts once, when the run begins.

use super::planted::{Bug, planted};
use super::time::Time;

/// Both clocks of a machine, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What the wall clock says; it may be set at any time.
    pub wall: Time,
    /// Ms on the clock that only runs forward, from any beginning.
    pub ticks_ms: u64,
}

/// The clock of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    start: Reading,
}

impl Clock {
    /// A clock that begins with this reading.
    pub const fn starting(start: Reading) -> Self {
        Self { start }
    }

    /// The wall clock of the beginning, moved on by what has passed since.
    pub fn at(&self, reading: Reading) -> Time {
        if planted(Bug::ClockSetWhileRunning) {
            return reading.wall;
        }
        Time(self.start.wall.0.saturating_add(reading.ticks_ms.saturating_sub(self.start.ticks_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_changes_nothing() {
        let clock = Clock::starting(Reading { wall: Time(1_000_000), ticks_ms: 70 });
        assert_eq!(clock.at(Reading { wall: Time(5), ticks_ms: 100 }), Time(1_000_030));
        assert_eq!(clock.at(Reading { wall: Time(9_000_000), ticks_ms: 170 }), Time(1_000_100));
    }
}
