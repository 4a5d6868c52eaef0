//! A fleet of hosts for tests, and what a test may ask of it from outside.
//!
//! Every host has an address, a host key, a root and a home of its own. All see their root under one and the same path,
//! so that one groups.yaml serves them. Everything runs as root on this machine and is ended by process id.

use crate::site::Room;
use crate::sshd::{Broken, Host, run};
use pointsman::config;
use pointsman::config::policy::Policy;
use pointsman::fleet::{Fleet, Install, session::Session};
use pointsman::model::fault::Fault;
use pointsman::model::names::HostName;
use std::fs::{self, DirBuilder};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for anything on a busy machine; tests of deadlines use their own.
pub const LONG: Duration = Duration::from_secs(60);
/// The port of all hosts.
const PORT: u16 = 2222;

/// Hosts `mw001.test` to `mwNNN.test`, their groups.yaml and staging.
pub struct TestFleet {
    /// Where everything of this fleet lies; groups.yaml is in it.
    pub dir: TempDir,
    /// The hosts, in order of their names.
    pub hosts: Vec<Host>,
    /// What comes at the end of ssh's configuration file.
    pub more_ssh_config: String,
    /// groups.yaml of a whole site, instead of the small one that tests of the fleet alone need.
    pub site: Option<String>,
    /// What a whole site takes of the machine; others of this process wait for it.
    pub room: Option<Room>,
    /// Keeps other test runs away from our addresses.
    _reserved: TcpListener,
}

impl TestFleet {
    /// Starts `count` healthy hosts. Panics with what to install where that cannot be.
    pub fn ssh(count: usize) -> Self {
        Self::broken(&vec![None; count])
    }

    /// Starts one host for each entry, broken in its way.
    pub fn broken(hosts: &[Option<Broken>]) -> Self {
        require();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (net, reserved) = reserve();
        let mount = dir.path().join("host");
        for name in ["host", "hosts", "run"] {
            DirBuilder::new().mode(0o700).create(dir.path().join(name)).expect("it is new");
        }
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join("id")));
        fs::copy(dir.path().join("id.pub"), dir.path().join("hosts/authorized_keys")).expect("it was made");
        let host = |i: usize| {
            let address = Ipv4Addr::new(127, net[0], net[1], u8::try_from(i + 1).expect("at most 250 hosts"));
            let home = dir.path().join("hosts").join(format!("mw{:03}", i + 1));
            Host::new(home, &mount, SocketAddr::new(IpAddr::V4(address), PORT))
        };
        let hosts_made = (0..hosts.len()).map(host).collect();
        let mut fleet = Self {
            dir,
            hosts: hosts_made,
            more_ssh_config: String::new(),
            site: None,
            room: None,
            _reserved: reserved,
        };
        fleet.write_files(hosts);
        for (i, broken) in hosts.iter().enumerate() {
            fleet.hosts[i].start(*broken);
        }
        fleet
    }

    /// Breaks the host `i`, or heals it with `None`.
    pub fn set(&mut self, i: usize, broken: Option<Broken>) {
        let mut all = vec![None; self.hosts.len()];
        all[i] = broken;
        self.write_files(&all);
        self.hosts[i].start(broken);
    }

    /// The name of host `i`, counted from 0.
    pub fn name(&self, i: usize) -> HostName {
        format!("mw{:03}.test", i + 1).parse().expect("a legal name")
    }

    /// The path of groups.yaml.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("groups.yaml")
    }

    /// What groups.yaml means.
    pub fn policy(&self) -> Policy {
        config::load(&self.file()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// The fleet as the product opens it, with the agent that was built with it.
    pub fn open(&self) -> Fleet {
        self.open_with(Path::new(env!("CARGO_BIN_EXE_pointsman-agent")))
    }

    /// The same with another program as agent.
    pub fn open_with(&self, program: &Path) -> Fleet {
        Fleet::open_with(&self.policy(), &self.place(), program).expect("the fleet opens")
    }

    /// A program for hosts that is this shell script.
    pub fn script(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("script");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("the temporary directory takes it");
        path
    }

    /// Where control sockets are.
    pub fn place(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// A file of host `i` below its root, seen from outside; `None` when it is not there.
    pub fn file_of(&self, i: usize, path: &str) -> Option<Vec<u8>> {
        fs::read(self.hosts[i].root.join(path)).ok()
    }

    /// Connections that host `i` authenticated, by its sshd's own log.
    pub fn connections(&self, i: usize) -> usize {
        self.hosts[i].log().matches("Accepted publickey for root").count()
    }

    /// Commands that host `i` started, by its sshd's own log.
    pub fn sessions(&self, i: usize) -> usize {
        self.hosts[i].log().matches("Starting session: command").count()
    }

    /// Agents that lie in the home of host `i`, by name.
    pub fn agents(&self, i: usize) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.hosts[i].home.join(".pointsman")) else { return Vec::new() };
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        entries.flatten().map(name).collect()
    }

    fn write_files(&self, broken: &[Option<Broken>]) {
        let write = |name: &str, text: &str| {
            fs::write(self.dir.path().join(name), text).expect("the temporary directory takes it");
        };
        let unknown = |i: usize| broken[i] == Some(Broken::KeyUnknown);
        let known = self.hosts.iter().enumerate().filter(|(i, _)| !unknown(*i));
        write("known_hosts", &known.map(|(_, host)| host.known_hosts_line()).collect::<String>());
        write("groups.yaml", &self.site.clone().unwrap_or_else(|| self.groups()));
        self.write_ssh_config();
    }

    /// Writes ssh's configuration again, after [`Self::more_ssh_config`] was changed.
    pub fn write_ssh_config(&self) {
        let dir = self.dir.path().display();
        let text = format!(
            "IdentityFile {dir}/id\nIdentitiesOnly yes\nUserKnownHostsFile {dir}/known_hosts\n\
             GlobalKnownHostsFile /dev/null\n{}",
            self.more_ssh_config
        );
        fs::write(self.dir.path().join("ssh_config"), text).expect("the temporary directory takes it");
    }

    fn groups(&self) -> String {
        let dir = self.dir.path().display();
        let host = |(i, host): (usize, &Host)| {
            let role = if i == 0 { "canary" } else { "appserver" };
            let (name, address) = (self.name(i), host.address);
            format!(
                "  - {{name: {name}, roles: [{role}], datacenter: eqiad, user: root, address: {}, port: {}}}\n",
                address.ip(),
                address.port()
            )
        };
        let hosts: String = self.hosts.iter().enumerate().map(host).collect();
        format!(
            "deploy: {{root: {dir}/host/mediawiki, state: {dir}/host/state, staging: staging, books: books}}\n\
             wikis: [testwiki, enwiki]\n\
             groups:\n  - {{name: group0, wikis: [testwiki]}}\n  - {{name: group1, wikis: [enwiki]}}\n\
             hosts:\n{hosts}\
             limits: {{connect_ms_max: 3000}}\n\
             ssh: {{config: {dir}/ssh_config, kex: curve25519-sha256, keep: 0s}}\n"
        )
    }
}

