//! The fleet that is worked on: sshd hosts, a site of pointsman and two trees, and looks at the hosts from outside.

use crate::measure::{self, Ended, peak_of};
use crate::sshd::{Host, run};
use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The port of all hosts.
const PORT: u16 = 2222;
/// The first tree, as a component.
pub const OLD: &str = "php-1.27.0-wmf.10";
/// The next one.
pub const NEW: &str = "php-1.27.0-wmf.11";
/// The 20 KB file of W2, below staging.
pub const FILE: &str = "wmf-config/bench.txt";

/// A fleet, its site and the trees.
pub struct Site {
    dir: TempDir,
    /// The hosts.
    pub hosts: Vec<Host>,
    trees: PathBuf,
    kex: String,
}

impl Drop for Site {
    /// Ends the masters that are kept, so that nothing is left of a benchmark.
    fn drop(&mut self) {
        let masters = self.masters("run/");
        for pid in masters.iter().filter_map(|pid| rustix::process::Pid::from_raw(i32::try_from(*pid).ok()?)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        while masters.iter().any(|pid| measure::memory_of(*pid).is_some()) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Site {
    /// Starts `count` hosts for the trees `v1` and `v2` below `trees`. `below`: where hosts have their files.
    pub fn start(count: usize, trees: &Path, below: Option<&Path>, kex: &str) -> Self {
        let dir = below.map_or_else(TempDir::new, TempDir::new_in).expect("a temporary directory");
        for name in ["host", "hosts", "run", "staging"] {
            fs::DirBuilder::new().mode(0o700).create(dir.path().join(name)).expect("it is new");
        }
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join("id")));
        fs::copy(dir.path().join("id.pub"), dir.path().join("hosts/authorized_keys")).expect("it was made");
        let net = u8::try_from(std::process::id() % 250 + 1).expect("below 251");
        let address = |i: usize| Ipv4Addr::new(127, net, 9, u8::try_from(i + 1).expect("at most 250 hosts"));
        let host = |i: usize| {
            let home = dir.path().join("hosts").join(format!("mw{:03}", i + 1));
            Host::new(home, &dir.path().join("host"), SocketAddr::new(IpAddr::V4(address(i)), PORT))
        };
        let hosts: Vec<Host> = (0..count).map(host).collect();
        let mut site = Self { dir, hosts, trees: trees.to_owned(), kex: kex.to_owned() };
        site.write_files();
        site.hosts.iter_mut().for_each(|host| host.start(None));
        site
    }

    /// Something in the site's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The name of host `i`, counted from 0.
    pub fn name(&self, i: usize) -> String {
        format!("mw{:03}.test", i + 1)
    }

    /// The source of a component: [`OLD`] is `v1`, [`NEW`] is `v2`.
    pub fn tree(&self, component: &str) -> PathBuf {
        self.trees.join(if component == OLD { "v1" } else { "v2" })
    }

    fn write_files(&self) {
        let kex = &self.kex;
        let put = |name: &str, text: &str| fs::write(self.path(name), text).expect("the temporary directory takes it");
        put("known_hosts", &self.hosts.iter().map(Host::known_hosts_line).collect::<String>());
        let dir = self.dir.path().display();
        let mut ssh = format!(
            "IdentityFile {dir}/id\nIdentitiesOnly yes\nUserKnownHostsFile {dir}/known_hosts\n\
             GlobalKnownHostsFile /dev/null\n"
        );
        put("ssh_config", &ssh);
        // What peers use: the same options as pointsman's own, and where each host is.
        ssh += "BatchMode yes\nStrictHostKeyChecking yes\nUpdateHostKeys no\nLogLevel ERROR\nUser root\n";
        let kex_line = if kex == "default" { String::new() } else { format!("KexAlgorithms {kex}\n") };
        ssh += &kex_line;
        for (i, host) in self.hosts.iter().enumerate() {
            let (name, ip, port) = (self.name(i), host.address.ip(), host.address.port());
            let _ = writeln!(ssh, "Host {name}\n  HostName {ip}\n  Port {port}");
        }
        put("ssh_config.peers", &ssh);
        let mux = format!("ControlMaster auto\nControlPath {dir}/run/p-%h\nControlPersist 10m\n");
        put("ssh_config.mux", &(mux + &ssh));
        self.keep(false);
    }

    /// From now on pointsman keeps its connections, or makes new ones for each command.
    pub fn keep(&self, keep: bool) {
        let (dir, keep) = (self.dir.path().display(), if keep { "10m" } else { "0s" });
        let mut hosts = String::new();
        for (i, host) in self.hosts.iter().enumerate() {
            let (name, ip, port) = (self.name(i), host.address.ip(), host.address.port());
            let _ = writeln!(
                hosts,
                "  - {{name: {name}, roles: [appserver], datacenter: a, user: root, address: {ip}, port: {port}}}"
            );
        }
        let kex = if self.kex == "default" { String::new() } else { format!(", kex: {}", self.kex) };
        fs::write(
            self.path("groups.yaml"),
            format!(
                "deploy: {{root: {dir}/host/mediawiki, state: {dir}/host/state, staging: staging, books: books}}\n\
                 wikis: [testwiki, enwiki]\ngroups:\n  - {{name: group0, wikis: [testwiki]}}\n  \
                 - {{name: group1, wikis: [enwiki]}}\nconfiguration: [wmf-config]\nhosts:\n{hosts}\
                 limits: {{parallel_hosts_max: 250, connect_ms_max: 60000, command_ms_max: 300000}}\n\
                 ssh: {{config: {dir}/ssh_config{kex}, keep: {keep}}}\n"
            ),
        )
        .expect("the temporary directory takes it");
    }

    /// Forgets books and content, empties every host (its agent stays) and puts the first tree into staging.
    pub fn reset(&self) {
        for name in ["books", "staging"] {
            let _ = fs::remove_dir_all(self.path(name));
        }
        self.empty_hosts();
        fs::create_dir_all(self.path("staging/wmf-config")).expect("staging is ours");
        fs::write(self.path("staging").join(FILE), "").expect("staging is ours");
        let map = format!("{{\n    \"enwiki\": \"{OLD}\",\n    \"testwiki\": \"{OLD}\"\n}}\n");
        fs::write(self.path("staging/wikiversions.json"), map).expect("staging is ours");
        self.stage(OLD);
    }

    /// Empties every host's root.
    pub fn empty_hosts(&self) {
        for host in &self.hosts {
            for entry in fs::read_dir(&host.root).expect("it is there").flatten() {
                fs::remove_dir_all(entry.path()).expect("it is ours");
            }
            fs::create_dir(host.root.join("mediawiki")).expect("it is empty");
        }
    }

    /// Puts a tree into staging.
    pub fn stage(&self, component: &str) {
        let to = self.path("staging").join(component);
        run(Command::new("cp").arg("-a").arg(self.tree(component)).arg(to));
    }

    /// Runs pointsman; whether it ended with `code`. Otherwise what it said is shown.
    pub fn pointsman(&self, args: &[&str], code: i32) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("-C").arg(self.dir.path()).args(args).stdin(Stdio::null());
        command.env("HOME", self.dir.path()).env("XDG_RUNTIME_DIR", self.path("run"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("pointsman starts");
        let pid = child.id();
        let watch = std::thread::spawn(move || {
            let mut peak = None;
            while let Some(now) = peak_of(pid) {
                peak = Some(now);
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        let output = child.wait_with_output().expect("it is our child");
        let memory = watch.join().expect("it only reads");
        let right = output.status.code() == Some(code);
        if !right {
            let said = [output.stdout, output.stderr].concat();
            eprintln!("pointsman {args:?} ended with {:?}:\n{}", output.status.code(), String::from_utf8_lossy(&said));
        }
        Ended { worked: right, memory }
    }

    /// Process ids of ssh masters whose sockets are below `below` in the site's directory; the path is in their title.
    pub fn masters(&self, below: &str) -> Vec<u32> {
        let path = self.path(below).display().to_string();
        let pids = fs::read_dir("/proc").expect("procfs is mounted").flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is = |pid: &u32| {
            let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            title.starts_with(b"ssh") && String::from_utf8_lossy(&title).contains(&path)
        };
        pids.filter(is).collect()
    }

    /// Whether every host's directory `below` (relative to its root) holds what `tree` holds, and nothing else.
    pub fn all_hold(&self, below: &str, tree: &Path) -> bool {
        self.hosts.iter().all(|host| {
            let mut diff = Command::new("diff");
            diff.args(["-r", "-q", "--no-dereference"]).arg(tree).arg(host.root.join(below));
            diff.output().is_ok_and(|output| output.status.success())
        })
    }

    /// Whether every host has these bytes there.
    pub fn all_have(&self, below: &str, bytes: &[u8]) -> bool {
        self.hosts.iter().all(|host| fs::read(host.root.join(below)).is_ok_and(|found| found == bytes))
    }

    /// Whether every host serves so many wikis from `component`.
    pub fn all_serve(&self, component: &str, count: usize) -> bool {
        self.hosts.iter().all(|host| {
            let map = fs::read_to_string(host.root.join("mediawiki/wikiversions.php")).unwrap_or_default();
            map.matches(&format!("'{component}'")).count() == count
        })
    }
}
