//! Components: the directories below the deploy root that are synced, proven and identified each on its own.

use super::digest::Digest;
use super::names::{NameError, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One directory below the deploy root: a version's tree (`php-1.27.0-wmf.11`) or shared configuration (`wmf-config`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Component {
    /// Configuration that all versions share, by its directory's name.
    Config(String),
    /// The release tree of a version.
    Version(Version),
}

impl FromStr for Component {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(version) = text.strip_prefix("php-") {
            return version.parse().map(Self::Version);
        }
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let plain = !text.is_empty() && text.len() <= 64 && !text.starts_with('-') && text.bytes().all(legal);
        match plain {
            true => Ok(Self::Config(text.to_owned())),
            false => Err(NameError("a component is one directory's name: letters, digits, `_` and `-`".into())),
        }
    }
}

impl TryFrom<String> for Component {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Component> for String {
    fn from(component: Component) -> String {
        component.to_string()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(name) => f.write_str(name),
            Self::Version(version) => write!(f, "php-{version}"),
        }
    }
}

/// What every version tree must hold beside its code, because each host builds it: localisation, for instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtefactRule {
    /// The directory that the build step fills, relative to the version's tree, normalised: `cache/l10n`.
    pub path: String,
    /// How many files the build makes there.
    pub files: u64,
    /// The parts of the tree that the build reads, relative and normalised; none named: all of it.
    pub inputs: Vec<String>,
}

/// What a host is asked to hold and to prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Want {
    /// Which directory.
    pub component: Component,
    /// The id of the content that the books want there.
    pub id: Digest,
    /// Artefacts that must be there too, built on the host; empty for configuration.
    pub artefacts: Vec<ArtefactRule>,
}
