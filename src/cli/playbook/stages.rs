//! One stage of a playbook: its command, or what only playbooks have.

use super::Player;
use crate::cli::exit::{self, Exit};
use crate::config::playbook::spec::{Commands, Moves, Notify, Run, Stage, Verb};
use crate::drive::items::{self, Stop, Through};
use crate::drive::signals::Signals;
use crate::drive::{clock, hook};
use crate::model::books::{Books, Kind, Record, Rollout, Status};
use crate::model::ids::PlaybookId;
use crate::model::names::HostName;
use crate::model::playbook::{PlaybookRecord, PlaybookStatus, StageRow};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::model::words::count;
use crate::plan::gates::span;
use crate::playbook::back;
use crate::playbook::budget::{Broken, exceeded};
use crate::playbook::machine::Event;
use crate::report::events::Event as Written;
use crate::report::notice;
use crate::report::plan::shown;
use crate::store::Store;
use crate::store::error::StoreError;
use anyhow::Context;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is looked whether a person answered.
const LOOK: Duration = Duration::from_millis(500);
/// A soak asks its gates for so long at least, ms, however long ago it was begun.
const SOAK_MS_MIN: u64 = 10_000;

/// A stage in words, beside its lines.
pub fn words(stage: &Stage) -> String {
    match &stage.verb {
        Verb::Commands(commands) => count(commands.lines.len(), "command"),
        Verb::Soak(ms) => format!("watch the promotion for {}", span(*ms)),
        Verb::Approve { text, .. } => format!("wait for a person: {text}"),
        Verb::Run(run) => {
            let what = if run.on_hosts { "host" } else { "item" };
            let (targets, waves) = (count(stage.targets, what), count(run.waves.len(), "wave"));
            format!("run {} over {targets} in {waves}, {} at a time", shown(&run.argv), run.parallel)
        }
        Verb::Notify(Notify::Argv(argv)) => format!("run {}", shown(argv)),
        Verb::Notify(Notify::Sal(line)) => format!("note {line}"),
    }
}

