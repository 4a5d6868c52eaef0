//! What every fuzz target shares: the checks, which ordinary tests run over kept inputs too, and the limits of one execution.

#[path = "../../tests/fuzzed/files.rs"]
pub mod files;
#[path = "../../tests/fuzzed/sources.rs"]
pub mod sources;
#[path = "../../tests/fuzzed/texts.rs"]
pub mod texts;
#[path = "../../tests/fuzzed/wire.rs"]
pub mod wire;

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What one execution may take of memory, bytes.
const BYTES_MAX: usize = 64 << 20;
/// What it may take of the processor's time, ms: not of the clock on the wall, since others work on the machine too.
const MS_MAX: usize = 1000;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most that an execution took so far.
static BYTES: AtomicUsize = AtomicUsize::new(0);
static MICROS: AtomicUsize = AtomicUsize::new(0);

/// Runs a check within the limits of one execution. What took most so far is said in a line that `scripts/fuzz` reads.
pub fn run(check: fn(&[u8]), data: &[u8]) {
    let (before, began) = (MEMORY.current_usage(), micros());
    MEMORY.reset_peak_usage();
    check(data);
    let (bytes, micros) = (MEMORY.peak_usage().saturating_sub(before), micros() - began);
    assert!(bytes <= BYTES_MAX, "it took {bytes} bytes of memory");
    assert!(micros <= 1000 * MS_MAX, "it took {micros} us of the processor's time");
    // A little more is not said, or there would be a line an input in the beginning.
    let more = |most: &AtomicUsize, now: usize| most.load(Relaxed) + most.load(Relaxed) / 16 < now;
    if more(&BYTES, bytes) || more(&MICROS, micros) {
        let (bytes, micros) = (BYTES.fetch_max(bytes, Relaxed).max(bytes), MICROS.fetch_max(micros, Relaxed).max(micros));
        eprintln!("most: {bytes} bytes {micros} us");
    }
}

/// The processor's time of this thread so far, us.
fn micros() -> usize {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    usize::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unwrap_or_default()
}
