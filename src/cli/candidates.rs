//! What a shell may offer for an argument, out of the site as it is now: its groups, hosts, versions, recorded states.
//!
//! Invariant: nothing is said and nothing is changed. Where groups.yaml or the books can't be read there are no candidates, since a
//! person in the middle of a line can't do anything about it.

use super::Cli;
use crate::config::policy::Policy;
use crate::drive::staging;
use crate::model::books::Books;
use crate::report::escape::Untrusted;
use crate::store::{Store, keeper};
use clap::builder::Resettable;
use clap::{Arg, Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

/// The variable of the environment by which a shell asks for candidates.
pub const VARIABLE: &str = "POINTSMAN_COMPLETE";

/// Names with a word about each.
type Names = Vec<(String, String)>;

/// What stands in an argument.
type Source = fn(&Policy, Option<&Books>) -> Names;

/// Arguments that name something of the site, by command; those of clap's own kinds need no entry.
const OFFERED: [(&str, &str, Source); 33] = [
    ("promote", "group", groups),
    ("promote", "version", versions),
    ("rollback", "group", groups),
    ("rollback", "to", snapshots),
    ("check", "versions", versions),
    ("check", "hosts", hosts),
    ("canary", "hosts", hosts),
    ("canary", "gates", gates),
    ("converge", "hosts", hosts),
    ("sync-common", "hosts", hosts),
    ("sync-file", "hosts", hosts),
    ("gc", "hosts", hosts),
    ("pin", "subject", hosts_and_wikis),
    ("pin", "version", versions),
    ("unpin", "subject", pinned),
    ("depool", "hosts", hosts),
    ("pool", "hosts", hosts),
    ("hosts trust", "host", hosts),
    ("hosts adopt", "hosts", hosts),
    ("agent install", "hosts", hosts),
    ("watch", "rollout", rollouts),
    ("show", "id", rollouts),
    ("report", "id", rollouts),
    ("history export", "id", rollouts),
    ("undo", "sync", rollouts),
    ("approve", "what", rollouts),
    ("deny", "what", rollouts),
    ("gate suggest", "name", gates),
    ("blocker add", "version", versions),
    ("run", "playbook", playbooks),
    ("resume", "id", playbook_runs),
    ("abort", "id", playbook_runs),
    ("sign", "components", components),
];

/// Answers a shell that asks for candidates, and ends the process then; does nothing otherwise.
pub fn answer() {
    CompleteEnv::with_factory(|| offering(Cli::command(), "")).var(VARIABLE).complete();
}

/// The command with what may be offered; `path` is where it stands: `gate suggest`. What is planned takes the same arguments.
fn offering(command: Command, path: &str) -> Command {
    let itself = path.strip_prefix("plan ").unwrap_or(path);
    let offered = |argument: Arg| {
        let found = OFFERED.iter().find(|(at, name, _)| *at == itself && argument.get_id() == *name);
        match found {
            // This is no parser of the line: that a list is one word there matters only for what follows its last comma.
            Some((_, "hosts", source)) => {
                argument.value_delimiter(',').add(ArgValueCandidates::new(|| candidates(*source)))
            }
            Some((_, _, source)) => argument.add(ArgValueCandidates::new(|| candidates(*source))),
            None => argument,
        }
    };
    // Of a command's names a shell is given the first by the alphabet, so the second one of this waits until somebody types it.
    let command = match path {
        "rollback" => command.visible_alias(Resettable::Reset).alias("revert"),
        _ => command,
    };
    command.mut_args(offered).mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        offering(below, path.trim_start())
    })
}

fn candidates(source: Source) -> Vec<CompletionCandidate> {
    let found = crate::config::find(site(std::env::args_os()).as_deref()).and_then(|file| crate::config::load(&file));
    let Ok(policy) = found else { return Vec::new() };
    let books = keeper::open_read_only(&policy).and_then(|store| store.load()).ok();
    let candidate = |(name, help): (String, String)| {
        let help = (!help.is_empty()).then(|| Untrusted(&help).to_string().into());
        CompletionCandidate::new(name).help(help)
    };
    source(&policy, books.as_ref()).into_iter().map(candidate).collect()
}

/// What `-C` says in the line that is being typed.
fn site(mut words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    while let Some(word) = words.next() {
        if word == "-C" || word == "--site" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--site=")) {
            return Some(path.into());
        }
    }
    None
}

/// Names that need no word.
fn plain(names: impl IntoIterator<Item = impl ToString>) -> Names {
    names.into_iter().map(|name| (name.to_string(), String::new())).collect()
}