impl Player<'_> {
    /// Carries out a stage that is on the books as begun.
    pub(super) fn stage(&mut self, at: usize) -> anyhow::Result<Event> {
        let playbook = self.playbook;
        let stage = &playbook.stages[at];
        let id = self.machine.run().id;
        self.seat.printer.talk(&format!("{id}: stage {} of {}: {}", at + 1, playbook.stages.len(), stage.name));
        let row = self.machine.run().stages.get(&stage.name).cloned().unwrap_or_default();
        let mut broken = Broken::default();
        let code = match &stage.verb {
            Verb::Commands(commands) => self.commands(commands, &row, &mut broken)?,
            Verb::Soak(ms) => {
                let over = clock::now().ms_since(row.first);
                let left = ms.saturating_sub(over).max(SOAK_MS_MIN.min(*ms));
                return self.soak(&playbook.stages[..at], left);
            }
            Verb::Approve { text, within_ms } => self.approval(id, stage, text, *within_ms)?,
            Verb::Run(run) => self.items(id, stage, run, &row, &mut broken)?,
            Verb::Notify(notify) => self.notify(notify)?,
        };
        Ok(Event::Ended { code, broken })
    }

    /// Watches what the promotion before moved, and nothing that others did since.
    fn soak(&mut self, before: &[Stage], ms: u64) -> anyhow::Result<Event> {
        let promotes = before.iter().rev().find_map(|stage| match &stage.verb {
            Verb::Commands(Commands { moves: Moves::Promote(group, version), .. }) => Some((group, version)),
            _ => None,
        });
        let (group, version) = promotes.context("a soak has a promotion before it")?;
        let books = self.store.load()?;
        let Some(promotion) = back::promotion(&books, group, version) else {
            return Ok(Event::Superseded(format!(
                "{group} was moved from {version} by others: nothing is left to watch"
            )));
        };
        let code = self.all(&[vec!["watch".to_owned(), promotion.id.to_string(), format!("--for={ms}ms")]]);
        if code == Exit::Locked as u8 {
            return Ok(Event::Superseded(format!("{} is no longer what the fleet is wanted at", promotion.id)));
        }
        Ok(Event::Ended { code, broken: Broken::default() })
    }

    fn commands(&mut self, commands: &Commands, row: &StageRow, broken: &mut Broken) -> anyhow::Result<u8> {
        let books = self.store.load()?;
        let lines = match settled(&books, &commands.moves, row.first) {
            Settled::Done(code) => return Ok(code),
            Settled::Finish => vec![vec!["converge".to_owned(), "--forward".to_owned(), "--yes".to_owned()]],
            Settled::Drop => {
                let drop = vec!["converge".to_owned(), "--yes".to_owned()];
                std::iter::once(drop).chain(commands.lines.iter().cloned()).collect()
            }
            Settled::New => commands.lines.clone(),
        };
        let until = |mut line: Vec<String>| {
            if let Some(ms) = commands.for_ms.filter(|_| line[0] == "pin") {
                line.push(format!("--until={}", Time(row.first.0.saturating_add(ms))));
            }
            line
        };
        let lines: Vec<Vec<String>> = lines.into_iter().map(until).collect();
        let code = self.all(&lines);
        *broken = self.broken(&self.store.load()?, commands);
        Ok(code)
    }

    /// Hosts of a stage that are stale or owed afterwards; unreachable ones apart.
    fn broken(&self, books: &Books, commands: &Commands) -> Broken {
        let hosts = commands.hosts.iter();
        let rows = hosts.filter_map(|host: &HostName| books.hosts.get(host));
        let mut broken = Broken::default();
        for row in rows {
            match &row.stale {
                Some(stale) if matches!(stale.reason, StaleReason::Fault(_)) => broken.unreachable += 1,
                Some(_) => broken.failed += 1,
                None if row.owed.is_some() => broken.failed += 1,
                None => {}
            }
        }
        broken
    }

    /// Waits for a person's answer in the books.
    fn approval(&mut self, id: PlaybookId, stage: &Stage, text: &str, within_ms: u64) -> anyhow::Result<u8> {
        let deny = format!("pointsman approve {id} -m WHY, or pointsman deny {id} -m WHY");
        self.seat.printer.talk(&format!("{id}: {}: {text}", stage.name));
        self.seat.printer.talk(&format!("  hint: {deny}"));
        self.seat.notifier(self.policy).tell([notice::stage_asked(clock::now(), self.machine.run(), text)]);
        let until = clock::now().0.saturating_add(within_ms);
        let store = &self.store;
        self.seat.block_on(async {
            let mut signals = Signals::new()?;
            loop {
                let books = store.load()?;
                let run = books.playbooks.get(&id);
                if run.is_some_and(|run| run.status != PlaybookStatus::Open) {
                    return Ok(Exit::Paused as u8);
                }
                let row = run.and_then(|run| run.stages.get(&stage.name));
                if let Some((yes, by, reason)) = row.and_then(|row| row.answer.as_ref()) {
                    tracing::debug!(%id, yes, by, reason, "answered");
                    return Ok(if *yes { Exit::Done as u8 } else { Exit::Held as u8 });
                }
                if clock::now().0 >= until {
                    return Ok(Exit::Paused as u8);
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    by = signals.next() => return Ok(exit::of_signal(by) as u8),
                }
            }
        })?
    }

    /// Runs what is not through yet, wave after wave; what failed before is tried again.
    fn items(
        &mut self,
        id: PlaybookId,
        stage: &Stage,
        run: &Run,
        row: &StageRow,
        broken: &mut Broken,
    ) -> anyhow::Result<u8> {
        let deploy = self.seat.deploy()?;
        let done = |item: &&String| row.items.get(*item) == Some(&true);
        let mut through = run.waves.iter().flatten().filter(done).count();
        if through > 0 {
            self.seat.printer.talk(&format!("{id}: {through} of {} are through already", stage.targets));
        }
        for (number, wave) in run.waves.iter().enumerate() {
            let left: Vec<String> = wave.iter().filter(|item| !done(item)).cloned().collect();
            let (seat, store) = (self.seat, &mut self.store);
            let on_through = |ended: BTreeMap<String, Through>| -> Result<bool, StoreError> {
                for (item, what) in &ended {
                    match what {
                        Through::Done => through += 1,
                        Through::Failed(why) => {
                            broken.failed += 1;
                            seat.printer.talk(&format!("{item}: {}", crate::report::escape::Untrusted(why)));
                        }
                        Through::Unreachable(why) => {
                            broken.unreachable += 1;
                            seat.printer
                                .talk(&format!("{item}: not reached: {}", crate::report::escape::Untrusted(why)));
                        }
                    }
                }
                let items = ended.into_iter().map(|(item, what)| (item, what == Through::Done)).collect();
                let record = PlaybookRecord::Items { id, stage: stage.name.clone(), items };
                store.note(clock::now(), 0, &[Record::Playbook(record)])?;
                let aborted = store.load()?.playbooks.get(&id).is_some_and(|run| run.status != PlaybookStatus::Open);
                Ok(!aborted && exceeded(stage.budget, *broken, stage.targets).is_none())
            };
            let stop = self.seat.block_on(items::run(&deploy, run, &left, on_through))???;
            let of = run.waves.len();
            let (failed, all) = (broken.failed + broken.unreachable, stage.targets);
            self.seat
                .printer
                .talk(&format!("{id}: wave {} of {of}: {through} of {all} through, {failed} failed", number + 1));
            match stop {
                None => {}
                Some(Stop::Told) => break,
                Some(Stop::Signal(by)) => return Ok(exit::of_signal(by) as u8),
            }
        }
        if let Some(why) = exceeded(stage.budget, *broken, stage.targets) {
            self.seat.printer.talk(&format!("{id}: {why}"));
            return Ok(Exit::Held as u8);
        }
        let failed = broken.failed + broken.unreachable > 0;
        Ok(if failed { Exit::Owed as u8 } else { Exit::Done as u8 })
    }

    fn notify(&mut self, notify: &Notify) -> anyhow::Result<u8> {
        let id = self.machine.run().id.to_string();
        match notify {
            Notify::Sal(line) => {
                let (by, text) = (self.machine.run().by.clone(), line.clone());
                self.store.note(clock::now(), 0, &[Record::Note { by, text }])?;
                match self.seat.json {
                    true => self.seat.event(&Written::Note { id, text: line.clone() }),
                    false => self.seat.printer.data(line),
                }
            }
            Notify::Argv(argv) => {
                let within = self.policy.limits.command_ms_max;
                let ran = self.seat.block_on(hook::run_with(argv, ("POINTSMAN_PLAYBOOK", &id), within))?;
                if let Err(why) = ran {
                    self.seat.printer.talk(&format!("{id}: {why}"));
                    return Ok(Exit::Ours as u8);
                }
            }
        }
        Ok(Exit::Done as u8)
    }
}

