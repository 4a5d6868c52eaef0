//! Trees that come in bundles: any tree after any other, cut at any byte, spoilt on the way, and what is sent again.

use super::bench::{Controller, memory, readiness};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::memfs::MemFs;
use crate::agent::session::{self, SessionError};
use crate::model::component::{Component, Want};
use crate::model::protocol::{Command, Held, Level, Reply};
use crate::model::signed::Signing;
use crate::tree::content::ContentStore;
use crate::tree::manifest::Manifest;
use crate::wire::message::{Sending, ToAgent, ToController};
use crate::wire::sync_io::{read_message, write_blob, write_message};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::rc::Rc;
use tempfile::TempDir;

/// What a generated tree has at a path.
#[derive(Debug, Clone)]
pub enum Node {
    File(Vec<u8>, bool),
    Link(String),
    /// An empty directory, which no manifest has.
    Directory,
}

pub type Nodes = BTreeMap<String, Node>;

/// A deploy host: a content store and the manifests of what was taken in.
pub struct Deploy {
    pub dir: TempDir,
    pub store: ContentStore,
}

impl Deploy {
    pub fn new() -> Self {
        let dir = match Path::new("/dev/shm").is_dir() {
            true => TempDir::new_in("/dev/shm"),
            false => TempDir::new(),
        };
        let dir = dir.expect("a temporary directory");
        let store = ContentStore::open(&dir.path().join("books")).expect("nothing is there yet");
        Self { dir, store }
    }

    pub fn import(&self, name: &str, nodes: &Nodes) -> Manifest {
        let top = self.dir.path().join(name);
        for (path, node) in nodes {
            let at = top.join(path);
            std::fs::create_dir_all(at.parent().expect("it is below")).expect("no file is in its way");
            match node {
                Node::File(bytes, exec) => {
                    std::fs::write(&at, bytes).expect("written");
                    let mode = if *exec { 0o755 } else { 0o644 };
                    std::fs::set_permissions(&at, PermissionsExt::from_mode(mode)).expect("ours");
                }
                Node::Link(target) => symlink(target, &at).expect("made"),
                Node::Directory => std::fs::create_dir(&at).expect("made"),
            }
        }
        self.store.import(&top, &[]).expect("taken in")
    }
}

/// A controller at the other end of the wire: says what is due when the agent reads, and falls silent after so many bytes.
struct Peer<'a> {
    deploy: &'a Deploy,
    manifest: &'a Manifest,
    heard: Rc<RefCell<Vec<u8>>>,
    understood: usize,
    /// All that was to be said so far, and how much of it was.
    due: Vec<u8>,
    said: usize,
    silent_after: usize,
    /// Flips a byte of the last frame of this many bundles.
    spoils: usize,
    /// Bytes of files and frames.
    files: usize,
    /// What the bundles stood on.
    bundles: Vec<Option<Held>>,
    /// Whether the last that it heard is that the tree is there.
    prepared: bool,
}

/// What the agent says.
struct Voice(Rc<RefCell<Vec<u8>>>);

impl Write for Voice {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.said == self.due.len() && self.react() {}
        let n = buffer.len().min(self.due.len() - self.said).min(self.silent_after - self.said);
        buffer[..n].copy_from_slice(&self.due[self.said..][..n]);
        self.said += n;
        Ok(n)
    }
}

impl Peer<'_> {
    /// Hears one message, if there is one, and says what is due then.
    fn react(&mut self) -> bool {
        let heard = self.heard.borrow().clone();
        let mut rest = &heard[self.understood..];
        let Ok(message) = read_message::<ToController>(&mut rest) else { return false };
        self.understood = heard.len() - rest.len();
        self.prepared = matches!(message, ToController::Reply(Reply::Prepared { .. }));
        let ToController::Need { digests, held: Some(held), .. } = message else { return true };
        if digests.is_empty() {
            return true;
        }
        let bundle = self.deploy.store.bundle(&held, &digests, self.manifest).expect("the store is whole");
        match bundle.filter(|bundle| !self.bundles.contains(&bundle.base)) {
            Some(bundle) => {
                let frames = bundle.open().expect("they were made");
                let groups = frames.iter().map(|(number, _)| *number).collect();
                self.say(&ToAgent::Send(Sending::Bundle { base: bundle.base.clone(), groups }));
                for (_, mut frame) in frames {
                    let mut bytes = Vec::new();
                    frame.read_to_end(&mut bytes).expect("it can be read");
                    if self.bundles.len() < self.spoils {
                        let middle = bytes.len() / 2;
                        bytes[middle] ^= 0x55;
                    }
                    self.blob(&bytes);
                }
                self.bundles.push(bundle.base);
            }
            None => {
                self.say(&ToAgent::Send(Sending::Files));
                for digest in digests {
                    let mut bytes = Vec::new();
                    let mut file = self.deploy.store.open_file(digest).expect("it is stored");
                    file.read_to_end(&mut bytes).expect("it can be read");
                    self.blob(&bytes);
                }
            }
        }
        true
    }

    fn say(&mut self, message: &ToAgent) {
        write_message(&mut self.due, message).expect("memory takes it");
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.files += bytes.len();
        write_blob(&mut self.due, &mut &*bytes).expect("memory takes it");
    }
}

