//! The agent's codec: over blocking readers and writers.
//!
//! Invariant: no more is held in memory than one message; blobs pass through in frames. Wrap stdin and stdout in
//! buffers, and flush after each answer: nothing here flushes.

use super::frame::{HEADER_BYTES, Header, Kind, WireError, check, cut};
use super::message;
use crate::model::limits::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};

/// Reads one message. [`WireError::Ended`] when the stream ends before its first byte.
pub fn read_message<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, WireError> {
    message::decode(&read_body(from)?)
}

/// Reads the bytes of one message, as [`read_message`] does.
pub fn read_body(from: &mut impl Read) -> Result<Vec<u8>, WireError> {
    let mut body = Vec::new();
    loop {
        let header = read_header(from, body.is_empty())?;
        let last = header.message_end()?;
        check("a message", (body.len() + header.len) as u64, MESSAGE_BYTES_MAX as u64)?;
        let start = body.len();
        body.resize(start + header.len, 0);
        from.read_exact(&mut body[start..]).map_err(cut)?;
        if last {
            return Ok(body);
        }
    }
}

/// Writes one message.
pub fn write_message<T: Serialize>(to: &mut impl Write, message: &T) -> Result<(), WireError> {
    Ok(to.write_all(&message::encode(message)?)?)
}

/// Reads one blob of at most `bytes_max` bytes into `sink`; returns its length.
pub fn read_blob(from: &mut impl Read, bytes_max: u64, sink: &mut impl Write) -> Result<u64, WireError> {
    let mut blob = BlobReader::new(from, bytes_max);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match blob.read_some(&mut buffer)? {
            0 => return Ok(blob.bytes),
            n => sink.write_all(&buffer[..n])?,
        }
    }
}

/// Writes all of `source` as one blob; returns its length.
pub fn write_blob(to: &mut impl Write, source: &mut impl Read) -> Result<u64, WireError> {
    let mut buffer = vec![0; FRAME_BYTES_MAX.min(256 << 10)];
    let mut bytes = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                to.write_all(&Header { kind: Kind::BlobData, len }.encode())?;
                to.write_all(&buffer[..len])?;
                bytes += len as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    to.write_all(&Header { kind: Kind::BlobEnd, len: 0 }.encode())?;
    Ok(bytes)
}

/// One blob as a reader: ends (0 bytes) at the blob's end and not before. Read it to its end before the next message.
pub struct BlobReader<'a, R> {
    from: &'a mut R,
    bytes_max: u64,
    bytes: u64,
    frame_left: usize,
    ended: bool,
    broken: bool,
}

impl<'a, R: Read> BlobReader<'a, R> {
    /// The blob that comes next, of at most `bytes_max` bytes.
    pub fn new(from: &'a mut R, bytes_max: u64) -> Self {
        Self { from, bytes_max, bytes: 0, frame_left: 0, ended: false, broken: false }
    }

    /// Whether the stream itself ended or failed before the blob did, so that nothing more can come.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Reads to the blob's end and forgets what it reads.
    pub fn skip_rest(&mut self) -> Result<(), WireError> {
        let mut buffer = vec![0; 64 << 10];
        while self.read_some(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Reads some bytes, 0 at the blob's end or into an empty buffer.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let read = self.read_frames(buffer);
        self.broken |= match &read {
            Err(WireError::Io(error)) => error.kind() != io::ErrorKind::Interrupted,
            Err(WireError::Cut) => true,
            _ => false,
        };
        read
    }

    fn read_frames(&mut self, buffer: &mut [u8]) -> Result<usize, WireError> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        if self.frame_left == 0 {
            let header = read_header(self.from, false)?;
            if header.blob_end()? {
                self.ended = true;
                return Ok(0);
            }
            check("a blob", self.bytes + header.len as u64, self.bytes_max)?;
            self.frame_left = header.len;
        }
        let len = buffer.len().min(self.frame_left);
        match self.from.read(&mut buffer[..len])? {
            0 => Err(WireError::Cut),
            n => {
                self.frame_left -= n;
                self.bytes += n as u64;
                Ok(n)
            }
        }
    }
}

