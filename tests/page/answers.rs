//! Answers at the board over HTTP: to a playbook that waits, and to a promotion whose books are on a real PostgreSQL.

use crate::board::{Board, promote};
use crate::gated::Running;
use crate::server::Server;
use crate::site::{Site, V11};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A site with a playbook that asks before it promotes, and another `policy`.
fn playbooks(policy: &str) -> Site {
    let site = Site::small(&format!("soak: {{wave: 0s, group: 0s, watch: 0s}}\n{policy}"));
    let stages = format!(
        "  - {{name: look, approve: {{text: are the <i>graphs</i> well, within: 1h}}}}\n  - {{name: move, promote: {{group: group0, \
         version: {V11}, message: of a playbook}}}}\n"
    );
    site.write("playbooks/asks.yaml", &format!("name: asks\nstages:\n{stages}"));
    site.write("playbooks/later.yaml", &format!("name: later\nstages:\n{}", stages.replace(", within: 1h", "")));
    site
}

/// The form's answer to a run's stage.
fn answer(board: &Board, of: &str, which: &str, (yes, why): (&str, &str)) -> (u16, String) {
    let here = format!("http://{}", board.place);
    board.form(&here, &format!("of={of}&which={which}&answer={yes}&reason={why}&token=open+sesame"))
}

#[test]
fn a_playbook_that_waits_is_shown_and_goes_on_after_an_answer() {
    let site = playbooks("");
    let board = Board::start(&site);
    assert!(board.get("/").contains("Nothing.") && !board.get("/").contains("<form"));
    let mut run = Running::start(&site, &["run", "asks"]);
    run.says("pointsman approve p1 -m WHY");
    let page = board.get("/");
    for words in
        ["p1: look", "playbook asks by", "are the &lt;i&gt;graphs&lt;/i&gt; well", "<form", r#"name="of" value="p1""#]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(board.get("/metrics").contains("\npointsman_waiting_approvals 1\n"));
    let status: Value = serde_json::from_str(&board.get("/api/v1/status")).expect("JSON");
    assert_eq!(status["asked"][0]["stage"], "look", "{status}");
    site.run(&["status"]).ends(0).says("approvals: 1").says("pointsman approve p1 -m WHY");

    for (of, which) in [("p1", "move"), ("p2", "look"), ("r1", "look"), ("", "look"), ("p1", "")] {
        assert_eq!(answer(&board, of, which, ("yes", "well")).0, 409, "{of} {which}");
    }
    assert_eq!(site.counts(), ".10: 7");
    let (status, said) = answer(&board, "p1", "look", ("yes", "looks+well"));
    assert!(status == 303 && said.to_lowercase().contains("location: /?said=approved"), "{said}");
    run.ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    site.run(&["timeline"]).ends(0).says("alice at the board").says("looks well");
    assert_eq!(answer(&board, "p1", "look", ("no", "too+late")).0, 409);
    assert!(board.get("/").contains("Nothing."));
}

#[test]
fn a_paused_playbook_that_was_denied_at_the_board_can_be_approved_there() {
    let site = playbooks("");
    let board = Board::start(&site);
    site.run(&["run", "later"]).ends(4);
    assert!(board.get("/").contains("pointsman resume p1"));
    assert_eq!(answer(&board, "p1", "look", ("no", "5xx")).0, 303);
    site.run(&["resume"]).ends(3);
    let page = board.get("/");
    assert!(page.contains("by alice at the board: 5xx. It can still be approved."), "{page}");
    assert_eq!(answer(&board, "p1", "look", ("yes", "it+was+a+cable")).0, 303);
    assert!(!board.get("/").contains("<form"), "nobody is asked twice");
    site.run(&["resume"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

/// Alice, who is nobody's user here, may approve only where a rule says so; and root, who begins the run, is the first person.
#[test]
fn s09_at_the_board_a_playbook_needs_the_right_and_a_second_person() {
    let rules = |who: &str| {
        format!(
            "policy: {{second_person: true, rules: [{{users: [root], may: [promote, approve, sync]}}, {{users: [{who}], may: [approve]}}]}}\n"
        )
    };
    let site = playbooks(&rules("bob"));
    let board = Board::start(&site);
    site.run(&["run", "later"]).ends(4);
    site.run(&["approve", "p1", "-m", "of the first"]).ends(10).says("demands that a second person approves");
    let (status, said) = answer(&board, "p1", "look", ("yes", "well"));
    assert!(status == 403 && said.contains("alice has no right `approve` for group0"), "{said}");
    let here = format!("http://{}", board.place);
    let (status, said) = board.form(&here, "of=p1&which=look&answer=yes&reason=well&token=open+barley");
    assert!(status == 403 && said.contains("demands that a second person approves"), "{said}");
    site.run(&["timeline"]).ends(0).says("alice at the board").says("alice has no right").says("root at the board");
    let text = fs::read_to_string(site.path("groups.yaml")).expect("it is there");
    site.write("groups.yaml", &text.replace(&rules("bob"), &rules("alice")));
    assert_eq!(answer(&board, "p1", "look", ("yes", "well")).0, 303);
    site.run(&["resume"]).ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

/// The numbers that the stream of events says, until one is more than `known`.
fn event_after(events: &mut impl BufRead, known: u64) -> u64 {
    loop {
        let mut line = String::new();
        assert!(events.read_line(&mut line).expect("it goes on") > 0, "the stream ended");
        let number = line.trim().strip_prefix("data:").and_then(|number| number.trim().parse().ok());
        if let Some(number) = number.filter(|number| *number > known) {
            return number;
        }
    }
}

#[test]
fn over_postgresql_the_board_follows_and_an_approval_lets_the_promotion_go_on() {
    let server = Server::new();
    let more = "soak: {wave: 1ms, group: 1ms, max: 1h, watch: 0s}\ngates: [{name: train, kind: approval}]\n";
    let site = Site::unsynced(more);
    let file = server.reference("books.url", &server.url("127.0.0.1"));
    site.edit("books: books}", &format!("books: books, store: \"file:{}\"}}", file.display()));
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
    assert!(!site.path("books/books.sqlite").exists());

    let board = Board::start(&site);
    let mut events = TcpStream::connect(&board.place).expect("it listens");
    write!(events, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", board.place).expect("sent");
    let mut events = BufReader::new(events);
    let mut promotes = Running::start(&site, &promote("train"));
    promotes.says("pointsman approve ");
    let count = || server.sql("books", "SELECT count(*) FROM pointsman.events").parse::<u64>().expect("a number");
    let asked = count();
    assert!(event_after(&mut events, asked - 1) >= asked, "it tells what is on the server");
    let page = board.get("/");
    assert!(page.contains("<form") && page.contains("promote group0"), "{page}");
    let of = page.split(r#"name="of" value=""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a promotion");
    assert_eq!(answer(&board, of, "train", ("yes", "looks+well")).0, 303);
    promotes.ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    assert!(event_after(&mut events, asked) > asked);
    site.run(&["show", of]).ends(0).says("approved by alice at the board").says("looks well");
    let record =
        server.sql("books", "SELECT count(*) FROM pointsman.events WHERE record LIKE '%answered%alice at the board%'");
    assert_eq!(record, "1");
    site.run(&["journal", "verify"]).ends(0);
}
