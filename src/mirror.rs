//! Mirrors: places where the controller puts content under its hash, so that hosts need not all fetch it from here.
//!
//! Invariants. A name is the BLAKE3 digest of the bytes behind it, so nothing is ever written twice and a mirror need not be
//! trusted: whoever reads hashes. Each request is bounded in time, in tries and in what is read of its answer. The keys of a
//! bucket stay in this process: hosts get URLs that open one object for a while. What is said of a mirror is its name in
//! groups.yaml and words of ours.
//!
//! Deliberately absent: removing objects. What no longer needs to be there is the business of the bucket's lifecycle.

pub mod keys;
mod web;

use crate::config::policy::{MirrorPolicy, MirrorSource};
use crate::gate::signature::harmless;
use crate::model::digest::Digest;
use crate::model::limits::{
    FAULT_CHARS_MAX, FETCH_CA_BYTES_MAX, MIRROR_BYTES_PER_MS_MIN, MIRROR_MS_MAX, MIRROR_OBJECT_BYTES_MAX,
    MIRROR_PARALLEL_MAX, MIRROR_RETRIES_MAX, MIRROR_URL_S,
};
use crate::wire::fetch::{Address, Parcel};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path as Name;
use object_store::signer::Signer;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// An object that lies here as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its content, whose name it has.
    pub digest: Digest,
    /// Its length, bytes.
    pub bytes: u64,
    /// Where it lies here.
    pub file: PathBuf,
}

/// A mirror, opened for one command.
#[derive(Debug)]
pub struct Mirror {
    store: Store,
    prefix: String,
    /// PEM certificates that hosts trust for it; `None`: their own.
    pub ca: Option<String>,
    /// Objects of which is known that they are there, or why not.
    known: Mutex<BTreeMap<Digest, Known>>,
    places: Semaphore,
}

/// Whether an object is there, once somebody has looked.
type Known = Arc<OnceCell<Result<(), String>>>;

#[derive(Debug)]
enum Store {
    S3(Box<AmazonS3>),
    Http { store: HttpStore, url: String },
}

