//! What a policy test expects, held against what came of a replay.
//!
//! Invariant: pure; what is said about a miss is what was found instead, so that nobody has to run it again to know.

use super::columns::span;
use super::played::{Act, ActEnd, ChapterPlayed};
use crate::config::policytest::{Expect, ExpectedAct};

/// Whether it holds; `Err`: what was found instead, a sentence each.
pub fn check(expect: &Expect, chapter: &ChapterPlayed) -> Result<(), Vec<String>> {
    let missed = match expect {
        Expect::Act(expected) => return act(expected, &chapter.acts),
        Expect::NeverForward => listed(chapter, |act| act.forward, "it went forward"),
        Expect::NeverRepair => {
            listed(chapter, |act| !act.repaired.is_empty() || repaired_by_itself(act), "hosts were repaired")
        }
        Expect::Served(group, at_most) => {
            let ms = chapter.served.get(group).map_or(0, |served| served.pointsman_ms);
            let (served, most) = (span(ms), span(*at_most));
            (ms > *at_most).then(|| format!("{group} served it for {served}, expected {most} at most"))
        }
    };
    missed.map_or(Ok(()), |missed| Err(vec![missed]))
}

/// A repair that somebody asked for and that changed something.
fn repaired_by_itself(act: &Act) -> bool {
    act.what.starts_with("repair ") && act.end == ActEnd::Done
}

fn listed(chapter: &ChapterPlayed, is: impl Fn(&Act) -> bool, what: &str) -> Option<String> {
    let acts: Vec<String> = chapter.acts.iter().filter(|act| is(act)).map(told).collect();
    (!acts.is_empty()).then(|| format!("{what}: {}", acts.join("; ")))
}

