//! Files out of a bundle's frames, for a transfer that has begun.
//!
//! Invariant: a bundle is believed no more than single files are: each is hashed while it is written and stands only
//! under its own digest. What the frames stand on is read from this host's disk and hashed before it is used. A bundle
//! that does not fit brings less than it should, which is no reason to stop: the rest is asked for otherwise.

use super::guard::Stop;
use super::hostfs::HostFs;
use super::look;
use super::prepare::{self, Transfer};
use super::state::{self, Ready};
use crate::model::digest::Digest;
use crate::model::limits::BUNDLE_FRAME_BYTES_MAX;
use crate::model::protocol::Held;
use crate::tree::bundle::{self, Group};
use crate::tree::manifest::Manifest;
use std::io::{self, BufReader, Read};

/// The groups of a bundle, as this host makes them for itself.
#[derive(Debug)]
pub struct Bundle {
    base: Option<Held>,
    groups: Vec<Group>,
}

/// What frames are to bring; `None` when the host does not hold what they stand on.
pub(super) fn open(fs: &impl HostFs, base: Option<&Held>, target: &Manifest) -> io::Result<Option<Bundle>> {
    let from = match base {
        None => None,
        Some(held) => match content(fs, held)? {
            None => return Ok(None),
            found => found,
        },
    };
    Ok(Some(Bundle { base: base.cloned(), groups: bundle::groups(from.as_ref(), target) }))
}

/// The manifest of a component that is here, by its index.
fn content(fs: &impl HostFs, held: &Held) -> io::Result<Option<Manifest>> {
    let ready = state::load::<Ready>(fs, &state::ready_place(&held.component))?;
    if ready.is_none_or(|ready| ready.id != held.id) {
        return Ok(None);
    }
    let content = look::load_index(fs, &held.component)?.and_then(|index| index.content());
    Ok(content.filter(|content| content.id() == held.id))
}

/// Takes the files of one group out of its frame, but those that nobody waits for. What is wrong with the frame ends it
/// early and is not told; only what stops the whole transfer is an error.
pub(super) fn unpack(
    fs: &mut impl HostFs,
    transfer: &mut Transfer,
    bundle: &Bundle,
    number: u32,
    from: &mut dyn Read,
) -> Result<(), Stop> {
    let group = usize::try_from(number).ok().and_then(|number| bundle.groups.get(number));
    let Some((group, prefix)) = group.zip(group.and_then(|group| prefix(fs, bundle, group))) else { return Ok(()) };
    let Ok(mut files) = bundle::decompress(BufReader::new(from), &prefix) else { return Ok(()) };
    for piece in &group.pieces {
        let mut file = (&mut files).take(piece.size);
        if transfer.size_of(&piece.digest) == Some(piece.size)
            && !prepare::put_if_right(fs, transfer, piece.digest, &mut file)?
        {
            return Ok(());
        }
        // What is left of a file that nobody waits for.
        if io::copy(&mut file, &mut io::sink()).is_err() || file.limit() > 0 {
            return Ok(());
        }
    }
    // The end of the frame, where its checksum is.
    let _ = io::copy(&mut files.take(1), &mut io::sink());
    Ok(())
}

/// The old files that a group stands on; `None` when one is not as it was.
fn prefix(fs: &impl HostFs, bundle: &Bundle, group: &Group) -> Option<Vec<u8>> {
    let mut prefix = Vec::new();
    let Some(base) = &bundle.base else { return Some(prefix) };
    if group.prefix_bytes > BUNDLE_FRAME_BYTES_MAX {
        return None;
    }
    let top = state::component_place(&base.component);
    for old in group.pieces.iter().filter_map(|piece| piece.old.as_ref()) {
        let bytes = fs.read(&top.join(old.path.as_str()), usize::try_from(old.size).ok()?).ok()?;
        if Digest::of(&bytes) != old.digest {
            return None;
        }
        prefix.extend_from_slice(&bytes);
    }
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::memfs::MemFs;

    #[test]
    fn a_group_that_stands_on_more_than_a_frame_may_have_is_left_out() {
        let held = Held { component: "php-1.27.0-wmf.10".parse().expect("a component"), id: Digest::of(b"") };
        let bundle = Bundle { base: Some(held), groups: Vec::new() };
        let of = |prefix_bytes: u64| prefix(&MemFs::new(1), &bundle, &Group { prefix_bytes, ..Group::default() });
        assert_eq!(of(BUNDLE_FRAME_BYTES_MAX), Some(Vec::new()));
        assert_eq!((of(BUNDLE_FRAME_BYTES_MAX + 1), of(BUNDLE_FRAME_BYTES_MAX + 9)), (None, None));
    }
}
