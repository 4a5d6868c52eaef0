//! A plan in words and JSON.

use super::escape::{Untrusted, whole};
use super::words::moment;
use crate::model::books::Kind;
use crate::model::digest::Digest;
use crate::model::names::HostName;
use crate::model::ranges::fold;
use crate::model::words::count;
use crate::plan::facts::{ContentChange, Facts, FileCounts, Load, Past};
use crate::plan::gates::{self, span};
use crate::plan::goal::{Change, Goal, PinFate, PinNote};
use crate::plan::hosts::Plan;
use crate::plan::saved::{PlanFile, Saved};
use serde_json::{Value, json};
use std::fmt::Write;

/// The whole plan, a few lines: exact effect, pins, content, waves, gates, who is left out; and what is known beside it.
pub fn text(plan: &Plan, facts: Option<&Facts>) -> String {
    let goal = &plan.goal;
    let kind = kind(goal);
    let mut text = format!("{} {kind} (plan {}): {}\n", goal.rollout.id, plan.id().short(), whole(&goal.rollout.why));
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
    for change in facts.map(|facts| facts.content.as_slice()).unwrap_or_default() {
        let _ = writeln!(text, "  {}", content(change));
    }
    for (number, wave) in plan.waves.iter().enumerate() {
        let _ = writeln!(text, "  wave {}: {} ({})", number + 1, count(wave.len(), "host"), fold(wave));
    }
    for line in gates::lines(&plan.gating, plan.waves.len()) {
        let _ = writeln!(text, "  {}", whole(&line));
    }
    let excluded: Vec<HostName> = plan.excluded.keys().cloned().collect();
    if !excluded.is_empty() {
        let _ = writeln!(text, "  left out: {} (depooled, owed afterwards)", fold(&excluded));
    }
    for line in facts.map(|facts| known(plan, facts)).unwrap_or_default() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// `wmf-config a1b2c3d4e5f6 -> 0a1b2c3d4e5f: 1 file added, 2 changed, 0 removed`.
fn content(change: &ContentChange) -> String {
    let short = |id: &Option<Digest>| id.map_or_else(|| "nothing".to_owned(), |id| id.short());
    let moved = format!("{} {} -> {}", change.component, short(&change.from), short(&change.to));
    match &change.files {
        Some(files) => format!("{moved}: {}", file_counts(files)),
        None => moved,
    }
}

/// `1 file added, 2 changed, 0 removed`.
pub fn file_counts(files: &FileCounts) -> String {
    format!("{} added, {} changed, {} removed", count(files.added, "file"), files.changed, files.removed)
}

/// What is known beside a plan, a line each.
fn known(plan: &Plan, facts: &Facts) -> Vec<String> {
    let mut lines: Vec<String> =
        facts.overruled.iter().map(|(gate, why)| format!("overruled: {gate} ({})", whole(why))).collect();
    let unseen: Vec<HostName> =
        plan.hosts.iter().filter(|(_, part)| part.expect.is_none()).map(|(host, _)| host.clone()).collect();
    if !unseen.is_empty() {
        lines.push(format!(
            "not seen: {} ({}), taken as they show themselves",
            count(unseen.len(), "host"),
            fold(&unseen)
        ));
    }
    lines.push(format!("to bring: {}", load(plan.hosts.len(), facts.load)));
    lines.push(match (plan.goal.rollout.kind == Kind::Rollback, facts.rollback.as_slice()) {
        (true, _) => "afterwards promotions are held, and a further rollback finishes this one".to_owned(),
        (false, []) => "a rollback afterwards would restore: nothing".to_owned(),
        (false, changes) => format!("a rollback afterwards would restore: {}", joined(changes)),
    });
    if plan.goal.rollout.kind == Kind::Sync {
        lines.push("an undo afterwards would take the content back".to_owned());
    }
    lines.push(format!("time: {}", time(plan, facts.past)));
    lines
}

fn load(hosts: usize, load: Load) -> String {
    let unknown = |n| format!("unknown for {}", count(n, "host"));
    let known = match (load.hosts, load.bytes) {
        _ if load.unknown == hosts => {
            return format!("{}, which nobody looked at or whose content is not here", unknown(hosts));
        }
        (0, _) => "nothing".to_owned(),
        (n, bytes) => format!("at most {} to {}", super::words::bytes(bytes), count(n, "host")),
    };
    match load.unknown {
        0 => known,
        n => format!("{known}; {}", unknown(n)),
    }
}

fn time(plan: &Plan, past: Option<Past>) -> String {
    let kind = match plan.goal.rollout.kind {
        Kind::Promote => "promotion",
        Kind::Rollback => "rollback",
        Kind::Pin => "pin",
        Kind::Unpin => "unpin",
        Kind::Sync => "sync",
        Kind::Undo => "undo",
        Kind::Converge => "convergence",
    };
    match past {
        None => "unknown, a view has no journal".to_owned(),
        Some(Past { runs: 0, .. }) => format!("unknown, no past {kind} to tell from"),
        Some(past) => format!(
            "about {}, the median of {}; the longest took {}",
            span(past.median_ms),
            count(past.runs, &format!("past {kind}")),
            span(past.longest_ms)
        ),
    }
}

/// A saved plan: who made it, when and by which command, and the plan.
pub fn file_text(file: &PlanFile) -> String {
    let saved = &file.saved;
    let (by, command) = (Untrusted(&saved.by), shown(&saved.command));
    let mut text =
        format!("plan {} of {} by {by}, pointsman {}\n", file.digest, moment(saved.at), Untrusted(&saved.program));
    let _ = writeln!(text, "$ pointsman {command}");
    text + &saved_text(saved)
}

/// What was saved: the stages of a playbook, and the plan.
pub fn saved_text(saved: &Saved) -> String {
    let mut text = String::new();
    for line in saved.playbook.iter().flat_map(|playbook| &playbook.stages) {
        let _ = writeln!(text, "{}", whole(line));
    }
    match &saved.planned {
        Some(planned) if saved.playbook.is_some() => {
            let _ = writeln!(text, "what is kept to of its stages:\n$ pointsman {}", shown(&planned.line));
            text.push_str(&self::text(&planned.plan, Some(&planned.facts)));
        }
        Some(planned) => text.push_str(&self::text(&planned.plan, Some(&planned.facts))),
        None => text.push_str("no stage makes a plan\n"),
    }
    text
}

/// A line as a person would type it.
pub fn shown(line: &[String]) -> String {
    let plain = |word: &String| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=.,:/%".contains(&b));
    let quoted = |word: &String| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) };
    crate::config::diagnostic::escaped(&line.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

fn kind(goal: &Goal) -> String {
    let kind = serde_json::to_value(goal.rollout.kind).ok();
    kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default()
}

fn pin(note: &PinNote) -> String {
    format!("{} ({})", whole(&note.subject), note.version)
}

/// What a goal moves, in one line.
pub fn changes_line(goal: &Goal) -> String {
    match goal.changes.as_slice() {
        [] => "nothing".to_owned(),
        changes => joined(changes),
    }
}

fn joined(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The plan for machines, with its id.
pub fn json(plan: &Plan, facts: &Facts) -> Value {
    json!({"id": plan.id().to_string(), "plan": plan, "facts": facts})
}
