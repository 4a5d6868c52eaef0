//! Each host for itself: rollback, converge, sync and undo. A host is observed, repaired, switched, observed again and
//! confirmed; whatever fails leaves that host behind and nobody else.

use super::effect::{Outcome, Told};
use super::host::{HostState, Step};
use super::machine::{Machine, Phase};
use crate::model::books::{Kind, Record, Status};
use crate::model::fault::Fault;
use crate::model::limits::HOST_ATTEMPTS_MAX;
use crate::model::names::HostName;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Direction, Observation, Refusal, Reply};
use crate::model::stale::StaleReason;
use crate::plan::assess;
use std::collections::VecDeque;

impl Machine<'_> {
    /// The undertaking is on the books, with the wanted state moved, before any host hears of it.
    pub(super) fn start_each(&mut self) {
        self.phase = Phase::Each;
        if self.covers_the_fleet() {
            self.end_unfinished();
            self.forget_the_gone();
        }
        let goal = &self.plan.goal;
        let opened = Record::Opened {
            rollout: goal.rollout.clone(),
            snapshot: goal.is_new.then(|| goal.snapshot.clone()),
            moves_current: goal.is_new,
        };
        let held = goal.hold.clone().map(|reason| Record::Held { by: goal.rollout.by.clone(), reason });
        self.record(opened);
        held.into_iter().for_each(|held| self.record(held));
        let hosts: Vec<HostName> = self.hosts.keys().cloned().collect();
        self.tell(Told::Wave { number: 1, of: 1, hosts: hosts.len() });
        hosts.iter().for_each(|host| self.send_observe(host));
        self.advance_each();
    }

    /// Whether every host that serves takes part, so that afterwards nothing is left unfinished.
    fn covers_the_fleet(&self) -> bool {
        self.policy.hosts.iter().all(|(host, policy)| !policy.serves() || self.hosts.contains_key(host))
    }

    /// Hosts that groups.yaml no longer has leave the books, so that nobody is taken for their clone.
    fn forget_the_gone(&mut self) {
        let gone = self.books.hosts.keys().filter(|host| !self.policy.hosts.contains_key(host));
        for host in gone.cloned().collect::<Vec<_>>() {
            self.record(Record::Forgotten { host });
        }
    }

    /// What was begun before and not ended is settled: a promotion that switched nothing is dropped; the rest is
    /// replaced by this, which brings every host to the wanted state of now.
    fn end_unfinished(&mut self) {
        let open: Vec<_> = self.books.open().map(|r| (r.id, r.dispatched, r.kind)).collect();
        for (rollout, dispatched, kind) in open {
            let forward = matches!(kind, Kind::Promote | Kind::Pin | Kind::Unpin);
            let status = match (forward, dispatched) {
                (true, false) => Status::Dropped,
                (true, true) if self.plan.goal.rollout.kind == Kind::Converge => continue,
                _ => Status::Superseded,
            };
            let effect = format!("unfinished; replaced by {}", self.id());
            self.record(Record::Ended { rollout, status, moves_current: false, effect });
        }
    }

    pub(super) fn each_reply(&mut self, host: &HostName, step: Step, answer: Result<Reply, Fault>) {
        if self.stopping && step != Step::Confirming {
            return self.set_step(host, Step::Left);
        }
        match (step, answer) {
            (Step::Observing, Ok(Reply::Observed(seen))) => self.each_observed(host, seen),
            (Step::Preparing(wants), Ok(Reply::Prepared { .. })) => self.each_prepared(host, wants),
            (Step::Switching, Ok(Reply::Switched { restart_failed, seen })) => {
                self.tell(Told::Switched(host.clone()));
                match (restart_failed, seen) {
                    (Some(words), _) => self.leave(host, StaleReason::RestartFailed(words)),
                    (None, Some(seen)) => self.each_observed(host, seen),
                    (None, None) => self.send_read_back(host),
                }
            }
            (Step::Switching, Err(_)) if planted(Bug::LostAnswerCountsAsDone) => self.send_confirm(host),
            (Step::Switching, Err(fault)) if planted(Bug::RepeatsWithoutALook) => match self.hosts[host].expect() {
                Some(expect) if !self.tried_too_often(host) => self.send_switch(host, expect, Direction::Back),
                _ => self.leave(host, StaleReason::Unanswered(fault)),
            },
            (Step::Switching, Err(fault)) => self.observe_again(host, StaleReason::Unanswered(fault)),
            (Step::Confirming, answer) if self.plan.goal.keep.is_some() => {
                let collected = match answer {
                    Ok(Reply::Collected(collected)) => Ok(collected),
                    Ok(Reply::Refused(refusal)) => Err(refusal.to_string()),
                    Ok(_) => Err("its agent is of an older pointsman".to_owned()),
                    Err(fault) => Err(fault.to_string()),
                };
                self.tell(Told::Collected { host: host.clone(), collected });
                self.set_step(host, Step::Done);
            }
            // A confirmation that got lost changes nothing that is served.
            (Step::Confirming, _) => self.set_step(host, Step::Done),
            (step, Ok(Reply::Refused(refusal))) => self.each_refused(host, &step, refusal),
            (_, Ok(_)) => self.leave(host, StaleReason::Fault(Fault::Protocol("an answer to another question".into()))),
            (_, Err(fault)) => self.leave(host, StaleReason::Fault(fault)),
        }
    }

    fn each_observed(&mut self, host: &HostName, seen: Box<Observation>) {
        let identity = self.identity(host, &seen);
        let lacking = assess::lacking(&seen, &self.plan.hosts[host].prove());
        let active = seen.active;
        if let Some(state) = self.hosts.get_mut(host) {
            state.seen = Some((seen, self.now));
        }
        match identity {
            // A rebuilt host is accepted here, since it is repaired and proven before it is called fresh.
            None | Some(StaleReason::Rebuilt { .. }) => {}
            Some(StaleReason::Refused(Refusal::Foreign(_))) if self.operator.adopt => {}
            Some(reason) => return self.leave(host, reason),
        }
        if let Some(lacking) = lacking {
            return self.repair(host, lacking);
        }
        if active == Some(self.target(host)) {
            self.fresh(host);
            self.tell(Told::Fresh(host.clone()));
            self.look_again_at_twins_of(host);
            return self.send_confirm(host);
        }
        match (self.tried_too_often(host), self.hosts[host].expect()) {
            (false, Some(expect)) => self.send_switch(host, expect, Direction::Back),
            _ => self.leave(host, StaleReason::MapDiffers { have: active, want: self.target(host) }),
        }
    }

    /// Who was taken for a clone of a host that is now proven to be another installation may be a clone no more.
    fn look_again_at_twins_of(&mut self, host: &HostName) {
        let now = self.books.hosts.get(host).and_then(|row| row.incarnation);
        let is_no_more = |state: &HostState| match &state.failure {
            Some(StaleReason::Cloned { twin }) if twin == host && state.step == Step::Left => {
                state.seen.as_ref().is_some_and(|(seen, _)| seen.incarnation != now)
            }
            _ => false,
        };
        let others = self.hosts.iter_mut().filter(|(_, state)| is_no_more(state));
        let others: Vec<_> = others.filter_map(|(name, state)| Some((name.clone(), state.failure.take()?))).collect();
        for (other, reason) in others {
            self.observe_again(&other, reason);
        }
    }

    fn repair(&mut self, host: &HostName, lacking: StaleReason) {
        let time_left = self.repair_ms_left();
        if time_left == 0 || self.tried_too_often(host) {
            return self.leave(host, lacking);
        }
        let StaleReason::NotReady(parts) = &lacking else { return self.leave(host, lacking) };
        let needed = |want: &&crate::model::component::Want| parts.iter().any(|(c, _)| *c == want.component);
        let wants: VecDeque<_> = self.plan.hosts[host].needs.iter().filter(needed).cloned().collect();
        if wants.is_empty() {
            return self.leave(host, lacking);
        }
        self.tell(Told::Repairing { host: host.clone(), reason: lacking });
        self.send_prepare(host, wants, time_left);
    }

    fn each_prepared(&mut self, host: &HostName, mut wants: VecDeque<crate::model::component::Want>) {
        wants.pop_front();
        match (wants.is_empty(), self.repair_ms_left()) {
            (true, _) => self.send_look_at_repairs(host),
            (false, 0) => self.leave(host, StaleReason::Fault(Fault::TimedOut("while it was repaired".into()))),
            (false, time_left) => self.send_prepare(host, wants, time_left),
        }
    }

    fn each_refused(&mut self, host: &HostName, step: &Step, refusal: Refusal) {
        let again = matches!(refusal, Refusal::Reborn(_) | Refusal::Conflict(_) | Refusal::NotReady(_));
        let reason = self.refused(host, step, refusal);
        match again {
            true => self.observe_again(host, reason),
            false => self.leave(host, reason),
        }
    }

    /// A lost or refused answer is never repeated blindly: look, then decide.
    fn observe_again(&mut self, host: &HostName, reason: StaleReason) {
        match self.tried_too_often(host) {
            true => self.leave(host, reason),
            false => self.send_observe(host),
        }
    }

    fn tried_too_often(&mut self, host: &HostName) -> bool {
        let Some(state) = self.hosts.get_mut(host) else { return true };
        state.attempts += 1;
        state.attempts > HOST_ATTEMPTS_MAX
    }

    /// How long a repair may still take, ms: a rollback gives it a budget, everything else its own deadline.
    fn repair_ms_left(&self) -> u64 {
        let limits = &self.policy.limits;
        match self.plan.goal.rollout.kind {
            Kind::Rollback => limits.repair_budget_ms_max.saturating_sub(self.now.ms_since(self.started)),
            _ => limits.prepare_ms_max,
        }
    }

    fn set_step(&mut self, host: &HostName, step: Step) {
        if let Some(state) = self.hosts.get_mut(host) {
            state.step = step;
        }
    }

    fn leave(&mut self, host: &HostName, reason: StaleReason) {
        let rolls_back = self.plan.goal.rollout.kind == Kind::Rollback;
        let unseen = self.hosts[host].seen.is_none();
        if planted(Bug::LeftBehindCalledDone) || planted(Bug::RollbackOnlyWhoAnswers) && rolls_back && unseen {
            return self.set_step(host, Step::Done);
        }
        if planted(Bug::RollbackStopsAtOneHost) && rolls_back {
            self.hosts.values_mut().for_each(|state| (state.step, state.pending) = (Step::Left, None));
        }
        self.tell(Told::Left(host.clone(), reason.clone()));
        self.stale(host, reason, true);
        let depooled = self.books.hosts.get(host).is_some_and(|row| row.depooled.is_some());
        if let Some(state) = self.hosts.get_mut(host) {
            state.depooled = depooled;
        }
        let hook = !self.policy.hooks.depool.is_empty() && self.plan.goal.rollout.kind == Kind::Rollback;
        match hook && !depooled {
            true => self.send_depool(host),
            false => self.set_step(host, Step::Left),
        }
    }

    pub(super) fn advance_each(&mut self) {
        if !self.hosts.values().all(|state| state.ended()) {
            return;
        }
        if self.stopping {
            // It stays unfinished on the books, and converge goes on with it.
            return self.finish(Outcome::Stopped);
        }
        let others = self.books.open().filter(|r| r.id != self.id() && self.covers_the_fleet());
        for rollout in others.map(|r| r.id).filter(|_| !planted(Bug::UnfinishedStaysOpen)).collect::<Vec<_>>() {
            let effect = format!("taken back by {}", self.id());
            self.record(Record::Ended { rollout, status: Status::WentBack, moves_current: false, effect });
        }
        let outcome = match self.end(false) {
            Outcome::Done { left, .. } if left.is_empty() && !self.moved && !self.plan.goal.is_new => Outcome::Nothing,
            outcome => outcome,
        };
        self.finish(outcome);
    }
}
