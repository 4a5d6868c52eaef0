//! Serving what was proven here to hosts of the same datacenter, while a session lasts.
//!
//! Invariant: only a component that is marked ready, and of it only what came from the controller, not what was built here.

use super::hostfs::{HostFs, Place, Serving};
use super::look;
use super::state::{self, Ready};
use crate::model::component::Component;
use crate::model::digest::Digest;
use crate::tree::manifest::EntryKind;
use crate::wire::message;
use crate::wire::serve::{Refused, Serve};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// What a session serves.
#[derive(Default)]
pub struct Shelf {
    serving: Option<(SocketAddr, String, Box<dyn Serving>)>,
}

impl Shelf {
    /// Serves a component too.
    pub(super) fn serve(&mut self, fs: &impl HostFs, order: &Serve) -> Result<(), Refused> {
        if !message::is_nonce(&order.token) {
            return Err(Refused::Order);
        }
        let files = files(fs, &order.component, order.id).ok().flatten().ok_or(Refused::Nothing)?;
        if self.serving.is_none() {
            let serving = fs.serve(order.listen, &order.token)?;
            self.serving = Some((order.listen, order.token.clone(), serving));
        }
        match &mut self.serving {
            Some((listen, token, serving)) if (*listen, &*token) == (order.listen, &order.token) => serving.add(files),
            _ => return Err(Refused::Order),
        }
        Ok(())
    }
}

/// Where each content of a component lies; `None` when it is not ready with this id.
fn files(fs: &impl HostFs, component: &Component, id: Digest) -> io::Result<Option<BTreeMap<Digest, Place>>> {
    let ready = state::load::<Ready>(fs, &state::ready_place(component))?;
    let content = look::load_index(fs, component)?.and_then(|index| index.content());
    let Some((ready, content)) = ready.zip(content) else { return Ok(None) };
    if content.id() != ready.id || ready.id != id {
        return Ok(None);
    }
    let top = state::component_place(component);
    let file = |entry: &crate::tree::manifest::Entry| match entry.kind {
        EntryKind::File { digest, .. } => Some((digest, top.join(entry.path.as_str()))),
        EntryKind::Symlink { .. } => None,
    };
    Ok(Some(content.entries().iter().filter_map(file).collect()))
}
