//! What a plan will cost: the bytes that hosts lack, and how long such undertakings took before.
//!
//! Invariant: only looks; and what is not known is counted as unknown.

use super::look::Looked;
use crate::model::books::{Books, Kind, Rollout, Status};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::limits::PAST_RUNS_MAX;
use crate::model::names::HostName;
use crate::model::protocol::Observation;
use crate::plan::assess;
use crate::plan::facts::{Load, Past};
use crate::plan::hosts::Plan;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::tree::content::ContentStore;
use crate::tree::manifest::{EntryKind, Manifest};
use std::collections::{BTreeMap, BTreeSet};

/// Where content is known: what was just read from staging, and the store of the deploy host where there is one.
pub struct Known<'a> {
    /// By its id.
    pub staged: BTreeMap<Digest, &'a Manifest>,
    /// `None`: planned elsewhere.
    pub store: Option<&'a ContentStore>,
}

impl Known<'_> {
    fn manifest(&self, id: Digest) -> Option<Manifest> {
        let staged = self.staged.get(&id).map(|manifest| (*manifest).clone());
        // Content that can't be read is as good as content that is not here: how much it is, is not known.
        staged.or_else(|| self.store?.manifest(id).ok().flatten())
    }
}

/// What hosts lack of what `plan` wants there, by what they showed.
pub fn load(known: &Known<'_>, plan: &Plan, looked: &BTreeMap<HostName, Looked>) -> Load {
    let mut load = Load::default();
    let mut sizes: BTreeMap<(Option<Digest>, Digest), Option<u64>> = BTreeMap::new();
    for (host, part) in &plan.hosts {
        let Some(Ok(seen)) = looked.get(host) else {
            load.unknown += 1;
            continue;
        };
        let lacking: Vec<Want> = part.prove().into_iter().filter(|want| lacks(seen, &want.component)).collect();
        let size = |want: &Want| {
            let held = seen.held.get(&want.component).copied().filter(|held| *held != want.id);
            *sizes.entry((held, want.id)).or_insert_with(|| size(known, held, want.id))
        };
        let all: Option<u64> = lacking.iter().map(size).sum();
        match all {
            None => load.unknown += 1,
            Some(bytes) => {
                load.hosts += usize::from(!lacking.is_empty());
                load.bytes = load.bytes.saturating_add(bytes);
            }
        }
    }
    load
}

fn lacks(seen: &Observation, component: &Component) -> bool {
    seen.readiness.iter().any(|(known, readiness)| known == component && !readiness.is_ready())
}

/// The bytes of the files that `target` has and `held` has not; `None`: unknown.
fn size(known: &Known<'_>, held: Option<Digest>, target: Digest) -> Option<u64> {
    let target = known.manifest(target)?;
    let there = held.and_then(|held| known.manifest(held)).unwrap_or_default();
    let there: BTreeSet<Digest> =
        there.entries().iter().filter_map(|entry| file(&entry.kind)).map(|(id, _)| id).collect();
    let lacking = target.entries().iter().filter_map(|entry| file(&entry.kind)).filter(|(id, _)| !there.contains(id));
    Some(lacking.map(|(_, size)| size).fold(0, u64::saturating_add))
}

fn file(kind: &EntryKind) -> Option<(Digest, u64)> {
    match kind {
        EntryKind::File { digest, size, .. } => Some((*digest, *size)),
        EntryKind::Symlink { .. } => None,
    }
}

/// How long the newest undertakings of a kind took, from when they were recorded to the last answer of a host.
///
/// # Errors
///
/// The books can't be read.
pub fn past(store: &dyn Store, books: &Books, kind: Kind) -> Result<Past, StoreError> {
    let ended = |r: &&Rollout| r.kind == kind && matches!(r.status, Status::Done | Status::Owed);
    let mut times_ms = Vec::new();
    for rollout in books.rollouts.values().rev().filter(ended).take(PAST_RUNS_MAX) {
        let answers = store.steps(rollout.id)?.into_iter().filter_map(|step| step.outcome);
        times_ms.extend(answers.map(|(at, _)| at.ms_since(rollout.at)).max());
    }
    Ok(Past::of(times_ms))
}

/// Gives each host's part of a plan what the host showed.
pub fn expect(plan: &mut Plan, looked: &BTreeMap<HostName, Looked>) {
    for (host, part) in &mut plan.hosts {
        let seen = looked.get(host).and_then(|looked| looked.as_ref().ok());
        part.expect = seen.and_then(assess::expect);
    }
}
