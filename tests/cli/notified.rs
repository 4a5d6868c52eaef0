//! Who is told what became of rollouts: the built program, a web server of these tests, and files.

use crate::docs::blocks;
use crate::gated::{Running, answers, site};
use crate::site::{Site, V10, V11};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};

const SOAK: &str = "wave: 1ms, group: 1ms, max: 1h, watch: 0s";

/// Appends a notifier; `{file}` stands for the log of the site.
pub fn notify(site: &Site, entries: &str) {
    let log = site.path("sal.log").display().to_string();
    let text = fs::read_to_string(site.path("groups.yaml")).expect("it is there");
    site.write("groups.yaml", &format!("{text}notify:\n{}", entries.replace("{file}", &log)));
}

const SAL: &str = "  - {name: log, to: sal, file: \"{file}\"}\n";

/// What stands in the log, without times and without who did it.
fn log(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(site.path("sal.log")).unwrap_or_default();
    let told = text.lines().map(|line| line.splitn(3, ' ').nth(2).expect("time, who, what").to_owned());
    told.map(|line| line.replace(&who(), "WHO")).collect()
}

pub fn who() -> String {
    let id = std::process::Command::new("id").arg("-un").output().expect("it runs");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("it has a name");
    format!("{}@{}", String::from_utf8_lossy(&id.stdout).trim(), host.trim())
}

/// A web server that answers as `answer` says, or never; its URL, and the bodies that it is sent.
fn web(answer: Option<&'static str>) -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/CANARY", listener.local_addr().expect("it has an address"));
    let (sent, received) = channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut reader = BufReader::new(stream.try_clone().expect("one socket, two hands"));
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_ok() {
                let _ = sent.send(serde_json::from_slice(&body).expect("it is JSON"));
            }
            match answer {
                Some(line) => drop(write!(stream, "HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")),
                None => held.push(stream),
            }
        }
    });
    (url, received)
}

fn secret(site: &Site, name: &str, text: &str) {
    site.write(name, text);
    fs::set_permissions(site.path(name), PermissionsExt::from_mode(0o600)).expect("chmod");
}

#[test]
fn a_train_and_its_way_back_are_told_by_their_effect() {
    let site = Site::small("");
    notify(&site, SAL);
    site.promote("group0", V11).ends(0);
    let gone = site.hosts()[2].clone();
    fs::rename(site.host(&gone), site.path("away")).expect("moved");
    // Not begun is not told.
    site.promote("group1", V11).ends(7);
    site.run(&["rollback", "-m", "5xx"]).ends(8);
    fs::rename(site.path("away"), site.host(&gone)).expect("moved");
    site.run(&["rollback"]).ends(0);
    site.run(&["rollback"]).ends(0).says("nothing to do");
    let train = "r2 promote group0 1.27.0-wmf.11";
    let told = log(&site);
    assert_eq!(told[0], format!("{train}: approved, by WHO: train"), "{told:#?}");
    for wave in 1..=3 {
        assert_eq!(told[wave], format!("{train}: wave {wave} of 3 is done: 1 of 1 host proven"), "{told:#?}");
    }
    let moved = "group0: 2 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11";
    assert_eq!(told[4], format!("{train}: done: {moved}; 3 of 3 hosts proven"), "{told:#?}");
    let back = "r3 rollback group0 1.27.0-wmf.11";
    let moved = "group0: 2 wikis 1.27.0-wmf.11 -> 1.27.0-wmf.10";
    assert_eq!(told[5], format!("{back}: begun, by WHO: 5xx"), "{told:#?}");
    assert_eq!(told[6], format!("{back}: rolled back: {moved}; 2 of 3 hosts proven"), "{told:#?}");
    assert_eq!(told[7], format!("{back}: 1 host is owed what the others have: {gone}"), "{told:#?}");
    assert!(told[8].starts_with("r4 rollback ") && told[8].contains("3 of 3 hosts proven"), "{told:#?}");
    assert_eq!(told.len(), 9, "what changes nothing is no news: {told:#?}");
}

