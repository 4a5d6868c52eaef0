//! The network and the hosts at its other end: what becomes of a command, and what befalls who gets it.

use super::engine::{Engine, Next};
use super::faults::Kind;
use super::look;
use super::oracle;
use crate::agent::prepare::Transfer;
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::ids::Generation;
use crate::model::names::HostName;
use crate::model::protocol::{Command, Reply};
use crate::rollout::effect::Event;

/// How long a host is off or its disk full, ms.
const TROUBLE_MS: (u64, u64) = (1_000, 600_000);
/// How late what is late arrives, ms: before the deadline or long after it.
const LATE_MS: (u64, u64) = (1_000, 300_000);
/// How much later than the first time what comes twice comes again, at most, ms.
const AGAIN_MS_MAX: u64 = 120_000;
/// What a full disk holds at most, bytes: some have room for little, some for less than they hold.
const FULL_BYTES_MAX: u64 = 8_000;
/// Changes of an agent before it is killed, at most: more than a switch makes. Many commands make fewer and live, so
/// half of the kills come earlier.
const CHANGES_MAX: u64 = 18;
/// Changes of an agent before it is killed early, at most.
const CHANGES_FEW: u64 = 8;
/// Percent of their rate at which agents are killed over a switch, in any weather: there it hurts most.
const SWITCH_KILLED_PERCENT: u32 = 200;
/// How long what a prepare waits for is under way unless the host is slow, ms.
const TRANSFER_MS_MAX: u64 = 5_000;

/// What may befall a host itself.
const BEFALLS: [Kind; 7] =
    [Kind::Dead, Kind::Rebooted, Kind::Rebuilt, Kind::Cloned, Kind::DiskFull, Kind::Damaged, Kind::MapEdited];

/// A prepare of which the first half was obeyed.
pub(super) struct Arriving {
    op: usize,
    host: HostName,
    command: Box<Command>,
    transfer: Transfer,
    /// How often the host was down when it began; the agent does not outlive that.
    downs: u64,
}

