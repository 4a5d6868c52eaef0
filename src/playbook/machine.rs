//! The machine: what ended comes in, what is to be done comes out.

use super::budget::{Broken, exceeded};
use super::windows;
use crate::config::playbook::spec::{Moves, OnFail, Playbook, Stage, Verb};
use crate::model::playbook::{PlaybookRecord, PlaybookRun, PlaybookStatus};
use crate::model::time::Time;
use std::collections::BTreeMap;

/// Codes that the machine tells apart; the contract of the command line.
mod code {
    pub const DONE: u8 = 0;
    pub const TAKEN_BACK: u8 = 3;
    pub const PAUSED: u8 = 4;
    pub const SUPERSEDED: u8 = 5;
    pub const STALE: u8 = 7;
    pub const OWED: u8 = 8;
    pub const REFUSED: u8 = 10;
    pub const STOPPED: u8 = 130;
    pub const TERMINATED: u8 = 143;
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The stage's command ended.
    Ended {
        /// Its exit code.
        code: u8,
        /// What failed on the way.
        broken: Broken,
    },
    /// Items of the stage are through.
    Items(BTreeMap<String, bool>),
    /// Somebody took something back that this run did not.
    Superseded(String),
    /// A person ended the run from another terminal, or wants it back too: it stands so in the books.
    Aborted(PlaybookStatus),
    /// What was moved is taken back, or not; the gravest code of that.
    WentBack(u8),
}

/// Something to be done, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Commit these before anything later.
    Persist(Vec<PlaybookRecord>),
    /// Carry out this stage; answer with [`Event::Ended`].
    Do(usize),
    /// Take back what was moved, for this reason, by [`super::back::lines`]; answer with [`Event::WentBack`].
    Back(String),
    /// For people.
    Tell(String),
    /// Nothing follows; the exit code.
    Finish(u8),
}

/// One run of a playbook.
#[derive(Debug, Clone)]
pub struct Machine<'a> {
    playbook: &'a Playbook,
    run: PlaybookRun,
}

impl<'a> Machine<'a> {
    /// The machine of a run that stands as `run`, new or taken up.
    pub fn new(playbook: &'a Playbook, run: PlaybookRun) -> Self {
        Self { playbook, run }
    }

    /// The run as everything emitted so far leaves it.
    pub fn run(&self) -> &PlaybookRun {
        &self.run
    }

    /// The stage that is next or under way; `None`: all are passed.
    pub fn position(&self) -> Option<usize> {
        let mut at = Some(0);
        while let Some(stage) = at.and_then(|at| self.playbook.stages.get(at)) {
            if !self.run.stages.get(&stage.name).is_some_and(|row| row.passed) {
                break;
            }
            at = stage.next;
        }
        at
    }

    /// Goes on from where the run stands.
    pub fn go_on(&mut self, now: Time) -> Vec<Effect> {
        if self.run.status == PlaybookStatus::GoingBack {
            return vec![Effect::Back(self.run.why.clone())];
        }
        let Some(at) = self.position() else {
            let mut effects = vec![self.stands(now, PlaybookStatus::Done, String::new())];
            effects.push(Effect::Finish(if self.is_owed() { code::OWED } else { code::DONE }));
            return effects;
        };
        let stage = &self.playbook.stages[at];
        let closed = windows::closed(self.playbook, now).filter(|_| stage.is_forward());
        if let Some(why) = closed.filter(|_| self.run.override_freeze.is_none()) {
            let why = format!("{}: {why}", stage.name);
            return vec![
                self.stands(now, PlaybookStatus::Paused, why.clone()),
                Effect::Tell(why),
                Effect::Finish(code::REFUSED),
            ];
        }
        let mut records = Vec::new();
        if self.run.status != PlaybookStatus::Open {
            records.push(self.standing(PlaybookStatus::Open, String::new()));
        }
        records.push(PlaybookRecord::Stage { id: self.run.id, stage: stage.name.clone() });
        vec![self.persist(now, records), Effect::Do(at)]
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        match event {
            Event::Ended { code, broken } => self.ended(now, code, broken),
            Event::Items(items) => match self.position() {
                Some(at) => {
                    let stage = self.playbook.stages[at].name.clone();
                    vec![self.persist(now, vec![PlaybookRecord::Items { id: self.run.id, stage, items }])]
                }
                None => Vec::new(),
            },
            Event::Superseded(why) => vec![
                self.stands(now, PlaybookStatus::Superseded, why.clone()),
                Effect::Tell(why),
                Effect::Finish(code::SUPERSEDED),
            ],
            Event::Aborted(status) => {
                self.run.status = status;
                vec![Effect::Tell("aborted: no new step".to_owned()), Effect::Finish(code::PAUSED)]
            }
            Event::WentBack(worst) => self.went_back(now, worst),
        }
    }

