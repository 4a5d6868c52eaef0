//! What a host may be sent while it is brought one component, out of the content store; and where it can fetch that.
//!
//! Invariant: the files of that component and nothing else, whatever a host asks for. Packing runs beside the
//! conversations, so that no host waits for another one's bundle.

use super::mirrors::Mirrors;
use super::proxies::Near;
use crate::fleet::exchange::{BundleFuture, ContentSource, Elsewhere, ElsewhereFuture};
use crate::mirror::Object;
use crate::model::digest::Digest;
use crate::model::limits::{FETCH_FILE_BYTES_MIN, FETCH_OBJECTS_MAX};
use crate::model::names::HostName;
use crate::model::protocol::Held;
use crate::tree::content::ContentStore;
use crate::tree::listing::Listing;
use crate::tree::packing::Bundle;
use crate::wire::fetch::{Fetch, Fetched, Frame, Parcel};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The share of a prepare's time that may go into publishing to one mirror.
const PUBLISHING_SHARE: u32 = 4;

/// What a bundle may have of the bytes that it brings, as a divisor, to be sent to a proxy that holds all of them itself.
const CROSSING_SHARE: u64 = 4;

/// One component's content, for one host.
pub struct Offered {
    content: Arc<ContentStore>,
    listing: Arc<Listing>,
    way: Way,
}

/// Where else than here the host gets something.
pub struct Way {
    /// The mirrors of the site.
    pub mirrors: Arc<Mirrors>,
    /// Those for the host, nearest first.
    pub near: Vec<usize>,
    /// The host.
    pub host: HostName,
    /// The proxy that serves the host; it is the first of `near`.
    pub proxy: Option<Near>,
    /// What all may take.
    pub within: Duration,
}

impl Offered {
    /// What `listing` names.
    pub fn new(content: Arc<ContentStore>, listing: Arc<Listing>, way: Way) -> Self {
        Self { content, listing, way }
    }

    async fn pack(&self, held: Vec<Held>, needs: Vec<Digest>) -> Option<Bundle> {
        let (content, manifest) = (Arc::clone(&self.content), Arc::clone(&self.listing.manifest));
        let made = tokio::task::spawn_blocking(move || content.bundle(&held, &needs, &manifest)).await;
        match made.expect("packing never panics and is not cancelled") {
            Ok(bundle) => bundle,
            Err(error) => {
                // Files by hash need no bundle, and say better what is wrong.
                tracing::warn!(%error, "no bundle can be made");
                None
            }
        }
    }

    /// What the proxy serves of what the host needs: the bundle that would be sent from here, once it is on its shelf, and
    /// each file that is left, where it holds the component itself. A host that lacks most gets it from there file by file
    /// then, since that costs our uplink nothing.
    async fn served(&self, near: &Near, held: Vec<Held>, needs: Vec<Digest>) -> Elsewhere {
        let all = near.whole.then(|| near.address.clone());
        let files = Elsewhere { fetch: Fetch { all: all.clone(), ..Fetch::default() }, bundle: None };
        let needed = needs.iter().filter_map(|digest| self.listing.files.get(digest)).sum::<u64>();
        let Some(bundle) = self.pack(held, needs).await.filter(|bundle| bundle.base.is_some() || !near.whole) else {
            return files;
        };
        let Ok(mut objects) = self.way.mirrors.frames(&bundle).await else { return files };
        let crosses = objects.iter().map(|object| object.bytes).sum::<u64>();
        if near.whole && crosses > needed / CROSSING_SHARE {
            return files;
        }
        objects.truncate(FETCH_OBJECTS_MAX - 1);
        if !near.shelve(&objects, self.way.within).await {
            return files;
        }
        let parcel = |object: &Object| {
            let address = near.address.below(&object.digest.to_string());
            Parcel { address, digest: object.digest, bytes: object.bytes }
        };
        let frame = |((group, _), object): (&(u32, _), &Object)| Frame { group: *group, parcel: parcel(object) };
        let frames: Vec<Frame> = bundle.frames.iter().zip(&objects).map(frame).collect();
        let whole = frames.len() == bundle.frames.len();
        let fetch = Fetch { base: bundle.base.clone(), frames, all, ..Fetch::default() };
        Elsewhere { fetch, bundle: Some(bundle).filter(|_| whole) }
    }

    /// What mirror `number` has of what the host needs, once it was put there.
    async fn published(&self, number: usize, held: Vec<Held>, needs: Vec<Digest>) -> Option<Elsewhere> {
        if let Some(near) = self.way.proxy.as_ref().filter(|near| near.number == number) {
            return Some(self.served(near, held, needs).await);
        }
        let ca = self.way.mirrors.open(number)?.ca.clone();
        let within = self.way.within / PUBLISHING_SHARE;
        let Some(bundle) = self.pack(held, needs.clone()).await else {
            let size =
                |digest: &Digest| self.listing.files.get(digest).copied().filter(|size| *size >= FETCH_FILE_BYTES_MIN);
            let object = |digest: Digest| {
                size(&digest).map(|bytes| Object { digest, bytes, file: self.content.file_path(digest) })
            };
            let objects: Vec<Object> = needs.into_iter().filter_map(object).take(FETCH_OBJECTS_MAX).collect();
            let found = self.way.mirrors.parcels(number, objects, within).await?;
            let files = found.into_iter().map(|(_, parcel)| parcel).collect();
            return Some(Elsewhere { fetch: Fetch { files, ca, ..Fetch::default() }, bundle: None });
        };
        let mut objects = self.way.mirrors.frames(&bundle).await.ok()?;
        objects.truncate(FETCH_OBJECTS_MAX);
        let found = self.way.mirrors.parcels(number, objects, within).await?;
        let frame = |(at, parcel): (usize, _)| Frame { group: bundle.frames[at].0, parcel };
        let frames: Vec<Frame> = found.into_iter().map(frame).collect();
        let whole = frames.len() == bundle.frames.len();
        let fetch = Fetch { base: bundle.base.clone(), frames, ca, ..Fetch::default() };
        Some(Elsewhere { fetch, bundle: Some(bundle).filter(|_| whole) })
    }
}

impl ContentSource for Offered {
    fn open(&self, digest: &Digest) -> io::Result<File> {
        match self.listing.files.contains_key(digest) {
            true => self.content.open_file(*digest),
            false => Err(io::Error::other("the host asks for content that is not in the component")),
        }
    }

    fn bundle<'a>(&'a self, held: &'a [Held], needs: &'a [Digest]) -> BundleFuture<'a> {
        Box::pin(self.pack(held.to_vec(), needs.to_vec()))
    }

    fn elsewhere<'a>(&'a self, held: &'a [Held], needs: &'a [Digest], turn: usize) -> ElsewhereFuture<'a> {
        Box::pin(async move {
            let number = *self.way.near.get(turn)?;
            let nothing = Elsewhere { fetch: Fetch::default(), bundle: None };
            Some(self.published(number, held.to_vec(), needs.to_vec()).await.unwrap_or(nothing))
        })
    }

    fn fetched(&self, turn: usize, fetched: &Fetched) {
        if let Some(number) = self.way.near.get(turn) {
            self.way.mirrors.fetched(*number, &self.way.host, fetched);
        }
    }

    fn distrust(&self, bundle: &Bundle) {
        self.way.mirrors.forget(bundle);
        self.content.forget(bundle);
    }
}
