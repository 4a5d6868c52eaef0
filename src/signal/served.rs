//! Which version a host really serves for a wiki: what is right on disk may be old in memory.

use super::ask::{self, few};
use super::http::{Ask, Deadline, Http};
use super::{Provider, World};
use crate::config::policy::Web;
use crate::gate::reading::{ReadError, Reading, What};
use crate::gate::scope::Scope;
use crate::gate::spec::probe::{Served, ServedField};
use crate::model::limits::{PROBE_PARALLEL_HOSTS_MAX, PROBE_WORDS_MAX};
use crate::model::names::{HostName, Version, Wiki};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Asks hosts for versions.
#[derive(Debug)]
pub struct Asker {
    served: Served,
    tls: bool,
    http: Result<Http, String>,
}

impl Asker {
    /// An asker.
    pub fn new(served: &Served, web: &Web) -> Self {
        Self { served: served.clone(), tls: web.tls, http: Http::new(web) }
    }

    async fn host<W: World>(
        &self,
        http: &Http,
        host: &HostName,
        world: &W,
    ) -> Result<BTreeMap<Wiki, Result<Version, String>>, String> {
        let (mut versions, deadline) = (BTreeMap::new(), Deadline::new(self.served.deadline_ms));
        let address = deadline.keep(world.web(host)).await?;
        for wiki in &self.served.wikis {
            versions.insert(wiki.clone(), self.version(http, address, wiki, &deadline).await);
        }
        Ok(versions)
    }

    async fn version(
        &self,
        http: &Http,
        address: SocketAddr,
        wiki: &Wiki,
        deadline: &Deadline,
    ) -> Result<Version, String> {
        let ask = Ask {
            address,
            tls: self.tls,
            host_header: self.served.host_headers.get(wiki).map_or(wiki.as_str(), String::as_str),
            method: "GET",
            path: &self.served.path,
            headers: Vec::new(),
            body: None,
        };
        let answer = http.ask(&ask, deadline).await?;
        let (place, found) = match &self.served.field {
            ServedField::Header(name) => (
                name.as_str(),
                answer.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            ),
            ServedField::Json(pointer) => {
                let body = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
                let text = body.as_ref().and_then(|body| body.pointer(pointer)).and_then(|value| value.as_str());
                (pointer.as_str(), text.map(str::to_owned))
            }
        };
        let found = found.ok_or_else(|| format!("status {}, and no {place} in the answer", answer.status))?;
        // Some say `php-1.27.0-wmf.11`, as the directory is named.
        let version = found.trim().strip_prefix("php-").unwrap_or(found.trim()).parse();
        version.map_err(|_| {
            format!(
                "{place} is `{}`, which is not a version",
                crate::gate::signature::harmless(&found, PROBE_WORDS_MAX)
            )
        })
    }
}

impl Provider for Asker {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let query = format!("GET {} on every host", self.served.path);
        let http = self.http.as_ref().map_err(|why| ReadError { query: query.clone(), why: ask::words(why) })?;
        // The others are not asked to serve anything yet.
        let answers = few(&scope.rolled, PROBE_PARALLEL_HOSTS_MAX, |host| self.host(http, host, world)).await;
        let silent = |why: String| self.served.wikis.iter().map(|wiki| (wiki.clone(), Err(why.clone()))).collect();
        let served = answers.into_iter().map(|(host, said)| (host, said.unwrap_or_else(silent))).collect();
        Ok(Reading { what: What::Served(served), query, window_ms: 0, newest_age_ms: None })
    }
}
