//! The demo as a person starts it: the built program, its exit code, what it says, and what it leaves.

use pointsman::demo::{fleet, reinstall, site::prepare, web};
use pointsman::gate::reading::{Shown, What};
use pointsman::gate::scope::Scope;
use pointsman::model::fault::Fault;
use pointsman::model::map::VersionMap;
use pointsman::model::names::{HostName, Version};
use pointsman::model::question::{Answer, Question};
use pointsman::model::time::Time;
use pointsman::signal::World;
use pointsman::signal::reader::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

fn pointsman(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).arg("--dir").arg(directory);
    command.output().expect("the program can be started")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A place for a demo in a directory that lives as long as the first value.
fn place() -> (TempDir, std::path::PathBuf) {
    let parent = tempfile::tempdir().expect("a directory");
    let place = parent.path().join("demo");
    (parent, place)
}

/// The part of the walk from the command that begins so to the next one.
fn after<'a>(walk: &'a str, command: &str) -> &'a str {
    let from = walk.find(&format!("$ pointsman {command}")).unwrap_or_else(|| panic!("no {command} in:\n{walk}"));
    walk[from + 1..].split("\n$ ").next().expect("a split has a first part")
}

#[test]
fn the_walk_comes_out_as_it_is_told_and_a_kept_fleet_is_ended() {
    let (_parent, place) = place();
    let output = pointsman(&["demo", "--keep"], &place);
    let (walk, talk) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{walk}\n{talk}");
    let bad = after(&walk, "promote group0 1.27.0-wmf.11 -m 'train of the week' --yes");
    assert!(bad.contains("is new: ") && bad.contains(": it is the release."), "{bad}");
    assert!(bad.contains("(code 3)"), "{bad}");
    let open = after(&walk, "blocker list");
    assert!(open.contains("(new-errors, since ") && open.contains("Can neither load the session"), "{open}");
    let stopped = after(&walk, "promote group0 1.27.0-wmf.11 -m 'once more' --yes --quiet");
    assert!(stopped.contains("is open since") && stopped.contains("(code 10)"), "{stopped}");
    let again = after(&walk, "promote group0 1.27.0-wmf.11 -m 'train of the week' --again");
    assert!(again.contains("Can neither load the session"), "what was found is shown again: {again}");
    assert!(after(&walk, "promote group1").contains("pinned, stepped around: labswiki"), "{walk}");
    let check = after(&walk, "check");
    assert!(check.contains("mw2020.codfw.wmnet: ") && check.contains("cache/l10n has 0 of 449 files"), "{check}");
    assert!(check.contains("(code 7)"), "{check}");
    let back = after(&walk, "rollback");
    assert!(back.contains("mw2020.codfw.wmnet: ") && back.contains("; repairing it"), "{back}");
    assert!(back.contains("12 of 12 hosts proven\njournal: ") && back.contains("(code 0)"), "{back}");
    assert!(back.contains("\nwatching r7 "), "{back}");
    let truth = "all 894 wikis: 10704 pages of 1.27.0-wmf.10, 24 pages of 1.27.0-wmf.9";
    assert!(back.contains(truth) && !walk.contains("HTTP 500"), "{back}");
    assert!(after(&walk, "promote group0 1.27.0-wmf.11 -m 'once more' --yes\n").contains("(code 10)"), "{walk}");
    let fixed = after(&walk, "promote group0 1.27.0-wmf.12");
    assert!(fixed.contains("mw1019.eqiad.wmnet: at fault, and not the release"), "{fixed}");
    assert!(fixed.contains("lacks built artefacts") && fixed.contains("(code 0)"), "{fixed}");

    let again = pointsman(&["demo"], &place);
    let (_, why) = said(&again);
    assert_eq!(again.status.code(), Some(2), "{why}");
    assert!(why.contains("there is a demo already in") && why.contains("pointsman demo down --dir"), "{why}");
    assert!(place.join(".demo").is_dir(), "the kept one is left alone");

    let kept = std::fs::read_to_string(place.join(".demo/web.json")).expect("a web tier is kept");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("it is JSON");
    let port = u16::try_from(kept["ports"]["mw2020.codfw.wmnet"].as_u64().expect("a port")).expect("16 bits");
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("it still serves");
    assert!(walk.contains(&format!("http://127.0.0.1:{port}/")), "{walk}");
    let down = pointsman(&["demo", "down"], &place);
    assert_eq!(down.status.code(), Some(0), "{:?}", said(&down));
    assert!(!place.join(".demo").exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
    let nothing = pointsman(&["demo", "down"], &place);
    assert_eq!(nothing.status.code(), Some(0));
    assert!(said(&nothing).1.contains("there is no demo in"), "{:?}", said(&nothing));
}

/// The incident's journey, with the very gate of groups.yaml, against the web tier at each version.
#[test]
fn the_logout_journey_fails_on_the_version_of_the_incident_and_passes_on_the_one_before() {
    let (_parent, place) = place();
    let site = prepare(&place).expect("the embedded site is written");
    let made = fleet::create(&site).expect("it is made");
    let gate = site.policy.gates.iter().find(|gate| gate.name.as_str() == "logout").expect("the demo has it");
    let hosts: Vec<HostName> =
        ["mw1017.eqiad.wmnet", "mw2020.codfw.wmnet"].map(|name| name.parse().expect("a host")).into();
    let asked = |version: &str| {
        let version: Version = version.parse().expect("a version");
        let map = VersionMap(made.map.0.keys().map(|wiki| (wiki.clone(), version.clone())).collect());
        for host in &hosts {
            reinstall::serve(&site, &site.hosts()[host], &map).expect("it is filled");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let web = web::start(web::Place::of(&site)).await.expect("it starts");
            let scope = Scope {
                others: Default::default(),
                rolled: hosts.iter().cloned().collect(),
                control: BTreeSet::new(),
                group: None,
                version: Some(version),
                wikis: BTreeMap::new(),
                since: Time(0),
            };
            let mut reader = Reader::of(gate, &site.policy, &BTreeMap::new()).expect("a probe asks");
            match reader.read(&scope, &Tier(&web.ports)).await.expect("it can be asked").what {
                What::Probed(shown) => hosts.iter().map(|host| shown[host].clone()).collect::<Vec<Shown>>(),
                other => panic!("a probe reads {other:?}"),
            }
        })
    };
    assert_eq!(asked("1.27.0-wmf.10"), [Shown::Good, Shown::Good]);
    let bad = asked("1.27.0-wmf.11");
    assert_eq!(bad[0], Shown::Good, "a logout where the session was begun ends it");
    let Shown::Bad(why) = &bad[1] else { panic!("it has to be seen: {bad:?}") };
    assert!(why.contains("a logout elsewhere ends the session") && why.contains("demoSession"), "{why}");
    assert_eq!(asked("1.27.0-wmf.12"), [Shown::Good, Shown::Good]);
}

