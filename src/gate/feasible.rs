//! Whether a gate can fail and can pass with the hosts at hand: asked when a plan is made, so that nobody waits for a
//! verdict that can't come.
//!
//! Absent on purpose: exposure and events to come, which nobody knows beforehand.

use super::spec::counts::CountLimits;
use super::spec::numbers::{Ranks, Rule};
use super::spec::probe::{Probe, Target};
use super::spec::{Gate, Kind};
use super::stat::ranks::{control_to_fail, smallest_p};
use crate::model::words::count;

/// Whether `gate` can fail and can pass with so many hosts in each arm, or why not and what it would need.
///
/// # Errors
///
/// A fragment that fits "the gate NAME can't decide: {...}".
pub fn feasible(gate: &Gate, rolled: usize, control: usize) -> Result<(), String> {
    match &gate.kind {
        Kind::Ranks(gate) => ranks(gate, rolled, control),
        Kind::Counts(gate) => switched(rolled).and_then(|()| limits(&gate.limits)),
        Kind::Signatures(gate) => {
            switched(rolled)?;
            limits(&gate.limits)?;
            let wanted = gate.min_hosts as usize;
            let why =
                || format!("a new signature has to be on {}, and {} switched", count(wanted, "host"), are(rolled));
            need(wanted <= rolled, why)
        }
        Kind::Served(_) => switched(rolled),
        Kind::Contract(gate) => {
            switched(rolled)?;
            need(!gate.urls.is_empty(), || "it compares no URL".to_owned())?;
            need(control > 0, || "it compares with a host that is not switched, and needs 1".to_owned())
        }
        Kind::Probe(gate) => probe(gate, rolled + control),
        Kind::Threshold(gate) => rule(&gate.rule),
        Kind::Host(gate) => need(!gate.conditions.is_empty(), || "it has no condition".to_owned()),
        Kind::Command(_) | Kind::Blockers(_) | Kind::Approval | Kind::Soak(_) => Ok(()),
    }
}

fn need(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn are(hosts: usize) -> String {
    format!("{} {}", count(hosts, "host"), if hosts == 1 { "is" } else { "are" })
}

fn switched(rolled: usize) -> Result<(), String> {
    need(rolled > 0, || "it judges switched hosts, and none of those it is about is switched".to_owned())
}

fn is_share(alpha: f64) -> Result<(), String> {
    need(alpha > 0.0 && alpha < 1.0, || format!("alpha is {alpha}, and has to lie between 0 and 1"))
}

fn ranks(gate: &Ranks, rolled: usize, control: usize) -> Result<(), String> {
    switched(rolled)?;
    is_share(gate.alpha)?;
    let effect = gate.effect_min;
    need(effect <= 1.0, || format!("it fails with an A12 of at least {effect}, which is never above 1"))?;
    let least = smallest_p(rolled, control);
    // A judge fails strictly below alpha.
    need(least < gate.alpha, || {
        let have = format!("{} against {control} never give a p below {}", count(rolled, "switched host"), gate.alpha);
        match control_to_fail(rolled, gate.alpha) {
            Some(n) => format!("{have}: it needs {n} hosts that are not switched"),
            None => have,
        }
    })
}

fn limits(limits: &CountLimits) -> Result<(), String> {
    is_share(limits.alpha)?;
    let (min, max) = (limits.min_ratio, limits.max_ratio);
    need(min <= max, || format!("min_ratio {min} is above max_ratio {max}, so that it could fail and pass at once"))?;
    need(max > 0.0, || format!("it passes with a ratio below {max}, and no ratio is"))?;
    let rate = limits.max_rate;
    need(rate > 0.0, || format!("it passes with a rate below {rate} when the others have no events, and no rate is"))?;
    let tolerated = limits.tolerated_ratio;
    need(tolerated > 0.0 && tolerated.is_finite(), || format!("a ratio of {tolerated} can't be tolerated"))
}

fn probe(gate: &Probe, hosts: usize) -> Result<(), String> {
    let (needed, tries) = (gate.needed, gate.tries);
    need(needed > 0, || "it passes without any try".to_owned())?;
    need(needed <= tries, || format!("it needs {needed} good tries in a row, and there are {tries}"))?;
    need(!gate.journeys.is_empty(), || "it has no journey".to_owned())?;
    let two = gate.journeys.iter().flat_map(|journey| &journey.steps).any(|step| step.target == Target::Another);
    need(!two || hosts >= 2, || format!("a journey asks two hosts, and {} in scope", are(hosts)))
}

fn rule(rule: &Rule) -> Result<(), String> {
    match rule {
        Rule::Number { success, failure } => {
            need(success.is_some() || failure.is_some(), || "it has no condition".to_owned())
        }
        Rule::PercentAbove(alert) => {
            let percent = alert.percent;
            need(percent > 0.0 && percent <= 100.0, || {
                format!("percent is {percent}, and has to lie above 0 and up to 100")
            })
        }
    }
}

#[cfg(test)]
mod tests;
