//! Saved plans: what a person agreed to, as a file that can be carried out later, once.
//!
//! A file has the command as the program reads it, what the plan was made from (configuration, books, and in the plan what
//! each host showed), the plan itself and what it was shown with. Carrying it out runs the command again; what comes out
//! must be this plan ([`super::changed`]).
//!
//! Invariant: a file is taken only byte by byte as it was written, under its own digest. The digest is no signature: it
//! tells damage and changes, and gives a name to what was agreed to. So nothing in a file is believed in place of the
//! books, the configuration or the hosts; it is only compared with them.

use super::facts::Facts;
use super::hosts::Plan;
use crate::config::policy::Policy;
use crate::config::sections::Files;
use crate::model::books::{Books, Hold};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, RolloutId, SnapshotId};
use crate::model::time::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The form of a plan file that this program writes and reads.
pub const FORMAT: u32 = 1;

/// A plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// [`FORMAT`].
    pub format: u32,
    /// BLAKE3 of `saved` as compact JSON with its keys in this order.
    pub digest: Digest,
    /// What was saved.
    pub saved: Saved,
}

/// What is in a plan file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The version of the program that made it.
    pub program: String,
    /// Who made it, as `user@host`.
    pub by: String,
    /// When, by that host's clock.
    pub at: Time,
    /// The command with its arguments, as the program reads them.
    pub command: Vec<String>,
    /// What it was made from.
    pub basis: Basis,
    /// When it is the plan of a playbook.
    pub playbook: Option<Playbook>,
    /// The plan; of a playbook the first that its stages make. `None`: none of them makes one.
    pub planned: Option<Planned>,
}

/// What a plan was made from, beside hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Digests of groups.yaml by section and of what else it names, by file.
    pub configuration: Files,
    /// Which books.
    pub books: BooksId,
    /// The wanted state then.
    pub wanted: Option<SnapshotId>,
    /// The newest undertaking then.
    pub newest: Option<RolloutId>,
    /// Those that were not ended.
    pub unfinished: BTreeSet<RolloutId>,
    /// The hold, if there was one.
    pub hold: Option<Hold>,
    /// The open blockers, by name.
    pub blockers: BTreeSet<String>,
}

/// A playbook as it was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// BLAKE3 of its file.
    pub digest: Digest,
    /// Its variables, defaults included.
    pub vars: BTreeMap<String, String>,
    /// Its stages in words, a line each.
    pub stages: Vec<String>,
}

/// A plan, and the command that makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// The command as the program reads it: that of the file, or a line of the playbook.
    pub line: Vec<String>,
    /// What it does; each host with what it showed, as far as it was looked at.
    pub plan: Plan,
    /// What it was shown with.
    pub facts: Facts,
}

/// Why bytes are no plan that can be carried out; a fragment that fits "failed to read FILE: {...}".
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It is not what `plan -o` writes.
    #[error("it is not a plan that pointsman saved: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Of another pointsman.
    #[error("it has the format {0}, and this pointsman reads {FORMAT}; plan it again")]
    Format(u64),
    /// It was changed.
    #[error("it was changed after it was saved: it says that its digest is {says}, and it is {is}; plan it again")]
    Digest {
        /// What stands in it.
        says: String,
        /// What it is.
        is: String,
    },
    /// It says the same in other bytes, or something more.
    #[error("it was changed after it was saved: it is not byte by byte what pointsman wrote; plan it again")]
    Bytes,
}

impl PlanFile {
    /// A file of what is saved now.
    pub fn new(saved: Saved) -> Self {
        Self { format: FORMAT, digest: saved.digest(), saved }
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = serde_json::to_string_pretty(self).expect("a plan has only string keys");
        (text + "\n").into_bytes()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// Anything else, a single other byte included.
    pub fn read(bytes: &[u8]) -> Result<Self, SavedError> {
        /// What every format has.
        #[derive(Deserialize)]
        struct Head {
            format: u64,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format != u64::from(FORMAT) {
            return Err(SavedError::Format(head.format));
        }
        let file: Self = serde_json::from_slice(bytes)?;
        let is = file.saved.digest();
        if is != file.digest {
            return Err(SavedError::Digest { says: file.digest.to_string(), is: is.to_string() });
        }
        match file.to_bytes() == bytes {
            true => Ok(file),
            false => Err(SavedError::Bytes),
        }
    }
}

impl Saved {
    fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("a plan has only string keys"))
    }
}

impl Basis {
    /// What a plan would be made from now.
    pub fn of(policy: &Policy, books: &Books) -> Self {
        Self {
            configuration: policy.files.clone(),
            books: books.id,
            wanted: books.current,
            newest: books.rollouts.keys().next_back().copied(),
            unfinished: books.open().map(|rollout| rollout.id).collect(),
            hold: books.hold.clone(),
            blockers: books.health.blockers.keys().cloned().collect(),
        }
    }
}

/// The JSON Schema (2020-12) of a plan file, pretty-printed, with a newline at its end.
pub fn schema() -> String {
    let schema = schemars::schema_for!(PlanFile);
    serde_json::to_string_pretty(&schema).expect("a schema is plain JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture::{books, policy};
    use proptest::prelude::*;

    fn file() -> PlanFile {
        let policy = policy(2);
        let basis = Basis::of(&policy, &books(&policy));
        let (program, by, command) = ("1".to_owned(), "a@b".to_owned(), vec!["rollback".to_owned()]);
        PlanFile::new(Saved { program, by, at: Time(1), command, basis, playbook: None, planned: None })
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let file = file();
        let bytes = file.to_bytes();
        assert_eq!(PlanFile::read(&bytes).expect("it is read"), file);
        let text = String::from_utf8(bytes).expect("it is text");
        let said = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            PlanFile::read(text.replacen(from, to, 1).as_bytes()).expect_err("it is refused").to_string()
        };
        assert!(said("\"rollback\"", "\"promote\"").contains("its digest is"));
        assert!(said("\"format\": 1", "\"format\": 2").contains("the format 2"));
        assert!(said("\"by\"", "\"bye\": 1,\n    \"by\"").contains("unknown field"));
        assert!(said("\"format\"", " \"format\"").contains("byte by byte"));
        assert!(said("{", "").contains("not a plan"));
    }

    proptest! {
        #[test]
        fn one_other_byte_is_one_too_many(at in 0_usize..100_000, byte in any::<u8>()) {
            let mut bytes = file().to_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            prop_assert!(PlanFile::read(&bytes).is_err());
        }
    }
}
