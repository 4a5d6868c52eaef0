//! What a command that syncs read from staging, on its way into the store.

use crate::drive::staging::Taken;
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::plan::changed::Changed;
use std::collections::BTreeMap;

/// Content of staging that an order is about; none for most.
pub struct Staged<'a> {
    /// What was read.
    pub taken: &'a [Taken],
    /// Takes it into the store, where that was only looked at so far.
    pub keep: &'a dyn Fn() -> anyhow::Result<()>,
}

impl Staged<'static> {
    /// Nothing.
    pub fn nothing() -> Self {
        Self { taken: &[], keep: &|| Ok(()) }
    }
}

/// The ids of what was taken.
pub fn ids(taken: &[Taken]) -> BTreeMap<Component, Digest> {
    taken.iter().map(|taken| (taken.component.clone(), taken.id)).collect()
}

/// Staging must still be what it was when it was looked at.
pub fn the_same(looked: &[Taken], kept: &[Taken]) -> Result<(), Changed> {
    match ids(looked) == ids(kept) {
        true => Ok(()),
        false => Err(Changed(vec!["staging was changed while it was taken".to_owned()])),
    }
}
