//! Between waves: gates are asked, and what they say leads on, back, or to a person.

use super::effect::{Effect, GateCall, GateEnd, Outcome, Told};
use super::host::Step;
use super::machine::{Machine, Phase};
use crate::gate::spec::Moment;
use crate::model::books::{Record, Status};
use crate::model::names::{GateName, HostName};
use crate::model::planted::{Bug, planted};
use crate::model::stale::StaleReason;
use crate::plan::gates;
use std::collections::{BTreeMap, BTreeSet};

impl Machine<'_> {
    /// Asks the gates before the first wave, and goes on where there are none.
    pub(super) fn gate_before(&mut self) {
        let names = self.plan.gating.at(Moment::Before, usize::MAX);
        match self.plan.gating.gates.is_empty() {
            true => self.begin_wave(0),
            // Gates that compare with before the switch take their first look now.
            false => self.ask_gates(Moment::Before, None, names),
        }
    }

    /// Asks the gates after `wave`, and goes on where there are none.
    pub(super) fn gate_wave(&mut self, wave: usize) {
        let last = wave + 1 == self.plan.waves.len();
        let moment = if last { Moment::Group } else { Moment::Wave };
        let names = self.plan.gating.at(moment, wave);
        match self.plan.gating.gates.is_empty() || self.stopping {
            true => self.begin_wave(wave + 1),
            false => self.ask_gates(moment, Some(wave), names),
        }
    }

    fn ask_gates(&mut self, moment: Moment, wave: Option<usize>, gates: BTreeSet<GateName>) {
        self.phase = Phase::Gating(wave);
        let (waves, soak) = (self.plan.waves.len(), self.plan.gating.soak);
        let (what, least_ms) = match (wave, moment) {
            (None, _) => ("before the first wave".to_owned(), 0),
            (Some(_), Moment::Group) => (format!("after the last of {waves} waves"), soak.group_ms),
            (Some(wave), _) => (format!("after wave {} of {waves}", wave + 1), soak.wave_ms),
        };
        let through = wave.map_or(0, |wave| wave + 1);
        let rolled = self.plan.waves[..through].iter().flatten();
        let rolled: BTreeSet<HostName> = rolled.filter(|host| self.hosts[*host].failure.is_none()).cloned().collect();
        let scope = gates::scope(self.policy, &self.plan, &rolled, self.switched.unwrap_or(self.now));
        if !gates.is_empty() {
            self.tell(Told::Gating { what: what.clone(), least_ms, gates: gates.len() });
        }
        let hosts = self.plan.hosts.clone();
        let call = GateCall { moment, what, rollout: self.id(), gates, least_ms, scope, hosts };
        self.call_gates(Effect::Gate(Box::new(call)));
    }

    /// Takes what came of the gates, once nothing else is out.
    pub(super) fn gated(&mut self, wave: Option<usize>) {
        if self.stopping {
            return self.finish(Outcome::Stopped);
        }
        let ignored = |_| GateEnd::GoOn { leave_out: BTreeMap::new() };
        let end = self.gate_end.take();
        let end = if planted(Bug::GateFailureCountsAsPass) { end.map(ignored) } else { end };
        match (end, wave) {
            (None, _) => {}
            (Some(GateEnd::GoOn { leave_out }), _) if !leave_out.is_empty() => {
                self.leave_out(leave_out);
                // When hosts are being taken out of service, their end leads on; else nothing is out that would.
                if self.hosts.values().all(|state| state.step != Step::Depooling) {
                    self.gated(wave);
                }
            }
            (Some(GateEnd::GoOn { .. }), None) => self.begin_wave(0),
            (Some(GateEnd::GoOn { .. }), Some(wave)) => self.begin_wave(wave + 1),
            (Some(GateEnd::Failed(why)), None) => self.not_begun(Outcome::Held(why.clone()), &why),
            (Some(GateEnd::Paused(why)), None) => {
                self.not_begun(Outcome::Paused { why: why.clone(), begun: false }, &why);
            }
            (Some(GateEnd::Failed(why)), Some(_)) => self.finish(Outcome::GateFailed(why)),
            (Some(GateEnd::Paused(why)), Some(_)) => self.finish(Outcome::Paused { why, begun: true }),
        }
    }

    /// No host was switched, so there is nothing to finish later.
    fn not_begun(&mut self, outcome: Outcome, why: &[String]) {
        let effect = format!("nothing was switched: {}", why.join("; "));
        self.record(Record::Ended { rollout: self.id(), status: Status::Dropped, moves_current: false, effect });
        self.finish(outcome);
    }

    /// These hosts are at fault, and not the release: they are stale, and out of service where that is possible.
    fn leave_out(&mut self, hosts: BTreeMap<HostName, String>) {
        self.gate_end = Some(GateEnd::GoOn { leave_out: BTreeMap::new() });
        for (host, why) in hosts.into_iter().filter(|(host, _)| self.plan.hosts.contains_key(host)).collect::<Vec<_>>()
        {
            let reason = StaleReason::Suspect(why);
            self.tell(Told::Left(host.clone(), reason.clone()));
            self.stale(&host, reason, true);
            if !self.policy.hooks.depool.is_empty() {
                self.send_depool(&host);
            }
        }
    }
}
