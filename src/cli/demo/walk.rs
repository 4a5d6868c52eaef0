//! Plays the story: types each command, runs it as this very program, and holds every expectation against the truth.
//!
//! Invariant: a command's output goes past this module unread; a scene that does not end as expected ends the walk
//! with code 1.

use crate::cli::exit::Exit;
use crate::cli::seat::Seat;
use crate::demo::accident;
use crate::demo::ask::{self, Said, Table};
use crate::demo::fleet;
use crate::demo::reinstall;
use crate::demo::site::Site;
use crate::demo::story::{FIX, REINSTALLED, STORY, Scene, UNLUCKY, typed};
use crate::demo::web::Ports;
use crate::model::map::VersionMap;
use crate::model::names::{HostName, Wiki};
use crate::model::words::count;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::task::JoinSet;

/// Wikis of each group that a table shows.
const SHOWN_PER_GROUP: usize = 1;
/// Wrong answers that are named.
const WRONG_NAMED_MAX: usize = 5;

/// What ends a walk early: somebody at the terminal, the system, or a terminal that is closed.
pub struct Signals([unix::Signal; 3]);

impl Signals {
    /// Listens from now on.
    pub fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen to signals");
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    /// Waits for one; how the demo ends then.
    async fn any(&mut self) -> Exit {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => Exit::Stopped,
            _ = terminate.recv() => Exit::Terminated,
            _ = hangup.recv() => Exit::Stopped,
        }
    }
}

/// A fleet that is made and served, and what the story needs of it.
pub struct Walk<'a> {
    /// The only way to say something.
    pub seat: &'a Seat,
    /// The site of the demo.
    pub site: &'a Site,
    /// This program.
    pub program: &'a Path,
    /// Where hosts are asked.
    pub ports: &'a Ports,
}

/// How a child was left.
enum Left {
    /// It ended by itself.
    Ended(ExitStatus),
    /// A signal came before.
    Stopped(Exit),
}

