//! The chapters of an incident: as it was up to here, then pointsman for the people.
//!
//! Invariant: what people wanted then is what is asked of pointsman now, but for what they did because of something that
//! never shows now. A chapter begins with the fleet, the map and the hosts as they were at that moment in history.

mod train;

use super::engine::{BY, Engine, ReplayError, Said};
use super::fleet::Fleet;
use super::past;
use super::played::{Act, ActEnd, ChapterPlayed, Played, Row, Served, Side};
use super::signals::Signals;
use super::words;
use crate::config::incident::spec::{Chapter, Event, Incident, What};
use crate::config::playbook::spec::Playbook;
use crate::config::policy::Policy;
use crate::drive::watch;
use crate::gate::spec::Gate;
use crate::model::books::{BY_THE_WATCH, Kind, Rollout};
use crate::model::map::VersionMap;
use crate::model::names::{Group, HostName, Version};
use crate::model::time::Time;
use crate::plan::back::{self, Scope};
use crate::plan::goal::{Blocked, Extent, Goal, Site};
use crate::plan::{content, forward};
use crate::rollout::effect::{GateEnd, Outcome};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// Replays these chapters of an incident; with a playbook, that is run in the place of the first promotion of each chapter,
/// and the other promotions are not asked for.
///
/// # Errors
///
/// The start, or what people did before a chapter, can't be carried out with the incident's site.
pub fn play(incident: &Incident, chapters: &[Chapter], playbook: Option<&Playbook>) -> Result<Played, ReplayError> {
    let site = Sites::new(incident);
    let played = chapters.iter().map(|chapter| Story::of(incident, &site, chapter)?.play(playbook));
    let chapters = played.collect::<Result<_, _>>()?;
    Ok(Played { incident: incident.name.clone(), title: incident.title.clone(), chapters })
}

/// The site as it is judged, and as it was: without gates.
struct Sites {
    gated: Policy,
    plain: Policy,
    /// The same for the few hosts that need a past of their own.
    few: Policy,
    unmeasured: Vec<String>,
}

impl Sites {
    fn new(incident: &Incident) -> Self {
        let known = |gate: &Gate| Signals::knows(incident, gate);
        let (gates, others): (Vec<_>, Vec<_>) = incident.site.gates.iter().cloned().partition(known);
        let unmeasured = others.iter().map(|gate| gate.name.to_string()).collect();
        let gated = Policy { gates, ..incident.site.clone() };
        let mut plain = Policy { gates: Vec::new(), ..incident.site.clone() };
        // Who moved wikis then did not know these pins.
        let lost = incident.events.iter().filter_map(|event| match &event.what {
            What::LostPins(wikis) => Some(wikis),
            _ => None,
        });
        lost.flatten().for_each(|wiki| drop(plain.pins.wikis.remove(wiki)));
        let (_, names) = past::few(incident);
        let hosts = plain.hosts.iter().filter(|(name, _)| names.contains(*name));
        let few = Policy { hosts: hosts.map(|(name, host)| (name.clone(), host.clone())).collect(), ..plain.clone() };
        Self { gated, plain, few, unmeasured }
    }
}

/// A promotion or a rollback that is still watched.
struct Watching {
    rollout: Rollout,
    until: Time,
    left_out: BTreeSet<HostName>,
    /// Its place among the acts.
    act: usize,
}

/// One chapter while it is played.
struct Story<'a> {
    incident: &'a Incident,
    site: &'a Sites,
    chapter: &'a Chapter,
    to: Time,
    engine: Engine<'a>,
    rows: Vec<Row>,
    acts: Vec<Act>,
    watching: Option<Watching>,
}

impl<'a> Story<'a> {
    /// The world as it was when the chapter begins.
    fn of(incident: &'a Incident, site: &'a Sites, chapter: &'a Chapter) -> Result<Self, ReplayError> {
        let mut engine = Engine::new(incident, Fleet::new(&incident.site, &past::versions(incident)));
        let to = chapter.to.unwrap_or(incident.to);
        past::found(&mut engine, incident, &site.few)?;
        for event in &incident.events {
            if let What::Host(host, what) = &event.what {
                engine.accidents.push_back((event.at, host.clone(), what.clone()));
            }
        }
        for event in incident.events.iter().take_while(|event| event.at < chapter.from) {
            engine.pass(event.at)?;
            past::as_it_was(&mut engine, incident, &site.few, event)?;
        }
        past::muster(&mut engine, incident, &site.plain)?;
        engine.pass(chapter.from)?;
        engine.served.values_mut().for_each(|(ms, _)| *ms = 0);
        engine.said = Said::default();
        Ok(Self { incident, site, chapter, to, engine, rows: Vec::new(), acts: Vec::new(), watching: None })
    }

