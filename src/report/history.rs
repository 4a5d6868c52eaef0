//! What was undertaken: one line a rollout, or one rollout whole.

use super::escape::Untrusted;
use super::table::{Side, lines};
use super::words::{moment, names};
use crate::model::books::{Kind, Rollout, Snapshot, Status};
use crate::model::health::GateRow;
use crate::model::names::GateName;
use crate::model::step::Step;
use crate::model::words::count;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One line a rollout, in the order given: id, when, who, what, how it stands, its effect.
pub fn text(rollouts: &[Rollout]) -> String {
    if rollouts.is_empty() {
        return "nothing was undertaken yet\n".to_owned();
    }
    let row = |r: &Rollout| {
        let words = [what(r), status(r.status).to_owned(), Untrusted(outcome(r)).to_string()];
        [r.id.to_string(), moment(r.at), Untrusted(&r.by).to_string()].into_iter().chain(words).collect()
    };
    let rows: Vec<Vec<String>> = rollouts.iter().map(row).collect();
    lines(&[Side::Left], &rows).join("\n") + "\n"
}

/// The same for programs: an array of rollouts.
pub fn json(rollouts: &[Rollout]) -> Value {
    json!(rollouts)
}

/// What gates said in a rollout; `None`: none was asked, or it is so old that the books are no longer loaded with it.
pub type Gates<'a> = Option<&'a BTreeMap<GateName, GateRow>>;

/// One rollout: what `show ID` prints. `to` is the state that it leads to, when the books still have it.
pub fn show(rollout: &Rollout, to: Option<&Snapshot>, steps: &[Step], gates: Gates<'_>) -> String {
    let from = rollout.from.map_or("nothing".to_owned(), |from| from.to_string());
    let mut rows = vec![
        ("what", what(rollout)),
        ("when", moment(rollout.at)),
        ("by", Untrusted(&rollout.by).to_string()),
        ("why", Untrusted(&rollout.why).to_string()),
        ("status", status_sentence(rollout)),
        ("effect", Untrusted(&rollout.effect).to_string()),
        ("states", format!("{from} -> {}", rollout.to)),
    ];
    if let Some(to) = to {
        let each = |(version, n): (_, usize)| format!("{version} {}", count(n, "wiki"));
        rows.push(("wikis", names(to.map.counts().into_iter().map(each))));
    }
    let rows: Vec<Vec<String>> =
        rows.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| vec![format!("  {k}"), v]).collect();
    let mut text = format!("{}\n{}\n", rollout.id, lines(&[Side::Left], &rows).join("\n"));
    let gates = gates.map(super::gates::rows).unwrap_or_default();
    for line in commands(steps).into_iter().chain(gates) {
        text += &format!("  {line}\n");
    }
    text
}

/// The same for programs.
pub fn show_json(rollout: &Rollout, to: Option<&Snapshot>, steps: &[Step], gates: Gates<'_>) -> Value {
    json!({ "rollout": rollout, "to": to, "steps": steps, "gates": gates })
}

/// What was undertaken: `promote group1 to 1.27.0-wmf.11`.
pub fn what(rollout: &Rollout) -> String {
    let groups = rollout.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let version = rollout.version.as_ref().map(ToString::to_string).unwrap_or_default();
    let (before, after) = match rollout.kind {
        Kind::Promote => ("to ", version),
        Kind::Rollback => ("from ", version),
        Kind::Pin | Kind::Unpin | Kind::Sync | Kind::Undo | Kind::Converge => ("", version),
    };
    let after = if after.is_empty() { after } else { format!("{before}{after}") };
    let words = [kind(rollout.kind).to_owned(), groups, after];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A kind of undertaking in one word.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Promote => "promote",
        Kind::Rollback => "rollback",
        Kind::Pin => "pin",
        Kind::Unpin => "unpin",
        Kind::Sync => "sync",
        Kind::Undo => "undo",
        Kind::Converge => "converge",
    }
}

/// How it stands, in a word or two.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Open => "unfinished",
        Status::Done => "done",
        Status::Owed => "done, hosts owed",
        Status::Dropped => "dropped",
        Status::WentBack => "went back",
        Status::Superseded => "superseded",
    }
}

