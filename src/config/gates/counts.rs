//! Errors among requests.

use super::Known;
use crate::config::diagnostic::Sink;
use crate::config::fields::Fields;
use crate::config::yaml::Node;
use crate::gate::spec::Kind;
use crate::gate::spec::counts::CountSource;

/// Its keys.
pub const COUNTS_KEYS: &[&str] = &[];

/// A gate of kind counts.
pub fn counts(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}

/// Where counts come from; also read by soak.
pub fn source(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<CountSource> {
    let _ = known;
    sink.add(node.place, "not there yet");
    None
}
