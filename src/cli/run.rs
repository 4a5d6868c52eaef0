//! `run`: a playbook from its first stage on.

use super::apply;
use super::dry::{self, Kept};
use super::exit::Exit;
use super::playbook::{self, Player};
use super::rights;
use super::seat::Seat;
use super::usage::Usage;
use super::words::Words;
use crate::config::playbook::load;
use crate::config::playbook::spec::Playbook;
use crate::config::policy::Policy;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::books::Books;
use crate::model::digest::Digest;
use crate::model::ids::PlaybookId;
use crate::model::playbook::{PlaybookRun, PlaybookStatus};
use crate::plan::changed::Changed;
use crate::plan::saved::{Basis, Playbook as Planned, Saved};
use crate::playbook::windows;
use crate::report;
use crate::store::Store;
use anyhow::Context;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Run a playbook: ordered stages over the same verbs as here
///
/// The whole file is checked and planned before its first stage. It can be paused, and goes on by `resume` where it
/// was, after a crash too; `abort` ends it. No lock is held between stages: a rollback by somebody else ends it (code 5).
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman run train --var version=1.27.0-wmf.11 --dry-run\n  pointsman run playbooks/train.yaml --var version=1.27.0-wmf.11"
)]
pub struct Run {
    /// The file, or the name of one in playbooks/ beside groups.yaml
    playbook: PathBuf,
    /// The value of a variable; may be said again for another
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
    /// Show every stage with its plan; change not one byte, on no host and not in the books
    #[arg(long)]
    dry_run: bool,
    /// Plan offline from what `status --json` wrote, with neither hosts nor books; implies --dry-run
    #[arg(long, value_name = "FILE")]
    view: Option<PathBuf>,
    /// Run in a freeze or outside of the allowed hours; the reason is written down
    #[arg(long, value_name = "REASON")]
    pub(super) override_freeze: Option<String>,
    /// Where a dry run puts what it shows.
    #[arg(skip)]
    kept: Option<Kept>,
    /// The saved plan that is carried out, and whether nothing is asked.
    #[arg(skip)]
    saved: Option<(Rc<Saved>, bool)>,
}

/// `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is a name, `=` and the value")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Run {
    /// Whether it changes nothing.
    pub(super) fn looks(&self) -> bool {
        self.dry_run || self.view.is_some()
    }

    /// Only shows, and keeps what it shows.
    pub fn only_show(&mut self, kept: Kept) {
        (self.dry_run, self.kept) = (true, Some(kept));
    }

    /// Runs as it was planned, or not at all; `yes`: without asking.
    pub fn keep_to(&mut self, saved: Rc<Saved>, yes: bool) {
        self.saved = Some((saved, yes));
    }

    /// The command as words.
    pub fn words(&self) -> Vec<String> {
        let Self { playbook, vars, override_freeze, dry_run: _, view: _, kept: _, saved: _ } = self;
        let words = Words::new("run").options("var", vars.iter().map(|(name, value)| format!("{name}={value}")));
        words.options("override-freeze", override_freeze).last(Some(playbook.display()))
    }

    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        if self.override_freeze.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            return Err(Usage("--override-freeze is empty: say why".to_owned()).into());
        }
        let file = place(&self.playbook, &policy.file)?;
        let given: BTreeMap<String, String> = self.vars.iter().cloned().collect();
        let (playbook, text) = load(&file, &policy, &given)?;
        let now = clock::now();
        let closed = windows::closed(&playbook, now).filter(|_| playbook.stages.iter().any(|stage| stage.is_forward()));
        let closed = closed.filter(|_| self.override_freeze.is_none());
        if self.looks() {
            if let Some(kept) = &self.kept {
                let books = dry::books(seat, &policy, self.view.as_deref())?;
                let (digest, vars, stages) = (Digest::of(text.as_bytes()), playbook.vars.clone(), Vec::new());
                kept.borrow_mut().basis = Some(Basis::of(&policy, &books));
                kept.borrow_mut().playbook = Some(Planned { digest, vars, stages });
            }
            return playbook::dry(seat, &playbook, closed.as_deref(), self.view.as_deref(), self.kept.as_ref());
        }
        rights::ask(seat, &rights::of_stages(&playbook, self.override_freeze.is_some())?)?;
        if let Some(why) = closed {
            seat.printer.talk(&format!("{}: {why}", playbook.name));
            seat.printer.talk("  hint: wait, or --override-freeze REASON");
            return Ok(Exit::Refused);
        }
        if let Some((saved, yes)) = &self.saved {
            self.as_planned(seat, &policy, &playbook, &text, saved)?;
            seat.printer.talk(report::plan::saved_text(saved).trim_end());
            if !apply::asked(seat, *yes)? {
                return Ok(Exit::Paused);
            }
        }
        let store = seat.books(&policy)?;
        let books = store.load()?;
        if let Some(run) = twin(&books, &file, &playbook.vars) {
            let (name, id, by, since) = (&playbook.name, run.id, &run.by, run.at);
            let since = since.since(clock::now());
            seat.printer.talk(&format!("{name}: {id} of {by} does the same and is not finished, {since}"));
            seat.printer.talk(&format!("  hint: pointsman resume {0}, or pointsman abort {0}", run.id));
            return Ok(Exit::Refused);
        }
        let run = PlaybookRun {
            id: PlaybookId(0),
            file,
            text,
            vars: playbook.vars.clone(),
            by: who().to_owned(),
            at: now,
            status: PlaybookStatus::Open,
            why: String::new(),
            override_freeze: self.override_freeze,
            seen: books.rollouts.keys().next_back().map_or(0, |id| id.0),
            stages: BTreeMap::new(),
        };
        let player = Player::begin(seat, &policy, store, &playbook, run)?;
        player.keeping_to(self.saved.map(|(saved, _)| saved)).play()
    }

    /// Refuses when the playbook, or what its plan was made from, is another one than was saved.
    fn as_planned(
        &self,
        seat: &Seat,
        policy: &Policy,
        playbook: &Playbook,
        text: &str,
        saved: &Saved,
    ) -> anyhow::Result<()> {
        let was = saved.playbook.as_ref();
        let mut lines = Vec::new();
        if was.is_none_or(|was| was.digest != Digest::of(text.as_bytes())) {
            lines.push(format!("the playbook {} was changed", self.playbook.display()));
        } else if was.is_none_or(|was| was.vars != playbook.vars) {
            lines.push("the playbook's variables have other values".to_owned());
        }
        if !lines.is_empty() {
            return Err(Changed(lines).into());
        }
        let books = seat.read_books(policy)?.load()?;
        let forward = playbook.stages.iter().any(|stage| stage.is_forward());
        apply::same_basis(seat, policy, &books, saved, forward)
    }
}

/// A run of the same file that would do the same and has not ended.
fn twin<'a>(books: &'a Books, file: &Path, vars: &BTreeMap<String, String>) -> Option<&'a PlaybookRun> {
    books.playbooks.values().find(|run| run.status.is_unfinished() && run.file == file && run.vars == *vars)
}

/// The file that is meant: one that is there, or one in `playbooks/` of the site.
fn place(named: &Path, groups: &Path) -> anyhow::Result<PathBuf> {
    let beside = groups.parent().unwrap_or(Path::new(".")).join("playbooks").join(named).with_extension("yaml");
    let found = [named.to_owned(), beside.clone()].into_iter().find(|path| path.is_file());
    let Some(found) = found else {
        let what = format!("there is neither {} nor {}", named.display(), beside.display());
        return Err(Usage(what).into());
    };
    std::fs::canonicalize(&found).with_context(|| format!("failed to find {}", found.display()))
}
