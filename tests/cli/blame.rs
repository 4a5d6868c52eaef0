//! Is it this host, or the release? Counts from log files that the test writes while the program soaks.

use crate::gated::Running;
use crate::site::{Site, V10, V11};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The waves of the small site: a debug host, a canary, an app server.
const SECOND_WAVE: &str = "after wave 2 of 3";

/// Gates that read log files: errors among requests, asked after the second wave.
fn site() -> Site {
    let site = Site::small(
        "soak: {wave: 300ms, group: 1ms, max: 1h, watch: 0s}\n\
         gates:\n  - name: errors\n    kind: counts\n    at: [wave]\n    interval: 50ms\n    max_rate: 0.02\n    \
         logs: {file: /var/log/app.log, events: ' 500$'}\n",
    );
    for host in site.hosts() {
        fs::create_dir_all(site.host(host).join("var/log")).expect("made");
    }
    site
}

/// Requests to every host, until it is dropped; those to some hosts begin to fail when they are told to.
struct Traffic {
    /// A bit for each host whose requests fail.
    failing: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Traffic {
    fn to(site: &Site) -> Self {
        let open = |host: &String| {
            let log = site.host(host).join("var/log/app.log");
            OpenOptions::new().create(true).append(true).open(log).expect("the log is opened")
        };
        let mut logs: Vec<File> = site.hosts().iter().map(open).collect();
        let (failing, ends): (Arc<AtomicU64>, Arc<AtomicBool>) = Default::default();
        let (fails, ended) = (Arc::clone(&failing), Arc::clone(&ends));
        let writer = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // Line by line, so that a gate that reads in between finds no host far ahead of the others.
                for _ in 0..10 {
                    let failing = fails.load(Ordering::Relaxed);
                    for (host, log) in logs.iter_mut().enumerate() {
                        let status = if failing & (1 << host) == 0 { 200 } else { 500 };
                        log.write_all(format!("GET / 200\nGET /w {status}\n").as_bytes()).expect("it is written");
                    }
                }
                // What paces the traffic; nothing waits for it.
                std::thread::park_timeout(Duration::from_millis(5));
            }
        });
        Self { failing, ends, writer: Some(writer) }
    }

    /// From one moment on, requests of these hosts fail.
    fn fails(&self, hosts: &[usize]) {
        let bits = hosts.iter().fold(0, |bits, host| bits | (1 << host));
        self.failing.fetch_or(bits, Ordering::Relaxed);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

const PROMOTE: [&str; 6] = ["promote", "group0", V11, "--yes", "-m", "train"];

#[test]
fn a_healthy_release_goes_on() {
    let site = site();
    let _traffic = Traffic::to(&site);
    let said = Running::start(&site, &PROMOTE).ends(0);
    assert!(said.contains("errors pass"), "{said}");
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn errors_of_every_switched_host_are_the_releases_and_it_is_taken_back() {
    let site = site();
    let traffic = Traffic::to(&site);
    let mut promotion = Running::start(&site, &PROMOTE);
    promotion.says(SECOND_WAVE);
    traffic.fails(&[0, 1]);
    let said = promotion.ends(3);
    assert!(said.contains("errors fail"), "{said}");
    assert_eq!(site.counts(), ".10: 7");
    site.promote("group0", V11).ends(10).says("the gate errors: Fails");
}

#[test]
fn errors_of_one_host_with_a_damaged_file_are_that_hosts_and_it_is_repaired() {
    let site = site();
    let traffic = Traffic::to(&site);
    let mut promotion = Running::start(&site, &PROMOTE);
    promotion.says(SECOND_WAVE);
    let canary = site.hosts()[1].clone();
    let file = site.served(&canary, &format!("php-{V11}/includes/Session.php"));
    fs::write(&file, "<?php\n// damaged\n").expect("it is ours");
    traffic.fails(&[1]);
    let said = promotion.ends(0);
    assert!(said.contains(&format!("{canary}: at fault, and not the release")), "{said}");
    assert_eq!(site.counts(), ".10: 5, .11: 2", "the others went on, and the host was brought along");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), format!("<?php\n// of {V11}\n"), "and repaired");
    site.run(&["check"]).ends(0);
}

#[test]
fn errors_of_one_host_that_nothing_else_speaks_against_are_for_a_person() {
    let site = site();
    let traffic = Traffic::to(&site);
    let mut promotion = Running::start(&site, &PROMOTE);
    promotion.says(SECOND_WAVE);
    traffic.fails(&[1]);
    let said = promotion.ends(4);
    assert!(said.contains(&site.hosts()[1]) && said.contains("pointsman converge --forward"), "{said}");
    assert_eq!(site.map(&site.hosts()[2])["testwiki"], V10, "the last wave was not switched");
    drop(traffic);
    site.run(&["converge", "--yes"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
}

#[test]
fn a_log_host_is_gated_by_its_facts_and_never_switched() {
    let site = Site::unsynced(
        "soak: {wave: 1ms, group: 1ms, max: 1h, watch: 0s}\n\
         gates:\n  - name: log-volume\n    kind: host\n    hosts: role:other\n    at: [wave]\n    interval: 50ms\n    \
         conditions: {log_bytes_per_second: {file: /var/log/session.log, limit: \"< 1000000\"}}\n",
    );
    let log_host = "mwlog1001.eqiad.wmnet";
    let entry = format!(
        "hosts:\n  - {{name: {log_host}, roles: [other], datacenter: eqiad, transport: local, directory: hosts}}\n"
    );
    site.edit("hosts:\n", &entry);
    site.empty_host(log_host);
    fs::create_dir_all(site.host(log_host).join("var/log")).expect("made");
    let log = site.host(log_host).join("var/log/session.log");
    fs::write(&log, "quiet\n").expect("written");
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
    site.promote("group0", V11).ends(0).says("log-volume pass");
    assert!(!site.served(log_host, "wikiversions.php").exists(), "it serves no wikis");
    // In the incident this log grew to 109 GB.
    let ends: Arc<AtomicBool> = Arc::default();
    let (ended, path) = (Arc::clone(&ends), log.clone());
    let flood = std::thread::spawn(move || {
        let mut log = OpenOptions::new().append(true).open(path).expect("the log is opened");
        while !ended.load(Ordering::Relaxed) {
            log.write_all(&[b'x'; 1 << 18]).expect("it is written");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
    let ran = site.promote("group1", V11);
    ends.store(true, Ordering::Relaxed);
    flood.join().expect("it ends");
    ran.ends(3).says(log_host);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}
