//! The web tier: one small HTTP server a host, on a free port of this machine.
//!
//! `GET /` with `Host: <wiki>`, or `GET /w/<wiki>`, answers with the version in `X-Wiki-Version` and the host in
//! `X-Served-By`. What is answered is [`super::serve`]'s business.
//!
//! Invariant: it listens on 127.0.0.1 only, answers a bounded number of requests at a time, and reads no more than a
//! request's headers.

use super::error::{DemoError, Result};
use super::log::{self, Logs};
use super::serve::{Asked, Reply, Server};
use super::session::{self, Sessions};
use super::site::Site;
use crate::fleet::local;
use crate::model::limits::{DEMO_CONNECTIONS_MAX, DEMO_PAGE_MS_MAX};
use crate::model::names::{HostName, Wiki};
use crate::model::time::Time;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The port of each host's web server, on 127.0.0.1.
pub type Ports = BTreeMap<HostName, u16>;

/// A running web tier; it ends when this is dropped.
#[derive(Debug)]
pub struct Web {
    /// Where it listens.
    pub ports: Ports,
    servers: JoinSet<()>,
}

/// Where a host's things lie on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it serves from.
    pub root: PathBuf,
    /// Its access log.
    pub access: PathBuf,
    /// Its error log.
    pub errors: PathBuf,
}

impl Place {
    /// The places of every host of a site.
    pub fn of(site: &Site) -> BTreeMap<HostName, Self> {
        let place = |directory: PathBuf| {
            let below = |path: &str| local::below(&directory, Path::new(path));
            Self { root: site.root(&directory), access: below(log::ACCESS), errors: below(log::ERRORS) }
        };
        site.hosts().into_iter().map(|(host, directory)| (host, place(directory))).collect()
    }
}

