//! `apply`: carries out a saved plan, or refuses.

use super::Command;
use super::dry;
use super::exit::Exit;
use super::plan::read;
use super::playbook;
use super::seat::Seat;
use super::usage::Usage;
use crate::config::policy::Policy;
use crate::drive::act::Order;
use crate::drive::clock;
use crate::drive::deploy::{Deploy, who};
use crate::drive::look::Look;
use crate::model::books::Books;
use crate::plan::changed::{self, Changed};
use crate::plan::facts;
use crate::plan::goal::{Mode, Site};
use crate::plan::saved::{Basis, Planned, Saved};
use crate::report;
use crate::store::Store;
use crate::ui::prompt;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

/// Carry out a plan that `plan ... -o FILE` saved: exactly that, or nothing
///
/// When anything that it was made from is another one now (a host's map or installation, the hosts in scope, pins, what the
/// books want or have done since, holds and blockers, groups.yaml and its dblists, the content in staging), it ends with
/// code 6 and says what, and nothing was changed. Otherwise the command runs as if it was typed: it takes the lock, makes
/// the plan again, proves hosts, and asks. What it did can't be done a second time.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman apply promote.plan\n  pointsman plan rollback -m '5xx' -o back.plan && pointsman apply back.plan --yes"
)]
pub struct Apply {
    /// The saved plan
    file: PathBuf,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Take the lock from whoever holds it
    #[arg(long)]
    take_over: bool,
}

impl Apply {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let file = read(&self.file)?;
        let not_ours = || Usage(format!("{}: its command is none that pointsman saves", self.file.display()));
        let mut command = playbook::command(&file.saved.command).map_err(|_| not_ours())?;
        if command.words().as_ref() != Some(&file.saved.command) {
            return Err(not_ours().into());
        }
        seat.printer.step(&format!("plan {}", file.digest));
        seat.printer.step(&format!("$ pointsman {}", report::plan::shown(&file.saved.command)));
        let saved = Rc::new(file.saved);
        match &mut command {
            Command::Run(run) => run.keep_to(saved, self.yes),
            command => {
                let acting = command.acting().ok_or_else(not_ours)?;
                (acting.saved, acting.yes, acting.take_over) = (Some(saved), self.yes, self.take_over);
            }
        }
        command.run(seat)
    }
}

/// Refuses when anything is another one than when the plan was saved; looks at books and hosts, and changes nothing.
pub fn unchanged(seat: &Seat, deploy: &Deploy, order: &Order<'_>, saved: &Saved) -> anyhow::Result<()> {
    let books = seat.read_books(&deploy.policy)?.load()?;
    let made = dry::planned(&deploy.policy, &books, order);
    let plan = changed::keep_to(saved, &Basis::of(&deploy.policy, &books), &books, made)?;
    let site = Site { policy: &deploy.policy, books: &books, now: clock::now(), by: who() };
    let follow = |planned: &Planned| facts::follow(site, &plan.goal, &order.overruled, &planned.facts);
    if !saved.planned.as_ref().is_some_and(follow) {
        return Err(Changed(vec!["what the file shows beside the plan does not follow from it".to_owned()]).into());
    }
    same_hosts(seat, deploy, saved)
}

/// The same of what plans are made from only, for a playbook, whose stages plan for themselves.
pub fn same_basis(seat: &Seat, policy: &Policy, books: &Books, saved: &Saved, forward: bool) -> anyhow::Result<()> {
    let lines = changed::basis(&saved.basis, &Basis::of(policy, books), books, forward);
    match lines.is_empty() {
        true => same_hosts(seat, &seat.deploy()?, saved),
        false => Err(Changed(lines).into()),
    }
}

/// Hosts that can't be reached are no change: a promotion stops at them by itself, and all else leaves them behind.
fn same_hosts(seat: &Seat, deploy: &Deploy, saved: &Saved) -> anyhow::Result<()> {
    let hosts = saved.planned.iter().flat_map(|planned| &planned.plan.hosts);
    let expected: BTreeMap<_, _> = hosts.filter_map(|(host, part)| Some((host.clone(), part.expect?))).collect();
    let limits = &deploy.policy.limits;
    let look = Look::new(&deploy.fleet, limits.contact_ms_max());
    let asked = expected.keys().map(|host| (host.clone(), Vec::new())).collect();
    let looked = seat.block_on(look.marked(&asked))?;
    let other = |(host, looked): (_, &crate::drive::look::Looked)| {
        changed::host(host, *expected.get(host)?, looked.as_ref().ok()?)
    };
    let lines: Vec<String> = looked.iter().filter_map(other).collect();
    match lines.is_empty() {
        true => Ok(()),
        false => Err(Changed(lines).into()),
    }
}

/// Whether a person agrees. A plan that goes forward asks by itself, when all hosts are proven.
pub fn agreed(seat: &Seat, saved: &Saved, yes: bool) -> anyhow::Result<bool> {
    let Some(planned) = saved.planned.as_ref().filter(|planned| planned.plan.goal.mode == Mode::Each) else {
        return Ok(true);
    };
    seat.printer.talk(report::plan::text(&planned.plan, Some(&planned.facts)).trim_end());
    asked(seat, yes)
}

/// Asks, unless the answer is yes already.
pub fn asked(seat: &Seat, yes: bool) -> anyhow::Result<bool> {
    let agreed = yes || prompt::confirm("Apply this plan?")?;
    if !agreed {
        seat.printer.talk("nothing was changed: not confirmed (--yes confirms beforehand)");
    }
    Ok(agreed)
}
