//! Incident files (`incidents/NAME.yaml`), read into [`spec::Incident`] with all mistakes at once.

pub mod spec;
