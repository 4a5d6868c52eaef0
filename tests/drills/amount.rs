//! How much is tried, and saying what was.

use crate::results;
use std::collections::BTreeMap;
use std::io::Write;

/// How much of a drill is tried.
enum Amount {
    Usual,
    /// So many points, at even distances.
    Number(usize),
    /// One of so many slices, counted from 1 on, that have no point in common and together all.
    Slice(u64, u64),
    All,
}

fn amount() -> Amount {
    let Ok(said) = std::env::var("POINTSMAN_DRILLS") else { return Amount::Usual };
    let parse = |number: &str| number.parse().expect("POINTSMAN_DRILLS is `all`, a number, or a slice: 3/12");
    match said.split_once('/') {
        Some((slice, of)) => {
            let (slice, of) = (parse(slice) as u64, parse(of) as u64);
            assert!((1..=of).contains(&slice), "POINTSMAN_DRILLS: slices go from 1/{of} to {of}/{of}");
            Amount::Slice(slice, of)
        }
        None if said == "all" => Amount::All,
        None => Amount::Number(parse(&said)),
    }
}

/// How many times something is done that has no points: `usual` times, or `most`.
pub fn times(usual: usize, most: usize) -> usize {
    match amount() {
        Amount::Usual => usual,
        Amount::Number(number) => number,
        Amount::Slice(_, of) => (most / of as usize).max(usual),
        Amount::All => most,
    }
}

/// A number that follows from a name, every night the same.
pub fn number(name: &str) -> u64 {
    let digest = blake3::hash(name.as_bytes());
    u64::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest is longer"))
}

/// Of all points those that are tried.
fn chosen<T>(points: &[(String, T)], usual: usize) -> Vec<&(String, T)> {
    let wanted = match amount() {
        Amount::Slice(slice, of) => {
            return points.iter().filter(|(name, _)| number(name) % of == slice - 1).collect();
        }
        Amount::Usual => usual,
        Amount::Number(number) => number,
        Amount::All => points.len(),
    };
    let wanted = wanted.min(points.len());
    (0..wanted).map(|n| &points[(2 * n + 1) * points.len() / (2 * wanted)]).collect()
}

/// One trial: what was tried, how it ended, and what was found.
pub struct Trial {
    pub kind: String,
    pub end: String,
    pub judged: Result<(), String>,
}

/// Tries so many of a drill's points as are wanted, notes each where figures were asked for, and fails if any was broken.
#[track_caller]
pub fn try_points<T>(drill: &str, points: &[(String, T)], usual: usize, trial: impl Fn(&T) -> Trial) -> Sums {
    let mut sums = Sums::default();
    for (name, point) in chosen(points, usual) {
        let Trial { kind, end, judged } = trial(point);
        if is_asked_for() {
            results::note(drill, name, &end, judged.is_ok());
        }
        sums.add(&kind, &end, judged);
    }
    if is_asked_for() {
        let names = points.iter().map(|(name, _)| name.as_str());
        say(&format!("{drill}: {}\n", results::so_far(drill, names)));
    }
    sums.hold(drill, points.len());
    sums
}

/// What came of a drill.
#[derive(Debug, Default)]
pub struct Sums {
    /// How many points were tried, by what they are.
    tried: BTreeMap<String, usize>,
    /// How it ended, how often.
    ends: BTreeMap<String, usize>,
    broken: Vec<String>,
}

impl Sums {
    /// One trial of this kind, which ended so.
    pub fn add(&mut self, kind: &str, end: &str, judged: Result<(), String>) {
        *self.tried.entry(kind.to_owned()).or_default() += 1;
        *self.ends.entry(end.to_owned()).or_default() += 1;
        if let Err(why) = judged {
            say(&format!("broken: {why}\n"));
            self.broken.push(why);
        }
    }

    /// How often it ended so.
    pub fn ended(&self, end: &str) -> usize {
        self.ends.get(end).copied().unwrap_or_default()
    }

    /// Says the figures where they were asked for; fails when anything was broken.
    #[track_caller]
    pub fn hold(&self, drill: &str, of: usize) {
        let tried: usize = self.tried.values().sum();
        let list = |counts: &BTreeMap<String, usize>| {
            let words: Vec<String> = counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
            words.join(", ")
        };
        let (kinds, ends) = (list(&self.tried), list(&self.ends));
        let line = format!("{drill}: {tried} of {of} points ({kinds}); {ends}; {} broken\n", self.broken.len());
        say(&line);
        // A slice of a small drill may have no point.
        assert!(tried > 0 || matches!(amount(), Amount::Slice(..)), "{drill}: nothing was tried");
        let first: Vec<&str> = self.broken.iter().take(10).map(String::as_str).collect();
        assert!(self.broken.is_empty(), "{line}{}", first.join("\n"));
    }
}

fn is_asked_for() -> bool {
    std::env::var_os("POINTSMAN_DRILLS").is_some()
}

/// Says something where figures were asked for.
fn say(text: &str) {
    if is_asked_for() {
        std::io::stderr().write_all(text.as_bytes()).expect("stderr is open");
    }
}
