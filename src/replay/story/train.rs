//! A playbook in the place of the people's promotions.
//!
//! Invariant: the machine of playbooks is the product's own. Stages that move wikis or watch them are carried out;
//! commands on hosts, notes and what only looks succeed and are told as not replayed; people are taken to approve. A run that
//! waits for its hours is taken up when they begin.

use super::{ReplayError, Story};
use crate::config::playbook::spec::{Moves, Playbook, Stage, Verb};
use crate::model::ids::PlaybookId;
use crate::model::playbook::{PlaybookRun, PlaybookStatus};
use crate::model::time::Time;
use crate::playbook::budget::Broken;
use crate::playbook::machine::{Effect, Event, Machine};
use crate::playbook::windows;
use crate::replay::engine::BY;
use crate::replay::played::ActEnd;
use std::collections::{BTreeMap, VecDeque};

/// How often it is looked whether the hours of a playbook have begun, ms.
const LOOK_MS: u64 = 60_000;

impl Story<'_> {
    /// Runs the playbook to its end, or to where a person is needed.
    pub(super) fn run(&mut self, playbook: &Playbook) -> Result<(), ReplayError> {
        let mut machine = Machine::new(playbook, begun(playbook, self.engine.now));
        self.say(&format!("{}: the playbook begins", playbook.name));
        let mut waiting = VecDeque::from(machine.go_on(self.engine.now));
        while let Some(effect) = waiting.pop_front() {
            let event = match effect {
                Effect::Persist(_) => continue,
                Effect::Tell(line) => {
                    self.say(&format!("{}: {line}", playbook.name));
                    continue;
                }
                Effect::Do(at) => self.stage(&playbook.stages[at])?,
                Effect::Back(_) => {
                    let before = self.acts.len();
                    self.rollback(None, &format!("playbook {}", playbook.name))?;
                    Event::WentBack(self.code(before))
                }
                Effect::Finish(_) if self.waits_for_hours(playbook, &machine)? => {
                    waiting.extend(machine.go_on(self.engine.now));
                    continue;
                }
                Effect::Finish(code) => {
                    let how = if code == 0 { "is through".to_owned() } else { format!("ends with code {code}") };
                    self.say(&format!("{}: the playbook {how}", playbook.name));
                    return Ok(());
                }
            };
            waiting.extend(machine.step(self.engine.now, event));
        }
        Ok(())
    }

    /// Lets time pass until the playbook may go on; whether it paused for that and may now.
    fn waits_for_hours(&mut self, playbook: &Playbook, machine: &Machine<'_>) -> Result<bool, ReplayError> {
        if windows::closed(playbook, self.engine.now).is_none() || machine.run().status != PlaybookStatus::Paused {
            return Ok(false);
        }
        while windows::closed(playbook, self.engine.now).is_some() && self.engine.now < self.to {
            let then = Time(self.engine.now.0 + LOOK_MS);
            self.watch(then)?;
            self.engine.pass(then)?;
        }
        Ok(self.engine.now < self.to)
    }

    fn stage(&mut self, stage: &Stage) -> Result<Event, ReplayError> {
        let before = self.acts.len();
        let code = match &stage.verb {
            Verb::Commands(commands) => match &commands.moves {
                Moves::Promote(group, version) => {
                    self.promote(group, version, &stage.name)?;
                    self.code(before)
                }
                Moves::Back => {
                    self.rollback(None, &stage.name)?;
                    self.code(before)
                }
                Moves::Nothing | Moves::Content | Moves::Pin(_) | Moves::Unpin => self.not_replayed(stage),
            },
            Verb::Soak(ms) => self.soak(*ms)?,
            Verb::Approve { .. } | Verb::Run(_) | Verb::Notify(_) => self.not_replayed(stage),
        };
        Ok(Event::Ended { code, broken: Broken::default() })
    }

    fn not_replayed(&mut self, stage: &Stage) -> u8 {
        self.say(&format!("{}: not replayed, taken to succeed", stage.name));
        0
    }

    /// Watches what was promoted last for so long.
    fn soak(&mut self, ms: u64) -> Result<u8, ReplayError> {
        let until = Time(self.engine.now.0.saturating_add(ms)).min(self.to);
        self.watching.iter_mut().for_each(|watching| watching.until = until);
        self.watch(until)?;
        // Where nothing is left to watch the time passes all the same, but not after it was taken back.
        let code = self.code(self.acts.len().saturating_sub(1));
        if code == 0 {
            self.watching = None;
            self.engine.pass(until)?;
        }
        Ok(code)
    }

    /// How the last undertaking since `before` stands, as an exit code of the command line; none: nothing was to be done.
    fn code(&self, before: usize) -> u8 {
        match self.acts[before..].last().map(|act| act.end) {
            Some(ActEnd::Held) => 10,
            Some(ActEnd::Stale) => 7,
            Some(ActEnd::RolledBack) => 3,
            Some(ActEnd::Paused) => 4,
            Some(ActEnd::Promoted | ActEnd::Done | ActEnd::Nothing) | None => 0,
        }
    }
}

/// A run of the playbook that begins now.
fn begun(playbook: &Playbook, now: Time) -> PlaybookRun {
    PlaybookRun {
        id: PlaybookId(1),
        file: playbook.name.clone().into(),
        text: String::new(),
        vars: playbook.vars.clone(),
        by: BY.to_owned(),
        at: now,
        status: PlaybookStatus::Open,
        why: String::new(),
        override_freeze: None,
        seen: 0,
        stages: BTreeMap::new(),
    }
}
