//! `canary`: every output, and that not one byte moves on any host.

use crate::gated::{Running, answers, site};
use crate::server::stands_in;
use crate::site::{Site, V10, V11, ran};
use expect_test::{Expect, expect};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

const SOAK: &str = "max: 1s, watch: 0s";
const PLUGIN: &str = "name: plugin, kind: command, argv: [checks/plugin.sh]";
const LAG: &str =
    "name: lag, kind: threshold, source: {program: [checks/number.sh]}, success: \"< 5\", failure: \"> 8\"";

fn checked() -> Site {
    site(SOAK, &[PLUGIN, LAG, "name: person, kind: approval, at: [before, canary]"])
}

/// What is below the directories of the hosts.
fn on_hosts(site: &Site) -> BTreeMap<PathBuf, String> {
    let below = site.path("hosts");
    site.digest().into_iter().filter(|(path, _)| path.starts_with(&below)).collect()
}

/// A text without what differs from run to run.
fn steady(site: &Site, text: &str) -> String {
    let text = text.replace(site.path("").to_str().expect("it is UTF-8"), "SITE/");
    let mut steady = String::new();
    let mut rest = text.as_str();
    // The time that it took, and since when.
    while let Some((before, after)) = ["time=", "time=\"", "since ", "_seconds "]
        .iter()
        .filter_map(|mark| Some(rest.find(mark)? + mark.len()))
        .min()
        .map(|at| rest.split_at(at))
    {
        steady += before;
        let value = |c: char| c.is_ascii_digit() || "-:. UTC,".contains(c);
        let left = after.trim_start_matches('"').trim_start_matches(value);
        steady += if left.len() < after.len() { "T" } else { "" };
        rest = left;
    }
    steady + rest
}

#[track_caller]
fn says(site: &Site, arguments: &[&str], code: i32, expected: &Expect) {
    let before = on_hosts(site);
    let ran = site.run(arguments).ends(code);
    expected.assert_eq(&steady(site, &(ran.stdout + &ran.stderr)));
    assert_eq!(on_hosts(site), before, "{arguments:?} moved something on a host");
}

