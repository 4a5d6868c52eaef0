//! Plugins and facts of machines.

use super::Known;
use crate::config::fields::Fields;
use crate::gate::spec::Kind;

/// Its keys.
pub const COMMAND_KEYS: &[&str] = &[];

/// A gate of kind command.
pub fn command(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}

/// Its keys.
pub const HOST_KEYS: &[&str] = &[];

/// A gate of kind host.
pub fn host(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let _ = known;
    f.sink.add(f.node.place, "not there yet");
    None
}
