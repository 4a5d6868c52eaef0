//! What is said on a channel, by both sides.

use super::*;
use crate::model::limits::FRAME_BYTES_MAX;
use crate::model::protocol::{Peek, Readiness};
use crate::wire::message::{encode, preface};
use tokio::io::{AsyncReadExt, DuplexStream, duplex, split};

const NONCE: &str = "00112233445566778899aabbccddeeff";

/// Runs `test` against a peer that says all of `script`, and then keeps the stream open until the test is over.
fn against<T>(script: Vec<u8>, test: impl AsyncFnOnce(&mut Agent) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (ours, mut theirs): (DuplexStream, DuplexStream) = duplex(1024);
        let peer = tokio::spawn(async move {
            let _ = theirs.write_all(&script).await;
            theirs
        });
        let (output, input) = split(ours);
        let channel = Channel::new(input, output, tokio::io::empty(), Box::new(()));
        let result = test(&mut Agent { channel, nonce: NONCE.into(), greeted: false, said: None }).await;
        peer.abort();
        result
    })
}

fn hello(nonce: &str, wire_major: u32) -> Vec<u8> {
    let hello =
        ToController::Hello { nonce: nonce.into(), wire_major, agent_version: "0.1.0".into(), arch: "x86_64".into() };
    [preface(NONCE), encode(&hello).expect("it is small")].concat()
}

fn reply(reply: Reply) -> Vec<u8> {
    encode(&ToController::Reply(reply)).expect("it is small")
}

async fn ask(agent: &mut Agent) -> Result<(ToController, bool), String> {
    let message = ToAgent::Peek(Peek::at_state());
    agent.first_answer(&Request { message: &message, manifest: None }).await.map_err(said)
}

fn said(stop: Stop) -> String {
    match stop {
        Stop::Silent(noise) => format!("silent: {}", String::from_utf8_lossy(&noise)),
        Stop::Wire(error) => error.to_string(),
        Stop::Fault(fault) => fault.to_string(),
    }
}

#[test]
fn noise_before_the_preface_does_no_harm() {
    let script = [b"*** welcome ***\n".to_vec(), hello(NONCE, WIRE_MAJOR), reply(Reply::Confirmed)].concat();
    assert_eq!(against(script, ask), Ok((ToController::Reply(Reply::Confirmed), true)));
}

#[test]
fn hellos_that_are_not_for_us_are_refused() {
    let other = "ffffffffffffffffffffffffffffffff";
    let cases = [
        (hello(other, WIRE_MAJOR), "does not speak the protocol: its hello is for another channel"),
        (hello(NONCE, 9), "does not speak the protocol: its wire version is 9, ours is 1"),
        (
            vec![b'*'; NOISE_BYTES_MAX + 99],
            "does not speak the protocol: more than 65536 bytes before the agent's first",
        ),
    ];
    for (script, words) in cases {
        assert_eq!(against(script, ask), Err(words.to_owned()));
    }
}

#[test]
fn s16_a_length_that_no_reply_has_is_refused_at_once() {
    let script = [hello(NONCE, WIRE_MAJOR), vec![2, 0xff, 0xff, 0xff, 0xff]].concat();
    let error = against(script, ask).expect_err("four GiB are too many");
    assert_eq!(error, format!("a frame of 4294967295 bytes, which is more than {FRAME_BYTES_MAX}"));
}

/// Holds the same bytes for every digest.
struct Same(File);

impl ContentSource for Same {
    fn open(&self, _: &Digest) -> io::Result<File> {
        self.0.try_clone()
    }
}

async fn send(agent: &mut Agent, digests: &[Digest]) -> Result<(Reply, bool), String> {
    let zeroes = File::open("/dev/zero").expect("it is there");
    agent
        .send(Need { digests: digests.to_vec(), held: None, fetches: false }, &Same(zeroes), &mut |_| {})
        .await
        .map_err(said)
}

#[test]
fn a_reply_that_comes_while_files_are_sent_ends_the_sending() {
    let proof = Reply::Prepared { readiness: Readiness::Absent };
    let sent = against(reply(proof.clone()), async |agent| send(agent, &[Digest::of(b"endless")]).await);
    assert_eq!(sent, Ok((proof, false)), "the channel is not in step any more");
}

#[test]
fn a_file_is_not_sent_twice() {
    let twice = [Digest::of(b"x"), Digest::of(b"x")];
    let sent = against(vec![], async |agent| send(agent, &twice).await);
    assert_eq!(sent, Err("does not speak the protocol: it asks for one file twice".to_owned()));
}

#[test]
fn the_request_arrives_whole_before_the_answer_is_waited_for() {
    let message = ToAgent::Peek(Peek { confirmed: true, ..Peek::at_state() });
    let wanted = encode(&message).expect("it is small");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let received = runtime.block_on(async {
        let (ours, mut theirs) = duplex(16);
        let (output, input) = split(ours);
        let channel = Channel::new(input, output, tokio::io::empty(), Box::new(()));
        let mut agent = Agent { channel, nonce: NONCE.into(), greeted: true, said: None };
        let mut received = vec![0; wanted.len()];
        let request = Request { message: &message, manifest: None };
        let peer = async {
            theirs.read_exact(&mut received).await.expect("all arrives");
            theirs.write_all(&reply(Reply::Confirmed)).await.expect("it is read");
        };
        let (answer, ()) = tokio::join!(agent.first_answer(&request), peer);
        assert!(answer.is_ok_and(|(_, in_step)| in_step));
        received
    });
    assert_eq!(received, wanted);
}

#[test]
fn only_a_broken_pipe_is_explained_by_what_is_read() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let failing = |kind: io::ErrorKind| async move { Err(Stop::Wire(WireError::Io(kind.into()))) };
    // The peer says nothing and stays.
    let stays = runtime.block_on(both(failing(io::ErrorKind::StorageFull), std::future::pending::<Result<(), Stop>>()));
    assert!(matches!(stays, Err(Stop::Wire(WireError::Io(_)))));
    let gone = runtime.block_on(both(failing(io::ErrorKind::BrokenPipe), async { Err::<(), _>(Stop::Silent(vec![])) }));
    assert!(matches!(gone, Err(Stop::Silent(_))));
}
