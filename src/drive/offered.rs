//! What a host may be sent while it is brought one component, out of the content store.
//!
//! Invariant: the files of that component and nothing else, whatever a host asks for. Packing runs beside the
//! conversations, so that no host waits for another one's bundle.

use crate::fleet::exchange::{BundleFuture, ContentSource};
use crate::model::digest::Digest;
use crate::model::protocol::Held;
use crate::tree::content::ContentStore;
use crate::tree::manifest::{EntryKind, Manifest};
use crate::tree::packing::Bundle;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// One component's content.
pub struct Offered {
    content: Arc<ContentStore>,
    manifest: Arc<Manifest>,
    digests: BTreeSet<Digest>,
}

impl Offered {
    /// What `manifest` names.
    pub fn new(content: Arc<ContentStore>, manifest: Manifest) -> Self {
        let digest = |kind: &EntryKind| match kind {
            EntryKind::File { digest, .. } => Some(*digest),
            EntryKind::Symlink { .. } => None,
        };
        let digests = manifest.entries().iter().filter_map(|entry| digest(&entry.kind)).collect();
        Self { content, manifest: Arc::new(manifest), digests }
    }

    /// Which.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl ContentSource for Offered {
    fn open(&self, digest: &Digest) -> io::Result<File> {
        match self.digests.contains(digest) {
            true => self.content.open_file(*digest),
            false => Err(io::Error::other("the host asks for content that is not in the component")),
        }
    }

    fn bundle<'a>(&'a self, held: &'a [Held], needs: &'a [Digest]) -> BundleFuture<'a> {
        let (content, manifest) = (Arc::clone(&self.content), Arc::clone(&self.manifest));
        let (held, needs) = (held.to_vec(), needs.to_vec());
        Box::pin(async move {
            let made = tokio::task::spawn_blocking(move || content.bundle(&held, &needs, &manifest)).await;
            match made.expect("packing never panics and is not cancelled") {
                Ok(bundle) => bundle,
                Err(error) => {
                    // Files by hash need no bundle, and say better what is wrong.
                    tracing::warn!(%error, "no bundle can be made");
                    None
                }
            }
        })
    }

    fn distrust(&self, bundle: &Bundle) {
        self.content.forget(bundle);
    }
}
