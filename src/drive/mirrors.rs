//! The mirrors and proxies of one command: which is near to whom, what each brought, and which is left alone.
//!
//! Invariant: neither is ever needed. One that can't be opened, written or read is named once a reason, in a sentence, and
//! hosts get what they lack in another way; one that failed some hosts is not asked again by this command.

use crate::config::policy::{HostPolicy, MirrorPolicy};
use crate::mirror::{Mirror, Object};
use crate::model::digest::Digest;
use crate::model::limits::MIRROR_FAILURES_MAX;
use crate::model::names::HostName;
use crate::tree::packing::Bundle;
use crate::wire::fetch::{Failure, Fetched, Parcel};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};

/// The mirrors of a site, and its proxies.
#[derive(Debug, Default)]
pub struct Mirrors {
    places: Vec<Place>,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
enum Place {
    Mirror { policy: MirrorPolicy, opened: OnceLock<Result<Arc<Mirror>, String>> },
    Proxy(Proxy),
}

/// A host that serves its datacenter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Which.
    pub host: HostName,
    /// Where it listens.
    pub listen: SocketAddr,
    datacenter: String,
}

#[derive(Debug, Default)]
struct Notes {
    /// Bytes by place; `None`: from here.
    brought: BTreeMap<Option<usize>, u64>,
    /// Hosts that a place failed.
    failures: BTreeMap<usize, usize>,
    /// Sentences that nobody has heard yet, and all that were said.
    news: Vec<String>,
    said: BTreeSet<String>,
    /// Digests and lengths of frames, by their files.
    frames: BTreeMap<PathBuf, (Digest, u64)>,
}

impl Mirrors {
    /// Those of the policy; none is asked before something is to be fetched.
    pub fn new(policies: &[MirrorPolicy], hosts: &BTreeMap<HostName, HostPolicy>) -> Self {
        let mirror = |policy: &MirrorPolicy| Place::Mirror { policy: policy.clone(), opened: OnceLock::new() };
        let proxy = |(name, host): (&HostName, &HostPolicy)| {
            let datacenter = host.datacenter.clone();
            host.proxy.map(|listen| Place::Proxy(Proxy { host: name.clone(), listen, datacenter }))
        };
        let places = policies.iter().map(mirror).chain(hosts.iter().filter_map(proxy)).collect();
        Self { places, notes: Mutex::default() }
    }

    /// The proxy for a host of this datacenter: several share their hosts, and each is its own. `None`: there is none that is
    /// of use.
    pub fn proxy(&self, datacenter: &str, host: &HostName) -> Option<(usize, &Proxy)> {
        let of_use = |number: usize| match &self.places[number] {
            Place::Proxy(proxy) => {
                Some((number, proxy)).filter(|_| proxy.datacenter == datacenter && !self.is_left(number))
            }
            Place::Mirror { .. } => None,
        };
        let near: Vec<(usize, &Proxy)> = (0..self.places.len()).filter_map(of_use).collect();
        let own = self.places.iter().find(|place| matches!(place, Place::Proxy(proxy) if proxy.host == *host));
        if own.is_some() {
            return near.into_iter().find(|(_, proxy)| proxy.host == *host);
        }
        let share = Digest::of(host.as_str().as_bytes()).as_bytes()[0];
        near.get(usize::from(share) % near.len().max(1)).copied()
    }

    /// The numbers of those that hosts of a datacenter are sent to, nearest first.
    pub fn near(&self, datacenter: &str) -> Vec<usize> {
        let of = |near: bool| {
            let fits = move |place: &Place| match place {
                Place::Mirror { policy, .. } if near => policy.datacenters.contains(datacenter),
                Place::Mirror { policy, .. } => policy.datacenters.is_empty(),
                Place::Proxy(_) => false,
            };
            self.places.iter().enumerate().filter(move |(_, place)| fits(place)).map(|(number, _)| number)
        };
        of(true).chain(of(false)).collect()
    }

