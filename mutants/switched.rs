//! Which mutant is on. Generated code calls it; see mutants/src/main.rs.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// One more than the largest number of a mutant.
const MUTANTS: usize = COUNT;

static CHOSEN: LazyLock<u32> =
    LazyLock::new(|| std::env::var("MUTANT_ON").map_or(0, |number| number.parse().expect("MUTANT_ON is a number")));

/// The file to which each mutant's number is written when it is met first.
static RECORD: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("MUTANTS_MET").ok());

static MET: [AtomicBool; MUTANTS] = [const { AtomicBool::new(false) }; MUTANTS];

/// Whether this mutant is on.
pub fn on(mutant: u32) -> bool {
    if let Some(file) = &*RECORD
        && !MET[mutant as usize].swap(true, Ordering::Relaxed)
    {
        let mut file = OpenOptions::new().append(true).create(true).open(file).expect("MUTANTS_MET can be written");
        file.write_all(format!("{mutant}\n").as_bytes()).expect("written");
    }
    *CHOSEN == mutant
}

/// What tells a process that is started with an environment of its own.
pub fn environment() -> impl Iterator<Item = (&'static str, String)> {
    ["MUTANT_ON", "MUTANTS_MET"].into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)))
}
