//! What one host of the web tier does with one request: pages, `/login`, `/logout` and `/whoami`.
//!
//! `GET /login?user=NAME` begins a session and sets the cookie, `GET` or `POST /logout` ends it, `/whoami` says in JSON
//! who the cookie stands for. How sessions are treated is the version's business, see [`super::session`]. Every request
//! is a line in the host's access log, and whatever goes wrong one in its error log.
//!
//! Invariant: it blocks for no longer than a few small files take to read, and knows nothing of other hosts but their
//! common sessions.

use super::answer::{Answer, answer};
use super::log::{Line, Logs, Mishap};
use super::session::{COOKIE, LOST, Manners, Sessions};
use crate::model::names::{HostName, Version, Wiki};
use crate::model::time::Time;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// One host.
#[derive(Debug)]
pub struct Server {
    /// Its name.
    pub host: HostName,
    /// What it serves from.
    pub root: PathBuf,
    /// Where it writes what it did.
    pub logs: Logs,
    /// Of the whole fleet.
    pub sessions: Arc<Sessions>,
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The wiki that it asks for; `None`: what it named is none.
    pub wiki: Option<Wiki>,
    /// `GET`, `HEAD` or `POST`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// Without the `?`; empty when there is none.
    pub query: String,
    /// The value of the session's cookie.
    pub cookie: Option<String>,
    /// What the client calls itself.
    pub agent: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The version that answered.
    pub version: Option<Version>,
    /// A whole Set-Cookie header.
    pub set_cookie: Option<String>,
    /// Whether [`Reply::body`] is JSON.
    pub json: bool,
    /// The page.
    pub body: String,
}

impl Reply {
    fn text(status: u16, body: String) -> Self {
        Self { status, version: None, set_cookie: None, json: false, body }
    }
}

impl Server {
    /// Answers a request and writes it down.
    pub fn serve(&self, at: Time, asked: &Asked) -> Reply {
        let wiki = asked.wiki.as_ref().map_or("-", Wiki::as_str);
        let (reply, mishap) = self.reply(asked);
        if let Some(mishap) = mishap {
            self.logs.mishap(at, wiki, &self.host, &mishap);
        }
        let whole = match asked.query.is_empty() {
            true => asked.path.clone(),
            false => format!("{}?{}", asked.path, asked.query),
        };
        let (status, bytes) = (reply.status, reply.body.len());
        let (method, path, agent) = (asked.method.as_str(), whole.as_str(), asked.agent.as_str());
        self.logs.request(&Line { at, wiki, method, path, status, bytes, agent });
        reply
    }

    fn reply(&self, asked: &Asked) -> (Reply, Option<Mishap>) {
        let Some(wiki) = &asked.wiki else { return (Reply::text(404, "no wiki this here\n".to_owned()), None) };
        let host = &self.host;
        let (version, title, manners) = match answer(&self.root, wiki) {
            Answer::Page { version, title, manners } => (version, title, manners),
            Answer::UnknownWiki => return (Reply::text(404, format!("no wiki {wiki} here\n")), None),
            Answer::Broken(why) => {
                return (Reply::text(500, format!("{wiki} from {host}: {why}\n")), Some(mishap(&why)));
            }
        };
        let user = asked.cookie.as_deref().and_then(|cookie| self.sessions.user(cookie));
        let is_lost = asked.cookie.is_some() && user.is_none();
        if is_lost && !manners.lost_is_anonymous {
            let (class, message) = LOST;
            let mishap = Mishap { channel: "session", class: class.to_owned(), message: message.to_owned() };
            let reply = Reply::text(500, format!("{wiki} from {host}: {class}: {message}\n"));
            return (Reply { version: Some(version), ..reply }, Some(mishap));
        }
        let reply = match asked.path.as_str() {
            "/login" => self.login(asked),
            "/logout" => self.logout(asked, manners),
            "/whoami" => (None, json!({"user": user})),
            _ => {
                let page = Reply::text(200, format!("{title}\n{wiki} {version} from {host}\n"));
                return (Reply { version: Some(version), ..page }, None);
            }
        };
        let (set_cookie, body) = reply;
        (Reply { status: 200, version: Some(version), set_cookie, json: true, body: format!("{body}\n") }, None)
    }

    fn login(&self, asked: &Asked) -> (Option<String>, serde_json::Value) {
        let user = asked.query.split('&').find_map(|pair| pair.strip_prefix("user=")).unwrap_or("Visitor");
        let cookie = self.sessions.begin(user, &self.host);
        let user = self.sessions.user(&cookie);
        (Some(format!("{COOKIE}={cookie}; Path=/; HttpOnly")), json!({"user": user}))
    }

