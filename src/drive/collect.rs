//! What the deploy host keeps of the content that was wanted once.

use super::clock;
use super::deploy::Deploy;
use crate::model::books::Books;
use crate::model::digest::Digest;
use crate::model::ids::SnapshotId;
use crate::tree::collect::Removed;
use crate::tree::content::ContentError;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// Removes content that no state of the last `keep_ms` wants, nor the one of now, nor one that an undertaking comes from or
/// leads to. A rollback restores labels at what is wanted of them now, so that it needs no more. With `dry` it only counts.
pub fn collect(deploy: &Deploy, books: &Books, keep_ms: u64, dry: bool) -> Result<Removed, ContentError> {
    let now = clock::now();
    let mut states: BTreeSet<SnapshotId> = books.current.into_iter().collect();
    states.extend(books.open().flat_map(|rollout| rollout.from.into_iter().chain([rollout.to])));
    let young = books.snapshots.values().filter(|snapshot| now.ms_since(snapshot.at) <= keep_ms);
    states.extend(young.map(|snapshot| snapshot.id));
    let states = states.iter().filter_map(|id| books.snapshots.get(id));
    let wanted: BTreeSet<Digest> = states.flat_map(|snapshot| snapshot.wanted.values().copied()).collect();
    deploy.content.collect(&wanted, SystemTime::now(), dry)
}
