//! The controller's codec: over asynchronous readers and writers.
//!
//! Invariant: the same limits as the agent's codec, and one for all messages together ([`Room`]): a third of a large fleet
//! that sends without an end must not fill the controller's memory. Reading is not safe to cancel half-way: after a dropped
//! read or write the stream is of no further use. Nothing here flushes.

use super::frame::{HEADER_BYTES, Header, Kind, WireError, check, cut};
use super::message;
use crate::model::limits::{FRAME_BYTES_MAX, MESSAGE_SHARED_BYTES_MAX, MESSAGES_LARGE_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of a blob that are read from a file at once.
const CHUNK_BYTES: usize = 256 << 10;
const _: () = assert!(CHUNK_BYTES <= FRAME_BYTES_MAX, "each goes in one frame");

/// Messages of more than one frame.
static LARGE: Semaphore = Semaphore::const_new(MESSAGES_LARGE_MAX);
/// Messages of more than [`MESSAGE_SHARED_BYTES_MAX`].
static LARGEST: Semaphore = Semaphore::const_new(1);

/// What a message may take of memory beyond its first frame. Who has the second permit needs no further one, so nobody waits
/// for longer than until that message has come or its host's deadline has passed; messages of one frame wait for nobody.
#[derive(Default)]
struct Room {
    large: Option<SemaphorePermit<'static>>,
    largest: Option<SemaphorePermit<'static>>,
}

impl Room {
    async fn make(&mut self, bytes: usize) {
        if bytes > FRAME_BYTES_MAX && self.large.is_none() {
            self.large = LARGE.acquire().await.ok();
        }
        if bytes > MESSAGE_SHARED_BYTES_MAX && self.largest.is_none() {
            self.largest = LARGEST.acquire().await.ok();
        }
    }
}

/// Reads one message of at most `bytes_max` bytes. [`WireError::Ended`] when the stream ends before its first byte.
pub async fn read_message<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> Result<T, WireError> {
    message::decode(&read_body(from, bytes_max).await?)
}

/// Reads the bytes of one message, as [`read_message`] does.
pub async fn read_body(from: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> Result<Vec<u8>, WireError> {
    let (mut body, mut room) = (Vec::new(), Room::default());
    loop {
        let header = read_header(from, body.is_empty()).await?;
        let last = header.message_end()?;
        let (start, end) = (body.len(), body.len() + header.len);
        check("a message", end as u64, bytes_max as u64)?;
        room.make(end).await;
        body.resize(end, 0);
        from.read_exact(&mut body[start..]).await.map_err(cut)?;
        if last {
            return Ok(body);
        }
    }
}

/// Writes one message.
pub async fn write_message<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &T) -> Result<(), WireError> {
    Ok(to.write_all(&message::encode(message)?).await?)
}

/// Writes all of `source`, a local file or memory, as one blob; `sent` hears of bytes as they go. Returns its length.
pub async fn write_blob(
    to: &mut (impl AsyncWrite + Unpin),
    source: &mut impl io::Read,
    sent: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, WireError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                to.write_all(&Header { kind: Kind::BlobData, len }.encode()).await?;
                to.write_all(&buffer[..len]).await?;
                bytes += len as u64;
                sent(len as u64);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    to.write_all(&Header { kind: Kind::BlobEnd, len: 0 }.encode()).await?;
    Ok(bytes)
}

/// Reads a header; at the stream's end [`WireError::Ended`] when `may_end` and no byte came.
async fn read_header(from: &mut (impl AsyncRead + Unpin), may_end: bool) -> Result<Header, WireError> {
    let mut bytes = [0; HEADER_BYTES];
    let mut filled = 0;
    while filled < HEADER_BYTES {
        match from.read(&mut bytes[filled..]).await? {
            0 if filled == 0 && may_end => return Err(WireError::Ended),
            0 => return Err(WireError::Cut),
            n => filled += n,
        }
    }
    Header::decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::{MESSAGE_BYTES_MAX, REPLY_BYTES_MAX};
    use crate::wire::message::{ToAgent, ToController};
    use crate::wire::pieces::{Pieces, pieces};
    use crate::wire::sync_io;
    use proptest::prelude::*;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};
    use tokio::io::ReadBuf;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn a_reply_may_be_bounded_below_the_largest_message() {
        let bytes = message::encode(&"x".repeat(100)).expect("it is small");
        assert!(run(read_message::<String>(&mut bytes.as_slice(), 102)).is_ok());
        let error = run(read_message::<String>(&mut bytes.as_slice(), 101)).expect_err("one too many");
        assert!(matches!(error, WireError::TooLarge { what: "a message", bytes: 102, max: 101 }), "{error}");
    }

    #[test]
    fn a_blob_is_written_to_its_sources_end_or_not_ended() {
        let written = |of: &mut Pieces| {
            let (mut to, mut heard) = (Vec::new(), Vec::new());
            let bytes = run(write_blob(&mut to, of, &mut |n| heard.push(n))).map_err(|error| error.to_string());
            (bytes, heard, to)
        };
        let (bytes, heard, to) = written(&mut pieces([Ok(b"ab"), Err(io::ErrorKind::Interrupted), Ok(b"cde")]));
        assert_eq!((bytes, heard), (Ok(5), vec![2, 3]), "an interrupted read is made again");
        let mut read = Vec::new();
        assert_eq!(sync_io::read_blob(&mut to.as_slice(), 5, &mut read).expect("it was just written"), 5);
        assert_eq!(read, b"abcde");
        let (bytes, _, to) = written(&mut pieces([Ok(b"ab"), Err(io::ErrorKind::PermissionDenied)]));
        assert!(bytes.is_err_and(|why| why.contains("permission denied")));
        sync_io::read_blob(&mut to.as_slice(), 5, &mut io::sink()).expect_err("nobody takes it for whole");
    }

    #[test]
    fn a_message_that_breaks_off_is_cut_wherever_that_is() {
        let bytes = message::encode(&"text").expect("it is small");
        for at in 1..bytes.len() {
            let error = run(read_message::<String>(&mut &bytes[..at], 100)).expect_err("it is cut");
            assert!(matches!(error, WireError::Cut), "at {at}: {error}");
        }
    }

    /// Frames of a message that never ends; counts what was read of it.
    struct Endless<'a> {
        at: usize,
        read: &'a AtomicUsize,
    }

    impl AsyncRead for Endless<'_> {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let header = Header { kind: Kind::MessagePart, len: FRAME_BYTES_MAX }.encode();
            let at = self.at % (HEADER_BYTES + FRAME_BYTES_MAX);
            let rest = header.get(at..).filter(|rest| !rest.is_empty());
            let given = rest.map_or(HEADER_BYTES + FRAME_BYTES_MAX - at, <[u8]>::len).min(to.remaining());
            match rest {
                Some(rest) => to.put_slice(&rest[..given]),
                None => {
                    to.initialize_unfilled_to(given).fill(b' ');
                    to.advance(given);
                }
            }
            self.at += given;
            self.read.fetch_add(given, Ordering::SeqCst);
            Poll::Ready(Ok(()))
        }
    }

    impl Drop for Endless<'_> {
        fn drop(&mut self) {
            self.read.fetch_sub(self.at, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_message_has_a_permit_for_each_limit_that_it_exceeds() {
        let permits = |bytes: usize| {
            let mut room = Room::default();
            run(room.make(bytes));
            (room.large.is_some(), room.largest.is_some())
        };
        assert_eq!([FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1].map(permits), [(false, false), (true, false)]);
        assert_eq!(
            [MESSAGE_SHARED_BYTES_MAX, MESSAGE_SHARED_BYTES_MAX + 1].map(permits),
            [(true, false), (true, true)]
        );
    }

    #[test]
    fn however_many_hosts_send_without_an_end_what_is_kept_of_it_is_bounded() {
        const HOSTS: usize = 40;
        let (kept, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let read = async || {
            let mut endless = Endless { at: 0, read: &kept };
            let error = read_message::<ToController>(&mut endless, REPLY_BYTES_MAX).await;
            most.fetch_max(kept.load(Ordering::SeqCst), Ordering::SeqCst);
            assert!(matches!(error, Err(WireError::TooLarge { .. })), "{error:?}");
        };
        let mut all: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        (0..HOSTS).for_each(|_| all.push(Box::pin(read())));
        run(std::future::poll_fn(|context| {
            all.retain_mut(|read| read.as_mut().poll(context).is_pending());
            if all.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }));
        let bound = HOSTS * FRAME_BYTES_MAX + MESSAGES_LARGE_MAX * MESSAGE_SHARED_BYTES_MAX + REPLY_BYTES_MAX;
        drop(all);
        let most = most.load(Ordering::SeqCst);
        assert!(most > REPLY_BYTES_MAX && most <= bound + HOSTS * 2 * HEADER_BYTES * 64, "{most} of {bound}");
    }

    proptest! {
        #[test]
        fn both_codecs_write_the_same_bytes(blob in prop::collection::vec(any::<u8>(), 0..9000), text in ".*") {
            let hello = ToAgent::Hello { nonce: text.clone(), root: "/srv/mediawiki".into(), state: "/var/lib".into(), offers: vec![] };
            let (mut ours, mut theirs, mut heard) = (Vec::new(), Vec::new(), 0);
            run(async {
                write_message(&mut ours, &hello).await.expect("memory takes it");
                write_blob(&mut ours, &mut blob.as_slice(), &mut |n| heard += n).await.expect("memory takes it");
            });
            sync_io::write_message(&mut theirs, &hello).expect("memory takes it");
            sync_io::write_blob(&mut theirs, &mut blob.as_slice()).expect("memory takes it");
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(heard, blob.len() as u64);
            prop_assert_eq!(run(read_message::<ToAgent>(&mut ours.as_slice(), MESSAGE_BYTES_MAX)).expect("it was just written"), hello);
        }

        #[test]
        fn both_codecs_judge_any_bytes_alike(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 1u8..5) {
            let framed = [&[kind, 0, 0, 0, bytes.len().min(255) as u8], bytes.as_slice()].concat();
            for input in [&bytes, &framed] {
                let ours = run(read_message::<ToController>(&mut input.as_slice(), MESSAGE_BYTES_MAX)).map_err(|e| e.to_string());
                let theirs = sync_io::read_message::<ToController>(&mut input.as_slice()).map_err(|e| e.to_string());
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
