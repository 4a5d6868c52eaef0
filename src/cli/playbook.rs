//! Executes what the machine of a playbook wants.
//!
//! Invariant: a stage's command is parsed and run by the code that runs it when a person types it. A record is in the
//! books before what follows it.

mod stages;

use super::dry::Kept;
use super::exit::{Exit, settle};
use super::rights;
use super::seat::Seat;
use super::usage::Usage;
use super::{Cli, Command};
use crate::config::playbook::spec::{Playbook, Verb};
use crate::config::policy::Policy;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::books::{Books, Record};
use crate::model::ids::PlaybookId;
use crate::model::playbook::{PlaybookRecord, PlaybookRun, PlaybookStatus};
use crate::model::time::Time;
use crate::plan::permit;
use crate::plan::saved::Saved;
use crate::playbook::machine::{Effect, Event, Machine};
use crate::playbook::{asked, back};
use crate::report::events;
use crate::report::notice;
use crate::report::plan::shown;
use crate::store::Store;
use crate::store::sqlstore::SqlStore;
use anyhow::Context;
use clap::Parser;
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Another process runs it.
#[derive(Debug, thiserror::Error)]
#[error("{id} is run by another process, which {by} began {}", .since.moment())]
pub struct Elsewhere {
    /// Which run.
    pub id: PlaybookId,
    by: String,
    since: Time,
}

/// A playbook and where it plays.
pub struct Player<'a> {
    seat: &'a Seat,
    policy: &'a Policy,
    store: SqlStore,
    playbook: &'a Playbook,
    machine: Machine<'a>,
    /// Held while this process runs it, so that no other one does.
    alive: Option<File>,
    /// What the first line that makes a plan is kept to, until that line comes.
    saved: Option<Rc<Saved>>,
}

impl<'a> Player<'a> {
    /// A new run, which is written down with the next free name.
    pub fn begin(
        seat: &'a Seat,
        policy: &'a Policy,
        mut store: SqlStore,
        playbook: &'a Playbook,
        run: PlaybookRun,
    ) -> anyhow::Result<Self> {
        let mut id = store.load()?.next_playbook();
        let alive = loop {
            // Another process may have taken the name just now.
            match hold(policy, id)? {
                Some(alive) if !store.load()?.playbooks.contains_key(&id) => break alive,
                _ => id = PlaybookId(id.0 + 1),
            }
        };
        let run = PlaybookRun { id, ..run };
        let record = PlaybookRecord::Began { run: Box::new(run.clone()) };
        store.note(clock::now(), 0, &[Record::Playbook(record)])?;
        seat.printer
            .talk(&format!("{id}: {} begins; pointsman resume {id} goes on after an interruption", playbook.name));
        Ok(Self {
            seat,
            policy,
            store,
            playbook,
            machine: Machine::new(playbook, run),
            alive: Some(alive),
            saved: None,
        })
    }

    /// A run that was begun before; an error when another process runs it.
    pub fn take_up(
        seat: &'a Seat,
        policy: &'a Policy,
        store: SqlStore,
        playbook: &'a Playbook,
        run: PlaybookRun,
    ) -> anyhow::Result<Self> {
        let (id, by, since) = (run.id, run.by.clone(), run.at);
        let player = Self::watching(seat, policy, store, playbook, run)?;
        match player.alive {
            Some(_) => Ok(player),
            None => Err(Elsewhere { id, by, since }.into()),
        }
    }

    /// A run that another process may be running; where none is, none begins to.
    pub fn watching(
        seat: &'a Seat,
        policy: &'a Policy,
        store: SqlStore,
        playbook: &'a Playbook,
        run: PlaybookRun,
    ) -> anyhow::Result<Self> {
        // Where deploy hosts share the books, another one may be running it, and that cannot be seen from here.
        let sign = sign(policy, run.id);
        let elsewhere = policy.store.is_some() && run.status != PlaybookStatus::Paused && !sign.exists();
        let alive = if elsewhere { None } else { hold(policy, run.id)? };
        Ok(Self { seat, policy, store, playbook, machine: Machine::new(playbook, run), alive, saved: None })
    }

    /// The same run, whose first plan must be the saved one.
    pub fn keeping_to(self, saved: Option<Rc<Saved>>) -> Self {
        Self { saved, ..self }
    }

    /// Goes on to the end, or until it pauses.
    pub fn play(mut self) -> anyhow::Result<Exit> {
        debug_assert!(self.alive.is_some(), "only one process runs it");
        let effects = self.machine.go_on(clock::now());
        self.execute(effects)
    }

    /// Takes back what the run moved.
    pub fn take_back(mut self, why: String) -> anyhow::Result<Exit> {
        let effects = self.machine.take_back(clock::now(), why);
        self.execute(effects)
    }