fn act(expected: &ExpectedAct, acts: &[Act]) -> Result<(), Vec<String>> {
    let name: Vec<&str> = expected.act.split(' ').collect();
    let called =
        |act: &&Act| act.what.split(' ').zip(&name).filter(|(word, wanted)| word == *wanted).count() == name.len();
    let Some(act) = acts.iter().filter(called).nth(expected.nth - 1) else {
        let which = if expected.nth > 1 { format!(" a {}. time", expected.nth) } else { String::new() };
        let others: Vec<String> = acts.iter().map(|act| format!("{} ({})", act.what, act.end.word())).collect();
        let others = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") };
        return Err(vec![format!("`{}` was not undertaken{which}; undertaken: {others}", expected.act)]);
    };
    let mut missed = Vec::new();
    if let Some(is) = expected.is.filter(|is| *is != act.end.word()) {
        missed.push(format!("expected {is}: {}", told(act)));
    }
    if let Some(text) = expected.because.as_ref().filter(|text| act.why.iter().all(|why| !why.contains(*text))) {
        missed.push(format!("expected `{text}` in why: {}", told(act)));
    }
    let ms = act.ended.ms_since(act.began);
    if let Some(within) = expected.within.filter(|within| ms > *within) {
        missed.push(format!("{} took {}, expected {} at most", act.what, span(ms), span(within)));
    }
    if let Some(host) = &expected.repaired {
        let lacked = act.repaired.get(host);
        let hosts: Vec<&str> = act.repaired.keys().map(|host| host.as_str()).collect();
        match (lacked, &expected.lacked) {
            (None, _) if hosts.is_empty() => missed.push(format!("{} repaired nobody, expected {host}", act.what)),
            (None, _) => missed.push(format!("{} repaired {}, expected {host}", act.what, hosts.join(", "))),
            (Some(lacked), Some(text)) if !lacked.contains(text) => {
                missed.push(format!("expected `{text}` in what {host} lacked: {lacked}"));
            }
            _ => {}
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(missed) }
}

/// `promote group1 1.27.0-wmf.11 was held: why`.
fn told(act: &Act) -> String {
    let why = if act.why.is_empty() { String::new() } else { format!(": {}", act.why.join("; ")) };
    let hosts: Vec<&str> = act.repaired.keys().map(|host| host.as_str()).collect();
    let repaired = if hosts.is_empty() { String::new() } else { format!(", {} repaired", hosts.join(", ")) };
    format!("{} ended {}{repaired}{why}", act.what, act.end.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policytest::ENDS;
    use crate::model::time::Time;
    use crate::replay::played::Served;

    fn host() -> crate::model::names::HostName {
        "mw2020.codfw.wmnet".parse().expect("a host")
    }

    fn one(what: &str, end: ActEnd) -> Act {
        let (began, ended) = (Time(0), Time(600_000));
        let why = vec!["text-5xx: too many".to_owned()];
        Act { what: what.to_owned(), began, ended, end, why, repaired: [].into(), left: [].into(), forward: false }
    }

    fn chapter(acts: Vec<Act>) -> ChapterPlayed {
        let served = Served { history_ms: 0, pointsman_ms: 600_000 };
        ChapterPlayed {
            name: "night".to_owned(),
            from: Time(0),
            to: Time(1),
            rows: Vec::new(),
            acts,
            unmeasured: Vec::new(),
            served: [("group1".parse().expect("a group"), served)].into(),
        }
    }

    fn expected(act: &str) -> ExpectedAct {
        let act = act.to_owned();
        ExpectedAct { act, nth: 1, is: None, because: None, within: None, repaired: None, lacked: None }
    }

    fn misses(expect: Expect, acts: Vec<Act>) -> Vec<String> {
        check(&expect, &chapter(acts)).err().unwrap_or_default()
    }

    #[test]
    fn every_part_of_an_expectation_can_hold_and_can_be_missed() {
        let back = || one("promote group1 1.27.0-wmf.11", ActEnd::RolledBack);
        let whole = ExpectedAct {
            is: Some("rolled-back"),
            because: Some("text-5xx".to_owned()),
            within: Some(600_000),
            ..expected("promote group1")
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(misses(Expect::Act(whole.clone()), vec![back()]), none);
        let other = ExpectedAct {
            is: Some("held"),
            because: Some("blocker".to_owned()),
            within: Some(540_000),
            repaired: Some(host()),
            ..whole
        };
        assert_eq!(
            misses(Expect::Act(other), vec![back()]),
            [
                "expected held: promote group1 1.27.0-wmf.11 ended rolled-back: text-5xx: too many",
                "expected `blocker` in why: promote group1 1.27.0-wmf.11 ended rolled-back: text-5xx: too many",
                "promote group1 1.27.0-wmf.11 took 10 min, expected 9 min at most",
                "promote group1 1.27.0-wmf.11 repaired nobody, expected mw2020.codfw.wmnet",
            ]
        );
    }

    #[test]
    fn undertakings_are_found_by_whole_words_and_counted() {
        let acts = || vec![one("promote group10 v", ActEnd::Held), one("promote group1 v", ActEnd::Promoted)];
        let held = ExpectedAct { is: Some("promoted"), ..expected("promote group1") };
        assert_eq!(misses(Expect::Act(held), acts()), Vec::<String>::new());
        let second = ExpectedAct { nth: 2, ..expected("promote group1") };
        assert_eq!(
            misses(Expect::Act(second), acts()),
            [
                "`promote group1` was not undertaken a 2. time; undertaken: promote group10 v (held), promote group1 v (promoted)"
            ]
        );
        assert_eq!(
            misses(Expect::Act(expected("rollback")), Vec::new()),
            ["`rollback` was not undertaken; undertaken: nothing"]
        );
    }

    #[test]
    fn repairs_forward_moves_and_minutes_are_seen() {
        let mut back = one("rollback", ActEnd::Done);
        back.repaired.insert(host(), "cache/l10n has 0 of 449 files".to_owned());
        let lacked = |text: &str| {
            Expect::Act(ExpectedAct { repaired: Some(host()), lacked: Some(text.to_owned()), ..expected("rollback") })
        };
        assert_eq!(misses(lacked("cache/l10n"), vec![back.clone()]), Vec::<String>::new());
        assert_eq!(
            misses(lacked("php-1"), vec![back.clone()]),
            ["expected `php-1` in what mw2020.codfw.wmnet lacked: cache/l10n has 0 of 449 files"]
        );
        assert_eq!(
            misses(Expect::NeverRepair, vec![back.clone()]),
            ["hosts were repaired: rollback ended done, mw2020.codfw.wmnet repaired: text-5xx: too many"]
        );
        assert_eq!(misses(Expect::NeverRepair, vec![one("repair a", ActEnd::Nothing)]), Vec::<String>::new());
        assert_eq!(misses(Expect::NeverRepair, vec![one("repair a", ActEnd::Done)]).len(), 1);
        assert_eq!(misses(Expect::NeverForward, vec![back.clone()]), Vec::<String>::new());
        back.forward = true;
        assert_eq!(misses(Expect::NeverForward, vec![back]).len(), 1);
        let group: crate::model::names::Group = "group1".parse().expect("a group");
        assert_eq!(misses(Expect::Served(group.clone(), 600_000), Vec::new()), Vec::<String>::new());
        assert_eq!(
            misses(Expect::Served(group, 300_000), Vec::new()),
            ["group1 served it for 10 min, expected 5 min at most"]
        );
    }

    #[test]
    fn ends_of_files_are_those_of_replays() {
        let all = [
            ActEnd::Promoted,
            ActEnd::Held,
            ActEnd::Stale,
            ActEnd::RolledBack,
            ActEnd::Paused,
            ActEnd::Done,
            ActEnd::Nothing,
        ];
        assert_eq!(all.map(ActEnd::word), ENDS);
    }
}
