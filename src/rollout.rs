//! The state machine: event to effects. Pure.
