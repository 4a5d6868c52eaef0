//! What this build is called.

/// The version, and what tells builds of it apart.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("POINTSMAN_BUILD"), ")");

/// What the agent that was built with this says of its version.
pub fn agent_line() -> String {
    format!("pointsman-agent {VERSION}")
}
