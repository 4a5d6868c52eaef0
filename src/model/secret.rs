//! A text that nobody is to see: a password, a token, a key; and where one stands.
//!
//! Invariant: it has neither `Debug` nor `Display` nor `Serialize`, so it gets into an output, a log or a file only where
//! somebody asks for it by [`Secret::expose`], which is easy to find. Deliberately absent: wiping its memory, since the
//! libraries that take it keep copies; the process leaves no core instead (`cli::no_core`).

use std::fmt;
use std::path::PathBuf;

/// Where a secret stands; never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// In a variable of the environment.
    Env(String),
    /// In a file that nobody else can read, absolute.
    File(PathBuf),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// One that was just read.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for whoever it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The same without space around it, as lines of files have it.
    pub fn trimmed(&self) -> Self {
        Self(self.0.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;
    use std::fmt::{Debug, Display};

    /// Implemented once for every type, and once more for what can be shown: of such a type the compiler does not know
    /// which is meant, and this file does not compile.
    trait Silent<Which> {
        fn is() {}
    }
    struct Debugged;
    struct Displayed;
    struct Serialized;
    impl<T> Silent<()> for T {}
    impl<T: Debug> Silent<Debugged> for T {}
    impl<T: Display> Silent<Displayed> for T {}
    impl<T: serde::Serialize> Silent<Serialized> for T {}

    #[test]
    fn s10_a_secret_cannot_be_formatted_or_written_down() {
        <Secret as Silent<_>>::is();
    }
}
