//! What the journal has of one undertaking, gathered for its page: waves and answers, how hosts stood, what gates said.
//!
//! Invariant: a host is said to be proven only when the journal proves it after its switch, under the same epoch; an answer that
//! never came stays one that never came.

use super::super::timeline::Mark;
use crate::model::books::{Kind, Record, Rollout};
use crate::model::digest::Digest;
use crate::model::health::HealthRecord;
use crate::model::ids::RolloutId;
use crate::model::names::{GateName, HostName};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::model::verdict::Judgement;
use std::collections::{BTreeMap, BTreeSet};

/// One undertaking.
#[derive(Debug, Clone)]
pub struct Case {
    /// As the books have it.
    pub rollout: Rollout,
    /// Its first event; `None`: the journal has none.
    pub begun: Option<Mark>,
    /// Its end.
    pub ended: Option<Mark>,
    /// Its last event, or that of what took it back.
    pub last: Option<Mark>,
    /// The rollback that took it back, or the converge.
    pub followed: Option<RolloutId>,
    /// Hosts to which anything was sent.
    pub scope: BTreeSet<HostName>,
    /// Switches, in the order in which they were sent.
    pub waves: Vec<Wave>,
    /// How hosts stood in the end.
    pub stands: BTreeMap<HostName, Stands>,
    /// What was said of each gate, in the order of the journal.
    pub gates: BTreeMap<GateName, Vec<Said>>,
    /// How many events were read, and the hash of the last one.
    pub read: Option<(u64, Digest)>,
    /// What is acted for, and under which epoch: whose the proofs of hosts are.
    acting: Option<(RolloutId, u64)>,
}

/// Switches that were sent together.
#[derive(Debug, Clone)]
pub struct Wave {
    /// Where that stands in the journal.
    pub mark: Mark,
    /// What came back, and when that was known here; `None`: nothing.
    pub hosts: BTreeMap<HostName, Option<(Time, String)>>,
}

/// How a host stood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stands {
    /// Proven, after its switch where it had one.
    pub proven: bool,
    /// Why it is not trusted.
    pub stale: Option<StaleReason>,
    /// What it is owed.
    pub owed: Option<String>,
}

/// Something that was said of a gate.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A judgement, and when it was made: `after wave 1 of 3`.
    Judged(String, Judgement),
    /// Who is to blame.
    Blamed(Time, String),
    /// A person was asked.
    Asked(Time),
    /// A person said something.
    Answered(Time, Person),
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Whether it may go on.
    pub yes: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Wave {
    /// When they were sent.
    pub fn sent(&self) -> Time {
        self.mark.at
    }

    /// How long after that the first and the last host had switched, ms; `None`: none did.
    pub fn switched_ms(&self) -> Option<(u64, u64)> {
        let well = || self.hosts.values().flatten().filter(|(_, said)| said == "ok");
        let times = || well().map(|(at, _)| at.ms_since(self.sent()));
        times().min().zip(times().max())
    }

    /// Between the first and the last host that had switched, ms; `None`: fewer than two did.
    pub fn skew_ms(&self) -> Option<u64> {
        let several = self.hosts.values().flatten().filter(|(_, said)| said == "ok").count() > 1;
        self.switched_ms().filter(|_| several).map(|(first, last)| last - first)
    }
}

impl Case {
    /// Nothing was read yet.
    pub fn new(rollout: Rollout) -> Self {
        Self {
            rollout,
            begun: None,
            ended: None,
            last: None,
            followed: None,
            scope: BTreeSet::new(),
            waves: Vec::new(),
            stands: BTreeMap::new(),
            gates: BTreeMap::new(),
            read: None,
            acting: None,
        }
    }

    /// Whether all hosts of a wave are proven before any is switched; else each goes for itself, and there is one wave.
    pub fn has_waves(&self) -> bool {
        matches!(self.rollout.kind, Kind::Promote | Kind::Pin | Kind::Unpin)
    }

    /// Whether a moment lies between the first word of it and the last.
    pub fn spans(&self, at: Time) -> bool {
        let within = |(begun, last): (Mark, Mark)| begun.at <= at && at <= last.at;
        self.begun.zip(self.last).is_some_and(within)
    }

