//! Which share and which kinds of traffic each group and each canary host carries, and what only the last group meets.
//!
//! In a public incident logins and the app came with the last group: nothing before it could show that they broke. So what
//! is first met there is named.
//!
//! Invariant: pure, and bounded: what is counted is by group, by canary host and by kinds from closed lists, whatever a log
//! says.

use super::access::{self, Request};
use super::table::{Side, lines};
use crate::config::policy::{Policy, Role};
use crate::model::names::{HostName, Wiki};
use crate::model::words::count;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A kind of traffic is met by the groups before the last when they have at least this part of it.
const MET_PART: f64 = 0.01;

/// What is counted.
#[derive(Debug)]
pub struct Coverage {
    groups: Vec<(String, Met)>,
    canaries: BTreeMap<HostName, Met>,
    wikis: BTreeMap<Wiki, usize>,
    requests: u64,
    /// Requests for sites that are no wiki of the policy.
    elsewhere: u64,
    broken: u64,
    first_broken: Option<String>,
}

/// What a group or a host meets.
#[derive(Debug, Default)]
struct Met {
    requests: u64,
    kinds: BTreeMap<&'static str, u64>,
    wikis: BTreeSet<Wiki>,
    wikis_in_all: usize,
}

impl Coverage {
    /// Of these groups, in the order of promotion, and of canary and debug hosts.
    pub fn new(policy: &Policy) -> Self {
        let met = |wikis: usize| Met { wikis_in_all: wikis, ..Met::default() };
        let wikis = policy.groups.iter().enumerate();
        let wikis = wikis.flat_map(|(n, group)| group.wikis.iter().map(move |wiki| (wiki.clone(), n))).collect();
        let canaries = policy.hosts.iter().filter(|(_, host)| early(&host.roles));
        let all = policy.groups.iter().map(|group| group.wikis.len()).sum();
        Self {
            groups: policy.groups.iter().map(|group| (group.name.to_string(), met(group.wikis.len()))).collect(),
            canaries: canaries.map(|(host, _)| (host.clone(), met(all))).collect(),
            wikis,
            requests: 0,
            elsewhere: 0,
            broken: 0,
            first_broken: None,
        }
    }

    /// Counts a line; `server`: whose log it is, where that is known; `place`: `FILE:LINE`, for the first that is broken.
    pub fn add(&mut self, line: &str, server: Option<&HostName>, place: impl FnOnce() -> String) {
        let Some(request) = access::parse(line) else {
            self.broken += 1;
            self.first_broken.get_or_insert_with(place);
            return;
        };
        self.requests += 1;
        let Some((wiki, group)) = self.wiki(&request) else {
            self.elsewhere += 1;
            return;
        };
        let kinds = kinds(&request, &wiki);
        let server = request.server.as_deref().and_then(|name| name.parse().ok()).or(server.cloned());
        let canary = server.and_then(|host: HostName| self.canaries.get_mut(&host));
        for met in [self.groups.get_mut(group).map(|(_, met)| met), canary].into_iter().flatten() {
            met.requests += 1;
            kinds.iter().for_each(|kind| *met.kinds.entry(kind).or_default() += 1);
            met.wikis.insert(wiki.clone());
        }
    }

    fn wiki(&self, request: &Request) -> Option<(Wiki, usize)> {
        let named = request.wiki.clone().into_iter().chain(wikis_of(&request.site));
        let wikis = named.filter_map(|name| name.parse::<Wiki>().ok());
        wikis.filter_map(|wiki| self.wikis.get(&wiki).map(|group| (wiki, *group))).next()
    }

    fn counted(&self) -> u64 {
        self.requests - self.elsewhere
    }

    /// Kinds of which the groups before the last have less than [`MET_PART`]: the kind, how many requests the last group has
    /// of it, and how many all before it have.
    fn first_met_last(&self) -> Vec<(&'static str, u64, u64)> {
        let Some(((_, last), earlier)) = self.groups.split_last() else { return Vec::new() };
        let before = |kind| earlier.iter().filter_map(|(_, met)| met.kinds.get(kind)).sum::<u64>();
        let all = last.kinds.iter().map(|(kind, here)| (*kind, *here, before(*kind)));
        all.filter(|(_, here, before)| (*before as f64) < MET_PART * (*here + *before) as f64).collect()
    }

    /// For people.
    pub fn text(&self) -> Vec<String> {
        let mut said = vec![self.head()];
        if let Some(place) = &self.first_broken {
            let lines = count(usize::try_from(self.broken).unwrap_or(usize::MAX), "line");
            said.push(format!("{lines} could not be read as a request, the first is {place}"));
        }
        let met = self.groups.iter().map(|(name, met)| (name.clone(), met));
        let hosts = self.canaries.iter().map(|(host, met)| (host.to_string(), met));
        let rows: Vec<(String, &Met)> = met.chain(hosts).collect();
        let mut table = vec![["", "wikis met", "requests", "share", "kinds"].map(str::to_owned).to_vec()];
        table.extend(rows.iter().map(|(name, met)| self.row(name, met)));
        said.extend(lines(&[Side::Left, Side::Right, Side::Right, Side::Right, Side::Left], &table));
        let last = self.groups.last().map_or("", |(name, _)| name);
        for (kind, here, before) in self.first_met_last() {
            said.push(format!(
                "{kind}: first met in {last}, the last group: {here} there, {before} in all groups before it; \
                 no earlier group can show how they fare"
            ));
        }
        said
    }

