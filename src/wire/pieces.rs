//! A stream that comes in pieces and breaks off, for tests.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};

/// What each read gives, one after the other; then the end. No piece may be larger than what is read into.
pub(crate) struct Pieces(pub VecDeque<Result<&'static [u8], ErrorKind>>);

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.pop_front() {
            None => Ok(0),
            Some(Err(kind)) => Err(kind.into()),
            Some(Ok(piece)) => {
                into[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
        }
    }
}

/// A stream of these pieces.
pub(crate) fn pieces<const N: usize>(pieces: [Result<&'static [u8], ErrorKind>; N]) -> Pieces {
    Pieces(pieces.into())
}
