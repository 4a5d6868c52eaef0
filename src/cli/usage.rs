//! Arguments that can't be meant; they end with the code for usage.

/// An argument that can't be meant; a whole sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
