//! Counts and signatures of documents in an index.
//!
//! Invariants. A host that the scope does not know is left out. A document counts once, however late it came: the last
//! minutes are asked for again, and what was read already is known by its id.

use super::super::clusters::{Clusters, Lines};
use super::super::named::Hosts;
use super::super::{Provider, World, fetch};
use super::{Counted, Message, Messages, Search, counts, messages};
use crate::gate::reading::{ReadError, Reading, Tally, What};
use crate::gate::scope::Scope;
use crate::gate::signature::{of_document, sample, signature};
use crate::gate::spec::counts::CountSource;
use crate::gate::spec::signatures::LogSource;
use crate::model::limits::{DURATION_MS_MAX, SEARCH_LATE_MS_MAX};
use crate::model::names::{HostName, Wiki};
use crate::model::time::Time;
use crate::model::verdict::{Count, HostCounts};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields that a signature is made of, beside the message's.
const SIGNED: [&str; 9] = [
    "channel",
    "type",
    "logger",
    "exception",
    "exception_class",
    "context.exception",
    "message",
    "msg",
    "normalized_message",
];

/// Counts documents; anything but [`CountSource::Search`] gives an error.
#[derive(Debug)]
pub struct SearchCounts(pub CountSource);

/// What is counted in some time, and how old the newest document is, ms.
type Sums = (Tally, Option<u64>);

impl Provider for SearchCounts {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let CountSource::Search { events, exposure, .. } = &self.0 else {
            return Err(fetch::error("a search", "this source is none"));
        };
        let (now, query) = (world.now(), format!("{events} among {exposure}"));
        let window_ms = now.ms_since(scope.since).max(1);
        let (mut tally, newest_age_ms) = self.sums(scope, (scope.since, Time(now.0.max(scope.since.0 + 1)))).await?;
        let before = (Time(scope.since.0.saturating_sub(window_ms)), scope.since);
        // What was before is of use when no host is left to compare with, and is no reason to give up without.
        tally.before =
            self.sums(scope, before).await.ok().map(|(sums, _)| sums.hosts).filter(|hosts| !hosts.is_empty());
        Ok(Reading { what: What::Counts(tally), query, window_ms, newest_age_ms })
    }
}

impl SearchCounts {
    async fn sums(&self, scope: &Scope, within: (Time, Time)) -> Result<Sums, ReadError> {
        let CountSource::Search { server, index, events, exposure, host_field, wiki_field, time_field } = &self.0
        else {
            return Err(fetch::error("a search", "this source is none"));
        };
        let search = |query| Search { server, index, query, time_field, within };
        let (among, happened) = (search(exposure.as_str()), search(events.as_str()));
        let exposed = counts(&among, host_field, None).await?;
        let failed = counts(&happened, host_field, None).await?;
        let hosts = Hosts::of(scope);
        let mut tally = Tally { hosts: by_host(&hosts, &exposed, &failed), ..Tally::default() };
        if let Some((host, _)) = tally.hosts.iter().find(|(_, count)| count.events > 0 && count.exposure == 0) {
            return Err(fetch::error(events, &format!("{host} has events and no exposure in `{exposure}`")));
        }
        let rolled = |name: &&String| hosts.find(name).is_some_and(|host| scope.rolled.contains(&host));
        let rolled: Vec<String> = exposed.by.keys().filter(rolled).cloned().collect();
        if let Some(field) = wiki_field.as_ref().filter(|_| !rolled.is_empty()) {
            let only = Some((host_field.as_str(), rolled.as_slice()));
            let (exposed, failed) = (counts(&among, field, only).await?, counts(&happened, field, only).await?);
            tally.wikis = by_wiki(scope, &exposed, &failed);
        }
        Ok((tally, exposed.newest.map(|at| within.1.ms_since(at))))
    }
}

fn by_host(hosts: &Hosts, exposed: &Counted, failed: &Counted) -> HostCounts {
    let mut found = HostCounts::new();
    for (host, exposure) in exposed.by.iter().filter_map(|(name, n)| Some((hosts.find(name)?, *n))) {
        let count = found.entry(host).or_default();
        count.exposure = count.exposure.saturating_add(exposure);
    }
    for (host, events) in failed.by.iter().filter_map(|(name, n)| Some((hosts.find(name)?, *n))) {
        let count = found.entry(host).or_default();
        count.events = count.events.saturating_add(events);
    }
    found
}

fn by_wiki(scope: &Scope, exposed: &Counted, failed: &Counted) -> BTreeMap<Wiki, Count> {
    let wiki = |name: &str| name.parse::<Wiki>().ok().filter(|wiki| scope.wikis.contains_key(wiki));
    let exposed = exposed.by.iter().filter_map(|(name, n)| Some((wiki(name)?, *n)));
    let count = |(wiki, exposure): (Wiki, u64)| {
        let events = failed.by.get(wiki.as_str()).copied().unwrap_or(0);
        (wiki, Count { events, exposure })
    };
    exposed.map(count).collect()
}

/// Signatures of documents.
#[derive(Debug)]
pub struct SearchSignatures {
    source: LogSource,
    look_back_ms: u64,
    clusters: Clusters,
    /// The switch that is judged, and until when documents were read.
    read: Option<(Time, Time)>,
    /// Documents that were read and may come again.
    ids: BTreeMap<String, Time>,
    newest: Option<Time>,
    /// What the sentence says about messages that were not looked at.
    short: String,
}

