//! Every fault is told apart by its true name, on real servers.

use crate::harness::{LONG, TestFleet, eventually, look, run_async};
use crate::sshd::Broken;
use expect_test::expect;
use pointsman::fleet::Install;
use pointsman::model::fault::Fault;
use std::fs;
use tokio::task::JoinSet;

/// Looks at all hosts at once; one line a host.
fn named(fleet: &TestFleet, install: Install) -> String {
    let opened = fleet.open();
    run_async(async {
        let opened = std::sync::Arc::new(opened);
        let mut looks = JoinSet::new();
        for i in 0..fleet.hosts.len() {
            let (opened, host) = (opened.clone(), fleet.name(i));
            looks.spawn(async move {
                let said = match look(&opened, &host, install).await {
                    Ok(session) => {
                        session.close(LONG).await;
                        "ready".to_owned()
                    }
                    Err(fault) => fault.to_string(),
                };
                (i, said)
            });
        }
        let mut lines = looks.join_all().await;
        lines.sort();
        lines.into_iter().map(|(i, said)| format!("{} {said}\n", fleet.name(i))).collect()
    })
}

#[test]
fn hosts_that_cannot_be_reached() {
    let fleet = TestFleet::broken(&[
        None,
        Some(Broken::Refused),
        Some(Broken::Silent),
        Some(Broken::Closed),
        Some(Broken::Blackhole),
        Some(Broken::KeyChanged),
        Some(Broken::KeyUnknown),
        Some(Broken::Password),
        Some(Broken::Denied),
    ]);
    expect![[r#"
        mw001.test ready
        mw002.test connection refused
        mw003.test timed out waiting for the SSH banner
        mw004.test closed the connection early
        mw005.test timed out connecting
        mw006.test host key changed
        mw007.test host key unknown
        mw008.test asks for a password
        mw009.test permission denied
    "#]]
    .assert_eq(&named(&fleet, Install::IfMissing));
    assert_eq!((fleet.connections(0), fleet.agents(0).len()), (1, 1));
    for i in 1..9 {
        assert_eq!((fleet.connections(i), fleet.agents(i).len()), (0, 0), "{}", fleet.name(i));
    }
}

#[test]
fn hosts_that_cannot_have_an_agent() {
    let fleet = TestFleet::broken(&[
        Some(Broken::HomeReadOnly),
        Some(Broken::HomeFull),
        Some(Broken::HomeNoExec),
        Some(Broken::OtherMachine),
        Some(Broken::Motd),
    ]);
    let said = named(&fleet, Install::IfMissing);
    let (numbers, plain): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.contains("disk full"));
    expect![[r#"
        mw001.test read-only file system
        mw003.test the home directory is mounted noexec, so no agent can run from it
        mw004.test wrong architecture: it is i686, the agent is for x86_64
        mw005.test ready"#]]
    .assert_eq(&plain.join("\n"));
    assert_eq!(numbers.len(), 1, "{said}");
    let words = numbers[0].strip_prefix("mw002.test disk full: the agent needs ").expect("it is the second host");
    assert!(words.ends_with(" kB are free"), "{words}");
    assert!(fleet.agents(0).is_empty() && fleet.agents(2).is_empty() && fleet.agents(3).is_empty());
}

#[test]
fn a_name_that_does_not_resolve() {
    let fleet = TestFleet::ssh(1);
    let text = fs::read_to_string(fleet.file()).expect("the harness wrote it");
    let address = fleet.hosts[0].address.ip().to_string();
    fs::write(fleet.file(), text.replace(&address, "no-such-host.invalid")).expect("it is ours");
    assert_eq!(named(&fleet, Install::Never), "mw001.test name does not resolve\n");
}

#[test]
fn s07_a_host_that_is_rebuilt_with_another_key_is_never_talked_to() {
    let mut fleet = TestFleet::ssh(2);
    assert_eq!(named(&fleet, Install::IfMissing), "mw001.test ready\nmw002.test ready\n");
    fleet.set(1, Some(Broken::KeyChanged));
    assert_eq!(named(&fleet, Install::IfMissing), "mw001.test ready\nmw002.test host key changed\n");
    assert_eq!(fleet.connections(1), 1);
    fleet.set(1, None);
    assert_eq!(named(&fleet, Install::IfMissing), "mw001.test ready\nmw002.test ready\n");
}

#[test]
fn s07_a_new_key_is_trusted_only_when_it_is_accepted() {
    let fleet = TestFleet::broken(&[Some(Broken::KeyUnknown), Some(Broken::KeyChanged), None]);
    let opened = fleet.open();
    for (i, replaces) in [(0, false), (1, true)] {
        let before = fs::read(fleet.dir.path().join("known_hosts")).expect("the harness wrote it");
        let offer = run_async(opened.offer(&fleet.name(i))).expect("it shows its key");
        assert_eq!(fs::read(fleet.dir.path().join("known_hosts")).expect("it is there"), before);
        assert_eq!((offer.keys.len(), offer.replaces), (1, replaces));
        assert!(offer.keys[0].fingerprint.starts_with("SHA256:"), "{offer:?}");
        run_async(offer.accept()).expect("the file is ours");
    }
    assert_eq!(named(&fleet, Install::IfMissing), "mw001.test ready\nmw002.test ready\nmw003.test ready\n");
}

#[test]
fn s02_a_hostile_ssh_configuration_does_not_get_its_way() {
    let mut fleet = TestFleet::ssh(2);
    let canary = fleet.dir.path().join("canary");
    fleet.more_ssh_config = format!(
        "StrictHostKeyChecking no\nPermitLocalCommand yes\nLocalCommand touch {0}\nRemoteCommand touch {0}\n\
         ForwardAgent yes\nBatchMode no\nControlMaster no\nControlPath none\nLogLevel QUIET\nRequestTTY force\n",
        canary.display()
    );
    fleet.set(1, Some(Broken::KeyUnknown));
    assert_eq!(named(&fleet, Install::IfMissing), "mw001.test ready\nmw002.test host key unknown\n");
    assert!(!canary.exists());
}

#[test]
fn a_connection_that_is_lost_while_the_answer_is_waited_for() {
    let fleet = TestFleet::ssh(1);
    let opened = fleet.open_with(&fleet.script("touch \"$0.started\"; exec sleep 600"));
    let started = |name: &String| name.ends_with(".started");
    let fault = run_async(async {
        let host = fleet.name(0);
        let cut = async {
            eventually(|| fleet.agents(0).iter().any(started)).await;
            fleet.hosts[0].cut_connections();
        };
        tokio::join!(look(&opened, &host, Install::IfMissing), cut).0.err()
    });
    assert_eq!(fault, Some(Fault::ClosedEarly));
}