#[test]
fn all_is_well() {
    let site = checked();
    says(
        &site,
        &["canary"],
        0,
        &expect![[r#"
            plugin pass: 1 host said OK (n 1, asked: SITE/checks/plugin.sh)
            lag pass: 0 was measured; good below 5, bad above 8 (n 1, asked: SITE/checks/number.sh)
            3 of 3 hosts ready (L2), 2 of 2 gates passed
        "#]],
    );
    says(
        &site,
        &["canary", "--nagios"],
        0,
        &expect![[r#"
            POINTSMAN OK - 3 of 3 hosts ready (L2), 2 of 2 gates passed | hosts=3;;;0 stale=0;;0;0;3 gates=2;;;0 failed=0;;0;0;2 inconclusive=0;0;;0;2 errors=0;;;0;2 time=Ts;;;0 'gate_plugin'=1 'gate_lag'=0
        "#]],
    );
    says(
        &site,
        &["canary", "--nagios", "--hosts", "role:canary"],
        0,
        &expect![[r#"
            POINTSMAN OK - 1 of 1 host ready (L2), 2 of 2 gates passed | hosts=1;;;0 stale=0;;0;0;1 gates=2;;;0 failed=0;;0;0;2 inconclusive=0;0;;0;2 errors=0;;;0;2 time=Ts;;;0 'gate_plugin'=1 'gate_lag'=0
        "#]],
    );
    site.run(&["canary", "--hosts", "role:canari"]).ends(2);
}

#[test]
fn a_gate_that_failed_is_3_and_for_nagios_critical() {
    let site = checked();
    answers(&site, "plugin", 2);
    says(
        &site,
        &["canary"],
        3,
        &expect![[r#"
            plugin fail: the deploy host: code 2, PLUGIN 2 (1 of 1 host) (n 1, asked: SITE/checks/plugin.sh)
            lag pass: 0 was measured; good below 5, bad above 8 (n 1, asked: SITE/checks/number.sh)
            3 of 3 hosts ready (L2), 1 of 2 gates passed
        "#]],
    );
    says(
        &site,
        &["canary", "--nagios"],
        2,
        &expect![[r#"
            POINTSMAN CRITICAL - 1 gate failed: plugin (the deploy host: code 2, PLUGIN 2 (1 of 1 host) (n 1, asked: SITE/checks/plugin.sh)) | hosts=3;;;0 stale=0;;0;0;3 gates=2;;;0 failed=1;;0;0;2 inconclusive=0;0;;0;2 errors=0;;;0;2 time=Ts;;;0 'gate_plugin'=1 'gate_lag'=0
        "#]],
    );
    site.run(&["status"]).ends(0).hides("approvals").hides("blockers");
}

#[test]
fn a_gate_that_is_inconclusive_or_broken_is_4_and_for_nagios_warning_or_unknown() {
    let site = checked();
    answers(&site, "number", 6);
    says(
        &site,
        &["canary"],
        4,
        &expect![[r#"
            plugin pass: 1 host said OK (n 1, asked: SITE/checks/plugin.sh)
            lag inconclusive: 6 was measured; good below 5, bad above 8 (n 1, asked: SITE/checks/number.sh)
            3 of 3 hosts ready (L2), 1 of 2 gates passed
        "#]],
    );
    says(
        &site,
        &["canary", "--nagios"],
        1,
        &expect![[r#"
            POINTSMAN WARNING - 1 gate inconclusive: lag (6 was measured; good below 5, bad above 8 (n 1, asked: SITE/checks/number.sh)) | hosts=3;;;0 stale=0;;0;0;3 gates=2;;;0 failed=0;;0;0;2 inconclusive=1;0;;0;2 errors=0;;;0;2 time=Ts;;;0 'gate_plugin'=1 'gate_lag'=6
        "#]],
    );
    answers(&site, "number", 1);
    answers(&site, "plugin", 3);
    says(
        &site,
        &["canary"],
        4,
        &expect![[r#"
            plugin error: the deploy host: code 3, PLUGIN 3 (1 of 1 host) (n 1, asked: SITE/checks/plugin.sh)
            lag pass: 1 was measured; good below 5, bad above 8 (n 1, asked: SITE/checks/number.sh)
            3 of 3 hosts ready (L2), 1 of 2 gates passed
        "#]],
    );
    says(
        &site,
        &["canary", "--nagios"],
        3,
        &expect![[r#"
            POINTSMAN UNKNOWN - 1 gate could not be checked: plugin (the deploy host: code 3, PLUGIN 3 (1 of 1 host) (n 1, asked: SITE/checks/plugin.sh)) | hosts=3;;;0 stale=0;;0;0;3 gates=2;;;0 failed=0;;0;0;2 inconclusive=0;0;;0;2 errors=1;;;0;2 time=Ts;;;0 'gate_plugin'=1 'gate_lag'=1
        "#]],
    );
}

#[test]
fn a_host_that_is_not_ready_is_7_and_for_nagios_critical() {
    let site = checked();
    fs::remove_dir_all(site.served(&site.hosts()[2], &format!("php-{V10}/cache"))).expect("removed");
    says(
        &site,
        &["canary"],
        7,
        &expect![[r#"
            mw1019.eqiad.wmnet: php-1.27.0-wmf.10 lacks built artefacts: cache/l10n has 0 of 3 files, since Ts ago; type: pointsman sync-common mw1019.eqiad.wmnet
            plugin pass: 1 host said OK (n 1, asked: SITE/checks/plugin.sh)
            lag pass: 0 was measured; good below 5, bad above 8 (n 1, asked: SITE/checks/number.sh)
            2 of 3 hosts ready (L2), 2 of 2 gates passed
        "#]],
    );
    says(
        &site,
        &["canary", "--nagios"],
        2,
        &expect![[r#"
        POINTSMAN CRITICAL - 1 host not ready: mw1019.eqiad.wmnet (php-1.27.0-wmf.10 lacks built artefacts: cache/l10n has 0 of 3 files) | hosts=3;;;0 stale=1;;0;0;3 gates=2;;;0 failed=0;;0;0;2 inconclusive=0;0;;0;2 errors=0;;;0;2 time=Ts;;;0 'gate_plugin'=1 'gate_lag'=0
    "#]],
    );
    site.run(&["status"]).ends(0).says("stale: 1 host");
}

#[test]
fn a_site_that_cannot_be_read_is_unknown_for_nagios() {
    let site = checked();
    site.edit("kind: approval", "kind: aproval");
    let ran = site.run(&["canary", "--nagios"]).ends(3);
    assert!(ran.stdout.starts_with("POINTSMAN UNKNOWN - ") && ran.stdout.lines().count() == 1, "{ran}");
    assert!(ran.stdout.contains("aproval"), "{ran}");
    site.run(&["canary"]).ends(2);
    let unsynced = Site::unsynced("");
    unsynced.run(&["canary", "--nagios"]).ends(3).says("POINTSMAN UNKNOWN - ");
}

/// A check that writes a file with this option; what the file says.
fn written(option: &str, name: &str) -> String {
    let site = checked();
    answers(&site, "plugin", 2);
    let out = tempfile::tempdir().expect("a directory");
    let file = out.path().join(name).to_str().expect("it is UTF-8").to_owned();
    fs::write(&file, "old\n").expect("written");
    site.run(&["canary", option, &file]).ends(3);
    let mode = fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "others have to read it");
    assert_eq!(fs::read_dir(out.path()).expect("listed").count(), 1, "nothing else is left there");
    site.run(&["canary", option, "/no/such/directory/x"]).ends(1).says("/no/such/directory/x");
    steady(&site, &fs::read_to_string(&file).expect("it is there"))
}

#[test]
fn a_file_for_ci() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="pointsman canary" tests="5" skipped="0" failures="1" errors="0" time=T">
            <testsuite name="readiness" tests="3" skipped="0" errors="0" failures="0">
                <testcase name="mw1017.eqiad.wmnet" classname="pointsman.readiness"/>
                <testcase name="mw1018.eqiad.wmnet" classname="pointsman.readiness"/>
                <testcase name="mw1019.eqiad.wmnet" classname="pointsman.readiness"/>
            </testsuite>
            <testsuite name="gates" tests="2" skipped="0" errors="0" failures="1">
                <testcase name="plugin" classname="pointsman.gates">
                    <failure message="the deploy host: code 2, PLUGIN 2 (1 of 1 host) (n 1, asked: SITE/checks/plugin.sh)" type="fail">plugin fail: the deploy host: code 2, PLUGIN 2 (1 of 1 host) (n 1, asked: SITE/checks/plugin.sh)</failure>
                    <system-out>the deploy host: code 2, PLUGIN 2 (1 of 1 host) (n 1, asked: SITE/checks/plugin.sh)
        the deploy host: code 2, PLUGIN 2
        the deploy host: PLUGIN 2 | code=2</system-out>
                </testcase>
                <testcase name="lag" classname="pointsman.gates">
                    <system-out>0 was measured; good below 5, bad above 8 (n 1, asked: SITE/checks/number.sh)
        0</system-out>
                </testcase>
            </testsuite>
        </testsuites>
    "#]]
    .assert_eq(&written("--junit", "junit.xml"));
}

#[test]
fn a_file_for_prometheus() {
    expect![[r##"
        # HELP pointsman_canary_last_run_timestamp_seconds When the check ended.
        # TYPE pointsman_canary_last_run_timestamp_seconds gauge
        pointsman_canary_last_run_timestamp_seconds T
        # HELP pointsman_canary_duration_seconds How long the check took.
        # TYPE pointsman_canary_duration_seconds gauge
        pointsman_canary_duration_seconds T
        # HELP pointsman_canary_well 1 when every host is ready and every gate passed.
        # TYPE pointsman_canary_well gauge
        pointsman_canary_well 0
        # HELP pointsman_hosts Hosts that were looked at.
        # TYPE pointsman_hosts gauge
        pointsman_hosts 3
        # HELP pointsman_stale_hosts Hosts that are not ready.
        # TYPE pointsman_stale_hosts gauge
        pointsman_stale_hosts 0
        # HELP pointsman_host_stale_since_timestamp_seconds Since when a host is not ready.
        # TYPE pointsman_host_stale_since_timestamp_seconds gauge
        # HELP pointsman_gate_verdict 1 for the verdict that a gate gave.
        # TYPE pointsman_gate_verdict gauge
        pointsman_gate_verdict{gate="plugin",kind="command",mode="enforce",verdict="pass"} 0
        pointsman_gate_verdict{gate="plugin",kind="command",mode="enforce",verdict="fail"} 1
        pointsman_gate_verdict{gate="plugin",kind="command",mode="enforce",verdict="inconclusive"} 0
        pointsman_gate_verdict{gate="plugin",kind="command",mode="enforce",verdict="error"} 0
        pointsman_gate_verdict{gate="lag",kind="threshold",mode="enforce",verdict="pass"} 1
        pointsman_gate_verdict{gate="lag",kind="threshold",mode="enforce",verdict="fail"} 0
        pointsman_gate_verdict{gate="lag",kind="threshold",mode="enforce",verdict="inconclusive"} 0
        pointsman_gate_verdict{gate="lag",kind="threshold",mode="enforce",verdict="error"} 0
        # HELP pointsman_gate_value The number that decided, in the unit of the gate's limit.
        # TYPE pointsman_gate_value gauge
        pointsman_gate_value{gate="plugin"} 1
        pointsman_gate_value{gate="lag"} 0
        # HELP pointsman_gate_samples How many samples, hosts or events a verdict rests on.
        # TYPE pointsman_gate_samples gauge
        pointsman_gate_samples{gate="plugin"} 1
        pointsman_gate_samples{gate="lag"} 1
    "##]]
    .assert_eq(&written("--prometheus", "pointsman.prom"));
}

#[test]
fn programs_read_events() {
    let site = checked();
    answers(&site, "plugin", 2);
    let ran = site.run(&["canary", "--json"]).ends(3);
    let events: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["gate", "gate", "canary"], "{ran}");
    assert_eq!((&events[0]["verdict"], &events[1]["verdict"]), (&"fail".into(), &"pass".into()));
    assert_eq!((&events[2]["code"], &events[2]["well"]), (&3.into(), &false.into()));
    site.run(&["canary", "--json", "--nagios"]).ends(3).says("POINTSMAN UNKNOWN");
}

#[test]
fn it_waits_for_nobody_and_what_it_found_is_evidence_about_the_promotion() {
    let site = checked();
    let mut holder = Running::start(&site, &["lock", "-m", "moving"]);
    holder.says("locked: moving");
    site.run(&["canary"]).ends(0);
    drop(holder);
    site.run(&["promote", "group0", V11, "--yes", "-m", "train", "--override", "person=x", "--soak", "1ms"]).ends(0);
    answers(&site, "plugin", 2);
    site.run(&["canary"]).ends(3);
    site.run(&["show", "r2"]).ends(0).says("gate plugin: fail");
    let dry = site.run(&["promote", "group1", V11, "-m", "x", "--dry-run"]).ends(0);
    dry.says("before: r2, ").says("the gate plugin: Fails: ");
}

/// A web server that sends back what it was asked, as a page of an error does; its address, and the heads of requests.
fn echo() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let (sent, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut reader = BufReader::new(stream.try_clone().expect("one socket, two hands"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {}
            let secret = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            let body = format!("{secret} may not do this");
            let line = format!("HTTP/1.1 403 No\r\nx-you: {secret}\r\ncontent-length: {}", body.len());
            let _ = write!(stream, "{line}\r\nconnection: close\r\n\r\n{body}");
            let _ = sent.send(head);
        }
    });
    (address, received)
}

#[test]
fn s10_a_header_of_a_probe_is_in_no_output_and_in_no_file() {
    let (address, received) = echo();
    let headers = "headers: {Authorization: \"env:POINTSMAN_PROBE\"}";
    let probe = |name: &str, expect: &str| {
        format!("name: {name}, kind: probe, url: {{wiki: enwiki, {headers}, expect: {{{expect}}}}}")
    };
    let site = site(
        SOAK,
        &[
            &probe("body", "body_contains: welcome"),
            &probe("header", "headers: {x-you: me}"),
            &probe("judged", "body_regex: '^Bearer C[A]NARY'"),
        ],
    );
    let lines: String = site.hosts().iter().map(|host| format!("{host} {address}\n")).collect();
    site.write("addresses", &lines);
    site.edit("gates:\n", "web: {addresses: addresses}\ngates:\n");
    let run = |arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env("POINTSMAN_PROBE", "Bearer CANARYCANARY").env("POINTSMAN_LOG", "trace");
        ran(&mut command, arguments).hides("CANARYCANARY")
    };
    run(&["canary"]).ends(3).says("it begins with `(secret) may not do this`").says("the header x-you is `(secret)`");
    let head = received.recv().expect("it was asked");
    assert!(head.contains("authorization: Bearer CANARYCANARY\r\n"), "{head}");
    site.run(&["canary"])
        .ends(4)
        .says("the header Authorization cannot be sent: env:POINTSMAN_PROBE: this variable is not set");
    run(&["canary", "--json"]).ends(3);
    run(&["promote", "group0", V11, "--yes", "-m", "train"]).ends(4);
    let page = site.path("page.html").display().to_string();
    let report = ["report", "r2", "--html", &page];
    for arguments in [&["show", "r2"][..], &["timeline"], &["history"], &report, &["config", "check"]] {
        run(arguments).ends(0);
    }
    assert_eq!(stands_in(&site.path(""), "CANARYCANARY"), None);
}

#[test]
fn log_files_are_read_twice_so_that_there_is_something_to_judge() {
    let logs = "logs: {file: /var/log/access.log, events: \" 5..$\"}";
    let site = site(SOAK, &[&format!("name: errors, kind: counts, {logs}, min_exposure: 1, max_rate: 0.9")]);
    let logs: Vec<PathBuf> = site.hosts().iter().map(|host| site.host(host).join("var/log/access.log")).collect();
    for log in &logs {
        fs::create_dir_all(log.parent().expect("it has one")).expect("made");
        fs::write(log, "").expect("written");
    }
    let over = std::sync::atomic::AtomicBool::new(false);
    let visit = || {
        let line = "testwiki GET / 200\n".repeat(20);
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            for log in &logs {
                let mut log = fs::OpenOptions::new().append(true).open(log).expect("it is there");
                std::io::Write::write_all(&mut log, line.as_bytes()).expect("written");
            }
            // Not to wait for anything, but to write no more than a host would.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    };
    let ran = std::thread::scope(|scope| {
        scope.spawn(visit);
        let ran = site.run(&["canary"]);
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        ran
    });
    ran.ends(0).says("errors pass: ");
}

#[test]
fn hosts_that_serve_no_wikis_are_asked_by_gates_that_name_them_unless_others_were_chosen() {
    let site = site(SOAK, &["name: logs, kind: host, conditions: {uptime_seconds: \">= 0\"}"]);
    let other = "hosts:\n  - {name: mwlog1, roles: [other], datacenter: eqiad, transport: local, directory: hosts}\n";
    site.edit("hosts:\n", other);
    site.edit("kind: host,", "kind: host, hosts: mwlog1,");
    site.empty_host("mwlog1");
    site.run(&["canary"]).ends(0).says("logs pass: ").says("1 of 1 gate passed").says("3 of 3 hosts ready");
    site.run(&["canary", "--hosts", "role:canary"]).ends(4).says("logs error: ").says("no host to ask");
}