    fn play(mut self, playbook: Option<&Playbook>) -> Result<ChapterPlayed, ReplayError> {
        let mut ran = false;
        let within = |event: &&Event| event.at >= self.chapter.from && event.at <= self.to;
        for event in self.incident.events.iter().filter(within).collect::<Vec<_>>() {
            self.watch(event.at)?;
            self.engine.pass(event.at)?;
            let (text, prov) = (words::history(event), event.prov.clone());
            self.rows.push(Row { at: event.at, side: Side::History, text, prov });
            match (&event.what, playbook) {
                (What::Promote(..), Some(playbook)) if !std::mem::replace(&mut ran, true) => self.run(playbook)?,
                (What::Promote(..), Some(_)) => {}
                _ => self.wanted(event)?,
            }
        }
        self.watch(self.to)?;
        self.engine.pass(self.to)?;
        self.rows.sort_by_key(|row| row.at);
        Ok(ChapterPlayed {
            name: self.chapter.name.clone(),
            from: self.chapter.from,
            to: self.to,
            served: self.served(),
            rows: self.rows,
            acts: self.acts,
            unmeasured: self.site.unmeasured.clone(),
        })
    }

    /// What people wanted then is asked of pointsman.
    fn wanted(&mut self, event: &Event) -> Result<(), ReplayError> {
        if matches!(event.what, What::Host(..) | What::LostPins(_) | What::Note) {
            return Ok(());
        }
        if event.by_itself {
            return Ok(());
        }
        if let Some(signal) = event.because.as_ref().filter(|signal| !self.engine.signals.shown(signal, event.at)) {
            self.say(&format!("there is no reason for this: {signal} does not show"));
            return Ok(());
        }
        match &event.what {
            What::Promote(group, version) => self.promote(group, version, &event.text),
            What::Rollback(group, to) if *to == self.incident.version => self.forward_again(group.as_ref(), to, event),
            What::Rollback(group, _) => self.rollback(group.as_ref(), &event.text),
            What::Repair(host) => self.repair(host),
            What::Host(..) | What::LostPins(_) | What::Note => Ok(()),
        }
    }

