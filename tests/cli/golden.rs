//! Every command's words, at terminals of four widths and in a pipe, held against files below `tests/fixtures/golden`: one a
//! command, with all that it says in the story, at all widths. `UPDATE_EXPECT=1` writes them anew.
//!
//! The story (`golden/story.rs`) is told on five sites that are alike, side by side, because most commands can be given once
//! only. What differs from run to run is masked in `golden/screen.rs` and nowhere else; what holds for every output, whatever
//! it says, is in `golden/fit.rs`.

mod fit;
mod screen;
mod story;

use crate::examples::below;
use crate::site::Site;
use screen::{is_loose, masked, screen, typed};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use story::{ELSEWHERE, FOLDED_BY_NOBODY, Line, STORY};

/// Columns of the terminals; `None`: a pipe.
const SEATS: [Option<usize>; 5] = [Some(60), Some(80), Some(120), Some(200), None];

const NIGHT: &str = "name: night\nstages:\n  - {name: look, check: {}}\n  - {name: ask, approve: {text: go on}}\n";
const GATES: &str = "soak: {wave: 1ms, group: 1ms, max: 400ms, watch: 0s}\n\
    gates:\n  - {name: plugin, kind: command, argv: [checks/plugin.sh], at: [wave, canary], interval: 20ms}\n  \
    - {name: nothing-open, kind: blockers}\n";

fn site() -> Site {
    let site = Site::unsynced_on("mw1017 mw1018 mw1019 mw2018 mw2019 mw2020", GATES);
    crate::gated::script(&site, "plugin", "read code < \"${0%.sh}.code\"; echo \"PLUGIN $code\"; exit $code");
    crate::gated::answers(&site, "plugin", 0);
    site.write("playbooks/night.yaml", NIGHT);
    // Where there is no site yet.
    site.write("new/wikiversions.json", "{\"enwiki\": \"php-1.27.0-wmf.10\", \"testwiki\": \"php-1.27.0-wmf.10\"}");
    site.write("new/dblists/group0.dblist", "testwiki\n");
    site.write("new/dblists/all.dblist", "testwiki\nenwiki\n");
    site.write("new/hosts.txt", "mw1017\nmw1018\n");
    let log = "enwiki 10.0.0.1 - - [23/Jan/2016:01:16:00 +0000] \"GET /wiki/A HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    site.write("access.log", log);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/replay.md");
    site.write("small.yaml", &crate::docs::blocks(&fs::read_to_string(docs).expect("it is there"))[0].1);
    site.write("small.test.yaml", crate::policies::TEST);
    site
}

/// The whole story at one seat: what was said to each line whose output is kept, and what is wrong whatever is kept.
fn told(columns: Option<usize>) -> (Vec<String>, Vec<String>) {
    let site = site();
    let (mut heard, mut wrong) = (Vec::new(), Vec::new());
    for (line, what) in STORY {
        let ran = typed(&site, columns, line);
        let Line::Says(code) = what else { continue };
        let shown = screen(&ran.stdout);
        let within = columns.map(|columns| if *line == FOLDED_BY_NOBODY { usize::MAX } else { columns });
        let ended = (ran.code != *code).then(|| format!("it ended with {} and not with {code}", ran.code));
        let found = ended.into_iter().chain(fit::wrong(within, &ran.stdout, &shown));
        wrong.extend(found.map(|what| format!("{columns:?}: {what}\n$ {line}\n{shown}")));
        heard.push(masked(&shown));
    }
    (heard, wrong)
}

/// The name of the command of a line: the words that are commands.
fn command(line: &str, all: &BTreeSet<String>) -> Option<String> {
    let words = line.split_once("pointsman ")?.1.split(' ').filter(|word| !word.starts_with('-') && *word != "new");
    let words: Vec<&str> = words.take(2).collect();
    [words.join(" "), words.first().copied().unwrap_or_default().to_owned()].into_iter().find(|name| all.contains(name))
}

/// The file with what a command says.
fn file(name: &str) -> PathBuf {
    let name = name.replace(' ', "-");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/golden/{name}.txt"))
}

/// Whether two texts say the same. Where a line may be broken elsewhere the next time, its white space says nothing.
fn alike(kept: &str, said: &str) -> bool {
    let sections = |text: &str| text.split("\n## ").map(str::to_owned).collect::<Vec<_>>();
    let (kept, said) = (sections(kept), sections(said));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let same = |(kept, said): (&String, &String)| kept == said || (is_loose(said) && words(kept) == words(said));
    kept.len() == said.len() && kept.iter().zip(&said).all(same)
}

fn commands() -> BTreeSet<String> {
    let site = Site::unsynced("");
    let mut all = BTreeSet::from(["--help".to_owned()]);
    for name in below(&site, &[]) {
        let more = below(&site, &[&name]);
        all.extend(more.iter().map(|more| format!("{name} {more}")));
        // Two that have commands below them are commands themselves.
        if more.is_empty() || ["history", "demo"].contains(&name.as_str()) {
            all.insert(name);
        }
    }
    all
}

#[test]
fn every_command_says_what_is_kept_at_every_width() {
    let all = commands();
    let spoken = || STORY.iter().filter(|(_, what)| matches!(what, Line::Says(_))).map(|(line, _)| *line);
    let named =
        |line: &str| if line.ends_with(" --help") { "--help".to_owned() } else { command(line, &all).expect(line) };
    let kept: BTreeSet<String> = spoken().map(named).collect();
    let elsewhere: BTreeSet<String> = ELSEWHERE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(kept.union(&elsewhere).cloned().collect::<BTreeSet<_>>(), all, "commands in the story or in ELSEWHERE");
    assert_eq!(kept.intersection(&elsewhere).collect::<Vec<_>>(), Vec::<&String>::new(), "in both");

    let (heard, wrong): (Vec<_>, Vec<_>) = thread::scope(|scope| {
        let seats: Vec<_> = SEATS.iter().map(|columns| scope.spawn(|| told(*columns))).collect();
        seats.into_iter().map(|seat| seat.join().expect("it says why it fails")).unzip()
    });
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for (number, line) in spoken().enumerate() {
        let page = pages.entry(named(line)).or_default();
        *page += &format!("# {line}\n");
        for (columns, heard) in SEATS.iter().zip(&heard) {
            let seat = columns.map_or("in a pipe".to_owned(), |columns| format!("{columns} columns"));
            *page += &format!("\n## {seat}\n{}", heard[number]);
        }
        *page += "\n";
    }
    for (name, page) in &pages {
        let kept = fs::read_to_string(file(name)).unwrap_or_default();
        if !alike(&kept, page) {
            expect_test::expect_file![file(name)].assert_eq(page);
        }
    }
    let files: BTreeSet<PathBuf> = fs::read_dir(file("").parent().expect("it has one"))
        .expect("it is there")
        .map(|entry| entry.expect("listed").path())
        .collect();
    assert_eq!(files, pages.keys().map(|name| file(name)).collect(), "files of commands that are in the story");
}

#[test]
fn without_colour_nothing_is_lost() {
    let site = Site::small("");
    for line in
        ["--help", "depool --no-such", "status", "check", "history", "show r1", "doctor", "run nothing", "resume"]
    {
        let said = |setting: &str| typed(&site, Some(80), &format!("{setting} pointsman {line}")).stdout;
        let (coloured, plain) = (said(""), said("NO_COLOR=1"));
        assert!(!plain.contains('\x1b'), "{plain:?}");
        let words = |said: &str| masked(&screen(said)).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&coloured), words(&plain), "{line}");
    }
}
