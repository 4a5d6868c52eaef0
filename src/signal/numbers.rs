//! Numbers from monitoring for gates of kind threshold, ranks and counts.
//!
//! Invariants. No series and no number are no data, never zero; the one exception is a host with exposure and no series
//! of events, which has had no events, if the query of events has had a series at all in the last week (a query that ends in
//! `or 0 * EXPOSURE` always has). A host that the scope does not know is left out, and one that two series name is
//! an error. Only `$window`, `$group` and `$version` are replaced in queries.
//!
//! The time of a sample of an instant query is that of the query, not of the sample, so its age is asked for by itself
//! ([`super::alive`]); where nothing says how, it is not known and `None`.
//!
//! Counters that Prometheus extrapolates are fractions; they are rounded to whole events.

use super::named::Hosts;
use super::{Provider, World, alive, fetch, graphite, process, prometheus};
use crate::gate::reading::{ReadError, Reading, Tally, What};
use crate::gate::scope::Scope;
use crate::gate::spec::numbers::{Ranks, Rule, Source, Threshold};
use crate::model::limits::PROVIDER_MS_MAX;
use crate::model::names::{HostName, Wiki};
use crate::model::time::Time;
use crate::model::verdict::{Count, HostCounts};
use std::collections::{BTreeMap, BTreeSet};

/// Samples of Prometheus that a window is divided into, at least a second apart.
const WINDOW_STEPS: u64 = 60;

/// What one look at a source is about.
struct Look<'a> {
    scope: &'a Scope,
    /// The end of what is looked at.
    at: Time,
    window_ms: u64,
}

/// A number of a host, and of a wiki where the source names it.
type Row = (HostName, Option<Wiki>, f64);

/// Reads for a gate of kind threshold.
pub struct ThresholdReader(pub Threshold);

/// Reads for a gate of kind ranks.
pub struct RanksReader(pub Ranks);

/// Reads for a gate of kind counts whose counts come from monitoring.
pub struct CountsReader {
    /// Errors.
    pub events: Source,
    /// Requests.
    pub exposure: Source,
    /// Prometheus: the label that names a wiki.
    pub wiki_label: Option<String>,
    /// Whether the query of errors ever had a series.
    proven: bool,
}

impl Provider for ThresholdReader {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let now = world.now();
        let series = matches!(self.0.rule, Rule::PercentAbove(_));
        let look = Look { scope, at: now, window_ms: self.0.window_ms };
        let query = look.query(&self.0.source)?;
        let points = look.points(&self.0.source, &query, series).await?;
        let newest = points.iter().rev().find(|(_, number)| number.is_some()).copied();
        let moment = !series && !matches!(self.0.source, Source::Graphite { .. });
        let newest_age_ms = match look.alive_ms(&self.0.source).await? {
            None => newest.filter(|_| !moment).map(|(at, _)| now.ms_since(Time(at))),
            known => known,
        };
        let what = match series {
            true => What::Points(points.into_iter().map(|(_, number)| number).collect()),
            false => What::Number(newest.and_then(|(_, number)| number)),
        };
        Ok(Reading { what, query, window_ms: if moment { 0 } else { self.0.window_ms }, newest_age_ms })
    }
}

impl Provider for RanksReader {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let look = Look { scope, at: world.now(), window_ms: self.0.window_ms };
        let query = look.query(&self.0.source)?;
        let (rows, newest_age_ms) = look.by_host(&self.0.source, &query, None, false).await?;
        let newest_age_ms = look.alive_ms(&self.0.source).await?.or(newest_age_ms);
        let mut numbers = BTreeMap::new();
        for (host, _, number) in rows {
            if numbers.insert(host.clone(), number).is_some() {
                return Err(fetch::error(&query, &format!("two series are of {host}: aggregate them by host")));
            }
        }
        Ok(Reading { what: What::Numbers(numbers), query, window_ms: self.0.window_ms, newest_age_ms })
    }
}

