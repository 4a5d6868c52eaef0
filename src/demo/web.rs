//! The web tier: one small HTTP server a host, on a free port of this machine.
//!
//! `GET /` with `Host: <wiki>`, or `GET /w/<wiki>`, answers with the version in `X-Wiki-Version` and the host in
//! `X-Served-By`. What is answered is [`super::answer`]'s business.
//!
//! Invariant: it listens on 127.0.0.1 only, answers a bounded number of requests at a time, and reads no more than a
//! request's headers.

use super::answer::{Answer, answer};
use super::error::{DemoError, Result};
use crate::model::limits::{DEMO_CONNECTIONS_MAX, DEMO_PAGE_MS_MAX};
use crate::model::names::{HostName, Wiki};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
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

/// Starts a server for every host and its root directory.
///
/// # Errors
///
/// No port can be had.
pub async fn start(roots: BTreeMap<HostName, PathBuf>) -> Result<Web> {
    let mut web = Web { ports: Ports::new(), servers: JoinSet::new() };
    let gate = Arc::new(Semaphore::new(DEMO_CONNECTIONS_MAX));
    for (host, root) in roots {
        let failed = |error| DemoError::Web(format!("cannot listen for {host}: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        web.ports.insert(host.clone(), listener.local_addr().map_err(failed)?.port());
        web.servers.spawn(listen(listener, host, root, gate.clone()));
    }
    Ok(web)
}

impl Web {
    /// Serves for ever; ends only by being dropped.
    pub async fn serve(&mut self) {
        while self.servers.join_next().await.is_some() {}
    }
}

async fn listen(listener: TcpListener, host: HostName, root: PathBuf, gate: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = gate.clone().acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that went away before it was taken is not ours to mourn.
                let Ok((stream, _)) = accepted else { continue };
                let (host, root) = (host.clone(), root.clone());
                connections.spawn(async move {
                    converse(stream, &host, &root).await;
                    drop(permit);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers what comes over one connection.
async fn converse(stream: TcpStream, host: &HostName, root: &Path) {
    let service = service_fn(|request| respond(request, host, root));
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(DEMO_PAGE_MS_MAX)).keep_alive(false);
    let serving = server.serve_connection(TokioIo::new(stream), service);
    // A client that hangs up or talks nonsense ends its own connection, and nobody else's.
    drop(tokio::time::timeout(Duration::from_millis(2 * DEMO_PAGE_MS_MAX), serving).await);
}

async fn respond(
    request: Request<Incoming>,
    host: &HostName,
    root: &Path,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(Response::builder()
            .status(405)
            .header(ALLOW, "GET, HEAD")
            .body(Full::default())
            .expect("its parts are constant"));
    }
    let (wiki, root) = (wiki_of(&request), root.to_owned());
    let found = match wiki.clone() {
        None => Answer::UnknownWiki,
        Some(wiki) => {
            let failed = |error| Answer::Broken(format!("the server failed: {error}"));
            tokio::task::spawn_blocking(move || answer(&root, &wiki)).await.unwrap_or_else(failed)
        }
    };
    Ok(show(&found, wiki.as_ref(), host))
}

/// The wiki that a request asks for: `/w/<wiki>`, else by its `Host`, whose port does not matter.
fn wiki_of<B>(request: &Request<B>) -> Option<Wiki> {
    if let Some(wiki) = request.uri().path().strip_prefix("/w/") {
        return wiki.parse().ok();
    }
    let host = request.headers().get(HOST)?.to_str().ok()?;
    host.split(':').next()?.parse().ok()
}

fn show(answer: &Answer, wiki: Option<&Wiki>, host: &HostName) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(answer.status())
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header("X-Served-By", host.as_str());
    let wiki = wiki.map_or("this", Wiki::as_str);
    let (response, text) = match answer {
        Answer::Page { version, title } => {
            (response.header("X-Wiki-Version", version.as_str()), format!("{title}\n{wiki} {version} from {host}\n"))
        }
        Answer::UnknownWiki => (response, format!("no wiki {wiki} here\n")),
        Answer::Broken(why) => (response, format!("{wiki} from {host}: {why}\n")),
    };
    response.body(Full::new(Bytes::from(text))).expect("names are valid in headers by their grammar")
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

    #[tokio::test]
    async fn a_server_survives_what_is_not_a_question() {
        let directory = tempfile::tempdir().expect("a directory");
        let host: HostName = "mw2020.codfw.wmnet".parse().expect("a host");
        let web = start([(host.clone(), directory.path().to_owned())].into()).await.expect("it starts");
        let port = web.ports[&host];
        assert!(raw(port, "nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
        assert!(raw(port, "POST / HTTP/1.1\r\nHost: enwiki\r\n\r\n").await.starts_with("HTTP/1.1 405"));
        expect_test::expect![[r#"
            HTTP/1.1 500 Internal Server Error
            content-type: text/plain; charset=utf-8
            x-served-by: mw2020.codfw.wmnet
            connection: close
            content-length: 65

            enwiki from mw2020.codfw.wmnet: no wikiversions.php on this host"#]]
        .assert_eq(&raw(port, "GET / HTTP/1.1\r\nHost: enwiki\r\n\r\n").await);
        assert!(raw(port, "GET /w/.. HTTP/1.1\r\nHost: enwiki\r\n\r\n").await.starts_with("HTTP/1.1 404"));
    }
}
