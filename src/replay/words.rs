//! Words of a replay's rows.

use super::played::ActEnd;
use crate::config::incident::spec::{Event, HostEvent, What};
use crate::model::names::HostName;
use crate::plan::goal::Blocked;
use crate::report::stale;
use crate::rollout::effect::Outcome;
use std::collections::BTreeMap;

/// What happened, as the incident's file tells it.
pub fn history(event: &Event) -> String {
    let what = match &event.what {
        What::Promote(group, version) => format!("{group} is moved to {version}"),
        What::Rollback(Some(group), version) => format!("{group} is moved back to {version}"),
        What::Rollback(None, version) => format!("all wikis are moved to {version}"),
        What::Repair(host) => format!("{host} is repaired"),
        What::LostPins(wikis) => {
            let wikis: Vec<&str> = wikis.iter().map(|wiki| wiki.as_str()).collect();
            format!("the pins of {} are overwritten", wikis.join(", "))
        }
        What::Host(host, HostEvent::Unreachable(words)) => return format!("{host} can't be reached: {words}"),
        What::Host(host, HostEvent::Up) => format!("{host} can be reached"),
        What::Host(host, HostEvent::Reinstalled { .. }) => format!("{host} is installed anew"),
        What::Note => return event.text.clone(),
    };
    match event.text.is_empty() {
        true => what,
        false => format!("{what}: {}", event.text),
    }
}

/// How an undertaking ended, why, and which hosts were left behind.
pub fn ended(name: &str, outcome: &Result<Outcome, Blocked>) -> (ActEnd, Vec<String>, BTreeMap<HostName, String>) {
    let none = BTreeMap::new;
    match outcome {
        Err(blocked) => (ActEnd::Held, vec![blocked.to_string()], none()),
        Ok(Outcome::Nothing) => (ActEnd::Nothing, Vec::new(), none()),
        Ok(Outcome::Done { effect, left }) => {
            let end = if name.starts_with("promote") { ActEnd::Promoted } else { ActEnd::Done };
            let left = left.iter().map(|(host, left)| (host.clone(), stale::reason(&left.reason)));
            (end, vec![effect.clone()], left.collect())
        }
        Ok(Outcome::Stale(hosts)) => {
            let hosts: BTreeMap<_, _> =
                hosts.iter().map(|(host, reason)| (host.clone(), stale::reason(reason))).collect();
            (ActEnd::Stale, hosts.iter().map(|(host, why)| format!("{host} {why}")).collect(), hosts)
        }
        Ok(Outcome::GoBack(hosts)) => {
            let hosts: BTreeMap<_, _> =
                hosts.iter().map(|(host, reason)| (host.clone(), stale::reason(reason))).collect();
            (ActEnd::RolledBack, hosts.iter().map(|(host, why)| format!("{host} {why}")).collect(), hosts)
        }
        Ok(Outcome::GateFailed(why)) => (ActEnd::RolledBack, why.clone(), none()),
        Ok(Outcome::Held(why)) => (ActEnd::Held, why.clone(), none()),
        Ok(Outcome::Paused { why, .. }) => (ActEnd::Paused, why.clone(), none()),
        Ok(Outcome::Lint(why) | Outcome::Changed(why)) => (ActEnd::Held, why.clone(), none()),
        Ok(Outcome::Denied | Outcome::Stopped) => (ActEnd::Held, Vec::new(), none()),
    }
}

/// The same in a line.
pub fn told(end: ActEnd, why: &[String]) -> String {
    let end = match end {
        ActEnd::Promoted => "done, and watched from now on",
        ActEnd::Held => "not begun",
        ActEnd::Stale => "not begun, hosts are not ready",
        ActEnd::RolledBack => "the release is to blame and is taken back",
        ActEnd::Paused => "waits for a person",
        ActEnd::Done => "done",
        ActEnd::Nothing => "nothing to do",
    };
    match why.is_empty() {
        true => end.to_owned(),
        false => format!("{end}: {}", why.join("; ")),
    }
}
