//! What is written down of commands and answers.

use super::*;
use crate::model::ids::Generation;

/// Each answer as `COMMAND: RESULT`, and how often.
fn outcomes(story: &Story) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in &story.records {
        if let Record::Outcome { command, result, .. } = record {
            *counts.entry(format!("{command}: {result}")).or_default() += 1;
        }
    }
    counts
}

fn counts<const N: usize>(of: [(&str, usize); N]) -> BTreeMap<String, usize> {
    of.map(|(what, count)| (what.to_owned(), count)).into()
}

#[test]
fn every_answer_is_written_down_by_the_command_that_it_is_to() {
    let story = Trial::promotion(3).run();
    // The last confirmations are still out when all that counts is done; nobody waits for what they say.
    assert_eq!(outcomes(&story), counts([("observe: ok", 3), ("switch: ok", 3), ("confirm: ok", 3)]));
    let policy = policy(3);
    let books = books(&policy);
    let mut trial = Trial::new(policy, books, converge_all);
    trial.host(0).lacks = [Component::Version(wmf(10))].into();
    let story = trial.run_with(|number, _, _| match number {
        1 => Some(Err(Fault::NoRoute)),
        2 => Some(Ok(Reply::Refused(Refusal::ReadOnly))),
        _ => None,
    });
    let refused = format!("observe: refused: {}", Refusal::ReadOnly);
    let expected =
        [("observe: ok", 2), ("prepare: ok", 1), ("confirm: ok", 1), ("observe: no route to host", 1), (&*refused, 1)];
    assert_eq!(outcomes(&story), counts(expected));
}

#[test]
fn commands_are_written_down_before_they_are_sent_each_with_a_number_of_its_own() {
    let story = Trial::promotion(3).run();
    let intents = story.records.iter().filter_map(|record| match record {
        Record::Intents { command, hosts, .. } => {
            Some(hosts.iter().map(move |(host, of)| (host, *of, command.as_str())))
        }
        _ => None,
    });
    let mut intents: Vec<(&HostName, Generation, &str)> = intents.flatten().collect();
    intents.sort_by_key(|(_, generation, _)| *generation);
    let kind = |command: &Command| match command {
        Command::Observe { .. } => "observe",
        Command::Prepare { .. } => "prepare",
        Command::Switch { .. } => "switch",
        Command::Confirm { .. } => "confirm",
    };
    let sent = story.sent.iter().map(|(host, command)| (host, command.stamp().generation, kind(command)));
    let mut sent: Vec<_> = sent.collect();
    sent.sort_by_key(|(_, generation, _)| *generation);
    assert_eq!(intents, sent);
    let numbers: Vec<u64> = sent.iter().map(|(_, generation, _)| generation.seq).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<u64>>());
    assert_eq!(story.seq, 9, "who goes on under the same epoch begins there");
}

#[test]
fn what_is_confirmed_is_the_map_that_was_switched_to() {
    let trial = Trial::promotion(3);
    let target = trial.plan.hosts.values().next().expect("hosts").map;
    let story = trial.run();
    let confirmed = story.sent.iter().filter_map(|(_, command)| match command {
        Command::Confirm { expect, .. } => expect.active,
        _ => None,
    });
    assert_eq!(confirmed.collect::<Vec<_>>(), [target; 3]);
}

#[test]
fn a_host_is_known_by_what_it_showed_when_it_was_proven() {
    let trial = Trial::promotion(3);
    let (name, of) = (trial.name(2), Some(Incarnation(3)));
    let (old, new) = (trial.hosts[&name].active, Some(trial.plan.hosts[&name].map));
    let story = trial.run();
    let generation = |which: fn(&Command) -> bool| {
        let sent = story.sent.iter().find(|(host, command)| *host == name && which(command));
        sent.map(|(_, command)| command.stamp().generation)
    };
    let seen = story.records.iter().filter_map(|record| match record {
        Record::Seen { host, incarnation, active, generation, .. } if *host == name => {
            Some((*incarnation, *active, *generation))
        }
        _ => None,
    });
    let (looked, switched) = (generation(is_observe), generation(is_switch));
    // What it showed, twice, each time before it was proven, and then as proven.
    let known = [(None, old, None), (of, old, looked), (of, new, switched), (of, new, switched)];
    assert_eq!(seen.collect::<Vec<_>>(), known);
}

