//! The machine with every way in which its process can die: what is not on the books did not happen.

use super::budget::Broken;
use super::machine::{Effect, Event, Machine};
use super::windows;
use crate::config::playbook::parse;
use crate::config::playbook::spec::Playbook;
use crate::model::ids::PlaybookId;
use crate::model::playbook::{PlaybookRecord, PlaybookRun, PlaybookStatus};
use crate::model::time::Time;
use crate::plan::fixture;
use std::collections::BTreeMap;
use std::path::Path;

const TRAIN: &str = r#"name: train
stages:
  - {name: look, check: {}}
  - {name: group0, promote: {group: group0, version: "1.27.0-wmf.11", message: m}, on_fail: rollback}
  - {name: wait, soak: {time: 1h}, on_fail: rollback}
  - {name: tell, notify: {sal: done}, on_fail: continue}
"#;

/// The code of a run whose process died when all was written.
const UNHEARD: u8 = 255;

fn playbook(text: &str) -> Playbook {
    let policy = fixture::policy(12);
    parse(Path::new("p.yaml"), text, &policy, &BTreeMap::new()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

pub(super) fn begun() -> PlaybookRun {
    PlaybookRun {
        id: PlaybookId(1),
        file: "p.yaml".into(),
        text: String::new(),
        vars: BTreeMap::new(),
        by: "a".to_owned(),
        at: Time(0),
        status: PlaybookStatus::Open,
        why: String::new(),
        override_freeze: None,
        seen: 0,
        stages: BTreeMap::new(),
    }
}

/// What came of a run in several processes.
#[derive(Debug, PartialEq)]
struct Ended {
    /// The books' row.
    status: PlaybookStatus,
    code: u8,
    /// Stages that were carried out, and `back`.
    done: Vec<String>,
    effects: usize,
}

/// Plays a playbook whose stages end with these codes; the process dies after `dies` effects, once.
fn play(playbook: &Playbook, codes: &[(&str, u8)], back: u8, dies: Option<usize>) -> Ended {
    let code = |name: &str| codes.iter().find(|(stage, _)| *stage == name).map_or(0, |(_, code)| *code);
    let mut books = BTreeMap::from([(PlaybookId(1), begun())]);
    let (mut done, mut effects, mut left) = (Vec::new(), 0, dies);
    'process: loop {
        let status = books[&PlaybookId(1)].status;
        if !status.is_unfinished() {
            // It died after its last record: nobody takes it up, and nobody hears its code.
            return Ended { status, code: UNHEARD, done, effects };
        }
        let mut machine = Machine::new(playbook, books[&PlaybookId(1)].clone());
        let mut waiting = machine.go_on(Time(effects as u64));
        while !waiting.is_empty() {
            let effect = waiting.remove(0);
            effects += 1;
            if left.is_some_and(|left| effects > left) {
                left = None;
                continue 'process;
            }
            let now = Time(effects as u64);
            let event = match effect {
                Effect::Persist(records) => {
                    records.iter().for_each(|record| record.apply(now, &mut books));
                    continue;
                }
                Effect::Tell(_) => continue,
                Effect::Do(at) => {
                    let name = playbook.stages[at].name.clone();
                    let row = &books[&PlaybookId(1)].stages[&name];
                    assert_eq!(row.code, None, "{name} is on the books as begun");
                    done.push(name.clone());
                    Event::Ended { code: code(&name), broken: Broken::default() }
                }
                Effect::Back(_) => {
                    let status = books[&PlaybookId(1)].status;
                    assert_eq!(status, PlaybookStatus::GoingBack, "it is on the books before anything goes back");
                    done.push("back".to_owned());
                    Event::WentBack(back)
                }
                Effect::Finish(code) => {
                    return Ended { status: books[&PlaybookId(1)].status, code, done, effects };
                }
            };
            waiting.extend(machine.step(now, event));
        }
        panic!("a machine ends with a code");
    }
}

/// Every end of a run is the same wherever its process dies; at most one stage, or the way back, is done twice.
#[track_caller]
fn dies_anywhere(playbook: &Playbook, codes: &[(&str, u8)], back: u8) -> Ended {
    let whole = play(playbook, codes, back, None);
    for dies in 0..whole.effects {
        let cut = play(playbook, codes, back, Some(dies));
        let code = if cut.code == UNHEARD { UNHEARD } else { whole.code };
        assert_eq!((cut.status, cut.code), (whole.status, code), "it died after {dies} effects");
        let mut once = cut.done.clone();
        once.dedup();
        assert_eq!(once, whole.done, "it died after {dies} effects");
        assert!(cut.done.len() <= whole.done.len() + 1, "{:?}", cut.done);
    }
    whole
}

#[test]
fn a_run_ends_the_same_wherever_its_process_dies() {
    let train = playbook(TRAIN);
    let ended = dies_anywhere(&train, &[], 0);
    assert_eq!((ended.status, ended.code), (PlaybookStatus::Done, 0));
    assert_eq!(ended.done, ["look", "group0", "wait", "tell"]);
    // A failure that is borne.
    let ended = dies_anywhere(&train, &[("tell", 1)], 0);
    assert_eq!((ended.status, ended.code), (PlaybookStatus::Done, 0));
    let ended = dies_anywhere(&train, &[("group0", 8)], 0);
    assert_eq!((ended.status, ended.code), (PlaybookStatus::Done, 8), "hosts are owed");
    let borne = playbook(&TRAIN.replace("check: {}", "check: {}, on_fail: continue"));
    let ended = dies_anywhere(&borne, &[("look", 7)], 0);
    assert_eq!((ended.status, ended.code), (PlaybookStatus::Done, 8), "hosts are stale");
}

#[test]
fn a_run_that_goes_back_never_goes_forward_again() {
    let train = playbook(TRAIN);
    for failing in [3, 4, 7, 1] {
        let ended = dies_anywhere(&train, &[("wait", failing)], 0);
        assert_eq!((ended.status, ended.code), (PlaybookStatus::TakenBack, 3), "{failing}");
        assert_eq!(ended.done, ["look", "group0", "wait", "back"], "{failing}");
    }
    let owed = dies_anywhere(&train, &[("wait", 3)], 8);
    assert_eq!((owed.status, owed.code), (PlaybookStatus::TakenBack, 8));
    // It is not through, so that it can be gone on with.
    let ended = dies_anywhere(&train, &[("wait", 3)], 5);
    assert_eq!((ended.status, ended.code), (PlaybookStatus::GoingBack, 5));
}

#[test]
fn a_stage_that_fails_pauses_with_its_code_and_is_run_again() {
    let train = playbook(TRAIN);
    let ended = play(&train, &[("look", 7)], 0, None);
    assert_eq!((ended.status, ended.code), (PlaybookStatus::Paused, 7));
    assert_eq!(ended.done, ["look"]);
    // A signal is no failure of the stage: nothing is taken back.
    let ended = dies_anywhere(&train, &[("group0", 130)], 0);
    assert_eq!((ended.status, ended.code), (PlaybookStatus::Paused, 130));
    let mut run = begun();
    run.status = PlaybookStatus::Paused;
    let mut machine = Machine::new(&train, run);
    assert!(matches!(machine.go_on(Time(1)).as_slice(), [Effect::Persist(_), Effect::Do(0)]));
    assert_eq!(machine.run().status, PlaybookStatus::Open);
}

#[test]
fn what_others_do_ends_a_run() {
    let train = playbook(TRAIN);
    let mut machine = Machine::new(&train, begun());
    machine.go_on(Time(1));
    let effects = machine.step(Time(2), Event::Superseded("r9 took the fleet back".to_owned()));
    assert_eq!(machine.run().status, PlaybookStatus::Superseded);
    assert_eq!(effects.last(), Some(&Effect::Finish(5)));
    let mut machine = Machine::new(&train, begun());
    machine.go_on(Time(1));
    assert_eq!(machine.step(Time(2), Event::Aborted(PlaybookStatus::Aborted)).last(), Some(&Effect::Finish(4)));
    assert_eq!(machine.run().status, PlaybookStatus::Aborted);
}

#[test]
fn what_a_person_ended_stays_so_whatever_its_process_still_writes() {
    let stands = |status| PlaybookRecord::Stands { id: PlaybookId(1), status, why: "x".to_owned(), by: "b".to_owned() };
    use PlaybookStatus::{Aborted, Done, GoingBack, Open, Paused, Superseded, TakenBack};
    let after = |first, second| {
        let mut books = BTreeMap::from([(PlaybookId(1), begun())]);
        [stands(first), stands(second)].iter().for_each(|record| record.apply(Time(1), &mut books));
        books[&PlaybookId(1)].status
    };
    for late in [Open, Paused, Done, Superseded, Aborted] {
        assert_eq!(after(Aborted, late), Aborted);
        assert_eq!(after(GoingBack, late), GoingBack, "{late:?}");
    }
    assert_eq!(after(GoingBack, TakenBack), TakenBack);
    assert_eq!(after(TakenBack, GoingBack), TakenBack);
    assert_eq!(after(Paused, Done), Done);
}

/// 2016-03-27 is the day on which Berlin's clocks go from 2 to 3.
#[test]
fn hours_are_those_of_their_zone_on_the_days_on_which_clocks_change_too() {
    let text = format!(
        "{}hours: {{timezone: Europe/Berlin, days: [sun, mon], from: \"09:00\", to: \"17:00\"}}\n\
         freeze: [{{timezone: Europe/Berlin, from: 2016-03-28, to: 2016-03-29, reason: Easter}}]\n",
        TRAIN
    );
    let playbook = playbook(&text);
    let closed = |at: &str| windows::closed(&playbook, Time::parse(at).expect("a time"));
    assert!(closed("2016-03-20T07:59:59Z").is_some_and(|why| why.contains("09:00 to 17:00 in Europe/Berlin")));
    assert_eq!(closed("2016-03-20T08:00:00Z"), None, "winter: an hour ahead");
    assert_eq!(closed("2016-03-27T07:00:00Z"), None, "summer: two hours ahead");
    assert!(closed("2016-03-27T06:59:59Z").is_some());
    assert_eq!(closed("2016-03-27T14:59:59Z"), None);
    assert!(closed("2016-03-27T15:00:00Z").is_some(), "17:00 there, which is no longer within");
    assert!(closed("2016-03-26T10:00:00Z").is_some(), "a Saturday");
    // The freeze is that of days there, not of days in UTC.
    assert!(closed("2016-03-28T10:00:00Z").is_some_and(|why| why.contains("Easter")));
    assert!(closed("2016-03-27T22:00:00Z").is_some_and(|why| why.contains("Easter")));
    assert!(closed("2016-03-27T21:59:59Z").is_some_and(|why| !why.contains("Easter")));
    let mut frozen = Machine::new(&playbook, begun());
    let friday = Time::parse("2016-04-01T10:00:00Z").expect("a time");
    // Looking is allowed at any hour.
    assert!(matches!(frozen.go_on(friday).last(), Some(Effect::Do(0))));
    let effects = frozen.step(friday, Event::Ended { code: 0, broken: Broken::default() });
    assert_eq!(effects.last(), Some(&Effect::Finish(10)));
    let mut overridden =
        Machine::new(&playbook, PlaybookRun { override_freeze: Some("x".to_owned()), ..frozen.run().clone() });
    assert!(matches!(overridden.go_on(friday).last(), Some(Effect::Do(1))));
}
