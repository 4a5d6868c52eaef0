//! What a piece of work cost: wall time, and the CPU of clients and of servers apart from each other.
//!
//! CPU is counted by two control groups, so that ssh masters, which leave their parents, are counted too. Where the
//! kernel's groups are not there or not ours to write, CPU is unknown and said so; it is never guessed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Wall time, s.
    pub wall: f64,
    /// CPU of the client side, s.
    pub clients: Option<f64>,
    /// CPU of all servers together, s.
    pub servers: Option<f64>,
    /// What went over the loopback interface meanwhile, of hosts and of whatever else runs here, bytes.
    pub wire: Option<f64>,
    /// The most memory that pointsman's own process had, bytes; `None` of peers.
    pub memory: Option<f64>,
    /// Whether the result was found right from outside.
    pub right: bool,
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Whether it succeeded, by its own word.
    pub worked: bool,
    /// As [`Cost::memory`].
    pub memory: Option<f64>,
}

impl From<bool> for Ended {
    fn from(worked: bool) -> Self {
        Self { worked, memory: None }
    }
}

/// The most memory that the process `pid` ever had, bytes; `None` once it has ended.
pub fn peak_of(pid: u32) -> Option<f64> {
    kilobytes(pid, "status", "VmHWM:")
}

fn kilobytes(pid: u32, file: &str, key: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let kb = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix("kB")?.trim().parse().ok());
    kb.map(|kb: f64| kb * 1024.0)
}

/// The memory of the process `pid`, what it shares with others divided among them, bytes.
pub fn memory_of(pid: u32) -> Option<f64> {
    kilobytes(pid, "smaps_rollup", "Pss:")
}

/// What came in over loopback since the machine started, bytes.
fn wire() -> Option<f64> {
    fs::read_to_string("/sys/class/net/lo/statistics/rx_bytes").ok()?.trim().parse().ok()
}

/// A control group that counts CPU; removed when dropped.
pub struct Group {
    dir: PathBuf,
    top: PathBuf,
}

/// The groups of one benchmark.
pub struct Groups {
    clients: Option<Group>,
    servers: Option<Group>,
}

impl Group {
    fn new(name: &str) -> Option<Self> {
        let tops = ["/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"].map(PathBuf::from);
        let top = tops.into_iter().find(|top| top.join("cgroup.procs").exists())?;
        let dir = top.join(format!("pointsman-bench-{}-{name}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        let group = Self { dir, top };
        group.used().map(|_| group)
    }

    /// CPU that everything in it has used so far.
    fn used(&self) -> Option<Duration> {
        let v1 = fs::read_to_string(self.dir.join("cpuacct.usage")).ok();
        if let Some(ns) = v1.and_then(|text| text.trim().parse().ok()) {
            return Some(Duration::from_nanos(ns));
        }
        let stat = fs::read_to_string(self.dir.join("cpu.stat")).ok()?;
        let us = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok())?;
        Some(Duration::from_micros(us))
    }

    /// Moves this process in; what it starts then is in it too.
    fn enter(&self) {
        move_to(&self.dir);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        move_to(&self.top);
        let _ = fs::remove_dir(&self.dir);
    }
}

fn move_to(dir: &Path) {
    let _ = fs::write(dir.join("cgroup.procs"), std::process::id().to_string());
}

impl Groups {
    /// Two groups, or none where there can be none.
    pub fn new() -> Self {
        Self { clients: Group::new("clients"), servers: Group::new("servers") }
    }

    /// What is started from now on is a server.
    pub fn start_servers(&self) {
        self.servers.iter().for_each(Group::enter);
    }

    /// What is started from now on is a client.
    pub fn start_clients(&self) {
        self.clients.iter().for_each(Group::enter);
    }

    /// Does `work`, then looks with `right` whether it was done; looking costs nothing here.
    pub fn measure(&self, work: impl FnOnce() -> Ended, right: impl FnOnce() -> bool) -> Cost {
        let used = |group: &Option<Group>| group.as_ref().and_then(Group::used).map(|used| used.as_secs_f64());
        let (clients, servers, bytes, since) = (used(&self.clients), used(&self.servers), wire(), Instant::now());
        let Ended { worked, memory } = work();
        let wall = since.elapsed().as_secs_f64();
        let minus = |after: Option<f64>, before: Option<f64>| Some(after? - before?);
        let (clients, servers) = (minus(used(&self.clients), clients), minus(used(&self.servers), servers));
        let wire = minus(self::wire(), bytes);
        Cost { wall, clients, servers, wire, memory, right: worked && right() }
    }
}

/// The middle of some values; `None` of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
