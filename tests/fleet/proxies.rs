//! Two datacenters, each with a proxy: what crosses to one crosses once, and whatever a proxy does, nobody else suffers from it.

use crate::harness::TestFleet;
use crate::site::{Output, end_of};
use crate::sshd::Broken;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Hosts of each datacenter; the second of each is its proxy.
const EACH: usize = 3;
const PROXIES: [usize; 2] = [1, EACH + 1];
const PORT: u16 = 8731;
const SYNC: [&str; 4] = ["sync-common", "--from-staging", "-y", "--json"];
/// How long a host may take to come to its proxy.
const FETCHES_MAX: Duration = Duration::from_secs(60);

/// eqiad and codfw, with `megabytes` in wmf.10 that no pack makes smaller.
fn fleet(megabytes: u64) -> TestFleet {
    let mut fleet = TestFleet::site(2 * EACH);
    let mut text = fleet.site.take().expect("it is a site");
    for i in 0..2 * EACH {
        let (name, ip) = (fleet.name(i), fleet.hosts[i].address.ip());
        let at = text.find(&format!("name: {name},")).expect("it is there");
        let (before, line) = text.split_at(at);
        let datacenter = if i < EACH { "eqiad" } else { "codfw" };
        let proxy = format!("], datacenter: {datacenter}, proxy: \"{ip}:{PORT}\",").replacen(']', ", proxy]", 1);
        let there = if PROXIES.contains(&i) { proxy } else { format!("], datacenter: {datacenter},") };
        text = format!("{before}{}", line.replacen("], datacenter: eqiad,", &there, 1));
    }
    fs::write(fleet.file(), &text).expect("it is ours");
    fleet.site = Some(text);
    (0..megabytes).for_each(|n| stage(&fleet, &format!("php-1.27.0-wmf.10/large/{n}"), n));
    fleet
}

/// A megabyte of noise in staging.
fn stage(fleet: &TestFleet, name: &str, seed: u64) {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ (state >> 29)).to_le_bytes()
    };
    let bytes: Vec<u8> = (0..1 << 17).flat_map(|_| next()).collect();
    let path = fleet.path("staging").join(name);
    fs::create_dir_all(path.parent().expect("it is in staging")).expect("staging is ours");
    fs::write(path, bytes).expect("staging is ours");
}

/// Every file below a directory, but for what hosts build.
fn files(top: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(top.join(&below)).expect("it is a directory") {
            let path = below.join(entry.expect("listed").file_name());
            match top.join(&path).is_dir() {
                true if path == Path::new("cache") => {}
                true => open.push(path),
                false => _ = found.insert(path.clone(), fs::read(top.join(&path)).expect("it is a file")),
            }
        }
    }
    found
}

/// The host holds every component exactly as staging has it.
#[track_caller]
fn holds(fleet: &TestFleet, i: usize) {
    for component in ["php-1.27.0-wmf.9", "php-1.27.0-wmf.10", "php-1.27.0-wmf.11", "wmf-config"] {
        let there = files(&fleet.hosts[i].root.join("mediawiki").join(component));
        let wanted = files(&fleet.path("staging").join(component));
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&there), names(&wanted), "{}: {component}", fleet.name(i));
        assert!(there == wanted, "{}: {component} has other bytes", fleet.name(i));
    }
}

#[track_caller]
fn all_hold(fleet: &TestFleet) {
    (0..fleet.hosts.len()).for_each(|i| holds(fleet, i));
}

/// The bytes that came from each place, as the command says.
fn brought(output: &Output) -> BTreeMap<String, u64> {
    let steps = output.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let steps = steps.filter(|step| step["step"] == "brought");
    let mut bytes = BTreeMap::new();
    for (from, n) in steps.flat_map(|step| step["bytes"].as_object().cloned().unwrap_or_default()) {
        *bytes.entry(from).or_default() += n.as_u64().expect("a number");
    }
    bytes
}

/// The host is as a reinstallation leaves it.
fn reinstall(fleet: &TestFleet, i: usize) {
    for name in ["mediawiki", "state"] {
        fs::remove_dir_all(fleet.hosts[i].root.join(name)).expect("it was there");
    }
    fs::create_dir(fleet.hosts[i].root.join("mediawiki")).expect("the host is ours");
}

