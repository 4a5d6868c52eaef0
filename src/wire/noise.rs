//! What a host's shell prints before the agent speaks: a message of the day, a careless `.bashrc`.
//!
//! Invariant: at most [`NOISE_BYTES_MAX`] bytes are read before the preface with this channel's own nonce, and not one
//! byte after it is consumed.

use super::message::preface;
use crate::model::limits::NOISE_BYTES_MAX;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// How the wait for an agent's first bytes ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noise {
    /// The preface came; the agent's Hello follows. What was before it.
    Greeted(Vec<u8>),
    /// The stream ended first. What was said until then.
    Ended(Vec<u8>),
    /// More than [`NOISE_BYTES_MAX`] bytes came first.
    TooMuch,
}

/// Reads up to and with the preface that carries `nonce`.
pub async fn skip_noise(from: &mut (impl AsyncBufRead + Unpin), nonce: &str) -> std::io::Result<Noise> {
    let wanted = preface(nonce);
    let mut seen: Vec<u8> = Vec::new();
    loop {
        let room = NOISE_BYTES_MAX + wanted.len() - seen.len();
        if room == 0 {
            return Ok(Noise::TooMuch);
        }
        let fresh = from.fill_buf().await?;
        if fresh.is_empty() {
            return Ok(Noise::Ended(seen));
        }
        let fresh = &fresh[..fresh.len().min(room)];
        let before = seen.len();
        seen.extend_from_slice(fresh);
        let taken = fresh.len();
        let start = before.saturating_sub(wanted.len());
        let Some(at) = seen[start..].windows(wanted.len()).position(|bytes| bytes == wanted) else {
            from.consume(taken);
            continue;
        };
        from.consume(start + at + wanted.len() - before);
        seen.truncate(start + at);
        return Ok(Noise::Greeted(seen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, BufReader};

    const NONCE: &str = "00112233445566778899aabbccddeeff";

    /// What became of the wait over `bytes`, read in pieces of `piece` bytes, and what is left to read.
    fn skip(bytes: &[u8], piece: usize) -> (Noise, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut from = BufReader::with_capacity(piece, bytes);
            let noise = skip_noise(&mut from, NONCE).await.expect("memory gives it");
            let mut rest = Vec::new();
            from.read_to_end(&mut rest).await.expect("memory gives it");
            (noise, rest)
        })
    }

    #[test]
    fn another_channels_preface_is_noise() {
        let other = preface("ffffffffffffffffffffffffffffffff");
        let (noise, rest) = skip(&[&other[..], &preface(NONCE), b"x"].concat(), 7);
        assert_eq!((noise, rest), (Noise::Greeted(other), b"x".to_vec()));
    }

    #[test]
    fn endless_noise_ends_at_the_limit() {
        let most = vec![b'*'; NOISE_BYTES_MAX];
        assert_eq!(skip(&[&most[..], &preface(NONCE)].concat(), 4096).0, Noise::Greeted(most.clone()));
        assert_eq!(skip(&[&most[..], b"*", &preface(NONCE)].concat(), 4096).0, Noise::TooMuch);
    }

    proptest! {
        #[test]
        fn nothing_after_the_preface_is_lost(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            rest in prop::collection::vec(any::<u8>(), 0..50),
            piece in 1usize..80,
        ) {
            let (found, left) = skip(&[&noise[..], &preface(NONCE), &rest].concat(), piece);
            prop_assert_eq!((found, left), (Noise::Greeted(noise.clone()), rest));
            prop_assert_eq!(skip(&noise, piece).0, Noise::Ended(noise));
        }
    }
}