    /// A mirror, unless it can't be opened or has failed too often.
    pub fn open(&self, number: usize) -> Option<Arc<Mirror>> {
        let Place::Mirror { policy, opened } = self.places.get(number)? else { return None };
        if self.is_left(number) {
            return None;
        }
        match opened.get_or_init(|| Mirror::open(policy).map(Arc::new)) {
            Ok(mirror) => Some(Arc::clone(mirror)),
            Err(why) => {
                self.leave(number, why);
                None
            }
        }
    }

    /// Publishes objects where they are missing and says how hosts get them, in their order; those that are too large for a
    /// mirror are left out. `None`: the mirror is of no use.
    pub async fn parcels(&self, number: usize, objects: Vec<Object>, within: Duration) -> Option<Vec<(usize, Parcel)>> {
        let mirror = self.open(number)?;
        let mut asked: JoinSet<(usize, Result<Option<Parcel>, String>)> = JoinSet::new();
        for (at, object) in objects.into_iter().enumerate() {
            let mirror = Arc::clone(&mirror);
            asked.spawn(async move { (at, mirror.parcel(&object).await) });
        }
        let all = async {
            let mut found = Vec::new();
            while let Some(Ok((at, parcel))) = asked.join_next().await {
                found.extend(parcel?.map(|parcel| (at, parcel)));
            }
            Ok(found)
        };
        match tokio::time::timeout(within, all).await {
            Ok(Ok(mut found)) => {
                found.sort_by_key(|(at, _)| *at);
                Some(found)
            }
            Ok(Err(why)) => {
                let why: String = why;
                self.leave(number, &why);
                None
            }
            Err(_) => {
                self.say(number, "takes what is published too slowly for hosts to wait for it");
                None
            }
        }
    }

    /// The frames of a bundle as objects; each file is hashed once.
    pub async fn frames(self: &Arc<Self>, bundle: &Bundle) -> io::Result<Vec<Object>> {
        let (mirrors, frames) = (Arc::clone(self), bundle.frames.clone());
        let hashed = spawn_blocking(move || frames.into_iter().map(|(_, file)| mirrors.frame(file)).collect()).await;
        hashed.unwrap_or_else(|_| Err(io::Error::other("hashing was ended")))
    }

    fn frame(&self, file: PathBuf) -> io::Result<Object> {
        let known = self.notes().frames.get(&file).copied();
        let (digest, bytes) = match known {
            Some(known) => known,
            None => {
                let mut hasher = blake3::Hasher::new();
                let bytes = io::copy(&mut File::open(&file)?, &mut hasher)?;
                let found = (Digest::from_bytes(*hasher.finalize().as_bytes()), bytes);
                self.notes().frames.insert(file.clone(), found);
                found
            }
        };
        Ok(Object { digest, bytes, file })
    }

    /// Forgets what is known of a bundle's frames, since they will be made anew.
    pub fn forget(&self, bundle: &Bundle) {
        let mut notes = self.notes();
        bundle.frames.iter().for_each(|(_, file)| _ = notes.frames.remove(file));
    }

    /// Takes down how a host's fetch went.
    pub fn fetched(&self, number: usize, host: &HostName, fetched: &Fetched) {
        *self.notes().brought.entry(Some(number)).or_default() += fetched.bytes;
        if fetched.missing > 0 {
            self.say(number, "lacks what was put there; hosts get that in another way");
        }
        let Some(failure) = fetched.failure else { return };
        let failures = {
            let mut notes = self.notes();
            let failures = notes.failures.entry(number).or_default();
            *failures += 1;
            *failures
        };
        let what_to_do = match (failure, &self.places[number]) {
            (Failure::Lies, Place::Proxy(_)) => "; its disk changed since its proof: check that host",
            (Failure::Lies, Place::Mirror { .. }) => "; remove its objects, they are put there anew",
            _ => "",
        };
        // One sentence a reason, by the first host that met it.
        if self.notes().said.insert(format!("{number} {failure}")) {
            self.tell(
                number,
                &format!("{failure}, as {host} found; hosts get what they lack in another way{what_to_do}"),
            );
        }
        if failures == MIRROR_FAILURES_MAX {
            self.say(number, &format!("failed {MIRROR_FAILURES_MAX} hosts and is left alone by this command"));
        }
    }

