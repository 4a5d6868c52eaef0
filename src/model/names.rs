//! Names that people write: versions, wikis, groups, hosts and users, each with a strict grammar.
//!
//! Invariant: a value of one of these types is safe as a path component, as an argument and in a log line, because
//! no grammar here allows a leading `-`, a `/`, a space, a quote or a control character.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a name of the wanted kind; a fragment that fits "`TEXT` is not a version: {...}".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub String);

fn fail<T>(why: impl Into<String>) -> Result<T, NameError> {
    Err(NameError(why.into()))
}

/// Declares a checked string type with the traits every name has.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A version of the wiki engine: `1.27.0-wmf.11`, `1.27.0-rc.1` or `1.27.0`.
    Version,
    check_version
);
name!(
    /// A wiki by its database name: `enwiki`, `zh_min_nanwiki`.
    Wiki,
    check_wiki
);
name!(
    /// A group of wikis that is promoted together: `group0`.
    Group,
    check_group
);
name!(
    /// A gate by its name in groups.yaml: `front-page`, grammar as for groups.
    GateName,
    check_group
);
name!(
    /// A host by its DNS name: lower case letters, digits, `-` and `.`, no label that starts or ends with `-`.
    HostName,
    check_host
);
name!(
    /// A login name on a host, as POSIX allows it portably; never with a leading `-`.
    UserName,
    check_user
);

name!(
    /// A user or a group of users of the deploy host by its system's name: letters, digits, `.`, `_` and `-`.
    AccountName,
    check_account
);

fn check_version(text: &str) -> Result<(), NameError> {
    let (numbers, tag) = match text.split_once('-') {
        Some((numbers, tag)) => (numbers, Some(tag)),
        None => (text, None),
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() != 3 || !parts.iter().all(|p| is_number(p)) {
        return fail("a version starts with three numbers, as in `1.27.0-wmf.11`");
    }
    match tag.map(|t| t.split_once('.')) {
        None => Ok(()),
        Some(Some(("wmf" | "rc" | "alpha" | "beta", n))) if is_number(n) => Ok(()),
        Some(_) => fail("after the `-` stands `wmf.` or `rc.` and a number, as in `1.27.0-wmf.11`"),
    }
}

fn is_number(text: &str) -> bool {
    let plain = text == "0" || !text.starts_with('0');
    plain && !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit())
}

fn check_wiki(text: &str) -> Result<(), NameError> {
    check_word(text, 64, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn check_group(text: &str) -> Result<(), NameError> {
    check_word(text, 64, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn check_user(text: &str) -> Result<(), NameError> {
    check_word(text, 32, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn check_word(text: &str, bytes_max: usize, legal: fn(u8) -> bool) -> Result<(), NameError> {
    if text.is_empty() {
        return fail("it is empty");
    }
    if text.len() > bytes_max {
        return fail(format!("it is longer than {bytes_max} characters"));
    }
    if text.starts_with('-') {
        return fail("it starts with `-`");
    }
    match text.bytes().find(|b| !legal(*b)) {
        Some(_) => fail("only lower case letters, digits, `_` and `-` may stand in it"),
        None => Ok(()),
    }
}

fn check_account(text: &str) -> Result<(), NameError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match (1..=64).contains(&text.len()) && !text.starts_with(['-', '.']) && text.chars().all(legal) {
        true => Ok(()),
        false => fail("it has 1 to 64 letters, digits, `.`, `_` and `-`, and begins with neither `-` nor `.`"),
    }
}

fn check_host(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > 253 {
        return fail("a host name has 1 to 253 characters");
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return fail("each part between the dots has 1 to 63 characters");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return fail("no part may start or end with `-`");
        }
        if !label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return fail("only lower case letters, digits, `-` and `.` may stand in it");
        }
    }
    Ok(())
}

impl Version {
    /// The directory that holds this version's tree, below the deploy root: `php-1.27.0-wmf.11`.
    pub fn directory(&self) -> String {
        format!("php-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_a_tired_person_mistypes_are_refused() {
        for good in ["1.27.0-wmf.11", "1.27.0", "1.27.0-rc.1", "1.40.0-wmf.4"] {
            assert!(good.parse::<Version>().is_ok(), "{good}");
        }
        for bad in [
            "1.40-0-wmf.4",
            "1.32.0.18",
            "",
            "wmf.11",
            "1.27.0-wmf",
            "1.27.0-wmf.",
            "1.27.0-wmf.1x",
            "-1.27.0",
            "1.27.0-wmf.11/..",
            "php-1.27.0-wmf.11",
            "1.27.0-wmf.011",
            "1.27.0 ",
            "1.27.0-wmf.11\n",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn host_names_that_ssh_would_read_as_options_are_refused() {
        for good in ["mw2020.codfw.wmnet", "localhost", "10.0.0.1", "a-b.c"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in ["-oProxyCommand=x", "a..b", "", ".", "a b", "a;b", "user@host", "A.example", "a-.b", "a\0"] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }
}
