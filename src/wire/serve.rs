//! What a host is asked when it is to serve its datacenter, and what it says then.
//!
//! Invariant: it serves for as long as the session in which it was asked, and only to who knows the token. What is put on its
//! shelf goes with the session too.

use crate::model::component::Component;
use crate::model::digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// Serve what came here of this component, by digest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// Where to listen; the same in each of a session's.
    pub listen: SocketAddr,
    /// [`super::message::NONCE_DIGITS`] hexadecimal digits, for this session only; the same in each of it.
    pub token: String,
    /// What was proven before.
    pub component: Component,
    /// The id of its content.
    pub id: Digest,
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serve {{ listen: {}, component: {} }}", self.listen, self.component)
    }
}

/// Keep these objects on the shelf and serve them too; one blob each follows, in this order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelve {
    /// As in [`Serve`].
    pub listen: SocketAddr,
    /// As in [`Serve`].
    pub token: String,
    /// What comes.
    pub objects: Vec<Shelved>,
}

/// An object for the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelved {
    /// What its bytes must be, and the name that it is served by.
    pub digest: Digest,
    /// Its length, bytes.
    pub bytes: u64,
}

impl fmt::Debug for Shelve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelve {{ listen: {}, objects: {} }}", self.listen, self.objects.len())
    }
}

/// Whether a host serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Whether the agent understands [`Shelve`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shelves: bool,
}

/// Why a host can't serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// Somebody listens there.
    #[error("can't serve: somebody else listens at its address")]
    InUse,
    /// Not an address of that host.
    #[error("can't serve: the address is not one of its own")]
    NotHere,
    /// The component is not there as it was proven.
    #[error("can't serve: what it held is not there any more")]
    Nothing,
    /// The token is none, or another one than before.
    #[error("can't serve: it did not understand the order")]
    Order,
    /// No room for what is to be kept on the shelf.
    #[error("can't serve: it has no room for what it is to serve")]
    Full,
    /// An object of the shelf came with other bytes than announced.
    #[error("can't serve: what was sent to it came with other bytes")]
    Spoilt,
    /// Whatever the system says.
    #[error("can't serve: its system does not let it")]
    System,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s10_what_is_shown_of_an_order_has_no_token() {
        let (listen, token) = ("127.0.0.1:8000".parse().expect("an address"), "5ec2e7".to_owned());
        let (component, id) = ("php-1.27.0-wmf.10".parse().expect("a component"), Digest::of(b""));
        let serve = Serve { listen, token: token.clone(), component, id };
        assert_eq!(format!("{serve:?}"), "Serve { listen: 127.0.0.1:8000, component: php-1.27.0-wmf.10 }");
        let shelve = Shelve { listen, token, objects: vec![Shelved { digest: id, bytes: 1 }] };
        assert_eq!(format!("{shelve:?}"), "Shelve { listen: 127.0.0.1:8000, objects: 1 }");
    }
}
