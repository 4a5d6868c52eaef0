//! Directories of this machine as hosts. The only tests here that need neither root nor ssh.

use crate::harness::{LONG, look, run_async};
use pointsman::config;
use pointsman::fleet::{Fleet, Install};
use pointsman::model::fault::Fault;
use pointsman::model::question::{Answer, Question};
use std::fs;
use std::path::Path;

const GROUPS: &str = "\
deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
wikis: [testwiki]
groups:
  - {name: group0, wikis: [testwiki]}
hosts:
  - {name: 'mw[1-2].test', roles: [appserver], datacenter: eqiad, transport: local, directory: hosts}
";

#[test]
fn a_directory_answers_as_a_host_and_a_missing_one_has_no_route() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir_all(dir.path().join("hosts/mw1.test")).expect("it is ours");
    let file = dir.path().join("groups.yaml");
    fs::write(&file, GROUPS).expect("it is ours");
    let policy = config::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let place = dir.path().join("run");
    let program = Path::new(env!("CARGO_BIN_EXE_pointsman"));
    let fleet = Fleet::open_with(&policy, &place, program).expect("the fleet opens");
    let name = |text: &str| text.parse().expect("a legal name");
    run_async(async {
        let session = look(&fleet, &name("mw1.test"), Install::Never).await.expect("it needs no installation");
        assert_eq!(session.round_trips(), 1);
        session.close(LONG).await;
        assert_eq!(look(&fleet, &name("mw2.test"), Install::Never).await.err(), Some(Fault::NoRoute));
    });
    assert!(!place.exists(), "no runtime directory without ssh");
    assert_eq!(fs::read_dir(dir.path().join("hosts/mw1.test")).expect("it is there").count(), 0, "a look is a look");
}

#[test]
fn log_files_of_a_directory_lie_below_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let below = dir.path().join("hosts/mw1.test/var/log");
    fs::create_dir_all(&below).expect("it is ours");
    fs::write(below.join("a.log"), "12345").expect("it is ours");
    let file = dir.path().join("groups.yaml");
    fs::write(&file, GROUPS).expect("it is ours");
    let policy = config::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let program = Path::new(env!("CARGO_BIN_EXE_pointsman"));
    let fleet = Fleet::open_with(&policy, &dir.path().join("run"), program).expect("the fleet opens");
    run_async(async {
        let mw1 = "mw1.test".parse().expect("a legal name");
        let mut session = look(&fleet, &mw1, Install::Never).await.expect("it answers");
        let question = Question::Facts { logs: vec!["/var/log/a.log".into(), "/var/log/gone".into()] };
        let Ok(Answer::Facts(facts)) = session.question(&question, LONG).await else { panic!("facts give facts") };
        assert_eq!(facts.logs, [("/var/log/a.log".into(), Some(5)), ("/var/log/gone".into(), None)]);
        let tail = Question::Tail { file: "/var/log/a.log".into(), from: None, bytes_max: 1 };
        let Ok(Answer::Tail(tail)) = session.question(&tail, LONG).await else { panic!("a tail gives a tail") };
        assert_eq!(tail.next.map(|cursor| cursor.offset), Some(5));
        session.close(LONG).await;
    });
}