/// Runs a test's conversation to its end.
pub fn run_async<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// Waits until something is so, while other work of the same runtime goes on.
pub async fn eventually(so: impl Fn() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < LONG, "it never is");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Connects and looks; the fault of a host that does not let us.
pub async fn look(fleet: &Fleet, host: &HostName, install: Install) -> Result<Session, Fault> {
    use pointsman::fleet::session::PeekError;
    use pointsman::model::protocol::Peek;
    let mut session = fleet.session(host, install).await?;
    let peek = Peek::at_state();
    match session.peek(peek, LONG).await {
        Ok(_) => Ok(session),
        Err(PeekError::Fault(fault)) => {
            session.close(LONG).await;
            Err(fault)
        }
        Err(PeekError::Refused(refusal)) => panic!("{host} refused a look: {refusal}"),
    }
}

/// What these tests need of the machine; they never pass without it.
fn require() {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "the fleet tests start sshd in mount namespaces: run them as root");
    for (tool, package) in [
        ("/usr/sbin/sshd", "openssh-server"),
        ("/usr/bin/ssh", "openssh-client"),
        ("/usr/bin/unshare", "util-linux"),
        ("/usr/bin/setarch", "util-linux"),
    ] {
        assert!(Path::new(tool).exists(), "the fleet tests need {tool}: type `apt-get install {package}`");
    }
    fs::create_dir_all("/run/sshd").expect("root may make it");
}

/// Two bytes of a loopback network that no other run has now; the listener holds it.
fn reserve() -> ([u8; 2], TcpListener) {
    for _ in 0..100 {
        let mut net = [0; 2];
        getrandom::fill(&mut net).expect("the kernel has randomness");
        let net = [net[0].clamp(1, 254), net[1]];
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::new(127, net[0], net[1], 254), PORT)) {
            return (net, listener);
        }
    }
    panic!("no free loopback network in a hundred tries");
}