/// Waits until somebody has a connection to the proxy `i`.
fn somebody_fetches(fleet: &TestFleet, i: usize) {
    let IpAddr::V4(ip) = fleet.hosts[i].address.ip() else { panic!("an address of IPv4") };
    let local = format!(" {:08X}:{PORT:04X} ", u32::from_le_bytes(ip.octets()));
    let since = Instant::now();
    let established = |line: &str| line.contains(&local) && line.split_whitespace().nth(3) == Some("01");
    while !fs::read_to_string("/proc/net/tcp").expect("procfs is mounted").lines().any(established) {
        assert!(since.elapsed() < FETCHES_MAX, "nobody came to the proxy");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_tree_crosses_once_to_each_datacenter_and_so_does_what_changed() {
    const MEGABYTES: u64 = 8;
    let fleet = fleet(MEGABYTES);
    let proxies = PROXIES.map(|i| fleet.name(i).to_string());
    let said = fleet.run(&SYNC).is(0);
    assert!(!said.said().contains("warning"), "{}", said.said());
    all_hold(&fleet);
    let (bytes, tree) = (brought(&said), MEGABYTES << 20);
    assert!((2 * tree..2 * tree + tree / 4).contains(&bytes["here"]), "{bytes:?}: once to each of two");
    for proxy in &proxies {
        assert!((EACH as u64 * tree..).contains(&bytes[proxy]), "{bytes:?}: to each of its datacenter");
    }

    // A fix in each large file is a delta: small, once to each, and from there to all.
    for n in 0..MEGABYTES {
        let path = fleet.path("staging").join(format!("php-1.27.0-wmf.10/large/{n}"));
        let mut bytes = fs::read(&path).expect("staged");
        bytes[1 << 19] ^= 1;
        fs::write(&path, bytes).expect("staging is ours");
    }
    let said = fleet.run(&SYNC).is(0);
    all_hold(&fleet);
    let bytes = brought(&said);
    let (once, all) = (bytes["here"] / 2, EACH as u64 * (bytes["here"] / 2));
    assert!(once < tree / 20, "{bytes:?}: a delta");
    proxies.iter().for_each(|proxy| assert_eq!(bytes[proxy], all, "{bytes:?}"));

    // A host that is reinstalled gets what its proxy proved, and next to nothing from here.
    reinstall(&fleet, EACH + 2);
    let said = fleet.run(&["converge", "-y", "--json"]).is(0);
    all_hold(&fleet);
    let bytes = brought(&said);
    assert!(bytes[&proxies[1]] >= tree && bytes.get("here").is_none_or(|here| *here < tree / 20), "{bytes:?}");
}

#[test]
fn proxies_that_are_stale_or_changed_after_their_proof_poison_nobody() {
    let mut fleet = fleet(1);
    let [changed, stale] = PROXIES;
    fleet.set(stale, Some(Broken::Refused));
    // It was away while everybody else got this.
    fleet.run(&SYNC).is(8).names(fleet.name(stale).as_str(), "");
    fleet.set(stale, None);
    // As long as it was and as old, so that only its bytes are others.
    let file = fleet.hosts[changed].root.join("mediawiki/php-1.27.0-wmf.10/large/0");
    let mut bytes = fs::read(&file).expect("it was brought");
    let modified = fs::metadata(&file).and_then(|m| m.modified()).expect("it was brought");
    bytes[1000] ^= 1;
    fs::write(&file, &bytes).expect("the host is ours");
    File::options().write(true).open(&file).and_then(|f| f.set_modified(modified)).expect("the host is ours");

    for (proxy, lost) in [(changed, 2), (stale, EACH + 2)] {
        reinstall(&fleet, lost);
        let said = fleet.run(&["converge", fleet.name(lost).as_str(), "-y"]).is(0);
        holds(&fleet, lost);
        let lies = format!("the proxy {} served other bytes than their name says, as", fleet.name(proxy));
        assert_eq!(said.said().contains(&lies), proxy == changed, "{}", said.said());
        assert!(said.said().contains(&format!("from {}", fleet.name(proxy))), "{}", said.said());
    }
    fleet.run(&["converge", "-y"]).is(0);
    all_hold(&fleet);
}

#[test]
fn a_proxy_that_dies_while_hosts_fetch_from_it_is_left_and_the_others_end_right() {
    let fleet = fleet(24);
    let child = fleet.spawn(&SYNC[..3]);
    somebody_fetches(&fleet, PROXIES[0]);
    fleet.hosts[PROXIES[0]].cut_connections();
    let name = fleet.name(PROXIES[0]);
    end_of(child).is(8).names(name.as_str(), "warning: the proxy");
    (0..fleet.hosts.len()).filter(|i| *i != PROXIES[0]).for_each(|i| holds(&fleet, i));
    fleet.run(&["converge", "-y"]).is(0);
    all_hold(&fleet);
}

#[test]
fn a_proxy_that_hangs_costs_its_datacenter_a_moment() {
    let fleet = fleet(24);
    let mut child = fleet.spawn(&SYNC[..3]);
    somebody_fetches(&fleet, PROXIES[1]);
    assert!(fleet.hosts[PROXIES[1]].stop_connections() > 0);
    // The others end while it hangs; then it is let go.
    let others: Vec<usize> = (0..fleet.hosts.len()).filter(|i| *i != PROXIES[1]).collect();
    let map = |i: &usize| fleet.hosts[*i].root.join("state/confirmed").exists();
    let since = Instant::now();
    while !others.iter().all(map) {
        assert!(since.elapsed() < FETCHES_MAX && child.try_wait().expect("ours").is_none(), "they wait for the proxy");
        std::thread::sleep(Duration::from_millis(5));
    }
    others.iter().for_each(|i| holds(&fleet, *i));
    fleet.hosts[PROXIES[1]].cut_connections();
    end_of(child).is(8).names(fleet.name(PROXIES[1]).as_str(), "warning: the proxy");
    fleet.run(&["converge", "-y"]).is(0);
    all_hold(&fleet);
}