    fn promote(&mut self, group: &Group, version: &Version, why: &str) -> Result<(), ReplayError> {
        let goal = |site: Site<'_>| {
            forward::no_blocker(site, &[])?;
            forward::promote(site, group, version, why, None)
        };
        self.undertake(&format!("promote {group} {version}"), *version == self.incident.version, None, &goal)
    }

    /// A move back to the version that the incident is about is a promotion of it.
    fn forward_again(&mut self, group: Option<&Group>, to: &Version, event: &Event) -> Result<(), ReplayError> {
        let last = self.incident.site.groups.last().map(|group| group.name.clone());
        match group.cloned().or(last) {
            Some(group) => self.promote(&group, to, &event.text),
            None => Ok(()),
        }
    }

    fn rollback(&mut self, group: Option<&Group>, why: &str) -> Result<(), ReplayError> {
        let bad = |map: &VersionMap| map.0.values().any(|version| *version == self.incident.version);
        if !self.engine.store.books().wanted().is_some_and(|wanted| bad(&wanted.map)) {
            self.say(&format!("nothing to take back: no wiki is wanted at {}", self.incident.version));
            return Ok(());
        }
        let scope = group.map_or(Scope::Last, |group| Scope::Group(group.clone()));
        let name = group.map_or("rollback".to_owned(), |group| format!("rollback {group}"));
        self.undertake(&name, false, None, &|site| back::rollback(site, &scope, why))
    }

    fn repair(&mut self, host: &HostName) -> Result<(), ReplayError> {
        let only = [host.clone()].into();
        let goal = |site: Site<'_>| content::converge(site, Extent::Served, "repair");
        self.undertake(&format!("repair {host}"), false, Some(&only), &goal)
    }

    /// Carries out one undertaking and notes how it ended; what goes on is watched afterwards.
    fn undertake(
        &mut self,
        name: &str,
        forward: bool,
        only: Option<&BTreeSet<HostName>>,
        goal: &dyn Fn(Site<'_>) -> Result<Goal, Blocked>,
    ) -> Result<(), ReplayError> {
        let began = self.engine.now;
        self.engine.said = Said::default();
        let outcome = self.engine.act(&self.site.gated, name, only, goal)?;
        let (end, why, left) = words::ended(name, &outcome);
        let moved = matches!(outcome, Ok(Outcome::Done { .. } | Outcome::GateFailed(_) | Outcome::GoBack(_)));
        let said = self.spoken();
        self.say(&format!("{name}: {}", words::told(end, &why)));
        let (ended, forward) = (self.engine.now, forward && moved);
        self.acts.push(Act { what: name.to_owned(), began, ended, end, why, repaired: said, left, forward });
        if matches!(outcome, Ok(Outcome::Done { .. })) {
            self.begin_watch();
        }
        Ok(())
    }

    /// What the engine said, as rows; the hosts that were repaired.
    fn spoken(&mut self) -> BTreeMap<HostName, String> {
        let row = |(at, text)| Row { at, side: Side::Pointsman, text, prov: String::new() };
        self.rows.extend(std::mem::take(&mut self.engine.said.lines).into_iter().map(row));
        std::mem::take(&mut self.engine.said.repaired)
    }

    fn say(&mut self, text: &str) {
        let at = self.engine.now;
        self.rows.push(Row { at, side: Side::Pointsman, text: text.to_owned(), prov: String::new() });
    }

    /// Promotions are watched for as long as the site says, rollbacks for as long as after the last wave.
    fn begin_watch(&mut self) {
        let last = self.engine.store.books().rollouts.values().next_back().cloned();
        let soak = self.site.gated.soak;
        let Some(rollout) = last else { return };
        let ms = match rollout.kind {
            Kind::Promote => soak.watch_ms,
            Kind::Rollback => soak.group_ms,
            _ => return,
        };
        let (until, act) = (Time(self.engine.now.0.saturating_add(ms)), self.acts.len() - 1);
        self.watching = Some(Watching { rollout, until, left_out: BTreeSet::new(), act });
    }

    /// Goes on watching what is watched, at most to `stop`.
    fn watch(&mut self, stop: Time) -> Result<(), ReplayError> {
        while let Some(mut watching) = self.watching.take() {
            let books = self.engine.store.load()?;
            if books.current != Some(watching.rollout.to) {
                return Ok(());
            }
            let site = Site { policy: &self.site.gated, books: &books, now: self.engine.now, by: BY };
            let left_ms = watching.until.ms_since(self.engine.now);
            let Ok(call) = watch::call(site, &watching.rollout, (left_ms, &watching.left_out)) else { return Ok(()) };
            if call.gates.is_empty() {
                return Ok(());
            }
            let end = self.engine.ask(&self.site.gated, call, None, stop)?;
            self.spoken();
            let Some(end) = end else {
                self.watching = Some(watching);
                return Ok(());
            };
            self.acts[watching.act].ended = self.engine.now;
            match end {
                GateEnd::GoOn { leave_out } if leave_out.is_empty() => return Ok(()),
                GateEnd::GoOn { leave_out } => {
                    self.repair_blamed(watching.act, &leave_out)?;
                    watching.left_out.extend(leave_out.into_keys());
                    self.watching = Some(watching);
                }
                GateEnd::Failed(why) if watching.rollout.kind == Kind::Promote => {
                    return self.take_back(watching.act, why);
                }
                GateEnd::Failed(why) | GateEnd::Paused(why) => {
                    self.say(&format!("{}: a person is needed: {}", self.acts[watching.act].what, why.join("; ")));
                    let act = &mut self.acts[watching.act];
                    (act.end, act.why) = (ActEnd::Paused, why);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn repair_blamed(&mut self, act: usize, blamed: &BTreeMap<HostName, String>) -> Result<(), ReplayError> {
        let only = blamed.keys().cloned().collect();
        let goal = |site: Site<'_>| content::converge(site, Extent::Served, "repair of hosts that a gate blames");
        let outcome = self.engine.act(&self.site.gated, "repair by the watch", Some(&only), &goal)?;
        let repaired = self.spoken();
        let (_, _, left) = words::ended("", &outcome);
        for (host, why) in blamed {
            self.say(&format!("{host} is to blame and not the release: {why}"));
        }
        self.acts[act].repaired.extend(repaired.into_iter().filter(|(host, _)| !left.contains_key(host)));
        self.acts[act].left.extend(left);
        Ok(())
    }

    /// The release is to blame: everything goes back to before its first promotion.
    fn take_back(&mut self, act: usize, why: Vec<String>) -> Result<(), ReplayError> {
        let reason = format!("{BY_THE_WATCH}: {}", why.join("; "));
        let goal = |site: Site<'_>| back::rollback(site, &Scope::Last, &reason);
        let outcome = self.engine.act(&self.site.gated, "rollback by the watch", None, &goal)?;
        let repaired = self.spoken();
        let (end, effect, left) = words::ended("", &outcome);
        let end = if end == ActEnd::Done { ActEnd::RolledBack } else { end };
        self.say(&words::told(end, &effect));
        let now = self.engine.now;
        let act = &mut self.acts[act];
        (act.end, act.ended) = (end, now);
        // Where the way back did not begin, that is what has to be known.
        act.why = if end == ActEnd::RolledBack { why } else { effect };
        act.repaired.extend(repaired);
        act.left.extend(left);
        Ok(())
    }

    /// For how long the incident's version was served in the chapter.
    fn served(&self) -> BTreeMap<Group, Served> {
        let groups = self.incident.site.groups.iter().map(|group| &group.name);
        groups
            .map(|group| {
                let pointsman_ms = self.engine.served.get(group).map_or(0, |(ms, _)| *ms);
                let history_ms = past::history_ms(self.incident, group, self.chapter.from, self.to);
                (group.clone(), Served { history_ms, pointsman_ms })
            })
            .collect()
    }
}
