//! What people sign with `ssh-keygen -Y sign`: the content of releases, and the end of a journal.
//!
//! Invariant: a text that is signed names content and nothing that changes with a rollout: no host, time, person or
//! number of a command. So a signature that was made once is good for every host and for every way back to that content.
//! A text is of a closed form, and another one names nothing.
//!
//! Deliberately absent: cryptography. `ssh-keygen` makes signatures and `ssh-keygen` verifies them.

use super::component::Component;
use super::digest::Digest;
use super::limits::SIGNED_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a signature of a release is for, as `ssh-keygen -n` takes it: one made for something else is none.
pub const RELEASE_NAMESPACE: &str = "pointsman-release";
/// The same of the end of a journal.
pub const JOURNAL_NAMESPACE: &str = "pointsman-journal";
/// The owner's list of who may sign what a host takes, as `ssh-keygen` reads it. It is on the host, outside of both
/// directories, and no controller can name another one.
pub const ALLOWED_SIGNERS: &str = "/etc/pointsman/allowed_signers";

/// The first line of a release's text; the number is the form's version.
const RELEASE_HEAD: &str = "pointsman release 1";
/// The first line of a journal's end.
const JOURNAL_HEAD: &str = "pointsman journal 1";

/// A release's text and a signature of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// As [`release_text`] writes it.
    pub text: String,
    /// As `ssh-keygen -Y sign` wrote it, with its armour.
    pub signature: String,
}

/// What a controller says about signatures when it brings a component.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Signing {
    /// Whether groups.yaml demands one. A host with [`ALLOWED_SIGNERS`] demands one whatever stands here.
    #[serde(default)]
    pub demanded: bool,
    /// The one that was made of this content; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

impl Signing {
    /// Whether nothing is said.
    pub fn is_nothing(&self) -> bool {
        !self.demanded && self.signed.is_none()
    }
}

impl Signed {
    /// Whether the text names exactly this content of this component, and both parts are of a length that is taken.
    pub fn names(&self, component: &Component, id: &Digest) -> bool {
        let fits = self.text.len().max(self.signature.len()) <= SIGNED_BYTES_MAX;
        fits && contents(&self.text).is_some_and(|named| named.get(component) == Some(id))
    }
}

/// The text that names these contents, a line each, in order.
pub fn release_text(contents: &BTreeMap<Component, Digest>) -> String {
    let lines = contents.iter().map(|(component, id)| format!("{component} {id}\n"));
    format!("{RELEASE_HEAD}\n{}", lines.collect::<String>())
}

/// What a text names; `None` when it is not exactly as [`release_text`] writes it.
pub fn contents(text: &str) -> Option<BTreeMap<Component, Digest>> {
    let lines = text.strip_prefix(RELEASE_HEAD)?.strip_prefix('\n')?.lines();
    let named = lines.map(|line| {
        let (component, id) = line.split_once(' ')?;
        Some((component.parse().ok()?, id.parse().ok()?))
    });
    let contents: BTreeMap<Component, Digest> = named.collect::<Option<_>>()?;
    (!contents.is_empty() && release_text(&contents) == text).then_some(contents)
}

/// The text that names the end of a journal.
pub fn journal_text(events: u64, head: &Digest) -> String {
    format!("{JOURNAL_HEAD}\nevents {events}\nhead {head}\n")
}

/// The number of events and the head that a text names; `None` when it is not exactly as [`journal_text`] writes it.
pub fn journal_end(text: &str) -> Option<(u64, Digest)> {
    let mut lines = text.lines().skip(1);
    let events = lines.next()?.strip_prefix("events ")?.parse().ok()?;
    let head = lines.next()?.strip_prefix("head ")?.parse().ok()?;
    (journal_text(events, &head) == text).then_some((events, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> BTreeMap<Component, Digest> {
        let of = |name: &str| (name.parse().expect("a component"), Digest::of(name.as_bytes()));
        [of("wmf-config"), of("php-1.27.0-wmf.11")].into()
    }

    #[test]
    fn s21_a_text_names_each_component_with_its_content_and_nothing_else() {
        let text = release_text(&both());
        assert_eq!(contents(&text), Some(both()));
        assert_eq!(text.lines().count(), 3, "a head and a line each: {text}");
        let other = Digest::of(b"other");
        let signed = Signed { text, signature: String::new() };
        for (component, id) in both() {
            assert!(signed.names(&component, &id));
            assert!(!signed.names(&component, &other));
            let elsewhere = "php-1.27.0-wmf.12".parse().expect("a component");
            assert!(!signed.names(&elsewhere, &id), "the same content under another version");
        }
    }

    #[test]
    fn s21_a_text_of_another_form_names_nothing() {
        let text = release_text(&both());
        let lines: Vec<&str> = text.lines().collect();
        let turned = format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1]);
        let cut = text.trim_end().to_owned();
        let doubled = format!("{text}{}\n", lines[1]);
        let head = format!("{RELEASE_HEAD}\n");
        let spaced = text.replace(' ', "  ");
        for bad in [turned, cut, doubled, head, spaced, text.replace('\n', "\r\n"), text.replace(" 1\n", " 2\n")] {
            assert_eq!(contents(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn s20_the_end_of_a_journal_is_read_as_it_was_written() {
        let head = Digest::of(b"head");
        let text = journal_text(57, &head);
        assert_eq!(journal_end(&text), Some((57, head)));
        for bad in [text.replace("57", "057"), text.replace("journal 1", "journal 2"), format!("{text}\n")] {
            assert_eq!(journal_end(&bad), None, "{bad:?}");
        }
    }
}
