//! A program over items or hosts, so many at the same time, until a budget is used up.
//!
//! Invariant: what is through is handed over before more is begun, so that after a crash at most what was under way is
//! done again. Programs run on the deploy host with an environment of their own, or on hosts as plugins do: no shell.

use super::deploy::Deploy;
use super::hook;
use super::signals::{Signalled, Signals};
use super::world::FleetWorld;
use crate::config::playbook::spec::Run;
use crate::fleet::Install;
use crate::model::names::HostName;
use crate::model::question::{Answer, Question};
use crate::signal::World;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Through {
    /// It succeeded.
    Done,
    /// It failed, in words.
    Failed(String),
    /// Its host was not reached, in words.
    Unreachable(String),
}

/// Why no further item was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// `on_through` said so.
    Told,
    /// A signal.
    Signal(Signalled),
}

/// Runs every item. `on_through` is given what has ended and says whether more may begin; what is under way is
/// waited for in any case.
pub async fn run<E>(
    deploy: &Deploy,
    run: &Run,
    items: &[String],
    mut on_through: impl FnMut(BTreeMap<String, Through>) -> Result<bool, E>,
) -> Result<Result<Option<Stop>, E>, std::io::Error> {
    let mut signals = Signals::new()?;
    let world = Rc::new(FleetWorld::new(&deploy.fleet, &deploy.policy, Install::IfMissing));
    let mut waiting = items.iter();
    let mut tasks = JoinSet::new();
    let mut stop = None;
    loop {
        while stop.is_none() && tasks.len() < run.parallel {
            let Some(item) = waiting.next() else { break };
            tasks.spawn_local(one(run.clone(), item.clone(), Rc::clone(&world)));
        }
        let first = tokio::select! {
            done = tasks.join_next() => match done {
                Some(done) => done,
                None => break,
            },
            by = signals.next(), if stop.is_none() => {
                stop = Some(Stop::Signal(by));
                continue;
            }
        };
        let mut through = BTreeMap::new();
        through.extend(first.ok());
        while let Some(more) = tasks.try_join_next() {
            through.extend(more.ok());
        }
        match on_through(through) {
            Ok(true) => {}
            Ok(false) => stop = stop.or(Some(Stop::Told)),
            Err(error) => return Ok(Err(error)),
        }
    }
    world.close().await;
    Ok(Ok(stop))
}

async fn one(run: Run, item: String, world: Rc<FleetWorld>) -> (String, Through) {
    let argv: Vec<String> =
        run.argv.iter().map(|word| if word == "$item" { item.clone() } else { word.clone() }).collect();
    let through = match run.on_hosts {
        true => on_host(argv, &item, run.deadline_ms, &world).await,
        false => match hook::run_with(&argv, ("POINTSMAN_ITEM", &item), run.deadline_ms).await {
            Ok(()) => Through::Done,
            Err(why) => Through::Failed(why),
        },
    };
    (item, through)
}

async fn on_host(argv: Vec<String>, host: &str, deadline_ms: u64, world: &FleetWorld) -> Through {
    let Ok(name) = host.parse::<HostName>() else { return Through::Failed("it is not a host".to_owned()) };
    let question = Question::Plugin { argv, deadline_ms };
    // The agent ends the program at its deadline; its answer is given a little longer.
    let within = Duration::from_millis(deadline_ms.saturating_add(10_000));
    match world.ask(&name, question, within).await {
        Ok(Answer::Plugin(said)) if said.code == Some(0) => Through::Done,
        Ok(Answer::Plugin(said)) => {
            let code = said.code.map_or_else(|| "ended without a code".to_owned(), |code| format!("ended with {code}"));
            Through::Failed(format!("{code}: {}", said.output.trim()))
        }
        Ok(Answer::Failed(why)) => Through::Failed(why),
        Ok(_) => Through::Failed("another answer than was asked for".to_owned()),
        Err(fault) => Through::Unreachable(fault.to_string()),
    }
}
