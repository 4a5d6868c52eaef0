//! Times the workloads W1 to W6, and some of them again in open connections, on a fleet of sshd hosts on this machine: pointsman and its peers in turn.
//!
//! Every result is looked at from outside, in the hosts' own directories. A run that left a host wrong is BAD whatever
//! it took, and one in which a planted mistake was not found ends with code 1. Walls are to be believed on a quiet machine only; ratios within one run say more, CPU says most, because
//! clients and servers share this machine. Usage: `--trees DIR [--hosts N] [--rounds N] [--only W1,W3] [--kex LIST]
//! [--below DIR]`; DIR has the trees as `v1` and `v2`. `scripts/bench` gets them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is for people to read")]

mod flips;
mod measure;
mod peers;
mod site;
#[path = "../../tests/fleet/sshd.rs"]
#[expect(dead_code, reason = "a benchmark breaks no host")]
mod sshd;

use measure::{Cost, Ended, Groups, median};
use peers::{CAT, CAT_KEPT, DRY, DRY_KEPT, LINK, LINK_KEPT, LINKS, Peer, RSYNC_FILE, RSYNC_FILE_KEPT};
use peers::{RSYNC_TREE, TAR, TRUE, TRUE_KEPT};
use site::{FILE, NEW, OLD, Site};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What was asked for.
struct Options {
    hosts: usize,
    rounds: usize,
    only: Vec<String>,
    kex: String,
    trees: PathBuf,
    below: Option<PathBuf>,
}

/// Runs of one workload by one tool, the name of the tool first.
type Row = (&'static str, Vec<Cost>);

struct Bench {
    site: Site,
    groups: Groups,
    options: Options,
    /// By workload; ours is the first row of each.
    rows: BTreeMap<&'static str, Vec<Row>>,
    /// From the first host's switch to the last one's, s, by workload.
    flips: BTreeMap<&'static str, Vec<f64>>,
}

fn main() {
    if let Some(of) = std::env::args().skip_while(|arg| arg != flips::ARGUMENT).nth(1) {
        return flips::flip(Path::new(&of));
    }
    let Some(options) = options() else {
        eprintln!("usage: --trees DIR [--hosts N] [--rounds N] [--only W1,W3] [--kex LIST] [--below DIR]");
        std::process::exit(2);
    };
    assert!(rustix::process::geteuid().is_root(), "hosts are sshd processes in mount namespaces: run this as root");
    let groups = Groups::new();
    groups.start_servers();
    let site = Site::start(options.hosts, &options.trees, options.below.as_deref(), &options.kex);
    groups.start_clients();
    let mut bench = Bench { site, groups, options, rows: BTreeMap::new(), flips: BTreeMap::new() };
    bench.prepare();
    let mut bad = false;
    for round in 0..bench.options.rounds {
        bench.round(round);
        // After each, so that one that is ended early was not in vain.
        bad = bench.print(round + 1);
    }
    bench.masters();
    bad |= bench.planted();
    // `exit` drops nothing, and hosts end when they are dropped.
    drop(bench);
    std::process::exit(i32::from(bad));
}

fn options() -> Option<Options> {
    let mut options = Options {
        hosts: 16,
        rounds: 3,
        only: Vec::new(),
        kex: "curve25519-sha256".to_owned(),
        trees: PathBuf::new(),
        below: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {}
            "--hosts" => options.hosts = args.next()?.parse().ok().filter(|n| (1..=250).contains(n))?,
            "--rounds" => options.rounds = args.next()?.parse().ok()?,
            "--only" => options.only = args.next()?.split(',').map(str::to_owned).collect(),
            "--kex" => options.kex = args.next()?,
            "--trees" => options.trees = args.next()?.into(),
            "--below" => options.below = Some(args.next()?.into()),
            _ => return None,
        }
    }
    options.trees.join("v1").is_dir().then_some(options)
}

