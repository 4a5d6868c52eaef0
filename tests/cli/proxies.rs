//! Proxies: hosts of a datacenter get a release from one of them, and end right without it.

use crate::site::{Site, ran};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const SYNC: [&str; 5] = ["sync-common", "--from-staging", "--yes", "-m", "all"];

/// A site of three hosts; the first is a proxy. Its configuration has a file that does not compress.
fn site() -> (Site, String) {
    // An address from which nobody else here connects, so that its port stays free.
    let free = TcpListener::bind("127.66.0.1:0").expect("a port").local_addr().expect("it has one");
    let site = Site::unsynced("");
    site.edit(
        "roles: [debug], datacenter: eqiad,",
        &format!("roles: [debug, proxy], datacenter: eqiad, proxy: \"{free}\","),
    );
    stage(&site, 7);
    (site, free.to_string())
}

/// Half a megabyte that no pack makes much smaller.
fn stage(site: &Site, seed: u64) {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:016x}", state ^ (state >> 29))
    };
    site.stage("wmf-config/large.php", &(0..32_000).map(|_| next()).collect::<String>());
}

/// Every host has every file of staging.
#[track_caller]
fn all_right(site: &Site) {
    let mut files = Vec::new();
    walk(&site.path("staging"), Path::new(""), &mut files);
    assert!(files.len() > 10, "{files:?}");
    for (host, file) in site.hosts().iter().flat_map(|host| files.iter().map(move |file| (host, file))) {
        let name = file.to_str().expect("UTF-8");
        let there = fs::read(site.served(host, name)).unwrap_or_else(|error| panic!("{host}: {name}: {error}"));
        assert!(there == fs::read(site.path("staging").join(file)).expect("staged"), "{host}: {name} has other bytes");
    }
}

fn walk(top: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(top.join(below)).expect("listed") {
        let path = below.join(entry.expect("listed").file_name());
        match top.join(&path).is_dir() {
            true => walk(top, &path, files),
            // The map is made for each host, not copied.
            false if path == Path::new("wikiversions.json") => {}
            false => files.push(path),
        }
    }
}

/// The bytes that came from `source`, as the last event about them says.
#[track_caller]
fn brought(site: &Site, arguments: &[&str], source: &str) -> u64 {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let said = ran(&mut site.command(&arguments), &arguments).ends(0);
    let bytes = steps(&said.stdout, source);
    bytes.unwrap_or_else(|| panic!("nothing came from {source}\n{said}"))
}

/// What the steps in these lines say of the bytes from `source`.
fn steps(lines: &str, source: &str) -> Option<u64> {
    let steps = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    steps
        .filter(|step| step["step"] == "brought")
        .filter_map(|step| step["bytes"][source].as_u64())
        .reduce(|a, b| a + b)
}

#[test]
fn a_release_goes_once_to_the_proxy_and_from_there_to_the_others() {
    let (site, _) = site();
    let proxy = site.hosts()[0].clone();
    let said = site.run(&SYNC).ends(0).says(&format!("from {proxy}")).says("from here").hides("warning");
    all_right(&site);
    drop(said);
    // Another one: it goes to the proxy's shelf, packed to half, and all three have it from there.
    stage(&site, 9);
    let large = fs::metadata(site.path("staging/wmf-config/large.php")).expect("staged").len();
    let from_proxy = brought(&site, &SYNC, &proxy);
    assert!(from_proxy >= 3 * large / 2, "{from_proxy} bytes from the proxy; the file has {large}");
    all_right(&site);
    stage(&site, 11);
    let here = brought(&site, &SYNC, "here");
    assert!(here < large * 2 / 3, "{here} bytes from here: it went to one host only, once");
    all_right(&site);
    // The proxy is ready already, and nothing is brought to it.
    site.reinstall(&site.hosts()[2]);
    site.run(&["converge", "--yes"]).ends(0).says(&format!("from {proxy}")).hides("warning");
    all_right(&site);
}

#[test]
fn a_proxy_that_cannot_serve_is_named_and_hosts_end_right() {
    let (site, address) = site();
    let held = TcpListener::bind(&address).expect("it was free");
    let proxy = &site.hosts()[0];
    let words = format!("warning: the proxy {proxy} can't serve: somebody else listens at its address");
    site.run(&SYNC).ends(0).says(&words).says("from here").hides(&format!("from {proxy}"));
    all_right(&site);
    drop(held);
    // Not an address of this machine.
    site.edit(&address, "192.0.2.1:8731");
    stage(&site, 9);
    site.run(&SYNC).ends(0).says("can't serve: the address is not one of its own").says("from here");
    all_right(&site);
}

#[test]
fn a_proxy_that_is_lost_is_named_and_the_others_end_right() {
    let (site, _) = site();
    site.run(&SYNC).ends(0);
    let proxy = &site.hosts()[0];
    site.reinstall(&site.hosts()[1]);
    fs::rename(site.host(proxy), site.path("lost")).expect("ours");
    let said = site.run(&["converge", "--yes"]);
    assert!(said.to_string().contains(&format!("the proxy {proxy}")), "{said}");
    fs::rename(site.path("lost"), site.host(proxy)).expect("ours");
    all_right(&site);
}

#[test]
fn a_proxy_whose_disk_changed_after_its_proof_poisons_nobody() {
    let (site, _) = site();
    site.run(&SYNC).ends(0);
    let (proxy, lost) = (&site.hosts()[0], &site.hosts()[2]);
    // As long as it was and as old, so that only its bytes are others.
    let file = site.served(proxy, "wmf-config/large.php");
    let (mut bytes, mode) = (fs::read(&file).expect("served"), fs::metadata(&file).expect("served"));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("ours");
    fs::write(&file, &bytes).expect("ours");
    fs::File::options().write(true).open(&file).and_then(|f| f.set_modified(mode.modified()?)).expect("ours");
    fs::set_permissions(&file, mode.permissions()).expect("ours");
    site.reinstall(lost);
    let words = format!("the proxy {proxy} served other bytes than their name says, as {lost} found");
    site.run(&["converge", lost, "--yes"]).ends(0).says(&words).says("from here");
    let wanted = fs::read(site.path("staging/wmf-config/large.php")).expect("staged");
    assert!(fs::read(site.served(lost, "wmf-config/large.php")).expect("served") == wanted, "it was poisoned");
}
