//! Errors among requests: where they are counted, and when they decide.
//!
//! Invariant: the expressions of a source compile, and its limits leave a gate that can pass and can fail.

use super::Known;
use super::numbers::{NEWEST_AGE_MS, alpha, host_node_hint, is_label, query, source as monitored, url};
use crate::config::diagnostic::Sink;
use crate::config::fields::{Fields, decimal, duration, flag, number, text};
use crate::config::yaml::Node;
use crate::gate::spec::Kind;
use crate::gate::spec::counts::{CountLimits, CountSource, Counts, LogCounts};
use crate::gate::spec::numbers::Source;
use std::path::{Component as Part, PathBuf};

/// Its keys: where counts come from, and limits.
pub const COUNTS_KEYS: &[&str] = &[
    "events",
    "exposure",
    "wiki_label",
    "logs",
    "search",
    "tolerated_ratio",
    "alpha",
    "min_ratio",
    "max_ratio",
    "min_events",
    "min_exposure",
    "max_rate",
    "sequential",
    "newest_age",
];

const FROM_KEYS: &[&str] = &["events", "exposure", "wiki_label", "logs", "search"];

/// A gate of kind counts.
pub fn counts(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let source = from(f, known, true);
    let limits = limits(f);
    let events = f.optional("min_events", number);
    let newest_age = f.optional("newest_age", duration);
    let (source, limits) = (source?, limits?);
    let limits = CountLimits { min_events: events?.map_or(limits.min_events, |at| at.value), ..limits };
    // A log file of requests may be quiet; what was scraped or collected is not.
    let usual = Some(NEWEST_AGE_MS).filter(|_| !matches!(source, CountSource::Logs(_)));
    let newest_age_ms_max = newest_age?.map(|at| at.value).or(usual);
    Some(Kind::Counts(Counts { source, newest_age_ms_max, limits }))
}

