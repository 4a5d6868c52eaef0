//! Connections that are kept for the next command: what each host's sshd logged decides whether one was used again.

use crate::harness::{LONG, TestFleet, look, run_async};
use crate::sshd::Broken;
use pointsman::fleet::Install;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a process may take to end, or to stop, after it was told to.
const END_MAX: Duration = Duration::from_secs(20);

/// Hosts whose connections are kept; what still runs of these is ended with the fleet.
struct Keeping {
    fleet: TestFleet,
    masters: Vec<Pid>,
}

impl Keeping {
    fn new(count: usize) -> Self {
        let keeping = Self { fleet: TestFleet::ssh(count), masters: Vec::new() };
        keeping.change("keep: 0s", "keep: 10m");
        keeping
    }

    /// Replaces something in groups.yaml.
    fn change(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.fleet.file()).expect("the harness wrote it");
        assert!(text.contains(from), "{text}");
        fs::write(self.fleet.file(), text.replace(from, to)).expect("it is ours");
    }

    /// One command's worth of talk with each host; one line a host.
    fn look(&mut self) -> String {
        let opened = self.fleet.open();
        let mut said = String::new();
        for i in 0..self.fleet.hosts.len() {
            let host = self.fleet.name(i);
            said += &run_async(async {
                match look(&opened, &host, Install::IfMissing).await {
                    Ok(session) => {
                        session.close(LONG).await;
                        "ready ".to_owned()
                    }
                    Err(fault) => format!("{fault} "),
                }
            });
        }
        drop(opened);
        let known = self.sockets().into_iter().filter_map(|socket| master(&socket));
        let known: Vec<Pid> = known.filter(|pid| !self.masters.contains(pid)).collect();
        self.masters.extend(known);
        said.trim_end().to_owned()
    }

    /// Control sockets of kept connections.
    fn sockets(&self) -> Vec<PathBuf> {
        self.instances().into_iter().map(|dir| dir.join("master")).filter(|socket| socket.exists()).collect()
    }

    /// Directories of kept connections.
    fn instances(&self) -> Vec<PathBuf> {
        let below = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let kept = |dir: &PathBuf| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("k-"));
        below(self.fleet.place()).filter(kept).flat_map(below).collect()
    }

    fn connections(&self) -> Vec<usize> {
        (0..self.fleet.hosts.len()).map(|i| self.fleet.connections(i)).collect()
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        for pid in self.masters.iter().filter(|pid| is_master(**pid)) {
            let _ = kill_process(*pid, Signal::KILL);
        }
    }
}

/// The process id of the master of a socket, as ssh itself asks for it.
fn master(socket: &PathBuf) -> Option<Pid> {
    let output = Command::new("timeout").args(["2", "ssh", "-O", "check", "-S"]).arg(socket).arg("x").output();
    let said = String::from_utf8(output.expect("ssh is there").stderr).expect("it says UTF-8");
    let pid = said.split("pid=").nth(1)?.split(')').next()?;
    Pid::from_raw(pid.parse().expect("a number"))
}

/// Whether a process is still an ssh master.
fn is_master(pid: Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
    name.trim() == "ssh" && test_kill_process(pid).is_ok()
}

/// Waits until something is so.
pub fn until(what: impl Fn() -> bool) {
    let since = Instant::now();
    while !what() {
        assert!(since.elapsed() < END_MAX, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_second_command_opens_no_new_connection() {
    let mut keeping = Keeping::new(2);
    assert_eq!(keeping.look(), "ready ready");
    let sessions = keeping.fleet.sessions(0);
    for n in 1..=3 {
        assert_eq!(keeping.look(), "ready ready");
        assert_eq!((keeping.connections(), keeping.fleet.sessions(0)), (vec![1, 1], sessions + n));
    }
    let modes = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    for socket in keeping.sockets() {
        assert_eq!((modes(socket.clone()), modes(socket.with_file_name(""))), (0o600, 0o700));
    }
    assert_eq!(keeping.masters.len(), 2);
    // As docs/connections.md says.
    let line = "for s in \"$XDG_RUNTIME_DIR\"/pointsman/k-*/c*/master; do ssh -S \"$s\" -O exit x; done";
    let docs = include_str!("../../docs/connections.md");
    assert!(docs.contains(line));
    let line = line.replace("\"$XDG_RUNTIME_DIR\"/pointsman", &keeping.fleet.place().display().to_string());
    crate::sshd::run(Command::new("sh").args(["-c", &line]));
    until(|| !keeping.masters.iter().any(|pid| is_master(*pid)));
    assert_eq!(keeping.look(), "ready ready");
    assert_eq!((keeping.connections(), keeping.instances().len()), (vec![2, 2], 2));
}

#[test]
fn a_killed_master_is_replaced() {
    let mut keeping = Keeping::new(1);
    assert_eq!(keeping.look(), "ready");
    let dead = keeping.instances();
    kill_process(keeping.masters[0], Signal::KILL).expect("it runs");
    until(|| !is_master(keeping.masters[0]));
    assert!(dead[0].join("master").exists(), "its socket is left");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![2]));
    assert!(!dead[0].exists(), "what it left is gone");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![2]));
}