/// What came of a conversation.
pub struct Came {
    pub ended: Result<(), SessionError>,
    pub said: usize,
    files: usize,
    bundles: Vec<Option<Held>>,
    pub ready: bool,
}

pub fn want(name: &str, manifest: &Manifest) -> Want {
    Want { component: name.parse().expect("a component"), id: manifest.id(), artefacts: Vec::new() }
}

pub fn bring<F: HostFs>(
    agent: &mut Agent<F>,
    controller: &mut Controller,
    deploy: &Deploy,
    (name, manifest): (&str, &Manifest),
    (silent_after, spoils): (usize, usize),
) -> Came {
    controller.observe(agent, &[]).expect("obeyed");
    let heard = Rc::new(RefCell::new(Vec::new()));
    let mut peer = Peer {
        deploy,
        manifest,
        heard: Rc::clone(&heard),
        understood: 0,
        due: Vec::new(),
        said: 0,
        silent_after,
        spoils,
        files: 0,
        bundles: Vec::new(),
        prepared: false,
    };
    let (stamp, expect) = (controller.stamp(), controller.expect());
    let want = want(name, manifest);
    peer.say(&ToAgent::Command(Command::Prepare {
        stamp,
        expect,
        want,
        build: Vec::new(),
        signing: Signing::default(),
    }));
    write_blob(&mut peer.due, &mut manifest.to_bytes().as_slice()).expect("memory takes it");
    let ended =
        session::run(agent, session::Offers { bundles: true, packed: false }, &mut peer, &mut Voice(Rc::clone(&heard)));
    Came { ended, said: peer.said, files: peer.files, bundles: peer.bundles, ready: peer.prepared }
}

const OLD: &str = "php-1.27.0-wmf.10";
const NEW: &str = "php-1.27.0-wmf.11";
pub const WHOLE: (usize, usize) = (usize::MAX, 0);

fn proven(agent: &Agent<MemFs>, name: &str, manifest: &Manifest) -> bool {
    readiness(agent, &want(name, manifest), Level::L3).is_ready()
}

/// Bytes that do not compress, another row for each seed.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn name() -> impl Strategy<Value = String> {
    let long = || "n".repeat(255);
    prop_oneof![
        "[a-c]{1,2}",
        Just("a b".to_owned()),
        Just("new\nline".to_owned()),
        Just("ünï;$(x)".to_owned()),
        Just(".hidden".to_owned()),
        Just(long()),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u32>(), 0_usize..40_000).prop_map(|(seed, len)| noise(seed, len)),
    ];
    prop_oneof![
        5 => (bytes, any::<bool>()).prop_map(|(bytes, exec)| Node::File(bytes, exec)),
        1 => "[a-z]{1,5}".prop_map(Node::Link),
    ]
}

/// Trees in which no file is a directory too; an earlier path in order stays.
fn nodes() -> impl Strategy<Value = Nodes> {
    let path = prop::collection::vec(name(), 1..4).prop_map(|parts| parts.join("/"));
    prop::collection::vec((path, node()), 1..16).prop_map(consistent)
}

pub fn consistent(all: Vec<(String, Node)>) -> Nodes {
    let mut nodes = Nodes::new();
    for (path, node) in all {
        let clash = |other: &String| {
            let (path, other) = (format!("{path}/"), format!("{other}/"));
            path.starts_with(&other) || other.starts_with(&path)
        };
        if !nodes.keys().any(clash) {
            nodes.insert(path, node);
        }
    }
    nodes
}

