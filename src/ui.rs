//! The only door to the terminal: stdout is the data that was asked for, stderr is talk.
//!
//! Invariant: nothing else in the house prints. A reader of stdout that goes away is not an error.

pub mod progress;
pub mod prompt;

use std::io::Write;

/// Says things, as the person wants them said.
pub struct Printer {
    quiet: bool,
    json: bool,
}

impl Printer {
    /// With `quiet` only errors and data are said; with `json` stdout carries events only.
    pub fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json }
    }

    /// Whether only errors and data are said.
    pub fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }

    /// Data that was asked for, a line or several, on stdout.
    pub fn data(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A broken pipe means that the reader has seen enough.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// An error or a closing word, on stderr.
    pub fn talk(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// A step on the way, on stderr; not said when quiet.
    pub fn step(&self, text: &str) {
        if !self.quiet {
            self.talk(text);
        }
    }

    /// One event of the JSON stream: `{"v":1,"type":KIND,...}` on one line.
    pub fn event(&self, kind: &str, body: &serde_json::Value) {
        debug_assert!(self.json, "events are for --json");
        let mut event = serde_json::json!({"v": 1, "type": kind});
        if let (Some(event), Some(body)) = (event.as_object_mut(), body.as_object()) {
            event.extend(body.clone());
        }
        self.data(&event.to_string());
    }
}