impl Provider for CountsReader {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let now = world.now();
        let window_ms = now.ms_since(scope.since).max(1000);
        let look = Look { scope, at: now, window_ms };
        let found = self.rows(&look).await?;
        self.prove(&look, &found).await?;
        let newest_age_ms = look.alive_ms(&self.exposure).await?.or(found.newest_age_ms);
        let mut tally = Tally { hosts: by_host(&found.rows), ..Tally::default() };
        for (host, wiki, count) in found.rows {
            if let Some(wiki) = wiki.filter(|_| scope.rolled.contains(&host)) {
                add(tally.wikis.entry(wiki).or_default(), count);
            }
        }
        if !matches!(self.exposure, Source::Program { .. }) {
            let before = Look { scope, at: scope.since, window_ms };
            // It is of use when no host is left to compare with, and is no reason to give up without.
            let before = self.rows(&before).await.ok().map(|found| by_host(&found.rows));
            tally.before = before.filter(|hosts| !hosts.is_empty());
        }
        Ok(Reading { what: What::Counts(tally), query: found.query, window_ms, newest_age_ms })
    }
}

fn by_host(rows: &[(HostName, Option<Wiki>, Count)]) -> HostCounts {
    let mut hosts = HostCounts::new();
    for (host, _, count) in rows {
        add(hosts.entry(host.clone()).or_default(), *count);
    }
    hosts
}

fn add(to: &mut Count, count: Count) {
    to.events = to.events.saturating_add(count.events);
    to.exposure = to.exposure.saturating_add(count.exposure);
}

/// What two queries gave.
struct Counted {
    /// Counts by host and wiki.
    rows: Vec<(HostName, Option<Wiki>, Count)>,
    newest_age_ms: Option<u64>,
    /// What was asked.
    query: String,
    /// The query of errors, when there is exposure and nothing came of it.
    silent: Option<String>,
}

impl CountsReader {
    /// Reads these two; `wiki_label`: for Prometheus.
    pub fn new(events: Source, exposure: Source, wiki_label: Option<String>) -> Self {
        Self { events, exposure, wiki_label, proven: false }
    }

    /// No errors at all are believed only of a query that has had some.
    async fn prove(&mut self, look: &Look<'_>, found: &Counted) -> Result<(), ReadError> {
        let (Source::Prometheus { server, .. }, Some(query), false) = (&self.events, &found.silent, self.proven) else {
            return Ok(());
        };
        if !alive::ever(server, query, look.at).await? {
            let why = "it had no series in the last week, so that there are no errors can't be told from a name that is \
                       wrong; if it has none while all is well, add `or 0 * EXPOSURE` to it";
            return Err(fetch::error(query, why));
        }
        self.proven = true;
        Ok(())
    }

    async fn rows(&self, look: &Look<'_>) -> Result<Counted, ReadError> {
        let (events, exposure) = (look.query(&self.events)?, look.query(&self.exposure)?);
        let label = self.wiki_label.as_deref();
        let (among, newest_age_ms) = look.by_host(&self.exposure, &exposure, label, true).await?;
        let (happened, _) = look.by_host(&self.events, &events, label, true).await?;
        let known: BTreeSet<&HostName> = among.iter().map(|(host, ..)| host).collect();
        if let Some((host, ..)) = happened.iter().find(|(host, ..)| !known.contains(host)) {
            return Err(fetch::error(&events, &format!("{host} has events and no exposure in `{exposure}`")));
        }
        let silent = Some(&events).filter(|_| happened.is_empty() && !among.is_empty()).cloned();
        let whole = |number: f64| number.max(0.0).round() as u64;
        let mut rows: Vec<_> = Vec::with_capacity(among.len() + happened.len());
        rows.extend(among.into_iter().map(|(h, w, n)| (h, w, Count { events: 0, exposure: whole(n) })));
        rows.extend(happened.into_iter().map(|(h, w, n)| (h, w, Count { events: whole(n), exposure: 0 })));
        Ok(Counted { rows, newest_age_ms, query: format!("{events} among {exposure}"), silent })
    }
}