/// A world of web servers.
struct Tier<'a>(&'a web::Ports);

impl World for Tier<'_> {
    async fn ask(&self, host: &HostName, _: Question, _: Duration) -> Result<Answer, Fault> {
        panic!("a probe asks no agent of {host}")
    }

    async fn web(&self, host: &HostName) -> Result<SocketAddr, String> {
        Ok(SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, self.0[host])))
    }

    fn now(&self) -> Time {
        Time(0)
    }
}

#[test]
fn a_walk_that_fails_leaves_nothing() {
    let (parent, place) = place();
    // A site that wants more localisation than there are languages: no host can ever be proven.
    let prepared = pointsman::demo::site::prepare(&place).expect("the embedded site is written");
    let file = prepared.policy.file;
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("files: 449", "files: 450")).expect("written");
    let output = pointsman(&["demo"], &place);
    let (walk, talk) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{walk}\n{talk}");
    assert!(talk.contains("`pointsman sync-common") && talk.contains("instead of 0"), "{talk}");
    assert!(!place.join(".demo").exists(), "the fleet is gone");
    assert!(file.is_file(), "and what somebody wrote stays");
    drop(parent);
}

#[test]
fn a_walk_that_is_stopped_leaves_nothing() {
    let (parent, place) = place();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(["demo", "--dir"]).arg(&place).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    while !line.starts_with("$ pointsman sync-common") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut out, &mut line).expect("text"), 0, "it ended early");
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
    std::io::copy(&mut out, &mut std::io::sink()).expect("it goes on to its end");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(143), "{status}");
    assert!(!place.exists(), "{:?}", std::fs::read_dir(parent.path()).expect("a directory").count());
}
