//! Gates as they are declared, and what the past suggests for one.

use super::escape::Untrusted;
use super::table::{Side, lines};
use crate::gate::spec::numbers::Rule;
use crate::gate::spec::{Gate, Kind, MOMENTS, Mode};
use crate::gate::suggest::Suggestion;
use crate::model::time::Time;
use crate::model::words::count;
use serde_json::{Value, json};

/// One line a gate: name, kind, when it is asked, for which groups, whether it decides.
pub fn list(gates: &[Gate]) -> String {
    if gates.is_empty() {
        return "groups.yaml declares no gates\n".to_owned();
    }
    let row = |gate: &Gate| {
        let mode = if gate.mode == Mode::Observe { "observes" } else { "decides" };
        let groups = groups(gate).map_or("all groups".to_owned(), |groups| groups.join(" "));
        vec![gate.name.to_string(), gate.kind.name().to_owned(), moments(gate).join(" "), groups, mode.to_owned()]
    };
    lines(&[Side::Left], &gates.iter().map(row).collect::<Vec<_>>()).join("\n") + "\n"
}

/// The same for programs.
pub fn list_json(gates: &[Gate]) -> Value {
    let one = |gate: &Gate| {
        let mode = if gate.mode == Mode::Observe { "observe" } else { "enforce" };
        let (at, groups) = (moments(gate), groups(gate));
        json!({"name": gate.name, "kind": gate.kind.name(), "at": at, "groups": groups, "mode": mode})
    };
    gates.iter().map(one).collect()
}

fn moments(gate: &Gate) -> Vec<&'static str> {
    MOMENTS.iter().filter(|(_, moment)| gate.at.contains(moment)).map(|(name, _)| *name).collect()
}

fn groups(gate: &Gate) -> Option<Vec<String>> {
    gate.groups.as_ref().map(|groups| groups.iter().map(ToString::to_string).collect())
}

/// What the past suggests, in words.
pub fn suggestion(gate: &Gate, query: &str, since: Time, found: &Suggestion) -> String {
    let share = |(percent, value): &(f64, f64)| format!("{percent} % at most {value}");
    let row = |one: &crate::gate::suggest::Alarmed| {
        let times = format!("{} ({})", count(one.times, "time"), count(one.points, "point"));
        vec![format!("  bad is {}", one.bad), one.why.clone(), format!("would have alarmed {times}")]
    };
    let rows: Vec<Vec<String>> = found.limits.iter().map(row).collect();
    let missing = if found.missing > 0 { format!(", {} without a number", found.missing) } else { String::new() };
    let mut text = format!("{}: {}{missing} since {since}\n", gate.name, count(found.points + found.missing, "point"));
    text += &format!("  asked: {}\n", Untrusted(query));
    text += &format!("  {} to {}; ", found.smallest, found.largest);
    text += &found.percentiles.iter().map(share).collect::<Vec<_>>().join(", ");
    text += &format!("\n{}\n", lines(&[Side::Left], &rows).join("\n"));
    text += "These are a start: when something was broken in that time, a limit that never alarmed is too wide.\n";
    if let (Kind::Threshold(threshold), Some(widest)) = (&gate.kind, found.limits.last()) {
        text += &match &threshold.rule {
            Rule::Number { .. } => format!("In groups.yaml: failure: \"{}\"\n", widest.bad),
            Rule::PercentAbove(_) => {
                format!("In groups.yaml: percent_above: {{crit: {}}}\n", widest.bad.trim_start_matches(['<', '>', ' ']))
            }
        };
    }
    text
}
