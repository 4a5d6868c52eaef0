//! Undertakings by their effect: told when they end, with the hosts that were proven and those that were left behind.
//! One that never ended is told where it began.

use super::super::history;
use super::super::markdown::{self, Cell};
use super::{Mark, Row, time, time_near};
use crate::model::books::{Kind, Pin, Pins, Record, Rollout, Status};
use crate::model::ids::{RolloutId, SnapshotId};
use crate::model::names::HostName;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// What is under way, and the pins of every recorded state.
#[derive(Debug, Default)]
pub struct Undertakings {
    open: BTreeMap<RolloutId, Begun>,
    pins: BTreeMap<SnapshotId, Pins>,
    /// What is acted for, and under which epoch: whose the proofs of hosts are.
    acting: Option<(RolloutId, u64)>,
}

/// One that was begun.
#[derive(Debug)]
struct Begun {
    mark: Mark,
    rollout: Rollout,
    /// Hosts that a switch was meant for, and the answer; `None`: none came.
    switches: BTreeMap<HostName, Option<String>>,
    proven: BTreeSet<HostName>,
    owed: BTreeSet<HostName>,
}

impl Undertakings {
    /// Takes the next event of the journal.
    pub fn take(&mut self, mark: Mark, record: &Record, rows: &mut Vec<Row>) {
        match record {
            Record::Opened { rollout, snapshot, .. } => {
                self.pins.extend(snapshot.iter().map(|snapshot| (snapshot.id, snapshot.pins.clone())));
                self.acting = Some((rollout.id, mark.epoch));
                self.open.insert(rollout.id, Begun::new(mark, rollout));
            }
            Record::Intents { rollout, command, hosts } => {
                self.acting = Some((*rollout, mark.epoch));
                let begun = self.open.get_mut(rollout).filter(|_| command == "switch");
                begun.into_iter().for_each(|begun| begun.sent(hosts.iter().map(|(host, _)| host)));
            }
            Record::Outcome { rollout, command, host, result, .. } if command == "switch" => {
                let begun = self.open.get_mut(rollout);
                begun.into_iter().for_each(|begun| drop(begun.switches.insert(host.clone(), Some(result.clone()))));
            }
            Record::Fresh { host } => self.of_acting(mark).into_iter().for_each(|begun| {
                begun.owed.remove(host);
                begun.proven.insert(host.clone());
            }),
            Record::Owed { host, .. } => self.of_acting(mark).into_iter().for_each(|begun| {
                begun.proven.remove(host);
                begun.owed.insert(host.clone());
            }),
            Record::Ended { rollout, status, effect, .. } => {
                if self.acting.is_some_and(|(acting, _)| acting == *rollout) {
                    self.acting = None;
                }
                let text = match self.open.remove(rollout) {
                    Some(begun) => self.ended(mark, &begun, *status, effect),
                    None => format!("**{rollout}** {}: {}", history::status(*status), Cell(effect)),
                };
                rows.push(Row { mark, text });
            }
            _ => {}
        }
    }

    /// Those that did not end.
    pub fn end(self, rows: &mut Vec<Row>) {
        rows.extend(self.open.into_values().map(|begun| Row { mark: begun.mark, text: begun.unfinished() }));
    }

    fn of_acting(&mut self, mark: Mark) -> Option<&mut Begun> {
        let (rollout, _) = self.acting.filter(|(_, epoch)| *epoch == mark.epoch)?;
        self.open.get_mut(&rollout)
    }

    fn ended(&self, mark: Mark, begun: &Begun, status: Status, effect: &str) -> String {
        let rollout = &begun.rollout;
        let mut says = format!("{} **{}**", begun.name(), history::status(status));
        if !effect.is_empty() {
            says += &format!(": {}", Cell(effect));
        }
        let mut said = vec![says];
        match status {
            Status::Done | Status::Owed => {
                said.extend(self.pins_moved(rollout));
                said.extend(part("Proven on", &begun.proven));
                said.extend(part("Left behind and owed:", &begun.owed));
            }
            Status::WentBack | Status::Superseded => said.extend(begun.moved()),
            Status::Dropped => said.push("No host was switched".to_owned()),
            Status::Open => {}
        }
        said.push(format!("{}; begun {}", begun.who_and_why(), time_near(begun.mark.at, mark.at)));
        said.join(". ")
    }

