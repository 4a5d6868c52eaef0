//! Mirrors: hosts get content from real servers that are good, hostile, slow or gone, and end with the right bytes.

mod servers;

use crate::site::{Site, ran};
use servers::{KEY_ID, SECRET, Server, free_port};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Text that does not compress to nothing: a quarter of a megabyte.
fn large(seed: u64) -> String {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    (0..16_000).map(|_| next()).collect()
}

/// A site whose configuration is large, not yet synced.
fn site(mirrors: &str) -> Site {
    let site = Site::unsynced(&format!("mirrors:\n{mirrors}"));
    site.stage("wmf-config/large.php", &large(7));
    site
}

const SYNC: [&str; 5] = ["sync-common", "--from-staging", "--yes", "-m", "all"];

/// All hosts have the large file as it is in staging.
#[track_caller]
fn all_right(site: &Site) {
    let wanted = fs::read(site.path("staging/wmf-config/large.php")).expect("staged");
    for host in site.hosts() {
        let there = fs::read(site.served(host, "wmf-config/large.php")).expect("the host has it");
        assert!(there == wanted, "{host} has other bytes");
    }
}

#[test]
fn what_is_on_no_mirror_is_put_there_once_and_all_hosts_fetch_it() {
    let mirror = Server::nginx("");
    let site = site(&format!("  - source: {}/content/\n", mirror.url()));
    site.run(&SYNC).ends(0).says(&format!("from {}/content", mirror.url())).hides("warning");
    all_right(&site);
    let (objects, gets) = (mirror.objects(), mirror.answered("GET", 200));
    assert!(!objects.is_empty());
    for object in &objects {
        let name = object.file_name().and_then(|name| name.to_str()).expect("a digest");
        let bytes = fs::read(object).expect("it is there");
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), name, "its name is its content");
        assert_eq!(gets.iter().filter(|get| get.contains(name)).count(), site.hosts().len(), "{gets:?}");
    }
    assert_eq!(mirror.answered("PUT", 201).len(), objects.len(), "each once");

    // One line more: a delta, which all hosts fetch too.
    let before = gets.len();
    site.stage("wmf-config/large.php", &format!("{}{}", large(7), large(9)));
    site.run(&SYNC).ends(0).hides("warning");
    all_right(&site);
    assert_eq!(mirror.answered("GET", 200).len() - before, site.hosts().len());

    // What is there already is not put there again.
    let puts = mirror.answered("PUT", 201).len();
    site.reinstall(&site.hosts()[2]);
    site.run(&["converge", "--yes"]).ends(0);
    all_right(&site);
    let put_again: Vec<String> = mirror.answered("PUT", 204);
    assert!(put_again.is_empty(), "{put_again:?}");
    assert!(mirror.answered("PUT", 201).len() > puts, "the pack of the new content is new");
}

#[test]
fn an_s3_bucket_gets_objects_and_hosts_get_urls_without_keys() {
    let mirror = Server::s3();
    let keys = |site: &Site, mode: u32| {
        site.write("keys", &format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"));
        fs::set_permissions(site.path("keys"), PermissionsExt::from_mode(mode)).expect("ours");
    };
    let source =
        format!("  - {{source: \"s3://releases/pointsman\", endpoint: \"{}\", credentials: keys}}\n", mirror.url());
    let site = site(&source);
    keys(&site, 0o644);
    site.run(&SYNC).ends(0).says("the mirror s3://releases/pointsman has no keys").says("chmod 600").hides("CANARY");
    all_right(&site);
    assert!(mirror.objects().is_empty());

    keys(&site, 0o600);
    site.stage("wmf-config/large.php", &large(11));
    let mut command = site.command(&SYNC);
    let said = ran(command.env("POINTSMAN_LOG", "trace"), &SYNC).ends(0).says("from s3://releases/pointsman");
    said.hides("warning: the mirror").hides(KEY_ID).hides(SECRET).hides("X-Amz-Signature");
    all_right(&site);
    assert!(!mirror.objects().is_empty());
    assert_eq!(mirror.answered("GET", 200).len(), site.hosts().len() * mirror.objects().len());
    fs::remove_file(site.path("keys")).expect("ours");
    for place in ["books", "hosts"] {
        no_secret_below(&site.path(place));
    }
    // The keys by the environment.
    site.edit(", credentials: keys", "");
    site.stage("wmf-config/large.php", &large(13));
    let mut command = site.command(&SYNC);
    command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    ran(&mut command, &SYNC).ends(0).says("from s3://releases/pointsman").hides("warning");
    // Wrong ones are refused there, and said to be.
    site.stage("wmf-config/large.php", &large(15));
    let mut command = site.command(&SYNC);
    command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", "CANARYWRONG");
    ran(&mut command, &SYNC).ends(0).says("warning: the mirror s3://releases/pointsman").hides("CANARY");
    all_right(&site);
}

fn no_secret_below(directory: &Path) {
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            no_secret_below(&path);
        } else if path.is_file() {
            let bytes = fs::read(&path).expect("ours");
            for secret in [KEY_ID, SECRET, "X-Amz-Signature"] {
                assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} in {path:?}");
            }
        }
    }
}

