//! The timeline of real undertakings, out of a real journal.

use crate::gated::{Running, answers, site as gated_site};
use crate::site::{Ran, Site, V11};
use rustix::process::Signal;
use serde_json::Value;

/// The rows of the tables, without their times.
fn rows(said: &Ran) -> Vec<&str> {
    let row = |line: &'_ str| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit();
    said.stdout
        .lines()
        .filter(|line| row(line))
        .map(|line| line.splitn(3, '|').nth(2).expect("two columns").trim())
        .collect()
}

#[track_caller]
fn row<'a>(rows: &[&'a str], words: &str) -> &'a str {
    let found = rows.iter().find(|row| row.contains(words));
    found.unwrap_or_else(|| panic!("no row has `{words}`: {rows:#?}"))
}

#[test]
fn a_day_of_work_is_told_by_its_effects() {
    let site = Site::small("");
    site.promote("group0", V11).ends(0);
    site.run(&["blocker", "add", "T124143", "-m", "sessions | are `lost` <b>"]).ends(0);
    site.run(&["rollback", "--yes", "-m", "sessions are lost"]).ends(0);
    site.run(&["release"]).ends(0);
    site.run(&["pin", "labswiki", V11, "--reason", "debug the loss", "--yes"]).ends(0);

    let before = site.digest();
    let said = site.run(&["timeline"]).ends(0);
    assert_eq!(site.digest(), before, "it only reads");
    assert!(said.stdout.starts_with("# Timeline: "), "{said}");
    let rows = rows(&said);
    let promoted = row(&rows, "**r2** promote group0");
    assert!(promoted.contains("**done**: group0: 2 wikis 1.27.0-wmf.10 -&gt; 1.27.0-wmf.11"), "{promoted}");
    assert!(
        promoted.contains("Proven on `mw[1017-1019].eqiad.wmnet`. By ") && promoted.contains(": train"),
        "{promoted}"
    );
    assert!(row(&rows, "**blocker** T124143").contains("sessions \\| are \\`lost\\` &lt;b&gt;"), "{said}");
    assert!(row(&rows, "**r3** rollback").contains("sessions are lost"), "{said}");
    row(&rows, "**hold** by");
    row(&rows, "hold released by");
    assert!(row(&rows, "**r4** pin").contains("labswiki pinned to 1.27.0-wmf.11 (debug the loss;"), "{said}");
    assert!(!said.stdout.contains("never ended") && !said.stdout.contains("took the lock"), "{said}");
}

#[test]
fn verdicts_are_told_and_so_is_what_a_killed_promotion_left() {
    let plugin = "name: plugin, kind: command, argv: [checks/plugin.sh], at: [wave]";
    let site = gated_site("wave: 1ms, group: 1ms, max: 1h, watch: 0s", &[plugin]);
    answers(&site, "plugin", 3);
    let mut waits = Running::start(&site, &["promote", "group0", V11, "--yes", "-m", "train"]);
    waits.says("plugin");
    waits.says("PLUGIN 3");
    waits.signal(Signal::KILL);
    drop(waits);

    let said = site.run(&["timeline"]).ends(0);
    let open = rows(&said);
    let begun = row(&open, "**r2** promote group0");
    assert!(begun.contains("**never ended**") && begun.contains("Switched: `mw1017.eqiad.wmnet`"), "{begun}");
    assert!(!begun.contains("**done**"), "{begun}");

    answers(&site, "plugin", 0);
    site.run(&["rollback", "--yes", "-m", "it hangs"]).ends(0);
    let said = site.run(&["timeline"]).ends(0);
    let rows = rows(&said);
    assert!(!row(&rows, "**r2** promote group0").contains("never ended"), "{said}");
    row(&rows, "**r3** rollback");
    assert!(row(&rows, "took the lock of").contains("which is dead"), "{said}");
    assert!(row(&rows, "gate plugin").contains("(r2, after wave 1 of 3)"), "{said}");
    assert!(said.stdout.contains("PLUGIN 3"), "its evidence: {said}");
}

#[test]
fn its_span_and_its_arguments() {
    let site = Site::small("");
    site.run(&["timeline", "--since", "3h"]).ends(0).says("**r1** sync");
    site.run(&["timeline", "--until", "2016-01-23T01:16:00Z"]).ends(0).says("nothing of this time");
    site.run(&["timeline", "--since", "3h", "--until", "2016-01-23"]).ends(2).says("is later than --until");
    site.run(&["timeline", "--since", "yesterday"]).ends(2).says("2016-01-23T01:16:00Z");
    let said = site.run(&["timeline", "--json"]).ends(0);
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|why| panic!("{why}: {said}"));
    let told = json["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["text"].as_str().is_some_and(|t| t.contains("**r1**")));
    assert_eq!(told.count(), 1, "{said}");
}
