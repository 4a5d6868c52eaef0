//! What the tests of reports tell of.

use crate::model::books::{Kind, Rollout, Status};
use crate::model::ids::{RolloutId, SnapshotId};
use crate::model::names::HostName;
use crate::model::time::Time;

/// 2016-01-23T01:16:00Z, in ms.
pub const BEGIN: u64 = 1_453_511_760_000;

/// A host by its number: `mw2020.codfw.wmnet`.
pub fn host(n: u32) -> HostName {
    format!("mw{n}.codfw.wmnet").parse().expect("a host")
}

/// An undertaking of group1 that is done, from the state of its number to the next.
pub fn rollout(id: u64, kind: Kind) -> Rollout {
    Rollout {
        id: RolloutId(id),
        kind,
        groups: vec!["group1".parse().expect("a group")],
        version: Some("1.27.0-wmf.11".parse().expect("a version")),
        from: Some(SnapshotId(id)),
        to: SnapshotId(id + 1),
        by: "alice@deploy".into(),
        why: "train".into(),
        at: Time(BEGIN),
        status: Status::Done,
        dispatched: true,
        effect: String::new(),
        playbook: None,
    }
}