fn groups(policy: &Policy, _: Option<&Books>) -> Names {
    let words = |n| crate::model::words::count(n, "wiki");
    policy.groups.iter().map(|group| (group.name.to_string(), words(group.wikis.len()))).collect()
}

fn hosts(policy: &Policy, _: Option<&Books>) -> Names {
    policy.hosts.iter().map(|(name, host)| (name.to_string(), host.datacenter.clone())).collect()
}

fn hosts_and_wikis(policy: &Policy, books: Option<&Books>) -> Names {
    let wikis = policy.groups.iter().flat_map(|group| &group.wikis);
    hosts(policy, books).into_iter().chain(plain(wikis)).collect()
}

fn pinned(_: &Policy, books: Option<&Books>) -> Names {
    let pins = books.and_then(Books::wanted).map(|wanted| &wanted.pins);
    let names = |pins: &crate::model::books::Pins| {
        let hosts = pins.hosts.iter().map(|(name, pin)| (name.to_string(), pin.reason.clone()));
        hosts.chain(pins.wikis.iter().map(|(name, pin)| (name.to_string(), pin.reason.clone()))).collect()
    };
    pins.map(names).unwrap_or_default()
}

fn gates(policy: &Policy, _: Option<&Books>) -> Names {
    policy.gates.iter().map(|gate| (gate.name.to_string(), gate.kind.name().to_owned())).collect()
}

/// Versions that wikis run, and those that staging has.
fn versions(policy: &Policy, books: Option<&Books>) -> Names {
    let run = books.and_then(Books::wanted).into_iter().flat_map(|wanted| wanted.map.0.values().cloned());
    let staged = staging::versions(policy).unwrap_or_default();
    plain(run.chain(staged).collect::<BTreeSet<_>>())
}

/// What staging has, and what the books want.
fn components(policy: &Policy, books: Option<&Books>) -> Names {
    let wanted = books.and_then(Books::wanted).into_iter().flat_map(|wanted| wanted.wanted.keys().cloned());
    let staged = staging::components(policy).unwrap_or_default();
    plain(wanted.chain(staged).collect::<BTreeSet<_>>())
}

fn snapshots(_: &Policy, books: Option<&Books>) -> Names {
    let all = books.into_iter().flat_map(|books| books.snapshots.keys().rev());
    plain(all)
}

fn rollouts(_: &Policy, books: Option<&Books>) -> Names {
    let all = books.into_iter().flat_map(|books| books.rollouts.values().rev());
    all.map(|rollout| (rollout.id.to_string(), rollout.why.clone())).collect()
}

fn playbook_runs(_: &Policy, books: Option<&Books>) -> Names {
    plain(books.into_iter().flat_map(|books| books.playbooks.keys().rev()))
}

/// The files in playbooks/ beside groups.yaml, by the names that `run` knows.
fn playbooks(policy: &Policy, _: Option<&Books>) -> Names {
    let directory = policy.file.with_file_name("playbooks");
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let yaml = files.filter(|file| file.extension().is_some_and(|end| end == "yaml"));
    plain(yaml.filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect::<BTreeSet<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every argument of every command: `gate suggest` and `name`.
    fn arguments(command: &Command, path: &str) -> Vec<(String, String)> {
        let own = command.get_arguments().map(|argument| (path.to_owned(), argument.get_id().to_string()));
        let below = command.get_subcommands().flat_map(|below| {
            let path = format!("{path} {}", below.get_name());
            arguments(below, path.trim_start())
        });
        own.chain(below).collect()
    }

    #[test]
    fn every_argument_that_is_offered_something_is_there() {
        let arguments = arguments(&Cli::command(), "");
        for (at, name, _) in OFFERED {
            assert!(arguments.contains(&(at.to_owned(), name.to_owned())), "{at}: {name}");
        }
        // And none that names hosts, groups, versions or components was forgotten.
        for (at, name) in &arguments {
            let names = ["group", "version", "versions", "hosts", "host", "components"].contains(&name.as_str());
            let itself = at.strip_prefix("plan ").unwrap_or(at);
            let offered = OFFERED.iter().any(|(command, argument, _)| *command == itself && argument == name);
            assert!(!names || offered || at == "init" || at == "simulate", "{at}: {name}");
        }
    }

    #[test]
    fn the_site_is_the_one_of_the_line() {
        let site = |line: &str| site(line.split(' ').map(OsString::from));
        assert_eq!(site("pointsman -- pointsman -C /a promote"), Some("/a".into()));
        assert_eq!(site("pointsman -- pointsman promote --site=/b"), Some("/b".into()));
        assert_eq!(site("pointsman -- pointsman promote --site /c g"), Some("/c".into()));
        assert_eq!(site("pointsman -- pointsman promote -C"), None);
    }
}
