//! Rules against misuse that only the whole program shows, and the page that lists them all.

use crate::site::{Ran, Site, V11, ran};
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a command of the program under strace and says which files it and all its children made, one call a line.
fn made(site: &Site, arguments: &[&str]) -> Vec<String> {
    let log = site.path("calls");
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-y",
        "-s",
        "4096",
        "-e",
        "trace=open,openat,openat2,creat,mkdir,mkdirat,mknodat,symlinkat",
    ]);
    command.arg("-o").arg(&log).arg(env!("CARGO_BIN_EXE_pointsman")).arg("-C").arg(site.path("")).args(arguments);
    // strace names the working directory in its calls, and that of a test may be anywhere.
    let ended = command.current_dir("/").env("TMPDIR", site.path("tmp")).output().expect("strace runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let calls = String::from_utf8_lossy(&fs::read(&log).expect("strace wrote it")).into_owned();
    let makes = |line: &&str| {
        ["O_CREAT", "O_TMPFILE", "creat(", "mkdir", "mknod", "symlink"].iter().any(|word| line.contains(word))
    };
    calls.lines().filter(makes).map(str::to_owned).collect()
}

/// A host's C library may be older than the one here, or another one.
#[test]
fn s25_what_runs_on_hosts_needs_no_library_of_theirs() {
    for program in [env!("CARGO_BIN_EXE_pointsman"), env!("CARGO_BIN_EXE_pointsman-agent")] {
        let ldd = Command::new("ldd").arg(program).output().expect("ldd comes with the C library");
        let said = format!("{}{}", String::from_utf8_lossy(&ldd.stdout), String::from_utf8_lossy(&ldd.stderr));
        assert!(said.contains("statically linked") || said.contains("not a dynamic executable"), "{program}: {said}");
        assert!(!said.contains("=>"), "{program}: {said}");
    }
}

#[test]
fn s06_nothing_is_made_in_a_directory_for_temporary_files() {
    let site = Site::unsynced("");
    fs::create_dir(site.path("tmp")).expect("it is new");
    let home = site.path("").display().to_string();
    let home = home.trim_end_matches('/');
    let mut below = 0;
    for arguments in [
        &["sync-common", "--from-staging", "--yes", "-m", "first"][..],
        &["promote", "group0", V11, "--yes", "-m", "train"],
        &["check"],
        &["rollback", "--yes", "-m", "sessions are lost"],
    ] {
        for call in made(&site, arguments) {
            below += usize::from(call.contains(home));
            let elsewhere = call.replace(home, "SITE");
            let begins = |place: &&str| ["\"", "<"].iter().any(|mark| elsewhere.contains(&format!("{mark}{place}")));
            let shared = ["/tmp", "/var/tmp", "/dev/shm"].iter().any(begins);
            assert!(!shared, "{arguments:?}: {call}");
        }
    }
    assert!(below > 50, "only {below} files were made");
    assert_eq!(fs::read_dir(site.path("tmp")).expect("it is there").count(), 0);
}

#[test]
fn s09_who_acts_is_the_real_user_whatever_the_environment_says() {
    let who = Command::new("id").arg("-un").output().expect("there is id").stdout;
    let who = String::from_utf8(who).expect("a name").trim().to_owned();
    let site = Site::small("");
    let spoofed = |arguments: &[&str]| -> Ran {
        let mut command = site.command(arguments);
        for name in ["USER", "LOGNAME", "USERNAME", "SUDO_USER", "DOAS_USER", "HOSTNAME"] {
            command.env(name, "mallory");
        }
        ran(command.env("SUDO_UID", "4242"), arguments).hides("mallory")
    };
    spoofed(&["hold", "-m", "a spoofed environment"]).ends(0);
    spoofed(&["status"]).ends(0).says(&format!("a spoofed environment ({who}@"));
    spoofed(&["release"]).ends(0);
    spoofed(&["promote", "group0", V11, "--yes", "-m", "train"]).ends(0);
    spoofed(&["history", "-n", "1"]).ends(0).says(&format!("  {who}@"));
}

