//! A file system that is really full: there is less and less room for the books, or for a host, and one converge settles
//! the rest once there is room again.

use crate::amount::{Trial, try_points};
use crate::killed::{CONVERGE, PROMOTE, SYNC_COMMON};
use crate::stand::{Drill, End, Stand};

/// How many rooms are tried in a usual run.
const USUALLY: usize = 3;

/// How much less room the next trial has, in kB: a page.
const PAGE_KB: usize = 4;

/// Enough even where SQLite puts off emptying its log, which it does from 1,000 pages on.
const PLENTY_KB: usize = 16 << 10;

/// Less and less room for a part of the site, from as many kB on as are nearly always enough.
fn drill(drill: &'static Drill, part: impl Fn(&Stand) -> String, enough_kb: usize) {
    let stand = Stand::new(drill);
    let part = part(&stand);
    let tried = |room: &usize| {
        let (end, said) = stand.trial_on_full(&part, *room);
        let judged = stand.judge(end, &said);
        let judged = judged.map_err(|why| format!("{} with {room} kB: {why}\nit had said:\n{said}", drill.name));
        (end, judged)
    };
    let (end, judged) = tried(&0);
    assert!(end != End::Code(0) && judged == Ok(()), "without room it ended with {end}: {judged:?}");
    assert_eq!(tried(&PLENTY_KB), (End::Code(0), Ok(())));
    let reaches = (0..5).any(|_| tried(&enough_kb) == (End::Code(0), Ok(())));
    assert!(reaches, "{enough_kb} kB are not enough, so that the last writes are never without room");
    let rooms = (PAGE_KB..enough_kb).step_by(PAGE_KB).map(|room| (format!("{room} kB"), room));
    try_points(&format!("{}, {part} full", drill.name), &rooms.collect::<Vec<_>>(), USUALLY, |room| {
        let (end, judged) = tried(room);
        Trial { kind: "rooms".to_owned(), end: end.to_string(), judged }
    });
}

fn books(_: &Stand) -> String {
    "books".to_owned()
}

fn host(stand: &Stand) -> String {
    format!("hosts/{}", stand.site.hosts()[1])
}

#[test]
fn a_promotion_has_no_room_for_its_books() {
    drill(&PROMOTE, books, 480);
}

#[test]
fn a_converge_has_no_room_for_its_books() {
    drill(&CONVERGE, books, 640);
}

#[test]
fn a_sync_of_all_has_no_room_for_its_books() {
    drill(&SYNC_COMMON, books, 704);
}

#[test]
fn a_promotion_has_no_room_on_a_host() {
    drill(&PROMOTE, host, 32);
}

#[test]
fn a_converge_has_no_room_on_a_host() {
    drill(&CONVERGE, host, 256);
}

#[test]
fn a_sync_of_all_has_no_room_on_a_host() {
    drill(&SYNC_COMMON, host, 128);
}
