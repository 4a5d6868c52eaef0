//! `status`: the fleet on one screen, and the same as JSON, which `--view FILE` reads back to plan without a fleet.
//!
//! A look is not a proof: a host that the books call stale stays stale here however well it looks now.

use super::escape::Untrusted;
use super::stale;
use super::table::{Side, lines};
use super::words::{moment, since};
use crate::config::policy::Policy;
use crate::model::books::{Books, Hold, Kind, Pin, PinSource, Rollout, Snapshot};
use crate::model::digest::Digest;
use crate::model::fault::Fault;
use crate::model::limits::{MESSAGE_BYTES_MAX, NAMES_SHOWN_MAX, STATUS_LINES_MAX};
use crate::model::names::{Group, HostName, Version, Wiki};
use crate::model::playbook::{PlaybookRun, PlaybookStatus};
use crate::model::protocol::Observation;
use crate::model::ranges::fold;
use crate::model::stale::{Stale, StaleReason};
use crate::model::time::Time;
use crate::model::words::count;
use crate::plan::goal::Site;
use crate::plan::{assess, back};
use crate::playbook::asked::{self, Asked};
use crate::store::error::machine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The form of a [`StatusView`] that this program writes and reads.
pub const FORMAT: u32 = 1;

/// Everything that a status shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// [`FORMAT`].
    pub format: u32,
    /// When it was taken, by the controller's clock.
    pub now: Time,
    /// The books as loaded.
    pub books: Books,
    /// Whether the holder of the lock lives; meaningless without a lock. `None`: it is on another machine, and that is
    /// unknown here.
    pub holder_lives: Option<bool>,
    /// The groups of groups.yaml in the order of promotion, with their wikis.
    pub groups: Vec<(Group, Vec<Wiki>)>,
    /// The hosts of groups.yaml.
    pub hosts: Vec<HostName>,
    /// What hosts showed now; a host that was not looked at is not in it.
    pub observed: BTreeMap<HostName, Look>,
    /// What a rollback would restore, in the planner's words; `None`: nothing.
    pub rollback: Option<String>,
    /// What runs of playbooks ask people; not in what an earlier pointsman wrote.
    #[serde(default)]
    pub asked: Vec<Asked>,
}

/// What came of looking at a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// What it says of itself.
    Observed(Box<Observation>),
    /// It could not be reached.
    Failed(Fault),
}

/// Why a file is not a view; a fragment that fits "failed to read FILE: {...}".
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// More than [`MESSAGE_BYTES_MAX`] bytes.
    #[error("it has more than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// Written by another pointsman.
    #[error("it has the format {0}, and this pointsman reads {FORMAT}; write it again with `pointsman status --json`")]
    Format(u64),
    /// Not what `status --json` writes.
    #[error("it is not what `pointsman status --json` writes: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl StatusView {
    /// A view of books alone; `by`: who asks.
    pub fn of(policy: &Policy, books: Books, holder_lives: Option<bool>, now: Time, by: &str) -> Self {
        let site = Site { policy, books: &books, now, by };
        let rollback = back::rollback(site, &back::Scope::Last, "").map(|goal| super::plan::changes_line(&goal)).ok();
        let groups = policy.groups.iter().map(|g| (g.name.clone(), g.wikis.iter().cloned().collect())).collect();
        let serving = policy.hosts.iter().filter(|(_, host)| host.serves()).map(|(name, _)| name.clone());
        let hosts = serving.collect();
        let asked = asked::waiting(&books, policy);
        Self { format: FORMAT, now, books, holder_lives, groups, hosts, observed: BTreeMap::new(), rollback, asked }
    }

    /// Reads what [`json`] made.
    pub fn read(bytes: &[u8]) -> Result<Self, ViewError> {
        /// What every format has.
        #[derive(Deserialize)]
        struct Head {
            format: u64,
        }
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ViewError::TooLarge);
        }
        let head: Head = serde_json::from_slice(bytes)?;
        match head.format == u64::from(FORMAT) {
            true => Ok(serde_json::from_slice(bytes)?),
            false => Err(ViewError::Format(head.format)),
        }
    }

    /// The hosts that are not trusted, each with the reason that counts: what the look shows, else what the books say.
    pub fn stale(&self) -> BTreeMap<HostName, Stale> {
        let wanted = self.books.wanted();
        let fleet = wanted.map(|snapshot| snapshot.map.digest());
        let stale = |host: &HostName| Some((host.clone(), self.stale_host(host, wanted_map(wanted, fleet, host))?));
        self.hosts.iter().filter_map(stale).collect()
    }

    fn stale_host(&self, host: &HostName, want: Option<Digest>) -> Option<Stale> {
        let row = self.books.hosts.get(host);
        let known = match row {
            Some(row) => row.stale.clone(),
            None => Some(Stale { reason: StaleReason::New, since: self.now }),
        };
        let seen = match self.observed.get(host) {
            Some(Look::Failed(fault)) => Some(StaleReason::Fault(fault.clone())),
            Some(Look::Observed(seen)) => want.and_then(|want| assess::all(&self.books, host, seen, want)),
            None => None,
        };
        match (seen, known) {
            (Some(reason), Some(known)) if known.reason.same_kind(&reason) => Some(Stale { reason, ..known }),
            (Some(reason), _) => Some(Stale { reason, since: self.now }),
            (None, known) => known,
        }
    }
}

