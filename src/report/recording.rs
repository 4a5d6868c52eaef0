//! A real rollout as an incident file, out of the journal: what was moved, which hosts were not as they should be, and
//! what gates found.
//!
//! Invariants. What comes out is read by [`crate::config::incident`]. It has no text of a log, a host, a program or a monitoring
//! server, and of the site only names and what decides: nothing there can be a secret. What people typed is in it only when
//! it is asked for. A rate or a value that the journal does not have is made up and says so.
//!
//! Absent on purpose: what would have been measured had the release gone on. A signal ends with the record, not by itself.

mod measured;
mod site;

use super::timeline::Mark;
use crate::config::policy::Policy;
use crate::model::books::{BY_THE_WATCH, Kind, Record, Rollout, Snapshot, Status};
use crate::model::component::Component;
use crate::model::ids::RolloutId;
use crate::model::names::{Group, HostName, Version};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use measured::Measured;
use serde_json::json;
use std::collections::BTreeMap;

/// How much earlier a recording begins than its undertaking, and how much later it ends at least, ms.
const EARLIER_MS: u64 = 60_000;

/// Why an undertaking can't be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// It is neither a promotion nor a rollback.
    #[error("{0} is a {1}: a replay is about promotions and rollbacks")]
    Kind(RolloutId, &'static str),
    /// There was nothing before it.
    #[error("{0} has no state before it that the books still have")]
    NoStart(RolloutId),
}

/// What a recording is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The site of today: its groups, hosts and gates.
    pub policy: &'a Policy,
    /// The text of its groups.yaml.
    pub groups_yaml: &'a str,
    /// The undertaking that it begins with.
    pub rollout: &'a Rollout,
    /// The state before that; of a rollback, the one that it went back to.
    pub start: &'a Snapshot,
    /// Of a rollback, the state before it: how the fleet got there stands at the beginning of the recording.
    pub moved: Option<&'a Snapshot>,
    /// Whether what people typed is kept.
    pub words: bool,
}

/// Takes the events of a journal from its first one on, and has the incident in the end.
#[derive(Debug)]
pub struct Recorder<'a> {
    source: Source<'a>,
    version: Version,
    /// What each group serves, by what ended so far.
    serves: BTreeMap<Group, Version>,
    snapshots: BTreeMap<crate::model::ids::SnapshotId, Snapshot>,
    under_way: BTreeMap<RolloutId, (Time, Rollout)>,
    stale: BTreeMap<HostName, StaleReason>,
    measured: Measured,
    begun: bool,
    over: bool,
    last: Time,
    events: Vec<String>,
}

impl<'a> Recorder<'a> {
    /// Nothing was taken yet.
    ///
    /// # Errors
    ///
    /// The undertaking is none that a replay knows.
    pub fn new(source: Source<'a>) -> Result<Self, NotRecorded> {
        let rollout = source.rollout;
        let version = match (rollout.kind, &rollout.version) {
            (Kind::Promote | Kind::Rollback, Some(version)) => version.clone(),
            _ => return Err(NotRecorded::Kind(rollout.id, kind(rollout.kind))),
        };
        let mut recorder = Self {
            source,
            version,
            serves: site::most(source.policy, source.start),
            snapshots: BTreeMap::new(),
            under_way: BTreeMap::new(),
            stale: BTreeMap::new(),
            measured: Measured::default(),
            begun: false,
            over: false,
            last: rollout.at,
            events: Vec::new(),
        };
        let moved = source.moved.map(|moved| site::most(source.policy, moved)).unwrap_or_default();
        for (group, version) in moved {
            if recorder.serves.get(&group) != Some(&version) {
                let event = json!({"promote": group, "to": version, "text": "as it was before", "prov": "assumed"});
                recorder.event(Time(rollout.at.0.saturating_sub(EARLIER_MS / 2)), event);
                recorder.serves.insert(group, version);
            }
        }
        Ok(recorder)
    }

