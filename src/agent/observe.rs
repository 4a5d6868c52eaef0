//! What a host says of itself: to a peek, which changes nothing, and to an observe, which raises the fence first.

use super::guard::{self, Stop};
use super::hostfs::{HostFs, Kind, Place, present};
use super::look::{self, Depth, Notes, Renewed};
use super::seal::Seal;
use super::state::{self, Identity, Ready};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::Incarnation;
use crate::model::limits::STATE_BYTES_MAX;
use crate::model::map::VersionMap;
use crate::model::planted::{Bug, planted};
use crate::model::protocol::{Facts, Fence, Observation, Peek, Refusal, Stamp};
use std::collections::BTreeMap;
use std::io;

/// Looks, and changes nothing. What is worth writing down comes along, in the order of what was to be proven;
/// `now_ns` is what [`HostFs::now_ns`] said before.
pub(super) fn view(
    fs: &impl HostFs,
    peek: &Peek,
    depth: Depth,
    now_ns: Option<i64>,
) -> io::Result<(Observation, Vec<Notes>)> {
    let here = look::here(fs)?;
    let map = state::load_map(fs)?;
    let versions = map.as_ref().and_then(|(bytes, _)| VersionMap::from_php(bytes).ok()).map(|map| map.counts());
    let (mut readiness, mut notes) = (Vec::new(), Vec::new());
    for want in &peek.prove {
        let look = look::look(fs, want, depth, &here, now_ns)?;
        readiness.push((want.component.clone(), look.readiness));
        notes.push(look.notes);
    }
    let observation = Observation {
        incarnation: here.incarnation,
        active: map.map(|(_, digest)| digest),
        versions: versions.unwrap_or_default(),
        fence: state::load_fence(fs)?,
        journal_open: fs.lstat(&state::journal_place())?.is_some(),
        readiness,
        held: held(fs)?,
        confirmed: if peek.confirmed { state::load_confirmed(fs)? } else { Vec::new() },
        facts: facts(fs),
        boot_id: here.boot_id,
    };
    Ok((observation, notes))
}

/// What the host shows without a proof of anything.
pub(super) fn state(fs: &impl HostFs) -> io::Result<Observation> {
    let peek = Peek::at_state();
    view(fs, &peek, Depth::of(&peek), None).map(|(observation, _)| observation)
}

/// The components that are marked and there.
pub(super) fn held(fs: &impl HostFs) -> io::Result<BTreeMap<Component, Digest>> {
    let mut held = BTreeMap::new();
    for listed in present(fs.list(&Place::state("ready")))?.unwrap_or_default() {
        let component: Option<Component> = listed.name.to_str().and_then(|name| name.parse().ok());
        let Some(component) = component else { continue };
        let there = fs.lstat(&state::component_place(&component))?.is_some_and(|stat| stat.kind == Kind::Directory);
        if let (true, Some(ready)) = (there, state::load::<Ready>(fs, &state::ready_place(&component))?) {
            held.insert(component, ready.id);
        }
    }
    Ok(held)
}

fn facts(fs: &impl HostFs) -> Facts {
    let space = fs.space().ok();
    Facts {
        disk_free_bytes: space.map_or(0, |space| space.bytes_free),
        inodes_free: space.map_or(0, |space| space.inodes_free),
        arch: fs.arch(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        clock_ms: fs.clock_ms(),
    }
}

/// Raises the fence, ends what was unfinished, and looks.
///
/// The look itself holds no lock: it may have to hash whole trees, and a switch that it delayed would be worse.
pub(super) fn observe(fs: &mut impl HostFs, stamp: &Stamp, adopt: bool, peek: &Peek) -> Result<Observation, Stop> {
    let before = enter(fs, stamp, adopt)?;
    // A host that cannot say what time it is can still be looked at.
    let now_ns = if peek.prove.is_empty() { None } else { fs.now_ns().ok() };
    let (mut observation, notes) = view(fs, peek, Depth::of(peek).awaited(), now_ns)?;
    observation.fence = before;
    for (want, Notes { renewed, proven }) in peek.prove.iter().zip(notes) {
        if let Some(renewed) = renewed {
            renew(fs, want, &renewed)?;
        }
        if let Some(proven) = proven {
            proven.store(fs)?;
        }
    }
    Ok(observation)
}

/// The part that holds the lock; returns the fence as it was.
fn enter(fs: &mut impl HostFs, stamp: &Stamp, adopt: bool) -> Result<Option<Fence>, Stop> {
    let _lock = fs.lock()?;
    let fence = state::load_fence(fs)?;
    if let Some(fence) = &fence {
        match guard::check_order(fence, stamp) {
            Err(Refusal::Foreign(_)) if adopt => {}
            checked => checked?,
        }
    }
    guard::recover(fs)?;
    // Without its fence a host cannot tell an old command from a new one, so it is not the one that was known.
    if fence.is_none() || state::load_incarnation(fs)?.is_none() {
        let identity = Identity { incarnation: Incarnation(fs.random()?), machine_id: fs.machine_id()? };
        state::store(fs, &state::identity_place(), &identity)?;
    }
    if fence.is_none() || !planted(Bug::NoFenceOnObserve) {
        guard::raise(fs, stamp)?;
    }
    Ok(fence)
}

/// Writes an index with the stats of now, unless somebody replaced the component meanwhile.
fn renew(fs: &mut impl HostFs, want: &Want, renewed: &Renewed) -> io::Result<()> {
    let (component, index) = (&want.component, &renewed.index);
    let _lock = fs.lock()?;
    if look::load_index(fs, component)?.is_none_or(|old| !old.same_content(index)) {
        return Ok(());
    }
    let (bytes, seal) = index.to_bytes();
    state::replace(fs, &state::index_place(component), &bytes)?;
    let marker = state::load_bytes(fs, &state::ready_place(component), STATE_BYTES_MAX)?;
    let seal = marker.and_then(|marker| Seal::of(index, seal, &marker, renewed.taken_ns, &want.artefacts));
    match seal {
        Some(seal) => seal.store(fs, component),
        None => Ok(()),
    }
}
