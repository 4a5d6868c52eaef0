//! A gate for tests, of any kind.

use super::spec::{Counters, Gate, Kind, Mode, OnFail};
use std::collections::BTreeSet;

/// One that is enforced everywhere, with the usual counters.
pub fn gate(name: &str, kind: Kind) -> Gate {
    Gate {
        name: name.parse().expect("a name"),
        at: BTreeSet::new(),
        groups: None,
        hosts: None,
        counters: Counters::default(),
        mode: Mode::Enforce,
        on_fail: OnFail::Rollback,
        needs: BTreeSet::new(),
        kind,
    }
}
