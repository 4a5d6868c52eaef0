//! Asks every host over HTTP what it really serves, and shows it as a table.
//!
//! Invariant: an answer is taken from the page's own header, never from a file or the books; a host that says nothing
//! within its deadline, or too much, is a row that says so. No proxy of the environment and no redirect is followed.

use super::web::Ports;
use crate::config::policy::Policy;
use crate::model::limits::{DEMO_PAGE_BYTES_MAX, DEMO_PAGE_MS_MAX};
use crate::model::map::VersionMap;
use crate::model::names::{HostName, Version, Wiki};
use crate::model::ranges::fold;
use reqwest::header::HOST;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;

/// What a host said when it was asked for a wiki.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// It served a page of this version.
    Version(Version),
    /// It answered with this status.
    Status(u16),
    /// It did not answer, or not with anything that makes sense.
    Nothing,
}

/// Which host said what of which wiki.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The wikis asked for, in the order of columns.
    pub wikis: Vec<Wiki>,
    /// One entry a wiki for every host.
    pub rows: BTreeMap<HostName, Vec<Said>>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => f.pad(version.as_str()),
            Self::Status(status) => f.pad(&format!("HTTP {status}")),
            Self::Nothing => f.pad("no answer"),
        }
    }
}

impl Table {
    /// How many pages there were of each answer.
    pub fn counts(&self) -> BTreeMap<Said, usize> {
        let mut counts = BTreeMap::new();
        for said in self.rows.values().flatten() {
            *counts.entry(said.clone()).or_default() += 1;
        }
        counts
    }

    /// Every answer that is not a page of the version that `expected` has for the wiki.
    pub fn unlike<'a>(&'a self, expected: &'a VersionMap) -> impl Iterator<Item = (&'a HostName, &'a Wiki, &'a Said)> {
        let wrong = |wiki: &Wiki, said: &Said| match (said, expected.0.get(wiki)) {
            (Said::Version(version), Some(want)) => version != want,
            _ => true,
        };
        let answers = move |(host, row): (&'a HostName, &'a Vec<Said>)| {
            self.wikis.iter().zip(row).map(move |(wiki, said)| (host, wiki, said))
        };
        self.rows.iter().flat_map(answers).filter(move |(_, wiki, said)| wrong(wiki, said))
    }
}

/// Hosts that say the same share a line.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut same: BTreeMap<&Vec<Said>, Vec<HostName>> = BTreeMap::new();
        for (host, row) in &self.rows {
            same.entry(row).or_default().push(host.clone());
        }
        let hosts: Vec<(String, &Vec<Said>)> = same.into_iter().map(|(row, hosts)| (fold(&hosts), row)).collect();
        let first = hosts.iter().map(|(hosts, _)| hosts.len()).max().unwrap_or(0);
        let width = |n: usize| {
            let cells = hosts.iter().filter_map(|(_, row)| row.get(n)).map(|said| said.to_string().len());
            cells.chain([self.wikis[n].as_str().len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.wikis.len()).map(width).collect();
        let line = |head: &str, cells: Vec<String>| {
            let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:width$}"));
            format!("{head:first$}{}", cells.collect::<String>()).trim_end().to_owned()
        };
        writeln!(f, "{}", line("", self.wikis.iter().map(Wiki::to_string).collect()))?;
        for (hosts, row) in &hosts {
            writeln!(f, "{}", line(hosts, row.iter().map(Said::to_string).collect()))?;
        }
        Ok(())
    }
}

/// The wikis worth asking for: the first of each pinned one, and up to `per_group` others of each group.
pub fn sample(policy: &Policy, per_group: usize) -> Vec<Wiki> {
    let pinned = |wiki: &&Wiki| policy.pins.wikis.contains_key(*wiki);
    let mut found: Vec<Wiki> = policy.pins.wikis.keys().take(1).cloned().collect();
    for group in &policy.groups {
        found.extend(group.wikis.iter().filter(|wiki| !pinned(wiki)).take(per_group).cloned());
    }
    found
}

/// Asks every host for every wiki, all hosts at the same time.
///
/// # Errors
///
/// No HTTP client can be made on this machine.
pub async fn ask(ports: &Ports, wikis: &[Wiki]) -> reqwest::Result<Table> {
    // A client wants one even where it never speaks TLS; another part of the program may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_millis(DEMO_PAGE_MS_MAX))
        .build()?;
    let mut asking = JoinSet::new();
    for (host, port) in ports.clone() {
        let (client, wikis) = (client.clone(), wikis.to_vec());
        asking.spawn(async move {
            let mut row = Vec::new();
            for wiki in &wikis {
                row.push(page(&client, &host, port, wiki).await.unwrap_or(Said::Nothing));
            }
            (host, row)
        });
    }
    Ok(Table { wikis: wikis.to_vec(), rows: asking.join_all().await.into_iter().collect() })
}

