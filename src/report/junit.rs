//! A canary check, a check of readiness alone or a dry run as JUnit XML, as CI servers read it: one case a host, one case a
//! gate.
//!
//! Written by `quick-junit`, which escapes texts and drops characters that XML does not have.

use super::canary::{Asked, CanaryView, Looked};
use super::{history, stale};
use crate::model::names::HostName;
use crate::model::stale::StaleReason;
use crate::model::verdict::Verdict;
use crate::plan::hosts::Plan;
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The document. A gate that is inconclusive or could not be checked is an error there, since what is skipped reads as
/// well; a gate that only observes and did not pass is skipped, with why.
///
/// # Errors
///
/// The writer's own, which text in memory does not cause.
pub fn xml(view: &CanaryView) -> Result<String, SerializeError> {
    let mut ready = TestSuite::new("readiness");
    for host in &view.hosts {
        let mut status = TestCaseStatus::success();
        if let Some(stale) = view.stale.get(host) {
            let reason = stale::reason(&stale.reason);
            status = said(NonSuccessKind::Failure, "stale", &reason, &stale::line(host, stale, view.now));
        }
        ready.add_test_case(case("pointsman.readiness", host.as_str(), status));
    }
    let mut gates = TestSuite::new("gates");
    for gate in &view.gates {
        let mut case = case("pointsman.gates", gate.name.as_str(), outcome(gate));
        case.set_system_out(lines(gate));
        gates.add_test_case(case);
    }
    let mut report = Report::new(format!("pointsman {}", view.by.name()));
    report.set_time(Duration::from_millis(view.took_ms));
    report.add_test_suite(ready);
    if view.by == Looked::Canary {
        report.add_test_suite(gates);
    }
    report.to_string()
}

/// A dry run: one case a host that would take part, which fails when it is not ready, with what is to be done there.
///
/// # Errors
///
/// The writer's own, which text in memory does not cause.
pub fn plan(
    plan: &Plan,
    stale: &BTreeMap<HostName, StaleReason>,
    seen: &BTreeSet<&HostName>,
) -> Result<String, SerializeError> {
    let name = format!("{} {}", plan.goal.rollout.id, history::kind(plan.goal.rollout.kind));
    let mut hosts = TestSuite::new(name);
    for host in plan.hosts.keys() {
        let mut status = TestCaseStatus::success();
        if let Some(reason) = stale.get(host) {
            let line = stale::now_line(host, reason);
            status = said(NonSuccessKind::Failure, "stale", &stale::reason(reason), &line);
        } else if !seen.contains(host) {
            status = TestCaseStatus::skipped();
            status.set_message("it was not looked at");
        }
        hosts.add_test_case(case("pointsman.plan", host.as_str(), status));
    }
    hosts.set_system_out(super::plan::text(plan, None));
    let mut report = Report::new("pointsman plan");
    report.add_test_suite(hosts);
    report.to_string()
}

pub(super) fn case(class: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

pub(super) fn said(kind: NonSuccessKind, class: &str, message: &str, whole: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(class).set_message(message).set_description(whole);
    status
}

fn outcome(gate: &Asked) -> TestCaseStatus {
    let (verdict, reason) = (gate.verdict(), gate.reason());
    let kind = match verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        _ if !gate.enforces => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(format!("{verdict}, and it only observes: {reason}"));
            return skipped;
        }
        Verdict::Fail => NonSuccessKind::Failure,
        Verdict::Inconclusive | Verdict::Error => NonSuccessKind::Error,
    };
    said(kind, &verdict.to_string(), &reason, &gate.line())
}

/// What a gate rests on: its reason and samples.
fn lines(gate: &Asked) -> String {
    let samples = gate.judgement.iter().flat_map(|last| &last.samples);
    let samples = samples.map(|sample| super::escape::Untrusted(sample).to_string());
    std::iter::once(gate.reason()).chain(samples).collect::<Vec<_>>().join("\n")
}
