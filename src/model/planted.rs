//! Mistakes that tests plant into the product, to show that the simulator finds them.
//!
//! Invariant: outside of tests [`planted`] is the constant `false`, so that no other build can have any of them.

/// A mistake that a test may plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Whatever a host lacks, it counts as ready.
    FailedSyncCountsAsOk,
    /// A command leaves before its intent is committed.
    SendBeforePersist,
    /// Observing a host does not raise its fence.
    NoFenceOnObserve,
    /// A host obeys late and repeated commands.
    LateCommandAccepted,
    /// A host obeys a command that was meant for another installation of it.
    NoIncarnationCheck,
    /// A host that can't be brought to the wanted state is called done.
    LeftBehindCalledDone,
    /// The wanted state moves when a promotion begins, not when it is proven.
    WantedMovesAtTheStart,
    /// A gate that fails, or that nobody can judge, counts as passed.
    GateFailureCountsAsPass,
}

/// Whether a test planted this mistake.
#[cfg(not(test))]
pub const fn planted(_bug: Bug) -> bool {
    false
}

#[cfg(test)]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether a test planted this mistake in its own thread.
#[cfg(test)]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Plants a mistake in this thread; `None` takes it out again.
#[cfg(test)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}
