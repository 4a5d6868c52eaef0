//! `plan`: what a command would do, shown and saved, to be carried out by `apply`.

use super::Command;
use super::dry::Kept;
use super::exit::Exit;
use super::promote::Promote;
use super::rollback::Rollback;
use super::run::Run;
use super::seat::Seat;
use super::sync_common::SyncCommon;
use super::sync_file::SyncFile;
use super::usage::Usage;
use super::whole;
use crate::config::trust::{self, Invoker};
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::limits::PLAN_BYTES_MAX;
use crate::model::version::VERSION;
use crate::plan::saved::{self, PlanFile, Saved};
use crate::report;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Show what a command would do, and save that as a plan; changes nothing
///
/// The arguments are those of the command itself. `apply FILE` does exactly what was saved, or refuses and says what has
/// changed since (code 6). With --view it is planned offline, from what `status --live --json` wrote.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman plan promote group1 1.27.0-wmf.11 -m 'train of the week' -o promote.plan\n  pointsman plan rollback -m '5xx' --detailed-exitcode\n  pointsman plan run train --var version=1.27.0-wmf.11\n  pointsman plan show promote.plan"
)]
pub struct Plan {
    #[command(subcommand)]
    what: What,
    /// Save the plan in this file, which must not be there yet
    #[arg(short, long, value_name = "FILE", global = true)]
    output: Option<PathBuf>,
    /// End with 9 when something would change, and with 0 only when nothing would
    #[arg(long, global = true)]
    detailed_exitcode: bool,
}

#[derive(Subcommand)]
enum What {
    Promote(Promote),
    Rollback(Rollback),
    SyncFile(SyncFile),
    SyncCommon(SyncCommon),
    Run(Run),
    Show(Show),
    /// Print the JSON Schema of plan files
    #[command(after_help = "Example:\n  pointsman plan schema > plan.schema.json")]
    Schema,
}

/// Show a saved plan
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman plan show promote.plan\n  pointsman plan show promote.plan --json")]
pub struct Show {
    /// The saved plan
    file: PathBuf,
}

impl Plan {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let (output, detailed) = (self.output, self.detailed_exitcode);
        let command = match self.what {
            What::Promote(command) => Command::Promote(command),
            What::Rollback(command) => Command::Rollback(command),
            What::SyncFile(command) => Command::SyncFile(command),
            What::SyncCommon(command) => Command::SyncCommon(command),
            What::Run(command) => Command::Run(command),
            What::Show(_) | What::Schema if output.is_some() || detailed => {
                return Err(Usage("-o and --detailed-exitcode are for plans that are made".to_owned()).into());
            }
            What::Show(show) => return show.run(seat),
            What::Schema => {
                seat.printer.raw(saved::schema().trim_end());
                return Ok(Exit::Done);
            }
        };
        make(seat, command, output.as_deref(), detailed)
    }
}

/// Runs `command` dry, and saves what it showed.
fn make(seat: &Seat, mut command: Command, output: Option<&Path>, detailed: bool) -> anyhow::Result<Exit> {
    if let Some(there) = output.filter(|file| file.symlink_metadata().is_ok()) {
        return Err(Usage(format!("{} is there already; name another file", there.display())).into());
    }
    let words = command.words().ok_or_else(|| Usage("this can't be planned".to_owned()))?;
    let kept = Kept::default();
    match &mut command {
        Command::Run(run) => run.only_show(kept.clone()),
        command => {
            let acting = command.acting().ok_or_else(|| Usage("this can't be planned".to_owned()))?;
            if acting.yes || acting.take_over {
                return Err(Usage("--yes and --take-over are for `pointsman apply`".to_owned()).into());
            }
            (acting.dry_run, acting.kept) = (true, Some(kept.clone()));
        }
    }
    let exit = command.run(seat)?;
    let shown = kept.take();
    if exit != Exit::Done {
        if output.is_some() {
            seat.printer.talk("nothing was saved: this plan can't be carried out as things are");
        }
        return Ok(exit);
    }
    if let Some(file) = output {
        let Some(basis) = shown.basis else {
            return Err(Usage("nothing was saved: this has no plan before it is done".to_owned()).into());
        };
        let planned = shown.planned.map(|mut planned| {
            if planned.line.is_empty() {
                planned.line.clone_from(&words);
            }
            planned
        });
        let (program, by, at) = (VERSION.to_owned(), who().to_owned(), clock::now());
        let saved = Saved { program, by, at, command: words, basis, playbook: shown.playbook, planned };
        save(seat, file, &PlanFile::new(saved))?;
    }
    Ok(if detailed && shown.changes { Exit::Changes } else { Exit::Done })
}

fn save(seat: &Seat, file: &Path, plan: &PlanFile) -> anyhow::Result<()> {
    whole::write_new(file, &plan.to_bytes())?;
    // In a directory that others can write, for instance.
    if let Err(why) = read(file) {
        seat.printer.talk(&format!("warning: as it lies there it will not be applied: {why}"));
    }
    let (name, digest) = (file.display(), plan.digest);
    if seat.json {
        let body = serde_json::json!({"file": name.to_string(), "digest": digest});
        seat.printer.event("saved", &body);
        return Ok(());
    }
    seat.printer.talk(&format!("saved as {name}, plan {digest}"));
    seat.printer.talk(&format!("  hint: pointsman apply {name} does it"));
    Ok(())
}

/// Reads a saved plan; nobody but root and the invoking user may be able to write it.
pub fn read(file: &Path) -> anyhow::Result<PlanFile> {
    let wrong = |why: &dyn std::fmt::Display| Usage(format!("{}: {why}", file.display()));
    let text = trust::read_at_most(file, Invoker::of_process(), PLAN_BYTES_MAX).map_err(|why| wrong(&why))?;
    Ok(PlanFile::read(text.as_bytes()).map_err(|why| wrong(&why))?)
}

impl Show {
    fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let file = read(&self.file)?;
        match seat.json {
            true => seat.printer.event("plan-file", &serde_json::to_value(&file)?),
            false => seat.printer.data(report::plan::file_text(&file).trim_end()),
        }
        Ok(Exit::Done)
    }
}
