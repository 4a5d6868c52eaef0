//! `demo`: the incident, on an embedded fleet; `demo down` ends a kept one, the hidden `demo-web` is its web tier.

mod walk;

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::demo::error::DemoError;
use crate::demo::kept::{self, Ended, Kept};
use crate::demo::site::{self, Site};
use crate::demo::story::typed;
use crate::demo::{down, fleet};
use crate::model::words::count;
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use walk::{Signals, Walk};

/// Walk through the incident on an embedded fleet of a dozen local hosts
///
/// Makes a fleet in .demo/ beside groups.yaml, each host with a small web tier that serves from its own trees, and
/// shows with true output what happened in January 2016 and what happens here: every command that is shown is run, and
/// what hosts serve is asked over HTTP. Everything made is removed at the end. Code 1 when anything shown is not as it
/// should be.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  pointsman demo\n  pointsman demo --keep\n  pointsman demo down"
)]
pub struct Demo {
    #[command(flatten)]
    place: Place,
    /// Leave the fleet and its web tier running, to play with
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    command: Option<Also>,
}

#[derive(Subcommand)]
enum Also {
    Down(Down),
}

/// End a demo that was kept, and remove .demo/
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman demo down\n  pointsman demo down --dir /tmp/demo")]
struct Down {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Place {
    /// Where [default: here where a groups.yaml lies, else pointsman-demo below]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The web tier of a demo; started by it
#[derive(Args)]
pub struct DemoWeb {
    /// Where
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Place {
    fn directory(&self) -> anyhow::Result<PathBuf> {
        let here = std::env::current_dir().context("failed to find the current directory")?;
        Ok(site::place(self.dir.as_deref(), &here))
    }

    /// The option as it would be typed, with a space before it; empty when it was not named.
    fn option(&self) -> String {
        self.dir.as_deref().map_or_else(String::new, |dir| format!(" {}", typed(&["--dir", &dir.to_string_lossy()])))
    }
}

impl Demo {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if seat.json {
            return Err(Usage("demo is for people and has no --json".to_owned()).into());
        }
        if let Some(Also::Down(down)) = self.command {
            return down.run(seat);
        }
        let directory = self.place.directory()?;
        let found = directory.join(crate::config::FILE_NAME).exists();
        let site = site::prepare(&directory).map_err(error)?;
        self.refuse_another(&site)?;
        let kept = seat.block_on(self.walk(seat, &site))?;
        if self.keep && matches!(kept, Ok(Exit::Done)) {
            return kept;
        }
        let gone = remove(&site).and_then(|()| if found { Ok(()) } else { site::forget(&directory) });
        match gone {
            Ok(()) => seat.printer.talk("everything that the demo made was removed"),
            Err(error) => {
                seat.printer.talk(&format!("{error}; pointsman demo down{} tries again", self.place.option()))
            }
        }
        kept
    }

    fn refuse_another(&self, site: &Site) -> anyhow::Result<()> {
        let home = site.home();
        if home.symlink_metadata().is_err() {
            return Ok(());
        }
        let web = match kept::read(site) {
            Ok(Some(kept)) => format!("its web tier has pid {}", kept.pid),
            _ => "it has no web tier".to_owned(),
        };
        Err(Usage(format!(
            "there is a demo already in {} ({web}); pointsman demo down{} ends and removes it",
            home.display(),
            self.place.option()
        ))
        .into())
    }

    /// Makes the fleet and plays the story on it; with `keep`, says where it is to be found then.
    async fn walk(&self, seat: &Seat, site: &Site) -> anyhow::Result<Exit> {
        let say = |text: &str| seat.printer.data(text);
        let mut signals = Signals::new()?;
        let program = std::env::current_exe().context("failed to find this program")?;
        say(&format!("Making a fleet in {} ...", site.home().display()));
        let made = fleet::create(site).map_err(error)?;
        say(&format!(
            "{} as directories of this machine, and {} of {} in staging.",
            count(made.hosts, "host"),
            count(made.versions.len(), "version"),
            count(made.files, "file")
        ));
        let web = kept::start(&program, site).await.map_err(error)?;
        say(&format!(
            "{} on 127.0.0.1, one a host, serve what lies on their host.",
            count(web.ports.len(), "web server")
        ));
        let walk = Walk { seat, site, program: &program, ports: &web.ports };
        let exit = walk.play(&mut signals).await?;
        if self.keep && exit == Exit::Done {
            self.say_kept(seat, site, &web);
        }
        Ok(exit)
    }

    fn say_kept(&self, seat: &Seat, site: &Site, web: &Kept) {
        let mut lines = vec!["The fleet and its web servers stay:".to_owned()];
        for (host, port) in &web.ports {
            lines.push(format!("  {host}  http://127.0.0.1:{port}/"));
        }
        if let Some(port) = web.ports.values().next() {
            lines.push(format!("Ask one:    curl -i -H 'Host: enwiki' http://127.0.0.1:{port}/"));
        }
        let site = site.directory.to_string_lossy();
        lines.push(format!("Play:       pointsman {}", typed(&["-C", &site, "status"])));
        lines.push(format!("End it:     pointsman demo down{}", self.place.option()));
        seat.printer.data(&lines.join("\n"));
    }
}

fn remove(site: &Site) -> crate::demo::error::Result<()> {
    down::down(site).map(drop)
}

impl Down {
    fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let directory = self.place.directory()?;
        if !is_there(&directory) {
            seat.printer.talk(&format!("there is no demo in {}", directory.display()));
            return Ok(Exit::Done);
        }
        let site = site::open(&directory).map_err(error)?;
        let gone = down::down(&site).map_err(error)?;
        let web = match gone.web {
            Ended::None => "there was no web tier",
            Ended::Gone => "its web tier had ended before",
            Ended::Asked => "its web tier was ended",
            Ended::Killed => "its web tier did not end when asked to, and was killed",
        };
        seat.printer.talk(&match gone.removed {
            true => format!("{} was removed; {web}", site.home().display()),
            false => format!("there is no demo in {}", site.directory.display()),
        });
        Ok(Exit::Done)
    }
}

fn is_there(directory: &Path) -> bool {
    directory.join(crate::config::FILE_NAME).exists()
}

impl DemoWeb {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let site = site::open(&self.dir).map_err(error)?;
        seat.block_on(async { kept::run(&site, &mut std::io::stdout()).await.map_err(error) })??;
        Ok(Exit::Done)
    }
}

/// Gives an error of the demo the code that it deserves.
fn error(error: DemoError) -> anyhow::Error {
    match error {
        DemoError::Config(diagnostics) => diagnostics.into(),
        error @ (DemoError::NotADemo { .. } | DemoError::Exists(_) | DemoError::Foreign(_)) => {
            Usage(error.to_string()).into()
        }
        error => error.into(),
    }
}
