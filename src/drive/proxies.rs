//! Hosts that serve what they proved to the others of their datacenter, while these are prepared.
//!
//! Invariants: nobody waits longer than a moment for a proxy that is not being prepared, and nobody longer than a share of its
//! own time for one that is; whoever waits holds no turn of the fleet. A proxy serves over a session of its own, under a
//! token that is made for it, and stops when the run ends. What it serves proves itself by its digest, so it is believed
//! nothing.

use super::CLOSE;
use super::mirrors::{Mirrors, Proxy};
use crate::fleet::session::{self, Session};
use crate::fleet::{Fleet, Install};
use crate::model::component::{Component, Want};
use crate::model::digest::Digest;
use crate::model::limits::{PROXY_TURN_MS_MAX, PROXY_WAIT_SHARE};
use crate::model::names::HostName;
use crate::wire::fetch::Address;
use crate::wire::serve::{Refused, Serve};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a host waits for a proxy's prepare to begin.
const PROXY_TURN: Duration = Duration::from_millis(PROXY_TURN_MS_MAX);

/// The proxies of one run.
pub struct Proxies {
    fleet: Arc<Fleet>,
    mirrors: Arc<Mirrors>,
    /// Whether a proxy has proven a component that it is being brought; closed without: it failed.
    prepares: Mutex<Prepares>,
    /// Changes whenever one is added there.
    begun: watch::Sender<()>,
    /// Each for itself, so that one that hangs keeps no other from its turn.
    serving: Mutex<BTreeMap<usize, Slot>>,
}

type Prepares = BTreeMap<(usize, Component), watch::Receiver<bool>>;

type Slot = Arc<tokio::sync::Mutex<Option<Serving>>>;

/// A proxy that serves.
struct Serving {
    session: Session,
    token: String,
    served: BTreeSet<(Component, Digest)>,
}

/// A proxy's prepare, for which others wait; dropped without [`Waited::proven`] it has failed.
pub struct Waited(watch::Sender<bool>);

impl Waited {
    /// It proved the component.
    pub fn proven(self) {
        self.0.send_replace(true);
    }
}

impl Proxies {
    /// None serves yet.
    pub fn new(fleet: Arc<Fleet>, mirrors: Arc<Mirrors>) -> Self {
        Self { fleet, mirrors, prepares: Mutex::default(), begun: watch::Sender::new(()), serving: Mutex::default() }
    }

    /// Takes down that a component is being brought to a host, when that is a proxy.
    pub fn begin(&self, host: &HostName, component: &Component) -> Option<Waited> {
        let number = self.mirrors.is_proxy(host)?;
        let (sender, receiver) = watch::channel(false);
        self.prepares().insert((number, component.clone()), receiver);
        self.begun.send_replace(());
        Some(Waited(sender))
    }

    /// The number of the proxy that serves a component to a host, and where; `None`: the host does without. Waits for
    /// a share of `within` at most.
    pub async fn address(
        &self,
        datacenter: &str,
        host: &HostName,
        want: &Want,
        within: Duration,
    ) -> Option<(usize, Address)> {
        let (number, proxy) = self.mirrors.proxy(datacenter, host)?;
        let within = within / PROXY_WAIT_SHARE;
        let key = (number, want.component.clone());
        let serving = async {
            let prepare = match self.prepare(&key) {
                Some(prepare) => prepare,
                None => {
                    if let Some(token) = self.serve(number, proxy, want, within).await? {
                        return Ok(Some(token));
                    }
                    // Hosts are prepared as they answer, so a proxy's turn may come after ours.
                    let begins = tokio::time::timeout(PROXY_TURN, self.begins(&key)).await;
                    let Ok(prepare) = begins else { return Ok(None) };
                    prepare
                }
            };
            proven(prepare).await?;
            self.serve(number, proxy, want, within).await
        };
        let why = match tokio::time::timeout(within, serving).await {
            Ok(Ok(token)) => return Some((number, Address::new(format!("http://{}/{}", proxy.listen, token?)))),
            Ok(Err(why)) => why,
            Err(_) => "was not ready in time".to_owned(),
        };
        self.mirrors.leave(number, &why);
        None
    }

    fn prepares(&self) -> MutexGuard<'_, Prepares> {
        self.prepares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, key: &(usize, Component)) -> Option<watch::Receiver<bool>> {
        self.prepares().get(key).cloned()
    }

    /// Waits until a proxy's prepare begins.
    async fn begins(&self, key: &(usize, Component)) -> watch::Receiver<bool> {
        let mut begun = self.begun.subscribe();
        loop {
            if let Some(prepare) = self.prepare(key) {
                return prepare;
            }
            // The sender is ours, so this never fails.
            let _ = begun.changed().await;
        }
    }

    /// The token under which a proxy serves a component; `None`: it does not hold it.
    async fn serve(
        &self,
        number: usize,
        proxy: &Proxy,
        want: &Want,
        within: Duration,
    ) -> Result<Option<String>, String> {
        let slot = Arc::clone(self.serving.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_default());
        let mut slot = slot.lock().await;
        // Put back only when it answered: a session that failed once is not trusted again.
        let mut serving = match slot.take() {
            Some(serving) => serving,
            None => self.open(proxy).await?,
        };
        let what = (want.component.clone(), want.id);
        if !serving.served.contains(&what) {
            let (component, id) = what.clone();
            let order = Serve { listen: proxy.listen, token: serving.token.clone(), component, id };
            let served = serving.session.serve(&order, within).await.map_err(|fault| fault.to_string())?;
            match served.refused {
                None => _ = serving.served.insert(what),
                Some(Refused::Nothing) => {
                    *slot = Some(serving);
                    return Ok(None);
                }
                Some(refused) => return Err(refused.to_string()),
            }
        }
        let token = serving.token.clone();
        *slot = Some(serving);
        Ok(Some(token))
    }

    async fn open(&self, proxy: &Proxy) -> Result<Serving, String> {
        let token = session::nonce().map_err(|fault| fault.to_string())?;
        let session = self.fleet.session(&proxy.host, Install::IfMissing).await.map_err(|fault| fault.to_string())?;
        Ok(Serving { session, token, served: BTreeSet::new() })
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

/// Waits for a proxy that is being prepared.
async fn proven(mut prepare: watch::Receiver<bool>) -> Result<(), String> {
    let proven = prepare.wait_for(|proven| *proven).await;
    proven.map(drop).map_err(|_| "could not be prepared itself".to_owned())
}
