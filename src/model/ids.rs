//! Identities that machines make: of books, of hosts' installations, of commands, rollouts and snapshots.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Declares a 128-bit random identity, written as 32 hexadecimal digits.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}", self.0 >> 96)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
                plain
                    .then(|| u128::from_str_radix(&text, 16).ok())
                    .flatten()
                    .map(Self)
                    .ok_or_else(|| "not 32 hexadecimal digits".to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

random_id!(
    /// Which books a host obeys.
    BooksId
);
random_id!(
    /// One installation of a host; a rebuilt host has another.
    Incarnation
);

/// The place of a command in the order of all commands: a newer operator's epoch first, then its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Generation {
    /// Raised by one each time somebody takes the lock.
    pub epoch: u64,
    /// Raised by one for each command that this epoch sends, over all hosts.
    pub seq: u64,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

/// Declares a counted identity that people type with a letter before it.
macro_rules! counted_id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let digits = text.strip_prefix($letter).unwrap_or(text);
                digits.parse().map(Self).map_err(|_| format!(concat!("`{}` is not of the form ", $letter, "12"), text))
            }
        }
    };
}

counted_id!(
    /// A rollout in the books: `r12`.
    RolloutId,
    "r"
);
counted_id!(
    /// A snapshot in the books: `s12`.
    SnapshotId,
    "s"
);
counted_id!(
    /// A run of a playbook in the books: `p3`.
    PlaybookId,
    "p"
);
