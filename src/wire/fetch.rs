//! Content that a host fetches from elsewhere: what it is told, and what it says afterwards.
//!
//! Invariants: an address is never shown beyond its server, because what follows may be a signature or a one-time token.
//! What a host says of a fetch is one of a few forms; no text of a mirror comes back through it.

use crate::model::digest::Digest;
use crate::model::protocol::Held;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A URL that opens one object to whoever knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// Of this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The address of what has this name below it.
    pub fn below(&self, name: &str) -> Self {
        Self(format!("{}/{name}", self.0))
    }

    /// The whole of it, to ask for it and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0[after..].find(['/', '?', '#']).map_or(self.0.len(), |at| after + at);
        write!(f, "{}/...", &self.0[..end])
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An object somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Where; one GET, no redirects.
    pub address: Address,
    /// What its bytes must be.
    pub digest: Digest,
    /// Its length, bytes.
    pub bytes: u64,
}

/// A frame of a bundle somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The number of its group; see [`crate::tree::bundle`].
    pub group: u32,
    /// The frame.
    pub parcel: Parcel,
}

/// What one mirror has of what a host needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fetch {
    /// What the frames stand on; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Held>,
    /// Frames of a bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<Frame>,
    /// Single files, as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Parcel>,
    /// Where any file that is needed may be: at this address, with its digest at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Address>,
    /// PEM certificates to trust instead of the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl Fetch {
    /// How many objects it names, `all` being one.
    pub fn objects(&self) -> usize {
        self.frames.len() + self.files.len() + usize::from(self.all.is_some())
    }
}

/// How a fetch went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fetched {
    /// Bytes that came, of use or not.
    pub bytes: u64,
    /// Objects that were not there.
    pub missing: u32,
    /// Why it was ended before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why a host asks a mirror no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// No connection, or one that broke.
    #[error("can't be reached from there, or broke off")]
    Unreachable,
    /// A certificate that is not trusted, or none.
    #[error("has no certificate that is trusted there")]
    Certificate,
    /// It answered with another status than 200 and 404.
    #[error("answered with status {0}")]
    Status(u16),
    /// It fell silent, or is slower than a host waits for.
    #[error("is too slow or hangs")]
    Slow,
    /// Other bytes than those that the name stands for, fewer, or more.
    #[error("served other bytes than their name says")]
    Lies,
    /// Too many objects are not there.
    #[error("lacks too much")]
    Lacks,
    /// What it was told is no use: an address that is none, or too many.
    #[error("could not be asked: the host did not understand the order")]
    Order,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_up_to_its_server() {
        for (url, shown) in [
            ("https://s3.example/bucket/k?X-Amz-Signature=abc", "https://s3.example/..."),
            ("http://10.0.0.1:8000/token/abc", "http://10.0.0.1:8000/..."),
            ("https://s3.example?X-Amz-Signature=abc", "https://s3.example/..."),
            ("http://a", "http://a/..."),
            ("nonsense", "nonsense/..."),
        ] {
            let address = Address::new(url);
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.to_owned(), shown.to_owned()));
            let whole = serde_json::to_string(&address).expect("a text");
            assert_eq!(serde_json::from_str::<Address>(&whole).expect("the same").reveal(), url);
        }
    }
}
