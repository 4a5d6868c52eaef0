//! Scripted requests to the web server of every host in scope.
//!
//! Invariants. Each host has cookie jars of its own. A redirect is followed only when the step says so, and only on the
//! same name. A host that cannot be asked is unreachable, which is an error and neither good nor bad. A secret that a step
//! sends is read for that step, and no word of it is in what is said of an answer, also where a host sends it back; an answer is
//! judged as it came.

mod asserts;
mod secrets;
#[cfg(test)]
mod tests;

use self::secrets::Spoken;
use super::ask::{self, few};
use super::http::{self, Answer, Ask, Deadline, Http};
use super::{Provider, World};
use crate::config::policy::Web;
use crate::gate::reading::{ReadError, Reading, Shown, What};
use crate::gate::scope::Scope;
use crate::gate::spec::probe::{Journey, Probe, Step, Target};
use crate::model::limits::{COOKIES_MAX, PROBE_PARALLEL_HOSTS_MAX};
use crate::model::names::HostName;
use crate::model::secret::Secret;
use cookie_store::{CookieStore, StoreAction};
use reqwest::Url;
use reqwest::header::{LOCATION, SET_COOKIE};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Probes hosts.
#[derive(Debug)]
pub struct Prober {
    probe: Probe,
    tls: bool,
    http: Result<Http, String>,
}

/// One walk through a journey.
struct Walk {
    deadline: Deadline,
    spoken: Spoken,
}

/// The cookies of one jar, and those that the last answer removed.
#[derive(Debug, Default)]
pub struct Jar {
    store: CookieStore,
    cleared: BTreeSet<String>,
}

/// Why a journey did not end well.
enum Stop {
    Bad(String),
    Unreachable(String),
}

impl Prober {
    /// A prober of these journeys.
    pub fn new(probe: &Probe, web: &Web) -> Self {
        Self { probe: probe.clone(), tls: web.tls, http: Http::new(web) }
    }

    /// Tries until so many in a row were good, or bad, or the tries are used up.
    async fn host<W: World>(&self, http: &Http, host: &HostName, scope: &Scope, world: &W) -> Shown {
        let (mut good, mut bad, mut last) = (0, 0, Shown::Good);
        for _ in 0..self.probe.tries.max(self.probe.needed) {
            (good, bad, last) = match self.journeys(http, host, scope, world).await {
                Ok(()) => (good + 1, 0, Shown::Good),
                Err(Stop::Bad(why)) => (0, bad + 1, Shown::Bad(why)),
                Err(Stop::Unreachable(why)) => (0, bad + 1, Shown::Unreachable(why)),
            };
            if good >= self.probe.needed || bad >= self.probe.needed {
                return last;
            }
        }
        match last {
            Shown::Good => Shown::Bad(format!("never good {} times in a row", self.probe.needed)),
            last => last,
        }
    }

    async fn journeys<W: World>(&self, http: &Http, host: &HostName, scope: &Scope, world: &W) -> Result<(), Stop> {
        for journey in &self.probe.journeys {
            let walked = self.journey(http, journey, host, scope, world).await;
            let named = |why: String| format!("{}: {why}", journey.name);
            walked.map_err(|stop| match stop {
                Stop::Bad(why) => Stop::Bad(named(why)),
                Stop::Unreachable(why) => Stop::Unreachable(named(why)),
            })?;
        }
        Ok(())
    }

    async fn journey<W: World>(
        &self,
        http: &Http,
        journey: &Journey,
        host: &HostName,
        scope: &Scope,
        world: &W,
    ) -> Result<(), Stop> {
        let mut jars: BTreeMap<&str, Jar> = BTreeMap::new();
        let mut walk = Walk { deadline: Deadline::new(self.probe.deadline_ms), spoken: Spoken::default() };
        for (number, step) in journey.steps.iter().enumerate() {
            let target = match &step.target {
                Target::Scope => host.clone(),
                Target::Another => {
                    another(host, scope).ok_or_else(|| Stop::Unreachable("there is no other host".into()))?
                }
                Target::Named(named) => named.clone(),
            };
            let jar = jars.entry(step.jar.as_str()).or_default();
            let place = || format!("step {} ({} {} on {target})", number + 1, step.method, step.path);
            let (answer, ms) =
                self.step(http, step, &target, jar, world, &mut walk).await.map_err(|stop| match stop {
                    Stop::Bad(why) => Stop::Bad(format!("{}: {why}", place())),
                    Stop::Unreachable(why) => Stop::Unreachable(format!("{}: {why}", place())),
                })?;
            for assert in &step.asserts {
                if asserts::holds(assert, &answer, jar, ms).is_err() {
                    // Said of what may be seen. Where only a secret was wrong there, that is what is said.
                    let said = asserts::holds(assert, &walk.spoken.blotted(&answer), jar, ms).err();
                    let said =
                        said.unwrap_or_else(|| "what the host says in the place of a secret is wrong".to_owned());
                    return Err(Stop::Bad(format!("{}: {said}", place())));
                }
            }
        }
        Ok(())
    }

