//! `promote`: groups go forward.

use super::acting::{self, Acting};
use super::exit::Exit;
use super::seat::Seat;
use super::staged::Staged;
use super::usage::{Usage, duration};
use super::wishes::Wishes;
use super::words::Words;
use crate::drive::act::Order;
use crate::model::names::{GateName, Group, Version};
use crate::model::right::Right;
use crate::plan::forward;
use clap::Args;
use std::collections::BTreeSet;
use std::str::FromStr;

/// Promote a group of wikis to a version
///
/// Every host proves the target version and the version one would go back to, complete with what it builds itself,
/// before any host is switched. One stale host and nothing is switched (code 7). Debug hosts go first, then canaries,
/// then the rest; pinned wikis and hosts are stepped around and named.
///
/// After each wave the gates of groups.yaml are asked, and again while the promotion is watched. When the release is
/// to blame, everything is taken back (code 3); when single hosts are, these are repaired or taken out of service;
/// when nobody can tell, it pauses for a person (code 4).
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman promote group1 1.27.0-wmf.11 -m 'train of the week, T119517'\n  pointsman promote group1 1.27.0-wmf.11 -m 'train' --again --reason 'T124224 is fixed'"
)]
pub struct Promote {
    /// The group, as groups.yaml names it
    pub(super) group: Group,
    /// The version, like 1.27.0-wmf.11
    version: Version,
    /// Why, for the log line
    #[arg(short, long, value_name = "MSG")]
    message: String,
    /// Promote a version that was rolled back before; needs --reason
    #[arg(long, requires = "reason")]
    again: bool,
    /// Why a version that was rolled back may go forward again
    #[arg(long, requires = "again")]
    reason: Option<String>,
    /// How long gates are asked after each wave and after the last one, as `30s` or `10m` [default: groups.yaml, soak]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    soak: Option<u64>,
    /// How long it is watched after the last wave [default: groups.yaml, soak: watch, else 30m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    watch: Option<u64>,
    /// End with the last wave and leave the watch to `pointsman watch`
    #[arg(long, conflicts_with = "watch")]
    detach: bool,
    /// Go on whatever this gate says; the reason is written down
    #[arg(long = "override", value_name = "GATE=REASON", value_parser = named::<GateName>)]
    overruled: Vec<(GateName, String)>,
    /// Go on although this blocker is open; the reason is written down
    #[arg(long = "accept", value_name = "BLOCKER=REASON", value_parser = named::<String>)]
    accepted: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) acting: Acting,
}

/// `NAME=REASON`, the reason not empty.
fn named<T: FromStr<Err: ToString>>(text: &str) -> Result<(T, String), String> {
    let (name, reason) = text.split_once('=').ok_or("it is a name, `=` and the reason")?;
    match reason.trim().is_empty() {
        true => Err("say why, after the `=`".to_owned()),
        false => Ok((name.parse().map_err(|e: T::Err| e.to_string())?, reason.trim().to_owned())),
    }
}

impl Promote {
    /// The rights to what it sets aside.
    pub(super) fn beside(&self) -> BTreeSet<Right> {
        let overrides = !self.overruled.is_empty() || !self.accepted.is_empty();
        let force = self.again.then_some(Right::Force);
        force.into_iter().chain(overrides.then_some(Right::Override)).collect()
    }

    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        if self.reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            return Err(Usage("--reason is empty: say why the version may go forward again".to_owned()).into());
        }
        let again = self.reason.as_deref();
        let goal = |site: crate::plan::goal::Site<'_>| {
            let accepted = forward::no_blocker(site, &self.accepted)?;
            let why = format!("{}{accepted}", self.message);
            forward::promote(site, &self.group, &self.version, &why, again)
        };
        let overruled = self.overruled.iter().cloned().collect();
        let reason = format!("promote {} {}", self.group, self.version);
        let wishes = Wishes { soak_ms: self.soak, watch_ms: self.watch, detach: self.detach, ..Wishes::default() };
        let mut beside = self.beside();
        if self.soak.is_some() && wishes.hurry(&seat.policy()?) {
            beside.insert(Right::Override);
        }
        let order = Order { overruled, beside, ..Order::new(reason, &goal) };
        acting::run_with(seat, &self.acting, order, &wishes, &Staged::nothing())
    }

    /// The command as words.
    pub fn words(&self) -> Vec<String> {
        let Self { group, version, message, again, reason, soak, watch, detach, overruled, accepted, acting: _ } = self;
        let ms = |ms: &Option<u64>| ms.map(|ms| format!("{ms}ms"));
        let words = Words::new("promote").plain(Some(group)).plain(Some(version));
        let words = words.options("message", Some(message)).flag("again", *again).options("reason", reason);
        let words = words.options("soak", ms(soak)).options("watch", ms(watch)).flag("detach", *detach);
        let words = words.options("override", overruled.iter().map(|(gate, why)| format!("{gate}={why}")));
        words.options("accept", accepted.iter().map(|(id, why)| format!("{id}={why}"))).last(None::<String>)
    }
}