#[test]
fn a_dry_run_tells_nobody() {
    let site = Site::small("");
    notify(&site, SAL);
    site.run(&["promote", "group0", V11, "-m", "x", "--dry-run"]).ends(0);
    assert_eq!(log(&site), Vec::<String>::new());
    assert!(!site.path("sal.log").exists());
}

#[test]
fn a_fleet_that_was_taken_back_is_told_once_it_is() {
    let site = Site::small("hooks: {build: [sh, build.sh], restart: [sh, -c, '! grep -q wmf.11 wikiversions.php']}\n");
    notify(&site, SAL);
    site.promote("group0", V11).ends(3);
    let told = log(&site);
    let train = "r2 promote group0 1.27.0-wmf.11";
    assert_eq!(told[0], format!("{train}: approved, by WHO: train"));
    assert_eq!(told[1..], [format!("{train}: was taken back by r3: too many hosts failed to switch")], "{told:#?}");
}

#[test]
fn a_failed_gate_and_a_wait_for_a_person_are_told_with_what_to_type() {
    let (url, received) = web(Some("200 OK"));
    let gates = ["name: manager, kind: approval", "name: plugin, kind: command, argv: [checks/plugin.sh], at: [wave]"];
    let site = site(SOAK, &gates);
    secret(&site, "url", &url);
    notify(&site, "  - {name: chat, to: webhook, form: json, url: file:url, on: [paused, gate-failed, rolled-back]}\n");
    answers(&site, "plugin", 2);
    let waits = Running::start(&site, &["promote", "group0", V11, "--yes", "-m", "train"]);
    let asked = received.recv().expect("it is told while it waits");
    assert_eq!((&asked["on"], &asked["type"], &asked["v"]), (&"paused".into(), &"notice".into(), &1.into()));
    assert_eq!(asked["hint"], "pointsman approve r2 -m WHY, or pointsman deny r2 -m WHY");
    site.run(&["approve", "r2", "-m", "go"]).ends(0);
    let failed = received.recv().expect("it is told");
    let back = received.recv().expect("it is told");
    let said = waits.ends(3);
    assert_eq!((&failed["on"], &back["on"]), (&"gate-failed".into(), &"rolled-back".into()), "{failed} {back}");
    let text = failed["text"].as_str().expect("a text");
    assert!(text.contains("everything is taken back: plugin") && !said.contains("CANARY"), "{text}\n{said}");
    assert_eq!(back["subject"], "r2 promote group0 1.27.0-wmf.11");
}