    fn head(&self) -> String {
        let requests = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "request");
        match self.elsewhere {
            0 => requests(self.requests),
            n => format!("{}, {n} of them for sites that are no wiki of groups.yaml", requests(self.requests)),
        }
    }

    fn row(&self, name: &str, met: &Met) -> Vec<String> {
        let mut kinds: Vec<_> = met.kinds.iter().map(|(kind, n)| (*n, *kind)).collect();
        kinds.sort_by_key(|(n, kind)| (std::cmp::Reverse(*n), *kind));
        let kinds: Vec<String> =
            kinds.into_iter().map(|(n, kind)| format!("{kind} {}", share(n, met.requests))).collect();
        vec![
            name.to_owned(),
            format!("{} of {}", met.wikis.len(), met.wikis_in_all),
            met.requests.to_string(),
            share(met.requests, self.counted()),
            kinds.join(", "),
        ]
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let one = |met: &Met| {
            json!({
                "requests": met.requests,
                "wikis_met": met.wikis.len(),
                "wikis": met.wikis_in_all,
                "kinds": met.kinds,
            })
        };
        let group = |(name, met): &(String, Met)| {
            let mut value = one(met);
            value["group"] = json!(name);
            value
        };
        let canaries = self.canaries.iter().map(|(host, met)| (host.to_string(), one(met)));
        let last = self.first_met_last().into_iter();
        json!({
            "requests": self.requests,
            "elsewhere": self.elsewhere,
            "broken": self.broken,
            "first_broken": self.first_broken,
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
            "canaries": canaries.collect::<serde_json::Map<_, _>>(),
            "first_met_last": last.map(|(kind, ..)| kind).collect::<Vec<_>>(),
        })
    }
}

/// Whether a host of these roles is switched before the others.
fn early(roles: &BTreeSet<Role>) -> bool {
    roles.contains(&Role::Canary) || roles.contains(&Role::Debug)
}

/// `12.3 %`; a part that is there is never shown as 0.
fn share(part: u64, whole: u64) -> String {
    match part as f64 * 100.0 / whole.max(1) as f64 {
        percent if percent > 0.0 && percent < 0.1 => "< 0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// The projects by the ends of their wikis' names and their domains.
const PROJECTS: [(&str, &str); 9] = [
    ("wiktionary", "wiktionary.org"),
    ("wikibooks", "wikibooks.org"),
    ("wikinews", "wikinews.org"),
    ("wikiquote", "wikiquote.org"),
    ("wikisource", "wikisource.org"),
    ("wikiversity", "wikiversity.org"),
    ("wikivoyage", "wikivoyage.org"),
    ("wikimedia", "wikimedia.org"),
    ("wiki", "wikipedia.org"),
];

/// What the wiki of a site may be called: `de.m.wikipedia.org` is `dewiki`, `commons.wikimedia.org` `commonswiki`, and a site
/// that is no domain of these by its first label.
fn wikis_of(site: &str) -> Vec<String> {
    let site = site.replace(".m.", ".");
    let mut names = Vec::new();
    if let Some((first, domain)) = site.split_once('.') {
        let first = first.replace('-', "_");
        let project = PROJECTS.iter().find(|(_, of)| *of == domain).map(|(project, _)| *project);
        names.extend(project.map(|project| format!("{first}{project}")));
        if first == "www" {
            names.push(format!("{}wiki", domain.split('.').next().unwrap_or_default()));
        }
        names.push(first.clone());
        names.push(format!("{first}wiki"));
    } else {
        names.push(site);
    }
    names
}

/// The kinds of a request, each from a closed list.
fn kinds(request: &Request, wiki: &Wiki) -> Vec<&'static str> {
    let target = request.target.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| target.contains(word));
    let agent = request.agent.to_ascii_lowercase();
    let mut kinds = Vec::new();
    if has(&["userlogin", "userlogout", "centrallogin", "centralautologin", "action=login", "action=clientlogin"]) {
        kinds.push("logins");
    }
    kinds.push(match () {
        () if has(&["/api.php", "/rest_v1", "/rest.php"]) => "API",
        () if has(&["/load.php", "/static/", "/resources/"]) => "resources",
        () if has(&["action=edit", "action=submit", "veaction="]) => "edits",
        () => "pages",
    });
    if agent.contains("wikipediaapp") || agent.contains("wikimediaapp") {
        kinds.push("app");
    } else if ["bot", "crawler", "spider"].iter().any(|word| agent.contains(word)) {
        kinds.push("bots");
    }
    if request.site.contains(".m.") || request.site.starts_with("m.") {
        kinds.push("mobile site");
    }
    kinds.push(match request.method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "other methods",
    });
    let project = PROJECTS.iter().find(|(project, _)| wiki.as_str().ends_with(project));
    kinds.push(match project {
        Some(("wiki", _)) if SPECIAL.contains(&wiki.as_str()) => "special wikis",
        Some(("wiki", _)) => "wikipedia",
        Some((project, _)) => project,
        None => "other wikis",
    });
    kinds
}

/// Wikis whose names look like those of a language's encyclopedia.
const SPECIAL: [&str; 8] = [
    "commonswiki",
    "incubatorwiki",
    "labswiki",
    "mediawikiwiki",
    "metawiki",
    "specieswiki",
    "testwiki",
    "wikidatawiki",
];

#[cfg(test)]
mod tests;
