//! The same core under a seeded fleet with faults.