#[test]
fn notifiers_that_hang_refuse_or_are_gone_change_neither_the_code_nor_the_fleet() {
    let site = Site::small("");
    secret(&site, "hanging", &web(None).0);
    secret(&site, "broken", &web(Some("500 No")).0);
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    secret(&site, "gone", &format!("http://{gone}/CANARY"));
    site.write("open", "http://127.0.0.1/CANARY");
    let hook = |name: &str| format!("  - {{name: {name}, to: webhook, form: slack, url: file:{name}}}\n");
    let hooks = ["hanging", "broken", "gone", "open"].map(hook).concat();
    let mail = "  - {name: mail, to: mail, from: a@b, recipients: [c@d], sendmail: /nonexistent/sendmail}\n";
    notify(&site, &format!("{hooks}{mail}{SAL}"));
    let said = site.promote("group0", V11).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    assert_eq!(log(&site).len(), 5, "who can be told is told");
    for (name, why) in [
        ("hanging", "no answer within 5000 ms"),
        ("broken", "it answers 500"),
        ("gone", "connection refused"),
        ("open", "chmod 600"),
        ("mail", "/nonexistent/sendmail"),
    ] {
        let warnings: Vec<&str> =
            said.stderr.lines().filter(|line| line.contains(&format!("notifier {name}"))).collect();
        assert!(warnings.len() == 1 && warnings[0].starts_with("warning: "), "{name}: {said}");
        assert!(warnings[0].contains(why) && !warnings[0].contains("CANARY"), "{name}: {said}");
    }
    site.run(&["rollback", "-m", "x"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V10);
}

#[test]
fn the_examples_of_the_page_are_read_and_it_names_every_key_and_occasion() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/notifications.md");
    let text = fs::read_to_string(page).expect("it is there");
    let found = blocks(&text);
    assert!(found.len() >= 4, "only {} blocks", found.len());
    for (line, block) in &found {
        let ran = Site::unsynced(block).run(&["config", "check"]);
        assert_eq!(ran.code, 0, "docs/notifications.md:{line}: {ran}");
    }
    let schema = Site::unsynced("").run(&["config", "schema"]).stdout;
    let schema: Value = serde_json::from_str(&schema).expect("it is JSON");
    let properties = &schema["$defs"]["NotifyEntry"]["properties"];
    let keys: Vec<&String> = properties.as_object().expect("keys").keys().collect();
    let lists = [&properties["to"]["enum"], &properties["form"]["enum"], &properties["on"]["items"]["enum"]];
    let words = lists.into_iter().flat_map(|list| list.as_array().expect("a list")).filter_map(Value::as_str);
    let all: Vec<&str> = keys.iter().map(|key| key.as_str()).chain(words).collect();
    assert_eq!(all.len(), 14 + 4 + 4 + 7, "{all:?}");
    for word in all {
        assert!(text.contains(&format!("`{word}`")), "`{word}` is not named");
    }
}

#[test]
fn a_playbook_that_waits_for_a_person_is_told_and_so_is_that_it_paused() {
    let (url, received) = web(Some("200 OK"));
    let site = Site::small("");
    secret(&site, "url", &url);
    notify(&site, "  - {name: chat, to: webhook, form: irc-bridge, gateway: releng, url: file:url, on: [paused]}\n");
    site.write(
        "playbooks/ask.yaml",
        "name: ask\nstages:\n  - name: manager\n    approve: {text: is the train to go}\n",
    );
    let waits = Running::start(&site, &["run", "ask"]);
    let asked = received.recv().expect("it is told while it waits");
    let hint = "pointsman approve p1 -m WHY, or pointsman deny p1 -m WHY";
    let text = format!("playbook p1: waits for a person's approval: is the train to go ({hint})");
    assert_eq!((&asked["text"], &asked["gateway"]), (&text.into(), &"releng".into()));
    site.run(&["deny", "p1", "-m", "not today"]).ends(0);
    let ended = waits.ends(4);
    assert!(ended.contains("p1: paused"), "{ended}");
    let paused = received.recv().expect("it is told");
    let text = paused["text"].as_str().expect("a text");
    assert!(text.starts_with("playbook p1: paused: ") && text.contains("pointsman resume p1"), "{text}");
}

#[test]
fn what_the_watch_takes_back_is_told_from_the_gate_to_the_end() {
    let gates = ["name: plugin, kind: command, argv: [checks/plugin.sh], at: [watch]"];
    let site = site("wave: 1ms, group: 1ms, max: 1h, watch: 1h", &gates);
    notify(&site, SAL);
    let mut watched = Running::start(&site, &["promote", "group0", V11, "--yes", "-m", "train"]);
    watched.says("watching r2");
    answers(&site, "plugin", 2);
    watched.ends(3);
    let told = log(&site);
    let train = "r2 promote group0 1.27.0-wmf.11";
    assert!(told[5].starts_with(&format!("{train}: a gate failed; everything is taken back: plugin")), "{told:#?}");
    assert!(told[6].starts_with("r3 rollback group0 1.27.0-wmf.11: begun, by WHO: by the watch: plugin"), "{told:#?}");
    assert!(told[7].starts_with("r3 rollback group0 1.27.0-wmf.11: rolled back: group0: 2 wikis"), "{told:#?}");
    assert_eq!(told.len(), 8, "{told:#?}");
}
