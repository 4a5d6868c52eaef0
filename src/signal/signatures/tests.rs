//! What is new, what is known, and from where.

use super::super::clusters::FURTHER;
use super::super::testworld::{Memory, block_on, scope};
use super::*;
use crate::gate::signature::Seen;
use crate::model::limits::SIGNATURES_MAX;

const LOG: &str = "/var/log/mediawiki/exception.log";
const REQUESTS: &str = "/var/log/apache2/access.log";

fn read(from: &mut FileSignatures, scope: &Scope, world: &Memory) -> Vec<String> {
    let reading = block_on(from.read(scope, world)).expect("hosts answer");
    let What::Signatures(seen) = reading.what else { panic!("signatures give signatures") };
    let line = |seen: Seen| {
        let hosts: Vec<_> = seen.hosts.iter().map(|(host, n)| format!("{host} {n}")).collect();
        let known = if seen.known_since.is_some() { "known" } else { "new" };
        format!("{known} {} ({}; {})", seen.signature, hosts.join(", "), seen.sample)
    };
    seen.into_iter().map(line).collect()
}

#[test]
fn what_was_seen_before_or_elsewhere_is_known() {
    let world = Memory::new(&["a", "b"]);
    world.at(50);
    let books = BTreeMap::from([("from the books".to_owned(), Time(90)), ("long ago".to_owned(), Time(1))]);
    let mut signatures = FileSignatures::new(vec![LOG.into()], None, 50, books);
    let scope = scope(&["a"], &["b"], 100);
    world.write("a", LOG, &["written before anybody looked"]);
    world.write("b", LOG, &["x"]);
    read(&mut signatures, &scope, &world);
    world.at(60);
    world.write("a", LOG, &["slow query 12"]);
    assert_eq!(read(&mut signatures, &scope, &world), [""; 0], "the switch is still to come");
    world.at(200);
    let a = ["slow query 7", "session 1 lost", "session 2 lost", "#0 /srv/x.php(1)", "from the books", "long ago"];
    world.write("a", LOG, &a);
    world.write("b", LOG, &["timeout 5"]);
    let seen = read(&mut signatures, &scope, &world);
    let want = [
        "known from the books (a 1; from the books)",
        "new long ago (a 1; long ago)",
        "new session <n> lost (a 2; session 1 lost)",
        "known slow query <n> (a 1; slow query 7)",
        "known timeout <n> (b 1; timeout 5)",
    ];
    assert_eq!(seen, want);
    world.write("b", LOG, &["session 3 lost"]);
    let seen = read(&mut signatures, &scope, &world);
    assert_eq!(seen[2], "known session <n> lost (a 2, b 1; session 1 lost)", "it is on an unswitched host too");
}

#[test]
fn requests_are_counted_where_they_are_named() {
    let world = Memory::new(&["a", "b"]);
    let mut signatures = FileSignatures::new(vec![LOG.into()], Some(REQUESTS.into()), 0, BTreeMap::new());
    let scope = scope(&["a"], &["b"], 0);
    read(&mut signatures, &scope, &world);
    world.write("a", REQUESTS, &["1", "2", "3"]);
    world.write("b", REQUESTS, &["1"]);
    world.write("a", LOG, &["boom"]);
    let reading = block_on(signatures.read(&scope, &world)).expect("hosts answer");
    let What::Signatures(seen) = reading.what else { panic!("signatures give signatures") };
    let counts: Vec<_> = seen[0].exposure.values().map(|count| (count.events, count.exposure)).collect();
    assert_eq!(counts, [(1, 3), (0, 1)]);
}

#[test]
fn a_flood_of_different_lines_is_bounded() {
    let word = |n: usize| (0..4).map(|digit| char::from(b'g' + ((n >> (4 * digit)) & 15) as u8)).collect::<String>();
    let mut lines = Lines::default();
    (0..SIGNATURES_MAX + 500).for_each(|n| lines.add(&word(n)));
    assert_eq!(lines.found.len(), SIGNATURES_MAX + 1);
    assert_eq!(lines.found[FURTHER].0, 500);
}