impl Bench {
    /// What is not counted: agents are put on the hosts, files come into the page cache.
    fn prepare(&mut self) {
        self.site.reset();
        let cost = self.groups.measure(|| self.site.pointsman(&["agent", "install"], 0), || true);
        assert!(cost.right, "agents cannot be installed");
        let (hosts, wire) = (self.options.hosts as f64, cost.wire.unwrap_or_default());
        println!("first contact: {:.2} s, {:.1} MB a host over loopback", cost.wall, wire / hosts / 1e6);
    }

    fn wanted(&self, work: &str) -> bool {
        let work = work.trim_end_matches(" kept");
        self.options.only.is_empty() || self.options.only.iter().any(|only| only == work)
    }

    /// Measures one run of a tool, if that workload is wanted or `always`, since others stand on it.
    fn run(
        &mut self,
        (work, tool): (&'static str, &'static str),
        how: impl FnOnce(&Site) -> Ended,
        right: impl FnOnce(&Site) -> bool,
    ) {
        let cost = self.groups.measure(|| how(&self.site), || right(&self.site));
        let rows = self.rows.entry(work).or_default();
        match rows.iter_mut().find(|(name, _)| *name == tool) {
            Some((_, costs)) => costs.push(cost),
            None => rows.push((tool, vec![cost])),
        }
    }

    fn peer(&mut self, work: &'static str, peer: &Peer, argument: &Path, right: impl FnOnce(&Site) -> bool) {
        if self.wanted(work) && peer.installed() {
            self.run((work, peer.name), |site| (peer.run(site, argument) && peers::sync(site)).into(), right);
        }
    }

