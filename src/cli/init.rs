//! `init`: a first groups.yaml out of what is there.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::config::begin::hosts::Format;
use crate::config::begin::{self, Found};
use crate::config::diagnostic::{Diagnostics, Sink};
use crate::config::trust::{self, Invoker};
use crate::model::words::count;
use anyhow::Context;
use clap::Args;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Write a first groups.yaml out of dblists, wikiversions.json and a list of hosts
///
/// Looks here, or in the directory that -C names, for dblists/, wikiversions.json, version trees, and hosts.txt or an
/// inventory; options name them elsewhere. What is written has comments that say what was concluded. A groups.yaml that
/// is there already is left alone.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman init\n  pointsman init --inventory inventory.ini --staging /srv/mediawiki-staging\n  pointsman init --hosts hosts.txt --wikiversions wikiversions.json"
)]
pub struct Init {
    /// The directory of the dblists [default: dblists]
    #[arg(long, value_name = "DIR")]
    dblists: Option<PathBuf>,
    /// The map of wikis to versions [default: wikiversions.json]
    #[arg(long, value_name = "FILE")]
    wikiversions: Option<PathBuf>,
    /// A list of hosts, a name or a range a line [default: hosts.txt]
    #[arg(long, value_name = "FILE", group = "list")]
    hosts: Option<PathBuf>,
    /// An ssh configuration, whose `Host` names are taken; ssh is told to use it
    #[arg(long, value_name = "FILE", group = "list")]
    ssh_config: Option<PathBuf>,
    /// An Ansible inventory, INI or YAML; names of its groups say what hosts are for [default: inventory.{ini,yaml,yml}]
    #[arg(long, value_name = "FILE", group = "list")]
    inventory: Option<PathBuf>,
    /// The directory of the version trees [default: here when there are some, else /srv/mediawiki-staging]
    #[arg(long, value_name = "DIR")]
    staging: Option<PathBuf>,
}

impl Init {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let file = seat.site_to_be();
        let base = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        if file.symlink_metadata().is_ok() {
            return Err(Usage(format!(
                "{} is there already and was left alone; to begin anew, move it away",
                file.display()
            ))
            .into());
        }
        let found = self.look(seat, &base)?;
        let text = begin::text(&found);
        create(&file, &text).with_context(|| format!("failed to write {}", file.display()))?;
        seat.printer.talk(&format!("{} is written", file.display()));
        let policy = match crate::config::load(&file) {
            Ok(policy) => policy,
            Err(mistakes) => {
                seat.printer.talk("what was found does not fit together; mend it there, then: pointsman config check");
                return Err(mistakes.into());
            }
        };
        let groups: Vec<String> =
            policy.groups.iter().map(|g| format!("{} {}", g.name, count(g.wikis.len(), "wiki"))).collect();
        seat.printer.data(&format!("{}; {}", count(policy.hosts.len(), "host"), groups.join(", ")));
        seat.printer.talk("read it and change what it could not know, then: pointsman doctor");
        Ok(Exit::Done)
    }

    fn look(&self, seat: &Seat, base: &Path) -> anyhow::Result<Found> {
        let directory = self.dblists.clone().unwrap_or_else(|| "dblists".into());
        let mut found = Found { directory: directory.to_string_lossy().into_owned(), ..Found::default() };
        let names = names(&base.join(&directory), |name| name.ends_with(".dblist"));
        if self.dblists.is_some() && names.is_empty() {
            return Err(Usage(format!("there is no *.dblist in {}", directory.display())).into());
        }
        found.dblists = begin::dblists(&base.join(&directory), &names, &read)?;
        if let Some(file) = there(self.wikiversions.as_deref(), base, &["wikiversions.json"]) {
            let text = read(&file).map_err(|error| Diagnostics::unread(&file, error))?;
            found.versions = begin::wikiversions(&file, &text)?;
        }
        if found.dblists.is_empty() && found.versions.is_empty() {
            let words = "there are no wikis here: neither dblists/*.dblist nor wikiversions.json; name them with --dblists or --wikiversions";
            return Err(Usage(words.to_owned()).into());
        }
        self.look_for_hosts(seat, base, &mut found)?;
        let trees = !versions(base).is_empty();
        let staging = self.staging.clone().unwrap_or_else(|| if trees { "." } else { "/srv/mediawiki-staging" }.into());
        found.configuration = ["wmf-config"].map(str::to_owned).into_iter().collect();
        found.configuration.retain(|name| base.join(&staging).join(name).is_dir());
        found.staging = staging.to_string_lossy().into_owned();
        Ok(found)
    }

    fn look_for_hosts(&self, seat: &Seat, base: &Path, found: &mut Found) -> anyhow::Result<()> {
        let named = self.ssh_config.is_some() || self.hosts.is_some() || self.inventory.is_some();
        let inventories: &[&str] = if named { &[] } else { &["inventory.ini", "inventory.yaml", "inventory.yml"] };
        let lists: &[&str] = if named { &[] } else { &["hosts.txt"] };
        let list = if let Some(file) = &self.ssh_config {
            found.ssh_config = Some(std::path::absolute(base.join(file))?);
            Some((Format::Ssh, base.join(file)))
        } else if let Some(file) = there(self.inventory.as_deref(), base, inventories) {
            let yaml = file.extension().is_some_and(|end| end == "yaml" || end == "yml");
            Some((if yaml { Format::Yaml } else { Format::Ini }, file))
        } else {
            there(self.hosts.as_deref(), base, lists).map(|file| (Format::Plain, file))
        };
        let Some((format, file)) = list else {
            let words = "there is no list of hosts here: neither hosts.txt nor an inventory; name one with --hosts, --ssh-config or --inventory";
            return Err(Usage(words.to_owned()).into());
        };
        let text = read(&file).map_err(|error| Diagnostics::unread(&file, error))?;
        let mut sink = Sink::new(&file);
        let (hosts, passed) = begin::hosts::read(format, &text, &mut sink);
        found.hosts = sink.finish(Some(hosts))?;
        passed.iter().for_each(|what| seat.printer.talk(&format!("{}: passed over: {what}", file.display())));
        match found.hosts.is_empty() {
            true => Err(Usage(format!("{} names no host", file.display())).into()),
            false => Ok(()),
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    trust::read(path, Invoker::of_process())
}

/// The file that was named, else the first of the usual ones that is there.
fn there(named: Option<&Path>, base: &Path, usual: &[&str]) -> Option<PathBuf> {
    let usual = || usual.iter().map(|name| base.join(name)).find(|file| file.is_file());
    named.map(|file| base.join(file)).or_else(usual)
}

/// Names in a directory, sorted; none when there is no such directory.
fn names(directory: &Path, wanted: fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| wanted(name));
    names.sort();
    names
}

fn versions(directory: &Path) -> Vec<String> {
    names(directory, |name| {
        name.strip_prefix("php-").is_some_and(|v| v.parse::<crate::model::names::Version>().is_ok())
    })
}

/// Never over a file that came into being meanwhile.
fn create(file: &Path, text: &str) -> std::io::Result<()> {
    fs::File::create_new(file)?.write_all(text.as_bytes())
}
