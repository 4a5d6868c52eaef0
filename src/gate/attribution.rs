//! Is it this host, or the release? The formulae are those of the attribution section of the gates' specification in docs/gates.md.
//!
//! Invariant: nothing is blamed on the release while the hosts without their worst are no worse than the control, and
//! nothing is done to a host by itself that has no second witness against it.

mod words;

use super::scope::Scope;
use super::spec::OnFail;
use super::stat::beta::Point;
use super::stat::counts::{Arms, at_least};
use crate::model::names::{HostName, Wiki};
use crate::model::verdict::{Count, HostCounts};
use std::collections::BTreeMap;
pub use words::with_witness;

/// What is less likely than this is not chance.
const ALPHA: f64 = 0.01;
/// The share of hosts that may be dropped as suspects.
const DROPPED_SHARE_MAX: f64 = 0.05;
/// The share of events that may be left without the suspects when there is no control.
const LEFT_SHARE_MAX: f64 = 0.05;
/// What a check that does not depend on chance counts as, events among as much exposure: a host that fails it once would
/// fail it again, so that two canary hosts that both fail stand out of ten others that do not.
pub const SURE: u64 = 10;

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// There are no events.
    Clean,
    /// Both sides alike: not the release.
    Ambient,
    /// Single hosts: repair or depool them, do not revert.
    Host,
    /// The release: revert.
    Release,
    /// Neither can be told apart: pause.
    Mixed,
    /// Everything was switched and nothing is left to compare with.
    NoControl,
}

/// Who is to blame, with the numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// Who.
    pub blame: Blame,
    /// The hosts that are to blame, the worst first; empty unless `blame` is `Host`.
    pub suspects: Vec<HostName>,
    /// The worst hosts by rate that were left out for `p_left`, the worst first.
    pub dropped: Vec<HostName>,
    /// Rolled hosts.
    pub hosts: usize,
    /// Events on rolled hosts.
    pub events: u64,
    /// Events on rolled hosts that were not dropped.
    pub left: u64,
    /// Hosts with events, as a share.
    pub breadth: f64,
    /// The share that chance would give.
    pub breadth_expected: f64,
    /// The worst host by rate.
    pub top: Option<HostName>,
    /// How likely that host's events are by chance (Bonferroni).
    pub p_top: f64,
    /// All rolled against the others; `None` without control.
    pub p_all: Option<f64>,
    /// The same without the dropped hosts; `None` without control.
    pub p_left: Option<f64>,
    /// In plain words.
    pub sentence: String,
}

/// Attributes events; `wikis` are the same events by wiki, and the scope has their groups, to say whether it is one or all.
pub fn attribute(
    rolled: &HostCounts,
    control: &HostCounts,
    wikis: &BTreeMap<Wiki, Count>,
    scope: &Scope,
) -> Attribution {
    let fleet = Fleet::new(rolled);
    let others = sum(control.values());
    let mut found = match others.exposure {
        0 => without_control(&fleet),
        _ => with_control(&fleet, others),
    };
    found.sentence = words::sentence(&found, rolled, control, wikis, scope);
    found
}

/// Rolled hosts, the worst by rate first.
struct Fleet<'a> {
    hosts: Vec<(&'a HostName, Count)>,
}

impl<'a> Fleet<'a> {
    /// Of two hosts with the same rate the later name is taken for the worse.
    fn new(rolled: &'a HostCounts) -> Self {
        let known = rolled.values().any(|count| count.exposure > 0);
        let weighed = |count: &Count| match known {
            // Events among no requests are the worst of all rates, and still finite.
            true => Count { exposure: count.exposure.max(u64::from(count.events > 0)), ..*count },
            false => Count { exposure: 1, ..*count },
        };
        let mut hosts: Vec<_> = rolled.iter().map(|(host, count)| (host, weighed(count))).collect();
        hosts.sort_by(|a, b| rate(b.1).total_cmp(&rate(a.1)).then_with(|| b.0.cmp(a.0)));
        Self { hosts }
    }

    /// Hosts that may be dropped.
    fn dropped_max(&self) -> usize {
        ((self.hosts.len() as f64 * DROPPED_SHARE_MAX) as usize).max(1)
    }