    /// Every workload once by each tool, in turn.
    fn round(&mut self, round: usize) {
        self.site.reset();
        let (old, new) = (self.site.tree(OLD), self.site.tree(NEW));
        let held = |component: &'static str, tree: &Path| {
            let tree = tree.to_owned();
            move |site: &Site| site.all_hold(&format!("mediawiki/{component}"), &tree)
        };
        let sync = ["sync-common", "--from-staging", "-y"];
        self.run(("W3", "pointsman"), |site| site.pointsman(&sync, 0), held(OLD, &old));
        if self.wanted("W1") {
            self.run(("W1", "pointsman"), |site| site.pointsman(&["status", "--live"], 0), |_| true);
            self.peer("W1", &TRUE, Path::new(""), |_| true);
        }
        if self.wanted("W1b") {
            self.open_connections(true);
            self.run(("W1b", "pointsman"), |site| site.pointsman(&["status", "--live"], 0), |_| true);
            self.peer("W1b", &TRUE_KEPT, Path::new(""), |_| true);
            self.open_connections(false);
        }
        self.one_file("W2", round, &[&CAT, &RSYNC_FILE]);
        self.open_connections(true);
        self.one_file("W2 kept", round, &[&CAT_KEPT, &RSYNC_FILE_KEPT]);
        self.open_connections(false);
        self.proofs("W5");
        self.open_connections(true);
        self.proofs("W5 kept");
        self.open_connections(false);
        self.site.stage(NEW);
        self.run(("W4", "pointsman"), |site| site.pointsman(&sync, 0), held(NEW, &new));
        if self.wanted("W6") {
            self.promotes("W6", "group0", 1);
            self.open_connections(true);
            self.promotes("W6 kept", "group1", 2);
            self.open_connections(false);
        }
        self.peers_with_trees(&old, &new);
    }

    /// Opens connections to all hosts that pointsman and its peers keep, uncounted; or goes back to new ones.
    fn open_connections(&self, keep: bool) {
        if !["W1b", "W2", "W5", "W6"].iter().any(|work| self.wanted(work)) {
            return;
        }
        self.site.keep(keep);
        if keep {
            let ready = self.site.pointsman(&["status", "--live"], 0).worked;
            assert!(ready && TRUE_KEPT.run(&self.site, Path::new("")), "connections cannot be opened");
            let masters = self.site.masters("run/pointsman/");
            assert!(masters.len() >= self.site.hosts.len(), "connections are not kept");
        }
    }

    /// Prints what the masters of kept connections take of memory.
    fn masters(&self) {
        self.open_connections(true);
        let pss: Vec<f64> = self.site.masters("run/pointsman/").into_iter().filter_map(measure::memory_of).collect();
        if let Some(middle) = median(pss.clone()) {
            println!("ssh masters: {} that pointsman keeps, {:.1} MB each", pss.len(), middle / 1e6);
        }
    }

    fn proofs(&mut self, work: &'static str) {
        if self.wanted(work) {
            self.run((work, "pointsman L2"), |site| site.pointsman(&["check"], 0), |_| true);
            self.run((work, "pointsman L3"), |site| site.pointsman(&["check", "--deep"], 0), |_| true);
        }
    }

    fn promotes(&mut self, work: &'static str, group: &str, served: usize) {
        let promote = ["promote", group, "1.27.0-wmf.11", "-m", "bench", "-y"];
        self.run((work, "pointsman"), |site| site.pointsman(&promote, 0), |site| site.all_serve(NEW, served));
        let maps = self.site.hosts.iter().map(|host| host.root.join("mediawiki/wikiversions.php"));
        self.flips.entry(work).or_default().push(flips::first_to_last(maps));
        self.flips.entry("bare processes").or_default().push(flips::bare(&self.site));
    }

    fn one_file(&mut self, work: &'static str, round: usize, peers: &[&Peer]) {
        if !self.wanted(work) {
            return;
        }
        let text = format!("{work} {round:04} of this benchmark\n").repeat(800);
        let (source, bytes) = (self.site.path("staging").join(FILE), text.as_bytes());
        fs::write(&source, bytes).expect("staging is ours");
        let sync = ["sync-file", FILE, "-m", "bench", "-y"];
        let there = format!("mediawiki/{FILE}");
        self.run((work, "pointsman"), |site| site.pointsman(&sync, 0), |site| site.all_have(&there, bytes));
        for peer in peers {
            self.site.hosts.iter().for_each(|host| {
                let _ = fs::remove_dir_all(host.root.join("peer"));
                fs::create_dir(host.root.join("peer")).expect("the host is ours");
            });
            self.peer(work, peer, &source, |site| site.all_have("peer/f", bytes));
        }
    }

    /// W3 to W6 of the peers. The trees of tar go before those of rsync come, and ours before both.
    fn peers_with_trees(&mut self, old: &Path, new: &Path) {
        for peer in [&TAR, &RSYNC_TREE] {
            self.site.empty_hosts();
            self.site.hosts.iter().for_each(|host| fs::create_dir(host.root.join("peer")).expect("the host is ours"));
            if ["W3", "W4", "W5", "W6"].iter().any(|work| self.wanted(work)) {
                self.run(
                    ("W3", peer.name),
                    |site| (peer.run(site, old) && peers::sync(site)).into(),
                    |site| site.all_hold("peer/v1", old),
                );
            }
        }
        self.peer("W5", &DRY, old, |_| true);
        self.open_connections(true);
        self.peer("W5 kept", &DRY_KEPT, old, |_| true);
        self.open_connections(false);
        self.peer("W4", &LINKS, new, |site| site.all_hold("peer/v2", new));
        let switched = |to: &'static str| {
            let now = move |host: &sshd::Host| fs::read_link(host.root.join("peer/now"));
            move |site: &Site| site.hosts.iter().all(|host| now(host).is_ok_and(|now| now == Path::new(to)))
        };
        // Where the trees were not wanted, something to switch between.
        let sides = self.site.hosts.iter().flat_map(|host| ["peer/v1", "peer/v2"].map(|side| host.root.join(side)));
        sides.for_each(|side| fs::create_dir_all(side).expect("the host is ours"));
        self.peer("W6", &LINK, Path::new("2"), switched("v2"));
        self.open_connections(true);
        self.peer("W6 kept", &LINK_KEPT, Path::new("1"), switched("v1"));
        self.open_connections(false);
    }

    /// Whether a proof is one: a byte is changed on one host, its length and time of change kept, and must be found.
    /// Whether it was missed.
    fn planted(&mut self) -> bool {
        if !self.wanted("W5") {
            return false;
        }
        self.site.reset();
        let sync = ["sync-common", "--from-staging", "-y"];
        let synced = self.site.pointsman(&sync, 0).worked;
        let mut missed = false;
        let victim = victim(&self.site.hosts[0].root.join("mediawiki").join(OLD));
        let time = fs::metadata(&victim).and_then(|m| m.modified()).expect("it is a file");
        let mut bytes = fs::read(&victim).expect("it is a file");
        bytes[0] ^= 1;
        fs::write(&victim, bytes).expect("the host is ours");
        fs::File::options().write(true).open(&victim).and_then(|f| f.set_modified(time)).expect("the host is ours");
        for (tool, args) in [("pointsman L2", &["check"][..]), ("pointsman L3", &["check", "--deep"])] {
            let found = synced && self.site.pointsman(args, 7).worked;
            missed |= !found;
            println!("planted: one byte changed, same length and time: {tool} {}", said(found));
        }
        missed
    }

    /// Prints the table; whether anything was BAD.
    fn print(&self, rounds: usize) -> bool {
        let (hosts, kex) = (self.options.hosts, &self.options.kex);
        println!("\n{hosts} hosts, rounds: {rounds}, medians, key exchange {kex}");
        let heads = ["wall s", "clients ms/h", "servers ms/h", "wire kB/h", "peak MB", "ratio"];
        println!("{:<27}{}", "", heads.map(|head| format!("{head:>13}")).concat());
        let mut bad = false;
        for (work, rows) in self.rows.iter().filter(|(work, _)| self.wanted(work)) {
            let wall = |(_, costs): &Row| median(costs.iter().map(|cost| cost.wall).collect()).unwrap_or_default();
            let ours = rows.first().map_or(0.0, wall);
            for row in rows {
                let each = |of: fn(&Cost) -> Option<f64>, factor: f64| {
                    let found = median(row.1.iter().filter_map(of).collect());
                    found.map_or("-".to_owned(), |value| format!("{:.1}", value * factor))
                };
                let wrong = row.1.iter().filter(|cost| !cost.right).count();
                bad |= wrong > 0;
                let mark = if wrong > 0 { format!("BAD in {wrong} of {}", row.1.len()) } else { String::new() };
                let a_host = 1000.0 / hosts as f64;
                let cells = [
                    format!("{:.3}", wall(row)),
                    each(|cost| cost.clients, a_host),
                    each(|cost| cost.servers, a_host),
                    each(|cost| cost.wire, a_host / 1e6),
                    each(|cost| cost.memory, 1e-6),
                    format!("{:.2}", ours / wall(row)),
                ];
                println!("{work:<8} {:<18}{} {mark}", row.0, cells.map(|cell| format!("{cell:>13}")).concat());
            }
        }
        for (work, seconds) in &self.flips {
            let middle = median(seconds.clone()).unwrap_or_default();
            println!("first to last switch of {hosts} hosts: {work} {:.1} ms", middle * 1000.0);
        }
        println!("wire: all that went over loopback; peak: memory of pointsman's own process");
        println!("ratio: pointsman's wall (the first line of a workload) by this one's; below 1 pointsman is faster");
        bad
    }
}

fn said(found: bool) -> &'static str {
    if found { "found it" } else { "did NOT find it: BAD" }
}

/// Some file with bytes in it.
fn victim(directory: &Path) -> PathBuf {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).expect("it is a directory").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let file = entries.iter().find(|path| path.is_file() && fs::metadata(path).is_ok_and(|m| m.len() > 0));
    file.cloned().unwrap_or_else(|| victim(entries.iter().find(|path| path.is_dir()).expect("a tree has files")))
}
