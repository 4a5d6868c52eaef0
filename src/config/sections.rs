//! The files that a policy was read from, each as the digests of its sections, so that a plan can say later which part
//! of the configuration is another one.
//!
//! Invariant: every byte of a file is in exactly one section, so that equal sections, in the same order or not, are equal
//! configuration. A section is told by a line that begins with a key; where a file is written otherwise, a change is
//! told under a neighbour's name, but it is told.

use crate::model::digest::Digest;
use std::collections::BTreeMap;
use std::path::Path;

/// Digests by file (relative to groups.yaml) and section.
pub type Files = BTreeMap<String, BTreeMap<String, Digest>>;

/// The section of a file that has none, and what stands before the first key.
pub const WHOLE: &str = "all";

/// The name of a file as a plan has it: below the directory of groups.yaml, wherever that lies; `bases` are its names.
pub fn name(path: &Path, bases: [&Path; 2]) -> String {
    let below = bases.into_iter().find_map(|base| path.strip_prefix(base).ok());
    below.unwrap_or(path).display().to_string()
}

/// The sections of a YAML file by their keys: a line that begins with a letter and has a colon begins one.
pub fn of_yaml(text: &str) -> BTreeMap<String, Digest> {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut section = WHOLE;
    for line in text.split_inclusive('\n') {
        let key = line.split_once(':').map(|(key, _)| key);
        if let Some(key) = key.filter(|key| key.starts_with(|c: char| c.is_ascii_alphabetic())) {
            section = key;
        }
        *texts.entry(section).or_default() += line;
    }
    texts.into_iter().map(|(section, text)| (section.to_owned(), Digest::of(text.as_bytes()))).collect()
}

/// A file that has no sections.
pub fn of_list(text: &str) -> BTreeMap<String, Digest> {
    BTreeMap::from([(WHOLE.to_owned(), Digest::of(text.as_bytes()))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (of_yaml(before), of_yaml(after));
        let names = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
        names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
    }

    #[test]
    fn a_change_is_of_the_section_that_it_stands_in() {
        let text = "# ours\ndeploy: {root: /r}\nhosts:\n- {name: a}\n  # b is gone\nlimits:\n  stale_hosts_max: 1\n";
        assert_eq!(changed(text, text), Vec::<String>::new());
        assert_eq!(changed(text, &text.replace("name: a", "name: b")), ["hosts"]);
        assert_eq!(changed(text, &text.replace("max: 1", "max: 2")), ["limits"]);
        assert_eq!(changed(text, &text.replace("# ours", "# yours")), ["all"]);
        assert_eq!(changed(text, &text.replace("limits:", "gates: []\nlimits:")), ["gates"]);
        assert_eq!(changed(text, &text.replace("b is gone", "c is gone")), ["hosts"]);
    }
}