#[test]
fn s11_a_linter_sees_nothing_of_our_environment() {
    let site = Site::small("");
    let seen = site.path("seen");
    site.write("bin/php", &format!("#!/bin/sh\nenv > {}\n", seen.display()));
    fs::set_permissions(site.path("bin/php"), PermissionsExt::from_mode(0o755)).expect("chmod");
    site.stage("wmf-config/InitialiseSettings.php", "<?php\n$wmgLog = false;\n");
    let arguments = ["sync-file", "wmf-config/InitialiseSettings.php", "--yes", "-m", "off"];
    let path = format!("{}:{}", site.path("bin").display(), std::env::var("PATH").expect("there is one"));
    ran(site.command(&arguments).env("PATH", path).env("AWS_SECRET_ACCESS_KEY", "CANARY"), &arguments).ends(0);
    let seen = fs::read_to_string(seen).expect("it was asked");
    assert!(seen.contains("PATH=") && !seen.contains("CANARY"), "{seen}");
}

/// A server of one answer, and its port.
fn answering(answer: String) -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        if let Ok((mut stream, _)) = socket.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn s17_no_proxy_of_the_environment_is_asked_and_nothing_is_unpacked() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs();
    let points: Vec<_> = (1..20).map(|n| format!("[{n}, {}]", now - 60 * (20 - n))).collect();
    let body = format!("[{{\"target\": \"load\", \"datapoints\": [{}]}}]", points.join(", "));
    // A client that unpacks by itself would try to, and fail.
    let port = answering(format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    proxy.set_nonblocking(true).expect("a setting");
    let gate = format!(
        "gates:\n  - {{name: load, kind: threshold, source: {{graphite: \"http://127.0.0.1:{port}\", target: load}}, failure: \"> 9\"}}\n"
    );
    let site = Site::unsynced(&gate);
    let arguments = ["gate", "suggest", "load", "--since", "1h"];
    let mut command = site.command(&arguments);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, format!("http://{}", proxy.local_addr().expect("it is bound")));
    }
    ran(command.env_remove("no_proxy").env_remove("NO_PROXY"), &arguments).ends(0).says("19");
    assert_eq!(proxy.accept().map(drop).expect_err("nobody came").kind(), ErrorKind::WouldBlock);
}

fn repository(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("it is there")
}

#[test]
fn s25_every_dependency_comes_from_the_registry_with_a_checksum_and_there_is_no_unsafe_of_ours() {
    let lock = repository("Cargo.lock");
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 100, "{}", packages.len());
    let ours: Vec<_> = packages.iter().filter(|package| !package.contains("\nsource = ")).collect();
    assert!(ours.len() == 1 && ours[0].contains("name = \"pointsman\""), "{ours:?}");
    for package in packages.iter().filter(|package| package.contains("\nsource = ")) {
        let registry = "\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"";
        assert!(package.contains(registry), "{package}");
    }
    assert!(repository("Cargo.toml").contains("unsafe_code = \"forbid\""));
    let deny = repository("deny.toml");
    for line in
        ["unknown-registry = \"deny\"", "unknown-git = \"deny\"", "wildcards = \"deny\"", "{ crate = \"openssl-sys\" }"]
    {
        assert!(deny.contains(line), "{line}");
    }
}

/// All sources below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it is listed").path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The words of a text that stand in single backticks and look like the name of a test.
fn names(text: &str) -> BTreeSet<&str> {
    let plain = |word: &&str| {
        word.matches('_').count() >= 2
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.split('`').skip(1).step_by(2).filter(plain).collect()
}

#[test]
fn every_test_that_the_page_on_security_names_is_there_and_every_rule_has_a_row() {
    let page = repository("docs/security.md");
    let mut files = Vec::new();
    for top in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(top), &mut files);
    }
    let code: String = files.iter().map(|file| fs::read_to_string(file).expect("it is text")).collect();
    let named = names(&page);
    assert!(named.len() > 60, "{}", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for rule in 1..=27 {
        let rows = page.lines().filter(|line| line.starts_with(&format!("| S{rule} |"))).count();
        assert_eq!(rows, 1, "S{rule}");
    }
}
