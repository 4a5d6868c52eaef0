//! Frames: one byte of kind, four bytes of length (big-endian), then so many bytes.
//!
//! Invariant: [`Header::decode`] is the only place that turns a length from the wire into a number, and it refuses
//! what is longer than [`FRAME_BYTES_MAX`]. Pure: both codecs stand on these functions.

use crate::model::limits::FRAME_BYTES_MAX;
use std::io;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 5;

/// What a frame's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of a message, more follows.
    MessagePart,
    /// The last part of a message.
    MessageEnd,
    /// Some bytes of a blob, at least one.
    BlobData,
    /// A blob is whole; no payload.
    BlobEnd,
}

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the payload is.
    pub kind: Kind,
    /// Bytes of payload, at most [`FRAME_BYTES_MAX`].
    pub len: usize,
}

/// Why reading or writing frames failed; a fragment that fits "HOST does not speak the protocol: {...}".
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The stream ended where a message may begin: the other side is done.
    #[error("the stream ended")]
    Ended,
    /// The stream ended inside of a frame, a message or a blob.
    #[error("the stream ended half-way")]
    Cut,
    /// A kind byte that this wire major does not have.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// A frame of one kind where only the other may stand.
    #[error("{found:?} where {wanted} was expected")]
    Unexpected {
        /// What came.
        found: Kind,
        /// What may stand there.
        wanted: &'static str,
    },
    /// A length above its limit, bytes.
    #[error("{what} of {bytes} bytes, which is more than {max}")]
    TooLarge {
        /// A frame, a message or a blob.
        what: &'static str,
        /// How many it has at least.
        bytes: u64,
        /// How many it may have.
        max: u64,
    },
    /// The message's bytes are not a message of the closed schema.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// The system's words, from reading or writing.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::MessagePart => 1,
            Self::MessageEnd => 2,
            Self::BlobData => 3,
            Self::BlobEnd => 4,
        }
    }

    fn from_byte(byte: u8) -> Result<Self, WireError> {
        match byte {
            1 => Ok(Self::MessagePart),
            2 => Ok(Self::MessageEnd),
            3 => Ok(Self::BlobData),
            4 => Ok(Self::BlobEnd),
            other => Err(WireError::UnknownKind(other)),
        }
    }
}

impl Header {
    /// The bytes on the wire. `len` is at most [`FRAME_BYTES_MAX`], which is far below what four bytes hold.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let len = u32::try_from(self.len).expect("no caller builds a frame above FRAME_BYTES_MAX");
        let [a, b, c, d] = len.to_be_bytes();
        [self.kind.byte(), a, b, c, d]
    }

    /// Reads a header; fails on an unknown kind, a length above [`FRAME_BYTES_MAX`], a blob's end with a payload and
    /// blob data without one (which would let a peer send for ever without counting towards any limit).
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, WireError> {
        let [kind, a, b, c, d] = bytes;
        let kind = Kind::from_byte(kind)?;
        let len = u32::from_be_bytes([a, b, c, d]);
        check("a frame", u64::from(len), FRAME_BYTES_MAX as u64)?;
        match kind {
            Kind::BlobEnd if len != 0 => Err(WireError::Malformed("a blob's end with a payload".into())),
            Kind::BlobData | Kind::MessagePart if len == 0 => Err(WireError::Malformed("an empty part".into())),
            _ => Ok(Self { kind, len: len as usize }),
        }
    }

    /// Fails unless the frame belongs to a message; otherwise whether it is the last.
    pub fn message_end(self) -> Result<bool, WireError> {
        match self.kind {
            Kind::MessagePart => Ok(false),
            Kind::MessageEnd => Ok(true),
            found => Err(WireError::Unexpected { found, wanted: "a message" }),
        }
    }

    /// Fails unless the frame belongs to a blob; otherwise whether it is the end.
    pub fn blob_end(self) -> Result<bool, WireError> {
        match self.kind {
            Kind::BlobData => Ok(false),
            Kind::BlobEnd => Ok(true),
            found => Err(WireError::Unexpected { found, wanted: "a blob" }),
        }
    }
}

/// Fails when `bytes` are more than `max`.
pub fn check(what: &'static str, bytes: u64, max: u64) -> Result<(), WireError> {
    match bytes > max {
        true => Err(WireError::TooLarge { what, bytes, max }),
        false => Ok(()),
    }
}

/// What it is when a stream ends or fails where all of something was to be read.
pub(super) fn cut(error: io::Error) -> WireError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => WireError::Cut,
        _ => WireError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s16_a_length_above_the_limit_is_refused_before_it_is_used() {
        let largest = Header { kind: Kind::BlobData, len: FRAME_BYTES_MAX };
        assert_eq!(Header::decode(largest.encode()).expect("it is at the limit"), largest);
        let one_more = u32::try_from(FRAME_BYTES_MAX + 1).expect("it is small").to_be_bytes();
        for [a, b, c, d] in [one_more, [0xff; 4]] {
            assert!(matches!(Header::decode([3, a, b, c, d]), Err(WireError::TooLarge { .. })));
        }
    }

    #[test]
    fn parts_that_carry_nothing_are_refused() {
        for bytes in [[1, 0, 0, 0, 0], [3, 0, 0, 0, 0], [4, 0, 0, 0, 1]] {
            assert!(matches!(Header::decode(bytes), Err(WireError::Malformed(_))), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in any::<[u8; HEADER_BYTES]>()) {
            if let Ok(header) = Header::decode(bytes) {
                prop_assert_eq!(header.encode(), bytes);
                prop_assert!(header.len <= FRAME_BYTES_MAX);
            }
        }
    }
}