impl SearchSignatures {
    /// Reads what `source` says, which is a [`LogSource::Search`]; else every reading is an error. `known` as for
    /// [`super::super::signatures::FileSignatures`].
    pub fn new(source: LogSource, look_back_ms: u64, known: BTreeMap<String, Time>) -> Self {
        let clusters = Clusters::new(look_back_ms, known);
        Self { source, look_back_ms, clusters, read: None, ids: BTreeMap::new(), newest: None, short: String::new() }
    }

    /// What is known now, for the books: each signature and when it was seen.
    pub fn known(&self) -> &BTreeMap<String, Time> {
        self.clusters.known()
    }

    async fn messages(&self, within: (Time, Time)) -> Result<Messages, ReadError> {
        let LogSource::Search { server, index, query, message_field, host_field, time_field } = &self.source else {
            return Err(fetch::error("a search", "this source is none"));
        };
        let mut fields = vec![message_field.as_str(), source_field(host_field)];
        fields.extend(SIGNED);
        messages(&Search { server, index, query, time_field, within }, &fields).await
    }

    /// What the index has of the time before the switch is known, whichever host wrote it.
    async fn look_back(&mut self, since: Time, now: Time) -> Result<(), ReadError> {
        let within = (Time(since.0.saturating_sub(self.look_back_ms)), since.min(now));
        if within.0 < within.1 {
            let messages = self.messages(within).await?;
            self.short = short(&messages, " before the switch");
            for message in messages.read {
                self.newest = self.newest.max(Some(message.at));
                if let Some((signature, _)) = self.signed(&message) {
                    self.clusters.know(&signature, message.at);
                }
            }
        }
        self.ids.clear();
        Ok(())
    }

    /// A document's signature, and what it says.
    fn signed(&self, message: &Message) -> Option<(String, String)> {
        let LogSource::Search { message_field, .. } = &self.source else { return None };
        let mut document = message.document.clone();
        if message_field != "message" {
            let said = field(&document, message_field).cloned();
            document.as_object_mut()?.insert("message".to_owned(), said.unwrap_or(Value::Null));
        }
        let text = of_document(&document);
        Some((signature(text.trim())?, text))
    }

    fn host(&self, message: &Message, hosts: &Hosts) -> Option<HostName> {
        let LogSource::Search { host_field, .. } = &self.source else { return None };
        hosts.find(field(&message.document, source_field(host_field))?.as_str()?)
    }

    /// What each host wrote, of what was not read before.
    fn fresh(&mut self, scope: &Scope, messages: Vec<Message>) -> BTreeMap<HostName, Lines> {
        let hosts = Hosts::of(scope);
        let mut lines: BTreeMap<HostName, Lines> =
            scope.hosts().into_iter().map(|host| (host, Lines::default())).collect();
        for message in messages {
            self.newest = self.newest.max(Some(message.at));
            if self.ids.insert(message.id.clone(), message.at).is_some() {
                continue;
            }
            let of = self.host(&message, &hosts).and_then(|host| lines.get_mut(&host));
            if let (Some(lines), Some((signature, text))) = (of, self.signed(&message)) {
                lines.count(signature, 1, || sample(&text));
            }
        }
        lines
    }
}

impl Provider for SearchSignatures {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let now = world.now();
        let from = match self.read.filter(|(since, until)| *since == scope.since && *until >= *since) {
            Some((since, until)) => since.max(Time(until.0.saturating_sub(SEARCH_LATE_MS_MAX))),
            None => {
                self.look_back(scope.since, now).await?;
                scope.since
            }
        };
        let messages = if from < now { self.messages((from, now)).await? } else { Messages::default() };
        let LogSource::Search { query, .. } = &self.source else {
            return Err(fetch::error("a search", "this source is none"));
        };
        let query = format!("{query}{}{}", self.short, short(&messages, ""));
        for (host, lines) in self.fresh(scope, messages.read) {
            self.clusters.take(scope, &host, now, lines, false);
        }
        self.read = Some((scope.since, now));
        let late = Time(now.0.saturating_sub(2 * SEARCH_LATE_MS_MAX));
        self.ids.retain(|_, at| *at >= late);
        let newest_age_ms = Some(self.newest.map_or(DURATION_MS_MAX, |at| now.ms_since(at)));
        let what = What::Signatures(self.clusters.seen(scope, false));
        Ok(Reading { what, query, window_ms: now.ms_since(scope.since), newest_age_ms })
    }
}

/// `, of 90000 messages only the newest 10000 were read`, or nothing.
fn short(messages: &Messages, when: &str) -> String {
    let read = messages.read.len();
    match messages.all > read as u64 {
        true => format!(", of {} messages{when} only the newest {read} were read", messages.all),
        false => String::new(),
    }
}

/// The field of a document that an index keeps under this name: a sub-field for sorting is not in the document.
fn source_field(field: &str) -> &str {
    field.strip_suffix(".keyword").unwrap_or(field)
}

/// A field by its name with dots, which may be one key or several, one in the other.
fn field<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    let whole = document.get(name);
    whole.or_else(|| name.split('.').try_fold(document, |at, key| at.get(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_one_key_or_several() {
        let document = json!({"host": {"name": "mw1"}, "log.level": "error"});
        assert_eq!(field(&document, source_field("host.name.keyword")), Some(&json!("mw1")));
        assert_eq!(field(&document, "log.level"), Some(&json!("error")));
        assert_eq!(field(&document, "host.ip"), None);
    }
}
