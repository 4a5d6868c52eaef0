//! `run`: a playbook from its first stage on.

use super::exit::Exit;
use super::playbook::{self, Player};
use super::seat::Seat;
use super::usage::Usage;
use crate::config::playbook::load;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::books::Books;
use crate::model::ids::PlaybookId;
use crate::model::playbook::{PlaybookRun, PlaybookStatus};
use crate::playbook::windows;
use crate::store::Store;
use anyhow::Context;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    /// Run in a freeze or outside of the allowed hours; the reason is written down
    #[arg(long, value_name = "REASON")]
    override_freeze: Option<String>,
}

/// `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is a name, `=` and the value")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Run {
    /// One that only shows.
    pub(super) fn dry(playbook: PathBuf, vars: Vec<(String, String)>) -> Self {
        Self { playbook, vars, dry_run: true, override_freeze: None }
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
        if self.dry_run {
            return playbook::dry(seat, &playbook, closed.as_deref());
        }
        if let Some(why) = closed {
            seat.printer.talk(&format!("{}: {why}", playbook.name));
            seat.printer.talk("  hint: wait, or --override-freeze REASON");
            return Ok(Exit::Refused);
        }
        let store = seat.books(&policy)?;
        let books = store.load()?;
        if let Some(run) = twin(&books, &file, &playbook.vars) {
            let (name, id, by, since) = (&playbook.name, run.id, &run.by, run.at);
            seat.printer.talk(&format!("{name}: {id} of {by} since {since} does the same and is not finished"));
            seat.printer.talk(&format!("  hint: pointsman resume {0}, or pointsman abort {0}", run.id));
            return Ok(Exit::Refused);
        }
        let run = PlaybookRun {
            id: PlaybookId(0),
            file,
            text,
            vars: playbook.vars.clone(),
            by: who(),
            at: now,
            status: PlaybookStatus::Open,
            why: String::new(),
            override_freeze: self.override_freeze,
            seen: books.rollouts.keys().next_back().map_or(0, |id| id.0),
            stages: BTreeMap::new(),
        };
        Player::begin(seat, &policy, store, &playbook, run)?.play()
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