#[test]
fn a_master_that_hangs_gives_no_wrong_verdict() {
    let mut keeping = Keeping::new(1);
    assert_eq!(keeping.look(), "ready");
    kill_process(keeping.masters[0], Signal::STOP).expect("it runs");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![2]));
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![2]), "the new one is used from now on");
    assert_eq!(keeping.masters.len(), 2);
}

#[test]
fn a_connection_that_hangs_at_the_host_gives_no_wrong_verdict() {
    let mut keeping = Keeping::new(1);
    assert_eq!(keeping.look(), "ready");
    let stopped = keeping.fleet.hosts[0].stop_connections();
    assert!(stopped > 0);
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![2]));
}

#[test]
fn what_has_become_of_the_host_is_said_though_a_connection_was_kept() {
    let mut keeping = Keeping::new(1);
    for (broken, said) in [
        (Broken::Refused, "connection refused"),
        (Broken::KeyChanged, "host key changed"),
        (Broken::Denied, "permission denied"),
        (Broken::Silent, "timed out waiting for the SSH banner"),
    ] {
        assert_eq!(keeping.look(), "ready");
        keeping.fleet.set(0, Some(broken));
        keeping.change("keep: 0s", "keep: 10m");
        assert_eq!(keeping.look(), said);
        keeping.fleet.set(0, None);
        keeping.change("keep: 0s", "keep: 10m");
    }
    assert_eq!(keeping.look(), "ready");
}

#[test]
fn changed_settings_open_a_new_connection() {
    let mut keeping = Keeping::new(1);
    assert_eq!(keeping.look(), "ready");
    keeping.change("kex: curve25519-sha256", "kex: ecdh-sha2-nistp256");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![2]));
    keeping.fleet.more_ssh_config = "Compression no\n".to_owned();
    keeping.fleet.write_ssh_config();
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![3]));
    let (config, dir) = (keeping.fleet.more_ssh_config.clone(), keeping.fleet.dir.path().display().to_string());
    fs::write(keeping.fleet.dir.path().join("more"), "TCPKeepAlive no\n").expect("it is ours");
    keeping.fleet.more_ssh_config = format!("{config}Include {dir}/mor?\n");
    keeping.fleet.write_ssh_config();
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![4]));
    fs::write(keeping.fleet.dir.path().join("more"), "TCPKeepAlive yes\n").expect("it is ours");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![5]));
    keeping.change("user: root, ", "");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![6]));
    keeping.change("keep: 10m", "keep: 9m");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![7]));
    keeping.change("keep: 9m", "keep: 10m");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![7]), "the one before is still there");
    keeping.fleet.more_ssh_config = "Match exec true\n".to_owned();
    keeping.fleet.write_ssh_config();
    for connections in [8, 9] {
        assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![connections]), "not kept");
    }
}

#[test]
fn nothing_is_left_where_nothing_is_kept() {
    let mut keeping = Keeping::new(1);
    keeping.change("keep: 10m", "keep: 0s");
    for connections in 1..=2 {
        assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![connections]));
        let left = fs::read_dir(keeping.fleet.place()).expect("it stays").flatten().map(|entry| entry.file_name());
        // What the next command needs not find out again about the agent is no connection.
        assert_eq!(left.filter(|name| name != "agent-digest").count(), 0);
        until(|| {
            keeping.fleet.hosts[0].log().matches("Connection closed by").count() >= connections
                || keeping.fleet.hosts[0].log().matches("isconnected from user root").count() >= connections
        });
    }
    assert!(keeping.masters.is_empty());
}

#[test]
fn a_connection_where_others_could_get_in_is_not_used() {
    let mut keeping = Keeping::new(1);
    assert_eq!(keeping.look(), "ready");
    let instance = keeping.instances().remove(0);
    let host = instance.parent().expect("it has one").to_owned();
    fs::set_permissions(&instance, Permissions::from_mode(0o750)).expect("it is ours");
    assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![2]));
    fs::set_permissions(&host, Permissions::from_mode(0o750)).expect("it is ours");
    for connections in [3, 4] {
        assert_eq!((keeping.look().as_str(), keeping.connections()), ("ready", vec![connections]), "not kept either");
    }
}