    /// Takes the next event of the journal, with its hash.
    pub fn take(&mut self, mark: Mark, hash: Digest, record: &Record) {
        self.read = Some((mark.seq, hash));
        match record {
            Record::Opened { rollout, .. } => {
                self.acting = Some((rollout.id, mark.epoch));
                self.opened(rollout);
            }
            Record::Intents { rollout, command, hosts } => {
                self.acting = Some((*rollout, mark.epoch));
                if *rollout == self.rollout.id {
                    self.sent(mark, command == "switch", hosts.iter().map(|(host, _)| host));
                }
            }
            Record::Outcome { rollout, command, host, result, .. }
                if *rollout == self.rollout.id && command == "switch" =>
            {
                let sent = self.waves.iter_mut().rev().find_map(|wave| wave.hosts.get_mut(host));
                sent.into_iter().for_each(|answer| *answer = Some((mark.at, result.clone())));
            }
            Record::Fresh { host } => {
                let proven = Stands { proven: true, stale: None, owed: None };
                self.stands(mark, host, |stands| *stands = proven);
            }
            Record::Stale { host, reason } => self.stands(mark, host, |stands| {
                (stands.proven, stands.stale) = (false, Some(reason.clone()));
            }),
            Record::Owed { host, what } => self.stands(mark, host, |stands| {
                (stands.proven, stands.owed) = (false, Some(what.clone()));
            }),
            Record::Health(health) => self.health(mark.at, health),
            _ => {}
        }
        if self.names(record) {
            self.begun.get_or_insert(mark);
            self.last = Some(mark);
        }
        self.ended(mark, record);
    }

    /// Whether an event belongs to it, or to what took it back.
    fn names(&self, record: &Record) -> bool {
        let ours = |id: RolloutId| id == self.rollout.id || self.followed == Some(id);
        match record {
            Record::Opened { rollout, .. } => ours(rollout.id),
            Record::Intents { rollout, .. } | Record::Outcome { rollout, .. } | Record::Ended { rollout, .. } => {
                ours(*rollout)
            }
            Record::Health(health) => health.gate().is_some_and(|(rollout, _)| ours(rollout)),
            _ => false,
        }
    }

    /// A rollback of the same version, or the converge that brings back what is not ended: that is how it went on.
    fn opened(&mut self, rollout: &Rollout) {
        let of_us = match rollout.kind {
            Kind::Rollback => rollout.version == self.rollout.version,
            Kind::Converge => self.ended.is_none(),
            _ => false,
        };
        if of_us && self.begun.is_some() && self.has_waves() && rollout.id != self.rollout.id {
            self.followed.get_or_insert(rollout.id);
        }
    }

    fn ended(&mut self, mark: Mark, record: &Record) {
        if let Record::Ended { rollout, .. } = record
            && *rollout == self.rollout.id
        {
            (self.ended, self.acting) = (Some(mark), self.acting.filter(|(acting, _)| acting != rollout));
        }
    }

    fn sent<'a>(&mut self, mark: Mark, switch: bool, hosts: impl Iterator<Item = &'a HostName>) {
        let hosts: Vec<HostName> = hosts.cloned().collect();
        self.scope.extend(hosts.iter().cloned());
        if !switch {
            return;
        }
        if self.has_waves() || self.waves.is_empty() {
            self.waves.push(Wave { mark, hosts: BTreeMap::new() });
        }
        for host in hosts {
            self.stands.remove(&host);
            self.waves.last_mut().expect("one was just there").hosts.insert(host, None);
        }
    }

    fn stands(&mut self, mark: Mark, host: &HostName, change: impl FnOnce(&mut Stands)) {
        if self.acting == Some((self.rollout.id, mark.epoch)) {
            self.scope.insert(host.clone());
            change(self.stands.entry(host.clone()).or_default());
        }
    }

    fn health(&mut self, at: Time, health: &HealthRecord) {
        let Some((_, gate)) = health.gate().filter(|(rollout, _)| *rollout == self.rollout.id) else { return };
        let said = match health {
            HealthRecord::Judged { moment, judgement, .. } => Said::Judged(moment.clone(), judgement.clone()),
            HealthRecord::Attributed { blame, .. } => Said::Blamed(at, blame.clone()),
            HealthRecord::Answered { yes, by, reason, .. } => {
                Said::Answered(at, Person { yes: *yes, by: by.clone(), reason: reason.clone() })
            }
            _ => Said::Asked(at),
        };
        self.gates.entry(gate.clone()).or_default().push(said);
    }
}
