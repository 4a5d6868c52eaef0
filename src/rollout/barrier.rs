//! All proven before any is switched, then wave after wave: promote, pin and unpin.
//!
//! The wanted state moves when the last wave is verified, and not before: until then a crash or too many failures
//! leads back, since every other command brings hosts to the wanted state.

use super::effect::{Outcome, Told};
use super::host::Step;
use super::machine::{Machine, Phase};
use crate::model::books::{Kind, Record, Status};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::names::HostName;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Direction, Observation, Reply};
use crate::model::stale::StaleReason;
use crate::plan::{assess, changed, lint};
use std::collections::BTreeMap;

impl Machine<'_> {
    pub(super) fn start_barrier(&mut self) {
        self.phase = Phase::Observing;
        let hosts: Vec<HostName> = self.hosts.keys().cloned().collect();
        hosts.iter().for_each(|host| self.send_observe(host));
        self.advance_barrier();
    }

    pub(super) fn barrier_reply(&mut self, host: &HostName, step: Step, answer: Result<Reply, Fault>) {
        match (step, answer) {
            (Step::Observing, Ok(Reply::Observed(seen))) => self.barrier_observed(host, seen),
            (Step::Switching, Ok(Reply::Switched { restart_failed: None, seen })) => {
                self.tell(Told::Switched(host.clone()));
                if let Some(seen) = seen {
                    let reason = self.unlike_the_target(host, &seen);
                    self.barrier_saw(host, seen, reason);
                }
            }
            (Step::Switching, Ok(Reply::Switched { restart_failed: Some(words), .. })) => {
                self.fail(host, StaleReason::RestartFailed(words));
            }
            // It may have switched and the answer got lost: it counts as switched until it shows what it serves.
            (Step::Switching, Err(fault)) => self.fail(host, StaleReason::Unanswered(fault)),
            // Whatever came of a confirmation, nothing that is served changed.
            (Step::Confirming, _) => {}
            (step, Ok(Reply::Refused(refusal))) => {
                let reason = self.refused(host, &step, refusal);
                self.fail(host, reason);
            }
            (_, Ok(_)) => self.fail(host, StaleReason::Fault(Fault::Protocol("an answer to another question".into()))),
            (_, Err(fault)) => self.fail(host, StaleReason::Fault(fault)),
        }
    }

    fn barrier_observed(&mut self, host: &HostName, seen: Box<Observation>) {
        let reason = match self.phase {
            Phase::Verifying(_) => self.unlike_the_target(host, &seen),
            _ => self.unlike_the_books(host, &seen),
        };
        self.barrier_saw(host, seen, reason);
    }

    fn barrier_saw(&mut self, host: &HostName, seen: Box<Observation>, reason: Option<StaleReason>) {
        let switching = matches!(self.phase, Phase::Switching(_));
        if let Some(state) = self.hosts.get_mut(host) {
            state.seen = Some((seen, self.now));
            state.read_back = switching;
            // What it shows now replaces what was not known before, but a failed restart stays one.
            state.failure = match (reason, state.failure.take()) {
                (None, Some(StaleReason::RestartFailed(words))) => Some(StaleReason::RestartFailed(words)),
                (reason, _) => reason,
            };
        }
    }

    /// Before the switch: the map is the books', everything for the way forward and back is there.
    fn unlike_the_books(&self, host: &HostName, seen: &Observation) -> Option<StaleReason> {
        let want = self.map_of_the_books(host);
        let resumed = self.operator.resumes && seen.active == Some(self.target(host));
        self.identity(host, seen)
            .or_else(|| assess::readiness(seen))
            .or_else(|| if resumed { None } else { assess::map(seen, want) })
            .or_else(|| self.twin_in_this_look(host, seen))
    }

    fn unlike_the_target(&self, host: &HostName, seen: &Observation) -> Option<StaleReason> {
        self.identity(host, seen)
            .or_else(|| assess::lacking(seen, &self.plan.hosts[host].prove()))
            .or_else(|| assess::map(seen, self.target(host)))
    }

    fn map_of_the_books(&self, host: &HostName) -> Digest {
        self.books.wanted().map_or(self.target(host), |wanted| wanted.map_of(host).digest())
    }

    /// Two hosts that the books do not know yet may be clones of each other.
    fn twin_in_this_look(&self, host: &HostName, seen: &Observation) -> Option<StaleReason> {
        let same = |other: &Observation| other.incarnation.is_some() && other.incarnation == seen.incarnation;
        let twin = self
            .hosts
            .iter()
            .find(|(name, state)| *name != host && state.seen.as_ref().is_some_and(|(other, _)| same(other)));
        twin.map(|(name, _)| StaleReason::Cloned { twin: name.clone() })
    }

    fn fail(&mut self, host: &HostName, reason: StaleReason) {
        // Before anything was switched nobody is left behind: the outcome names those who are not ready.
        if self.phase != Phase::Observing {
            self.tell(Told::Left(host.clone(), reason.clone()));
        }
        if let Some(state) = self.hosts.get_mut(host) {
            state.failure = Some(reason);
        }
    }

    /// Goes on when everybody who was asked has answered.
    pub(super) fn advance_barrier(&mut self) {
        if self.hosts.values().any(|state| state.pending.is_some() || state.step == Step::Depooling) {
            return;
        }
        match self.phase {
            Phase::Observing => self.all_observed(),
            Phase::Reproving(wave) => self.reproved(wave),
            Phase::Switching(wave) => self.verify_wave(wave),
            Phase::Verifying(wave) => self.wave_verified(wave),
            Phase::Gating(wave) => self.gated(wave),
            Phase::Ending => {
                let outcome =
                    Outcome::Done { effect: self.books.rollouts[&self.id()].effect.clone(), left: self.left() };
                self.finish(outcome);
            }
            Phase::Asking | Phase::Each | Phase::Ended => {}
        }
    }

    fn all_observed(&mut self) {
        let changed = self.unlike_the_plan();
        if !changed.is_empty() {
            self.note_failures(false);
            return self.finish(Outcome::Changed(changed));
        }
        let failures = self.note_failures(false);
        if !failures.is_empty() {
            return self.finish(Outcome::Stale(failures));
        }
        let hosts: Vec<HostName> = self.hosts.keys().cloned().collect();
        for host in &hosts {
            let expect = self.hosts[host].expect();
            self.plan.hosts.get_mut(host).expect("every host has a part").expect = expect;
            self.fresh(host);
        }
        let nothing = self.plan.hosts.values().all(|part| part.expect.is_some_and(|e| e.active == Some(part.map)));
        let same_pins = self.books.wanted().is_some_and(|wanted| wanted.pins == self.plan.goal.snapshot.pins);
        if nothing && same_pins && self.plan.goal.changes.is_empty() && self.plan.excluded.is_empty() {
            return self.finish(Outcome::Nothing);
        }
        let wrong = lint::lint(self.policy, &self.books, &self.plan);
        if !wrong.is_empty() {
            return self.finish(Outcome::Lint(wrong));
        }
        self.phase = Phase::Asking;
        self.ask();
    }

    /// Hosts that a plan that was saved saw otherwise.
    fn unlike_the_plan(&self) -> Vec<String> {
        let line = |(host, state): (&HostName, &super::host::HostState)| {
            let (seen, _) = state.seen.as_ref()?;
            changed::host(host, self.plan.hosts[host].expect?, seen)
        };
        self.hosts.iter().filter_map(line).collect()
    }

    pub(super) fn approved(&mut self) {
        if self.phase != Phase::Asking {
            return;
        }
        let open: Vec<_> = self.books.open().map(|r| r.id).collect();
        for rollout in open {
            let effect = format!("unfinished; taken up by {}", self.id());
            self.record(Record::Ended { rollout, status: Status::Superseded, moves_current: false, effect });
        }
        let goal = &self.plan.goal;
        self.record(Record::Opened {
            rollout: goal.rollout.clone(),
            snapshot: Some(goal.snapshot.clone()),
            moves_current: planted(Bug::WantedMovesAtTheStart),
        });
        self.gate_before();
    }

    pub(super) fn begin_wave(&mut self, wave: usize) {
        let Some(hosts) = self.plan.waves.get(wave).cloned() else { return self.all_waves_done() };
        if self.stopping {
            return self.finish(Outcome::Stopped);
        }
        self.tell(Told::Wave { number: wave + 1, of: self.plan.waves.len(), hosts: hosts.len() });
        let too_old = |host: &HostName| {
            let seen = self.hosts[host].seen.as_ref();
            let age_ms_max = if planted(Bug::OldProofsCount) { u64::MAX } else { self.policy.limits.proof_age_ms_max };
            let age_ms =
                |(seen, at): &(Box<Observation>, _)| self.now.ms_since(*at).saturating_add(seen.proof_age_ms());
            seen.is_none_or(|seen| age_ms(seen) > age_ms_max)
        };
        if hosts.iter().any(too_old) {
            self.phase = Phase::Reproving(wave);
            return hosts.iter().for_each(|host| self.send_observe(host));
        }
        self.switch_wave(wave);
    }

    /// Those whose proof could not be made anew are not switched; when they are too many, nobody is.
    fn reproved(&mut self, wave: usize) {
        match self.too_many_failed() {
            true => self.go_back(),
            false => self.switch_wave(wave),
        }
    }

    fn switch_wave(&mut self, wave: usize) {
        if self.plan.waves[wave].iter().all(|host| self.hosts[host].failure.is_some()) {
            return self.wave_verified(wave);
        }
        self.phase = Phase::Switching(wave);
        for host in self.plan.waves[wave].clone() {
            match self.plan.hosts[&host].expect {
                _ if self.hosts[&host].failure.is_some() && !planted(Bug::FailedHostsAreSwitched) => {}
                Some(expect) => self.send_switch(&host, expect, Direction::Forward),
                None => self.fail(&host, StaleReason::New),
            }
        }
    }

    fn verify_wave(&mut self, wave: usize) {
        self.phase = Phase::Verifying(wave);
        for host in self.plan.waves[wave].clone() {
            match self.hosts[&host].failure {
                None if self.hosts[&host].read_back => {}
                None => self.send_read_back(&host),
                Some(_) => self.send_observe(&host),
            }
        }
        if self.hosts.values().all(|state| state.pending.is_none()) {
            self.wave_verified(wave);
        }
    }

    /// Hosts that a gate found to be at fault are left out by name and not counted here.
    fn too_many_failed(&self) -> bool {
        let counts = |reason: &StaleReason| !matches!(reason, StaleReason::Suspect(_));
        let failed = self.hosts.values().filter(|state| state.failure.as_ref().is_some_and(counts)).count();
        failed > self.policy.limits.stale_hosts_max
    }

    fn go_back(&mut self) {
        let failures = self.note_failures(false);
        self.finish(Outcome::GoBack(failures));
    }

    fn wave_verified(&mut self, wave: usize) {
        if self.too_many_failed() {
            return self.go_back();
        }
        let last = wave + 1 == self.plan.waves.len();
        if last {
            self.note_failures(true);
        }
        let hosts = self.plan.waves[wave].clone();
        for host in hosts.clone() {
            match self.hosts[&host].failure {
                None => {
                    self.fresh(&host);
                    self.tell(Told::Fresh(host.clone()));
                    self.send_confirm(&host);
                }
                Some(_) if !self.policy.hooks.depool.is_empty() => self.send_depool(&host),
                Some(_) => {}
            }
        }
        let proven = hosts.iter().filter(|host| self.hosts[*host].failure.is_none()).count();
        self.tell(Told::WaveDone { number: wave + 1, of: self.plan.waves.len(), proven, hosts: hosts.len() });
        self.gate_wave(wave);
    }

    /// Everybody moved: the wanted state moves too, and those who were left out are owed it.
    fn all_waves_done(&mut self) {
        let left_out = self.plan.excluded.keys().filter(|_| !planted(Bug::LeftOutOwedNothing));
        for host in left_out.cloned().collect::<Vec<_>>() {
            let what = format!("the state {} of {}", self.plan.goal.snapshot.id, self.id());
            self.record(Record::Owed { host, what });
        }
        debug_assert!(self.plan.goal.rollout.kind != Kind::Rollback, "a rollback never waits for others");
        self.end(true);
        self.phase = Phase::Ending;
        // When every host of the last wave failed, no answer is out that would bring the end.
        self.advance_barrier();
    }

    fn note_failures(&mut self, owed: bool) -> BTreeMap<HostName, StaleReason> {
        let failed = |(host, state): (&HostName, &super::host::HostState)| Some((host.clone(), state.failure.clone()?));
        let failures: BTreeMap<HostName, StaleReason> = self.hosts.iter().filter_map(failed).collect();
        for (host, reason) in &failures {
            self.stale(host, reason.clone(), owed);
        }
        failures
    }
}
