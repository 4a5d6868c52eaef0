//! How much is tried, and saying what was.

use std::collections::BTreeMap;
use std::io::Write;

/// How many points of each drill are tried; `None`: all.
fn amount(usual: usize) -> Option<usize> {
    match std::env::var("POINTSMAN_DRILLS") {
        Err(_) => Some(usual),
        Ok(all) if all == "all" => None,
        Ok(number) => Some(number.parse().expect("POINTSMAN_DRILLS is `all` or a number")),
    }
}

/// How many times something is done that has no points: `usual` times, or `most`.
pub fn times(usual: usize, most: usize) -> usize {
    amount(usual).unwrap_or(most)
}

/// Of all points those that are tried: all, or so many at even distances.
pub fn chosen<T: Clone>(points: &[T], usual: usize) -> Vec<T> {
    let wanted = amount(usual).unwrap_or(points.len()).min(points.len());
    (0..wanted).map(|n| points[(2 * n + 1) * points.len() / (2 * wanted)].clone()).collect()
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
        assert!(tried > 0, "{drill}: nothing was tried");
        let first: Vec<&str> = self.broken.iter().take(10).map(String::as_str).collect();
        assert!(self.broken.is_empty(), "{line}{}", first.join("\n"));
    }
}

/// Says something where figures were asked for.
fn say(text: &str) {
    if std::env::var_os("POINTSMAN_DRILLS").is_some() {
        std::io::stderr().write_all(text.as_bytes()).expect("stderr is open");
    }
}