    fn ended(&mut self, now: Time, code: u8, broken: Broken) -> Vec<Effect> {
        let Some(at) = self.position() else { return Vec::new() };
        let stage = &self.playbook.stages[at];
        let why = failed(stage, code, broken);
        let stopped = matches!(code, code::STOPPED | code::TERMINATED);
        let on_fail = match stopped {
            true => OnFail::Pause,
            false => stage.on_fail,
        };
        let passed = why.is_none() || on_fail == OnFail::Continue;
        let (id, name) = (self.run.id, stage.name.clone());
        let mut effects = vec![self.persist(now, vec![PlaybookRecord::StageEnded { id, stage: name, code, passed }])];
        let Some(why) = why else {
            effects.extend(self.go_on(now));
            return effects;
        };
        let why = format!("{}: {why}", stage.name);
        effects.push(Effect::Tell(why.clone()));
        match on_fail {
            OnFail::Continue => effects.extend(self.go_on(now)),
            OnFail::Pause => {
                effects.push(self.stands(now, PlaybookStatus::Paused, why));
                effects.push(Effect::Finish(if stopped { code } else { paused(code) }));
            }
            OnFail::Rollback => effects.extend(self.take_back(now, why)),
        }
        effects
    }

    /// Takes back what the run moved, newest first. That it goes back is on the books first: a run that died on its way
    /// goes on going back.
    pub fn take_back(&mut self, now: Time, why: String) -> Vec<Effect> {
        vec![self.stands(now, PlaybookStatus::GoingBack, why.clone()), Effect::Back(why)]
    }

    fn went_back(&mut self, now: Time, worst: u8) -> Vec<Effect> {
        if !matches!(worst, code::DONE | code::OWED) {
            return vec![
                Effect::Tell(format!("taking it back ended with code {worst}: it is not through")),
                Effect::Finish(worst),
            ];
        }
        let ended = self.stands(now, PlaybookStatus::TakenBack, self.run.why.clone());
        vec![ended, Effect::Finish(if worst == code::OWED { code::OWED } else { code::TAKEN_BACK })]
    }

    /// Whether hosts are owed or stale after a stage that was passed.
    fn is_owed(&self) -> bool {
        self.run.stages.values().any(|row| matches!(row.code, Some(code::OWED | code::STALE)))
    }

    fn standing(&self, status: PlaybookStatus, why: String) -> PlaybookRecord {
        PlaybookRecord::Stands { id: self.run.id, status, why, by: self.run.by.clone() }
    }

    fn stands(&mut self, now: Time, status: PlaybookStatus, why: String) -> Effect {
        let record = self.standing(status, why);
        self.persist(now, vec![record])
    }

    fn persist(&mut self, now: Time, records: Vec<PlaybookRecord>) -> Effect {
        let mut runs = BTreeMap::from([(self.run.id, self.run.clone())]);
        records.iter().for_each(|record| record.apply(now, &mut runs));
        self.run = runs.remove(&self.run.id).expect("it was put there");
        Effect::Persist(records)
    }
}

/// Why a stage did not succeed; `None`: it did, or what failed is within its budget.
fn failed(stage: &Stage, code: u8, broken: Broken) -> Option<String> {
    let counted = matches!(code, code::DONE | code::OWED | code::STALE) && stage.budget.is_some();
    match code {
        code::STALE if matches!(&stage.verb, Verb::Commands(c) if c.moves != Moves::Nothing) => {}
        _ if counted => return exceeded(stage.budget, broken, stage.targets),
        code::DONE | code::OWED => return None,
        _ => {}
    }
    Some(format!("ended with code {code}"))
}

/// The code of a run that pauses because a stage ended with `code`: what that stage says, but for a mere pass.
fn paused(code: u8) -> u8 {
    if matches!(code, code::DONE | code::OWED) { code::PAUSED } else { code }
}
