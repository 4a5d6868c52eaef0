//! What somebody may be allowed to do: a closed set of words, which groups.yaml and messages use.
//!
//! Invariant: whoever may promote a group may take it back, and whoever may move anything may finish what was interrupted. No
//! site can say otherwise, because [`Right::gives`] is not configured.

use std::fmt;

/// Something that somebody may do, for some groups of wikis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// A group goes to a version; what stopped that is lifted (`release`, `blocker close`).
    Promote,
    /// Groups go back.
    Rollback,
    /// Other content is wanted: `sync-common --from-staging`, `sync-file`, `undo`, programs of playbooks on hosts.
    Sync,
    /// A wiki or a host is held on a version, or let go.
    Pin,
    /// Hosts are brought to what is wanted already, or taken out of service; others are stopped (`hold`, `lock`, `abort`).
    Repair,
    /// Approvals are answered.
    Approve,
    /// The program's own objections are set aside: `--again`, `--delete`.
    Force,
    /// What gates, blockers and freezes say is set aside: `--override`, `--accept`, `--override-freeze`, a short `--soak`.
    Override,
    /// The lock is taken from whoever holds it. A rollback does so without.
    TakeOver,
}

impl Right {
    /// All of them, by the name that groups.yaml uses.
    pub const ALL: [(&'static str, Self); 9] = [
        ("promote", Self::Promote),
        ("rollback", Self::Rollback),
        ("sync", Self::Sync),
        ("pin", Self::Pin),
        ("repair", Self::Repair),
        ("approve", Self::Approve),
        ("force", Self::Force),
        ("override", Self::Override),
        ("take-over", Self::TakeOver),
    ];

    /// Whether who has this right has `other` too.
    pub fn gives(self, other: Self) -> bool {
        let also: &[Self] = match self {
            Self::Promote => &[Self::Rollback, Self::Repair],
            Self::Rollback | Self::Sync | Self::Pin => &[Self::Repair],
            Self::Repair | Self::Approve | Self::Force | Self::Override | Self::TakeOver => &[],
        };
        self == other || also.contains(&other)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, right)| right == self);
        f.pad(named.map_or("", |(name, _)| name))
    }
}
