//! What people and time decide: blockers, approvals, soaking.

use super::{Found, shown, span};
use crate::gate::reading::Answered;
use crate::gate::spec::people::Soak;
use crate::model::verdict::{Against, Verdict};
use crate::model::words::count;

pub(super) fn blockers(open: &[String]) -> Found {
    let (verdict, says) = match open.first() {
        None => (Verdict::Pass, "no blocker is open".to_owned()),
        Some(first) => {
            let is = if open.len() == 1 { "is" } else { "are" };
            (Verdict::Fail, format!("{} {is} open: {}", count(open.len(), "blocker"), shown(first)))
        }
    };
    let samples = open.iter().map(|line| shown(line)).collect();
    let n = open.len();
    let (limit, against) = ("no open blocker".to_owned(), Against::bound(0.0));
    Found { verdict, value: Some(n as f64), limit, n: n as u64, says, samples, against }
}

pub(super) fn approval(answer: Option<&Answered>) -> Found {
    let limit = "a person says yes".to_owned();
    let Some(answer) = answer else {
        return Found { limit, ..Found::new(Verdict::Inconclusive, "nobody has answered yet") };
    };
    let (verdict, word) = if answer.yes { (Verdict::Pass, "yes") } else { (Verdict::Fail, "no") };
    let says = format!("{} said {word}: {}", shown(&answer.by), shown(&answer.reason));
    Found { limit, n: 1, ..Found::new(verdict, says) }
}

pub(super) fn soak(gate: &Soak, time_ms: Option<u64>, requests: Option<u64>) -> Found {
    let least = gate.min_requests.as_ref().map(|(least, _)| *least);
    let mut limit = format!("{} of soaking", span(gate.time_ms));
    if let Some(least) = least {
        limit.push_str(&format!(" and {least} requests"));
    }
    let Some(time) = time_ms else {
        return Found { limit, ..Found::new(Verdict::Inconclusive, "the version has not run anywhere yet") };
    };
    let served = least.is_none_or(|least| requests.is_some_and(|requests| requests >= least));
    let verdict = if time >= gate.time_ms && served { Verdict::Pass } else { Verdict::Inconclusive };
    let requests_said = match (least, requests) {
        (None, _) => String::new(),
        (_, Some(requests)) => format!(" and served {requests} requests"),
        (_, None) => ", and how many requests it served is not known".to_owned(),
    };
    let says = format!("it has run for {}{requests_said}; wanted: {limit}", span(time));
    let n = requests.unwrap_or(0);
    let against = Against::bound(gate.time_ms as f64);
    Found { verdict, value: Some(time as f64), limit, n, says, samples: Vec::new(), against }
}
