//! Visitors: a few hundred requests a second in all, so that gates have something to count.
//!
//! They are real requests over HTTP, to every host alike, for wikis of all groups. One in four comes with a session
//! that is lost, as browsers do that were left open over the night; what a version makes of those is its own business.
//!
//! Invariant: the same seed gives the same visitors in the same order. It has at most one request a host under way, and
//! is at work for no more than half of the time, however slow the machine is. Nothing is remembered of the answers.

use super::session;
use super::web::Ports;
use crate::config::policy::Policy;
use crate::model::limits::{DEMO_PAGE_BYTES_MAX, DEMO_PAGE_MS_MAX};
use crate::model::names::Wiki;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// From one request to the next of a host.
const PERIOD: Duration = Duration::from_millis(25);
/// One visitor in so many brings a session that is lost.
const LOST_OF: u64 = 4;
/// What is asked for, and who asks.
const VISITS: [(&str, &str); 4] = [
    ("/wiki/Main_Page", "Mozilla/5.0 (X11; Linux x86_64; rv:43.0) Gecko/20100101 Firefox/43.0"),
    ("/wiki/Special:Random", "Mozilla/5.0 (iPhone; CPU iPhone OS 9_2 like Mac OS X)"),
    ("/api.php?action=query", "ExampleBot/1.0"),
    ("/wiki/Main_Page", "WikipediaApp/2.1.136 (Android 5.1; Phone)"),
];

/// Visitors of a fleet.
#[derive(Debug)]
pub struct Traffic {
    ports: Vec<u16>,
    groups: Vec<Vec<Wiki>>,
    random: Random,
}

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of them; `None` when there are none.
    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let n = u64::try_from(all.len()).ok().filter(|n| *n > 0)?;
        usize::try_from(self.next() % n).ok().and_then(|n| all.get(n))
    }
}

impl Traffic {
    /// Visitors of the wikis of `policy`; each group has as many.
    pub fn new(policy: &Policy, ports: &Ports) -> Self {
        let groups = policy.groups.iter().map(|group| group.wikis.iter().cloned().collect()).collect();
        Self { ports: ports.values().copied().collect(), groups, random: Random(20_160_123) }
    }

    /// Visits for ever; ends only by being dropped.
    pub async fn run(mut self) {
        loop {
            let began = Instant::now();
            let mut visits = JoinSet::new();
            for port in self.ports.clone() {
                if let Some(request) = self.request() {
                    let within = Duration::from_millis(DEMO_PAGE_MS_MAX);
                    visits.spawn(async move { timeout(within, visit(port, &request)).await });
                }
            }
            while visits.join_next().await.is_some() {}
            let took = began.elapsed();
            tokio::time::sleep(PERIOD.saturating_sub(took).max(took)).await;
        }
    }

    /// The next visitor's request.
    fn request(&mut self) -> Option<String> {
        let wiki = self.random.of(&self.groups).cloned()?;
        let wiki = self.random.of(&wiki)?.clone();
        let (path, agent) = self.random.of(&VISITS)?;
        let cookie = match self.random.next() % LOST_OF {
            0 => format!("Cookie: {}=ffffffffffffffff\r\n", session::COOKIE),
            _ => String::new(),
        };
        Some(format!("GET {path} HTTP/1.1\r\nHost: {wiki}\r\nUser-Agent: {agent}\r\n{cookie}Connection: close\r\n\r\n"))
    }
}

/// Asks once and reads the answer; what it says, and whether there is one, is for the logs of the host.
async fn visit(port: u16, request: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(request.as_bytes()).await?;
    tokio::io::copy(&mut stream.take(DEMO_PAGE_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fixture;

    #[test]
    fn visitors_come_in_the_same_order_and_to_every_group() {
        let policy = fixture::policy();
        let visitors = || {
            let mut traffic = Traffic::new(&policy, &Ports::new());
            (0..900).filter_map(|_| traffic.request()).collect::<Vec<String>>()
        };
        let seen = visitors();
        assert_eq!(seen, visitors());
        let lost = seen.iter().filter(|request| request.contains("Cookie: ")).count();
        assert!((180..270).contains(&lost), "about one in four: {lost}");
        for group in &policy.groups {
            let ours = |request: &&String| group.wikis.iter().any(|w| request.contains(&format!("Host: {w}\r\n")));
            let n = seen.iter().filter(ours).count();
            assert!((230..370).contains(&n), "about a third: {} {n}", group.name);
        }
    }
}