    /// Without the worst.
    fn left(&self, dropped: usize) -> &[(&'a HostName, Count)] {
        &self.hosts[dropped.min(self.hosts.len())..]
    }

    /// What all cases have in common.
    fn found(&self, dropped: usize) -> Attribution {
        let n = sum(self.hosts.iter().map(|(_, count)| count)).events;
        let m = self.hosts.len();
        let hit = self.hosts.iter().filter(|(_, count)| count.events > 0).count();
        Attribution {
            blame: Blame::Mixed,
            suspects: Vec::new(),
            dropped: self.hosts.iter().take(dropped).map(|(host, _)| (*host).clone()).collect(),
            hosts: m,
            events: n,
            left: sum(self.left(dropped).iter().map(|(_, count)| count)).events,
            breadth: hit as f64 / m.max(1) as f64,
            breadth_expected: self.breadth_expected(n as f64),
            top: self.hosts.first().map(|(host, _)| (*host).clone()),
            p_top: p_top(&self.hosts),
            p_all: None,
            p_left: None,
            sentence: String::new(),
        }
    }

    /// 1 - sum((1 - w_h)^n) / m.
    fn breadth_expected(&self, n: f64) -> f64 {
        let exposure = sum(self.hosts.iter().map(|(_, count)| count)).exposure as f64;
        let missed = |count: &Count| (n * (-(count.exposure as f64 / exposure)).ln_1p()).exp();
        let missed: f64 = self.hosts.iter().map(|(_, count)| missed(count)).sum();
        if n > 0.0 { 1.0 - missed / self.hosts.len() as f64 } else { 0.0 }
    }
}

fn rate(count: Count) -> f64 {
    count.events as f64 / count.exposure.max(1) as f64
}

fn sum<'a>(counts: impl Iterator<Item = &'a Count>) -> Count {
    counts.fold(Count::default(), |sum, count| Count {
        events: sum.events.saturating_add(count.events),
        exposure: sum.exposure.saturating_add(count.exposure),
    })
}

/// min(1, m P(Bin(n, w_top) >= c_top)) of hosts with the worst first.
fn p_top(hosts: &[(&HostName, Count)]) -> f64 {
    let Some((_, top)) = hosts.first() else { return 1.0 };
    let all = sum(hosts.iter().map(|(_, count)| count));
    let share = Point::of(top.exposure as f64 / all.exposure.max(1) as f64);
    (hosts.len() as f64 * at_least(top.events as f64, all.events as f64, share)).min(1.0)
}

fn with_control(fleet: &Fleet<'_>, others: Count) -> Attribution {
    let p = |dropped: usize| {
        let left = sum(fleet.left(dropped).iter().map(|(_, count)| count));
        if left.exposure == 0 { 1.0 } else { Arms::new(left, others).p_greater(1.0) }
    };
    let (mut dropped, p_all) = (0, p(0));
    let mut p_left = p_all;
    while p_left < ALPHA && dropped < fleet.dropped_max() {
        dropped += 1;
        p_left = p(dropped);
    }
    let mut found = Attribution { p_all: Some(p_all), p_left: Some(p_left), ..fleet.found(dropped) };
    found.blame = match () {
        () if found.events == 0 => Blame::Clean,
        () if p_all >= ALPHA => Blame::Ambient,
        () if p_left >= ALPHA && found.p_top < ALPHA => Blame::Host,
        () if p_left < ALPHA && found.breadth >= found.breadth_expected / 2.0 => Blame::Release,
        () => Blame::Mixed,
    };
    blamed(found)
}

fn without_control(fleet: &Fleet<'_>) -> Attribution {
    let mut dropped = 0;
    while dropped < fleet.dropped_max() && p_top(fleet.left(dropped)) < ALPHA {
        dropped += 1;
    }
    let mut found = fleet.found(dropped);
    found.blame = match () {
        () if found.events == 0 => Blame::Clean,
        () if found.left as f64 <= LEFT_SHARE_MAX * found.events as f64 => Blame::Host,
        () => Blame::NoControl,
    };
    blamed(found)
}

fn blamed(found: Attribution) -> Attribution {
    match found.blame {
        Blame::Host => Attribution { suspects: found.dropped.clone(), ..found },
        _ => found,
    }
}

/// What a blame leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    GoOn,
    /// The suspects are left out and repaired, the rollout goes on.
    LeaveOut,
    /// The rollout is taken back.
    Rollback,
    /// A person decides.
    Pause,
}

/// What follows a failed gate. `blame`: `None` where there are no counts by host; `witnessed`: whether each suspect has a
/// second witness against it; `hosts`: how many were switched, since of one alone host and release can't be told apart.
pub fn consequence(blame: Option<Blame>, witnessed: bool, on_fail: OnFail, hosts: usize) -> Consequence {
    let as_said = match on_fail {
        OnFail::Rollback => Consequence::Rollback,
        OnFail::Pause => Consequence::Pause,
    };
    match blame {
        Some(Blame::Ambient) => Consequence::Pause,
        Some(_) if hosts == 1 => as_said,
        Some(Blame::Host) if witnessed => Consequence::LeaveOut,
        Some(Blame::Host | Blame::Mixed) => Consequence::Pause,
        None | Some(Blame::Release | Blame::Clean | Blame::NoControl) => as_said,
    }
}

#[cfg(test)]
mod tests;