/// The next tree: some of the old one, one large file changed a little, and some that is new.
fn trees() -> impl Strategy<Value = (Nodes, Nodes)> {
    (nodes(), nodes(), any::<u32>(), 70_000_usize..150_000).prop_map(|(first, second, seed, len)| {
        let large = noise(seed, len);
        let mut changed = large.clone();
        changed[len / 3] ^= 1;
        let with = |nodes: Vec<(String, Node)>, bytes: Vec<u8>| {
            consistent([("large".to_owned(), Node::File(bytes, false))].into_iter().chain(nodes).collect())
        };
        let kept = first.clone().into_iter().step_by(2);
        let second = second.into_iter().chain(kept).collect();
        (with(first.into_iter().collect(), large), with(second, changed))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_after_any_other_cut_at_any_byte_and_spoilt((old, new) in trees(), at in 0.0..1.0_f64, spoils in 0_usize..3) {
        let deploy = Deploy::new();
        let (old, new) = (deploy.import("old", &old), deploy.import("new", &new));
        let mut agent = Agent::new(memory());
        let mut controller = Controller::new(1);
        agent.fs.put(&Place::root("images/stranger"), b"not ours").expect("put");
        let stranger = |agent: &Agent<MemFs>| agent.fs.lstat(&Place::root("images/stranger")).expect("asked");
        let before = stranger(&agent);

        let came = bring(&mut agent, &mut controller, &deploy, (OLD, &old), WHOLE);
        prop_assert!(came.ready && proven(&agent, OLD, &old));
        prop_assert_eq!(came.bundles, [None], "a pack for an empty host");

        let (mut other, mut clone) = (Agent::new(agent.fs.clone()), controller.clone());
        let came = bring(&mut other, &mut clone, &deploy, (NEW, &new), (usize::MAX, spoils));
        prop_assert!(came.ended.is_ok() && came.ready && proven(&other, NEW, &new) && proven(&other, OLD, &old));
        let component: Component = OLD.parse().expect("a component");
        prop_assert_eq!(&came.bundles[0].as_ref().expect("a delta").component, &component);

        let cut = (came.said as f64 * at) as usize;
        let first = bring(&mut agent, &mut controller, &deploy, (NEW, &new), (cut, 0));
        prop_assert!(!proven(&agent, NEW, &new) || first.ready);
        let again = bring(&mut agent, &mut controller, &deploy, (NEW, &new), WHOLE);
        prop_assert!(again.ready && proven(&agent, NEW, &new) && proven(&agent, OLD, &old));
        prop_assert_eq!(stranger(&agent), before, "nothing else is touched");
        prop_assert_eq!(agent.fs.list(&Place::root(".pointsman-staging")).expect("there"), []);
    }
}

/// A tree of files of 1 MB each, so that a pack of it has several frames.
fn large(seeds: &[u32]) -> Nodes {
    let file = |seed: &u32| (format!("f{seed}"), Node::File(noise(*seed, 1 << 20), false));
    seeds.iter().map(file).collect()
}

#[test]
fn what_came_before_a_cut_is_not_sent_again() {
    let deploy = Deploy::new();
    let tree = deploy.import("tree", &large(&(0..24).collect::<Vec<u32>>()));
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(1);
    let mut clone = Agent::new(agent.fs.clone());
    let whole = bring(&mut clone, &mut controller.clone(), &deploy, (OLD, &tree), WHOLE);
    let cut = bring(&mut agent, &mut controller, &deploy, (OLD, &tree), (whole.said / 2, 0));
    assert!(matches!(cut.ended, Err(SessionError::Wire(_))), "{:?}", cut.ended);
    let mut other_epoch = Controller { epoch: 2, ..controller.clone() };
    let again = bring(&mut agent, &mut other_epoch, &deploy, (OLD, &tree), WHOLE);
    assert!(again.ready && proven(&agent, OLD, &tree));
    assert!(again.files < whole.files * 3 / 4, "{} of {} bytes went again", again.files, whole.files);
}

#[test]
fn a_delta_is_small_and_an_old_file_that_was_changed_on_the_host_is_not_built_on() {
    let deploy = Deploy::new();
    let (mut old, mut new) = (Nodes::new(), Nodes::new());
    for seed in 0..20 {
        let bytes = noise(seed, 10_000);
        old.insert(format!("d/{seed}"), Node::File(bytes.clone(), false));
        new.insert(format!("d/{seed}"), Node::File([b"<?php ", bytes.as_slice()].concat(), false));
    }
    let (old, new) = (deploy.import("old", &old), deploy.import("new", &new));
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(1);
    bring(&mut agent, &mut controller, &deploy, (OLD, &old), WHOLE);
    let mut hacked = Agent::new(agent.fs.clone());
    let came = bring(&mut agent, &mut controller.clone(), &deploy, (NEW, &new), WHOLE);
    assert!(came.ready && came.files < 2_000, "{} bytes for 20 changed lines", came.files);
    hacked.fs.write(&Place::root(format!("{OLD}/d/7")), b"hacked").expect("written");
    let came = bring(&mut hacked, &mut controller, &deploy, (NEW, &new), WHOLE);
    assert!(came.ready && proven(&hacked, NEW, &new), "without the delta");
    assert!(came.bundles.len() == 2 && came.bundles[1].is_none(), "{:?}", came.bundles);
}

#[test]
fn few_bytes_come_as_files() {
    let deploy = Deploy::new();
    let small = |text: &str| Nodes::from([("a".to_owned(), Node::File(text.as_bytes().to_vec(), false))]);
    let tree = deploy.import("tree", &small("few"));
    let mut agent = Agent::new(memory());
    let came = bring(&mut agent, &mut Controller::new(1), &deploy, ("conf", &tree), WHOLE);
    assert!(came.ready && came.bundles.is_empty() && came.files == 3);
}
