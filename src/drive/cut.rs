//! Tests: a channel that is cut after any byte, and then the same again. The controller's own exchange at one end, the agent's
//! own session at the other, a socket between them.
//!
//! What must hold: a host ends with staging's tree or without one; the second time it has staging's; nothing beside it is
//! touched; what came whole is not sent again.

use super::mirrors::Mirrors;
use super::offered::{Offered, Way};
use crate::agent::Agent;
use crate::agent::diskfs::DiskFs;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::memfs::MemFs;
use crate::agent::session;
use crate::fleet::channel::Channel;
use crate::fleet::exchange::{self, ContentSource, Need, Request};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation};
use crate::model::protocol::{Command, Expect, Level, Peek, Readiness, Reply, Stamp};
use crate::model::signed::Signing;
use crate::tree::content::ContentStore;
use crate::tree::listing::Listing;
use crate::tree::manifest::Manifest;
use crate::wire::frame::HEADER_BYTES;
use crate::wire::message::{BUNDLES, PACKED, ToAgent, ToController, encode};
use crate::wire::said::Said;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

const NONCE: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "php-1.27.0-wmf.10";
const NEW: &str = "php-1.27.0-wmf.11";
/// Never cut.
const WHOLE: u64 = u64::MAX;

/// A deploy host with trees in its content store.
struct Deploy {
    dir: TempDir,
    content: Arc<ContentStore>,
}

impl Deploy {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let content = ContentStore::open(&dir.path().join("books")).expect("nothing is there yet");
        Self { dir, content: Arc::new(content) }
    }

    fn import(&self, name: &str, files: &BTreeMap<String, Vec<u8>>) -> Manifest {
        let top = self.dir.path().join(name);
        for (path, bytes) in files {
            let at = top.join(path);
            std::fs::create_dir_all(at.parent().expect("it is below")).expect("it is ours");
            std::fs::write(at, bytes).expect("it is ours");
        }
        self.content.import(&top, &[]).expect("taken in")
    }

    fn offered(&self, manifest: &Manifest) -> Offered {
        let mirrors = Arc::new(Mirrors::default());
        let host = "mw1.test".parse().expect("a host");
        let way = Way { mirrors, near: Vec::new(), host, proxy: None, within: Duration::from_secs(60) };
        Offered::new(Arc::clone(&self.content), Arc::new(Listing::of(manifest.clone())), way)
    }
}

/// A host, and the place in the order of commands.
struct Host<F> {
    agent: Agent<F>,
    seq: u64,
}

/// What came of one transfer.
#[derive(Debug)]
struct Came {
    /// Whether the host said that the tree is there.
    prepared: bool,
    /// Bytes that the agent read, its hello included.
    heard: u64,
    /// Bytes of files and frames that were sent.
    sent: u64,
    /// What the agent asked for first; `None`: it did not come to that.
    needs: Option<usize>,
}

/// Lets so many bytes through, and counts them.
struct Cut<'a> {
    stream: &'a UnixStream,
    left: u64,
    passed: u64,
}

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.take(self.left).read(buffer)?;
        (self.left, self.passed) = (self.left - n as u64, self.passed + n as u64);
        Ok(n)
    }
}

