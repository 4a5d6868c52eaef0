//! Tests: what a conversation costs in bytes when there is nothing to do, both directions of one channel together, as both ends
//! write them: without ssh and TCP around them, and without the 65 bytes by which an agent is called.

use crate::agent::Agent;
use crate::agent::memfs::MemFs;
use crate::agent::session::{self, Greeting};
use crate::agent::tests::bench::{Controller, build, component, memory, tree};
use crate::fleet::channel::Channel;
use crate::fleet::exchange::{self, Request};
use crate::model::books::Pins;
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::{RolloutId, SnapshotId};
use crate::model::map::VersionMap;
use crate::model::protocol::{Command, ConfirmNote, Level, Peek, Reply};
use crate::wire::message::{BUNDLES, PACKED, ToAgent, ToController, encode};
use crate::wire::said::Said;
use expect_test::expect;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use tokio::io::AsyncWriteExt;

const NONCE: &str = "0123456789abcdef0123456789abcdef";
const VERSIONS: [&str; 3] = ["1.27.0-wmf.9", "1.27.0-wmf.10", "1.27.0-wmf.11"];
/// What is allowed.
const BYTES_MAX: usize = 1024;

/// A host with three versions, their localisation, configuration, and 894 wikis spread over them; and what it is asked to
/// prove.
fn host() -> (Agent<MemFs>, Controller, Vec<Want>) {
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(41);
    controller.observe(&mut agent, &[]).expect("it is new");
    let mut wants = Vec::new();
    for version in VERSIONS {
        let tree = tree(version);
        let want = tree.want_built();
        controller.prepare(&mut agent, &tree, want.clone(), &build()).expect("it is proven");
        wants.push(want);
    }
    let conf = component("wmf-config", &[("InitialiseSettings.php", "<?php", false)]);
    controller.prepare(&mut agent, &conf, conf.want(), &[]).expect("it is proven");
    wants.push(conf.want());
    let wiki =
        |n: usize| (format!("w{n:03}wiki").parse().expect("a wiki"), VERSIONS[n % 3].parse().expect("a version"));
    let map = VersionMap((0..894).map(wiki).collect());
    controller.switch(&mut agent, &map, &wants).expect("all are ready");
    (agent, controller, wants)
}

/// Counts what passes.
struct Counted<'a>(&'a UnixStream, usize);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1 += n;
        Ok(n)
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.0.write(bytes)?;
        self.1 += n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes that a host hears and says while it answers these requests, each ready for it and as the product sends them, or plain
/// as an older one did; and the answers.
fn exchange(agent: &mut Agent<MemFs>, requests: &[ToAgent], packs: bool) -> ([usize; 2], Vec<ToController>) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    std::thread::scope(|scope| {
        let host = scope.spawn(move || {
            let (mut from, mut to) = (Counted(&theirs, 0), Counted(&theirs, 0));
            let Greeting { offers, .. } = session::greet(&mut from, &mut to).expect("it is greeted");
            session::run(agent, offers, &mut from, &mut to).expect("to its end");
            [from.1, to.1]
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answers = runtime.block_on(async {
            ours.set_nonblocking(true).expect("a socket");
            let (output, input) = tokio::net::UnixStream::from_std(ours).expect("a socket").into_split();
            let channel = Channel::new(input, output, tokio::io::empty(), Box::new(()));
            let said = packs.then(Said::default);
            let mut agent = exchange::Agent { channel, nonce: NONCE.to_owned(), greeted: false, said };
            let (root, state) = ("/srv/mediawiki".into(), "/var/lib/pointsman".into());
            let offers =
                [BUNDLES, PACKED].iter().take(1 + usize::from(packs)).map(|offer| (*offer).to_owned()).collect();
            let hello = encode(&ToAgent::Hello { nonce: NONCE.to_owned(), root, state, offers }).expect("it is small");
            agent.channel.input.write_all(&hello).await.expect("it goes to a buffer");
            let mut answers = Vec::new();
            for message in requests {
                let answer = agent.first_answer(&Request { message, manifest: None }).await;
                answers.push(answer.unwrap_or_else(|_| panic!("no answer")).0);
            }
            answers
        });
        (host.join().expect("an agent never panics"), answers)
    })
}

#[test]
fn a_second_time_with_nothing_to_do_costs_less_than_a_kilobyte_a_host() {
    let (mut agent, mut controller, wants) = host();
    let wanted: BTreeMap<Component, Digest> = wants.iter().map(|want| (want.component.clone(), want.id)).collect();
    let note = || ConfirmNote {
        pins: Pins::default(),
        wanted: wanted.clone(),
        snapshot: SnapshotId(117),
        rollout: RolloutId(230),
    };
    let (nonce, mut table, mut most) = (0x9e37_79b9_7f4a_7c15, String::new(), 0);
    for packs in [false, true] {
        let peek = || Peek::new(wants.clone(), Level::L2, nonce);
        let observe = Command::Observe { stamp: controller.stamp(), adopt: false, peek: peek() };
        let (stamp, expect) = (controller.stamp(), controller.expect());
        let confirm = Command::Confirm { stamp, expect, note: note(), keep: None };
        let cases = [
            ("status --live", vec![ToAgent::Peek(Peek::at_state())]),
            ("check", vec![ToAgent::Peek(peek())]),
            ("sync-common", vec![ToAgent::Command(observe), ToAgent::Command(confirm)]),
        ];
        for (name, requests) in cases {
            let ([heard, said], answers) = exchange(&mut agent, &requests, packs);
            let form = if packs { "packed" } else { "plain" };
            table.push_str(&format!("{name}, {form}: {} bytes, {heard} there and {said} back\n", heard + said));
            let ToController::Reply(Reply::Observed(seen)) = &answers[0] else { panic!("{answers:?}") };
            assert!(seen.held.len() == 4 && seen.versions.len() == 3, "{seen:?}");
            assert!(seen.readiness.iter().all(|(_, readiness)| readiness.is_ready()), "{seen:?}");
            let ends = |answer: &ToController| matches!(answer, ToController::Reply(Reply::Confirmed));
            assert!(answers[1..].iter().all(ends), "{answers:?}");
            most = if packs { most.max(heard + said) } else { 0 };
        }
    }
    expect![[r#"
        status --live, plain: 1218 bytes, 192 there and 1026 back
        check, plain: 2131 bytes, 843 there and 1288 back
        sync-common, plain: 2955 bytes, 1641 there and 1314 back
        status --live, packed: 678 bytes, 167 there and 511 back
        check, packed: 765 bytes, 373 there and 392 back
        sync-common, packed: 851 bytes, 446 there and 405 back
    "#]]
    .assert_eq(&table);
    assert!(most < BYTES_MAX, "{most} bytes");
}
