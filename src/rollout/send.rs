//! What hosts are told: each command with a stamp of its own, one at a time.

use super::effect::Effect;
use super::host::Step;
use super::machine::{Machine, Phase};
use crate::model::books::Kind;
use crate::model::component::Want;
use crate::model::ids::Generation;
use crate::model::names::HostName;
use crate::model::protocol::{Command, ConfirmNote, Direction, Expect, Level, Peek, Stamp};
use crate::model::signed::Signing;
use crate::model::stale::StaleReason;
use crate::plan::assess;
use std::collections::VecDeque;

impl Machine<'_> {
    fn stamp(&mut self) -> Stamp {
        self.operator.seq += 1;
        let generation = Generation { epoch: self.operator.epoch, seq: self.operator.seq };
        Stamp { books: self.books.id, generation }
    }

    fn send(&mut self, host: &HostName, step: Step, command: Command, deadline_ms: u64) {
        self.moved |= matches!(command, Command::Prepare { .. } | Command::Switch { .. });
        let sent = self.books.hosts.get(host).and_then(|row| row.sent);
        let state = self.hosts.get_mut(host).expect("only hosts of the plan are sent to");
        debug_assert!(state.pending.is_none(), "one command at a time");
        // An observe shows the fence of before it; a switch may show its own.
        state.sent_before = if step == Step::Observing { sent } else { Some(command.stamp().generation) };
        state.pending = Some(command.stamp().generation);
        state.step = step;
        self.sends.push(Effect::Send { host: host.clone(), command: Box::new(command), deadline_ms });
    }

    /// Raises the fence of a host and asks for everything that its part of the plan needs.
    pub(super) fn send_observe(&mut self, host: &HostName) {
        let nonce = self.operator.nonce.wrapping_add(self.operator.seq);
        let level = if self.books.was_damaged(host) { Level::L3 } else { Level::L2 };
        let proof_age_ms_max = self.proof_age_ms_max();
        self.send_look(host, Peek { proof_age_ms_max, ..Peek::new(self.plan.hosts[host].prove(), level, nonce) });
    }

    /// How old a proof may be that a host wrote down. Whoever repairs wants every file looked at: it may be one that was
    /// changed in place a moment ago.
    fn proof_age_ms_max(&self) -> Option<u64> {
        let repairs = self.plan.goal.rollout.kind == Kind::Converge;
        // A wave waits for its slowest host, and meanwhile a proof that was old already would grow too old.
        let proves_anew = matches!(self.phase, Phase::Reproving(_));
        (!repairs && !proves_anew).then_some(self.policy.limits.proof_age_ms_max)
    }

    /// After repairs: looks at what was brought; the rest was proven a moment ago and has its markers still.
    pub(super) fn send_look_at_repairs(&mut self, host: &HostName) {
        let nonce = self.operator.nonce.wrapping_add(self.operator.seq);
        let all = self.plan.hosts[host].prove();
        let seen = self.hosts[host].seen.as_ref().map(|(seen, _)| seen);
        let brought = match seen.and_then(|seen| assess::lacking(seen, &all)) {
            Some(StaleReason::NotReady(parts)) => {
                all.into_iter().filter(|want| parts.iter().any(|(component, _)| *component == want.component)).collect()
            }
            _ => all,
        };
        self.send_look(host, Peek::new(brought, Level::L2, nonce));
    }

    /// Reads back what a host serves that says it switched: under its lock it proved everything a moment before.
    pub(super) fn send_read_back(&mut self, host: &HostName) {
        self.send_look(host, Peek::at_state());
    }

    fn send_look(&mut self, host: &HostName, peek: Peek) {
        let command = Command::Observe { stamp: self.stamp(), adopt: self.operator.adopt, peek };
        let deadline_ms = self.policy.limits.contact_ms_max();
        self.send(host, Step::Observing, command, deadline_ms);
    }

    pub(super) fn send_prepare(&mut self, host: &HostName, wants: VecDeque<Want>, deadline_ms: u64) {
        let (Some(expect), Some(want)) = (self.hosts[host].expect(), wants.front().cloned()) else { return };
        let build = match want.artefacts.is_empty() {
            true => Vec::new(),
            false => self.policy.hooks.build.clone(),
        };
        let command = Command::Prepare { stamp: self.stamp(), expect, want, build, signing: Signing::default() };
        self.send(host, Step::Preparing(wants), command, deadline_ms);
    }

    pub(super) fn send_switch(&mut self, host: &HostName, expect: Expect, direction: Direction) {
        let part = &self.plan.hosts[host];
        let needs = match direction {
            Direction::Forward => part.prove(),
            Direction::Back => part.needs.clone(),
        };
        let map = self.plan.goal.snapshot.map_of(host);
        let restart = self.policy.hooks.restart.clone();
        let proof_age_ms_max = self.proof_age_ms_max();
        let command = Command::Switch { stamp: self.stamp(), expect, map, direction, needs, restart, proof_age_ms_max };
        self.switched = self.switched.or(Some(self.now));
        self.send(host, Step::Switching, command, self.policy.limits.command_ms_max);
    }

    pub(super) fn send_confirm(&mut self, host: &HostName) {
        let snapshot = &self.plan.goal.snapshot;
        let note = ConfirmNote {
            pins: snapshot.pins.clone(),
            wanted: snapshot.wanted.clone(),
            snapshot: snapshot.id,
            rollout: self.id(),
        };
        let Some(expect) = self.hosts[host].expect() else { return };
        let keep = self.plan.goal.keep.clone();
        // Removing a large tree takes as long as bringing it.
        let limits = &self.policy.limits;
        let deadline_ms = if keep.is_some() { limits.prepare_ms_max } else { limits.command_ms_max };
        let command = Command::Confirm { stamp: self.stamp(), expect, note, keep };
        self.send(host, Step::Confirming, command, deadline_ms);
    }

    pub(super) fn ask(&mut self) {
        self.sends.push(Effect::Ask(Box::new(self.plan.clone())));
    }

    pub(super) fn call_gates(&mut self, call: Effect) {
        self.sends.push(call);
    }

    pub(super) fn send_depool(&mut self, host: &HostName) {
        if let Some(state) = self.hosts.get_mut(host) {
            state.step = Step::Depooling;
        }
        self.sends.push(Effect::Depool(host.clone()));
    }
}