/// How far a stage's move came before this process.
enum Settled {
    /// Not begun.
    New,
    /// Done, and with which code.
    Done(u8),
    /// A promotion switched hosts and was not ended: it is taken up with fresh proofs.
    Finish,
    /// Something was begun and is brought back first.
    Drop,
}

/// What the books know of a move that was begun at `first` or later.
fn settled(books: &Books, moves: &Moves, first: Time) -> Settled {
    let since = |rollout: &&Rollout| rollout.at >= first;
    let open = books.open().rfind(since);
    match moves {
        Moves::Promote(group, version) => {
            let ours = |r: &&Rollout| {
                r.kind == Kind::Promote && r.groups.first() == Some(group) && r.version.as_ref() == Some(version)
            };
            if let Some(open) = open.filter(ours) {
                return if open.dispatched { Settled::Finish } else { Settled::Drop };
            }
            let newest = books.rollouts.values().rev().filter(since).find(ours);
            match newest.filter(|r| books.current == Some(r.to)).map(|r| r.status) {
                Some(Status::Done) => Settled::Done(Exit::Done as u8),
                Some(Status::Owed) => Settled::Done(Exit::Owed as u8),
                _ => Settled::New,
            }
        }
        Moves::Pin(_) | Moves::Unpin if open.is_some() => Settled::Drop,
        _ => Settled::New,
    }
}