    fn logout(&self, asked: &Asked, manners: Manners) -> (Option<String>, serde_json::Value) {
        let ended = asked.cookie.as_deref().is_none_or(|cookie| self.sessions.end(cookie, &self.host, manners));
        let cleared = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly");
        // Where the session goes on, so does its cookie; the page says the same in both cases, which is the bug.
        (ended.then_some(cleared), json!({"logged_out": true}))
    }
}

fn mishap(why: &str) -> Mishap {
    let (class, message) = match why.split_once(": ") {
        Some((class, message)) if class.ends_with("Exception") => (class, message),
        _ => ("ErrorException", why),
    };
    Mishap { channel: "exception", class: class.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{fixture, log, reinstall};
    use crate::fleet::local;

    /// Two hosts of which each serves `enwiki` by its own version, with their common sessions.
    fn pair(versions: [&str; 2]) -> (tempfile::TempDir, [Server; 2]) {
        let (directory, site) = fixture::site();
        let names: [HostName; 2] =
            ["mw1017.eqiad.wmnet", "mw2020.codfw.wmnet"].map(|name| name.parse().expect("a host"));
        let sessions = Arc::new(Sessions::default());
        let map = fixture::serving(&[], &site, |map| map);
        let mut servers = names.into_iter().zip(versions).map(|(host, version)| {
            let mut map = map.clone();
            map.0.values_mut().for_each(|v| *v = version.parse().expect("a version"));
            let directory = site.hosts()[&host].clone();
            reinstall::serve(&site, &directory, &map).expect("it is filled");
            let below = |path: &str| local::below(&directory, std::path::Path::new(path));
            let logs = Logs::new(below(log::ACCESS), below(log::ERRORS));
            Server { host, root: site.root(&directory), logs, sessions: sessions.clone() }
        });
        let both = [servers.next().expect("two"), servers.next().expect("two")];
        drop(servers);
        (directory, both)
    }

    fn ask(server: &Server, path: &str, cookie: Option<&str>) -> Reply {
        let wiki = "enwiki".parse().ok();
        let (method, cookie) = ("GET".to_owned(), cookie.map(str::to_owned));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        server.serve(Time(0), &Asked { wiki, method, path, query, cookie, agent: "test".to_owned() })
    }

    fn login(server: &Server) -> String {
        let set = ask(server, "/login?user=Alice", None).set_cookie.expect("a cookie is set");
        let (cookie, attributes) = set.split_once(';').expect("it has attributes");
        assert_eq!(attributes, " Path=/; HttpOnly");
        cookie.strip_prefix("demoSession=").expect("its name").to_owned()
    }

    fn who(server: &Server, cookie: &str) -> String {
        ask(server, "/whoami", Some(cookie)).body.trim().to_owned()
    }

    #[test]
    fn a_logout_elsewhere_clears_the_cookie_on_the_old_version_and_not_on_the_new_one() {
        let (_directory, [a, b]) = pair(["1.27.0-wmf.10", "1.27.0-wmf.11"]);
        let cookie = login(&b);
        assert_eq!(who(&a, &cookie), r#"{"user":"Alice"}"#);
        let out = ask(&a, "/logout", Some(&cookie));
        assert_eq!(out.set_cookie.as_deref(), Some("demoSession=; Path=/; Max-Age=0; HttpOnly"));
        assert_eq!(who(&a, &cookie), r#"{"user":null}"#);
        let cookie = login(&a);
        let out = ask(&b, "/logout", Some(&cookie));
        assert_eq!((out.status, out.set_cookie), (200, None));
        assert_eq!(out.body, "{\"logged_out\":true}\n", "it says so, and it is not so");
        assert_eq!(who(&b, &cookie), r#"{"user":"Alice"}"#);
    }

    #[test]
    fn a_lost_session_is_a_new_signature_on_the_new_version_only() {
        let (_directory, [a, b]) = pair(["1.27.0-wmf.10", "1.27.0-wmf.11"]);
        let lost = Some("00000000deadbeef");
        assert_eq!(ask(&a, "/wiki/Main_Page", lost).status, 200);
        let failed = ask(&b, "/wiki/Main_Page", lost);
        assert_eq!(failed.status, 500);
        assert_eq!(ask(&b, "/wiki/Main_Page", None).status, 200, "others see nothing of it");
        let logged = |server: &Server, name: &str| {
            let host = server.root.ancestors().nth(2).expect("the host's directory");
            std::fs::read_to_string(local::below(host, std::path::Path::new(name))).unwrap_or_default()
        };
        assert_eq!(logged(&a, log::ERRORS), "");
        let line = logged(&b, log::ERRORS);
        let signature = crate::gate::signature::signature(line.trim()).expect("an event");
        assert_eq!(signature, format!("session: {}: {}", LOST.0, LOST.1));
        assert_eq!(logged(&b, log::ACCESS).lines().count(), 2);
    }
}
