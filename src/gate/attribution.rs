//! Is it this host, or the release? The formulae are those of the attribution section of the gates' specification in docs/gates.md.

use crate::model::names::{HostName, Wiki};
use crate::model::verdict::{Count, HostCounts};
use std::collections::BTreeMap;

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
    /// The hosts that were dropped, the worst first; the suspects when `blame` is `Host`.
    pub suspects: Vec<HostName>,
    /// Rolled hosts.
    pub hosts: usize,
    /// Events on rolled hosts.
    pub events: u64,
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
    /// The same without the suspects.
    pub p_left: Option<f64>,
    /// In plain words.
    pub sentence: String,
}

/// Attributes events; `wikis` are the same events by wiki, to say whether it is one wiki or all.
pub fn attribute(
    rolled: &HostCounts,
    control: &HostCounts,
    wikis: &BTreeMap<Wiki, Count>,
    scope: &super::scope::Scope,
) -> Attribution {
    let _ = (rolled, control, wikis, scope);
    Attribution {
        blame: Blame::Mixed,
        suspects: Vec::new(),
        hosts: 0,
        events: 0,
        breadth: 0.0,
        breadth_expected: 0.0,
        top: None,
        p_top: 1.0,
        p_all: None,
        p_left: None,
        sentence: String::new(),
    }
}

/// What a blame leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing.
    GoOn,
    /// The suspects are left out.
    LeaveOut,
    /// Back.
    Rollback,
    /// A person.
    Pause,
}

/// Stub.
pub fn consequence(blame: Option<Blame>, witnessed: bool, on_fail: super::spec::OnFail, hosts: usize) -> Consequence {
    let _ = (blame, witnessed, on_fail, hosts);
    Consequence::Pause
}

/// Stub.
pub fn with_witness(sentence: &str, witnesses: &BTreeMap<HostName, Vec<String>>) -> String {
    let _ = witnesses;
    sentence.to_owned()
}
