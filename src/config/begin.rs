//! A first groups.yaml, out of what a site has already: dblists, wikiversions.json, a list of hosts.
//!
//! Invariant: what comes out is text for a person to read and change. It holds what was found and says in comments what
//! was concluded from it; the names in it passed their grammars, so that no name can add a key. Whether it is right is
//! for [`super::parse`] to say, which reads it like any other.

pub mod hosts;

use super::dblist::{Asked, Lists, Reader};
use super::diagnostic::{Diagnostics, Place, Sink};
use super::policy::Role;
use super::ranges;
use super::raw::ROLES;
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::words::count;
use hosts::{Hosts, Listed};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What was found of a site.
#[derive(Debug, Default)]
pub struct Found {
    /// Wikis of each dblist, by the file's name.
    pub dblists: BTreeMap<String, BTreeSet<Wiki>>,
    /// The directory of the dblists as it is to be written: `dblists`.
    pub directory: String,
    /// What wikiversions.json says.
    pub versions: BTreeMap<Wiki, Version>,
    /// The hosts.
    pub hosts: Hosts,
    /// Where the source trees are, as it is to be written.
    pub staging: String,
    /// Directories in staging that are no version trees.
    pub configuration: Vec<String>,
    /// A file for `ssh.config`; `None`: ssh's own.
    pub ssh_config: Option<PathBuf>,
}

/// The wikis of every `*.dblist` that `names` lists in `directory`.
///
/// # Errors
///
/// Mistakes in them, all at once.
pub fn dblists(
    directory: &Path,
    names: &[String],
    read: Reader<'_>,
) -> Result<BTreeMap<String, BTreeSet<Wiki>>, Diagnostics> {
    let mut sink = Sink::new(directory);
    let mut lists = Lists::new(read);
    let asked = Asked { file: directory, place: Place::default() };
    let found = names.iter().map(|name| Some((name.clone(), lists.file(&directory.join(name), asked, &mut sink)?)));
    let found: Option<BTreeMap<_, _>> = found.collect();
    sink.finish(found)
}

/// What wikiversions.json says: `{"enwiki": "php-1.27.0-wmf.10"}`.
///
/// # Errors
///
/// It is no such object, or has a name that is none.
pub fn wikiversions(file: &Path, text: &str) -> Result<BTreeMap<Wiki, Version>, Diagnostics> {
    let wrong = |message: String| Diagnostics::of_file(file, message, None);
    let read: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| wrong(format!("it is not an object of texts: {error}")))?;
    let entry = |(wiki, version): (String, String)| {
        let name: Wiki = wiki.parse().map_err(|why| wrong(format!("`{wiki}` is not a wiki: {why}")))?;
        let version = version.strip_prefix("php-").unwrap_or(&version);
        let version = version.parse().map_err(|why| wrong(format!("`{version}` of {wiki} is not a version: {why}")))?;
        Ok((name, version))
    };
    read.into_iter().map(entry).collect()
}

