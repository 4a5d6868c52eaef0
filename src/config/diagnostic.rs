//! Mistakes in configuration, all of them at once: each with its file, line, column and what to write instead.
//!
//! Invariant: a reader that finds a mistake notes it and goes on; only broken YAML ends the reading. What is shown of
//! a file that somebody else wrote has its control characters escaped.

use crate::model::limits::{DIAGNOSTICS_MAX, NAMES_SHOWN_MAX};
use crate::model::words::nearest;
use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a file, both counted from 1; 0 when the mistake is not at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// In which file, as the file was named.
    pub file: PathBuf,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to write instead, when it is known.
    pub suggestion: Option<String>,
}

/// All mistakes of a configuration, never empty, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// At most [`DIAGNOSTICS_MAX`].
    pub list: Vec<Diagnostic>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", escaped(&self.file.to_string_lossy()))?;
        if self.place.line > 0 {
            write!(f, ":{}:{}", self.place.line, self.place.column)?;
        }
        write!(f, ": {}", escaped(&self.message))?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "\n  hint: {}", escaped(suggestion)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.list.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{diagnostic}")?;
        }
        match self.more {
            0 => Ok(()),
            1 => write!(f, "\nand 1 more mistake"),
            n => write!(f, "\nand {n} more mistakes"),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostics {
    /// A single mistake that is not at a place within the file.
    pub fn of_file(file: &Path, message: impl Into<String>, suggestion: Option<String>) -> Self {
        let (place, message) = (Place::default(), message.into());
        Self { list: vec![Diagnostic { file: file.to_owned(), place, message, suggestion }], more: 0 }
    }

    /// A file that cannot be read.
    pub fn unread(file: &Path, error: impl fmt::Display) -> Self {
        Self::of_file(file, format!("it cannot be read: {error}"), None)
    }
}

/// Collects mistakes of one main file and of those that it leads to.
#[derive(Debug)]
pub struct Sink {
    /// The main file.
    file: PathBuf,
    found: Vec<Diagnostic>,
}

impl Sink {
    /// Nothing found yet.
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// Notes a mistake in the main file.
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        let file = self.file.clone();
        self.push(&file, place, message.into(), None);
    }

    /// Notes a mistake in the main file and what to write instead.
    pub fn hint(&mut self, place: Place, message: impl Into<String>, suggestion: impl Into<Option<String>>) {
        let file = self.file.clone();
        self.push(&file, place, message.into(), suggestion.into());
    }

    /// Notes a mistake in any file.
    pub fn push(&mut self, file: &Path, place: Place, message: String, suggestion: Option<String>) {
        self.found.push(Diagnostic { file: file.to_owned(), place, message, suggestion });
    }

    /// Notes what was found in another file that this one leads to.
    pub fn absorb(&mut self, other: Sink) {
        self.found.extend(other.found);
    }

    /// How many were found so far; the same number before and after means that nothing was wrong between.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Whether more mistakes would only be counted, so that looking for suggestions is in vain.
    pub fn is_full(&self) -> bool {
        self.found.len() >= DIAGNOSTICS_MAX
    }

    /// The main file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// `value` when there was no mistake, else all mistakes: the main file's first, each file's in order of places.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Diagnostics> {
        let main = self.file;
        self.found.sort_by(|a, b| (a.file != main, a).cmp(&(b.file != main, b)));
        self.found.dedup();
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ if self.found.is_empty() => Err(Diagnostics::of_file(&main, "it cannot be used", None)),
            _ => {
                let more = self.found.len().saturating_sub(DIAGNOSTICS_MAX);
                self.found.truncate(DIAGNOSTICS_MAX);
                Err(Diagnostics { list: self.found, more })
            }
        }
    }
}

/// Control characters and those that turn the reading direction, written as `\u{..}`; long texts are cut.
pub fn escaped(text: &str) -> String {
    const CHARS_SHOWN_MAX: usize = 600;
    let mut shown = String::new();
    for c in text.chars().take(CHARS_SHOWN_MAX) {
        let turns =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        match c.is_control() || turns {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    if text.chars().nth(CHARS_SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The first names and how many there are: `aawiki, abwiki and 12 more`.
pub fn names<T: fmt::Display>(all: &[T]) -> String {
    let shown: Vec<String> = all.iter().take(NAMES_SHOWN_MAX).map(T::to_string).collect();
    match all.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `did you mean `x`?`, when something is near.
pub fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(text, known).map(|k| format!("did you mean `{k}`?"))
}
