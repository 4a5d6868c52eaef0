//! What people who are not at the terminal are told of: a closed set of occasions.
//!
//! Invariant: [`Notice::subject`] is made of names whose grammars are strict, so that it can stand in a mail's header;
//! every other text may have anything in it and is escaped for the place where it is shown.

use super::time::Time;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A plan was agreed to, or needed nobody to agree, and is on the books.
    Approved,
    /// The hosts of a wave serve what they are to serve, and were proven.
    WaveDone,
    /// A gate says no.
    GateFailed,
    /// A person is waited for.
    Paused,
    /// The fleet, or what a promotion had switched of it, is back on the state before.
    RolledBack,
    /// Hosts were left behind.
    Owed,
    /// It is over.
    Ended,
}

impl Occasion {
    /// All of them, by the name that groups.yaml and programs use.
    pub const ALL: [(&'static str, Self); 7] = [
        ("approved", Self::Approved),
        ("wave-done", Self::WaveDone),
        ("gate-failed", Self::GateFailed),
        ("paused", Self::Paused),
        ("rolled-back", Self::RolledBack),
        ("owed", Self::Owed),
        ("ended", Self::Ended),
    ];
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, occasion)| occasion == self);
        f.pad(named.map_or("", |(name, _)| name))
    }
}

/// What one occasion is in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// About what.
    pub on: Occasion,
    /// When it was recorded, by the controller's clock.
    pub at: Time,
    /// What was undertaken: `r12 promote group1 1.27.0-wmf.11`.
    pub subject: String,
    /// Who undertook it, as `user@deploy-host`.
    pub by: String,
    /// What happened, in one sentence.
    pub text: String,
    /// What it rests on, a line each.
    pub lines: Vec<String>,
    /// What to type now.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_occasion_has_one_name_for_people_and_programs() {
        for (name, occasion) in Occasion::ALL {
            assert_eq!(occasion.to_string(), name);
            assert_eq!(serde_json::to_value(occasion).expect("it is plain"), name);
        }
    }
}
