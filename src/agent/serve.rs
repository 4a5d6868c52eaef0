//! Serving to hosts of the same datacenter, while a session lasts: what was proven here, and what the controller sends for
//! them alone, which are frames of bundles.
//!
//! Invariants. Of components only those that are marked ready, and of them only what came from the controller, not what was
//! built here. What comes for the shelf is hashed while it is written and served under its own digest only; the shelf is bounded in
//! bytes and objects, and leaves the host most of its disk.

use super::hostfs::{HostFs, Place, Serving};
use super::look;
use super::state::{self, Ready};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::model::limits::{SHELF_BYTES_MAX, SHELF_FREE_SHARE, SHELF_OBJECTS_MAX};
use crate::tree::manifest::EntryKind;
use crate::wire::frame::WireError;
use crate::wire::message;
use crate::wire::serve::{Refused, Serve, Shelve};
use crate::wire::sync_io::BlobReader;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::SocketAddr;

/// What a session serves.
#[derive(Default)]
pub struct Shelf {
    serving: Option<(SocketAddr, String, Box<dyn Serving>)>,
    /// What was to be put on it so far, and in how many objects.
    bytes: u64,
    objects: usize,
}

impl Shelf {
    /// Serves a component too.
    pub(super) fn serve(&mut self, fs: &impl HostFs, order: &Serve) -> Result<(), Refused> {
        if !message::is_nonce(&order.token) {
            return Err(Refused::Order);
        }
        let files = files(fs, &order.component, order.id).ok().flatten().ok_or(Refused::Nothing)?;
        self.at(fs, order.listen, &order.token)?.add(files);
        Ok(())
    }

    /// Takes the blobs that follow the order, and serves them too. Each is read to its end, also where nothing can be kept.
    pub(super) fn shelve(
        &mut self,
        fs: &impl HostFs,
        order: &Shelve,
        from: &mut impl Read,
    ) -> Result<Result<(), Refused>, WireError> {
        let mut kept = self.room(fs, order).and_then(|()| self.at(fs, order.listen, &order.token));
        for object in &order.objects {
            let mut blob = BlobReader::new(from, object.bytes);
            if let Ok(serving) = &mut kept {
                match serving.shelve(object.digest, object.bytes, &mut blob) {
                    Ok(true) => {}
                    Ok(false) => kept = Err(Refused::Spoilt),
                    Err(error) => kept = Err(refused(&error)),
                }
            }
            blob.skip_rest()?;
        }
        Ok(kept.map(drop))
    }

    /// Counts what an order brings, if there is room for it.
    fn room(&mut self, fs: &impl HostFs, order: &Shelve) -> Result<(), Refused> {
        if !message::is_nonce(&order.token) {
            return Err(Refused::Order);
        }
        let more = order.objects.iter().fold(0, |sum: u64, object| sum.saturating_add(object.bytes));
        let bytes = self.bytes.saturating_add(more);
        let objects = self.objects.saturating_add(order.objects.len());
        let free = fs.space().map_err(|_| Refused::System)?.bytes_free;
        if bytes > SHELF_BYTES_MAX || objects > SHELF_OBJECTS_MAX || more > free / SHELF_FREE_SHARE {
            return Err(Refused::Full);
        }
        (self.bytes, self.objects) = (bytes, objects);
        Ok(())
    }

    /// The server of this session, which is one.
    fn at(&mut self, fs: &impl HostFs, listen: SocketAddr, token: &str) -> Result<&mut dyn Serving, Refused> {
        if self.serving.is_none() {
            self.serving = Some((listen, token.to_owned(), fs.serve(listen, token)?));
        }
        match &mut self.serving {
            Some((its, known, serving)) if (*its, &**known) == (listen, token) => Ok(&mut **serving),
            _ => Err(Refused::Order),
        }
    }
}

/// Why something could not be put on the shelf.
pub(super) fn refused(error: &io::Error) -> Refused {
    match error.kind() {
        io::ErrorKind::InvalidData => Refused::Spoilt,
        io::ErrorKind::StorageFull => Refused::Full,
        _ => Refused::System,
    }
}

/// Where each content of a component lies; `None` when it is not ready with this id.
fn files(fs: &impl HostFs, component: &Component, id: Digest) -> io::Result<Option<BTreeMap<Digest, Place>>> {
    // The marker first: it is small, and says most often that there is nothing.
    if state::load::<Ready>(fs, &state::ready_place(component))?.is_none_or(|ready| ready.id != id) {
        return Ok(None);
    }
    let content = look::load_index(fs, component)?.and_then(|index| index.content());
    let Some(content) = content.filter(|content| content.id() == id) else { return Ok(None) };
    let top = state::component_place(component);
    let file = |entry: &crate::tree::manifest::Entry| match entry.kind {
        EntryKind::File { digest, .. } => Some((digest, top.join(entry.path.as_str()))),
        EntryKind::Symlink { .. } => None,
    };
    Ok(Some(content.entries().iter().filter_map(file).collect()))
}