#[test]
fn s21_a_mirror_that_serves_other_bytes_is_named_and_hosts_end_right() {
    let mirror = Server::nginx("");
    let site = site(&format!("  - source: {}\n", mirror.url()));
    site.run(&SYNC).ends(0).hides("warning");
    for object in mirror.objects() {
        let mut bytes = fs::read(&object).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        fs::write(&object, bytes).expect("ours");
    }
    let fetched = mirror.answered("GET", 200).len();
    site.reinstall(&site.hosts()[1]);
    let lost = &site.hosts()[1];
    let words = format!("the mirror {} served other bytes than their name says, as {lost} found", mirror.url());
    site.run(&["converge", "--yes"]).ends(0).says(&words).says("from here");
    all_right(&site);
    assert!(mirror.answered("GET", 200).len() > fetched, "it was asked");
}

#[test]
fn whatever_a_mirror_does_hosts_end_right_and_it_is_said() {
    // It takes what is put there, and to hosts it is silent: nobody ever takes the connection.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_at = silent.local_addr().expect("it has one");
    let on_get = |what: &str| format!("if ($request_method = GET) {{ {what} }}");
    for (location, words) in [
        (on_get("return 403;"), "answered with status 403"),
        (on_get("return 302 http://127.0.0.1:1/;"), "answered with status 302"),
        (on_get("return 404;"), "lacks what was put there"),
        (on_get("return 200 \"more than it should be\";"), "served other bytes than their name says"),
        (on_get("limit_rate 10;"), "is too slow or hangs"),
        (on_get(&format!("proxy_pass http://{silent_at};")), "is too slow or hangs"),
    ] {
        let mirror = Server::nginx(&location);
        let site = site(&format!("  - source: {}\n", mirror.url()));
        let said = site.run(&SYNC).ends(0).says(words).says(&mirror.url()).says("from here");
        all_right(&site);
        assert_eq!(said.stderr.matches(words).count() + said.stdout.matches(words).count(), 1, "once\n{said}");
        assert!(!mirror.objects().is_empty(), "it was published");
    }
    // It takes nothing, or is not there at all.
    let refuses = Server::nginx("limit_except GET { deny all; }");
    for (url, words) in [
        (refuses.url(), "refused (403)"),
        (format!("http://127.0.0.1:{}", free_port()), "hosts get what they lack in another way"),
        (format!("http://{silent_at}"), "hosts get what they lack in another way"),
    ] {
        let site = site(&format!("  - source: {url}\n"));
        site.run(&SYNC).ends(0).says(&format!("the mirror {url}")).says(words).says("from here");
        all_right(&site);
    }
}

#[test]
fn the_nearest_is_asked_first_and_the_next_where_it_fails() {
    let (near, far, common) = (Server::nginx(""), Server::nginx(""), Server::nginx(""));
    let mirror = |server: &Server, rest: &str| format!("  - {{source: \"{}\"{rest}}}\n", server.url());
    let all = format!("{}{}", mirror(&common, ""), mirror(&near, ", datacenters: [eqiad]"));
    let site = site(&all);
    site.run(&SYNC).ends(0).hides("warning");
    assert!(!near.answered("GET", 200).is_empty() && common.answered("GET", 200).is_empty());
    // No host stands where the other one is near to.
    let mistake = "no host stands in the datacenter `codfw`";
    site.edit("mirrors:\n", &format!("mirrors:\n{}", mirror(&far, ", datacenters: [codfw]")));
    site.run(&["config", "check"]).ends(2).says(mistake);
    site.edit(&mirror(&far, ", datacenters: [codfw]"), "");
    drop(near);
    site.stage("wmf-config/large.php", &large(21));
    site.run(&SYNC).ends(0).says("warning: the mirror");
    all_right(&site);
    assert_eq!(common.answered("GET", 200).len(), site.hosts().len());
}