    fn execute(&mut self, effects: Vec<Effect>) -> anyhow::Result<Exit> {
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            let event = match effect {
                Effect::Persist(records) => {
                    let records: Vec<Record> = records.into_iter().map(Record::Playbook).collect();
                    self.store.note(clock::now(), 0, &records)?;
                    let Some(status) = self.ended_by_others()? else { continue };
                    waiting.clear();
                    Event::Aborted(status)
                }
                Effect::Tell(line) => {
                    self.seat.printer.talk(&format!("{}: {line}", self.machine.run().id));
                    continue;
                }
                Effect::Finish(code) => return Ok(self.finish(code)),
                Effect::Do(at) => match self.interrupted(at)? {
                    Some(event) => event,
                    None => self.stage(at)?,
                },
                Effect::Back(why) => self.back(&why)?,
            };
            waiting.extend(self.machine.step(clock::now(), event));
        }
        Ok(Exit::Ours)
    }

    /// How the run stands in the books, where this process can't go on from there: somebody ended it.
    fn ended_by_others(&self) -> anyhow::Result<Option<PlaybookStatus>> {
        let run = self.machine.run();
        let books = self.store.load()?;
        let status = books.playbooks.get(&run.id).map(|row| row.status);
        Ok(status.filter(|status| *status != run.status && !status.may_become(run.status)))
    }

    /// Takes back what is left to be taken back.
    fn back(&mut self, why: &str) -> anyhow::Result<Event> {
        let lines = match back::lines(self.machine.run(), &self.store.load()?, why) {
            Ok(lines) => lines,
            Err(why) => {
                self.seat.printer.talk(&format!("{}: {why}", self.machine.run().id));
                return Ok(Event::WentBack(Exit::Locked as u8));
            }
        };
        if lines.is_empty() {
            self.seat.printer.talk(&format!("{}: nothing is left to be taken back", self.machine.run().id));
        }
        Ok(Event::WentBack(self.all(&lines)))
    }

    fn finish(&self, code: u8) -> Exit {
        let run = self.machine.run();
        let (id, status) = (run.id, run.status);
        match status {
            PlaybookStatus::Done => self.seat.printer.talk(&format!("{id}: {} is done", self.playbook.name)),
            PlaybookStatus::Paused => {
                self.seat.printer.talk(&format!("{id}: paused: {}", run.why));
                self.seat.printer.talk(&format!("  hint: pointsman resume {id}, or pointsman abort {id} --rollback"));
                self.seat.notifier(self.policy).tell([notice::run_paused(clock::now(), run)]);
            }
            PlaybookStatus::GoingBack => {
                self.seat.printer.talk(&format!("{id}: goes back and is not through: {}", run.why));
                self.seat.printer.talk(&format!("  hint: pointsman resume {id} goes on with that"));
            }
            _ => {}
        }
        if self.seat.json {
            self.seat.event(&events::Event::Playbook { id: id.to_string(), status, why: run.why.clone(), code });
        }
        Exit::of_number(code)
    }

    /// What somebody else did meanwhile, before a stage begins.
    fn interrupted(&self, at: usize) -> anyhow::Result<Option<Event>> {
        let ours = matches!(&self.playbook.stages[at].verb, Verb::Commands(c) if c.lines[0][0] == "rollback");
        let books = self.store.load()?;
        let back = back::by_others(&books, self.machine.run()).filter(|_| !ours);
        Ok(back.map(|back| {
            Event::Superseded(format!("{} by {} took the fleet back meanwhile: {}", back.id, back.by, back.why))
        }))
    }

    /// Runs commands until one fails; the code of that, else the gravest.
    fn all(&mut self, lines: &[Vec<String>]) -> u8 {
        let seat = self.seat.of_playbook(self.machine.run().id);
        let mut worst = Exit::Done;
        for line in lines {
            seat.printer.talk(&format!("$ pointsman {}", shown(line)));
            let command = command(line).map(|command| self.kept_to(line, command));
            match settle(&seat, command.and_then(|command| command.run(&seat))) {
                Exit::Done => {}
                Exit::Owed => worst = Exit::Owed,
                other => return other as u8,
            }
        }
        worst as u8
    }
}

impl Player<'_> {
    /// The command of a line, which does only what was saved if that is the line.
    fn kept_to(&mut self, line: &[String], mut command: Command) -> Command {
        let is_it = |saved: &mut Rc<Saved>| saved.planned.as_ref().is_some_and(|p| line.starts_with(&p.line));
        if let Some(acting) = command.acting() {
            acting.saved = self.saved.take_if(is_it);
            // Whoever began the run agreed to it.
            acting.yes |= acting.saved.is_some();
        }
        command
    }
}

/// A line as the program reads it.
pub fn command(line: &[String]) -> anyhow::Result<Command> {
    let words = std::iter::once("pointsman".to_owned()).chain(line.iter().cloned());
    let cli = Cli::try_parse_from(words).map_err(|error| Usage(error.to_string().trim().to_owned()))?;
    Ok(cli.command)
}