/// The digest of the map that a host should serve; `fleet` is that of a host without a pin.
fn wanted_map(wanted: Option<&Snapshot>, fleet: Option<Digest>, host: &HostName) -> Option<Digest> {
    let wanted = wanted?;
    if wanted.pins.hosts.contains_key(host) { Some(wanted.map_of(host).digest()) } else { fleet }
}

/// The view for programs.
pub fn json(view: &StatusView) -> Value {
    serde_json::to_value(view).expect("a view has only string keys")
}

/// The view for people: one screen, whatever the number of hosts.
pub fn text(view: &StatusView) -> String {
    let stale = view.stale();
    let mut page = vec![format!("at {}, {}", moment(view.now), books_line(&view.books)), String::new()];
    page.extend(versions(view));
    page.push(String::new());
    page.extend(pins(view));
    page.extend(hosts(view, &stale));
    page.extend(stale_lines(&stale, view.now));
    page.extend(owed(view));
    page.extend(depooled(view));
    page.extend(unfinished(view));
    page.extend(playbooks(view));
    page.extend(gates(view));
    page.extend([lock(view), hold(view), rollback(view)]);
    page.join("\n") + "\n"
}

fn books_line(books: &Books) -> String {
    match books.wanted() {
        Some(wanted) => format!("wanted is {}, recorded {}", wanted.id, moment(wanted.at)),
        None => "nothing is wanted yet; type: pointsman sync-common --from-staging".to_owned(),
    }
}

/// The table of groups and versions, wikis counted.
fn versions(view: &StatusView) -> Vec<String> {
    let map = view.books.wanted().map(|wanted| wanted.map.0.clone()).unwrap_or_default();
    let grouped: BTreeSet<&Wiki> = view.groups.iter().flat_map(|(_, wikis)| wikis).collect();
    let left: Vec<Wiki> = map.keys().filter(|wiki| !grouped.contains(wiki)).cloned().collect();
    let everything = grouped.into_iter().cloned().chain(left.iter().cloned()).collect();
    let named = view.groups.iter().map(|(group, wikis)| (group.to_string(), wikis.clone()));
    let left = (!left.is_empty()).then(|| ("in no group".to_owned(), left));
    let rows: Vec<(String, Vec<Wiki>)> = named.chain(left).chain([("all".to_owned(), everything)]).collect();
    let used: BTreeSet<Option<&Version>> = rows.iter().flat_map(|(_, w)| w).map(|wiki| map.get(wiki)).collect();
    let mut columns: Vec<Option<&Version>> = used.into_iter().collect();
    columns.sort_by_key(|column| column.map(by_number));
    let shown = |n: usize| if n == 0 { "-".to_owned() } else { n.to_string() };
    let row = |(name, wikis): &(String, Vec<Wiki>)| {
        let cell = |column: &Option<&Version>| shown(wikis.iter().filter(|wiki| map.get(wiki) == *column).count());
        [name.clone(), wikis.len().to_string()].into_iter().chain(columns.iter().map(cell)).collect()
    };
    let title = |column: &Option<&Version>| column.map_or("none".to_owned(), ToString::to_string);
    let head = ["group", "wikis"].map(str::to_owned).into_iter().chain(columns.iter().map(title)).collect();
    let table: Vec<Vec<String>> = [head].into_iter().chain(rows.iter().map(row)).collect();
    lines(&[Side::Left, Side::Right], &table)
}

