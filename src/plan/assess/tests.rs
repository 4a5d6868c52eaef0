//! Who a host is and what it lacks, each reason by itself and at its limit.

use super::*;
use crate::model::protocol::{Facts, Fence, Level};
use crate::model::stale::Stale;
use crate::model::time::Time;
use std::collections::BTreeMap;

const OURS: BooksId = BooksId(1);

fn host(name: &str) -> HostName {
    name.parse().expect("a host")
}

fn generation(epoch: u64, seq: u64) -> Generation {
    Generation { epoch, seq }
}

/// Books of epoch 5 that know `mw1` as installation 1 with fence 5.3.
fn books() -> Books {
    let mut books = Books::new(OURS);
    books.epoch = 5;
    let row = HostRow { incarnation: Some(Incarnation(1)), fence: Some(generation(5, 3)), ..HostRow::default() };
    books.hosts.insert(host("mw1"), row);
    books
}

/// What installation `incarnation` shows after the command `fence` of our books.
fn seen(incarnation: u128, fence: Generation) -> Observation {
    Observation {
        incarnation: Some(Incarnation(incarnation)),
        boot_id: "b".to_owned(),
        active: None,
        versions: BTreeMap::new(),
        fence: Some(Fence { books: OURS, generation: fence }),
        journal_open: false,
        readiness: Vec::new(),
        held: BTreeMap::new(),
        confirmed: Vec::new(),
        facts: Facts::default(),
    }
}

fn want(component: &str, id: &str) -> Want {
    Want { component: component.parse().expect("a component"), id: Digest::of(id.as_bytes()), artefacts: Vec::new() }
}

#[test]
fn a_host_is_who_the_books_know_or_one_of_four_others() {
    let (books, mw1, mw2) = (books(), host("mw1"), host("mw2"));
    let good = seen(1, generation(5, 3));
    assert_eq!(identity(&books, &mw1, &good), None);
    assert_eq!(identity(&books, &mw2, &seen(2, generation(5, 3))), None, "a new host");
    assert_eq!(identity(&books, &mw2, &good), Some(StaleReason::Cloned { twin: mw1.clone() }));
    let theirs = Observation { fence: Some(Fence { books: BooksId(2), generation: generation(5, 3) }), ..good.clone() };
    assert_eq!(identity(&books, &mw1, &theirs), Some(StaleReason::Refused(Refusal::Foreign(BooksId(2)))));
    let rebuilt = |was, now| Some(StaleReason::Rebuilt { was: Incarnation(was), now: Incarnation(now) });
    assert_eq!(identity(&books, &mw1, &seen(9, generation(5, 3))), rebuilt(1, 9));
    let without_state = Observation { incarnation: None, fence: None, ..good };
    assert_eq!(identity(&books, &mw1, &without_state), rebuilt(1, 0));
    assert_eq!(identity(&books, &mw1, &seen(1, generation(5, 2))), rebuilt(1, 1), "a restored image");
    assert_eq!(identity(&books, &mw1, &seen(1, generation(5, 4))), None, "its fence may be higher");
}

#[test]
fn a_fence_may_leap_so_far_and_no_further() {
    let (books, mw1) = (books(), host("mw1"));
    let highest = 5 + FENCE_EPOCH_LEAP_MAX;
    assert_eq!(identity(&books, &mw1, &seen(1, generation(highest, 0))), None);
    let absurd = Some(StaleReason::AbsurdFence { epoch: highest + 1 });
    let above = seen(1, generation(highest + 1, 0));
    assert_eq!(identity(&books, &mw1, &above), absurd);
    assert_eq!(behind(&books, &mw1, None, &above), None, "that is no other copy of the books");
    assert_eq!(Some(fenced(&books, generation(highest + 1, 0))), absurd);
    assert_eq!(fenced(&books, generation(highest, 0)), StaleReason::BooksBehind { fence: generation(highest, 0) });
}

#[test]
fn books_are_behind_a_host_that_obeyed_what_they_never_sent() {
    let (mut books, mw1) = (books(), host("mw1"));
    let sent = Some(generation(5, 3));
    let behind_it = |epoch, seq| Some(StaleReason::BooksBehind { fence: generation(epoch, seq) });
    assert_eq!(behind(&books, &mw1, sent, &seen(1, generation(5, 3))), None);
    assert_eq!(behind(&books, &mw1, sent, &seen(1, generation(5, 4))), behind_it(5, 4));
    assert_eq!(behind(&books, &mw1, None, &seen(1, generation(5, 4))), None, "nothing is known to be sent");
    assert_eq!(behind(&books, &mw1, sent, &seen(9, generation(5, 4))), None, "another installation brought it along");
    assert_eq!(behind(&books, &mw1, sent, &seen(9, generation(6, 0))), behind_it(6, 0), "an epoch that nobody took");
    let theirs = Fence { books: BooksId(2), generation: generation(6, 0) };
    let theirs = Observation { fence: Some(theirs), ..seen(1, generation(5, 3)) };
    assert_eq!(behind(&books, &mw1, sent, &theirs), None, "that is another reason");
    let reason = StaleReason::BooksBehind { fence: generation(7, 1) };
    books.hosts.get_mut(&mw1).expect("it is known").stale = Some(Stale { reason, since: Time(0) });
    assert_eq!(behind(&books, &mw1, sent, &seen(1, generation(5, 3))), behind_it(7, 1), "it stays so");
    assert_eq!(behind(&books, &mw1, sent, &seen(9, generation(5, 3))), None, "for this installation");
}

#[test]
fn what_a_host_lacks_is_told_by_proofs_then_by_markers() {
    let (php, conf) = (want("php-1.27.0-wmf.10", "a"), want("wmf-config", "b"));
    let wants = [php.clone(), conf.clone()];
    let ready =
        |want: &Want| (want.component.clone(), Readiness::Ready { files: 1, bytes: 1, level: Level::L1, age_ms: 0 });
    let absent = |want: &Want| (want.component.clone(), Readiness::Absent);
    let mut seen = seen(1, generation(5, 3));
    assert_eq!(unmarked(&seen, &wants), [absent(&php), absent(&conf)]);
    seen.held = BTreeMap::from([(php.component.clone(), php.id), (conf.component.clone(), php.id)]);
    let differs = (conf.component.clone(), Readiness::Differs { have: php.id });
    assert_eq!(unmarked(&seen, &wants), std::slice::from_ref(&differs));
    assert_eq!(lacking(&seen, &wants), Some(StaleReason::NotReady(vec![differs])));
    seen.held.insert(conf.component.clone(), conf.id);
    assert_eq!((readiness(&seen), lacking(&seen, &wants)), (None, None));
    seen.readiness = vec![ready(&php), absent(&conf)];
    let proven = Some(StaleReason::NotReady(vec![absent(&conf)]));
    assert_eq!((readiness(&seen), lacking(&seen, &wants)), (proven.clone(), proven.clone()));
    assert_eq!(all(&books(), &host("mw1"), &seen, php.id), proven, "before the map");
    seen.readiness = vec![ready(&php)];
    let map_of = |have| Some(StaleReason::MapDiffers { have, want: php.id });
    assert_eq!(all(&books(), &host("mw1"), &seen, php.id), map_of(None));
    seen.active = Some(conf.id);
    assert_eq!(map(&seen, php.id), map_of(Some(conf.id)));
    seen.active = Some(php.id);
    assert_eq!(all(&books(), &host("mw1"), &seen, php.id), None);
    assert_eq!(expect(&seen), Some(Expect { incarnation: Incarnation(1), active: Some(php.id) }));
    assert_eq!(expect(&Observation { incarnation: None, ..seen }), None);
}