/// How it stands, and what that means.
pub(super) fn status_sentence(rollout: &Rollout) -> String {
    let more = match rollout.status {
        Status::Open if rollout.dispatched => ": hosts may have been switched; type: pointsman converge",
        Status::Open => ": no host was switched; type: pointsman converge",
        Status::Done => ": proven on every host in scope",
        Status::Owed => ": hosts were left behind; type: pointsman status",
        Status::Dropped => ": ended before any host was switched",
        Status::WentBack => ": some hosts were switched, and all were brought back",
        Status::Superseded => ": replaced by a newer undertaking",
    };
    format!("{}{more}", status(rollout.status))
}

/// Its effect, or why it was begun while there is none yet.
fn outcome(rollout: &Rollout) -> &str {
    if rollout.effect.is_empty() { &rollout.why } else { &rollout.effect }
}

/// One line a command: how many hosts it went to and what came of it; hosts with the same words in one.
fn commands(steps: &[Step]) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut results: BTreeMap<&str, BTreeMap<&str, Vec<&Step>>> = BTreeMap::new();
    for step in steps {
        if !results.contains_key(step.command.as_str()) {
            order.push(&step.command);
        }
        let result = step.outcome.as_ref().map_or("no answer", |(_, result)| result);
        results.entry(&step.command).or_default().entry(result).or_default().push(step);
    }
    let each = |(result, steps): (&&str, &Vec<&Step>)| match *result {
        "ok" => format!("{} ok", steps.len()),
        result => format!("{}: {}", names(steps.iter().map(|step| &step.host)), Untrusted(result)),
    };
    let line = |command: &str| {
        let sent = results[command].values().map(Vec::len).sum();
        let said: Vec<String> = results[command].iter().map(each).collect();
        format!("{}: sent {}; {}", Untrusted(command), count(sent, "time"), said.join("; "))
    };
    order.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::model::ids::Generation;
    use crate::model::time::Time;
    use expect_test::expect;

    fn rollout(id: u64, kind: Kind, status: Status) -> Rollout {
        let effect = "group1: 594 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11".into();
        Rollout { at: Time(1_453_402_440_000), status, effect, ..fixture::rollout(id, kind) }
    }

    #[test]
    fn one_line_a_rollout() {
        let mut open = rollout(12, Kind::Rollback, Status::Open);
        (open.effect, open.why, open.by) = (String::new(), "errors\n\x1b[2J".into(), "bob@deploy".into());
        let sync = Rollout { groups: vec![], version: None, ..rollout(9, Kind::Sync, Status::Owed) };
        expect![[r#"
            r12  2016-01-21 18:54 UTC  bob@deploy    rollback group1 from 1.27.0-wmf.11  unfinished        errors\u{a}\u{1b}[2J
            r11  2016-01-21 18:54 UTC  alice@deploy  promote group1 to 1.27.0-wmf.11     done              group1: 594 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11
            r9   2016-01-21 18:54 UTC  alice@deploy  sync                                done, hosts owed  group1: 594 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11
        "#]].assert_eq(&text(&[open, rollout(11, Kind::Promote, Status::Done), sync]));
        assert_eq!(text(&[]), "nothing was undertaken yet\n");
    }

    #[test]
    fn one_rollout_whole() {
        let step = |n: u32, command: &str, result: Option<&str>| Step {
            command: command.into(),
            host: format!("mw{n}.codfw.wmnet").parse().expect("a host"),
            generation: Generation { epoch: 1, seq: n.into() },
            sent: Time(1),
            outcome: result.map(|result| (Time(2), result.to_owned())),
        };
        let mut steps: Vec<Step> = (2001..2020).map(|n| step(n, "prepare", Some("ok"))).collect();
        steps.extend([step(2001, "switch", Some("ok")), step(2020, "switch", None)]);
        steps.push(step(2019, "switch", Some("disk full: \x1b]0;x")));
        expect![[r#"
            r11
              what    promote group1 to 1.27.0-wmf.11
              when    2016-01-21 18:54 UTC
              by      alice@deploy
              why     train
              status  unfinished: hosts may have been switched; type: pointsman converge
              effect  group1: 594 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11
              states  s11 -> s12
              prepare: sent 19 times; 19 ok
              switch: sent 3 times; mw2019.codfw.wmnet: disk full: \u{1b}]0;x; mw2020.codfw.wmnet: no answer; 1 ok
        "#]]
        .assert_eq(&show(&rollout(11, Kind::Promote, Status::Open), None, &steps, None));
    }
}
