//! Whether a saved plan can still be carried out: what it was made from, and the plan that is made now, against the saved.
//!
//! Invariant: a plan is kept to only when the one that is made now is the same but for what [`Plan::kept_to`] leaves out.
//! Each thing that is another one is named; where none of the known ones is, that the plans differ is.

use super::goal::{Blocked, Mode};
use super::hosts::Plan;
use super::saved::{Basis, Saved};
use crate::model::books::{Books, Pin, Rollout};
use crate::model::names::HostName;
use crate::model::protocol::{Expect, Observation};
use crate::model::ranges::fold;
use crate::model::words::count;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// What changed since a plan was saved, a line each, never none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan is stale, nothing was changed:\n  {}", .0.join("\n  "))]
pub struct Changed(pub Vec<String>);

/// The plan as it is carried out: made now, the same as the saved one, with what hosts showed when that was made.
///
/// # Errors
///
/// Everything that changed since.
pub fn keep_to(saved: &Saved, now: &Basis, books: &Books, made: Result<Plan, Blocked>) -> Result<Plan, Changed> {
    let Some(planned) = &saved.planned else { return Err(Changed(vec!["the file has no plan".to_owned()])) };
    let was = &planned.plan;
    let mut lines = basis(&saved.basis, now, books, was.goal.mode == Mode::Barrier);
    let mut plan = match made {
        Ok(plan) => plan,
        Err(_) if !lines.is_empty() => return Err(Changed(lines)),
        Err(blocked) => return Err(Changed(vec![format!("it can't be planned any more: {blocked}")])),
    };
    plans(was, &plan, &mut lines);
    if lines.is_empty() && was.kept_to() != plan.kept_to() {
        lines.push("the plan that is made now is another one".to_owned());
    }
    if !lines.is_empty() {
        return Err(Changed(lines));
    }
    for (host, part) in &mut plan.hosts {
        part.expect = was.hosts.get(host).and_then(|was| was.expect);
    }
    Ok(plan)
}

/// What is different of what plans are made from. Holds and blockers stop only what goes forward.
pub fn basis(was: &Basis, now: &Basis, books: &Books, forward: bool) -> Vec<String> {
    let mut lines = configuration(was, now);
    if was.books != now.books {
        lines.push("these are other books than those that it was made from".to_owned());
        return lines;
    }
    let newer = books.rollouts.values().filter(|rollout| Some(rollout.id) > was.newest);
    lines.extend(newer.map(undertaken));
    let ended = was.unfinished.iter().filter(|id| !now.unfinished.contains(id));
    lines.extend(ended.map(|id| format!("{id} was unfinished then and has ended")));
    if was.wanted != now.wanted {
        lines.push(format!("the wanted state was {} then and is {} now", or_none(was.wanted), or_none(now.wanted)));
    }
    if forward && was.hold != now.hold {
        lines.push(match &now.hold {
            Some(hold) => format!("a hold is set by {} since {}: {}", hold.by, hold.since.moment(), hold.reason),
            None => "the hold that was set then is gone".to_owned(),
        });
    }
    let opened = now.blockers.difference(&was.blockers).map(|id| format!("the blocker {id} was opened since"));
    let closed = was.blockers.difference(&now.blockers).map(|id| format!("the blocker {id} was closed since"));
    lines.extend(opened.chain(closed).filter(|_| forward));
    lines
}

fn undertaken(rollout: &Rollout) -> String {
    let kind = format!("{:?}", rollout.kind).to_lowercase();
    format!("{} was undertaken since: {kind} by {} at {}: {}", rollout.id, rollout.by, rollout.at.moment(), rollout.why)
}

fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn configuration(was: &Basis, now: &Basis) -> Vec<String> {
    let files: BTreeSet<&String> = was.configuration.keys().chain(now.configuration.keys()).collect();
    let mut lines = Vec::new();
    for file in files {
        let (before, after) = match (was.configuration.get(file), now.configuration.get(file)) {
            (Some(before), Some(after)) => (before, after),
            (None, _) => {
                lines.push(format!("{file} is read now and was not then"));
                continue;
            }
            (Some(_), None) => {
                lines.push(format!("{file} is not read any more"));
                continue;
            }
        };
        let sections: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let other = sections.into_iter().filter(|section| before.get(*section) != after.get(*section));
        let other: Vec<&str> = other.map(String::as_str).collect();
        match other.as_slice() {
            [] => {}
            [crate::config::sections::WHOLE] => lines.push(format!("{file} was changed")),
            sections => lines.push(format!("{file} was changed: {}", sections.join(", "))),
        }
    }
    lines
}

/// What is different between two plans, by what can be named; what only follows from something named is not said again.
fn plans(was: &Plan, now: &Plan, lines: &mut Vec<String>) {
    lines.extend(content(was, now));
    lines.extend(pins(was, now));
    lines.extend(scope(was, now));
    let other = |host: &&HostName| match (was.hosts.get(*host), now.hosts.get(*host)) {
        (Some(was), Some(now)) => (was.map, &was.needs, &was.fallback) != (now.map, &now.needs, &now.fallback),
        _ => false,
    };
    let others: Vec<HostName> = was.hosts.keys().filter(other).cloned().collect();
    if !others.is_empty() && lines.is_empty() {
        let (n, names) = (count(others.len(), "host"), fold(&others));
        lines.push(format!("what is to be served or held is another for {n}: {names}"));
    }
    if was.waves != now.waves && lines.is_empty() {
        lines.push("the waves are others".to_owned());
    }
    if was.gating != now.gating {
        lines.push(match was.gating.evidence == now.gating.evidence {
            true => "the gates or their times are others".to_owned(),
            false => "gates have found something else against the version".to_owned(),
        });
    }
}

fn content(was: &Plan, now: &Plan) -> Vec<String> {
    let (was, now) = (&was.goal.snapshot.wanted, &now.goal.snapshot.wanted);
    let components: BTreeSet<_> = was.keys().chain(now.keys()).collect();
    let short = |id: Option<&crate::model::digest::Digest>| or_none(id.map(|id| id.short()));
    let other = components.into_iter().filter(|component| was.get(component) != now.get(component));
    let line = |component| {
        format!("{component} is {} in the plan and {} now", short(was.get(component)), short(now.get(component)))
    };
    other.map(line).collect()
}

fn pins(was: &Plan, now: &Plan) -> Vec<String> {
    let named = |plan: &Plan| -> BTreeMap<String, Pin> {
        let pins = &plan.goal.snapshot.pins;
        let wikis = pins.wikis.iter().map(|(wiki, pin)| (wiki.to_string(), pin.clone()));
        wikis.chain(pins.hosts.iter().map(|(host, pin)| (host.to_string(), pin.clone()))).collect()
    };
    let (was, now) = (named(was), named(now));
    let subjects: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let line = |subject: &String| match (was.get(subject), now.get(subject)) {
        (None, Some(pin)) => Some(format!("{subject} is pinned on {} now: {}", pin.version, pin.reason)),
        (Some(_), None) => Some(format!("{subject} is not pinned any more")),
        (Some(was), Some(now)) if (&was.version, &was.reason) != (&now.version, &now.reason) => {
            let of = |pin: &Pin| format!("{} ({})", pin.version, pin.reason);
            Some(format!("the pin of {subject} is another: {} now, and {} in the plan", of(now), of(was)))
        }
        _ => None,
    };
    subjects.into_iter().filter_map(line).collect()
}