    /// Pins that it made, changed and took away; `None` when it moved none, or when a state is not known.
    fn pins_moved(&self, rollout: &Rollout) -> Option<String> {
        let nothing = Pins::default();
        let before = rollout.from.map_or(Some(&nothing), |from| self.pins.get(&from))?;
        let after = self.pins.get(&rollout.to)?;
        let moved: Vec<String> =
            differ(&before.wikis, &after.wikis).chain(differ(&before.hosts, &after.hosts)).collect();
        (!moved.is_empty()).then(|| format!("Pins: {}", moved.join("; ")))
    }
}

/// What became of pins, a fragment each.
fn differ<'a, T: Ord + Display>(
    before: &'a BTreeMap<T, Pin>,
    after: &'a BTreeMap<T, Pin>,
) -> impl Iterator<Item = String> + 'a {
    let same = |old: &Pin, new: &Pin| (&old.version, &old.reason, old.until) == (&new.version, &new.reason, new.until);
    let made = after.iter().filter(move |(who, pin)| before.get(who).is_none_or(|old| !same(old, pin)));
    let gone = before.iter().filter(|(who, _)| !after.contains_key(who));
    let made = made.map(|(who, pin)| {
        let until = pin.until.map(|until| format!(", until {until}")).unwrap_or_default();
        let (who, owner, reason) = (who.to_string(), Cell(&pin.owner), Cell(&pin.reason));
        format!("{} pinned to {} ({reason}; {owner}{until})", Cell(&who), pin.version)
    });
    made.chain(gone.map(|(who, pin)| format!("{} no longer pinned to {}", Cell(&who.to_string()), pin.version)))
}

impl Begun {
    fn new(mark: Mark, rollout: &Rollout) -> Self {
        let (switches, proven, owed) = Default::default();
        Self { mark, rollout: rollout.clone(), switches, proven, owed }
    }

    fn sent<'a>(&mut self, hosts: impl Iterator<Item = &'a HostName>) {
        // A second try that nobody answered is not known to have done nothing.
        self.switches.extend(hosts.map(|host| (host.clone(), None)));
    }

    fn name(&self) -> String {
        format!("**{}** {}", self.rollout.id, Cell(&history::what(&self.rollout)))
    }

    fn who_and_why(&self) -> String {
        let by = format!("By {}", Cell(&self.rollout.by));
        if self.rollout.why.is_empty() { by } else { format!("{by}: {}", Cell(&self.rollout.why)) }
    }

    /// What is known of hosts that it may have switched.
    fn moved(&self) -> Vec<String> {
        let with = |wanted: fn(&Option<String>) -> bool| -> BTreeSet<HostName> {
            self.switches.iter().filter(|(_, answer)| wanted(answer)).map(|(host, _)| host.clone()).collect()
        };
        let switched = with(|answer| answer.as_deref() == Some("ok"));
        let refused = with(|answer| answer.as_deref().is_some_and(|answer| answer != "ok"));
        let silent = with(Option::is_none);
        let parts = [
            part("Switched:", &switched),
            part("Did not switch:", &refused),
            part("Told to switch and never answered, so it may have:", &silent),
        ];
        let known: Vec<String> = parts.into_iter().flatten().collect();
        if known.is_empty() { vec!["No host was switched".to_owned()] } else { known }
    }

    fn unfinished(&self) -> String {
        let moved_at_once = matches!(self.rollout.kind, Kind::Rollback | Kind::Sync | Kind::Undo);
        let wanted = if moved_at_once { "; the wanted state moved at its beginning" } else { "" };
        let head =
            format!("{} was begun at {} and **never ended** within this time{wanted}", self.name(), time(self.mark.at));
        let said: Vec<String> = [head].into_iter().chain(self.moved()).chain([self.who_and_why()]).collect();
        said.join(". ")
    }
}

fn part(words: &str, hosts: &BTreeSet<HostName>) -> Option<String> {
    (!hosts.is_empty()).then(|| format!("{words} {}", markdown::hosts(hosts)))
}
