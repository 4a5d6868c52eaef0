//! The embedded fleet: a dozen local hosts, each with a small web tier that serves from its own trees.
