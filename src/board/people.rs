//! Who may answer an approval: a file of lines `NAME DIGEST`, where the digest is the SHA-256 of that person's token in hex.
//!
//! Invariant (S10): the file is readable by its owner only, no token is kept or shown, and whether a token is known takes as long as
//! whether it is not.

use crate::config::secret;
use crate::model::limits::BOARD_PEOPLE_MAX;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

/// People by the digests of their tokens.
#[derive(Default)]
pub struct People(Vec<(String, String)>);

impl People {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Why it can't be read, trusted or understood; in words without any part of a digest.
    pub fn read(file: &Path) -> Result<Self, String> {
        Self::parse(secret::text(file)?.expose())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut people: Vec<(String, String)> = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (n, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let wrong = |why: &str| format!("line {}: {why}", n + 1);
            let (name, digest) = line.split_once(char::is_whitespace).ok_or_else(|| wrong("it is not NAME DIGEST"))?;
            let digest = digest.trim().to_ascii_lowercase();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.len() > 64 || !name.chars().all(plain) {
                return Err(wrong("a name has letters, digits and -_. and at most 64 of them"));
            }
            if digest.len() != 64 || !digest.chars().all(|c| c.is_ascii_hexdigit()) {
                return Err(wrong("a digest has 64 hexadecimal digits; type: printf %s TOKEN | sha256sum"));
            }
            if people.iter().any(|(other, _)| other == name) {
                return Err(wrong("this name stands there twice"));
            }
            people.push((name.to_owned(), digest));
        }
        match people.len() {
            0 => Err("nobody is in it".to_owned()),
            n if n > BOARD_PEOPLE_MAX => Err(format!("more than {BOARD_PEOPLE_MAX} people are in it")),
            _ => Ok(Self(people)),
        }
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is.
    pub fn who(&self, token: &str) -> Option<&str> {
        let digest = Sha256::digest(token).iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        // Every digest is compared whole, whatever was found before.
        let same = |known: &str| known.bytes().zip(digest.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0;
        let found = self.0.iter().fold(None, |found, person| if same(&person.1) { Some(person) } else { found });
        found.map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `open sesame`.
    const DIGEST: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

    #[test]
    fn s10_a_person_is_known_by_the_digest_of_a_token() {
        let people = People::parse(&format!("# who\n\nalice {DIGEST}\nbob {}\n", "0".repeat(64))).expect("it is read");
        assert_eq!(people.who("open sesame"), Some("alice"));
        assert_eq!((people.who("open sesame "), people.who(""), people.who(DIGEST)), (None, None, None));
    }

    #[test]
    fn a_bad_line_is_named_and_nothing_of_it_is_said() {
        let said = |text: &str| People::parse(text).err().expect("it is refused");
        assert_eq!(said(""), "nobody is in it");
        assert_eq!(said("alice\n"), "line 1: it is not NAME DIGEST");
        let twice = format!("alice {DIGEST}\nalice {DIGEST}\n");
        assert_eq!(said(&twice), "line 2: this name stands there twice");
        for line in ["alice open-sesame", &format!("<b> {DIGEST}"), &format!("alice {DIGEST}0")] {
            assert!(!said(line).contains("sesame") && !said(line).contains("41ef"), "{}", said(line));
        }
    }
}