/// The numbers of a version, so that `wmf.9` stands before `wmf.10`.
fn by_number(version: &Version) -> Vec<u64> {
    version.as_str().split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn pins(view: &StatusView) -> Vec<String> {
    let Some(wanted) = view.books.wanted() else { return Vec::new() };
    let wikis = wanted.pins.wikis.iter().map(|(wiki, pin)| (wiki.to_string(), pin));
    let hosts = wanted.pins.hosts.iter().map(|(host, pin)| (host.to_string(), pin));
    let all: Vec<String> = wikis.chain(hosts).map(|(subject, pin)| pin_line(&subject, pin, view.now)).collect();
    match all.len() {
        0 => vec!["pins: none".to_owned()],
        n => section(format!("pins: {n}"), shortened(all, "pointsman status --json")),
    }
}

fn pin_line(subject: &str, pin: &Pin, now: Time) -> String {
    // What groups.yaml declares has no moment at which it was made.
    let (source, renew) = match pin.source {
        PinSource::Books => {
            (format!("the books, since {}", moment(pin.since)), format!("type: pointsman unpin {subject}"))
        }
        PinSource::Config => ("groups.yaml".to_owned(), "renew or remove it there".to_owned()),
    };
    let until = match pin.until {
        None => "without end".to_owned(),
        Some(until) if until <= now => format!("EXPIRED {}; {renew}", moment(until)),
        Some(until) => format!("until {}", moment(until)),
    };
    let (reason, owner) = (Untrusted(&pin.reason), Untrusted(&pin.owner));
    format!("{subject} at {}: {reason} ({owner}, by {source}, {until})", pin.version)
}

/// Hosts folded by how they stand.
fn hosts(view: &StatusView, stale: &BTreeMap<HostName, Stale>) -> Vec<String> {
    let mut states: BTreeMap<&str, Vec<HostName>> = BTreeMap::new();
    for host in &view.hosts {
        let state = match (stale.contains_key(host), view.observed.contains_key(host)) {
            (true, _) => "stale",
            (false, true) => "as wanted by map and markers of now, files not compared (pointsman check does)",
            (false, false) => "as wanted when last proven, not looked at now",
        };
        states.entry(state).or_default().push(host.clone());
    }
    let line = |(state, hosts): (&str, Vec<HostName>)| format!("{} {state}: {}", hosts.len(), fold(&hosts));
    section(format!("hosts: {}", view.hosts.len()), states.into_iter().map(line).collect())
}

/// One line a host; many hosts with the same trouble share one.
fn stale_lines(stale: &BTreeMap<HostName, Stale>, now: Time) -> Vec<String> {
    let mut alike: BTreeMap<String, Vec<(&HostName, &Stale)>> = BTreeMap::new();
    for (host, stale) in stale {
        alike.entry(stale::reason(&stale.reason)).or_default().push((host, stale));
    }
    let mut all = Vec::new();
    for (reason, hosts) in alike {
        match hosts.as_slice() {
            [(_, first), ..] if hosts.len() > NAMES_SHOWN_MAX => {
                let range = fold(&hosts.iter().map(|(host, _)| (*host).clone()).collect::<Vec<_>>());
                let oldest = hosts.iter().map(|(_, stale)| stale.since).min().unwrap_or(now);
                let (when, remedy) = (since(oldest, now), stale::remedy(format!("'{range}'"), &first.reason));
                all.push(format!("{range}: {reason}, {when} at the earliest; type: {remedy}"));
            }
            few => all.extend(few.iter().map(|(host, stale)| stale::line(host, stale, now))),
        }
    }
    all.sort();
    let title = format!("stale: {}", if stale.is_empty() { "none".to_owned() } else { count(stale.len(), "host") });
    section(title, shortened(all, "pointsman check"))
}

/// Hosts that are owed something, folded by what.
fn owed(view: &StatusView) -> Vec<String> {
    let mut alike: BTreeMap<(&str, Time), Vec<HostName>> = BTreeMap::new();
    let mut all = 0;
    for (host, row) in &view.books.hosts {
        if let Some(owed) = &row.owed {
            all += 1;
            alike.entry((&owed.what, owed.since)).or_default().push(host.clone());
        }
    }
    let line = |((what, at), hosts): ((&str, Time), Vec<HostName>)| {
        format!("{}: {}, {}; type: pointsman converge", fold(&hosts), Untrusted(what), since(at, view.now))
    };
    match all {
        0 => vec!["owed: none".to_owned()],
        n => {
            let lines = alike.into_iter().map(line).collect();
            section(format!("owed: {}", count(n, "host")), shortened(lines, "pointsman status --json"))
        }
    }
}

/// Hosts out of service by our hand.
fn depooled(view: &StatusView) -> Vec<String> {
    let row = |(host, row): (&HostName, &crate::model::books::HostRow)| Some((host.clone(), row.depooled.clone()?));
    let all: Vec<(HostName, Hold)> = view.books.hosts.iter().filter_map(row).collect();
    let line = |(host, why): &(HostName, Hold)| {
        let (by, reason) = (Untrusted(&why.by), Untrusted(&why.reason));
        format!("{host}: {reason} ({by}, {}); type: pointsman pool {host}", since(why.since, view.now))
    };
    match all.len() {
        0 => Vec::new(),
        n if n > STATUS_LINES_MAX => {
            let hosts: Vec<HostName> = all.into_iter().map(|(host, _)| host).collect();
            section(format!("depooled: {}", count(n, "host")), vec![fold(&hosts)])
        }
        n => section(format!("depooled: {}", count(n, "host")), all.iter().map(line).collect()),
    }
}

fn unfinished(view: &StatusView) -> Vec<String> {
    let line = |r: &Rollout| {
        let moved = match (r.dispatched, r.kind) {
            (_, Kind::Rollback) => "the next converge finishes it",
            (true, _) => "hosts may have been switched",
            (false, _) => "no host was switched",
        };
        let (what, by, when) = (super::history::what(r), Untrusted(&r.by), since(r.at, view.now));
        format!("unfinished: {} {what} by {by}, {when}; {moved}; type: pointsman converge", r.id)
    };
    view.books.open().map(line).collect()
}

/// Runs of playbooks that have not ended.
fn playbooks(view: &StatusView) -> Vec<String> {
    let line = |run: &PlaybookRun| {
        let (name, by) = (run.file.file_stem().unwrap_or_default().display().to_string(), Untrusted(&run.by));
        let (name, id, when) = (Untrusted(&name), run.id, since(run.at, view.now));
        let (how, next) = match run.status {
            PlaybookStatus::GoingBack => ("is going back", format!("pointsman resume {id}")),
            PlaybookStatus::Paused => ("is paused", format!("pointsman resume {id}, or pointsman abort {id}")),
            _ => ("is under way", format!("pointsman resume {id} if its process died")),
        };
        let why = if run.why.is_empty() { String::new() } else { format!(" ({})", Untrusted(&run.why)) };
        format!("playbook: {id} {name} by {by}, {when}, {how}{why}; type: {next}")
    };
    view.books.playbooks.values().filter(|run| run.status.is_unfinished()).map(line).collect()
}

/// What stops promotions and waits for people; nothing when nothing does.
fn gates(view: &StatusView) -> Vec<String> {
    let mut waiting = super::gates::waiting(&view.books, view.now);
    waiting.extend(view.asked.iter().map(|asked| super::gates::asked(asked, view.now)));
    let blockers = super::gates::blockers(&view.books, view.now);
    let mut lines = Vec::new();
    if !waiting.is_empty() {
        lines.extend(section(format!("approvals: {}", waiting.len()), shortened(waiting, "pointsman status --json")));
    }
    if !blockers.is_empty() {
        let title = format!("blockers: {}, every further promotion is stopped", blockers.len());
        lines.extend(section(title, shortened(blockers, "pointsman blocker list")));
    }
    lines
}

fn lock(view: &StatusView) -> String {
    let Some(lock) = &view.books.lock else { return "lock: free".to_owned() };
    let dead = match view.holder_lives {
        Some(true) => String::new(),
        Some(false) => "; that process is gone, the next command takes the lock".to_owned(),
        None => format!("; whether it lives is unknown, on {}", Untrusted(machine(&lock.holder))),
    };
    let (holder, reason) = (Untrusted(&lock.holder), Untrusted(&lock.reason));
    format!("lock: {holder}, {}: {reason}{dead}", since(lock.since, view.now))
}

fn hold(view: &StatusView) -> String {
    let Some(hold) = &view.books.hold else { return "hold: none".to_owned() };
    let (by, reason) = (Untrusted(&hold.by), Untrusted(&hold.reason));
    format!("hold: {reason} ({by}, {}); type: pointsman release", since(hold.since, view.now))
}

fn rollback(view: &StatusView) -> String {
    match &view.rollback {
        Some(what) => format!("rollback would restore: {}", Untrusted(what)),
        None => "rollback would restore: nothing, there is no promotion to take back".to_owned(),
    }
}

/// The first lines, and how many more `command` shows.
fn shortened(mut lines: Vec<String>, command: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(STATUS_LINES_MAX);
    lines.truncate(STATUS_LINES_MAX);
    lines.extend((more > 0).then(|| format!("and {more} more; type: {command}")));
    lines
}

/// A title with indented lines below it.
fn section(title: String, lines: Vec<String>) -> Vec<String> {
    [title].into_iter().chain(lines.into_iter().map(|line| format!("  {line}"))).collect()
}

#[cfg(test)]
mod tests;