impl Look<'_> {
    /// What is asked: placeholders replaced. A query that needs what the scope lacks is an error.
    fn query(&self, source: &Source) -> Result<String, ReadError> {
        let written = match source {
            Source::Prometheus { query, .. } => query.clone(),
            Source::Graphite { target, .. } => target.clone(),
            Source::Program { argv } => argv.join(" "),
        };
        self.filled(&written)
    }

    /// How old the newest sample of a source is, ms; `None`: not known in this way.
    async fn alive_ms(&self, source: &Source) -> Result<Option<u64>, ReadError> {
        // What a program prints was made when it was asked.
        if matches!(source, Source::Program { .. }) {
            return Ok(Some(0));
        }
        let Some((server, selector)) = alive::selector(source) else { return Ok(None) };
        alive::age_ms(server, &self.filled(selector)?, self.at).await.map(Some)
    }

    fn filled(&self, written: &str) -> Result<String, ReadError> {
        let since_ms = match self.at.ms_since(self.scope.since) {
            0 => self.window_ms,
            since_ms => since_ms,
        };
        let window = format!("{}s", since_ms.div_ceil(1000).max(1));
        let group = self.scope.group.as_ref().map(ToString::to_string);
        let version = self.scope.version.as_ref().map(ToString::to_string);
        let mut query = written.to_owned();
        for (word, value) in [("$window", Some(window)), ("$group", group), ("$version", version)] {
            if query.contains(word) {
                let lacks = || fetch::error(written, &format!("nothing stands for {word}: no promotion is going on"));
                query = query.replace(word, &value.ok_or_else(lacks)?);
            }
        }
        Ok(query)
    }

    fn from(&self) -> Time {
        Time(self.at.0.saturating_sub(self.window_ms))
    }

    /// The points of the one series that a source has; time 0 where it names none.
    async fn points(&self, source: &Source, query: &str, series: bool) -> Result<Vec<(u64, Option<f64>)>, ReadError> {
        let mut found = match source {
            Source::Prometheus { server, .. } if series => {
                let step = (self.window_ms / WINDOW_STEPS).max(1000);
                let found = prometheus::range(server, query, self.from(), self.at, step).await?;
                found.into_iter().map(|series| series.samples).collect::<Vec<_>>()
            }
            Source::Prometheus { server, .. } => {
                let found = prometheus::instant(server, query, self.at).await?;
                found.into_iter().map(|series| series.samples).collect()
            }
            Source::Graphite { server, .. } => {
                let found = graphite::render(server, query, self.from(), self.at).await?;
                found.into_iter().map(|series| series.points).collect()
            }
            Source::Program { argv } => {
                let text = self.printed(argv, query).await?;
                let number = text.trim().parse::<f64>();
                let number = number.map_err(|_| fetch::error(query, "it does not print one number"))?;
                vec![vec![(0, Some(number).filter(|number| number.is_finite()))]]
            }
        };
        match found.len() {
            0 => Ok(Vec::new()),
            1 => Ok(found.swap_remove(0)),
            n => Err(fetch::error(query, &format!("{n} series where one is due: sum them in the query"))),
        }
    }

    /// A number for each host of the scope that the source knows, and the age of the newest sample. `sums`: the sum of a
    /// Graphite series, instead of its last point.
    async fn by_host(
        &self,
        source: &Source,
        query: &str,
        wiki_label: Option<&str>,
        sums: bool,
    ) -> Result<(Vec<Row>, Option<u64>), ReadError> {
        let mut named: Vec<(String, Option<Wiki>, f64)> = Vec::new();
        let mut newest = None;
        match source {
            Source::Prometheus { server, host_label, .. } => {
                for series in prometheus::instant(server, query, self.at).await? {
                    let Some(host) = series.labels.get(host_label) else {
                        return Err(fetch::error(query, &format!("a series has no label `{host_label}`")));
                    };
                    let wiki = wiki_label.and_then(|label| series.labels.get(label)?.parse().ok());
                    let numbers = series.samples.iter().filter_map(|(_, number)| *number);
                    named.extend(numbers.map(|number| (host.clone(), wiki.clone(), number)));
                }
            }
            Source::Graphite { server, host_node, .. } => {
                for series in graphite::render(server, query, self.from(), self.at).await? {
                    let host = host_node.and_then(|node| series.host(node));
                    let host = host.ok_or_else(|| fetch::error(query, "the name of a series has no host"))?;
                    let valid: Vec<_> = series.points.iter().filter_map(|(at, n)| Some((*at, (*n)?))).collect();
                    let Some((at, last)) = valid.last().copied() else { continue };
                    newest = newest.max(Some(at));
                    named.push((host, None, if sums { valid.iter().map(|(_, n)| n).sum() } else { last }));
                }
            }
            Source::Program { argv } => {
                let text = self.printed(argv, query).await?;
                named = lines(&text).map_err(|why| fetch::error(query, &why))?;
            }
        }
        let hosts = Hosts::of(self.scope);
        let rows = named.into_iter().filter_map(|(name, wiki, number)| Some((hosts.find(&name)?, wiki, number)));
        Ok((rows.collect(), newest.map(|at| self.at.ms_since(Time(at)))))
    }

    async fn printed(&self, argv: &[String], query: &str) -> Result<String, ReadError> {
        let mut env = vec![("POINTSMAN_WINDOW", (self.window_ms / 1000).to_string())];
        env.extend(self.scope.group.as_ref().map(|group| ("POINTSMAN_GROUP", group.to_string())));
        env.extend(self.scope.version.as_ref().map(|version| ("POINTSMAN_VERSION", version.to_string())));
        process::output(argv, &env, PROVIDER_MS_MAX).await.map_err(|why| fetch::error(query, &why))
    }
}