fn scope(was: &Plan, now: &Plan) -> Vec<String> {
    let gone: Vec<HostName> = was.hosts.keys().filter(|host| !now.hosts.contains_key(*host)).cloned().collect();
    let new: Vec<HostName> = now.hosts.keys().filter(|host| !was.hosts.contains_key(*host)).cloned().collect();
    let mut lines = Vec::new();
    for (hosts, how) in [(gone, "no longer in scope"), (new, "in scope now, and not in the plan")] {
        if !hosts.is_empty() {
            lines.push(format!("{}: {how}: {}", count(hosts.len(), "host"), fold(&hosts)));
        }
    }
    let left_out = now.excluded.iter().filter(|(host, why)| was.excluded.get(*host) != Some(why));
    lines.extend(left_out.map(|(host, why)| format!("{host} is left out now: {why}")));
    lines
}

/// What is different of a host that was seen when the plan was made; `None`: it is as it was.
pub fn host(host: &HostName, was: Expect, seen: &Observation) -> Option<String> {
    if seen.incarnation != Some(was.incarnation) {
        return Some(format!("{host} is another installation than when it was planned: it was rebuilt or replaced"));
    }
    let short = |map: Option<crate::model::digest::Digest>| or_none(map.map(|map| map.short()));
    let (before, after) = (short(was.active), short(seen.active));
    (seen.active != was.active).then(|| format!("{host} serves the map {after}, and served {before} when planned"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::Policy;
    use crate::config::sections;
    use crate::model::books::Hold;
    use crate::model::time::Time;
    use crate::plan::facts::{Facts, Load};
    use crate::plan::fixture::{books, done, group, opened, policy, site, wmf};
    use crate::plan::saved::Planned;
    use crate::plan::{forward, hosts};
    use expect_test::{Expect as Text, expect};

    fn made(policy: &Policy, books: &Books, now: u64) -> Result<Plan, Blocked> {
        let goal = forward::promote(site(policy, books, now), &group("group0"), &wmf(11), "x", None)?;
        hosts::plan(site(policy, books, now), goal, None)
    }

    fn saved(policy: &Policy, books: &Books) -> Saved {
        let plan = made(policy, books, 1).expect("it is planned");
        let (content, rollback, past, overruled) = (Vec::new(), Vec::new(), None, BTreeMap::new());
        let facts = Facts { content, load: Load::default(), rollback, past, overruled, changes: true };
        Saved {
            program: String::new(),
            by: "a@ci".to_owned(),
            at: Time(1),
            command: Vec::new(),
            basis: Basis::of(policy, books),
            playbook: None,
            planned: Some(Planned { line: Vec::new(), plan, facts }),
        }
    }

    /// What is said once `change` was made.
    fn check(change: impl Fn(&mut Policy, &mut Books), want: Text) {
        let (mut policy, mut books) = (policy(3), crate::plan::fixture::books(&policy(3)));
        policy.files.insert("groups.yaml".to_owned(), sections::of_yaml("hosts: 1\nlimits: 2\n"));
        let saved = saved(&policy, &books);
        change(&mut policy, &mut books);
        let kept = keep_to(&saved, &Basis::of(&policy, &books), &books, made(&policy, &books, 9));
        let said = kept.map_or_else(|changed| changed.0.join("\n"), |_| "it is kept to".to_owned());
        want.assert_eq(&said);
    }

    #[test]
    fn each_thing_is_named() {
        check(|_, _| {}, expect!["it is kept to"]);
        check(|_, books| books.hosts.clear(), expect!["it is kept to"]);
        let yaml = |text: &'static str| {
            move |policy: &mut Policy, _: &mut Books| {
                policy.files.insert("groups.yaml".to_owned(), sections::of_yaml(text));
            }
        };
        check(yaml("hosts: 1\nlimits: 3\n"), expect!["groups.yaml was changed: limits"]);
        check(yaml("# x\nhosts: 1\nlimits: 2\ngates: []\n"), expect!["groups.yaml was changed: all, gates"]);
        let list = |policy: &mut Policy, _: &mut Books| {
            policy.files.insert("dblists/all.dblist".to_owned(), sections::of_list("enwiki"));
        };
        check(list, expect!["dblists/all.dblist is read now and was not then"]);
        check(
            |_, books| books.id = crate::model::ids::BooksId(8),
            expect!["these are other books than those that it was made from"],
        );
        let held = |_: &mut Policy, books: &mut Books| {
            books.hold = Some(Hold { by: "a".into(), reason: "why".into(), since: Time(5) });
        };
        check(held, expect!["a hold is set by a since 1970-01-01 00:00 UTC: why"]);
        let promoted = |policy: &mut Policy, books: &mut Books| {
            let goal = made(policy, books, 5).expect("it is planned").goal;
            done(books, goal, 6);
        };
        check(
            promoted,
            expect![[r#"
                r1 was undertaken since: promote by operator@deploy1001 at 1970-01-01 00:00 UTC: x
                the wanted state was s1 then and is s2 now"#]],
        );
        check(|policy, _| drop(policy.hosts.pop_last()), expect!["1 host: no longer in scope: mw2003.codfw.wmnet"]);
        let waves = |policy: &mut Policy, _: &mut Books| {
            let roles = policy.hosts.first_entry().map(|host| host.into_mut());
            roles.into_iter().for_each(|host| host.roles = [crate::config::policy::Role::Appserver].into());
        };
        check(waves, expect!["the waves are others"]);
        check(|policy, _| policy.soak.wave_ms = 1, expect!["the gates or their times are others"]);
        let pinned = |policy: &mut Policy, _: &mut Books| {
            let pin = policy.pins.wikis.first_entry().map(|pin| pin.into_mut());
            pin.into_iter().for_each(|pin| pin.reason = "another".to_owned());
        };
        check(
            pinned,
            expect![
                "the pin of labswiki is another: 1.27.0-wmf.9 (another) now, and 1.27.0-wmf.9 (stays behind) in the plan"
            ],
        );
        let content = |_: &mut Policy, books: &mut Books| {
            let wanted = books.snapshots.values_mut().flat_map(|snapshot| snapshot.wanted.values_mut());
            wanted.take(1).for_each(|id| *id = crate::model::digest::Digest::of(b"other"));
        };
        check(content, expect!["wmf-config is 6f9b6927228a in the plan and 3f796163ebf9 now"]);
        check(|policy, _| drop(policy.pins.wikis.pop_first()), expect!["labswiki is not pinned any more"]);
        let lost = |_: &mut Policy, books: &mut Books| {
            books.snapshots.values_mut().for_each(|snapshot| snapshot.wanted.clear());
        };
        check(lost, expect!["it can't be planned any more: version 1.27.0-wmf.11 was never synced (known: )"]);
    }

    #[test]
    fn what_was_unfinished_then_is_so_still_or_has_ended() {
        let (policy, mut books) = (policy(3), books(&policy(3)));
        let goal = made(&policy, &books, 1).expect("it is planned").goal;
        opened(&mut books, goal, false, 1);
        let was = Basis::of(&policy, &books);
        assert_eq!(basis(&was, &was, &books, true), [""; 0]);
        let now = Basis { unfinished: BTreeSet::new(), ..was.clone() };
        assert_eq!(basis(&was, &now, &books, true), ["r1 was unfinished then and has ended"]);
    }

    #[test]
    fn what_hosts_showed_comes_along() {
        let policy = policy(3);
        let books = books(&policy);
        let mut saved = saved(&policy, &books);
        let seen = Expect { incarnation: crate::model::ids::Incarnation(4), active: None };
        let planned = saved.planned.as_mut().expect("it has one");
        planned.plan.hosts.values_mut().take(1).for_each(|part| part.expect = Some(seen));
        let kept =
            keep_to(&saved, &Basis::of(&policy, &books), &books, made(&policy, &books, 9)).expect("it is kept to");
        let expected: Vec<_> = kept.hosts.values().map(|part| part.expect).collect();
        assert_eq!(expected, [Some(seen), None, None]);
        assert_eq!(kept.goal.rollout.at, Time(9), "it is of now");
    }
}
