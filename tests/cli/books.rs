//! Lost and damaged books.

use crate::site::{Site, V11};
use std::fs;

#[test]
fn a_rollback_from_the_fleet_needs_no_books() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    site.promote("group1", V11).ends(0);
    assert_eq!(site.counts(), ".10: 2, .11: 5");
    for file in fs::read_dir(site.path("books")).expect("listed") {
        let path = file.expect("listed").path();
        if path.is_file() {
            fs::remove_file(path).expect("removed");
        }
    }
    site.run(&["status"]).ends(1).says("--from-fleet");
    site.run(&["rollback", "--from-fleet", "--yes", "-m", "the books are lost"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["status"]).ends(0).says("stale: none").says("the books are lost");
    site.run(&["journal", "verify"]).ends(0).says("events, head");
    site.run(&["release"]).ends(0);
    site.run(&["check"]).ends(0);
}

#[test]
fn one_flipped_byte_in_the_books_is_named() {
    let site = Site::small("");
    site.run(&["hold", "-m", "switchover of S7 at noon"]).ends(0);
    site.run(&["release"]).ends(0);
    site.run(&["journal", "verify"]).ends(0);
    let file = site.path("books/books.sqlite");
    let mut bytes = fs::read(&file).expect("read");
    let needle = b"switchover of S7";
    let places: Vec<usize> = (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty(), "the reason is in the books");
    for at in places {
        bytes[at + needle.len() - 1] = b'6';
    }
    fs::write(&file, bytes).expect("written");
    let said = site.run(&["journal", "verify"]).ends(1);
    assert!(said.stderr.contains("event"), "{said}");
}

#[test]
fn damaged_books_are_set_aside_and_good_ones_are_not_replaced() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    site.run(&["rollback", "--from-fleet"]).ends(1).says("there are books in");
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    fs::write(site.path("books/books.sqlite"), "no books\n".repeat(1_000)).expect("written");
    site.run(&["status"]).ends(1).says("damaged").says("--from-fleet");
    site.run(&["rollback", "--from-fleet"]).ends(0);
    assert_eq!(site.counts(), ".10: 7");
    assert!(site.path("books/books.sqlite.damaged-1").is_file(), "nothing is deleted");
}