/// Where requests are counted, for soak: errors may be left out, and are then the requests again.
pub fn source(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<CountSource> {
    let mut f = Fields::of(node, FROM_KEYS, "`requests`", sink)?;
    from(&mut f, known, false)
}

/// When counts decide; signatures read the same keys. `min_events` is not among them, which means another thing there.
pub fn limits(f: &mut Fields<'_>) -> Option<CountLimits> {
    let default = CountLimits::default();
    let alpha = f.optional("alpha", alpha);
    let mut positive = |key| Some(f.optional(key, above_zero)?.map(|at| at.value));
    let tolerated_ratio = positive("tolerated_ratio");
    let (min_ratio, max_ratio, max_rate) = (positive("min_ratio"), positive("max_ratio"), positive("max_rate"));
    let exposure = f.optional("min_exposure", number);
    let sequential = f.optional("sequential", flag);
    let min_ratio = min_ratio?.unwrap_or(default.min_ratio);
    let max_ratio = max_ratio?.unwrap_or(default.max_ratio);
    if min_ratio > max_ratio {
        let hint = "it passes below `max_ratio` and fails above `min_ratio`; between them evidence is too thin";
        let message = format!("`min_ratio` {min_ratio} is above `max_ratio` {max_ratio}");
        let place = f.get("min_ratio").or(f.get("max_ratio")).map_or(f.node.place, |node| node.place);
        f.sink.hint(place, message, Some(hint.to_owned()));
        return None;
    }
    Some(CountLimits {
        tolerated_ratio: tolerated_ratio?.unwrap_or(default.tolerated_ratio),
        alpha: alpha?.map_or(default.alpha, |at| at.value),
        min_ratio,
        max_ratio,
        min_events: default.min_events,
        min_exposure: exposure?.map_or(default.min_exposure, |at| at.value),
        max_rate: max_rate?.unwrap_or(default.max_rate),
        sequential: sequential?.is_some_and(|at| at.value),
    })
}

fn above_zero(node: &Node, sink: &mut Sink) -> Option<f64> {
    let value = decimal(node, sink)?;
    if value <= 0.0 {
        sink.add(node.place, format!("a number above 0 must stand here, not {value}"));
        return None;
    }
    Some(value)
}

fn from(f: &mut Fields<'_>, known: &Known<'_>, errors_needed: bool) -> Option<CountSource> {
    let monitoring = f.get("events").is_some() || f.get("exposure").is_some() || f.get("wiki_label").is_some();
    match (monitoring, f.get("logs"), f.get("search")) {
        (true, None, None) => from_monitoring(f, known, errors_needed),
        (false, Some(node), None) => logs(node, errors_needed, f.sink).map(CountSource::Logs),
        (false, None, Some(node)) => search(node, errors_needed, f.sink),
        _ => {
            let hint = "`events` and `exposure`, each a source, or `logs`, or `search`".to_owned();
            f.sink.hint(f.node.place, "counts come from one place", Some(hint));
            None
        }
    }
}

fn from_monitoring(f: &mut Fields<'_>, known: &Known<'_>, errors_needed: bool) -> Option<CountSource> {
    let exposure = f.need("exposure", |n, s| monitored(n, known, s));
    let events = match errors_needed {
        true => f.need("events", |n, s| monitored(n, known, s)).map(Some),
        false => f.optional("events", |n, s| monitored(n, known, s)),
    };
    let wiki = f.optional("wiki_label", text);
    let exposure = exposure?;
    let events = events?.unwrap_or_else(|| exposure.clone());
    let wiki = wiki?;
    for source in [&events, &exposure] {
        if let Source::Graphite { host_node: None, .. } = source.value {
            f.sink.hint(source.place, "`host_node` is missing: counts are by host", Some(host_node_hint()));
            return None;
        }
    }
    if std::mem::discriminant(&events.value) != std::mem::discriminant(&exposure.value) {
        let hint = "each system takes samples at its own time, and a ratio of the two would mean nothing".to_owned();
        f.sink.hint(events.place, "`events` and `exposure` come from the same kind of source", Some(hint));
        return None;
    }
    let labels = matches!(exposure.value, Source::Prometheus { .. });
    if let Some(label) = wiki.as_ref().filter(|label| !labels || !is_label(&label.value)) {
        f.sink.add(label.place, format!("`{}` is not a label, which only Prometheus has", label.value));
        return None;
    }
    Some(CountSource::Monitoring {
        events: events.value,
        exposure: exposure.value,
        wiki_label: wiki.map(|label| label.value),
    })
}

fn logs(node: &Node, errors_needed: bool, sink: &mut Sink) -> Option<LogCounts> {
    let keys = &["file", "exposure", "events_file", "events", "wiki"];
    let mut f = Fields::of(node, keys, "`logs`", sink)?;
    let (file, events_file) = (f.need("file", host_file), f.optional("events_file", host_file));
    let exposure = f.optional("exposure", pattern);
    let events = match errors_needed {
        true => f.need("events", pattern).map(Some),
        false => f.optional("events", pattern),
    };
    let wiki = f.optional("wiki", wiki_pattern);
    let exposure = exposure?.map(|at| at.value);
    Some(LogCounts {
        file: file?.value,
        events: events?.map(|at| at.value).or_else(|| exposure.clone()).unwrap_or_default(),
        exposure,
        events_file: events_file?.map(|at| at.value),
        wiki: wiki?.map(|at| at.value),
    })
}

/// A log file on hosts: an absolute path without `.` and `..`.
pub(super) fn host_file(node: &Node, sink: &mut Sink) -> Option<PathBuf> {
    let written = text(node, sink)?;
    let path = PathBuf::from(&written);
    let plain = path.components().all(|part| matches!(part, Part::RootDir | Part::Normal(_)));
    let whole = path.is_absolute() && path.file_name().is_some() && written.len() <= 4096;
    if !plain || !whole || written.contains(char::is_control) || written.contains("/./") {
        sink.add(node.place, format!("`{written}` is not the absolute path of a file on hosts"));
        return None;
    }
    Some(path)
}

/// A regular expression that compiles.
pub(super) fn pattern(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    compiled(&written, node, sink).map(|_| written)
}

fn wiki_pattern(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    if compiled(&written, node, sink)?.captures_len() < 2 {
        let hint = Some("as in `\" (\\w+wiki) \"`".to_owned());
        sink.hint(node.place, "the wiki is the first group of this expression, and it has none", hint);
        return None;
    }
    Some(written)
}

fn compiled(written: &str, node: &Node, sink: &mut Sink) -> Option<regex::Regex> {
    match regex::RegexBuilder::new(written).size_limit(1 << 20).build() {
        Ok(compiled) => Some(compiled),
        Err(error) => {
            let last = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            sink.add(node.place, format!("`{written}` is not a regular expression: {last}"));
            None
        }
    }
}

fn search(node: &Node, errors_needed: bool, sink: &mut Sink) -> Option<CountSource> {
    let keys = &["server", "index", "events", "exposure", "host_field", "wiki_field", "time_field"];
    let mut f = Fields::of(node, keys, "`search`", sink)?;
    let (server, index) = (f.need("server", url), f.need("index", index));
    let exposure = f.need("exposure", query);
    let events = match errors_needed {
        true => f.need("events", query).map(Some),
        false => f.optional("events", query),
    };
    let mut field = |key: &'static str| f.optional(key, field);
    let (host, wiki, time) = (field("host_field"), field("wiki_field"), field("time_field"));
    let exposure = exposure?.value;
    Some(CountSource::Search {
        server: server?.value,
        index: index?.value,
        events: events?.map_or_else(|| exposure.clone(), |at| at.value),
        exposure,
        host_field: host?.map_or_else(|| "host.keyword".to_owned(), |at| at.value),
        wiki_field: wiki?.map(|at| at.value),
        time_field: time?.map_or_else(|| "@timestamp".to_owned(), |at| at.value),
    })
}

/// The name or pattern of an index: it becomes a part of a URL's path.
pub(super) fn index(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.*,".contains(&b);
    let sound = written.bytes().all(legal) && !written.is_empty() && !written.starts_with(['-', '_', '.']);
    if !sound {
        let hint = Some("as in `logstash-*`; lower case letters, digits, `-`, `_`, `.`, `*` and `,`".to_owned());
        sink.hint(node.place, format!("`{written}` is not an index"), hint);
    }
    sound.then_some(written)
}

/// The name of a field of documents.
pub(super) fn field(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    let sound = !written.is_empty() && written.len() <= 255 && written.bytes().all(legal);
    if !sound {
        sink.add(node.place, format!("`{written}` is not the name of a field"));
    }
    sound.then_some(written)
}
