//! Saved plans: what is shown of them, that exactly they are carried out, and what they are refused for.

mod forged;
mod playbooks;
mod schema;

use crate::gated;
use crate::site::{Ran, Site, V9, V10, V11, ran};
use expect_test::{Expect, expect};
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A directory for plan files, which is not of the site.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The name of a file as an argument.
    fn file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("it was saved")
    }
}

const PROMOTE: &[&str] = &["promote", "group0", V11, "-m", "train of the week"];

/// Plans a command and saves it as `name`; not one byte of the site may move.
#[track_caller]
fn plan(site: &Site, desk: &Desk, name: &str, command: &[&str]) -> Ran {
    let before = site.digest();
    let file = desk.file(name);
    let ran = site.run(&[&["plan"], command, &["-o", &file]].concat()).ends(0).says("saved as");
    assert_eq!(site.digest(), before, "planning changed something");
    ran
}

#[track_caller]
fn apply(site: &Site, desk: &Desk, name: &str) -> Ran {
    site.run(&["apply", &desk.file(name), "--yes"])
}

/// Applying is refused with code 6, says why, and moves not one byte.
#[track_caller]
fn refused(site: &Site, desk: &Desk, name: &str, words: &[&str]) {
    let before = site.digest();
    let mut said = apply(site, desk, name).ends(6).says("the plan is stale, nothing was changed");
    for words in words {
        said = said.says(words);
    }
    let after = site.digest();
    let moved: Vec<_> = after.iter().filter(|(path, what)| before.get(*path) != Some(what)).collect();
    assert!(moved.is_empty() && after.len() == before.len(), "{moved:?}");
}

/// A text without what is another one each time: digests, the moment, who, the program's version.
#[track_caller]
fn shows(text: &str, want: Expect) {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = match line.strip_prefix("plan ") {
            Some(_) => "plan DIGEST of MOMENT by WHO".to_owned(),
            None => line.to_owned(),
        };
        let word = |word: &str| {
            let digits = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_digest = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if is_digest { word.replace(digits, "DIGEST") } else { word.to_owned() }
        };
        out.push(line.split(' ').map(word).collect::<Vec<_>>().join(" "));
    }
    want.assert_eq(&(out.join("\n") + "\n"));
}

