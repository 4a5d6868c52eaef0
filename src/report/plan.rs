//! A plan in words and JSON.

use crate::model::names::HostName;
use crate::model::ranges::fold;
use crate::model::words::count;
use crate::plan::gates;
use crate::plan::goal::{Goal, PinFate, PinNote};
use crate::plan::hosts::Plan;
use serde_json::{Value, json};
use std::fmt::Write;

/// The whole plan, a few lines: exact effect, pins, waves, who is left out.
pub fn text(plan: &Plan) -> String {
    let goal = &plan.goal;
    let kind = kind(goal);
    let mut text = format!("{} {kind} (plan {}): {}\n", goal.rollout.id, plan.id().short(), goal.rollout.why);
    for change in &goal.changes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {change}");
    }
    if goal.changes.is_empty() {
        text.push_str("  no wiki moves\n");
    }
    for (fate, words) in [
        (PinFate::SteppedAround, "pinned, stepped around"),
        (PinFate::Restored, "pins that come back"),
        (PinFate::Kept, "pins kept"),
        (PinFate::Made, "pinned"),
        (PinFate::Removed, "no longer pinned"),
    ] {
        let notes: Vec<String> = goal.pins.iter().filter(|note| note.fate == fate).map(pin).collect();
        if !notes.is_empty() {
            let _ = writeln!(text, "  {words}: {}", notes.join(", "));
        }
    }
    for (number, wave) in plan.waves.iter().enumerate() {
        let _ = writeln!(text, "  wave {}: {} ({})", number + 1, count(wave.len(), "host"), fold(wave));
    }
    for line in gates::lines(&plan.gating, plan.waves.len()) {
        let _ = writeln!(text, "  {line}");
    }
    let excluded: Vec<HostName> = plan.excluded.keys().cloned().collect();
    if !excluded.is_empty() {
        let _ = writeln!(text, "  left out: {} (depooled, owed afterwards)", fold(&excluded));
    }
    text
}

fn kind(goal: &Goal) -> String {
    let kind = serde_json::to_value(goal.rollout.kind).ok();
    kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default()
}

fn pin(note: &PinNote) -> String {
    format!("{} ({})", note.subject, note.version)
}

/// What a goal moves, in one line.
pub fn changes_line(goal: &Goal) -> String {
    let changes: Vec<String> = goal.changes.iter().map(ToString::to_string).collect();
    match changes.is_empty() {
        true => "nothing".to_owned(),
        false => changes.join(", "),
    }
}

/// The plan for machines, with its id.
pub fn json(plan: &Plan) -> Value {
    json!({"id": plan.id().to_string(), "plan": plan})
}