impl<R: Read> Read for BlobReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_some(buffer).map_err(|error| match error {
            WireError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        })
    }
}

/// Reads a header; at the stream's end [`WireError::Ended`] when `may_end` and no byte came.
fn read_header(from: &mut impl Read, may_end: bool) -> Result<Header, WireError> {
    let mut bytes = [0; HEADER_BYTES];
    let mut filled = 0;
    while filled < HEADER_BYTES {
        match from.read(&mut bytes[filled..]) {
            Ok(0) if filled == 0 && may_end => return Err(WireError::Ended),
            Ok(0) => return Err(WireError::Cut),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Header::decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::wire::message::{ToAgent, ToController};
    use crate::wire::pieces::{Pieces, pieces};
    use proptest::prelude::*;
    use std::io::ErrorKind;

    fn message_of(text: &str, count: usize) -> ToController {
        match count {
            0 => ToController::Hello {
                nonce: text.to_owned(),
                wire_major: 1,
                agent_version: text.to_owned(),
                arch: text.to_owned(),
            },
            _ => ToController::Need { digests: vec![Digest::of(text.as_bytes()); count], held: None, fetches: false },
        }
    }

    #[test]
    fn a_message_of_many_frames_comes_back() {
        let big = ToController::Need { digests: vec![Digest::of(b"x"); 50_000], held: None, fetches: false };
        let bytes = message::encode(&big).expect("it is below the limit");
        assert!(bytes.len() > 3 * FRAME_BYTES_MAX);
        assert_eq!(read_message::<ToController>(&mut bytes.as_slice()).expect("it was just written"), big);
    }

    #[test]
    fn a_message_above_the_limit_is_refused_while_it_comes() {
        let part =
            [Header { kind: Kind::MessagePart, len: FRAME_BYTES_MAX }.encode().to_vec(), vec![b' '; 1 << 20]].concat();
        let endless = part.repeat(65);
        let error = read_message::<ToAgent>(&mut endless.as_slice()).expect_err("65 MiB are too many");
        assert!(matches!(error, WireError::TooLarge { what: "a message", .. }), "{error}");
    }

    #[test]
    fn a_blob_stops_at_its_own_limit() {
        let mut bytes = Vec::new();
        write_blob(&mut bytes, &mut [7u8; 1000].as_slice()).expect("memory takes it");
        assert_eq!(read_blob(&mut bytes.as_slice(), 1000, &mut io::sink()).expect("it is at the limit"), 1000);
        let error = read_blob(&mut bytes.as_slice(), 999, &mut io::sink()).expect_err("one too many");
        assert!(matches!(error, WireError::TooLarge { what: "a blob", bytes: 1000, max: 999 }), "{error}");
    }

    #[test]
    fn a_blob_comes_in_whatever_pieces_its_source_has() {
        let mut to = Vec::new();
        let mut source = pieces([Ok(b"ab"), Err(ErrorKind::Interrupted), Ok(b"cde")]);
        assert_eq!(write_blob(&mut to, &mut source).expect("memory takes it"), 5);
        let mut read = Vec::new();
        assert_eq!(read_blob(&mut to.as_slice(), 5, &mut read).expect("it was just written"), 5);
        assert_eq!(read, b"abcde");
        let mut source = pieces([Ok(b"ab"), Err(ErrorKind::PermissionDenied)]);
        assert!(matches!(write_blob(&mut io::sink(), &mut source), Err(WireError::Io(_))));
    }

    /// A blob of `abc` that is interrupted once in its header and once in its bytes, and then ends so.
    fn interrupted(end: Result<&'static [u8], ErrorKind>) -> Pieces {
        let again = Err(ErrorKind::Interrupted);
        pieces([again, Ok(&[3, 0]), again, Ok(&[0, 0, 3]), Ok(b"a"), again, Ok(b"bc"), end])
    }

    #[test]
    fn a_blob_is_broken_when_its_stream_is_and_not_when_a_read_was_interrupted() {
        let read = |end| {
            let mut from = interrupted(end);
            let mut blob = BlobReader::new(&mut from, 9);
            let (mut said, mut buffer) = (Vec::new(), [0; 9]);
            for _ in 0..5 {
                said.push(blob.read_some(&mut buffer).map_err(|error| error.to_string()));
            }
            (said.iter().flatten().sum::<usize>(), said.pop().is_some_and(|last| last.is_ok()), blob.is_broken())
        };
        assert_eq!(read(Ok(&[4, 0, 0, 0, 0])), (3, true, false));
        assert_eq!(read(Err(ErrorKind::ConnectionReset)), (3, false, true));
        let mut from = pieces([Ok(&[3, 0, 0, 0, 3]), Ok(b"a"), Err(ErrorKind::ConnectionReset), Ok(b"bc")]);
        let mut blob = BlobReader::new(&mut from, 9);
        blob.skip_rest().expect_err("it is reset");
        assert!(blob.is_broken(), "whatever a stream gives after that");
        let mut from = interrupted(Ok(&[]));
        let mut blob = BlobReader::new(&mut from, 2);
        blob.skip_rest().expect_err("it is longer than it may be");
        assert!(!blob.is_broken(), "the stream goes on");
    }

    #[test]
    fn the_end_between_messages_is_no_error_of_the_peer() {
        assert!(matches!(read_message::<ToAgent>(&mut io::empty()), Err(WireError::Ended)));
        assert!(matches!(read_message::<ToAgent>(&mut [2u8, 0].as_slice()), Err(WireError::Cut)));
        assert!(matches!(read_blob(&mut io::empty(), 9, &mut io::sink()), Err(WireError::Cut)));
    }

    #[test]
    fn an_end_within_a_message_is_a_cut_and_nothing_is_read_after_a_reset() {
        assert!(matches!(read_message::<ToAgent>(&mut [2u8, 0, 0, 0, 9, b'x'].as_slice()), Err(WireError::Cut)));
        // Who went on would find the blob's end.
        let mut reset = pieces([Ok(&[4, 0]), Err(ErrorKind::ConnectionReset), Ok(&[0, 0, 0])]);
        let error = read_blob(&mut reset, 9, &mut io::sink()).expect_err("it is reset");
        assert!(matches!(error, WireError::Io(_)), "{error}");
    }

    proptest! {
        #[test]
        fn messages_and_blobs_come_back(text in ".*", count in 0usize..9, blob in prop::collection::vec(any::<u8>(), 0..9000)) {
            let sent = message_of(&text, count);
            let mut bytes = Vec::new();
            write_message(&mut bytes, &sent).expect("memory takes it");
            prop_assert_eq!(write_blob(&mut bytes, &mut blob.as_slice()).expect("memory takes it"), blob.len() as u64);
            write_message(&mut bytes, &sent).expect("memory takes it");
            let mut from = bytes.as_slice();
            let mut received = Vec::new();
            prop_assert_eq!(&read_message::<ToController>(&mut from).expect("first message"), &sent);
            read_blob(&mut from, blob.len() as u64, &mut received).expect("the blob");
            prop_assert_eq!(received, blob);
            prop_assert_eq!(&read_message::<ToController>(&mut from).expect("second message"), &sent);
            prop_assert!(from.is_empty());
        }

        #[test]
        fn any_bytes_are_an_error_or_a_message(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 1u8..5) {
            let _ = read_message::<ToController>(&mut bytes.as_slice());
            let _ = read_message::<ToAgent>(&mut bytes.as_slice());
            let framed = [&[kind, 0, 0, 0, bytes.len().min(255) as u8], bytes.as_slice()].concat();
            let _ = read_message::<ToAgent>(&mut framed.as_slice());
            let _ = read_blob(&mut framed.as_slice(), 300, &mut io::sink());
        }

        #[test]
        fn a_cut_message_is_an_error(text in ".*", at in any::<prop::sample::Index>()) {
            let bytes = message::encode(&message_of(&text, 0)).expect("it is small");
            let cut = at.index(bytes.len());
            prop_assert!(read_message::<ToController>(&mut &bytes[..cut]).is_err());
        }
    }
}