#[test]
fn a_promotion_is_planned_shown_and_applied_once() {
    let (site, desk) = (Site::small("soak: {wave: 1ms, group: 1ms, watch: 0s}\n"), Desk::new());
    site.run(&["pin", "testwiki", V9, "--reason", "stays", "--yes"]).ends(0);
    let planned = plan(&site, &desk, "a.plan", PROMOTE);
    let shown = site.run(&["plan", "show", &desk.file("a.plan")]).ends(0);
    assert!(shown.stdout.ends_with(&planned.stdout), "it is shown as it was planned:\n{shown}\n{planned}");
    shows(
        &shown.stdout,
        expect![[r#"
            plan DIGEST of MOMENT by WHO
            $ pointsman promote group0 1.27.0-wmf.11 '--message=train of the week'
            r3 promote (plan DIGEST): train of the week
              group0: 1 wiki 1.27.0-wmf.10 -> 1.27.0-wmf.11
              pinned, stepped around: testwiki (1.27.0-wmf.9)
              wave 1: 1 host (mw1017.eqiad.wmnet)
              wave 2: 1 host (mw1018.eqiad.wmnet)
              wave 3: 1 host (mw1019.eqiad.wmnet)
              to bring: nothing
              a rollback afterwards would restore: group0: 1 wiki 1.27.0-wmf.11 -> 1.27.0-wmf.10
              time: unknown, no past promotion to tell from
        "#]],
    );
    site.run(&[&["plan"], PROMOTE, &["-o", &desk.file("a.plan")]].concat()).ends(2).says("is there already");
    site.run(&["apply", &desk.file("a.plan")]).ends(4).says("there is no terminal");
    assert_eq!(site.counts(), ".9: 1, .10: 6", "nobody agreed");
    apply(&site, &desk, "a.plan").ends(0).says("r3: group0: 1 wiki").says("a rollback afterwards would restore");
    assert_eq!(site.counts(), ".9: 1, .10: 5, .11: 1");
    refused(
        &site,
        &desk,
        "a.plan",
        &["r3 was undertaken since: promote", "train of the week", "the wanted state was s2"],
    );
    let second = site.run(&["plan", "promote", "group1", V11, "-m", "x"]).ends(0);
    assert!(second.stdout.contains("the median of 1 past promotion;"), "{second}");
}

#[test]
fn a_rollback_is_planned_shown_and_applied_once() {
    let (site, desk) = (Site::small(""), Desk::new());
    site.promote("group0", V11).ends(0);
    plan(&site, &desk, "a.plan", &["rollback", "-m", "5xx"]);
    shows(
        &site.run(&["plan", "show", &desk.file("a.plan")]).ends(0).stdout,
        expect![[r#"
        plan DIGEST of MOMENT by WHO
        $ pointsman rollback --message=5xx
        r3 rollback (plan DIGEST): 5xx
          group0: 2 wikis 1.27.0-wmf.11 -> 1.27.0-wmf.10
          wave 1: 3 hosts (mw[1017-1019].eqiad.wmnet)
          to bring: nothing
          afterwards promotions are held, and a further rollback finishes this one
          time: unknown, no past rollback to tell from
    "#]],
    );
    site.run(&["apply", &desk.file("a.plan")]).ends(4).says("not confirmed");
    assert_eq!(site.counts(), ".10: 5, .11: 2", "nobody agreed");
    apply(&site, &desk, "a.plan").ends(0).says("r3: group0: 2 wikis");
    assert_eq!(site.counts(), ".10: 7");
    refused(&site, &desk, "a.plan", &["r3 was undertaken since: rollback"]);
}

#[test]
fn what_changes_while_a_person_thinks_is_seen_under_the_lock() {
    let (site, desk) = (Site::small(""), Desk::new());
    site.promote("group0", V11).ends(0);
    plan(&site, &desk, "a.plan", &["rollback", "-m", "5xx"]);
    // A terminal to ask on, by util-linux.
    let program = site.command(&["apply", &desk.file("a.plan")]);
    let words: Vec<String> = [program.get_program()]
        .into_iter()
        .chain(program.get_args())
        .map(|w| format!("'{}'", w.to_string_lossy()))
        .collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &words.join(" "), "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut asked = terminal.spawn().expect("util-linux has it");
    let (mut answer, mut said) = (asked.stdin.take().expect("piped"), asked.stdout.take().expect("piped"));
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("Apply this plan?") {
        let mut byte = [0];
        said.read_exact(&mut byte).unwrap_or_else(|_| panic!("it asks: {}", String::from_utf8_lossy(&text)));
        text.push(byte[0]);
    }
    site.promote("group1", V11).ends(0);
    answer.write_all(b"y\n").expect("it is read");
    said.read_to_end(&mut text).expect("it is text");
    let text = String::from_utf8_lossy(&text);
    assert_eq!(asked.wait().expect("ours").code(), Some(6), "{text}");
    assert!(text.contains("r3 was undertaken since: promote"), "{text}");
    assert_eq!(site.counts(), ".10: 2, .11: 5", "nothing was taken back");
}

#[test]
fn syncs_are_planned_and_applied_with_the_very_content() {
    let (site, desk) = (Site::small(""), Desk::new());
    let file = "wmf-config/limits.json";
    let served = |host: &str| fs::read_to_string(site.served(host, file)).expect("it is there");
    site.stage(file, "{\"a\": 2}\n");
    plan(&site, &desk, "file.plan", &["sync-file", file, "-m", "two"])
        .says("0 files added, 1 changed, 0 removed")
        .hides("has other content than wanted")
        .says("to bring: at most 27 bytes to 3 hosts");
    plan(&site, &desk, "all.plan", &["sync-common", "--from-staging", "-m", "cut"]).says("0 files added, 1 changed");
    site.stage(file, "{\"a\": 3}\n");
    refused(&site, &desk, "file.plan", &["wmf-config is ", "in the plan and"]);
    refused(&site, &desk, "all.plan", &["wmf-config is ", "in the plan and"]);
    site.stage(file, "{\"a\": 2}\n");
    apply(&site, &desk, "file.plan").ends(0);
    assert!(site.hosts().iter().all(|host| served(host) == "{\"a\": 2}\n"));
    refused(&site, &desk, "all.plan", &["r2 was undertaken since: sync"]);

    site.stage(file, "{\"a\": 4}\n");
    plan(&site, &desk, "cut.plan", &["sync-common", "--from-staging", "-m", "cut"]);
    apply(&site, &desk, "cut.plan").ends(0);
    assert!(site.hosts().iter().all(|host| served(host) == "{\"a\": 4}\n"));

    let host = &site.hosts()[2];
    fs::remove_file(site.served(host, file)).expect("it was there");
    plan(&site, &desk, "host.plan", &["sync-common", host]).says("wave 1: 1 host").says("to 1 host");
    apply(&site, &desk, "host.plan").ends(0);
    assert_eq!(served(host), "{\"a\": 4}\n");
}

#[test]
fn what_the_books_did_since_is_named() {
    let (site, desk) = (Site::small(""), Desk::new());
    plan(&site, &desk, "a.plan", PROMOTE);
    site.run(&["hold", "-m", "a switchover"]).ends(0);
    refused(&site, &desk, "a.plan", &["a hold is set by", "a switchover"]);
    site.run(&["release"]).ends(0);
    site.run(&["blocker", "add", "T1", "-m", "lost sessions"]).ends(0);
    refused(&site, &desk, "a.plan", &["the blocker T1 was opened since"]);
    plan(&site, &desk, "accepted.plan", &[PROMOTE, &["--accept", "T1=known"]].concat());
    site.run(&["blocker", "close", "T1", "-m", "mended"]).ends(0);
    refused(&site, &desk, "accepted.plan", &["the blocker T1 was closed since"]);
    site.run(&["pin", "enwiki", V9, "--reason", "held", "--yes"]).ends(0);
    refused(&site, &desk, "a.plan", &["r2 was undertaken since: pin", "enwiki is pinned on 1.27.0-wmf.9 now: held"]);
    plan(&site, &desk, "b.plan", PROMOTE);
    site.run(&["depool", &site.hosts()[2], "--reason", "being reinstalled"]).ends(0);
    refused(&site, &desk, "b.plan", &["1 host: no longer in scope", "is left out now: depooled by"]);
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V10);
}

#[test]
fn what_is_configured_otherwise_is_named() {
    let site = Site::unsynced("soak: {wave: 1ms, group: 1ms, watch: 0s}\n");
    site.write("dblists/group2.dblist", "dewiki\nenwiki\n");
    site.edit("wikis: [\"dewiki\", \"enwiki\"]", "dblist: dblists/group2.dblist");
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
    let desk = Desk::new();
    plan(&site, &desk, "a.plan", PROMOTE);
    for (old, new, words) in [
        ("group: 1ms", "group: 2ms", "groups.yaml was changed: soak"),
        ("{name: group0, wikis", "{name: groupzero, wikis", "groups.yaml was changed: groups"),
        ("files: 3", "files: 2", "groups.yaml was changed: artefacts"),
    ] {
        site.edit(old, new);
        refused(&site, &desk, "a.plan", &[words]);
        site.edit(new, old);
    }
    site.write("dblists/group2.dblist", "# the same\ndewiki\nenwiki\n");
    refused(&site, &desk, "a.plan", &["dblists/group2.dblist was changed"]);
    site.write("dblists/group2.dblist", "dewiki\nenwiki\n");
    let entry =
        "  - {name: mw1020.eqiad.wmnet, roles: [appserver], datacenter: eqiad, transport: local, directory: hosts}\n";
    site.edit("hosts:\n", &format!("hosts:\n{entry}"));
    refused(&site, &desk, "a.plan", &["groups.yaml was changed: hosts", "in scope now, and not in the plan: mw1020"]);
    site.edit(entry, "");
    apply(&site, &desk, "a.plan").ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2", "once all is as it was, it is carried out");
}

#[test]
fn hosts_that_are_not_what_they_were_are_named() {
    let (site, desk) = (Site::small(""), Desk::new());
    let host = site.hosts()[1].clone();
    plan(&site, &desk, "promote.plan", PROMOTE);
    plan(&site, &desk, "sync.plan", &["sync-common"]);
    fs::rename(site.host(&host), site.path("away")).expect("moved");
    site.empty_host(&host);
    // A new machine without an agent says nothing of itself; it is given one, as an operator would.
    site.run(&["agent", "install", "--hosts", &host]).ends(0);
    let rebuilt = format!("{host} is another installation than when it was planned");
    refused(&site, &desk, "promote.plan", &[&rebuilt]);
    refused(&site, &desk, "sync.plan", &[&rebuilt]);
    fs::remove_dir_all(site.host(&host)).expect("ours");
    fs::rename(site.path("away"), site.host(&host)).expect("moved");

    let map = site.served(&host, "wikiversions.php");
    let text = fs::read_to_string(&map).expect("it has a map");
    fs::write(&map, text.replacen(V10, V9, 1)).expect("written");
    let other = format!("{host} serves the map");
    refused(&site, &desk, "promote.plan", &[&other]);
    refused(&site, &desk, "sync.plan", &[&other]);
    fs::write(&map, text).expect("written");
    apply(&site, &desk, "promote.plan").ends(0);
}

#[test]
fn a_rollback_is_not_kept_from_what_it_would_do_anyway() {
    let (site, desk) = (Site::small(""), Desk::new());
    site.promote("group0", V11).ends(0);
    plan(&site, &desk, "a.plan", &["rollback", "-m", "5xx"]);
    // A hold and a blocker stop what goes forward; a host that can't be reached is left behind, as always.
    site.run(&["hold", "-m", "a switchover"]).ends(0);
    site.run(&["blocker", "add", "T1", "-m", "lost sessions"]).ends(0);
    fs::rename(site.host(&site.hosts()[2]), site.path("away")).expect("moved");
    apply(&site, &desk, "a.plan").ends(8).says("owed");
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V10);
}

#[test]
fn a_plan_of_a_view_is_made_elsewhere_and_applied_here() {
    let (site, desk, elsewhere) = (Site::small(""), Desk::new(), Desk::new());
    fs::copy(site.path("groups.yaml"), elsewhere.path("groups.yaml")).expect("copied");
    let offline = |view: &str, to: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let file = desk.file(to);
        command.current_dir(elsewhere.0.path()).arg("plan").args(PROMOTE).args(["--view", view, "-o", &file]);
        ran(&mut command, &["plan", "--view"]).ends(0).says("saved as").says("time: unknown, a view has no journal")
    };
    let live = site.run(&["status", "--live", "--json"]).ends(0).stdout;
    fs::write(elsewhere.path("live.json"), live).expect("written");
    offline("live.json", "live.plan").says("to bring: nothing").hides("not seen");
    let books = site.run(&["status", "--json"]).ends(0).stdout;
    fs::write(elsewhere.path("books.json"), books).expect("written");
    offline("books.json", "books.plan").says("to bring: unknown for 3 hosts").says("not seen: 3 hosts");

    fs::rename(site.host(&site.hosts()[1]), site.path("away")).expect("moved");
    site.empty_host(&site.hosts()[1]);
    site.run(&["agent", "install", "--hosts", &site.hosts()[1]]).ends(0);
    refused(&site, &desk, "live.plan", &["is another installation"]);
    // Nobody had looked at it for this one; it is proven as always.
    apply(&site, &desk, "books.plan").ends(7).says(&site.hosts()[1]);
    fs::remove_dir_all(site.host(&site.hosts()[1])).expect("ours");
    fs::rename(site.path("away"), site.host(&site.hosts()[1])).expect("moved");
    apply(&site, &desk, "live.plan").ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    refused(&site, &desk, "books.plan", &["r2 was undertaken since"]);
}

#[test]
fn gates_soaks_and_overrides_are_part_of_the_plan() {
    let site = gated::site(
        "wave: 1ms, group: 1ms, max: 400ms, watch: 0s",
        &["name: plugin, kind: command, argv: [checks/plugin.sh], at: [wave]"],
    );
    gated::answers(&site, "plugin", 2);
    let desk = Desk::new();
    let soak = ["--soak", "7ms", "--override", "plugin=it is known"];
    plan(&site, &desk, "a.plan", &[PROMOTE, &soak].concat())
        .says("gates after each wave but the last, for 7 ms: plugin")
        .says("overruled: plugin (it is known)");
    plan(&site, &desk, "b.plan", PROMOTE);
    apply(&site, &desk, "b.plan").ends(3).says("all were brought back");
    refused(&site, &desk, "a.plan", &["r2 was undertaken since: promote"]);
    let again = ["--again", "--reason", "mended"];
    site.run(&["blocker", "list"]).ends(0);
    for line in site.run(&["blocker", "list"]).stdout.lines() {
        if let Some((id, _)) = line.split_once([' ', ':']) {
            site.run(&["blocker", "close", id, "-m", "x"]);
        }
    }
    plan(&site, &desk, "c.plan", &[PROMOTE, &soak, &again].concat());
    apply(&site, &desk, "c.plan").ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn a_detailed_exit_code_says_whether_anything_would_change() {
    let (site, desk) = (Site::small(""), Desk::new());
    let code = |command: &[&str], code: i32| {
        let before = site.digest();
        site.run(&[&["plan", "--detailed-exitcode"], command].concat()).ends(code);
        assert_eq!(site.digest(), before);
    };
    code(PROMOTE, 9);
    code(&["sync-common"], 0);
    code(&["sync-common", "--from-staging"], 0);
    code(&["rollback"], 2);
    code(&["promote", "group9", V11, "-m", "x"], 2);
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    code(&["sync-common", "--from-staging"], 9);
    code(&["sync-file", "wmf-config/limits.json", "-m", "x"], 9);
    site.promote("group0", V11).ends(0);
    code(PROMOTE, 0);
    code(&["rollback"], 9);
    site.run(&[&["plan"], PROMOTE].concat()).ends(0);
    let host = &site.hosts()[2];
    fs::remove_file(site.served(host, "wmf-config/limits.json")).expect("it was there");
    code(&["sync-common"], 9);
    code(&["promote", "group1", V11, "-m", "x"], 7);
    let file = desk.file("a.plan");
    site.run(&["plan", "promote", "group1", V11, "-m", "x", "-o", &file]).ends(7).says("nothing was saved").says(host);
    assert!(!desk.path("a.plan").exists());
    site.run(&["plan", "rollback", "--yes"]).ends(2).says("pointsman apply");
    site.run(&["plan", "show", &file, "-o", "x"]).ends(2);
    site.run(&["plan", "rollback", "--from-fleet", "-o", &file]).ends(2).says("nothing was saved");
}