/// The text of groups.yaml.
pub fn text(found: &Found) -> String {
    let mut text = String::from(
        "# groups.yaml describes a site to pointsman: its wikis, the groups they are promoted in, and its hosts.\n\
         #\n\
         # Written by `pointsman init` out of what was there. Read it, change what it could not know, then:\n\
         #   pointsman config check    reads it and names every mistake with its line\n\
         #   pointsman doctor          tries this machine and every host\n\
         #   pointsman sync-common --from-staging -m 'first sync'\n\n",
    );
    for section in [directories(found), wikis(found), groups(found), fleet(found), pins(found), REST.to_owned()] {
        text += &section;
        text.push('\n');
    }
    if let Some(file) = &found.ssh_config {
        let file = quoted(&file.to_string_lossy());
        let _ = write!(text, "# The ssh configuration that the hosts came from.\nssh:\n  config: {file}\n");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

const REST: &str = "\
# What a site usually adds, each described in the documentation:
#
# hooks:                                    # commands of the site, as lists of arguments that no shell reads
#   build: [./maintenance/build-l10n]       # on a host, in a version's tree
#   restart: [/usr/local/sbin/restart-php]  # on a host, after a switch
#   depool: [/usr/local/bin/depool]         # here, for a host that is left behind
#   pool: [/usr/local/bin/pool]
#
# gates:                                    # what must be well before it goes on, see docs/gates.md
#   - name: pages
#     kind: probe
#     journeys:
#       - name: the main page
#         steps:
#           - {wiki: enwiki, path: /wiki/Main_Page, expect: {status: 200}}
#
# policy:                                   # who may do what, see docs/rights.md; left out: whoever can write the books
#   rules: [{members_of: [deployers], may: [promote, sync, pin, approve, force, override, take-over]}]
";

/// A text as YAML reads it back, whatever is in it: JSON's texts are YAML's, but for control characters that JSON lets stand.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let plain = |c: char| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(plain).collect()
}

fn directories(found: &Found) -> String {
    let mut text = format!(
        "# Where things are. `root` is what hosts serve from and `state` where the agent keeps its notes there, both the\n\
         # same on each host. `staging` has the source trees on this machine, one `php-<version>` a version; `books` is\n\
         # where pointsman keeps what it knows. With `signed: true` hosts take only what somebody signed, see docs/signed.md.\n\
         deploy:\n  root: /srv/mediawiki\n  state: /var/lib/pointsman\n  staging: {}\n  books: /srv/pointsman/books\n",
        quoted(&found.staging)
    );
    if !found.configuration.is_empty() {
        let names: Vec<String> = found.configuration.iter().map(|name| quoted(name)).collect();
        let _ = write!(
            text,
            "\n# Directories below staging, beside the version trees, that are brought to every host too.\n\
             configuration: [{}]\n",
            names.join(", ")
        );
    }
    text
}

/// The list that has every wiki: `all.dblist`, or any that holds all the others.
fn whole(found: &Found) -> Option<&str> {
    let all = |wikis: &BTreeSet<Wiki>| {
        found.dblists.values().all(|other| other.is_subset(wikis)) && found.versions.keys().all(|w| wikis.contains(w))
    };
    let named = found.dblists.get_key_value("all.dblist");
    let (name, _) = named.or_else(|| found.dblists.iter().find(|(_, wikis)| all(wikis)))?;
    Some(name)
}

fn path(found: &Found, list: &str) -> String {
    quoted(&Path::new(&found.directory).join(list).to_string_lossy())
}

fn wikis(found: &Found) -> String {
    if let Some(list) = whole(found) {
        return format!("# Every wiki there is.\nwikis: {{dblist: {}}}\n", path(found, list));
    }
    let all: BTreeSet<&Wiki> = found.dblists.values().flatten().chain(found.versions.keys()).collect();
    let mut text =
        "# Every wiki there is; a dblist would do as well: `wikis: {dblist: dblists/all.dblist}`.\nwikis:\n".to_owned();
    for wiki in all {
        let _ = writeln!(text, "  - {}", quoted(wiki.as_str()));
    }
    text
}

/// One group: its name, the key that has its wikis, and what that key says.
type Line = (String, String);

fn groups(found: &Found) -> String {
    let numbered: BTreeMap<u32, (&str, &BTreeSet<Wiki>)> = found
        .dblists
        .iter()
        .filter_map(|(file, wikis)| {
            let stem = file.strip_suffix(".dblist")?;
            let number = stem.strip_prefix("group")?.parse().ok()?;
            (format!("group{number}") == stem && !wikis.is_empty()).then_some((number, (file.as_str(), wikis)))
        })
        .collect();
    let mut lines: BTreeMap<u32, Line> = BTreeMap::new();
    for (number, (file, _)) in &numbered {
        lines.insert(*number, (format!("group{number}"), format!("dblist: {}", path(found, file))));
    }
    let mut comment = "# Groups, in the order in which they are promoted. Each wiki is in exactly one.\n".to_owned();
    match whole(found).map(|list| (list, &found.dblists[list])) {
        Some((list, all)) => {
            let named: BTreeSet<&Wiki> = numbered.values().flat_map(|(_, wikis)| wikis.iter()).collect();
            let left = all.iter().filter(|wiki| !named.contains(wiki)).count();
            if left > 0 {
                let free = (0..).find(|number| !numbered.contains_key(number)).unwrap_or_default();
                let less = numbered.values().map(|(file, _)| format!(" - {file}")).collect::<String>();
                let rest = match numbered.is_empty() {
                    true => format!("dblist: {}", path(found, list)),
                    // Lists of an expression lie beside each other.
                    false => format!("expression: {}", quoted(&format!("%% {list}{less}"))),
                };
                let _ = writeln!(
                    comment,
                    "# group{free} has the {} that no other list named group<N> has.",
                    count(left, "wiki")
                );
                lines.insert(free, (format!("group{free}"), rest));
            }
        }
        None if lines.is_empty() => {
            let all: BTreeSet<&Wiki> = found.dblists.values().flatten().chain(found.versions.keys()).collect();
            let names: Vec<String> = all.into_iter().map(|wiki| quoted(wiki.as_str())).collect();
            comment += "# Put a few that nobody misses for an hour into a group of their own, before the others.\n";
            lines.insert(0, ("group0".to_owned(), format!("wikis: [{}]", names.join(", "))));
        }
        None => {}
    }
    let lines = lines.into_values().map(|(name, wikis)| format!("  - name: {name}\n    {wikis}\n"));
    format!("{comment}groups:\n{}", lines.collect::<String>())
}

/// What hosts of one entry have in common.
type Kind = (BTreeSet<Role>, String, Option<String>, Option<u16>, Option<String>);

fn kind(name: &HostName, listed: &Listed) -> Kind {
    let roles = match listed.roles.is_empty() {
        true => BTreeSet::from([Role::Appserver]),
        false => listed.roles.clone(),
    };
    // `mw2020.codfw.wmnet` stands in codfw, as far as its name says.
    let labels: Vec<&str> = name.as_str().split('.').collect();
    let second = labels.get(1).filter(|label| labels.len() > 2 && label.parse::<Group>().is_ok());
    let datacenter = second.copied().unwrap_or("main").to_owned();
    (roles, datacenter, listed.user.clone(), listed.port, listed.address.clone())
}

fn fleet(found: &Found) -> String {
    let mut kinds: BTreeMap<Kind, Vec<HostName>> = BTreeMap::new();
    for (name, listed) in &found.hosts {
        kinds.entry(kind(name, listed)).or_default().push(name.clone());
    }
    let mut text = "\
# Hosts, by name or by range. Roles: debug and canary hosts are switched first, then appserver; deploy is where
# pointsman runs; other serves no wikis. Roles were concluded from names of groups, datacenters from names of hosts.
hosts:
"
    .to_owned();
    for ((roles, datacenter, user, port, address), names) in kinds {
        let roles: Vec<&str> = ROLES.iter().filter(|(_, role)| roles.contains(role)).map(|(name, _)| *name).collect();
        let mut common = format!("    roles: [{}]\n    datacenter: {}\n", roles.join(", "), quoted(&datacenter));
        let port = port.map(|port| port.to_string());
        for (key, value) in
            [("user", user.map(|user| quoted(&user))), ("port", port), ("address", address.map(|a| quoted(&a)))]
        {
            if let Some(value) = value {
                let _ = writeln!(common, "    {key}: {value}");
            }
        }
        let folded = crate::model::ranges::fold(&names);
        for range in ranges::split(&folded) {
            let _ = write!(text, "  - name: {}\n{common}", quoted(range));
        }
    }
    text
}

/// Versions that so few wikis are on look like pins.
const PINNED_WIKIS_MAX: usize = 5;

fn pins(found: &Found) -> String {
    let mut versions: BTreeMap<&Version, Vec<&Wiki>> = BTreeMap::new();
    for (wiki, version) in &found.versions {
        versions.entry(version).or_default().push(wiki);
    }
    let most = versions.values().map(Vec::len).max().unwrap_or_default();
    let few = |wikis: &Vec<&Wiki>| wikis.len() <= PINNED_WIKIS_MAX && wikis.len() < most;
    let few: Vec<_> = versions.iter().filter(|(_, wikis)| few(wikis)).collect();
    let mut text = "# Wikis and hosts that stay on a version whatever is promoted or rolled back.\n".to_owned();
    if !found.versions.is_empty() {
        let said: Vec<String> =
            versions.iter().map(|(v, wikis)| format!("{v} {}", count(wikis.len(), "wiki"))).collect();
        let _ = writeln!(text, "# wikiversions.json has: {}.", said.join(", "));
    }
    text +=
        if few.is_empty() { "# pins: []\n" } else { "# These few are alone on theirs; are they pinned?\n# pins:\n" };
    for (version, wikis) in few {
        for wiki in wikis {
            let _ = writeln!(text, "#   - {{wiki: {wiki}, version: \"{version}\", reason: WHY, owner: WHO}}");
        }
    }
    text
}

#[cfg(test)]
mod tests;
