//! Numbers from monitoring.

use super::Known;
use crate::config::fields::Fields;
use crate::gate::spec::Kind;

/// Its keys.
pub const THRESHOLD_KEYS: &[&str] = &[];

/// A gate of kind threshold.
pub fn threshold(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}

/// Its keys.
pub const RANKS_KEYS: &[&str] = &[];

/// A gate of kind ranks.
pub fn ranks(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}