impl Engine<'_> {
    pub(super) fn send(&mut self, op: usize, host: HostName, command: Box<Command>, deadline_ms: u64) {
        let generation = command.stamp().generation;
        self.line(&format!("operator {op} sends {} {generation} to {host}", oracle::name(&command)));
        self.dispatches += 1;
        if self.is_skewed(op) {
            self.oracle.reach("P18");
        }
        self.oracle.sent(self.now, &host, &command, self.store.books());
        let answer = Err(Fault::TimedOut("in the simulator".to_owned()));
        self.after(deadline_ms, Next::Answer { op, host: host.clone(), generation, answer });
        self.molest(&host);
        if self.hit(Kind::CommandLost) {
            return self.oracle.touched(&host, self.now + deadline_ms);
        }
        let mut ms = self.random.between(1, 200);
        if self.hit(Kind::Late) {
            ms = self.random.between(LATE_MS.0, LATE_MS.1);
            self.oracle.touched(&host, self.now + ms);
        }
        if self.hit(Kind::Slow) {
            ms = self.random.between(deadline_ms / 2, deadline_ms + deadline_ms / 10);
            self.oracle.touched(&host, self.now + ms);
        }
        if self.hit(Kind::Twice) {
            let again = ms + self.random.between(1, AGAIN_MS_MAX);
            self.oracle.touched(&host, self.now + again);
            self.after(again, Next::Deliver { op, host: host.clone(), command: command.clone() });
        }
        self.after(ms, Next::Deliver { op, host, command });
    }

    /// What may befall a host itself.
    fn molest(&mut self, host: &HostName) {
        for kind in BEFALLS {
            if self.hit(kind) {
                let until = self.now + self.random.between(TROUBLE_MS.0, TROUBLE_MS.1);
                self.befall(kind, host, until);
            }
        }
    }

    fn befall(&mut self, kind: Kind, host: &HostName, until: u64) {
        let others: Vec<HostName> = self.fleet.keys().filter(|other| *other != host).cloned().collect();
        let twin = self.random.pick(&others).clone();
        let at = self.fleet.get_mut(host).expect("it is a host");
        let what = match kind {
            Kind::Rebooted => {
                at.dead_until = until;
                at.fs.reboot();
                "is off, and back with another boot id,".to_owned()
            }
            Kind::Rebuilt => format!("is rebuilt, {},", at.rebuild(&mut self.random)),
            Kind::Cloned => {
                let image = self.fleet[&twin].fs.clone();
                let at = self.fleet.get_mut(host).expect("it is a host");
                at.fs.image(&image);
                at.fs.machine_id = image.machine_id;
                format!("is a clone of {twin}")
            }
            Kind::DiskFull => {
                at.full_until = until;
                at.fs.capacity_bytes = Some(self.random.between(0, FULL_BYTES_MAX));
                "has a full disk".to_owned()
            }
            Kind::MapEdited => format!("is changed by hand, it serves {},", at.edit_map(&mut self.random)),
            Kind::Damaged => format!("is damaged, {},", at.damage(&mut self.random)),
            _ => {
                at.dead_until = until;
                "is off".to_owned()
            }
        };
        self.line(&format!("{host} {what} until {until}"));
        self.oracle.touched(host, until);
        if kind == Kind::Cloned {
            // Nobody can say which of the two is meant until one is made another machine.
            self.oracle.touched(host, u64::MAX);
            self.oracle.touched(&twin, u64::MAX);
        }
        if matches!(kind, Kind::Rebuilt | Kind::Cloned) {
            self.oracle.rebuilt(host);
        }
        if kind == Kind::MapEdited {
            self.oracle.edited(host);
        }
        if matches!(kind, Kind::Rebuilt | Kind::Cloned | Kind::Dead | Kind::Rebooted) {
            self.fleet.get_mut(host).expect("it is a host").downs += 1;
        }
    }

    pub(super) fn deliver(&mut self, op: usize, host: &HostName, command: &Command) {
        let generation = command.stamp().generation;
        let at = self.fleet.get_mut(host).expect("it is a host");
        if at.dead_until > self.now {
            if self.random.chance(5_000) {
                let answer = Err(Fault::Refused);
                self.after(10, Next::Answer { op, host: host.clone(), generation, answer });
            }
            return;
        }
        if at.full_until <= self.now {
            at.fs.capacity_bytes = None;
        }
        at.fs.uptime_ms = self.now;
        let before = (look::active(&at.fs), look::incarnation(&at.fs));
        self.oracle.about_to_deliver(host, command, before, self.store.books(), &at.fs, self.contents);
        let changes = self.changes_before_a_kill(command);
        let at = self.fleet.get_mut(host).expect("it is a host");
        let (said, killed) = match command {
            Command::Prepare { .. } => at.begin(self.contents, command, changes),
            _ => {
                let (reply, killed) = at.obey(command, changes);
                (Err(reply), killed)
            }
        };
        let downs = at.downs;
        match said {
            _ if killed => self.died(op, host, command, before.0),
            Ok(transfer) => {
                self.line(&format!("{host} begins prepare {generation}"));
                self.oracle.begun(host, command, before);
                let ms = self.transfer_ms(host);
                let (host, command) = (host.clone(), Box::new(command.clone()));
                self.after(ms, Next::Arrive(Arriving { op, host, command, transfer, downs }));
            }
            Err(reply) => {
                self.said(host, command, &reply);
                self.oracle.delivered(host, command, &reply, before, &self.fleet, self.contents);
                self.reply(op, host, generation, reply);
            }
        }
    }

    /// How long what a prepare waits for is under way, ms.
    fn transfer_ms(&mut self, host: &HostName) -> u64 {
        if !self.hit(Kind::Slow) {
            return self.random.between(1, TRANSFER_MS_MAX);
        }
        let deadline_ms = self.policy.limits.prepare_ms_max;
        let ms = self.random.between(deadline_ms / 2, deadline_ms + deadline_ms / 10);
        self.oracle.touched(host, self.now + ms);
        ms
    }

    /// What a prepare waited for has come, unless its agent is gone.
    pub(super) fn arrive(&mut self, arriving: Arriving) {
        let Arriving { op, host, command, transfer, downs } = arriving;
        let generation = command.stamp().generation;
        let Command::Prepare { want, build, .. } = &*command else { return };
        let changes = self.changes_before_a_kill(&command);
        let at = self.fleet.get_mut(&host).expect("it is a host");
        if at.dead_until > self.now || at.downs != downs {
            return self.line(&format!("{host} went down over prepare {generation}"));
        }
        let before = look::active(&at.fs);
        let (reply, killed) = at.end(self.contents.files.get(&want.id), transfer, build, changes);
        if killed {
            return self.died(op, &host, &command, before);
        }
        self.said(&host, &command, &reply);
        self.oracle.finished(&host, generation, &reply, before, &self.fleet);
        self.reply(op, &host, generation, reply);
    }

    /// After how many changes the agent is killed over this command.
    fn changes_before_a_kill(&mut self, command: &Command) -> u64 {
        let percent = if matches!(command, Command::Switch { .. }) { SWITCH_KILLED_PERCENT } else { self.weather };
        match self.threatens_at(Kind::AgentKilled, percent) {
            true => {
                let most = if self.random.chance(5_000) { CHANGES_MAX } else { CHANGES_FEW };
                self.random.between(0, most)
            }
            false => u64::MAX,
        }
    }

    fn died(&mut self, op: usize, host: &HostName, command: &Command, before: Option<Digest>) {
        let generation = command.stamp().generation;
        self.happened(Kind::AgentKilled);
        self.line(&format!("the agent of {host} is killed in {} {generation}", oracle::name(command)));
        self.oracle.touched(host, self.now + TROUBLE_MS.1);
        self.oracle.killed(host, command, before, &self.fleet, self.contents);
        let answer = Err(Fault::ClosedEarly);
        self.after(10, Next::Answer { op, host: host.clone(), generation, answer });
    }

    fn said(&mut self, host: &HostName, command: &Command, reply: &Reply) {
        let words = match reply {
            Reply::Refused(refusal) => format!("refuses: {refusal}"),
            _ => "obeys".to_owned(),
        };
        self.line(&format!("{host} {words} {} {}", oracle::name(command), command.stamp().generation));
    }

    fn reply(&mut self, op: usize, host: &HostName, generation: Generation, reply: Reply) {
        if self.hit(Kind::ReplyLost) {
            return self.oracle.touched(host, self.now + 60_000);
        }
        let mut ms = self.random.between(1, 200);
        if self.hit(Kind::ReplyLate) {
            ms = self.random.between(LATE_MS.0, LATE_MS.1);
            self.oracle.touched(host, self.now + ms);
        }
        if self.hit(Kind::ReplyTwice) {
            let again = ms + self.random.between(1, AGAIN_MS_MAX);
            let (host, answer) = (host.clone(), Ok(reply.clone()));
            self.after(again, Next::Answer { op, host, generation, answer });
        }
        self.after(ms, Next::Answer { op, host: host.clone(), generation, answer: Ok(reply) });
    }

    pub(super) fn answer(&mut self, op: usize, host: HostName, generation: Generation, answer: Result<Reply, Fault>) {
        if !self.is_acting(op) {
            return;
        }
        self.oracle.answered(self.now, &host, generation, answer.as_ref().ok());
        self.tell(op, Event::Reply { host, generation, answer });
    }
}
