//! Hosts that serve their datacenter while it is prepared: files that they proved, and bundles that are sent to them once for
//! all.
//!
//! Invariants: what crosses to a datacenter crosses once for each of its proxies, however many hosts are there; a proxy gets what
//! is on its shelf from there as the others do. A session with a proxy stands beside the turns of the fleet, so that hosts that
//! have turns can wait for it; they wait for a share of their own time at most, and not for one that takes nothing. A proxy
//! serves under a token that is made for it, and stops when the run ends. What it serves proves itself by its digest, so it
//! is believed nothing.

use super::CLOSE;
use super::mirrors::{Mirrors, Proxy};
use crate::fleet::session::{self, Session};
use crate::fleet::{Fleet, Install};
use crate::mirror::Object;
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::limits::{PROXY_ANSWER_MS_MAX, PROXY_WAIT_SHARE, SHELF_IDLE_MS_MAX};
use crate::model::names::HostName;
use crate::wire::fetch::Address;
use crate::wire::serve::{Refused, Serve, Served, Shelve, Shelved};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long a proxy may take nothing of what is sent to it.
const IDLE: Duration = Duration::from_millis(SHELF_IDLE_MS_MAX);

/// How long a proxy may take to answer whether it holds a component.
const ANSWER: Duration = Duration::from_millis(PROXY_ANSWER_MS_MAX);

/// The proxies of one run.
pub struct Proxies {
    fleet: Arc<Fleet>,
    mirrors: Arc<Mirrors>,
    /// Each for itself, so that one that hangs keeps no other from its turn.
    serving: Mutex<BTreeMap<usize, Slot>>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Serving>>>;

/// A proxy that serves.
struct Serving {
    session: Session,
    token: String,
    /// What it was asked to serve, and whether it held that.
    asked: BTreeMap<(Component, Digest), bool>,
    /// Whether it can be sent something to serve.
    shelves: bool,
    /// What it was sent.
    shelved: BTreeSet<Digest>,
}

/// The proxy of one host, for one component.
#[derive(Clone)]
pub struct Near {
    proxies: Arc<Proxies>,
    proxy: Proxy,
    /// Its number among mirrors and proxies.
    pub number: usize,
    /// Where it serves.
    pub address: Address,
    /// Whether it serves every file of the component.
    pub whole: bool,
}

impl Near {
    /// Sees that these objects are on the proxy's shelf, for a share of `within` at most; `false`: they are not.
    pub async fn shelve(&self, objects: &[Object], within: Duration) -> bool {
        let shelving = self.proxies.shelve(self.number, &self.proxy, objects);
        let why = match timeout(within / PROXY_WAIT_SHARE, shelving).await {
            Ok(Ok(there)) => return there,
            Ok(Err(why)) => why,
            Err(_) => "took what it is to serve too slowly".to_owned(),
        };
        self.proxies.mirrors.leave(self.number, &why);
        false
    }
}

impl Proxies {
    /// None serves yet.
    pub fn new(fleet: Arc<Fleet>, mirrors: Arc<Mirrors>) -> Self {
        Self { fleet, mirrors, serving: Mutex::default() }
    }

    /// The proxy of a host, which serves by now; `None`: the host does without. Waits for a share of `within` at most.
    pub async fn near(
        self: &Arc<Self>,
        datacenter: &str,
        host: &HostName,
        want: &Want,
        within: Duration,
    ) -> Option<Near> {
        let (number, proxy) = self.mirrors.proxy(datacenter, host)?;
        let within = within / PROXY_WAIT_SHARE;
        let why = match timeout(within, self.serve(number, proxy, want)).await {
            Ok(Ok(serves)) => {
                let (token, whole) = serves?;
                let address = Address::new(format!("http://{}/{token}", proxy.listen));
                // What is wrong with its own files it can't get from itself.
                let whole = whole && proxy.host != *host;
                return Some(Near { proxies: Arc::clone(self), proxy: proxy.clone(), number, address, whole });
            }
            Ok(Err(why)) => why,
            Err(_) => "was not ready in time".to_owned(),
        };
        self.mirrors.leave(number, &why);
        None
    }

    fn slot(&self, number: usize) -> Slot {
        Arc::clone(self.serving.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_default())
    }

