//! Installing, asking and being answered, over real connections.

use crate::harness::{LONG, TestFleet, look, run_async};
use crate::sshd::Broken;
use expect_test::expect;
use pointsman::fleet::Install;
use pointsman::model::fault::Fault;
use pointsman::model::ids::{BooksId, Generation};
use pointsman::model::protocol::{Command, Peek, Reply, Stamp};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

fn observe(seq: u64) -> Command {
    let stamp = Stamp { books: BooksId(7), generation: Generation { epoch: 1, seq } };
    Command::Observe { stamp, adopt: false, peek: Peek::at_state() }
}

#[test]
fn a_command_that_only_looks_never_installs() {
    let fleet = TestFleet::ssh(1);
    let opened = fleet.open();
    let fault = run_async(look(&opened, &fleet.name(0), Install::Never)).err();
    assert_eq!(fault, Some(Fault::NoAgent));
    assert_eq!(fs::read_dir(&fleet.hosts[0].home).expect("it is there").count(), 0, "the home is untouched");
    assert_eq!((fleet.connections(0), fleet.sessions(0)), (1, 1));
}

#[test]
fn the_first_contact_installs_and_the_second_costs_one_session() {
    let fleet = TestFleet::ssh(1);
    for (sessions, trips) in [(3, 1), (4, 1)] {
        let opened = fleet.open();
        run_async(async {
            let session = look(&opened, &fleet.name(0), Install::IfMissing).await.expect("it answers");
            assert_eq!(session.round_trips(), trips);
            session.close(LONG).await;
        });
        assert_eq!(fleet.sessions(0), sessions, "look, upload, look; then one look");
    }
    let agents = fleet.agents(0);
    assert_eq!(agents.len(), 1, "{agents:?}");
    assert_eq!(agents[0].len(), "agent-".len() + 64);
    let home = fleet.hosts[0].home.join(".pointsman");
    for path in [home.clone(), home.join(&agents[0])] {
        assert_eq!(fs::metadata(path).expect("it is there").permissions().mode() & 0o7777, 0o700);
    }
    let ours = fs::read(env!("CARGO_BIN_EXE_pointsman-agent")).expect("cargo built it");
    assert!(
        fs::read(home.join(&agents[0])).expect("it is there") == ours,
        "the agent is the one that was built with this program"
    );
}

#[test]
fn an_agent_comes_whole_to_hosts_with_gzip_and_without() {
    let fleet = TestFleet::broken(&[Some(Broken::NotedGzip), Some(Broken::NoGzip)]);
    let opened = fleet.open();
    for i in 0..2 {
        run_async(async {
            look(&opened, &fleet.name(i), Install::IfMissing).await.expect("it answers").close(LONG).await;
        });
        assert_eq!((fleet.sessions(i), fleet.agents(i).len()), (3, 1), "look, upload, look");
    }
    let ours = fs::read(env!("CARGO_BIN_EXE_pointsman-agent")).expect("cargo built it");
    for (i, host) in fleet.hosts.iter().enumerate() {
        let theirs = fs::read(host.home.join(".pointsman").join(&fleet.agents(i)[0])).expect("it is there");
        assert!(theirs == ours, "{i}");
    }
    let packed = fs::metadata(fleet.hosts[0].home.join("unpacked")).expect("it came packed").len();
    assert!(packed < ours.len() as u64 * 3 / 4, "{packed} of {}", ours.len());
}

#[test]
fn several_commands_share_one_connection_and_one_agent() {
    let fleet = TestFleet::ssh(1);
    let opened = fleet.open();
    run_async(async {
        let mut session = look(&opened, &fleet.name(0), Install::IfMissing).await.expect("it answers");
        let before = fleet.sessions(0);
        for seq in 1..=3 {
            let reply = session.command(&observe(seq), LONG).await.expect("it answers");
            let Reply::Observed(observation) = reply else { panic!("{reply:?}") };
            let before = observation.fence.map(|fence| fence.generation.seq);
            assert_eq!(before, Some(seq - 1).filter(|seq| *seq > 0), "the fence as it was before");
        }
        let late = session.command(&observe(2), LONG).await.expect("it answers");
        assert!(matches!(late, Reply::Refused(_)), "{late:?}");
        assert_eq!((session.round_trips(), fleet.sessions(0), fleet.connections(0)), (5, before, 1));
        session.close(LONG).await;
    });
    assert!(fleet.file_of(0, "state/fence").is_some(), "the fence is on the host's own disk");
}

#[test]
fn sixteen_hosts_at_once() {
    let fleet = TestFleet::ssh(16);
    let opened = Arc::new(fleet.open());
    let answers = run_async(async {
        let mut looks = JoinSet::new();
        for i in 0..16 {
            let (opened, host) = (opened.clone(), fleet.name(i));
            looks.spawn(async move {
                let mut session = look(&opened, &host, Install::IfMissing).await?;
                let reply = session.command(&observe(1), LONG).await;
                session.close(LONG).await;
                reply
            });
        }
        looks.join_all().await
    });
    let mut incarnations = std::collections::BTreeSet::new();
    for answer in answers {
        let Ok(Reply::Observed(observation)) = answer else { panic!("{answer:?}") };
        incarnations.insert(observation.incarnation.expect("observing makes one"));
    }
    assert_eq!(incarnations.len(), 16, "sixteen hosts, each with a disk of its own");
    assert!((0..16).all(|i| fleet.connections(i) == 1 && fleet.agents(i).len() == 1));
}

#[test]
fn s16_whatever_a_host_answers_it_ends() {
    let fleet = TestFleet::ssh(1);
    let cases = [
        ("yes", "more than"),
        ("exec sleep 600", "timed out"),
        ("echo 'This account is not available.'; exit 1", "not available"),
        ("exit 0", "closed"),
        ("yes >&2", "timed out"),
    ];
    let mut said = String::new();
    for (script, _) in cases {
        let opened = fleet.open_with(&fleet.script(script));
        let peek = Peek::at_state();
        let error = run_async(async {
            let mut session = opened.session(&fleet.name(0), Install::IfMissing).await.expect("it connects");
            let error = session.peek(peek, Duration::from_secs(3)).await.expect_err("that is no agent");
            session.close(LONG).await;
            error
        });
        said += &format!("{script}: {error}\n");
    }
    expect![[r#"
        yes: does not speak the protocol: more than 65536 bytes before the agent's first
        exec sleep 600: timed out waiting for the agent's answer
        echo 'This account is not available.'; exit 1: does not speak the protocol: its shell ended with `This account is not available.`
        exit 0: closed the connection early
        yes >&2: timed out waiting for the agent's answer
    "#]]
    .assert_eq(&said);
}
