//! A plan and its steps in words and JSON.

use crate::model::names::HostName;
use crate::model::ranges::fold;
use crate::model::words::count;
use crate::plan::gates;
use crate::plan::goal::{Goal, PinFate, PinNote};
use crate::plan::hosts::Plan;
use crate::rollout::effect::{Outcome, Told};
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

/// A step for machines.
pub fn told_json(told: &Told) -> Value {
    match told {
        Told::Wave { number, of, hosts } => json!({"step": "wave", "number": number, "of": of, "hosts": hosts}),
        Told::WaveDone { number, of, proven, hosts } => {
            json!({"step": "wave-done", "number": number, "of": of, "proven": proven, "hosts": hosts})
        }
        Told::Repairing { host, reason } => json!({"step": "repairing", "host": host, "reason": reason}),
        Told::Switched(host) => json!({"step": "switched", "host": host}),
        Told::Fresh(host) => json!({"step": "proven", "host": host}),
        Told::Collected { host, collected: Ok(removed) } => {
            json!({"step": "collected", "host": host, "removed": removed})
        }
        Told::Collected { host, collected: Err(why) } => json!({"step": "not-collected", "host": host, "why": why}),
        Told::Gating { what, least_ms, gates } => {
            json!({"step": "gates", "what": what, "least_ms": least_ms, "gates": gates})
        }
        Told::Judged(judgement) => json!({"step": "judged", "judgement": judgement}),
        Told::Blamed(sentence) => json!({"step": "blamed", "sentence": sentence}),
        Told::Left(host, reason) => json!({"step": "left", "host": host, "reason": reason}),
        Told::Mirror(sentence) => json!({"step": "mirror", "sentence": sentence}),
        Told::Brought(bytes) => json!({"step": "brought", "bytes": bytes}),
    }
}

/// The end for machines: the outcome, the effect, who was left behind, and the exit code.
pub fn ended_json(plan: &Plan, outcome: &Outcome, code: u8) -> Value {
    let (ended, effect, hosts) = match outcome {
        Outcome::Nothing => ("nothing", None, json!({})),
        Outcome::Done { effect, left } => {
            let left: serde_json::Map<String, Value> = left
                .iter()
                .map(|(host, l)| {
                    (host.to_string(), json!({"reason": l.reason, "serves": l.serves, "depooled": l.depooled}))
                })
                .collect();
            ("done", Some(effect.clone()), Value::Object(left))
        }
        Outcome::Stale(hosts) => ("stale", None, json!(hosts)),
        Outcome::Denied => ("denied", None, json!({})),
        Outcome::Lint(wrong) => ("lint", Some(wrong.join("; ")), json!({})),
        Outcome::GoBack(hosts) => ("went-back", None, json!(hosts)),
        Outcome::GateFailed(why) => ("gate-failed", Some(why.join("; ")), json!({})),
        Outcome::Held(why) => ("held", Some(why.join("; ")), json!({})),
        Outcome::Paused { why, begun } => ("paused", Some(why.join("; ")), json!({"begun": begun})),
        Outcome::Stopped => ("stopped", None, json!({})),
    };
    let rollout = plan.goal.rollout.id.to_string();
    json!({"rollout": rollout, "outcome": ended, "effect": effect, "hosts": hosts, "code": code})
}
