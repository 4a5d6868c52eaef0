//! The controller's clock.

use crate::model::clock::{Clock, Reading};
use crate::model::time::Time;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clock of this process, and the moment from which its ticks count.
static CLOCK: OnceLock<(Instant, Clock)> = OnceLock::new();

/// Now: what this machine's clock said when this was asked first, moved on by what has passed since.
pub fn now() -> Time {
    let (began, clock) = CLOCK.get_or_init(|| {
        let began = Instant::now();
        (began, Clock::starting(reading(began)))
    });
    clock.at(reading(*began))
}

fn reading(began: Instant) -> Reading {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Reading { wall: Time(ms(wall)), ticks_ms: ms(began.elapsed()) }
}
