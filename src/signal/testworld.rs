//! A world of hosts in memory, with a clock that stands still until a test moves it.

use super::World;
use crate::agent::Agent;
use crate::agent::memfs::MemFs;
use crate::gate::scope::Scope;
use crate::model::fault::Fault;
use crate::model::names::HostName;
use crate::model::question::{Answer, Question};
use crate::model::time::Time;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Hosts that answer, by name; others do not.
pub struct Memory {
    pub hosts: RefCell<BTreeMap<HostName, Agent<MemFs>>>,
    pub now: Cell<Time>,
}

impl Memory {
    pub fn new(hosts: &[&str]) -> Self {
        let hosts = hosts.iter().enumerate().map(|(n, host)| (name(host), Agent::new(MemFs::new(n as u64))));
        Self { hosts: RefCell::new(hosts.collect()), now: Cell::new(Time(0)) }
    }

    pub fn on(&self, host: &str, change: impl FnOnce(&mut MemFs)) {
        change(&mut self.hosts.borrow_mut().get_mut(&name(host)).expect("a host").fs);
    }

    /// Writes lines to a log file.
    pub fn write(&self, host: &str, file: &str, lines: &[&str]) {
        let now = self.now.get().0;
        self.on(host, |fs| lines.iter().for_each(|line| fs.host.append(file, format!("{line}\n").as_bytes(), now)));
    }

    pub fn at(&self, ms: u64) {
        self.now.set(Time(ms));
        self.hosts.borrow_mut().values_mut().for_each(|agent| agent.fs.clock_ms = ms);
    }
}

impl World for Memory {
    async fn ask(&self, host: &HostName, question: Question, _: Duration) -> Result<Answer, Fault> {
        tokio::task::yield_now().await;
        self.hosts.borrow().get(host).map(|agent| agent.answer(&question)).ok_or(Fault::Refused)
    }

    async fn web(&self, _: &HostName) -> Result<SocketAddr, String> {
        Err("no web server here".to_owned())
    }

    fn now(&self) -> Time {
        self.now.get()
    }
}

pub fn name(host: &str) -> HostName {
    host.parse().expect("a legal name")
}

pub fn scope(rolled: &[&str], control: &[&str], since: u64) -> Scope {
    let names = |hosts: &[&str]| hosts.iter().map(|host| name(host)).collect();
    let wiki = |wiki: &str| {
        (wiki.parse().expect("legal"), ("group0".parse().expect("legal"), "1.27.0-wmf.11".parse().expect("legal")))
    };
    Scope {
        others: Default::default(),
        rolled: names(rolled),
        control: names(control),
        group: None,
        version: None,
        wikis: BTreeMap::from([wiki("dewiki"), wiki("enwiki")]),
        since: Time(since),
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