/// Asks one server for one page; `None` when the answer makes no sense.
async fn page(client: &reqwest::Client, host: &HostName, port: u16, wiki: &Wiki) -> Option<Said> {
    let request = client.get(format!("http://127.0.0.1:{port}/")).header(HOST, wiki.as_str());
    let mut response = request.send().await.ok()?;
    let headers = response.headers().clone();
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.ok()? {
        bytes += chunk.len() as u64;
        if bytes > DEMO_PAGE_BYTES_MAX {
            return None;
        }
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match response.status().as_u16() {
        // Another program may listen where the web tier did.
        _ if header("X-Served-By") != Some(host.as_str()) => None,
        200 => header("X-Wiki-Version")?.parse().ok().map(Said::Version),
        status => Some(Said::Status(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{fixture, reinstall, trees, web};
    use expect_test::expect;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn wikis(names: &[&str]) -> Vec<Wiki> {
        names.iter().map(|name| name.parse().expect("a wiki")).collect()
    }

    #[tokio::test]
    async fn hosts_are_asked_and_those_that_say_the_same_share_a_line() {
        let (_directory, site) = fixture::site();
        let hosts = site.hosts();
        let names: Vec<&HostName> = hosts.keys().collect();
        fixture::serving(&names, &site, |map| map);
        let bad: HostName = "mw2020.codfw.wmnet".parse().expect("a host");
        let tree = site.root(&hosts[&bad]).join("php-1.27.0-wmf.10");
        std::fs::remove_dir_all(tree.join(trees::BUILT)).expect("removed");
        let dead: HostName = "mw1017.eqiad.wmnet".parse().expect("a host");
        std::fs::remove_file(site.root(&hosts[&dead]).join(reinstall::SERVED)).expect("removed");
        let web = web::start(web::Place::of(&site)).await.expect("it starts");
        let table = ask(&web.ports, &wikis(&["testwiki", "labswiki", "nowiki", "nosuchwiki"])).await.expect("asked");
        expect![[r#"
                                                                  testwiki       labswiki      nowiki         nosuchwiki
            mw[2016-2019].codfw.wmnet, mw[1018-1023].eqiad.wmnet  1.27.0-wmf.10  1.27.0-wmf.9  1.27.0-wmf.10  HTTP 404
            mw2020.codfw.wmnet                                    HTTP 500       1.27.0-wmf.9  HTTP 500       HTTP 404
            mw1017.eqiad.wmnet                                    HTTP 500       HTTP 500      HTTP 500       HTTP 500
        "#]]
        .assert_eq(&table.to_string());
        assert_eq!(table.counts()[&Said::Status(500)], 6);
        let ports = web.ports.clone();
        drop(web);
        let silent = ask(&ports, &wikis(&["testwiki"])).await.expect("asked");
        assert!(silent.rows.values().all(|row| row == &[Said::Nothing]), "{silent}");
    }

    /// A server that answers one request with these bytes, and then `pieces` times the same kilobyte.
    async fn stranger(head: &'static str, pieces: usize) -> Ports {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.expect("a request");
            }
            let mut sent = stream.write_all(head.as_bytes()).await;
            for _ in 0..pieces {
                sent = sent.and(stream.write_all(&[b'x'; 1024]).await);
            }
            drop(sent);
        });
        [("mw2020.codfw.wmnet".parse().expect("a host"), port)].into()
    }

    #[tokio::test]
    async fn strangers_and_endless_pages_are_no_answer() {
        let good = "HTTP/1.1 200 OK\r\nX-Served-By: mw2020.codfw.wmnet\r\nX-Wiki-Version: 1.27.0-wmf.10\r\n\r\n";
        let other = "HTTP/1.1 200 OK\r\nX-Served-By: mw1017\r\nX-Wiki-Version: 1.27.0-wmf.10\r\n\r\n";
        let no_version = "HTTP/1.1 200 OK\r\nX-Served-By: mw2020.codfw.wmnet\r\nX-Wiki-Version: ../..\r\n\r\n";
        for (head, pieces, want) in [
            (good, 1, "1.27.0-wmf.10"),
            (good, 65, "no answer"),
            (other, 1, "no answer"),
            (no_version, 1, "no answer"),
            ("SSH-2.0-x\r\n\r\n", 0, "no answer"),
        ] {
            let table = ask(&stranger(head, pieces).await, &wikis(&["enwiki"])).await.expect("asked");
            let said: Vec<String> = table.rows.into_values().flatten().map(|said| said.to_string()).collect();
            assert_eq!(said, [want], "{head} {pieces}");
        }
    }

    #[test]
    fn the_sample_has_every_group_and_a_pinned_wiki() {
        let policy = fixture::policy();
        let sample = sample(&policy, 2);
        assert_eq!(sample.len(), 7);
        assert_eq!(sample[0].as_str(), "labswiki");
        for group in &policy.groups {
            assert!(sample.iter().filter(|wiki| group.wikis.contains(wiki)).count() >= 2, "{}", group.name);
        }
    }
}
