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
    /// A rollback concerns only the hosts that answer; of the others nothing is said.
    RollbackOnlyWhoAnswers,
    /// A rollback leads to the version whose name is next before, not to the recorded one.
    RollbackTargetGuessed,
    /// A rollback that loses one host lets all others be.
    RollbackStopsAtOneHost,
    /// A rollback forgets the pins that were made since.
    RollbackDropsPins,
    /// What a rollback needs is neither wanted nor kept any more once staging lacks it.
    RollbackVersionForgotten,
    /// A host that cleans up does not keep what it confirmed before.
    ConfirmedIsRemoved,
    /// Whoever takes the lock over gets the epoch that was there.
    LockWithoutEpoch,
    /// Who lost the lock may still write.
    SupersededMayWrite,
    /// A switch whose answer got lost counts as done.
    LostAnswerCountsAsDone,
    /// A switch whose answer got lost is sent again without a look.
    RepeatsWithoutALook,
    /// A host that failed its wave's proof is switched with the others.
    FailedHostsAreSwitched,
    /// A proof stays good however old it is.
    OldProofsCount,
    /// A run asks the wall clock for its time, whoever set it meanwhile.
    ClockSetWhileRunning,
    /// Two hosts with one installation's identity are both believed.
    TwinsAreBelieved,
    /// Hosts that were left out of a promotion are not owed it.
    LeftOutOwedNothing,
    /// A converge leaves unfinished undertakings unfinished.
    UnfinishedStaysOpen,
    /// A host obeys a command that expects another map.
    NoMapCheck,
    /// A host switches without looking at what it needs.
    SwitchUnproven,
    /// The served map is written where it stands.
    MapWrittenInPlace,
    /// What an agent left unfinished when it was killed stays so.
    NoRecovery,
    /// Localisation that was built from other messages is taken over.
    ArtefactsOfOtherInputs,
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
