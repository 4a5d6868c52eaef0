//! Arguments that can't be meant; they end with the code for usage.

use crate::config::fields::parse_duration;

/// An argument that can't be meant; a whole sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A duration as groups.yaml has them, in ms.
pub fn duration(text: &str) -> Result<u64, String> {
    parse_duration(text).ok_or_else(|| "a number and a unit, as in `30s`, `10m` or `2h`".to_owned())
}