    /// Takes the next event. Whether more is needed: a recording ends before the promotion of another version, and
    /// with the rollback of this one.
    pub fn take(&mut self, mark: Mark, record: &Record) -> bool {
        if let Record::Opened { rollout, snapshot, .. } = record {
            self.snapshots.extend(snapshot.iter().map(|snapshot| (snapshot.id, snapshot.clone())));
            if rollout.id == self.source.rollout.id {
                self.begun = true;
                let stale: Vec<_> = self.stale.clone().into_iter().collect();
                stale.iter().for_each(|(host, reason)| self.host(mark.at, host, reason));
            } else if self.begun && rollout.kind == Kind::Promote && rollout.version.as_ref() != Some(&self.version) {
                self.over = true;
            }
        }
        if !self.begun {
            match record {
                Record::Stale { host, reason } => _ = self.stale.insert(host.clone(), reason.clone()),
                Record::Fresh { host } | Record::Forgotten { host } => _ = self.stale.remove(host),
                _ => {}
            }
        } else if !self.over {
            self.last = mark.at;
            self.tell(mark.at, record);
        }
        !self.over
    }

    fn tell(&mut self, at: Time, record: &Record) {
        match record {
            Record::Opened { rollout, .. } => {
                self.measured.opened(rollout);
                self.under_way.insert(rollout.id, (at, rollout.clone()));
            }
            Record::Ended { rollout, status, .. } => {
                if let Some((began, rollout)) = self.under_way.remove(rollout) {
                    self.ended(began, at, &rollout, *status);
                }
            }
            Record::Outcome { rollout, command, result, .. } if command == "switch" && result == "ok" => {
                self.measured.switched(*rollout, at);
            }
            Record::Stale { host, reason } => {
                self.measured.stale(host, reason);
                let before = self.stale.insert(host.clone(), reason.clone());
                if before.is_none_or(|before| before != *reason) {
                    self.host(at, host, reason);
                }
            }
            Record::Fresh { host } => match self.stale.remove(host) {
                Some(StaleReason::Fault(_)) => self.event(at, json!({"host": host, "is": "up"})),
                Some(_) => self.note(at, &format!("{host} is proven again")),
                None => {}
            },
            Record::Health(health) => {
                if let Some(said) = self.measured.take(at, health, self.source.words) {
                    self.note(at, &said);
                }
            }
            Record::Held { reason, .. } => self.said(at, "forward moves are held", reason),
            Record::Released { .. } => self.note(at, "forward moves are free again"),
            _ => {}
        }
    }

    /// What an undertaking did, at the time at which it took effect.
    fn ended(&mut self, began: Time, ended: Time, rollout: &Rollout, status: Status) {
        let name = format!("{} {}", rollout.id, kind(rollout.kind));
        let moved = matches!(status, Status::Done | Status::Owed | Status::WentBack) && rollout.dispatched;
        match (rollout.kind, &rollout.version) {
            _ if !moved && !matches!(status, Status::Done | Status::Owed | Status::WentBack) => {
                self.note(ended, &format!("{name} ended before any host was switched"));
            }
            (Kind::Promote, Some(version)) => {
                for group in &rollout.groups {
                    self.event(began, json!({"promote": group, "to": version, "text": self.why(rollout)}));
                    let before = self.serves.insert(group.clone(), version.clone());
                    if let Some(before) = before.filter(|_| status == Status::WentBack) {
                        self.event(
                            ended,
                            json!({"rollback": group, "to": before, "text": "it was taken back", "by_itself": true}),
                        );
                        self.serves.insert(group.clone(), before);
                    }
                }
            }
            (Kind::Rollback, _) => self.rolled_back(began, rollout),
            _ => self.note(ended, &format!("{name} is done")),
        }
    }

