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
    /// Whether the result was found right from outside.
    pub right: bool,
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
    pub fn measure(&self, work: impl FnOnce() -> bool, right: impl FnOnce() -> bool) -> Cost {
        let used = |group: &Option<Group>| group.as_ref().and_then(Group::used).map(|used| used.as_secs_f64());
        let (clients, servers, since) = (used(&self.clients), used(&self.servers), Instant::now());
        let worked = work();
        let wall = since.elapsed().as_secs_f64();
        let minus = |after: Option<f64>, before: Option<f64>| Some(after? - before?);
        let (clients, servers) = (minus(used(&self.clients), clients), minus(used(&self.servers), servers));
        Cost { wall, clients, servers, right: worked && right() }
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