/// The file whose lock shows that a process of this machine runs a playbook.
fn sign(policy: &Policy, id: PlaybookId) -> PathBuf {
    policy.books.join(format!("playbook-{id}"))
}

/// The sign that this process runs a playbook; `None`: another one does.
fn hold(policy: &Policy, id: PlaybookId) -> anyhow::Result<Option<File>> {
    let path = sign(policy, id);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.with_context(|| format!("failed to open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error).context(format!("failed to lock {}", path.display())),
    }
}

/// The run that is meant: the one named, else the only one that is not finished.
pub fn unfinished(books: &Books, named: Option<PlaybookId>) -> anyhow::Result<PlaybookRun> {
    let runs = || books.playbooks.values().filter(|run| run.status.is_unfinished());
    let found: Vec<&PlaybookRun> = runs().filter(|run| named.is_none_or(|id| run.id == id)).collect();
    match (found.as_slice(), named) {
        ([run], _) => Ok((*run).clone()),
        ([], Some(id)) => Err(Usage(format!("{id} is not a playbook that is unfinished")).into()),
        ([], None) => Err(Usage("no playbook is unfinished".to_owned()).into()),
        (several, _) => {
            let names: Vec<String> = several.iter().map(|run| run.id.to_string()).collect();
            Err(Usage(format!("several playbooks are unfinished, name one: {}", names.join(", "))).into())
        }
    }
}

/// A person's answer to the approval that a playbook waits for.
pub fn answer(
    seat: &Seat,
    policy: &Policy,
    store: &mut SqlStore,
    (id, yes, reason): (PlaybookId, bool, String),
) -> anyhow::Result<Exit> {
    let run = unfinished(&store.load()?, Some(id))?;
    let Some(asked) = asked::of(&run, policy)? else {
        return Err(Usage(format!("nothing of {id} waits for an approval")).into());
    };
    if let Some(person) = rights::person_of(policy) {
        let may = permit::answer(policy, &person, (asked.groups, vec![&asked.by]), yes);
        may.map_err(|blocked| rights::refused(seat, policy, blocked))?;
    }
    let record = PlaybookRecord::Answered { id, stage: asked.stage.clone(), yes, by: who().to_owned(), reason };
    store.note(clock::now(), 0, &[Record::Playbook(record)])?;
    let what = if yes { "approved" } else { "denied" };
    seat.printer.talk(&format!("{id}: {} is {what}; when it is paused: pointsman resume {id}", asked.stage));
    Ok(Exit::Done)
}

/// Every stage with its plan as far as it can be known; only looks. What it shows is kept for whoever saves it.
pub fn dry(
    seat: &Seat,
    playbook: &Playbook,
    closed: Option<&str>,
    view: Option<&Path>,
    kept: Option<&Kept>,
) -> anyhow::Result<Exit> {
    let (mut at, mut first) = (Some(0), None);
    while let Some(stage) = at.and_then(|at| playbook.stages.get(at)) {
        let mut lines = vec![format!("stage {}: {}", stage.name, stages::words(stage))];
        seat.printer.data(&lines[0]);
        if let Verb::Commands(commands) = &stage.verb {
            for line in &commands.lines {
                lines.push(format!("  pointsman {}", shown(line)));
                seat.printer.data(&lines[lines.len() - 1]);
                let exit = dry_line(seat, line, view, kept);
                first = first.or(exit);
            }
        }
        if let Some(kept) = kept {
            let mut kept = kept.borrow_mut();
            kept.changes |= matches!(stage.verb, Verb::Run(_));
            kept.playbook.iter_mut().for_each(|playbook| playbook.stages.extend(lines.clone()));
        }
        at = stage.next;
    }
    if let Some(why) = closed {
        seat.printer.talk(&format!("now it would be refused: {why}"));
        // What is saved is for another hour.
        if kept.is_none() {
            return Ok(Exit::Refused);
        }
    }
    seat.printer.talk("dry run: nothing was changed; stages after the first are planned by what the books hold now");
    Ok(first.unwrap_or(Exit::Done))
}

/// The plan of a line, where it has one.
fn dry_line(seat: &Seat, line: &[String], view: Option<&Path>, kept: Option<&Kept>) -> Option<Exit> {
    let mut command = match command(line) {
        Ok(command) => command,
        Err(error) => return Some(settle(seat, Err(error))),
    };
    let acting = command.acting()?;
    acting.dry_run = true;
    acting.view = view.map(Path::to_owned);
    acting.kept = kept.cloned();
    let exit = settle(seat, command.run(seat));
    if let Some(kept) = kept {
        let mut kept = kept.borrow_mut();
        kept.planned.iter_mut().filter(|planned| planned.line.is_empty()).for_each(|p| p.line = line.to_vec());
    }
    Some(exit)
}
