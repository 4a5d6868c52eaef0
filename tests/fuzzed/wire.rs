//! What holds for any bytes between a controller and an agent.

use pointsman::agent::Agent;
use pointsman::agent::memfs::MemFs;
use pointsman::agent::session::{self, Offers};
use pointsman::model::limits::MESSAGE_BYTES_MAX;
use pointsman::wire::frame::WireError;
use pointsman::wire::message::{self, ToAgent, ToController};
use pointsman::wire::said::Said;
use pointsman::wire::{async_io, sync_io};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::Component as Part;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Waits for what has all it needs in memory.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn words<T>(result: Result<T, WireError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Frames, read as messages by both codecs until there are no more, then as a blob.
pub fn frames(data: &[u8]) {
    let (mut ours, mut theirs) = (data, data);
    loop {
        let body = words(sync_io::read_body(&mut ours));
        assert_eq!(body, words(at_once(async_io::read_body(&mut theirs, MESSAGE_BYTES_MAX))));
        assert_eq!(ours, theirs, "both leave the same");
        let Ok(body) = body else { break };
        let again = message::frames(&body);
        if !body.is_empty() {
            assert_eq!(sync_io::read_body(&mut again.as_slice()).expect("it was just written"), body);
        }
    }
    let (mut kept, bytes_max) = (Vec::new(), data.len() as u64 / 2);
    let read = sync_io::read_blob(&mut &*data, bytes_max, &mut kept);
    assert!(kept.len() as u64 <= bytes_max && !read.is_ok_and(|bytes| bytes != kept.len() as u64));
}

/// A message's bytes: what is understood is written and understood the same by both codecs.
fn message<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let read: T = message::decode(data).ok()?;
    let frames = message::encode(&read).expect("it is smaller than the limit");
    assert_eq!(sync_io::read_message::<T>(&mut frames.as_slice()).expect("it was just written"), read);
    let again = at_once(async_io::read_message::<T>(&mut frames.as_slice(), MESSAGE_BYTES_MAX));
    assert_eq!(again.expect("it was just written"), read);
    Some(read)
}

/// A request's JSON; a hello is greeted.
pub fn request(data: &[u8]) {
    let Some(request) = message::<ToAgent>(data) else { return };
    let frames = message::encode(&request).expect("it is smaller than the limit");
    let mut answer = Vec::new();
    match session::greet(&mut frames.as_slice(), &mut answer) {
        Ok(greeting) => {
            let plain = |part| matches!(part, Part::RootDir | Part::Normal(_));
            for path in [&greeting.root, &greeting.state] {
                assert!(path.is_absolute() && path.components().all(plain), "{path:?}");
            }
            assert!(!greeting.state.starts_with(&greeting.root));
        }
        Err(_) => assert!(answer.is_empty(), "who is not understood hears nothing"),
    }
}

/// A reply's JSON.
pub fn reply(data: &[u8]) {
    message::<ToController>(data);
}

/// Requests as JSON, one a line, and blobs where a line begins with `=`, to an agent on a host in memory: whatever comes, it answers
/// by messages or ends.
pub fn agent(data: &[u8]) {
    let mut frames = Vec::new();
    for line in data.split(|b| *b == b'\n') {
        match line.strip_prefix(b"=") {
            Some(mut blob) => drop(sync_io::write_blob(&mut frames, &mut blob).expect("memory takes it")),
            None => frames.extend(message::frames(line)),
        }
    }
    let mut agent = Agent::new(MemFs::new(1));
    agent.fs.capacity_bytes = Some(1 << 20);
    let mut answers = Vec::new();
    let _ = session::run(&mut agent, Offers { bundles: true, packed: false }, &mut frames.as_slice(), &mut answers);
    let mut rest = answers.as_slice();
    while !rest.is_empty() {
        sync_io::read_message::<ToController>(&mut rest).expect("an agent says messages and nothing else");
    }
}

/// Messages, each packed over those before it, and the last one taken as packed by somebody else.
pub fn packed(data: &[u8]) {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    const BYTES_MAX: usize = 1 << 20;
    let mut said = Said::default();
    for body in data.split(|b| *b == b'\n').take(4) {
        // A message is JSON, which never begins so.
        if !body.starts_with(&MAGIC) {
            let sent = said.pack(body.to_vec());
            assert!(sent.len() <= body.len());
            assert_eq!(&*said.unpack(&sent, body.len()).expect("it was packed here"), body);
        }
        said.note(body);
    }
    if let Ok(plain) = said.unpack(&[&MAGIC, data].concat(), BYTES_MAX) {
        assert!(plain.len() <= BYTES_MAX);
    }
}
