//! New and more frequent log lines, and the file of those that somebody answers for.
//!
//! ```yaml
//! - name: new-errors
//!   kind: signatures
//!   files: [/var/log/mediawiki/exception.log]
//!   acknowledged: signatures.yaml
//! ```
//!
//! With `requests_file: /var/log/apache2/access.log` the frequencies of those that are not new are compared too.
//! `newest_age: 1h` makes it undecided while no host has written for longer, as when a channel was switched off.
//! `search: {server, index, query, message, host, time}` stands instead of `files` for an index. Acknowledged is a list
//! of `{signature, reason, owner, until}`; a whole log line may stand for its signature.

use super::Known;
use super::counts::{field, index, limits};
use super::numbers::{query, url};
use crate::config::diagnostic::{Place, Sink};
use crate::config::fields::{Fields, duration, list, number, text, texts};
use crate::config::pins::time;
use crate::config::raw::At;
use crate::config::resolve::{host_path, line, local_path};
use crate::config::yaml::{self, Node};
use crate::gate::signature::signature;
use crate::gate::spec::Kind;
use crate::gate::spec::signatures::{Acknowledged, LogSource, Signatures};
use crate::model::limits::{LOG_FILES_MAX, SIGNATURE_INPUT_BYTES_MAX};
use std::path::{Path, PathBuf};

/// Its keys.
pub const SIGNATURES_KEYS: &[&str] = &[
    "files",
    "search",
    "requests_file",
    "look_back",
    "min_events",
    "min_hosts",
    "acknowledged",
    "newest_age",
    "tolerated_ratio",
    "alpha",
    "min_ratio",
    "max_ratio",
    "min_exposure",
    "sequential",
];

/// How long ago a signature may have been seen and is still known, unless said, ms: 30 days.
const LOOK_BACK_MS: u64 = 30 * 86_400_000;
/// With fewer events a new one is inconclusive, unless said.
const MIN_EVENTS: u64 = 3;
/// On fewer hosts too.
const MIN_HOSTS: u64 = 2;

/// A gate of kind signatures.
pub fn signatures(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let source = source(f);
    let look_back = f.optional("look_back", duration);
    let (events, hosts) = (f.optional("min_events", at_least_one), f.optional("min_hosts", at_least_one));
    let requests = f.optional("requests_file", text);
    let file = f.optional("acknowledged", text);
    let newest_age = f.optional("newest_age", duration);
    let limits = limits(f);
    let acknowledged = match file? {
        Some(file) => acknowledged(&file, known, f.sink)?,
        None => Vec::new(),
    };
    let requests_file = match requests? {
        Some(requests) if matches!(source, Some(LogSource::Search { .. })) => {
            f.sink.add(
                requests.place,
                "`requests_file` goes with `files`; with `search` no frequencies by request are compared",
            );
            return None;
        }
        Some(requests) => Some(host_path(&requests, "requests_file", f.sink)?),
        None => None,
    };
    Some(Kind::Signatures(Signatures {
        source: source?,
        requests_file,
        look_back_ms: look_back?.map_or(LOOK_BACK_MS, |at| at.value),
        min_events: events?.map_or(MIN_EVENTS, |at| at.value),
        newest_age_ms_max: newest_age?.map(|at| at.value),
        min_hosts: hosts?.map_or(MIN_HOSTS, |at| at.value),
        limits: limits?,
        acknowledged,
    }))
}

fn at_least_one(node: &Node, sink: &mut Sink) -> Option<u64> {
    let number = number(node, sink)?;
    if number == 0 {
        sink.add(node.place, "it is at least 1");
    }
    (number > 0).then_some(number)
}