impl Write for Cut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if most == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let n = self.stream.write(&bytes[..most])?;
        (self.left, self.passed) = (self.left - n as u64, self.passed + n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: HostFs + Send> Host<F> {
    fn stamp(&mut self) -> Stamp {
        self.seq += 1;
        Stamp { books: BooksId(1), generation: Generation { epoch: 1, seq: self.seq } }
    }

    /// Observes the host, then brings the tree over a channel that is cut after so many bytes down, or up.
    fn bring(&mut self, deploy: &Deploy, name: &str, manifest: &Manifest, (down, up): (u64, u64)) -> Came {
        let observe = Command::Observe { stamp: self.stamp(), adopt: false, peek: Peek::at_state() };
        let Reply::Observed(seen) = self.agent.command(&observe) else { panic!("it is not obeyed") };
        let expect = Expect { incarnation: seen.incarnation.expect("observing makes one"), active: seen.active };
        let (stamp, want) = (self.stamp(), want(name, manifest));
        let command = Command::Prepare { stamp, expect, want, build: Vec::new(), signing: Signing::default() };
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        std::thread::scope(|scope| {
            let agent = &mut self.agent;
            let heard = scope.spawn(move || {
                let mut from = BufReader::new(Cut { stream: &theirs, left: down, passed: 0 });
                let mut to = Cut { stream: &theirs, left: up, passed: 0 };
                let greeting = session::greet(&mut from, &mut to);
                let _ = greeting.and_then(|greeting| session::run(agent, greeting.offers, &mut from, &mut to));
                from.into_inner().passed
            });
            let mut came = control(ours, &deploy.offered(manifest), manifest, command);
            came.heard = heard.join().expect("an agent never panics");
            came
        })
    }
}

/// The controller's end.
fn control(stream: UnixStream, source: &Offered, manifest: &Manifest, command: Command) -> Came {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        stream.set_nonblocking(true).expect("a socket");
        let (output, input) = tokio::net::UnixStream::from_std(stream).expect("a socket").into_split();
        let channel = Channel::new(input, output, tokio::io::empty(), Box::new(()));
        let mut agent =
            exchange::Agent { channel, nonce: NONCE.to_owned(), greeted: false, said: Some(Said::default()) };
        let (root, state) = ("/srv/mediawiki".into(), "/var/lib/pointsman".into());
        let offers = [BUNDLES, PACKED].map(str::to_owned).to_vec();
        let hello = ToAgent::Hello { nonce: NONCE.to_owned(), root, state, offers };
        let hello = encode(&hello).expect("it is small");
        agent.channel.input.write_all(&hello).await.expect("it goes to a buffer");
        let message = ToAgent::Command(command);
        let bytes = manifest.to_bytes();
        let mut came = Came { prepared: false, heard: 0, sent: 0, needs: None };
        let request = Request { message: &message, manifest: Some(&bytes) };
        let Ok((ToController::Need { digests, held, fetches }, _)) = agent.first_answer(&request).await else {
            return came;
        };
        came.needs = Some(digests.len());
        let mut progress = |bytes| came.sent += bytes;
        let reply = agent.send(Need { digests, held, fetches }, source, &mut progress).await;
        came.prepared = matches!(reply, Ok((Reply::Prepared { .. }, _)));
        came
    })
}

fn want(name: &str, manifest: &Manifest) -> Want {
    let component: Component = name.parse().expect("a component");
    Want { component, id: manifest.id(), artefacts: Vec::new() }
}

/// How the tree stands there, every byte of it read.
fn stands<F: HostFs>(host: &Host<F>, name: &str, manifest: &Manifest) -> Readiness {
    let peek = Peek::new(vec![want(name, manifest)], Level::L3, 0);
    host.agent.peek(&peek).expect("it may be looked at").readiness.remove(0).1
}

/// Bytes that do not compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Five files of this length; of text, which a frame makes small, or of noise.
fn files(len: usize, noisy: bool, version: u64) -> BTreeMap<String, Vec<u8>> {
    let file = |n: u64| {
        let mut bytes = if noisy { noise(n, len) } else { format!("<?php // {n}\n").repeat(len / 12).into_bytes() };
        bytes.extend_from_slice(format!("{version}").as_bytes());
        (format!("includes/{n}.php"), bytes)
    };
    (0..5).map(file).collect()
}

/// Cuts a transfer of `new` to a copy of this host at each place that `cuts` makes of its length, down and up, and does it again.
fn cut_at_each(host: &Host<MemFs>, deploy: &Deploy, new: &Manifest, cuts: impl Fn(u64) -> Vec<u64>) {
    let clone = || Host { agent: Agent::new(host.agent.fs.clone()), seq: host.seq };
    let all = clone().bring(deploy, NEW, new, (WHOLE, WHOLE));
    assert!(all.prepared && all.sent > 0, "{all:?}");
    let mut least = all.needs;
    for cut in cuts(all.heard) {
        for way in [(cut, WHOLE), (WHOLE, cut)] {
            let mut host = clone();
            let stranger = |host: &Host<MemFs>| host.agent.fs.lstat(&Place::root("images/stranger")).expect("asked");
            let before = stranger(&host);
            let first = host.bring(deploy, NEW, new, way);
            let then = stands(&host, NEW, new);
            assert!(then.is_ready() || !first.prepared && then == Readiness::Absent, "{way:?}: {first:?}, {then:?}");
            let again = host.bring(deploy, NEW, new, (WHOLE, WHOLE));
            assert!(again.prepared && stands(&host, NEW, new).is_ready(), "{way:?}: {first:?}, {again:?}");
            assert_eq!(stranger(&host), before, "{way:?}");
            assert_eq!(host.agent.fs.list(&Place::root(".pointsman-staging")).expect("there"), [], "{way:?}");
            if then.is_ready() {
                assert_eq!((again.needs, again.sent), (Some(0), 0), "{way:?}: it was there already");
            }
            if way.0 == cut {
                assert!(again.needs <= least, "{way:?}: less is lacking with less before: {least:?}, {again:?}");
                least = again.needs;
            }
        }
    }
    assert_eq!(least, Some(0), "all came before the last cut");
}

fn empty_host() -> Host<MemFs> {
    let mut fs = MemFs::new(7);
    fs.put(&Place::root("images/stranger"), b"not ours").expect("put");
    Host { agent: Agent::new(fs), seq: 0 }
}

