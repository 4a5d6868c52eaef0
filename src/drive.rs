//! Executes the core's effects in order; owns the runtime, the clock and signals.