#[test]
fn who_refuses_the_very_command_that_it_obeyed_obeyed_nobody_else() {
    for (newer, behind) in [(0, false), (1, true)] {
        let trial = Trial::promotion(3);
        let name = trial.name(1);
        let mut fence = None;
        let story = trial.run_with(|number, command, _| {
            let Generation { epoch, seq } = command.stamp().generation;
            let of = Generation { epoch, seq: seq + newer };
            (number == 1).then(|| Ok(Reply::Refused(Refusal::Fenced(*fence.insert(of)))))
        });
        let fence = fence.expect("it was asked");
        let reason = match behind {
            true => StaleReason::BooksBehind { fence },
            false => StaleReason::Refused(Refusal::Fenced(fence)),
        };
        assert_eq!(stale_at_once(&story)[&name], reason);
    }
}

/// The line of effect as it stands in the books.
fn effect(story: &Story) -> &str {
    let mut ends = story.records.iter().rev().filter_map(|record| match record {
        Record::Ended { effect, .. } => Some(effect.as_str()),
        _ => None,
    });
    ends.next().expect("it ended")
}

#[test]
fn the_effect_is_one_line_who_moved_from_where_to_where_and_on_how_many_hosts() {
    let moved = "group0: 5 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11";
    assert_eq!(effect(&Trial::promotion(3).run()), format!("{moved}; 3 of 3 hosts proven"));
    let mut trial = Trial::promotion(4);
    trial.policy.limits.stale_hosts_max = 1;
    let story = trial.run_with(lost_switch(3));
    assert_eq!(effect(&story), format!("{moved}; 3 of 4 hosts proven"));
    let policy = policy(3);
    let mut books = books(&policy);
    let [fixed, cut] = [10, 13].map(|n| Component::Version(wmf(n)));
    let before = books.wanted().expect("a state").wanted[&fixed];
    let content = [(fixed, Digest::of(b"fix")), (cut, Digest::of(b"cut"))].into();
    let sync = |site: Site<'_>| content::sync(site, &content, None, false, "fix");
    let story = Trial::new(policy.clone(), books.clone(), sync).run();
    let (before, after, new) = (before.short(), Digest::of(b"fix").short(), Digest::of(b"cut").short());
    let moved = format!("new content: php-1.27.0-wmf.10 {before} -> {after}, php-1.27.0-wmf.13 {new}");
    assert_eq!(effect(&story), format!("{moved}; 3 of 3 hosts proven"));
    let goal = sync(site(&policy, &books, 1)).expect("it is planned");
    done(&mut books, goal, 1);
    let story = Trial::new(policy, books, |site| content::undo(site, None, "worse")).run();
    let moved = format!("new content: php-1.27.0-wmf.10 {after} -> {before}");
    assert_eq!(effect(&story), format!("r1 undone: {moved}; 3 of 3 hosts proven"));
}

#[test]
fn an_old_proof_will_do_but_where_it_is_made_anew_or_something_is_repaired() {
    let ages = |story: &Story| -> Vec<Option<u64>> {
        let age = |(_, command): &(HostName, Command)| match command {
            Command::Observe { peek, .. } => Some(peek.proof_age_ms_max),
            _ => None,
        };
        story.sent.iter().filter_map(age).collect()
    };
    let mut trial = Trial::promotion(3);
    let most = 60_000;
    trial.policy.limits.proof_age_ms_max = most;
    trial.plan.waves = vec![trial.plan.waves.concat()];
    trial.hosts.values_mut().for_each(|host| host.age_ms = most + 1);
    assert_eq!(ages(&trial.run()), [Some(most), Some(most), Some(most), None, None, None]);
    let policy = policy(2);
    let books = books(&policy);
    let story = Trial::new(policy, books, converge_all).run();
    assert_eq!(ages(&story), [None, None]);
}