    fn rolled_back(&mut self, at: Time, rollout: &Rollout) {
        let start = (rollout.to == self.source.start.id).then_some(self.source.start);
        let Some(to) = self.snapshots.get(&rollout.to).or(start) else {
            return self.note(at, &format!("{} went back to a state that the books no longer have", rollout.id));
        };
        let (serves, why) = (site::most(self.source.policy, to), self.why(rollout));
        let by_itself = rollout.why.starts_with(BY_THE_WATCH);
        for (group, version) in &serves {
            if self.serves.get(group) != Some(version) {
                self.event(at, json!({"rollback": group, "to": version, "text": why, "by_itself": by_itself}));
            }
        }
        self.serves = serves;
        self.over = rollout.version.as_ref() == Some(&self.version);
    }

    fn host(&mut self, at: Time, host: &HostName, reason: &StaleReason) {
        match reason {
            StaleReason::Fault(_) => self.event(at, json!({"host": host, "is": "unreachable", "text": "no answer"})),
            StaleReason::NotReady(lacking) => {
                let version = |(component, _): &(Component, _)| match component {
                    Component::Version(version) => Some(version.clone()),
                    Component::Config(_) => None,
                };
                let lacks: Vec<Version> = lacking.iter().filter_map(version).collect();
                match lacks.is_empty() {
                    true => self.note(at, &format!("{host} lacks configuration")),
                    false => self.event(at, json!({"host": host, "is": "reinstalled", "lacks": lacks})),
                }
            }
            StaleReason::New => {}
            _ => self.note(at, &format!("{host} is not trusted")),
        }
    }

    fn event(&mut self, at: Time, mut event: serde_json::Value) {
        event["at"] = json!(at.to_string());
        if event.get("prov").is_none() {
            event["prov"] = json!("journal");
        }
        self.events.push(event.to_string());
    }

    fn note(&mut self, at: Time, text: &str) {
        self.event(at, json!({"note": text}));
    }

    fn said(&mut self, at: Time, what: &str, words: &str) {
        match self.source.words {
            true => self.note(at, &format!("{what}: {words}")),
            false => self.note(at, what),
        }
    }

    fn why(&self, rollout: &Rollout) -> String {
        if self.source.words { rollout.why.clone() } else { rollout.id.to_string() }
    }

    /// The incident file.
    pub fn text(mut self) -> String {
        let left: Vec<_> = std::mem::take(&mut self.under_way).into_values().collect();
        for (began, rollout) in left {
            self.ended(began, self.last, &rollout, if rollout.dispatched { Status::Owed } else { rollout.status });
        }
        let (rollout, from) = (self.source.rollout, self.source.rollout.at);
        let what = format!("{} of {} to {}", kind(rollout.kind), site::groups(rollout), self.version);
        let mut out = format!(
            "# Recorded from the journal: {} and what followed. Times, moves, hosts and verdicts are the journal's. Rates and\n\
             # values of signals are made up so that the same gates find the same; `prov: assumed` marks them.\n",
            rollout.id
        );
        let mut line = |key: &str, value: String| out += &format!("{key}: {value}\n");
        line("name", json!(format!("rollout-{}", rollout.id)).to_string());
        line("title", json!(what).to_string());
        line("version", json!(self.version).to_string());
        line("from", Time(from.0.saturating_sub(EARLIER_MS)).to_string());
        // As long as gates are asked.
        let later = EARLIER_MS.max(self.source.policy.soak.watch_ms);
        line("to", Time(self.last.0.saturating_add(later)).to_string());
        line("chapters", json!([{"name": rollout.id.to_string(), "from": from.to_string()}]).to_string());
        line("map", json!(site::most(self.source.policy, self.source.start)).to_string());
        out += &site::text(self.source);
        out += "events:\n";
        // A rollout is written when it has ended, and stands where it began.
        let at = |event: &String| serde_json::from_str::<serde_json::Value>(event).map(|e| e["at"].to_string()).ok();
        self.events.sort_by_key(at);
        for event in &self.events {
            out += &format!("  - {event}\n");
        }
        out + &self.measured.text(self.source.policy, &self.version)
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Promote => "promotion",
        Kind::Rollback => "rollback",
        Kind::Pin => "pin",
        Kind::Unpin => "release of a pin",
        Kind::Sync => "sync",
        Kind::Undo => "undo",
        Kind::Converge => "repair",
    }
}