    /// Has a proxy serve a component, if it holds that: the token, and whether it does. `None`: it is of no use.
    async fn serve(&self, number: usize, proxy: &Proxy, want: &Want) -> Result<Option<(String, bool)>, String> {
        let slot = self.slot(number);
        let mut slot = slot.lock().await;
        // Somebody may have met meanwhile that it is of no use.
        if self.mirrors.is_left(number) {
            return Ok(None);
        }
        // Put back only when it answered: a session that failed once is not trusted again.
        let mut serving = match slot.take() {
            Some(serving) => serving,
            None => self.open(proxy).await?,
        };
        let what = (want.component.clone(), want.id);
        let whole = match serving.asked.get(&what) {
            Some(whole) => *whole,
            None => {
                let (component, id) = what.clone();
                let order = Serve { listen: proxy.listen, token: serving.token.clone(), component, id };
                let answer = serving.session.serve(&order, ANSWER).await.map_err(|fault| fault.to_string())?;
                let whole = serves(answer)?;
                serving.shelves = answer.shelves;
                serving.asked.insert(what, whole);
                whole
            }
        };
        let found = (whole || serving.shelves).then(|| (serving.token.clone(), whole));
        *slot = Some(serving);
        Ok(found)
    }

    /// Sends a proxy what it is not serving yet of these objects.
    async fn shelve(&self, number: usize, proxy: &Proxy, objects: &[Object]) -> Result<bool, String> {
        let slot = self.slot(number);
        let mut slot = slot.lock().await;
        let Some(mut serving) = slot.take() else { return Ok(false) };
        let new: Vec<&Object> = objects.iter().filter(|object| !serving.shelved.contains(&object.digest)).collect();
        if !serving.shelves || new.is_empty() {
            let there = serving.shelves;
            *slot = Some(serving);
            return Ok(there);
        }
        let item = |object: &&Object| Shelved { digest: object.digest, bytes: object.bytes };
        let (listen, token) = (proxy.listen, serving.token.clone());
        let order = Shelve { listen, token, objects: new.iter().map(item).collect() };
        let files: Vec<PathBuf> = new.iter().map(|object| object.file.clone()).collect();
        let moved = AtomicU64::new(0);
        let mut progress = |bytes| {
            moved.fetch_add(bytes, Ordering::Relaxed);
            self.mirrors.sent(bytes);
        };
        let sending = serving.session.shelve(&order, &files, &mut progress);
        let answer = while_it_moves(&moved, sending).await.ok_or("hangs")?.map_err(|fault| fault.to_string())?;
        let there = serves(answer)?;
        serving.shelved.extend(new.iter().map(|object| object.digest));
        *slot = Some(serving);
        Ok(there)
    }

    async fn open(&self, proxy: &Proxy) -> Result<Serving, String> {
        let token = session::nonce().map_err(|fault| fault.to_string())?;
        let session = self.fleet.session_beside(&proxy.host, Install::IfMissing).await;
        let session = session.map_err(|fault| fault.to_string())?;
        Ok(Serving { session, token, asked: BTreeMap::new(), shelves: false, shelved: BTreeSet::new() })
    }

    /// Ends what is served.
    pub async fn close(&self) {
        let all = std::mem::take(&mut *self.serving.lock().unwrap_or_else(PoisonError::into_inner));
        for slot in all.into_values() {
            // Whoever still asks it ends it by itself.
            if let Some(serving) = slot.try_lock().ok().and_then(|mut slot| slot.take()) {
                serving.session.close(CLOSE).await;
            }
        }
    }
}

/// Whether a proxy does what it was asked; an error: it can serve nothing.
fn serves(answer: Served) -> Result<bool, String> {
    match answer.refused {
        None => Ok(true),
        Some(Refused::Nothing) => Ok(false),
        Some(refused) => Err(refused.to_string()),
    }
}

/// Waits for `work` as long as `moved` grows; `None`: it stood still.
async fn while_it_moves<T>(moved: &AtomicU64, work: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(work);
    let mut seen = moved.load(Ordering::Relaxed);
    loop {
        if let Ok(done) = timeout(IDLE, &mut work).await {
            return Some(done);
        }
        let now = moved.load(Ordering::Relaxed);
        if now == std::mem::replace(&mut seen, now) {
            return None;
        }
    }
}
