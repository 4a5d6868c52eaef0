//! The museum of bugs: each is planted into the product's code and must be found by the judge, or the judge is blind.

use super::super::Founded;
use super::super::faults::{Faults, Kind};
use crate::model::planted::{Bug, plant};

/// Hosts of the fleets here: few, so that many seeds take little time.
const HOSTS: usize = 6;

/// Plants a mistake and runs at most so many seeds until one of these promises is broken.
fn check(bug: Bug, promises: &[&str], seeds: u64) {
    check_with(bug, promises, seeds, &Faults::default());
}

/// The same with four times as many faults of a kind: what only follows from a rare one is met in fewer seeds.
fn check_often(bug: Bug, promises: &[&str], seeds: u64, kind: Kind) {
    let mut faults = Faults::default();
    faults.0.insert(kind, 4 * faults.rate(kind));
    check_with(bug, promises, seeds, &faults);
}

fn check_with(bug: Bug, promises: &[&str], seeds: u64, faults: &Faults) {
    let founded = Founded::new(HOSTS);
    plant(Some(bug));
    let found = (0..seeds).map(|seed| founded.run(seed, faults)).find_map(|report| {
        let named = |v: &&String| promises.iter().any(|p| v.starts_with(&format!("{p}:")));
        report.violations.iter().find(named).map(|v| (report.seed, v.clone()))
    });
    plant(None);
    assert!(found.is_some(), "{bug:?} was not found in {seeds} seeds by {promises:?}");
}

#[test]
fn a_failed_sync_that_counts_as_ok_breaks_p1() {
    check(Bug::FailedSyncCountsAsOk, &["P1"], 300);
}

#[test]
fn sending_before_the_intent_is_committed_breaks_p2() {
    check(Bug::SendBeforePersist, &["P2"], 300);
}

#[test]
fn an_observe_without_a_fence_breaks_p3_or_p4() {
    check(Bug::NoFenceOnObserve, &["P3", "P4"], 300);
}

#[test]
fn obeying_late_commands_breaks_p4() {
    check(Bug::LateCommandAccepted, &["P4"], 300);
}

#[test]
fn obeying_what_another_installation_was_told_breaks_p6() {
    check(Bug::NoIncarnationCheck, &["P6"], 300);
}

#[test]
fn calling_unreachable_hosts_done_breaks_p14() {
    check(Bug::LeftBehindCalledDone, &["P14"], 300);
}

#[test]
fn a_wanted_state_that_moves_before_the_proof_breaks_p8() {
    check(Bug::WantedMovesAtTheStart, &["P8"], 300);
}

#[test]
fn a_failed_gate_that_counts_as_passed_breaks_p13() {
    check(Bug::GateFailureCountsAsPass, &["P13"], 300);
}

#[test]
fn a_rollback_of_those_who_answer_breaks_p14() {
    check(Bug::RollbackOnlyWhoAnswers, &["P14"], 300);
}

#[test]
fn a_rollback_to_a_guessed_version_breaks_p20() {
    check(Bug::RollbackTargetGuessed, &["P20"], 300);
}

#[test]
fn a_rollback_that_stops_at_one_host_breaks_p9() {
    check(Bug::RollbackStopsAtOneHost, &["P9"], 300);
}

#[test]
fn a_rollback_that_drops_pins_breaks_p20() {
    check(Bug::RollbackDropsPins, &["P20"], 300);
}

#[test]
fn forgetting_the_version_of_a_rollback_breaks_p9_or_p19() {
    check(Bug::RollbackVersionForgotten, &["P9", "P19"], 1_000);
}

#[test]
fn removing_what_was_confirmed_breaks_p19() {
    check(Bug::ConfirmedIsRemoved, &["P19"], 1_000);
}

#[test]
fn a_lock_without_an_epoch_breaks_p3() {
    check(Bug::LockWithoutEpoch, &["P3"], 300);
}

#[test]
fn an_operator_who_writes_without_the_lock_breaks_p3() {
    check(Bug::SupersededMayWrite, &["P3"], 300);
}

#[test]
fn a_lost_answer_that_counts_as_done_breaks_p14() {
    check(Bug::LostAnswerCountsAsDone, &["P14"], 300);
}

#[test]
fn repeating_without_a_look_breaks_p5() {
    check(Bug::RepeatsWithoutALook, &["P5"], 300);
}

#[test]
fn switching_hosts_that_failed_breaks_p1() {
    check(Bug::FailedHostsAreSwitched, &["P1"], 300);
}

#[test]
fn an_old_proof_that_counts_breaks_p1() {
    check(Bug::OldProofsCount, &["P1"], 300);
}

#[test]
fn asking_the_wall_clock_breaks_p1() {
    check(Bug::ClockSetWhileRunning, &["P1"], 300);
}

#[test]
fn believing_twins_breaks_p6() {
    check(Bug::TwinsAreBelieved, &["P6"], 300);
}

#[test]
fn hosts_that_are_left_out_without_a_debt_break_p14() {
    check(Bug::LeftOutOwedNothing, &["P14"], 300);
}

#[test]
fn a_converge_that_leaves_things_open_breaks_p8() {
    check(Bug::UnfinishedStaysOpen, &["P8"], 300);
}

#[test]
fn obeying_a_command_for_another_map_breaks_p6() {
    check(Bug::NoMapCheck, &["P6"], 300);
}

#[test]
fn a_switch_without_a_look_at_the_trees_breaks_p1() {
    check(Bug::SwitchUnproven, &["P1"], 300);
}

#[test]
fn a_map_that_is_written_in_place_breaks_p11() {
    check(Bug::MapWrittenInPlace, &["P11"], 300);
}

#[test]
fn an_agent_that_does_not_recover_breaks_p11() {
    // With the usual rate one seed in 200 meets an agent that was killed there.
    check_often(Bug::NoRecovery, &["P11"], 300, Kind::AgentKilled);
}

#[test]
fn localisation_of_other_messages_breaks_p1_or_p8() {
    check(Bug::ArtefactsOfOtherInputs, &["P1", "P8"], 300);
}