/// A host that asks for content which lies here for others gets an error (rsync's server could ask for any file, CVE-2024-12086).
#[test]
fn s04_a_host_is_given_nothing_but_the_component_that_it_is_brought() {
    let deploy = Deploy::new();
    let file = |text: &str| BTreeMap::from([("a".to_owned(), text.as_bytes().to_vec())]);
    let ours = deploy.import(NEW, &file("ours"));
    deploy.import("other", &file("not for this host"));
    let offered = deploy.offered(&ours);
    let given = |text: &str| ContentSource::open(&offered, &Digest::of(text.as_bytes()));
    assert!(given("ours").is_ok());
    assert!(deploy.content.open_file(Digest::of(b"not for this host")).is_ok(), "it is here");
    for text in ["not for this host", "nowhere"] {
        let refused = given(text).expect_err("it is not of the component").to_string();
        assert_eq!(refused, "the host asks for content that is not in the component");
    }
}

#[test]
fn files_cut_at_any_byte_come_again() {
    let (deploy, host) = (Deploy::new(), empty_host());
    let new = deploy.import("new", &files(100, true, 11));
    cut_at_each(&host, &deploy, &new, |all| (0..=all).collect());
}

#[test]
fn a_pack_cut_at_any_byte_comes_again() {
    let (deploy, host) = (Deploy::new(), empty_host());
    let new = deploy.import("new", &files(20_000, false, 11));
    cut_at_each(&host, &deploy, &new, |all| (0..=all).collect());
}

#[test]
fn a_delta_cut_at_any_byte_comes_again() {
    let (deploy, mut host) = (Deploy::new(), empty_host());
    let (old, new) = (deploy.import("old", &files(20_000, true, 10)), deploy.import("new", &files(20_000, true, 11)));
    assert!(host.bring(&deploy, OLD, &old, (WHOLE, WHOLE)).prepared);
    cut_at_each(&host, &deploy, &new, |all| (0..=all).collect());
}

#[test]
fn each_file_that_came_whole_is_not_asked_for_again() {
    let (deploy, host) = (Deploy::new(), empty_host());
    let files = files(100, true, 11);
    let new = deploy.import("new", &files);
    let clone = || Host { agent: Agent::new(host.agent.fs.clone()), seq: host.seq };
    let all = clone().bring(&deploy, NEW, &new, (WHOLE, WHOLE));
    // At the end of the stream the files, each a frame of data and one that ends it.
    let blob = (2 * HEADER_BYTES + files["includes/0.php"].len()) as u64;
    for whole in 0..=5 {
        let mut host = clone();
        host.bring(&deploy, NEW, &new, (all.heard - (5 - whole) * blob, WHOLE));
        let again = host.bring(&deploy, NEW, &new, (WHOLE, WHOLE));
        assert_eq!((again.needs, again.prepared), (Some(5 - whole as usize), true), "{whole} were whole");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// On a disk, with frames of several megabytes: what was whole before the cut is copied from there.
    #[test]
    fn a_large_pack_cut_anywhere_comes_again_on_a_disk(at in 0.0..1.0_f64, up in any::<bool>()) {
        let deploy = Deploy::new();
        let new = deploy.import("new", &files(4_000_000, true, 11));
        // In memory where there is such a disk, since a transfer ends with a sync.
        let shm = std::path::Path::new("/dev/shm");
        let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.expect("a temporary directory");
        std::fs::create_dir_all(dir.path().join("srv/images")).expect("made");
        std::fs::write(dir.path().join("srv/images/stranger"), "not ours").expect("written");
        let mut host = Host { agent: Agent::new(DiskFs::new(&dir.path().join("srv"), &dir.path().join("var"))), seq: 0 };
        let cut = (20_000_000.0 * at) as u64;
        let first = host.bring(&deploy, NEW, &new, if up { (WHOLE, cut % 600) } else { (cut, WHOLE) });
        prop_assert!(stands(&host, NEW, &new).is_ready() || !first.prepared);
        let again = host.bring(&deploy, NEW, &new, (WHOLE, WHOLE));
        prop_assert!(again.prepared && stands(&host, NEW, &new).is_ready());
        // Frames have two files each, and an interrupted frame gives those that were in it whole.
        if !up && first.heard > 10_000_000 {
            prop_assert!(again.sent < 17_000_000, "{first:?}, {again:?}");
        }
        let staging = ContentStore::open(&deploy.dir.path().join("other")).expect("nothing is there yet");
        prop_assert_eq!(staging.import(&dir.path().join("srv").join(NEW), &[]).expect("taken in").id(), new.id());
        let stranger = std::fs::read_to_string(dir.path().join("srv/images/stranger")).expect("there");
        prop_assert_eq!(stranger, "not ours");
    }
}