/// Starts a server for every host.
///
/// # Errors
///
/// No port can be had.
pub async fn start(hosts: BTreeMap<HostName, Place>) -> Result<Web> {
    let mut web = Web { ports: Ports::new(), servers: JoinSet::new() };
    let gate = Arc::new(Semaphore::new(DEMO_CONNECTIONS_MAX));
    let sessions = Arc::new(Sessions::default());
    for (host, place) in hosts {
        let failed = |error| DemoError::Web(format!("cannot listen for {host}: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        web.ports.insert(host.clone(), listener.local_addr().map_err(failed)?.port());
        let logs = Logs::new(place.access, place.errors);
        let server = Server { host, root: place.root, logs, sessions: sessions.clone() };
        web.servers.spawn(listen(listener, Arc::new(server), gate.clone()));
    }
    Ok(web)
}

impl Web {
    /// Serves for ever; ends only by being dropped.
    pub async fn serve(&mut self) {
        while self.servers.join_next().await.is_some() {}
    }
}

async fn listen(listener: TcpListener, server: Arc<Server>, gate: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = gate.clone().acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that went away before it was taken is not ours to mourn.
                let Ok((stream, _)) = accepted else { continue };
                let server = Arc::clone(&server);
                connections.spawn(async move {
                    converse(stream, &server).await;
                    drop(permit);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers what comes over one connection.
async fn converse(stream: TcpStream, server: &Arc<Server>) {
    let service = service_fn(|request| respond(request, server));
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(DEMO_PAGE_MS_MAX)).keep_alive(false);
    let serving = connection.serve_connection(TokioIo::new(stream), service);
    // A client that hangs up or talks nonsense ends its own connection, and nobody else's.
    drop(tokio::time::timeout(Duration::from_millis(2 * DEMO_PAGE_MS_MAX), serving).await);
}

async fn respond(
    request: Request<Incoming>,
    server: &Arc<Server>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let asked = asked(&request);
    let posts = asked.path == "/login" || asked.path == "/logout";
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if !(reads || posts && request.method() == Method::POST) {
        let allowed = if posts { "GET, HEAD, POST" } else { "GET, HEAD" };
        let refused = Response::builder().status(405).header(ALLOW, allowed);
        return Ok(refused.body(Full::default()).expect("its parts are constant"));
    }
    let serving = Arc::clone(server);
    let served = tokio::task::spawn_blocking(move || serving.serve(clock(), &asked)).await;
    let failed = |error| Reply {
        status: 500,
        version: None,
        set_cookie: None,
        json: false,
        body: format!("the server failed: {error}\n"),
    };
    Ok(show(served.unwrap_or_else(failed), &server.host))
}

/// The clock of this machine, for log lines.
fn clock() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What matters of a request.
fn asked<B>(request: &Request<B>) -> Asked {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let cookies = header(COOKIE).unwrap_or_default().split(';');
    let ours = |pair: &str| pair.trim().strip_prefix(session::COOKIE)?.strip_prefix('=').map(str::to_owned);
    Asked {
        wiki: wiki_of(request),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        cookie: cookies.into_iter().find_map(ours),
        agent: header(USER_AGENT).unwrap_or("-").to_owned(),
    }
}

/// The wiki that a request asks for: `/w/<wiki>`, else by its `Host`, whose port does not matter.
fn wiki_of<B>(request: &Request<B>) -> Option<Wiki> {
    if let Some(wiki) = request.uri().path().strip_prefix("/w/") {
        return wiki.parse().ok();
    }
    let host = request.headers().get(HOST)?.to_str().ok()?;
    host.split(':').next()?.parse().ok()
}

fn show(reply: Reply, host: &HostName) -> Response<Full<Bytes>> {
    let kind = if reply.json { "application/json" } else { "text/plain; charset=utf-8" };
    let mut response = Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, "private, must-revalidate, max-age=0")
        .header("X-Served-By", host.as_str());
    if let Some(version) = &reply.version {
        response = response.header("X-Wiki-Version", version.as_str());
    }
    if let Some(cookie) = &reply.set_cookie {
        response = response.header(SET_COOKIE, cookie);
    }
    response.body(Full::new(Bytes::from(reply.body))).expect("names are valid in headers by their grammar")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn wiki(path: &str, host: &str) -> Option<String> {
        let request = Request::builder().uri(path).header(HOST, host).body(()).expect("a request");
        wiki_of(&request).map(|wiki| wiki.to_string())
    }

    #[test]
    fn only_what_follows_the_grammar_of_wikis_is_looked_up() {
        assert_eq!(wiki("/", "enwiki").as_deref(), Some("enwiki"));
        assert_eq!(wiki("/x", "enwiki:8080").as_deref(), Some("enwiki"));
        assert_eq!(wiki("/w/dewiki?x", "enwiki").as_deref(), Some("dewiki"));
        for path in ["/w/../../etc/passwd", "/w/", "/w/%2e%2e", "/w/enwiki/..", "/w/-rf"] {
            assert_eq!(wiki(path, "enwiki"), None, "{path}");
        }
        for host in ["", "..", "../x", "EN", "a.b"] {
            assert_eq!(wiki("/", host), None, "{host}");
        }
    }

    /// Sends bytes and returns the whole answer, without the date.
    async fn raw(port: u16, sent: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("it listens");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_session_is_found_among_cookies() {
        let cookie = |cookies: &str| {
            let request = Request::builder().uri("/whoami?x=1").header(HOST, "enwiki").header(COOKIE, cookies);
            asked(&request.body(()).expect("a request")).cookie
        };
        assert_eq!(cookie("a=b; demoSession=7").as_deref(), Some("7"));
        assert_eq!(cookie("demoSessionX=7; xdemoSession=8"), None);
    }

    #[tokio::test]
    async fn a_server_survives_what_is_not_a_question() {
        let directory = tempfile::tempdir().expect("a directory");
        let host: HostName = "mw2020.codfw.wmnet".parse().expect("a host");
        let root = directory.path().join("root");
        let (access, errors) = (directory.path().join("access.log"), directory.path().join("error.log"));
        let places = [(host.clone(), Place { root, access: access.clone(), errors })];
        let web = start(places.into()).await.expect("it starts");
        let port = web.ports[&host];
        assert!(raw(port, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
        assert!(raw(port, "POST / HTTP/1.1\r\nHost: enwiki\r\n\r\n").await.starts_with("HTTP/1.1 405"));
        expect_test::expect![[r#"
            HTTP/1.1 500 Internal Server Error
            content-type: text/plain; charset=utf-8
            cache-control: private, must-revalidate, max-age=0
            x-served-by: mw2020.codfw.wmnet
            connection: close
            content-length: 65

            enwiki from mw2020.codfw.wmnet: no wikiversions.php on this host"#]]
        .assert_eq(&raw(port, "GET / HTTP/1.1\r\nHost: enwiki\r\n\r\n").await);
        assert!(raw(port, "GET /w/.. HTTP/1.1\r\nHost: enwiki\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(raw(port, "POST /logout HTTP/1.1\r\nHost: enwiki\r\n\r\n").await.starts_with("HTTP/1.1 500"));
        let log = std::fs::read_to_string(access).expect("it is written");
        assert_eq!(log.lines().count(), 3, "what was answered is written down: {log}");
    }
}
