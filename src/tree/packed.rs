//! What zstd packed, as it comes from anybody: told by its first bytes, and unpacked within bounds.

use std::io::{self, Read};

/// The first bytes of a zstd frame.
pub const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window as a power of two, bytes.
pub const WINDOW_LOG_MAX: u32 = 24;

/// Whether these bytes were packed: none of what may be sent plain begins so.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// What was packed over `prefix`. Of more than `bytes_max` bytes one more than that comes back, so that a caller can tell.
pub fn unpack(packed: &[u8], prefix: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_ref_prefix(packed, prefix)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let mut plain = Vec::new();
    decoder.take(bytes_max as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}
