//! Puts all mutants that cargo-mutants lists into one copy of the sources, each behind a switch of its own, so that they are
//! compiled once and not once each. Mutant schemata: Untch, Offutt and Harrold, 1993.
//!
//!     pointsman-mutants LIST DROPPED ROOT OUT
//!
//! LIST is what `cargo mutants --list --json` said; a mutant's number is its place there, from 1 on. DROPPED is a list of
//! numbers to leave out. The sources below ROOT that have mutants are written below OUT. Standard output gets JSON: which
//! mutants no switch was made for (`without`), and for each file its `pieces`: the bytes that a mutant's own code takes up
//! there, or those of an expression that has several of them, so that an error of the compiler can be blamed on a mutant.

mod edits;
mod switches;

use edits::Piece;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A mutant, as cargo-mutants tells of it. Lines and columns are counted from 1 on, columns in characters.
#[derive(Deserialize)]
struct Listed {
    file: String,
    genre: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: Spot,
}

#[derive(Deserialize)]
struct Spot {
    line: usize,
    column: usize,
}

/// What a switch is made of.
struct Mutant {
    number: usize,
    genre: String,
    replacement: String,
}

#[derive(Serialize)]
struct Answer {
    without: Vec<usize>,
    pieces: BTreeMap<String, Vec<Piece>>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, dropped, root, out] = &arguments[..] else { panic!("pointsman-mutants LIST DROPPED ROOT OUT") };
    let listed: Vec<Listed> = serde_json::from_str(&read(Path::new(list))).expect("cargo-mutants wrote it");
    let dropped: BTreeSet<usize> = serde_json::from_str(&read(Path::new(dropped))).expect("a list of numbers");
    let mut files: BTreeMap<&str, Vec<(usize, &Listed)>> = BTreeMap::new();
    for (n, mutant) in listed.iter().enumerate() {
        files.entry(&mutant.file).or_default().push((n + 1, mutant));
    }
    let mut answer = Answer { without: Vec::new(), pieces: BTreeMap::new() };
    for (file, mutants) in files {
        let text = read(&Path::new(root).join(file));
        let lines = Lines::of(&text);
        let mut places: BTreeMap<usize, Vec<Mutant>> = BTreeMap::new();
        for (number, listed) in mutants.into_iter().filter(|(number, _)| !dropped.contains(number)) {
            let (genre, replacement) = (listed.genre.clone(), listed.replacement.clone());
            places.entry(lines.byte(&listed.span.start)).or_default().push(Mutant { number, genre, replacement });
        }
        let all: Vec<usize> = places.values().flatten().map(|mutant| mutant.number).collect();
        // The programs beside the library see its switches from without.
        let of_library = !["src/main.rs", "src/host.rs"].contains(&file);
        let (text, pieces) = switches::switched(&text, places, if of_library { "crate" } else { "pointsman" });
        let made: BTreeSet<usize> = pieces.iter().flat_map(|piece| piece.mutants.iter().copied()).collect();
        answer.without.extend(all.into_iter().filter(|number| !made.contains(number)));
        write(&Path::new(out).join(file), &text);
        answer.pieces.insert(file.to_owned(), pieces);
    }
    let switch = include_str!("../switched.rs").replace("COUNT", &(listed.len() + 1).to_string());
    write(&Path::new(out).join("src/switched.rs"), &switch);
    println!("{}", serde_json::to_string(&answer).expect("it can be told"));
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Unless that is what it is: cargo would build it again.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).is_ok_and(|is| is == text) {
        return;
    }
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, begins: [0].into_iter().chain(after).collect() }
    }

    fn byte(&self, spot: &Spot) -> usize {
        let begin = self.begins[spot.line - 1];
        let mut characters = self.text[begin..].char_indices();
        begin + characters.nth(spot.column - 1).map_or(self.text.len() - begin, |(at, _)| at)
    }
}
