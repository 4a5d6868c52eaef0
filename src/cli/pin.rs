//! `pin` and `unpin`: a wiki or a host held on a version of its own.

use super::acting::{self, Acting};
use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::config::fields::parse_duration;
use crate::config::policy::Policy;
use crate::drive::act::Order;
use crate::drive::clock;
use crate::drive::deploy::who;
use crate::model::books::{Pin as Held, PinSource};
use crate::model::names::{HostName, Version};
use crate::model::time::Time;
use crate::plan::forward::{self, Subject};
use clap::Args;
use std::collections::BTreeSet;

/// Hold a wiki (everywhere) or a host (for all its wikis) on a version
///
/// Promotions step around it and say so; a rollback keeps it. A host's pin beats a wiki's. When it expires it changes
/// nothing by itself: it blocks the next promotion until it is renewed or removed.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman pin mw1017.eqiad.wmnet 1.27.0-wmf.11 --reason 'debug the session loss' --until 14d"
)]
pub struct Pin {
    /// A host or a wiki
    subject: String,
    /// The version to hold it on
    version: Version,
    /// Why
    #[arg(long)]
    reason: String,
    /// Until when: 2016-02-01, 2016-02-01T12:00:00Z, or 14d from now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Time>,
    #[command(flatten)]
    pub(super) acting: Acting,
}

/// Let a pinned wiki or host go: it runs again what its group runs
#[derive(Args)]
#[command(after_help = "Example:\n  pointsman unpin mw1017.eqiad.wmnet --reason 'found it'")]
pub struct Unpin {
    /// A host or a wiki
    subject: String,
    /// Why
    #[arg(long, default_value = "no longer needed")]
    reason: String,
    #[command(flatten)]
    pub(super) acting: Acting,
}

impl Pin {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let subject = subject(&seat.policy()?, &self.subject)?;
        let goal = |site: crate::plan::goal::Site<'_>| {
            let pin = Held {
                version: self.version.clone(),
                reason: self.reason.clone(),
                owner: who().to_owned(),
                since: clock::now(),
                until: self.until,
                source: PinSource::Books,
            };
            forward::pin(site, &subject, pin)
        };
        let order = Order { only: only(&subject), ..Order::new(format!("pin {}", self.subject), &goal) };
        acting::run(seat, &self.acting, order)
    }
}

impl Unpin {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let subject = subject(&seat.policy()?, &self.subject)?;
        let goal = |site: crate::plan::goal::Site<'_>| forward::unpin(site, &subject, &self.reason);
        let order = Order { only: only(&subject), ..Order::new(format!("unpin {}", self.subject), &goal) };
        acting::run(seat, &self.acting, order)
    }
}

/// A host's pin concerns that host only: what others lack must not keep anybody from debugging there.
fn only(subject: &Subject) -> Option<BTreeSet<HostName>> {
    match subject {
        Subject::Host(host) => Some(BTreeSet::from([host.clone()])),
        Subject::Wiki(_) => None,
    }
}

/// A host when groups.yaml has it, else a wiki, else an error that says what is near.
fn subject(policy: &Policy, text: &str) -> anyhow::Result<Subject> {
    if let Some(host) = text.parse().ok().filter(|host| policy.hosts.contains_key(host)) {
        return Ok(Subject::Host(host));
    }
    let known = |wiki: &crate::model::names::Wiki| policy.groups.iter().any(|group| group.wikis.contains(wiki));
    if let Some(wiki) = text.parse().ok().filter(known) {
        return Ok(Subject::Wiki(wiki));
    }
    let hosts = policy.hosts.keys().map(|host| host.as_str());
    let wikis = policy.groups.iter().flat_map(|group| &group.wikis).map(|wiki| wiki.as_str());
    let near = crate::model::words::nearest(text, hosts.chain(wikis));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(Usage(format!("groups.yaml has neither a host nor a wiki `{}`{near}", text.escape_debug())).into())
}

fn parse_time(text: &str) -> Result<Time, String> {
    let from_now = parse_duration(text).map(|ms| Time(clock::now().0.saturating_add(ms)));
    let words = || "not a time: write 2016-02-01, 2016-02-01T12:00:00Z (UTC), or 14d from now".to_owned();
    let until = from_now.or_else(|| Time::parse(text)).ok_or_else(words)?;
    match until <= clock::now() {
        true => Err(format!("{} is past: write a later time, or 14d from now", until.moment())),
        false => Ok(until),
    }
}