impl Mirror {
    /// Opens a mirror; nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// Its keys or certificates can't be read, in words without anything of them.
    pub fn open(policy: &MirrorPolicy) -> Result<Self, String> {
        let ca = policy.ca.as_deref().map(certificates).transpose()?;
        let connector = web::Connector::new(ca.as_deref())?;
        let backoff = object_store::BackoffConfig { max_backoff: Duration::from_secs(1), ..Default::default() };
        let retry_timeout = Duration::from_millis(MIRROR_MS_MAX);
        let retry = RetryConfig { backoff, max_retries: MIRROR_RETRIES_MAX, retry_timeout };
        let options = ClientOptions::new().with_allow_http(true);
        let failed = |error: object_store::Error| words(&error);
        let (store, prefix) = match &policy.source {
            MirrorSource::S3 { bucket, prefix, region, endpoint, credentials } => {
                let builder = AmazonS3Builder::new().with_bucket_name(bucket).with_region(region);
                let builder = match endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint),
                    None => builder,
                };
                let builder = builder.with_credentials(Arc::new(keys::read(credentials.as_deref())?));
                let builder = builder.with_client_options(options).with_retry(retry).with_http_connector(connector);
                (Store::S3(Box::new(builder.build().map_err(failed)?)), prefix.clone())
            }
            MirrorSource::Http { url } => {
                let builder = HttpBuilder::new().with_url(url).with_client_options(options).with_retry(retry);
                let store = builder.with_http_connector(connector).build().map_err(failed)?;
                (Store::Http { store, url: url.clone() }, String::new())
            }
        };
        Ok(Self { store, prefix, ca, known: Mutex::default(), places: Semaphore::new(MIRROR_PARALLEL_MAX) })
    }

    /// Sees to it that an object is there, once for all who ask, and says how a host gets it; `None`: it is too large for a
    /// mirror, or the mirror doesn't have it and takes none.
    ///
    /// # Errors
    ///
    /// The mirror failed, in words of ours.
    pub async fn parcel(&self, object: &Object) -> Result<Option<Parcel>, String> {
        if object.bytes > MIRROR_OBJECT_BYTES_MAX {
            return Ok(None);
        }
        let cell =
            Arc::clone(self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(object.digest).or_default());
        let there = cell.get_or_init(|| async {
            let _place = self.places.acquire().await;
            let ms = MIRROR_MS_MAX.saturating_add(object.bytes / MIRROR_BYTES_PER_MS_MIN);
            let late = |_| Err("is too slow or hangs".to_owned());
            tokio::time::timeout(Duration::from_millis(ms), self.publish(object)).await.unwrap_or_else(late)
        });
        there.await.clone()?;
        Ok(Some(Parcel { address: self.address(object.digest).await?, digest: object.digest, bytes: object.bytes }))
    }

    /// Puts an object there unless it is there.
    async fn publish(&self, object: &Object) -> Result<(), String> {
        let name = self.name(object.digest);
        match self.store().head(&name).await {
            Ok(found) if found.size == object.bytes => return Ok(()),
            Ok(_) => return Err(format!("has {} with another length; remove it there", object.digest.short())),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(words(&error)),
        }
        let mut bytes = Vec::new();
        let read = File::open(&object.file).and_then(|file| file.take(object.bytes + 1).read_to_end(&mut bytes));
        read.map_err(|error| format!("can't be given {}: {error}", object.digest.short()))?;
        if Digest::of(&bytes) != object.digest {
            return Err(format!("is not given {}, which is damaged here", object.digest.short()));
        }
        // A web server knows no condition. Two that write one name write the same bytes.
        let mode = if matches!(self.store, Store::S3(_)) { PutMode::Create } else { PutMode::Overwrite };
        match self.store().put_opts(&name, PutPayload::from(bytes), mode.into()).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(words(&error)),
        }
    }

    /// Where a host gets an object.
    async fn address(&self, digest: Digest) -> Result<Address, String> {
        let name = self.name(digest);
        match &self.store {
            Store::Http { url, .. } => Ok(Address::new(format!("{url}/{name}"))),
            Store::S3(store) => {
                let signed = store.signed_url(reqwest::Method::GET, &name, Duration::from_secs(MIRROR_URL_S)).await;
                Ok(Address::new(signed.map_err(|error| words(&error))?))
            }
        }
    }

    fn store(&self) -> &dyn ObjectStore {
        match &self.store {
            Store::S3(store) => &**store,
            Store::Http { store, .. } => store,
        }
    }

    /// The first two digits are a directory of their own: file systems and listings stay small.
    fn name(&self, digest: Digest) -> Name {
        let text = digest.to_string();
        let below = [self.prefix.as_str(), "blake3", &text[..2], &text];
        Name::from(below.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/"))
    }
}

fn certificates(file: &Path) -> Result<String, String> {
    let failed = |why: &dyn std::fmt::Display| format!("has no certificates: {}: {why}", file.display());
    let mut pem = String::new();
    let read = File::open(file).and_then(|file| file.take(FETCH_CA_BYTES_MAX as u64 + 1).read_to_string(&mut pem));
    read.map_err(|error| failed(&error))?;
    match pem.len() > FETCH_CA_BYTES_MAX {
        true => Err(failed(&format!("it is larger than {FETCH_CA_BYTES_MAX} bytes"))),
        false => Ok(pem),
    }
}

/// An error of a mirror in few words: no URL, no body.
fn words(error: &object_store::Error) -> String {
    use object_store::Error;
    match error {
        Error::NotFound { .. } => "is not there (404)".to_owned(),
        Error::PermissionDenied { .. } => "refused (403)".to_owned(),
        Error::Unauthenticated { .. } => "does not know these keys (401)".to_owned(),
        Error::NotSupported { .. } | Error::NotImplemented { .. } => "does not take what is put there".to_owned(),
        error => {
            let mut last: &dyn std::error::Error = error;
            while let Some(source) = last.source() {
                last = source;
            }
            // An answer's status stands at the beginning; its body is somebody else's text, and so is a URL.
            let text = last.to_string();
            let text = text.split(" response body").next().unwrap_or_default();
            let plain: Vec<&str> =
                text.lines().next().unwrap_or_default().split(' ').filter(|w| !w.contains("://")).collect();
            harmless(&format!("failed: {}", plain.join(" ")), FAULT_CHARS_MAX)
        }
    }
}
