//! What is said in messages: a closed schema, JSON on the wire.
//!
//! Invariant: every agent of the same [`WIRE_MAJOR`] understands these; a change that an older agent would
//! misunderstand raises it.

use super::fetch::{Fetch, Fetched};
use super::frame::{Header, Kind, WireError, check};
use super::serve::{Serve, Served, Shelve};
use crate::model::digest::Digest;
use crate::model::limits::{FRAME_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::model::protocol::{Command, Held, Peek, Reply};
use crate::model::question::{Answer, Question};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of frames and messages. Agents of the same one serve observe, switch and rollback.
pub const WIRE_MAJOR: u32 = 1;

/// The offer to send bundles.
pub const BUNDLES: &str = "bundles-2";

/// The offer to understand packed replies; see [`super::said`].
pub const PACKED: &str = "packed-1";

/// Hexadecimal digits of a nonce.
pub const NONCE_DIGITS: usize = 32;

/// From the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToAgent {
    /// The first message; answered by the preface and [`ToController::Hello`].
    Hello {
        /// [`NONCE_DIGITS`] hexadecimal digits, for this channel only; the preface repeats them.
        nonce: String,
        /// The deploy root, absolute.
        root: PathBuf,
        /// The agent's state directory, absolute.
        state: PathBuf,
        /// What the controller can do beyond the first form of this wire major, as [`BUNDLES`]; unknown ones are
        /// passed over.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        offers: Vec<String>,
    },
    /// How the files of a [`ToController::Need`] with `held` come; only to an agent that said `held`.
    Send(Sending),
    /// A look that changes nothing; answered by one [`Reply`].
    Peek(Peek),
    /// A command; answered by one [`Reply`]. A prepare is followed by one blob, see [`crate::wire`].
    Command(Command),
    /// A question; answered by one [`Answer`]. It needs no stamp and no lock, since it changes nothing. An agent that is
    /// older than questions ends when it hears one, as at anything that it does not understand.
    Ask(Question),
    /// Serve what is proven there, while the session lasts; only to an agent whose Need said `fetches`.
    Serve(Serve),
    /// Serve what comes with this too, while the session lasts; only to an agent whose Served said `shelves`. One blob an
    /// object follows.
    Shelve(Shelve),
}

/// How files come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sending {
    /// One blob a needed digest, in that order.
    Files,
    /// One blob a group, in that order; see [`crate::tree::bundle`].
    Bundle {
        /// What the groups stand on; `None`: nothing.
        base: Option<Held>,
        /// Their numbers.
        groups: Vec<u32>,
    },
    /// From elsewhere; only to an agent whose Need said `fetches`. Answered by [`ToController::Fetched`] and what follows
    /// a bundle.
    Fetch(Fetch),
}

/// From the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToController {
    /// The first message, after the preface.
    Hello {
        /// The controller's nonce.
        nonce: String,
        /// [`WIRE_MAJOR`] of the agent.
        wire_major: u32,
        /// The agent's package version.
        agent_version: String,
        /// What the agent was built for, as [`std::env::consts::ARCH`] has it.
        arch: String,
    },
    /// Files that the host lacks, each once; their blobs must follow in this order. May be empty.
    Need {
        /// Content digests out of the manifest.
        digests: Vec<Digest>,
        /// What the host holds that a delta can stand on. Only where the controller offered [`BUNDLES`]; what is
        /// needed then comes after a [`ToAgent::Send`], and is asked for again as far as a bundle did not bring it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Vec<Held>>,
        /// Whether the agent understands [`Sending::Fetch`] and [`ToAgent::Serve`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fetches: bool,
    },
    /// How a fetch went; a [`ToController::Need`] or a [`Reply`] follows.
    Fetched(Fetched),
    /// The answer to a peek or a command.
    Reply(Reply),
    /// The answer to a question.
    Answer(Answer),
    /// The answer to a [`ToAgent::Serve`] or [`ToAgent::Shelve`].
    Served(Served),
}

/// Whether `text` has the form of a nonce: [`NONCE_DIGITS`] lower case hexadecimal digits. Both sides check before use.
pub fn is_nonce(text: &str) -> bool {
    text.len() == NONCE_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The very first bytes of an agent: a magic that no shell prints, the nonce, a line's end. Its first frame follows.
pub fn preface(nonce: &str) -> Vec<u8> {
    [b"\0\x01pointsman-agent ", nonce.as_bytes(), b"\n"].concat()
}

/// The frames of a message, at most [`MESSAGE_BYTES_MAX`] bytes of payload.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    Ok(frames(&body(message)?))
}

/// A message's bytes, at most [`MESSAGE_BYTES_MAX`].
pub fn body<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    let body = serde_json::to_vec(message).map_err(|e| WireError::Malformed(e.to_string()))?;
    check("a message", body.len() as u64, MESSAGE_BYTES_MAX as u64)?;
    Ok(body)
}

/// The frames of a message's bytes.
pub fn frames(body: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(body.len() + 64);
    let mut parts = body.chunks(FRAME_BYTES_MAX).peekable();
    while let Some(part) = parts.next() {
        let kind = if parts.peek().is_some() { Kind::MessagePart } else { Kind::MessageEnd };
        frames.extend_from_slice(&Header { kind, len: part.len() }.encode());
        frames.extend_from_slice(part);
    }
    frames
}

/// Reads a message from the joined payloads of its frames.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(body).map_err(|e| WireError::Malformed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::Refusal;

    /// Rule S4: nothing that a host says is an expression of any language, and what the schema does not have is no message.
    #[test]
    fn s04_what_a_host_says_is_of_the_schema_and_its_texts_stay_as_they_are() {
        for text in
            ["{{ 7*7 }}", "{% include '/etc/passwd' %}", "${HOME}", "$(id)", "`id`", "#{1+1}", "%s%n", "${jndi:x}"]
        {
            let said = ToController::Reply(Reply::Refused(Refusal::Failed(text.to_owned())));
            let body = body(&said).expect("it is small");
            assert_eq!(decode::<ToController>(&body).expect("it is of the schema"), said);
        }
        for text in [
            r#"{"run":["sh","-c","id"]}"#,
            r#"{"reply":{"run":["id"]}}"#,
            r#"{"reply":"confirmed","answer":"x"}"#,
            r#"{"command":{"observe":{}}}"#,
            r#"{"need":{"digests":["../../etc/shadow"]}}"#,
            r#"{"need":{"digests":"*"}}"#,
            r#"{"hello":{"nonce":"x"}}"#,
            r#""reply""#,
            r#"["reply","confirmed"]"#,
            r#"{"reply":"confirmed"} {"reply":"confirmed"}"#,
        ] {
            assert!(matches!(decode::<ToController>(text.as_bytes()), Err(WireError::Malformed(_))), "{text}");
        }
    }
}