    /// Takes down bytes that went to a host from here.
    pub fn sent(&self, bytes: u64) {
        *self.notes().brought.entry(None).or_default() += bytes;
    }

    /// Sentences about mirrors since the last time.
    pub fn news(&self) -> Vec<String> {
        std::mem::take(&mut self.notes().news)
    }

    /// Bytes by where they came from, since the last time; empty where there is no mirror.
    pub fn brought(&self) -> BTreeMap<String, u64> {
        let brought = std::mem::take(&mut self.notes().brought);
        let name = |number: Option<usize>| match number {
            Some(number) => self.places[number].name(),
            None => "here".to_owned(),
        };
        match self.places.is_empty() {
            true => BTreeMap::new(),
            false => brought.into_iter().map(|(number, bytes)| (name(number), bytes)).collect(),
        }
    }

    /// Whether a mirror or a proxy is left alone.
    pub fn is_left(&self, number: usize) -> bool {
        self.notes().failures.get(&number).is_some_and(|failures| *failures >= MIRROR_FAILURES_MAX)
    }

    /// Says why a mirror or a proxy is of no use to this command.
    pub fn leave(&self, number: usize, why: &str) {
        self.notes().failures.insert(number, MIRROR_FAILURES_MAX);
        self.say(number, &format!("{why}; hosts get what they lack in another way"));
    }

    fn say(&self, number: usize, what: &str) {
        if self.notes().said.insert(format!("{number} {what}")) {
            self.tell(number, what);
        }
    }

    fn tell(&self, number: usize, what: &str) {
        let place = &self.places[number];
        let sentence = match place {
            Place::Mirror { .. } => format!("the mirror {} {what}", place.name()),
            Place::Proxy(_) => format!("the proxy {} {what}", place.name()),
        };
        self.notes().news.push(sentence);
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Mirror { policy, .. } => policy.name.clone(),
            Self::Proxy(proxy) => proxy.host.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::MirrorSource;

    fn mirrors() -> Mirrors {
        let mirror = |name: &str, datacenters: &[&str]| MirrorPolicy {
            name: name.to_owned(),
            source: MirrorSource::Http { url: name.to_owned() },
            datacenters: datacenters.iter().map(|d| (*d).to_owned()).collect(),
            ca: None,
        };
        Mirrors::new(
            &[mirror("http://all", &[]), mirror("http://codfw", &["codfw"]), mirror("http://eqiad", &["eqiad"])],
            &BTreeMap::new(),
        )
    }

    #[test]
    fn the_nearest_comes_first_and_those_of_other_datacenters_never() {
        assert_eq!(mirrors().near("codfw"), [1, 0]);
        assert_eq!(mirrors().near("eqiad"), [2, 0]);
        assert_eq!(mirrors().near("ulsfo"), [0]);
    }

    #[test]
    fn a_mirror_is_named_once_a_reason_and_left_alone_after_some_hosts() {
        let mirrors = mirrors();
        let host = |n: usize| format!("mw{n}.example").parse().expect("a host");
        let lies = Fetched { bytes: 10, missing: 0, failure: Some(Failure::Lies) };
        for n in 0..MIRROR_FAILURES_MAX {
            assert!(mirrors.open(1).is_some(), "after {n}");
            mirrors.fetched(1, &host(n), &lies);
        }
        assert!(mirrors.open(1).is_none() && mirrors.open(0).is_some());
        let news = mirrors.news();
        assert_eq!(news.len(), 2, "{news:?}");
        assert!(
            news[0]
                .starts_with("the mirror http://codfw served other bytes than their name says, as mw0.example found")
        );
        assert!(mirrors.news().is_empty());
        mirrors.sent(5);
        let brought = BTreeMap::from([("here".to_owned(), 5), ("http://codfw".to_owned(), 30)]);
        assert_eq!(mirrors.brought(), brought);
    }
}
