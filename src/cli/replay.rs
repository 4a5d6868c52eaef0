//! `replay`: an incident once more, with pointsman.

use super::exit::Exit;
use super::run::variable;
use super::seat::Seat;
use super::usage::Usage;
use super::whole;
use crate::config::diagnostic::did_you_mean;
use crate::config::incident;
use crate::config::incident::spec::{Chapter, Incident};
use crate::config::playbook;
use crate::replay::{columns, page, play};
use clap::Args;
use std::path::PathBuf;

/// Replay an incident: what happened, and what pointsman would have done, when, and why
///
/// The file tells the fleet, what people did, what befell hosts and what could be measured. The same code as in production
/// decides in virtual time, over hosts in memory: nothing is contacted and nothing is changed. See docs/replay.md.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman replay incidents/2016-01-23.yaml\n  pointsman replay incidents/2016-01-23.yaml --chapter night --html night.html\n  pointsman replay incidents/2016-01-23.yaml --policy groups.yaml"
)]
pub struct Replay {
    /// The incident
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// With the gates, the soak and the limits of this groups.yaml instead of the incident's own: what if
    #[arg(long, value_name = "GROUPS.YAML")]
    policy: Option<PathBuf>,
    /// Run this playbook in the place of the people's promotions
    #[arg(long, value_name = "FILE")]
    playbook: Option<PathBuf>,
    /// A variable of the playbook
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable, requires = "playbook")]
    vars: Vec<(String, String)>,
    /// Only this chapter
    #[arg(long, value_name = "NAME")]
    chapter: Option<String>,
    /// Write one page for a browser too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Replay {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let incident = incident::load(&self.file, self.policy.as_deref())?;
        let chapters = chapters(&incident, self.chapter.as_deref())?;
        let given = self.vars.iter().cloned().collect();
        let read = |file| playbook::load(file, &incident.site, &given).map(|(playbook, _)| playbook);
        let playbook = self.playbook.as_deref().map(read).transpose()?;
        let played = play(&incident, &chapters, playbook.as_ref())?;
        if let Some(file) = &self.html {
            whole::write(file, page::html(&played).as_bytes())?;
        }
        match seat.json {
            true => seat.printer.data(&page::json(&played).to_string()),
            false => seat.printer.data(columns::text(&played, crate::ui::width()).trim_end()),
        }
        Ok(Exit::Done)
    }
}

/// The chapter of this name, else all.
pub fn chapters(incident: &Incident, name: Option<&str>) -> Result<Vec<Chapter>, Usage> {
    let Some(name) = name else { return Ok(incident.chapters.clone()) };
    let found: Vec<Chapter> = incident.chapters.iter().filter(|chapter| chapter.name == name).cloned().collect();
    let names = || incident.chapters.iter().map(|chapter| chapter.name.as_str());
    match found.is_empty() {
        false => Ok(found),
        true => {
            let hint = did_you_mean(name, names()).map(|hint| format!("; {hint}")).unwrap_or_default();
            let names = names().collect::<Vec<_>>().join(", ");
            Err(Usage(format!("{} has no chapter {name} (chapters: {names}){hint}", incident.name)))
        }
    }
}
