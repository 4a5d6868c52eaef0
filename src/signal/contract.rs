//! What caches, proxies and browsers rely on: fixed URLs, candidate hosts against baseline hosts.

use super::ask::{self, few};
use super::http::{Answer, Ask, Deadline, Http};
use super::{Provider, World};
use crate::config::policy::Web;
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::spec::probe::Contract;
use crate::model::limits::{PROBE_PARALLEL_HOSTS_MAX, PROBE_WORDS_MAX};
use crate::model::names::HostName;
use crate::model::ranges::fold;
use std::collections::{BTreeMap, BTreeSet};

/// Headers that are compared anyway.
const HEADERS: [&str; 4] = ["cache-control", "pragma", "vary", "set-cookie"];

/// The value of a header that is not there.
const ABSENT: &str = "absent";

/// Compares answers.
#[derive(Debug)]
pub struct Comparer {
    contract: Contract,
    tls: bool,
    http: Result<Http, String>,
}

/// Of one host: URL and header (or `status`) to what it is.
type Terms = BTreeMap<(String, String), String>;

impl Comparer {
    /// A comparer.
    pub fn new(contract: &Contract, web: &Web) -> Self {
        Self { contract: contract.clone(), tls: web.tls, http: Http::new(web) }
    }

    async fn host<W: World>(&self, http: &Http, host: &HostName, world: &W) -> Result<Terms, String> {
        let deadline = Deadline::new(self.contract.deadline_ms);
        let address = deadline.keep(world.web(host)).await?;
        let mut terms = Terms::new();
        for (host_header, path) in &self.contract.urls {
            let ask = Ask { address, tls: self.tls, host_header, method: "GET", path, headers: Vec::new(), body: None };
            let answer = http.ask(&ask, &deadline).await?;
            let url = format!("{host_header}{path}");
            terms.insert((url.clone(), "status".to_owned()), answer.status.to_string());
            let more = self.contract.headers.iter().map(String::as_str);
            for name in HEADERS.into_iter().chain(more) {
                terms.insert((url.clone(), name.to_owned()), value(&answer, name));
            }
        }
        Ok(terms)
    }

    /// A line for each thing that rolled hosts answer and no baseline host does.
    fn differences(&self, rolled: &BTreeMap<HostName, Terms>, control: &BTreeMap<HostName, Terms>) -> Vec<String> {
        let mut baseline: BTreeMap<&(String, String), BTreeSet<&str>> = BTreeMap::new();
        for (place, value) in control.values().flatten() {
            baseline.entry(place).or_default().insert(value);
        }
        let mut found: BTreeMap<(&(String, String), &str), Vec<HostName>> = BTreeMap::new();
        for (host, terms) in rolled {
            for (place, value) in terms {
                let expected = self.contract.expected.get(&place.1) == Some(value);
                if !expected && !baseline.get(place).is_some_and(|values| values.contains(value.as_str())) {
                    found.entry((place, value)).or_default().push(host.clone());
                }
            }
        }
        let line = |(((url, name), value), hosts): ((&(String, String), &str), Vec<HostName>)| {
            let before = baseline.get(&(url.clone(), name.clone())).into_iter().flatten();
            let before: Vec<String> = before.map(|value| shown(value)).collect();
            format!("{url}: {name} was {}, is {} on {}", before.join(" or "), shown(value), fold(&hosts))
        };
        found.into_iter().map(line).collect()
    }
}

/// A value for people: compared is the whole of it, shown its beginning.
fn shown(value: &str) -> String {
    match value {
        ABSENT => value.to_owned(),
        _ => format!("`{}`", crate::gate::signature::harmless(value, PROBE_WORDS_MAX)),
    }
}

/// A header's values as they are compared; of cookies the names and attributes, since their values differ anyway.
fn value(answer: &Answer, name: &str) -> String {
    let mut values: Vec<String> = answer
        .headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .map(|value| if name == "set-cookie" { attributes(&value) } else { value })
        .collect();
    values.sort();
    match values.is_empty() {
        true => ABSENT.to_owned(),
        false => values.join(", "),
    }
}

/// `session; HttpOnly; Path=/` of `session=abc; path=/; httponly; expires=...`.
fn attributes(cookie: &str) -> String {
    let mut parts = cookie.split(';').map(str::trim);
    let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default().to_owned();
    let mut kept: Vec<String> = parts
        .map(|part| match part.split_once('=') {
            // When it expires moves with the clock; that it does is kept.
            Some((key, _)) if key.eq_ignore_ascii_case("expires") => "expires".to_owned(),
            Some((key, value)) => format!("{}={value}", key.to_ascii_lowercase()),
            None => part.to_ascii_lowercase(),
        })
        .collect();
    kept.sort();
    std::iter::once(name).chain(kept).collect::<Vec<_>>().join("; ")
}

impl Provider for Comparer {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let urls: Vec<String> = self.contract.urls.iter().map(|(host, path)| format!("{host}{path}")).collect();
        let query = urls.join(", ");
        let failed = |why: &str| ReadError { query: query.clone(), why: ask::words(why) };
        let http = self.http.as_ref().map_err(|why| failed(why))?;
        let hosts = scope.hosts();
        let answers = few(&hosts, PROBE_PARALLEL_HOSTS_MAX, |host| self.host(http, host, world)).await;
        let (mut rolled, mut control) = (BTreeMap::new(), BTreeMap::new());
        for (host, answer) in answers {
            let terms = answer.map_err(|why| failed(&format!("{host}: {why}")))?;
            if scope.rolled.contains(&host) { &mut rolled } else { &mut control }.insert(host, terms);
        }
        if rolled.is_empty() || control.is_empty() {
            return Err(failed("there is no host to compare with"));
        }
        let differences = self.differences(&rolled, &control);
        Ok(Reading { what: What::Contract(differences), query, window_ms: 0, newest_age_ms: None })
    }
}
