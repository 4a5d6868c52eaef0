//! A line of an access log: Apache's combined format with the virtual host before it, or one JSON document a line.
//!
//! Invariant: pure; a line that is neither gives `None`, never a guess.

use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// A request as a log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which site was asked, without a port: `de.m.wikipedia.org`.
    pub site: String,
    /// Which wiki, where the log says so itself.
    pub wiki: Option<String>,
    /// Which host answered, where the log says so itself.
    pub server: Option<String>,
    /// `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Who asked, as it calls itself.
    pub agent: String,
}

/// `VHOST:PORT CLIENT IDENT USER [TIME] "METHOD TARGET PROTOCOL" STATUS BYTES "REFERER" "AGENT"`.
static COMBINED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let quoted = r#""(?:[^"\\]|\\.)*""#;
    let line = format!(
        r#"^(?P<site>[A-Za-z0-9._-]+?)(?::\d+)? \S+ \S+ \S+ \[[^\]]*\] "(?P<method>[A-Z]+) (?P<target>(?:[^"\\]|\\.)*?)(?: HTTP/[\d.]+)?" \d{{3}} (?:\d+|-) {quoted} "(?P<agent>(?:[^"\\]|\\.)*)""#
    );
    Regex::new(&line).ok()
});

/// Reads one line; `None`: it is neither of the two.
pub fn parse(line: &str) -> Option<Request> {
    match line.trim_start().starts_with('{') {
        true => of_json(&serde_json::from_str(line).ok()?),
        false => of_combined(line),
    }
}

fn of_combined(line: &str) -> Option<Request> {
    let found = COMBINED.as_ref()?.captures(line)?;
    let part = |name| found.name(name).map(|part| part.as_str().to_owned());
    Some(Request {
        site: part("site")?.to_ascii_lowercase(),
        wiki: None,
        server: None,
        method: part("method")?,
        target: part("target")?,
        agent: part("agent")?,
    })
}

fn of_json(document: &Value) -> Option<Request> {
    let text = |keys: &[&str]| keys.iter().find_map(|key| document.get(key)?.as_str()).map(str::to_owned);
    let (site, wiki) = (text(&["vhost", "uri_host", "http_host", "domain"]), text(&["wiki", "wiki_db", "dbname"]));
    if site.is_none() && wiki.is_none() {
        return None;
    }
    let site = site.unwrap_or_default().to_ascii_lowercase();
    let mut target = text(&["url", "request_uri", "uri_path", "path", "uri"])?;
    target.push_str(&text(&["uri_query", "query"]).unwrap_or_default());
    Some(Request {
        site: site.split(':').next().unwrap_or_default().to_owned(),
        wiki,
        server: text(&["server", "hostname", "host"]),
        method: text(&["http_method", "method", "request_method"])?,
        target,
        agent: text(&["user_agent", "agent", "http_user_agent"]).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "Mozilla/5.0 (X11) \\\"x\\\"";

    #[test]
    fn both_forms_give_the_same() {
        let want = Request {
            site: "de.m.wikipedia.org".to_owned(),
            wiki: None,
            server: None,
            method: "GET".to_owned(),
            target: "/w/api.php?action=query".to_owned(),
            agent: AGENT.to_owned(),
        };
        let combined = format!(
            "de.m.wikipedia.org:443 10.0.0.1 - - [22/Jan/2016:01:48:00 +0000] \
             \"GET /w/api.php?action=query HTTP/1.1\" 200 12 \"-\" \"{AGENT}\""
        );
        assert_eq!(parse(&combined), Some(want.clone()));
        let json = r#"{"hostname":"mw1017","uri_host":"de.m.wikipedia.org","http_method":"GET","uri_path":"/w/api.php","uri_query":"?action=query","user_agent":"x"}"#;
        let of_json = Request { server: Some("mw1017".to_owned()), agent: "x".to_owned(), ..want };
        assert_eq!(parse(json), Some(of_json));
    }

    #[test]
    fn what_is_neither_is_not_guessed() {
        let lines = [
            "",
            "10.0.0.1 - - [22/Jan/2016:01:48:00 +0000] \"GET / HTTP/1.1\" 200 12 \"-\" \"x\"",
            "{\"uri_path\":\"/\"}",
            "{\"vhost\":\"x\",",
            "de.wikipedia.org 10.0.0.1 - - [22/Jan/2016] \"\\x16\\x03\" 400 0 \"-\" \"-\"",
        ];
        for line in lines {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
