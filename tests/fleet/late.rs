//! Commands that arrive late: a proxy between ssh and the host holds back what was sent, and delivers it when the host has
//! long heard of a newer operator.

use crate::harness::{LONG, TestFleet, eventually, look, run_async};
use crate::races::stop_between_writes;
use crate::site::{end_of, signal};
use pointsman::fleet::Install;
use pointsman::fleet::session::Session;
use pointsman::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use pointsman::model::map::VersionMap;
use pointsman::model::protocol::{Command, ConfirmNote, Direction, Expect, Peek, Refusal, Reply, Stamp};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long it may take until a command is on its way, and until it arrives.
const ARRIVED_MAX: Duration = Duration::from_secs(60);
/// A switch has more bytes than this; what ssh says to keep a connection alive has fewer.
const SWITCH_BYTES_MIN: u64 = 500;

/// The file that makes the proxy hold back.
struct Hold(PathBuf);

impl Hold {
    fn begin(&self) {
        fs::write(&self.0, "").expect("it is ours");
    }

    fn end(&self) {
        fs::remove_file(&self.0).expect("it is there");
    }

    /// How many bytes of one connection were `held` or `delivered` so far, of that which has most of them.
    fn bytes(&self, what: &str) -> u64 {
        let directory = self.0.parent().expect("it is in one");
        let counts = fs::read_dir(directory).expect("it is ours").flatten().map(|entry| entry.path());
        let begins = format!("hold.{what}.");
        let counts =
            counts.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begins)));
        let bytes = |path: PathBuf| fs::read_to_string(path).ok()?.parse().ok();
        counts.filter_map(bytes).max().unwrap_or_default()
    }

    /// Waits until more than `bytes` were `held` or `delivered`.
    fn wait(&self, what: &str, bytes: u64) {
        let since = Instant::now();
        while self.bytes(what) <= bytes {
            assert!(since.elapsed() < ARRIVED_MAX, "not more than {} bytes were {what}", self.bytes(what));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl TestFleet {
    /// Puts the proxy before host `i`.
    fn delay(&mut self, i: usize) -> Hold {
        let (program, hold) = (self.dir.path().join("late.py"), self.dir.path().join("hold"));
        fs::write(&program, include_str!("../fixtures/fleet/late.py")).expect("it is ours");
        let command = format!("python3 {} {} %h %p", program.display(), hold.display());
        self.more_ssh_config = format!("Host {}\nProxyCommand {command}\n", self.name(i));
        self.write_ssh_config();
        Hold(hold)
    }

    /// New connections go straight to every host.
    fn straight(&mut self) {
        self.more_ssh_config.clear();
        self.write_ssh_config();
    }

    /// Everything that host `i` has below its root: paths, modes, times and contents.
    fn kept(&self, i: usize) -> String {
        let mut text = String::new();
        crate::site::list(&self.hosts[i].root, &mut text);
        text
    }
}

fn stamp(epoch: u64, seq: u64) -> Stamp {
    Stamp { books: BooksId(7), generation: Generation { epoch, seq } }
}

fn observe(stamp: Stamp) -> Command {
    Command::Observe { stamp, adopt: false, peek: Peek::at_state() }
}

/// A command of every kind that changes something, of the first operator, who believes what `first` just showed.
async fn commands(first: &mut Session) -> Vec<Command> {
    let seen = first.command(&observe(stamp(1, 1)), LONG).await;
    let Ok(Reply::Observed(seen)) = seen else { panic!("{seen:?}") };
    let expect = Expect { incarnation: seen.incarnation.expect("observing makes one"), active: seen.active };
    let map = VersionMap(BTreeMap::new());
    let (pins, wanted) = Default::default();
    let note = ConfirmNote { pins, wanted, snapshot: SnapshotId(1), rollout: RolloutId(1) };
    let (needs, restart) = (Vec::new(), Vec::new());
    vec![
        Command::Switch {
            stamp: stamp(1, 2),
            expect,
            map,
            direction: Direction::Back,
            needs,
            restart,
            proof_age_ms_max: None,
        },
        Command::Confirm { stamp: stamp(1, 3), expect, note, keep: None },
        observe(stamp(1, 4)),
    ]
}

#[test]
fn what_was_held_back_is_refused_by_the_fence_of_a_newer_operator() {
    let mut fleet = TestFleet::ssh(1);
    let host = fleet.name(0);
    let hold = fleet.delay(0);
    let opened = fleet.open();
    run_async(async {
        let mut first = look(&opened, &host, Install::IfMissing).await.expect("it answers");
        fleet.straight();
        for command in commands(&mut first).await {
            let seq = command.stamp().generation.seq;
            let held = hold.bytes("held");
            hold.begin();
            let meanwhile = async {
                eventually(|| hold.bytes("held") != held).await;
                let mut second = look(&opened, &host, Install::Never).await.expect("it answers");
                let seen = second.command(&observe(stamp(2, seq)), LONG).await;
                assert!(matches!(seen, Ok(Reply::Observed(_))), "{seen:?}");
                second.close(LONG).await;
                let before = fleet.kept(0);
                hold.end();
                before
            };
            let (reply, before) = tokio::join!(first.command(&command, LONG), meanwhile);
            let newer = Generation { epoch: 2, seq };
            assert_eq!(reply, Ok(Reply::Refused(Refusal::Fenced(newer))), "{command:?}");
            assert_eq!(fleet.kept(0), before, "{command:?} changed something");
        }
        first.close(LONG).await;
    });
}

#[test]
fn a_switch_that_arrives_when_all_was_taken_back_is_refused() {
    /// An appserver.
    const LATE: usize = 4;
    let mut fleet = TestFleet::promoted(6, &["group0"]);
    let hold = fleet.delay(LATE);
    let gate = fleet.gate(1);
    let mut promote = fleet.spawn(&["promote", "group1", "1.27.0-wmf.11", "-m", "the train", "-y"]);
    fleet.at_the_gate(1, &mut promote);
    hold.begin();
    drop(gate);
    hold.wait("held", SWITCH_BYTES_MIN);
    stop_between_writes(&fleet, &promote);
    fleet.straight();
    let said = fleet.run(&["rollback", "-m", "sessions are lost"]).is(0).said();
    assert!(said.contains("took over from"), "{said}");
    fleet.all_serve(0, &[]);
    let before = fleet.kept(LATE);
    hold.end();
    hold.wait("delivered", SWITCH_BYTES_MIN);
    signal(&promote, Signal::CONT);
    end_of(promote).is(5);
    fleet.all_serve(0, &[]);
    assert_eq!(fleet.kept(LATE), before, "the late switch changed something");
    fleet.run(&["check"]).is(0);
}
