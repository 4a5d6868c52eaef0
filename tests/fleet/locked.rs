//! Hosts that give pointsman as little as they can: an ordinary login whose key starts one program, sudo for one
//! command, a read-only /usr and a /tmp without exec. It is what docs/locked-down.md tells people to do.

use crate::harness::TestFleet;
use crate::sshd::Broken;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// The uid of their login.
const LOGIN: u32 = 4242;

/// What root puts on host `i` beforehand, this program's agent among it or not.
fn put(fleet: &TestFleet, i: usize, agent: bool) {
    let host = &fleet.hosts[i];
    let to = host.dir.join("locked");
    let _ = fs::remove_dir_all(&to);
    fs::create_dir(&to).expect("it is ours");
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/locked-down");
    for name in ["pointsman-door", "sudoers"] {
        fs::copy(contrib.join(name), to.join(name)).expect("it is ours");
    }
    if agent {
        let program = fs::read(fleet.path("pointsman-agent")).expect("it lies there");
        let name: String = Sha256::digest(&program).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::copy(fleet.path("pointsman-agent"), to.join(format!("agent-{name}"))).expect("it is ours");
    }
    let restarts = host.dir.join("restarts").display().to_string();
    fs::write(to.join("restart"), format!("#!/bin/sh\necho \"$(id -u) for $SUDO_USER\" >>{restarts}\n")).expect("ours");
    fs::set_permissions(to.join("restart"), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let key = fs::read_to_string(fleet.path("id.pub")).expect("it was made");
    let door = "/usr/local/lib/pointsman/pointsman-door";
    fs::write(to.join("authorized_keys"), format!("restrict,command=\"{door}\" {key}")).expect("it is ours");
}

/// Two hosts, both locked down, with an agent or without.
fn site(agent: bool) -> TestFleet {
    let mut fleet = TestFleet::site(2);
    // Its login goes through it to the host's root, as to a directory of any host.
    fs::set_permissions(fleet.dir.path(), PermissionsExt::from_mode(0o711)).expect("it is ours");
    let restart = format!("restart: [sh, {}/restart]", fleet.dir.path().display());
    let text = fs::read_to_string(fleet.file()).expect("it was made");
    let text = text.replace("user: root", "user: deploy");
    fleet.site = Some(text.replace(&restart, "restart: [sudo, -n, /usr/local/lib/pointsman/restart]"));
    for i in 0..2 {
        put(&fleet, i, agent);
        fleet.set(i, Some(Broken::LockedDown));
    }
    fleet
}

/// What ssh itself says when somebody with the key asks for this; its standard input is empty.
fn asked(fleet: &TestFleet, args: &[&str]) -> (Option<i32>, String) {
    let (ip, port) = (fleet.hosts[0].address.ip().to_string(), fleet.hosts[0].address.port().to_string());
    let mut ssh = Command::new("ssh");
    ssh.arg("-F").arg(fleet.path("ssh_config")).args(["-o", "BatchMode=yes", "-p", &port, "-l", "deploy"]);
    let output = ssh.args(&args[..args.len() - 1]).arg(ip).arg(args[args.len() - 1]);
    let output = output.stdin(Stdio::null()).output().expect("ssh is there");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn s11_a_locked_down_host_is_promoted_and_taken_back() {
    let fleet = site(true);
    fleet.run(&["sync-common", "--from-staging", "-y", "-m", "the first"]).is(0);
    fleet.promote("group0", &[]).is(0);
    fleet.all_serve(2, &[]);
    fleet.run(&["rollback", "-m", "sessions are lost"]).is(0);
    fleet.all_serve(0, &[]);
    fleet.run(&["check"]).is(0);
    for (i, host) in fleet.hosts.iter().enumerate() {
        let restarts = fs::read_to_string(host.dir.join("restarts")).expect("it was restarted");
        assert!(restarts.lines().count() >= 2, "{restarts}");
        assert!(restarts.lines().all(|line| line == "0 for deploy"), "sudo runs it, and for the login: {restarts}");
        assert_eq!(fleet.agents(i), [""; 0], "nothing was put into its home");
        let owner = |path: &str| fs::metadata(host.root.join(path)).expect("it is there").uid();
        let owners = ["mediawiki/wikiversions.php", "mediawiki/php-1.27.0-wmf.11", "state"].map(owner);
        assert_eq!(owners, [LOGIN; 3], "an ordinary user's process made them");
    }
}

#[test]
fn s11_its_key_opens_nothing_but_the_agent() {
    let fleet = site(true);
    for line in ["touch /tmp/pwned", "sh", "cat /etc/passwd", "", "/usr/local/lib/pointsman/restart"] {
        let (code, said) = asked(&fleet, &[line]);
        assert_eq!((code, said.contains("root:")), (Some(64), false), "`{line}` must not run: {said}");
    }
    assert!(!fleet.hosts[0].dir.join("restarts").exists());
    let (code, said) = asked(&fleet, &["-tt", "sh"]);
    assert!(code != Some(0) && said.contains("PTY allocation request failed"), "{said}");
    let (code, said) = asked(&fleet, &["-W", "127.0.0.1:22", ""]);
    assert!(code != Some(0) && said.contains("administratively prohibited"), "{said}");
}

#[test]
fn s11_sudo_lets_it_restart_and_do_nothing_else() {
    let fleet = site(true);
    let text = fs::read_to_string(fleet.file()).expect("it was made");
    fleet.run(&["sync-common", "--from-staging", "-y", "-m", "the first"]).is(0);
    for argv in ["sudo, -n, touch, /etc/pwned", "sudo, -n, /usr/local/lib/pointsman/restart, now", "touch, /usr/pwned"]
    {
        let hook = format!("restart: [{argv}]");
        let asks = text.replace("restart: [sudo, -n, /usr/local/lib/pointsman/restart]", &hook);
        assert!(asks.contains(&hook));
        fs::write(fleet.file(), asks).expect("it is ours");
        let said = fleet.promote("group0", &[]);
        assert_ne!(said.code, Some(0), "{argv}: {}", said.said());
        fleet.run(&["rollback", "-m", "back"]);
        fs::write(fleet.file(), &text).expect("it is ours");
        fleet.run(&["converge", "-y"]).is(0);
    }
    assert!(!Path::new("/etc/pwned").exists() && !Path::new("/usr/pwned").exists());
}

#[test]
fn s11_an_agent_that_its_owner_did_not_put_there_is_not_sent() {
    let mut fleet = site(false);
    let name = fleet.name(0).to_string();
    let said = fleet.run(&["sync-common", "--from-staging", "-y", "-m", "the first"]);
    let said = said.is(8).names(&name, "its login runs only agents that its owner put there, and `agent-");
    assert!(said.said().contains("after this program's agent was put there under that name"), "{}", said.said());
    fleet.run(&["agent", "install"]).names(&name, "its login runs only agents");
    assert_eq!(fs::read_dir(&fleet.hosts[0].home).expect("it is there").count(), 0);
    (0..2).for_each(|i| put(&fleet, i, true));
    (0..2).for_each(|i| fleet.set(i, Some(Broken::LockedDown)));
    fleet.run(&["sync-common", "--from-staging", "-y", "-m", "the first"]).is(0);
    fleet.all_serve(0, &[]);
}