    /// One request, and the redirects that it may follow; the last answer, and the time of all together, ms.
    async fn step<W: World>(
        &self,
        http: &Http,
        step: &Step,
        target: &HostName,
        jar: &mut Jar,
        world: &W,
        walk: &mut Walk,
    ) -> Result<(Answer, u64), Stop> {
        let sent = secrets::sent(step).map_err(Stop::Unreachable)?;
        walk.spoken.note(step, &sent);
        let Walk { deadline, spoken } = walk;
        // A host that is too slow was asked; one that cannot be asked was not.
        let stopped = |why: String| match deadline.passed() {
            true => Stop::Bad(ask::words(&spoken.blot(&why))),
            false => Stop::Unreachable(ask::words(&spoken.blot(&why))),
        };
        let address = deadline.keep(world.web(target)).await.map_err(stopped)?;
        let began = Instant::now();
        let (mut method, mut path, mut body) = (step.method.clone(), step.path.clone(), step.body.as_deref());
        jar.cleared.clear();
        for _ in 0..=step.redirects_max {
            let (tls, host_header) = (step.tls.unwrap_or(self.tls), step.host_header.as_str());
            let mut ask = Ask { address, tls, host_header, method: &method, path: &path, headers: Vec::new(), body };
            let url = http::url(&ask).map_err(Stop::Unreachable)?;
            ask.headers = jar.headers(&sent, &url);
            let answer = http.ask(&ask, deadline).await.map_err(stopped)?;
            jar.take(&answer, &url);
            let ms = began.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
            match redirect(&answer, &url).filter(|_| step.redirects_max > 0) {
                None => return Ok((answer, ms)),
                Some(Err(why)) => return Err(Stop::Bad(ask::words(&spoken.blot(&why)))),
                Some(Ok(next)) => path = next,
            }
            // As browsers do: 303 asks anew, and so do 301 and 302 after a POST.
            if method != "HEAD" && (answer.status == 303 || method == "POST" && answer.status < 303) {
                (method, body) = ("GET".to_owned(), None);
            }
        }
        Err(Stop::Bad(format!("more than {} redirects", step.redirects_max)))
    }
}

impl Provider for Prober {
    async fn read<W: World>(&mut self, scope: &Scope, world: &W) -> Result<Reading, ReadError> {
        let names: Vec<&str> = self.probe.journeys.iter().map(|journey| journey.name.as_str()).collect();
        let query = names.join(", ");
        let failed = |why: &String| ReadError { query: query.clone(), why: ask::words(why) };
        let http = self.http.as_ref().map_err(failed)?;
        let (hosts, this) = (scope.hosts(), &*self);
        let shown =
            few(&hosts, PROBE_PARALLEL_HOSTS_MAX, |host| async move { Ok(this.host(http, host, scope, world).await) })
                .await;
        let shown = shown.into_iter().map(|(host, shown)| (host, shown.unwrap_or_else(Shown::Unreachable))).collect();
        Ok(Reading { what: What::Probed(shown), query, window_ms: 0, newest_age_ms: None })
    }
}

/// The next host of the same side, in the order of names.
fn another<'a>(host: &HostName, scope: &'a Scope) -> Option<HostName> {
    let side: &'a BTreeSet<HostName> = if scope.rolled.contains(host) { &scope.rolled } else { &scope.control };
    let next = side.range::<HostName, _>((std::ops::Bound::Excluded(host), std::ops::Bound::Unbounded)).next();
    next.or_else(|| side.first()).filter(|other| *other != host).cloned()
}

/// Where an answer redirects to: a path on the same name, or why it is not followed.
fn redirect(answer: &Answer, from: &Url) -> Option<Result<String, String>> {
    if ![301, 302, 303, 307, 308].contains(&answer.status) {
        return None;
    }
    let location = answer.headers.get(LOCATION)?;
    let to = location.to_str().ok().and_then(|to| from.join(to).ok());
    Some(match to {
        Some(to) if to.origin() == from.origin() => {
            Ok(to[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
        }
        Some(to) => Err(format!("it redirects to {to}, which is not followed")),
        None => Err("it redirects to no URL".to_owned()),
    })
}

impl Jar {
    /// The headers of a step and the cookies of this jar, in one header with those that the step itself sends.
    fn headers<'a>(&self, own: &[(&'a str, Secret)], url: &Url) -> Vec<(&'a str, Secret)> {
        let is_cookie = |(name, _): &&(&str, Secret)| name.eq_ignore_ascii_case("cookie");
        let (own, others): (Vec<_>, Vec<_>) = own.iter().partition(is_cookie);
        let kept = self.store.get_request_values(url).map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = own.into_iter().map(|(_, value)| value.expose().to_owned()).chain(kept).collect();
        let mut headers: Vec<(&str, Secret)> = others.into_iter().cloned().collect();
        if !cookies.is_empty() {
            headers.push(("cookie", Secret::new(cookies.join("; "))));
        }
        headers
    }

    fn take(&mut self, answer: &Answer, url: &Url) {
        for value in answer.headers.get_all(SET_COOKIE).iter().take(COOKIES_MAX) {
            let Ok(text) = value.to_str() else { continue };
            let name = text.split(['=', ';']).next().unwrap_or_default().trim().to_owned();
            let stored = self.store.parse(text, url);
            // A removal may be for a cookie that this jar never had.
            if matches!(stored, Ok(StoreAction::ExpiredExisting) | Err(cookie_store::CookieError::Expired)) {
                self.cleared.insert(name);
            }
        }
    }

    /// Whether the jar holds a cookie of this name.
    pub fn has(&self, name: &str) -> bool {
        self.store.iter_unexpired().any(|cookie| cookie.name() == name)
    }

    /// Whether the last answer removed it.
    pub fn was_cleared(&self, name: &str) -> bool {
        self.cleared.contains(name)
    }
}
