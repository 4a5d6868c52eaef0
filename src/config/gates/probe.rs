//! Probes, served versions and contracts.

use super::Known;
use crate::config::fields::Fields;
use crate::gate::spec::Kind;

/// Its keys.
pub const PROBE_KEYS: &[&str] = &[];

/// A gate of kind probe.
pub fn probe(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}

/// Its keys.
pub const SERVED_KEYS: &[&str] = &[];

/// A gate of kind served.
pub fn served(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}

/// Its keys.
pub const CONTRACT_KEYS: &[&str] = &[];

/// A gate of kind contract.
pub fn contract(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}
