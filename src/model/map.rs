//! The version map: which wiki runs which version, as the web tier reads it.
//!
//! Invariant: the same map gives the same bytes always, so a digest of the served file names the map.
//! The JSON form is `wikiversions.json` of Wikimedia's deployment: sorted keys, four spaces, `php-` before the version.

use super::digest::Digest;
use super::limits::MAP_BYTES_MAX;
use super::names::{Version, Wiki};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Wiki to version, for every wiki.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct VersionMap(pub BTreeMap<Wiki, Version>);

/// Why bytes are not a version map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// More than [`MAP_BYTES_MAX`] bytes.
    #[error("the version map has more than {MAP_BYTES_MAX} bytes")]
    TooLarge,
    /// Not of the form; the text says where.
    #[error("not a version map: {0}")]
    Malformed(String),
}

const PHP_HEAD: &str = "<?php\n// Compiled from wikiversions.json by pointsman: edit neither by hand.\nreturn [\n";
const PHP_TAIL: &str = "];\n";

impl VersionMap {
    /// The bytes of `wikiversions.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let body: Vec<String> =
            self.0.iter().map(|(wiki, version)| format!("    \"{wiki}\": \"php-{version}\"")).collect();
        match body.is_empty() {
            true => b"{}\n".to_vec(),
            false => format!("{{\n{}\n}}\n", body.join(",\n")).into_bytes(),
        }
    }

    /// The bytes of `wikiversions.php`, which is what is served.
    pub fn to_php(&self) -> Vec<u8> {
        let body: String = self.0.iter().map(|(wiki, version)| format!("    '{wiki}' => 'php-{version}',\n")).collect();
        format!("{PHP_HEAD}{body}{PHP_TAIL}").into_bytes()
    }

    /// Reads `wikiversions.json`; a doubled wiki is an error, since the last would silently win.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MapError> {
        if bytes.len() > MAP_BYTES_MAX {
            return Err(MapError::TooLarge);
        }
        let raw: Entries = serde_json::from_slice(bytes).map_err(|e| MapError::Malformed(e.to_string()))?;
        let entries = raw.0.iter().map(|(wiki, version)| (wiki.as_str(), version.as_str()));
        Self::from_entries(entries)
    }

    /// Reads back what [`Self::to_php`] wrote; any other PHP is refused.
    pub fn from_php(bytes: &[u8]) -> Result<Self, MapError> {
        if bytes.len() > MAP_BYTES_MAX {
            return Err(MapError::TooLarge);
        }
        let malformed = |what: &str| MapError::Malformed(what.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
        let body = text.strip_prefix(PHP_HEAD).and_then(|rest| rest.strip_suffix(PHP_TAIL));
        let body = body.ok_or_else(|| malformed("not written by pointsman"))?;
        let entry = |line| -> Option<(&str, &str)> {
            let line: &str = line;
            line.strip_prefix("    '")?.strip_suffix("',")?.split_once("' => '")
        };
        let entries: Option<Vec<_>> = body.lines().map(entry).collect();
        Self::from_entries(entries.ok_or_else(|| malformed("a line is not an entry"))?.into_iter())
    }

    fn from_entries<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, MapError> {
        let mut map = BTreeMap::new();
        for (wiki, directory) in entries {
            let bad = |why: String| MapError::Malformed(format!("entry `{}`: {why}", wiki.escape_debug()));
            let name: Wiki = wiki.parse().map_err(|e| bad(format!("{e}")))?;
            let version = directory.strip_prefix("php-").ok_or_else(|| bad("its value has no `php-`".into()))?;
            let version: Version = version.parse().map_err(|e| bad(format!("{e}")))?;
            if map.insert(name, version).is_some() {
                return Err(bad("it stands there twice".into()));
            }
        }
        Ok(Self(map))
    }

    /// The digest of the served file: names the map in proofs, fences and conditions.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_php())
    }

    /// How many wikis run each version.
    pub fn counts(&self) -> BTreeMap<Version, usize> {
        let mut counts = BTreeMap::new();
        for version in self.0.values() {
            *counts.entry(version.clone()).or_default() += 1;
        }
        counts
    }
}

/// A JSON object as its entries in order, so that doubled keys are seen.
struct Entries(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of wiki to version directory")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn map(entries: &[(&str, &str)]) -> VersionMap {
        let parse = |(w, v): &(&str, &str)| (w.parse().expect("a wiki"), v.parse().expect("a version"));
        VersionMap(entries.iter().map(parse).collect())
    }

    #[test]
    fn both_forms_are_byte_stable_and_read_back() {
        let map = map(&[("enwiki", "1.27.0-wmf.10"), ("aawiki", "1.27.0-wmf.11")]);
        expect![[r#"
            {
                "aawiki": "php-1.27.0-wmf.11",
                "enwiki": "php-1.27.0-wmf.10"
            }
        "#]]
        .assert_eq(std::str::from_utf8(&map.to_json()).expect("it is text"));
        expect![[r#"
            <?php
            // Compiled from wikiversions.json by pointsman: edit neither by hand.
            return [
                'aawiki' => 'php-1.27.0-wmf.11',
                'enwiki' => 'php-1.27.0-wmf.10',
            ];
        "#]]
        .assert_eq(std::str::from_utf8(&map.to_php()).expect("it is text"));
        assert_eq!(VersionMap::from_json(&map.to_json()), Ok(map.clone()));
        assert_eq!(VersionMap::from_php(&map.to_php()), Ok(map));
    }

    #[test]
    fn a_doubled_wiki_is_an_error() {
        let bytes = br#"{"aawiki": "php-1.27.0-wmf.10", "aawiki": "php-1.27.0-wmf.11"}"#;
        assert!(matches!(VersionMap::from_json(bytes), Err(MapError::Malformed(_))));
    }

    #[test]
    fn foreign_php_is_refused() {
        assert!(VersionMap::from_php(b"<?php return [ 'aawiki' => 'php-1.27.0-wmf.11' ];").is_err());
    }
}