impl Walk<'_> {
    /// Plays all scenes.
    ///
    /// # Errors
    ///
    /// A scene did not end as it must.
    pub async fn play(&self, signals: &mut Signals) -> anyhow::Result<Exit> {
        // Accidents that are still to happen end with the walk.
        let mut accidents = JoinSet::new();
        for &scene in STORY {
            let stopped = match scene {
                Scene::Accident => {
                    accidents.spawn(self.accident());
                    None
                }
                Scene::Type(arguments, code) => self.type_in(arguments, code, signals).await?,
                other => tokio::select! {
                    biased;
                    exit = signals.any() => Some(exit),
                    shown = self.show(other) => shown.map(|()| None)?,
                },
            };
            if let Some(exit) = stopped {
                self.seat.printer.talk("stopped");
                return Ok(exit);
            }
        }
        Ok(Exit::Done)
    }

    async fn show(&self, scene: Scene) -> anyhow::Result<()> {
        // A signal that came while something blocked is seen before more is begun.
        tokio::task::yield_now().await;
        match scene {
            Scene::Say(text) => self.say(&format!("\n{text}")),
            Scene::Ask(ahead, version) => {
                let expected = fleet::serves(self.site, ahead, version);
                self.ask(&expected, &ask::sample(&self.site.policy, SHOWN_PER_GROUP), true).await?;
            }
            Scene::AskAll(ahead, version) => {
                let expected = fleet::serves(self.site, ahead, version);
                self.ask(&expected, &ask::sample(&self.site.policy, SHOWN_PER_GROUP), true).await?;
                let all: Vec<Wiki> = expected.0.keys().cloned().collect();
                self.ask(&expected, &all, false).await?;
            }
            Scene::Reinstall => self.reinstall()?,
            Scene::Accident | Scene::Type(..) => {}
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        self.seat.printer.data(text);
    }

    /// Types a command and runs it; says how the demo ends if a signal stopped it.
    async fn type_in(&self, arguments: &[&str], code: u8, signals: &mut Signals) -> anyhow::Result<Option<Exit>> {
        self.say(&format!("\n$ pointsman {}", typed(arguments)));
        let mut child = self.command(arguments)?.spawn().context("failed to start this program")?;
        let status = match finish(&mut child, signals).await? {
            Left::Ended(status) => status,
            Left::Stopped(exit) => return Ok(Some(exit)),
        };
        match status.code() {
            Some(ended) if ended == i32::from(code) => self.say(&format!("(code {code})")),
            Some(ended) => bail!("`pointsman {}` ended with code {ended} instead of {code}", typed(arguments)),
            None => bail!("`pointsman {}` was killed: {status}", typed(arguments)),
        }
        Ok(None)
    }

    /// All that a command says goes where this one's walk goes, so that it stays in order.
    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let talk = std::io::stdout().as_fd().try_clone_to_owned().context("failed to share the output")?;
        let mut command = Command::new(self.program);
        command.arg("-C").arg(&self.site.directory).args(arguments);
        command.stdin(Stdio::null()).stderr(Stdio::from(talk));
        Ok(command)
    }

    /// Asks every host for these wikis; `table` shows who says what, otherwise pages are counted.
    async fn ask(&self, expected: &VersionMap, wikis: &[Wiki], table: bool) -> anyhow::Result<()> {
        let answers = ask::ask(self.ports, wikis).await.context("failed to make an HTTP client")?;
        let hosts = count(answers.rows.len(), "host");
        match table {
            true => self.say(&format!("\n{hosts}, asked over HTTP:\n{}", answers.to_string().trim_end())),
            false => self.say(&format!(
                "{hosts}, asked over HTTP for all {}: {}",
                count(wikis.len(), "wiki"),
                pages(&answers)
            )),
        }
        let wrong: Vec<String> =
            answers.unlike(expected).map(|(host, wiki, said)| format!("{host} says {said} for {wiki}")).collect();
        match wrong.len() {
            0 => Ok(()),
            n => bail!("{} not as expected: {}", count(n, "page"), wrong[..n.min(WRONG_NAMED_MAX)].join(", ")),
        }
    }

    /// What will happen to [`UNLUCKY`]; should it fail, the scenes that follow do not come out.
    fn accident(&self) -> impl Future<Output = crate::demo::error::Result<()>> + use<> {
        let host: HostName = UNLUCKY.parse().expect("it follows the grammar");
        let place =
            self.site.hosts().get(&host).map(|directory| (self.site.root(directory), self.site.state(directory)));
        let (root, state) = place.unwrap_or_default();
        accident::lose_localisation(root, state, FIX.parse().expect("it follows the grammar"))
    }

    fn reinstall(&self) -> anyhow::Result<()> {
        let host = REINSTALLED.parse().expect("it follows the grammar");
        let built = reinstall::reinstall(self.site, &host).map_err(super::error)?;
        let built: Vec<String> = built.iter().map(ToString::to_string).collect();
        self.say(&format!("\n* {host} was reinstalled; localisation was built there for {}", built.join(" and ")));
        Ok(())
    }
}

/// Waits for a child's end; a signal is passed on to it, and its end awaited all the same.
async fn finish(child: &mut Child, signals: &mut Signals) -> anyhow::Result<Left> {
    let exit = tokio::select! {
        status = child.wait() => return status.map(Left::Ended).context("failed to wait for this program"),
        exit = signals.any() => exit,
    };
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(pid) = pid {
        // It may have heard of it from the terminal and have ended already.
        let _ = kill_process(pid, Signal::TERM);
    }
    child.wait().await.context("failed to wait for this program")?;
    Ok(Left::Stopped(exit))
}

/// `10704 pages of 1.27.0-wmf.10, 24 pages of 1.27.0-wmf.9`.
fn pages(table: &Table) -> String {
    let say = |(said, n): (Said, usize)| format!("{} of {said}", count(n, "page"));
    table.counts().into_iter().map(say).collect::<Vec<String>>().join(", ")
}
