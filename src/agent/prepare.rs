//! Bringing a component to its wanted content, first half: the tree is assembled beside the one that is served.
//!
//! Invariant: the switch lock is held only to begin. What a host holds anywhere is copied and hashed while it is copied;
//! what it lacks is asked for by digest; nothing is believed. A transfer dies when a newer epoch has observed the host,
//! or when another prepare of the same component began after it, because its staging directory is then taken away. What
//! it had brought is not lost: the later one copies from there what is whole before it removes the rest.

use super::guard::{self, Stop};
use super::hostfs::{HostFs, Kind, Place, Written, present};
use super::index::{Sealed, What};
use super::look::{self, Depth};
use super::signed;
use super::state::{self, Built, Ready, STAGING};
use super::walk::walk;
use crate::model::component::{ArtefactRule, Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::Generation;
use crate::model::limits::INDEX_BYTES_MAX;
use crate::model::protocol::{Expect, Readiness, Refusal, Stamp};
use crate::model::signed::Signing;
use crate::tree::manifest::{EntryKind, Manifest};
use crate::tree::path::RelPath;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

/// So few contents are sought in the bytes of an index before its lines are read: most indexes have none of them.
const SOUGHT_MAX: usize = 16;

/// A component on its way to a host.
#[derive(Debug)]
pub struct Transfer {
    pub(super) stamp: Stamp,
    pub(super) want: Want,
    pub(super) manifest: Manifest,
    /// Where the tree is assembled.
    pub(super) staged: Place,
    /// The files that are in place, as they were when they were written.
    pub(super) written: BTreeMap<RelPath, Written>,
    /// Set when there was nothing to do.
    pub(super) already: Option<Readiness>,
    /// Where each file belongs that has not come yet.
    pending: BTreeMap<Digest, Vec<Spot>>,
}

/// A file of the manifest that some digest belongs to.
#[derive(Debug, Clone)]
struct Spot {
    path: RelPath,
    exec: bool,
    size: u64,
}

impl Transfer {
    /// The digests of the files that have not come yet, each once, in the order in which they are wanted.
    pub fn needs(&self) -> Vec<Digest> {
        self.pending.keys().copied().collect()
    }

    /// The length of a file that has not come yet, bytes; `None` when nobody waits for it.
    pub fn size_of(&self, digest: &Digest) -> Option<u64> {
        self.pending.get(digest).and_then(|spots| spots.first()).map(|spot| spot.size)
    }

    /// How many files have not come yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

/// Admits the command, then copies all that the host holds.
pub(super) fn begin(
    fs: &mut impl HostFs,
    stamp: Stamp,
    expect: &Expect,
    want: Want,
    manifest: Manifest,
    signing: &Signing,
) -> Result<Transfer, Stop> {
    check_want(&want, &manifest)?;
    let name = format!("{}@{}", want.component, stamp.generation);
    let staged = Place::root(STAGING).join(&name);
    {
        let _lock = fs.lock()?;
        guard::admit(fs, &stamp, expect)?;
        guard::raise(fs, &stamp)?;
        bury(fs, &want.component, stamp.generation)?;
    }
    signed::check(fs, &want, signing)?;
    let (written, pending) = (BTreeMap::new(), BTreeMap::new());
    let mut transfer = Transfer { stamp, want, manifest, staged, written, already: None, pending };
    let readiness = look::look(fs, &transfer.want, Depth::YOUNG, &look::here(fs)?, None)?.readiness;
    if readiness.is_ready() {
        transfer.already = Some(readiness);
        clear(fs)?;
        return Ok(transfer);
    }
    // What an interrupted transfer brought saves sending it again, unless its room is needed.
    if check_space(fs, &transfer).is_err() {
        clear(fs)?;
        check_space(fs, &transfer)?;
    }
    match assemble(fs, &mut transfer).and_then(|()| clear(fs)) {
        Ok(()) => Ok(transfer),
        Err(error) => {
            let _ = fs.remove_tree(&transfer.staged);
            Err(error.into())
        }
    }
}

fn check_want(want: &Want, manifest: &Manifest) -> Result<(), Refusal> {
    let failed = |why: String| Err(Refusal::Failed(why));
    if manifest.id() != want.id {
        return failed("the manifest is not that of the wanted content".to_owned());
    }
    for rule in &want.artefacts {
        if let Some(bad) = [&rule.path].into_iter().chain(&rule.inputs).find(|path| path.parse::<RelPath>().is_err()) {
            return failed(format!("`{}` is not a path in the tree", bad.escape_debug()));
        }
    }
    let mut sizes = BTreeMap::new();
    for entry in manifest.entries() {
        if let EntryKind::File { size, digest, .. } = entry.kind
            && *sizes.entry(digest).or_insert(size) != size
        {
            return failed(format!("the manifest has two lengths for the content {}", digest.short()));
        }
    }
    Ok(())
}

/// Sees that the tree and what the host built for the last one fit beside it, with 5 % to spare.
fn check_space(fs: &impl HostFs, transfer: &Transfer) -> Result<(), Stop> {
    let Transfer { manifest, want, .. } = transfer;
    let space = fs.space()?;
    let built = state::load::<Ready>(fs, &state::ready_place(&want.component))?.map(|ready| ready.artefacts);
    let sum = |of: fn(&Built) -> u64| built.iter().flatten().map(of).fold(0, u64::saturating_add);
    let bytes = manifest.bytes().saturating_add(sum(|built| built.bytes));
    let bytes = bytes.saturating_add(bytes / 20);
    let inodes = manifest.files() + directories(manifest).len() as u64 + sum(|built| built.files);
    let lack = match () {
        () if space.bytes_free < bytes => format!("{bytes} bytes needed, {} free", space.bytes_free),
        () if space.inodes_free < inodes => format!("{inodes} inodes needed, {} free", space.inodes_free),
        () => return Ok(()),
    };
    Err(Refusal::DiskFull(lack).into())
}

/// Every directory of the manifest, each before those below it.
fn directories(manifest: &Manifest) -> BTreeSet<RelPath> {
    manifest.entries().iter().filter_map(|entry| entry.path.parent()).collect()
}

/// Takes the staging directories of older epochs, and of older prepares of this component, away from whoever fills them.
fn bury(fs: &mut impl HostFs, component: &Component, generation: Generation) -> io::Result<()> {
    fs.make_dir(&Place::root(STAGING))?;
    for listed in fs.list(&Place::root(STAGING))? {
        // A name that is not UTF-8 is none of ours, and lies where only ours may lie; it is never read.
        let Some(name) = listed.name.to_str() else { continue };
        let of = parse_staged(name);
        let older = |of: Generation| of < generation;
        let stale = of.is_none_or(|(c, of)| older(of) && (of.epoch < generation.epoch || c == *component));
        if stale && !name.starts_with(GRAVE) {
            take_away(fs, &Place::root(STAGING).join(name))?;
        }
    }
    Ok(())
}

/// Renames a tree so that [`clear`] removes it.
pub(super) fn take_away(fs: &mut impl HostFs, tree: &Place) -> io::Result<()> {
    fs.make_dir(&Place::root(STAGING))?;
    let grave = format!("{GRAVE}{:032x}", fs.random()?);
    fs.rename(tree, &Place::root(STAGING).join(&grave))
}

/// The beginning of the names of what is to be removed.
const GRAVE: &str = "removed-";

fn parse_staged(name: &str) -> Option<(Component, Generation)> {
    let (component, generation) = name.split_once('@')?;
    let (epoch, seq) = generation.split_once('.')?;
    Some((component.parse().ok()?, Generation { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? }))
}

/// Removes what was taken away; somebody else may be at it too.
pub(super) fn clear(fs: &mut impl HostFs) -> io::Result<()> {
    for listed in present(fs.list(&Place::root(STAGING)))?.unwrap_or_default() {
        if let Some(name) = listed.name.to_str().filter(|name| name.starts_with(GRAVE)) {
            fs.remove_tree(&Place::root(STAGING).join(name))?;
        }
    }
    Ok(())
}

/// Makes the staged directories and links, and copies every file that the host holds anywhere.
fn assemble(fs: &mut impl HostFs, transfer: &mut Transfer) -> io::Result<()> {
    fs.make_dir(&transfer.staged)?;
    for directory in directories(&transfer.manifest) {
        fs.make_dir(&transfer.staged.join(directory.as_str()))?;
    }
    let mut wanted: BTreeMap<Digest, Vec<Spot>> = BTreeMap::new();
    for entry in transfer.manifest.entries() {
        match &entry.kind {
            EntryKind::Symlink { target } => fs.symlink(target, &transfer.staged.join(entry.path.as_str()))?,
            EntryKind::File { exec, size, digest } => {
                let spot = Spot { path: entry.path.clone(), exec: *exec, size: *size };
                wanted.entry(*digest).or_default().push(spot);
            }
        }
    }
    let sizes: BTreeMap<Digest, u64> = wanted.iter().map(|(digest, spots)| (*digest, spots[0].size)).collect();
    let sources = sources(fs, &transfer.want.component, &sizes)?;
    // In the order of the tree: a file system makes files of one directory, one after the other, for less.
    let mut wanted: Vec<_> = wanted.into_iter().collect();
    wanted.sort_by(|(_, a), (_, b)| a[0].path.cmp(&b[0].path));
    for (digest, spots) in wanted {
        if !fill(fs, transfer, &digest, &spots, sources.get(&digest))? {
            transfer.pending.insert(digest, spots);
        }
    }
    Ok(())
}

/// Puts a content at all its spots from a file that should have it; `false` when it has not, or there is none.
fn fill(
    fs: &mut impl HostFs,
    transfer: &mut Transfer,
    digest: &Digest,
    spots: &[Spot],
    source: Option<&Place>,
) -> io::Result<bool> {
    for spot in spots {
        let to = transfer.staged.join(spot.path.as_str());
        let written = match source {
            _ if spot.size == 0 => Some(fs.receive(&to, spot.exec, 0, &mut io::empty())?),
            Some(from) => copied(fs.copy(from, &to, spot.exec))?,
            None => None,
        };
        match written.filter(|written| written.digest == *digest) {
            Some(written) => _ = transfer.written.insert(spot.path.clone(), written),
            None => {
                fs.remove_file(&to)?;
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A source that vanished or shrank meanwhile is no source, and no reason to stop.
pub(super) fn copied(result: io::Result<Written>) -> io::Result<Option<Written>> {
    match present(result) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
        other => other,
    }
}

/// Where on this host a content may be found: below any version, marked or not, below configuration that was synced once,
/// where it is to go, and in what interrupted transfers left.
///
/// An index is only a hint here, since what is copied is hashed while it is copied. Where there is one, nothing beside its
/// files is looked at; elsewhere a file is hashed when its length is that of something wanted. What cannot be read is no
/// source, and no reason to stop.
fn sources(fs: &impl HostFs, own: &Component, wanted: &BTreeMap<Digest, u64>) -> io::Result<BTreeMap<Digest, Place>> {
    let mut found = BTreeMap::new();
    let by_digits = wanted.keys().map(|digest| (digest.to_string(), *digest)).collect();
    for listed in fs.list(&Place::root(""))? {
        let component: Option<Component> = listed.name.to_str().and_then(|name| name.parse().ok());
        let Some(component) = component.filter(|_| listed.stat.kind == Kind::Directory) else { continue };
        let top = state::component_place(&component);
        let bytes = state::load_bytes(fs, &state::index_place(&component), INDEX_BYTES_MAX)?.unwrap_or_default();
        // Anything may lie beside the versions in a deploy root, also millions of images.
        match Sealed::open(&bytes) {
            Some(index) => sources_by(fs, &top, &index, &by_digits, &mut found),
            None if component == *own || matches!(component, Component::Version(_)) => {
                sources_in(fs, &top, wanted, &mut found);
            }
            None => {}
        }
    }
    for listed in fs.list(&Place::root(STAGING))? {
        if let Some(name) = listed.name.to_str().filter(|name| name.starts_with(GRAVE)) {
            sources_in(fs, &Place::root(STAGING).join(name), wanted, &mut found);
        }
    }
    Ok(found)
}

/// Sources that an index names, read line by line as most of them are not wanted; one that was touched since is hashed.
fn sources_by(
    fs: &impl HostFs,
    top: &Place,
    index: &Sealed<'_>,
    wanted: &BTreeMap<String, Digest>,
    found: &mut BTreeMap<Digest, Place>,
) {
    let mut lacking = wanted.iter().filter(|(_, digest)| !found.contains_key(digest));
    if wanted.len() <= SOUGHT_MAX && !lacking.any(|(digits, _)| index.mentions(digits)) {
        return;
    }
    for line in index.lines().flatten() {
        let What::File { digest, size, .. } = line.what else { continue };
        let Some(digest) = wanted.get(digest).filter(|digest| !found.contains_key(digest)) else { continue };
        let at = top.join(line.path);
        let Ok(Some(stat)) = fs.lstat(&at) else { continue };
        let is_still_it =
            || stat.kind == Kind::File && stat.size == size && fs.hash(&at).is_ok_and(|(is, _)| is == *digest);
        if line.same_stat(&stat) || is_still_it() {
            found.insert(*digest, at);
        }
    }
}

/// Sources by their content, every file below `top`.
fn sources_in(fs: &impl HostFs, top: &Place, wanted: &BTreeMap<Digest, u64>, found: &mut BTreeMap<Digest, Place>) {
    let sizes: BTreeSet<u64> = wanted.values().copied().collect();
    let Ok(walk) = walk(fs, top) else { return };
    for (path, stat) in walk.files {
        if stat.kind != Kind::File || !sizes.contains(&stat.size) || found.len() == wanted.len() {
            continue;
        }
        let at = top.join(path.as_str());
        if let Some((digest, _)) = fs.hash(&at).ok().filter(|(digest, _)| wanted.contains_key(digest)) {
            found.entry(digest).or_insert(at);
        }
    }
}

/// Takes a file that came with others; `false` when its bytes are not those that were announced.
pub(super) fn put_if_right(
    fs: &mut impl HostFs,
    transfer: &mut Transfer,
    digest: Digest,
    from: &mut dyn Read,
) -> Result<bool, Stop> {
    match put(fs, transfer, digest, from) {
        Ok(()) => Ok(true),
        Err(Stop::Refused(Refusal::Failed(_))) => Ok(false),
        // Bytes that end early, or that no frame has.
        Err(Stop::Io(error)) if !is_of_the_disk(&error) => Ok(false),
        Err(stop) => Err(stop),
    }
}

/// Whether an error is one of this host's disk, and not of what was read from the wire.
fn is_of_the_disk(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}

/// Takes one needed file, which must have the digest and length that were asked for.
pub(super) fn put(
    fs: &mut impl HostFs,
    transfer: &mut Transfer,
    digest: Digest,
    from: &mut dyn Read,
) -> Result<(), Stop> {
    let spots = transfer.pending.get(&digest).cloned().unwrap_or_default();
    let Some((spot, others)) = spots.split_first() else {
        return Err(Refusal::Failed(format!("nobody waits for the content {}", digest.short())).into());
    };
    guard::still_admitted(fs, &transfer.stamp)?;
    let at = transfer.staged.join(spot.path.as_str());
    let written = fs.receive(&at, spot.exec, spot.size, from)?;
    if written.digest != digest {
        fs.remove_file(&at)?;
        return Err(Refusal::Failed(format!("`{}` arrived with other bytes than announced", spot.path)).into());
    }
    transfer.written.insert(spot.path.clone(), written);
    if !fill(fs, transfer, &digest, others, Some(&at))? {
        return Err(Refusal::Failed(format!("the content {} changed while it was copied", digest.short())).into());
    }
    transfer.pending.remove(&digest);
    Ok(())
}

/// The id of what a rule's build reads.
pub(super) fn input_id(manifest: &Manifest, rule: &ArtefactRule) -> Digest {
    manifest.subset(&rule.inputs).id()
}