/// Lines `HOST NUMBER`.
fn lines(text: &str) -> Result<Vec<(String, Option<Wiki>, f64)>, String> {
    let line = |line: &str| {
        let (host, number) = line.trim().rsplit_once(char::is_whitespace)?;
        Some((host.trim().to_owned(), None, number.parse::<f64>().ok().filter(|number| number.is_finite())?))
    };
    let wanted = text.lines().filter(|line| !line.trim().is_empty());
    wanted.map(|text| line(text).ok_or_else(|| format!("`{text}` is not HOST NUMBER"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let hosts = |names: &[&str]| names.iter().map(|name| name.parse().expect("a host")).collect();
        Scope {
            others: Default::default(),
            rolled: hosts(&["mw1.codfw.wmnet", "mw1.eqiad.wmnet"]),
            control: hosts(&["mw2.codfw.wmnet"]),
            group: Some("group1".parse().expect("a group")),
            version: None,
            wikis: BTreeMap::new(),
            since: Time(1_000_000),
        }
    }

    #[test]
    fn placeholders_are_replaced_and_one_without_a_value_is_an_error() {
        let scope = scope();
        let look = Look { scope: &scope, at: Time(1_090_000), window_ms: 1000 };
        let query = |text: &str| {
            look.query(&Source::Graphite { server: String::new(), target: text.to_owned(), host_node: None })
        };
        assert_eq!(query("a[$window] $group x$").as_deref(), Ok("a[90s] group1 x$"));
        assert!(query("$version").expect_err("no version").why.contains("no promotion"));
    }

    #[test]
    fn lines_of_a_program() {
        assert_eq!(lines("mw1 5\n\nmw2\t0.5\n").map(|rows| rows.len()), Ok(2));
        assert!(lines("mw1 five").is_err() && lines("5").is_err() && lines("mw1 NaN").is_err());
    }
}
