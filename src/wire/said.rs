//! What was said on a channel, as the dictionary of what is said next: most of a request's ids are in its answer, and in the
//! next request.
//!
//! Invariant: both ends note the same messages in the same order, which are requests and the replies to them; whatever comes
//! between these is plain. A packed message begins as zstd has it, a plain one never does, so a reader needs not be told. What
//! unpacks to more than a message may have is refused before it is held.

use super::frame::{WireError, check};
use crate::model::limits::{SAID_BYTES_MAX, SAID_MESSAGE_BYTES_MAX};
use crate::tree::packed::{self, WINDOW_LOG_MAX};
use std::borrow::Cow;
use std::io::Write;

/// zstd's level: messages are small.
const LEVEL: i32 = 9;
/// How messages look. A change of it needs another name for [`super::message::PACKED`].
const SKELETON: &str = concat!(
    r#"{"peek":{"prove":[],"level":"L1","confirmed":false}}{"reply":{"refused":{"failed":""}}}{"reply":"confirmed"}"#,
    r#"{"command":{"confirm":{"stamp":{"books":1,"generation":{"epoch":1,"seq":1}},"expect":{"incarnation":{"random":"","#,
    r#""machine":""},"active":""},"note":{"pins":{"wikis":{},"hosts":{}},"wanted":{"php-1.:"},"snapshot":1,"rollout":1}}}}"#,
    r#"{"reply":{"observed":{"incarnation":{"random":"","machine":""},"boot_id":"-4","active":"","versions":{"1.":29},"#,
    r#""fence":{"books":1,"generation":{"epoch":1,"seq":1}},"journal_open":false,"readiness":[["php-1.-wmf.",{"ready":{"#,
    r#""files":1,"bytes":1,"level":"L1"}}],["wmf-config",{"ready":{"files":1,"bytes":1,"level":"L2"}}]],"held":{"php-1.:"},"#,
    r#""confirmed":[],"facts":{"disk_free_bytes":1,"inodes_free":1,"arch":"x86_64","agent":"0.1.0","clock_ms":17}}}}"#,
    r#"{"command":{"observe":{"stamp":{"books":1,"generation":{"epoch":1,"seq":1}},"adopt":false,"peek":{"prove":[{"#,
    r#""component":"php-1.-wmf.","id":"","artefacts":[{"path":"cache/l10n","files":1,"inputs":["languages/i18n"]}]},{"#,
    r#""component":"wmf-config","id":"","artefacts":[]}],"level":"L1","confirmed":false,"nonce":1}}}}"#,
);

/// What was said so far.
#[derive(Debug)]
pub struct Said(Vec<u8>);

impl Default for Said {
    fn default() -> Self {
        Self(SKELETON.as_bytes().to_vec())
    }
}

impl Said {
    /// A message as it goes out: packed, where that makes it smaller.
    pub fn pack(&self, body: Vec<u8>) -> Vec<u8> {
        match self.packed(&body) {
            Ok(packed) if packed.len() < body.len() => packed,
            _ => body,
        }
    }

    fn packed(&self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), LEVEL, &self.0)?;
        // The window must reach over the message to the beginning of what was said.
        let reach = (self.0.len() + body.len()).next_power_of_two().ilog2();
        encoder.window_log(reach.min(WINDOW_LOG_MAX))?;
        encoder.set_pledged_src_size(Some(body.len() as u64))?;
        encoder.include_contentsize(false)?;
        encoder.write_all(body)?;
        encoder.finish()
    }

    /// A message as it was before it was packed, at most `bytes_max` bytes.
    pub fn unpack<'a>(&self, body: &'a [u8], bytes_max: usize) -> Result<Cow<'a, [u8]>, WireError> {
        if !packed::is_packed(body) {
            return Ok(Cow::Borrowed(body));
        }
        let malformed = |error: std::io::Error| WireError::Malformed(error.to_string());
        let plain = packed::unpack(body, &self.0, bytes_max).map_err(malformed)?;
        check("a message", plain.len() as u64, bytes_max as u64)?;
        Ok(Cow::Owned(plain))
    }

    /// Notes a request or a reply, as it is before it is packed.
    pub fn note(&mut self, body: &[u8]) {
        if body.len() > SAID_MESSAGE_BYTES_MAX {
            return;
        }
        if self.0.len() + body.len() > SAID_BYTES_MAX {
            self.0.truncate(SKELETON.len());
        }
        self.0.extend_from_slice(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_long_is_not_noted() {
        let noted = |bytes: usize| {
            let mut said = Said::default();
            said.note(&vec![b'x'; bytes]);
            said.0.len() - SKELETON.len()
        };
        let most = SAID_MESSAGE_BYTES_MAX;
        assert_eq!([1, most - 1, most, most + 1].map(noted), [1, most - 1, most, 0]);
    }

    #[test]
    fn what_is_noted_in_all_is_bounded_and_begins_anew_then() {
        let mut said = Said::default();
        while said.0.len() < SAID_BYTES_MAX {
            said.note(&vec![b'x'; SAID_MESSAGE_BYTES_MAX.min(SAID_BYTES_MAX - said.0.len())]);
        }
        assert_eq!(said.0.len(), SAID_BYTES_MAX);
        said.note(b"one more");
        assert_eq!(said.0, [SKELETON.as_bytes(), b"one more"].concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn what_is_said_comes_back_and_both_ends_know_the_same(
            all in prop::collection::vec(prop::collection::vec("[a-f0-9]{64}", 0..90), 1..12),
        ) {
            let (mut here, mut there) = (Said::default(), Said::default());
            for words in all {
                let body = format!("{words:?}").into_bytes();
                let sent = here.pack(body.clone());
                prop_assert!(sent.len() <= body.len());
                prop_assert_eq!(&*there.unpack(&sent, body.len()).expect("it was packed there"), &body);
                prop_assert!(!sent.starts_with(&packed::MAGIC) || there.unpack(&sent, body.len() - 1).is_err(), "too long");
                here.note(&body);
                there.note(&body);
                prop_assert!(here.0.len() <= SAID_BYTES_MAX && here.0 == there.0);
                let again = here.pack(body.clone());
                prop_assert!(body.len() < 100 || body.len() > SAID_MESSAGE_BYTES_MAX || again.len() < 60, "{}", again.len());
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_a_message(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Said::default().unpack(&bytes, 1000);
            let _ = Said::default().unpack(&[&packed::MAGIC[..], &bytes].concat(), 1000);
        }
    }
}