fn source(f: &mut Fields<'_>) -> Option<LogSource> {
    let (files, search) = (f.optional("files", texts), f.optional("search", search));
    match (files?, search?) {
        (Some(files), None) => {
            let found: Vec<PathBuf> = files.value.iter().filter_map(|file| host_path(file, "files", f.sink)).collect();
            if files.value.is_empty() || files.value.len() > LOG_FILES_MAX {
                f.sink.add(files.place, format!("`files` names 1 to {LOG_FILES_MAX} log files"));
            }
            (found.len() == files.value.len()).then_some(LogSource::Files(found))
        }
        (None, Some(search)) => Some(search.value),
        (None, None) => {
            let hint = "`files: [/var/log/mediawiki/exception.log]`, or `search` for an index".to_owned();
            f.sink.hint(f.node.place, "a gate of kind signatures needs either `files` or `search`", Some(hint));
            None
        }
        (Some(_), Some(search)) => {
            f.sink.add(search.place, "`files` and `search` cannot stand together; make two gates");
            None
        }
    }
}

fn search(node: &Node, sink: &mut Sink) -> Option<LogSource> {
    let keys = ["server", "index", "query", "message", "host", "time"];
    let mut f = Fields::of(node, &keys, "search", sink)?;
    let (server, index) = (f.need("server", url), f.need("index", index));
    let query = f.optional("query", query);
    let mut field = |key, default: &str| Some(f.optional(key, field)?.map_or(default.to_owned(), |at| at.value));
    let (message, host, time) = (field("message", "message"), field("host", "host"), field("time", "@timestamp"));
    Some(LogSource::Search {
        server: server?.value,
        index: index?.value,
        query: query?.map_or("*".to_owned(), |at| at.value),
        message_field: message?,
        host_field: host?,
        time_field: time?,
    })
}

/// The entries of the file beside groups.yaml, also those that ended: that is said when the gate is asked.
fn acknowledged(file: &At<String>, known: &Known<'_>, sink: &mut Sink) -> Option<Vec<Acknowledged>> {
    local_path(file, known.base, sink)?;
    // As people named it, so that what is said of it is said in their words.
    let path = sink.file().parent().unwrap_or(Path::new("")).join(&file.value);
    let text = match (known.read)(&path) {
        Ok(text) => text,
        Err(error) => {
            sink.add(file.place, format!("{} cannot be read: {error}", path.display()));
            return None;
        }
    };
    let mut own = Sink::new(&path);
    let entries = match text.trim().is_empty() {
        true => Some(Vec::new()),
        false => yaml::read(&text, &mut own).and_then(|node| list(&node, "signatures", entry, &mut own)),
    };
    let mut found: Vec<Acknowledged> = Vec::new();
    for (entry, place) in entries.into_iter().flatten() {
        match found.iter().any(|other| other.signature == entry.signature) {
            true => own.add(place, "this signature is listed twice"),
            false => found.push(entry),
        }
    }
    let good = own.count() == 0;
    sink.absorb(own);
    good.then_some(found)
}

fn entry(node: &Node, sink: &mut Sink) -> Option<(Acknowledged, Place)> {
    let mut f = Fields::of(node, &["signature", "reason", "owner", "until"], "a signature", sink)?;
    let (written, reason) = (f.need("signature", text), f.need("reason", text));
    let (owner, until) = (f.need("owner", text), f.need("until", text));
    let masked = written.and_then(|written| masked(&written, f.sink));
    let reason = reason.and_then(|reason| line(&reason, "a reason", f.sink));
    let owner = owner.and_then(|owner| line(&owner, "an owner", f.sink));
    let until = until.and_then(|until| time(&until, f.sink));
    let entry = Acknowledged { signature: masked?, reason: reason?, owner: owner?, until: until? };
    Some((entry, node.place))
}

fn masked(written: &At<String>, sink: &mut Sink) -> Option<String> {
    let short = written.value.len() <= SIGNATURE_INPUT_BYTES_MAX;
    let masked = signature(&written.value).filter(|_| short);
    if masked.is_none() {
        sink.add(written.place, format!("a signature is one line of at most {SIGNATURE_INPUT_BYTES_MAX} bytes"));
    }
    masked
}
