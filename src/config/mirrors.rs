//! The section `mirrors`: places that hold content by its hash, from which hosts fetch it.
//!
//! Invariant: no secret stands in groups.yaml. A URL with a login in it is refused, and so is one with a query, where
//! signatures stand.

use super::diagnostic::{Sink, did_you_mean};
use super::policy::{HostPolicy, MirrorPolicy, MirrorSource};
use super::raw::{At, MirrorEntry};
use super::resolve::local_path;
use crate::model::limits::{LINE_BYTES_MAX, MIRRORS_MAX};
use crate::model::names::HostName;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use url::Url;

/// Where mirrors are, in the order of the file.
pub fn mirrors(
    entries: &[MirrorEntry],
    hosts: &BTreeMap<HostName, HostPolicy>,
    base: &Path,
    sink: &mut Sink,
) -> Vec<MirrorPolicy> {
    let mut found: Vec<MirrorPolicy> = Vec::new();
    for entry in entries {
        let datacenters = datacenters(entry.datacenters.as_ref(), hosts, sink);
        let mut path = |at: &Option<At<String>>| at.as_ref().and_then(|at| local_path(at, base, sink));
        let (credentials, ca) = (path(&entry.credentials), path(&entry.ca));
        let Some(source) = source(entry, credentials, sink) else { continue };
        let name = entry.source.value.trim_end_matches('/').to_owned();
        if found.iter().any(|other| other.name == name) {
            sink.add(entry.source.place, format!("the mirror `{name}` is listed twice"));
        }
        if found.len() == MIRRORS_MAX {
            sink.add(entry.source.place, format!("there are more than {MIRRORS_MAX} mirrors"));
            break;
        }
        found.push(MirrorPolicy { name, source, datacenters, ca });
    }
    found
}

fn datacenters(
    names: Option<&At<Vec<At<String>>>>,
    hosts: &BTreeMap<HostName, HostPolicy>,
    sink: &mut Sink,
) -> BTreeSet<String> {
    let known: BTreeSet<&str> = hosts.values().map(|host| host.datacenter.as_str()).collect();
    let Some(names) = names else { return BTreeSet::new() };
    if names.value.is_empty() {
        sink.add(names.place, "at least one datacenter must stand here; without the key the mirror is for all");
    }
    for name in names.value.iter().filter(|name| !known.contains(name.value.as_str())) {
        let hint = did_you_mean(&name.value, known.iter().copied());
        sink.hint(name.place, format!("no host stands in the datacenter `{}`", name.value), hint);
    }
    names.value.iter().map(|name| name.value.clone()).collect()
}

fn source(entry: &MirrorEntry, credentials: Option<PathBuf>, sink: &mut Sink) -> Option<MirrorSource> {
    let url = url(&entry.source, &["s3", "https", "http"], sink)?;
    if url.scheme() != "s3" {
        let keys = [("region", &entry.region), ("endpoint", &entry.endpoint), ("credentials", &entry.credentials)];
        for (key, at) in keys {
            if let Some(at) = at {
                sink.add(at.place, format!("`{key}` belongs to a mirror whose `source` begins with `s3://`"));
            }
        }
        return Some(MirrorSource::Http { url: url.to_string().trim_end_matches('/').to_owned() });
    }
    let endpoint = match &entry.endpoint {
        Some(at) => Some(self::url(at, &["https", "http"], sink)?.to_string().trim_end_matches('/').to_owned()),
        None => None,
    };
    let region = entry.region.as_ref().map_or("us-east-1", |at| at.value.as_str());
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if let Some(at) = entry.region.as_ref().filter(|at| at.value.is_empty() || !at.value.chars().all(plain)) {
        sink.add(at.place, format!("`{}` is not a region: letters, digits and `-`", at.value));
    }
    Some(MirrorSource::S3 {
        bucket: url.host_str().unwrap_or_default().to_owned(),
        prefix: url.path().trim_matches('/').to_owned(),
        region: region.to_owned(),
        endpoint,
        credentials,
    })
}

fn url(at: &At<String>, schemes: &[&str], sink: &mut Sink) -> Option<Url> {
    let parsed =
        Some(at.value.as_str()).filter(|text| text.len() <= LINE_BYTES_MAX).and_then(|text| Url::parse(text).ok());
    let known = |url: &Url| schemes.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty());
    let Some(url) = parsed.filter(known) else {
        let schemes: Vec<String> = schemes.iter().map(|scheme| format!("`{scheme}://`")).collect();
        let hint = format!("it begins with {}", schemes.join(" or "));
        sink.hint(at.place, "this is not the address of a mirror", Some(hint));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "an S3 mirror's keys stand in the file that `credentials` names, or in the environment".to_owned();
        sink.hint(at.place, "a mirror's address may hold no login", Some(hint));
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        sink.add(at.place, "a mirror's address ends with its path, without `?` and `#`");
        return None;
    }
    Some(url)
}
