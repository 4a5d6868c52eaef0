//! A file of rates: how often each of some named things happens.

use super::diagnostic::{Diagnostics, Sink};
use super::fields::{Fields, number};
use super::{trust, yaml};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads `file`, a mapping from some of `names` to rates in `chances`.
///
/// # Errors
///
/// All mistakes at once; a file that somebody else could have written is one.
pub fn load(file: &Path, names: &[&'static str], chances: u32) -> Result<BTreeMap<&'static str, u32>, Diagnostics> {
    match trust::read(file, trust::Invoker::of_process()) {
        Ok(text) => parse(file, &text, names, chances),
        Err(error) => Err(Diagnostics::unread(file, error)),
    }
}

/// Reads the text of `file`.
///
/// # Errors
///
/// All mistakes at once.
pub fn parse(
    file: &Path,
    text: &str,
    names: &[&'static str],
    chances: u32,
) -> Result<BTreeMap<&'static str, u32>, Diagnostics> {
    let mut sink = Sink::new(file);
    let rates = yaml::read(text, &mut sink).and_then(|tree| {
        let mut fields = Fields::of(&tree, names, "a file of rates", &mut sink)?;
        let mut rates = BTreeMap::new();
        for name in names {
            let Some(Some(rate)) = fields.optional(name, number) else { continue };
            match u32::try_from(rate.value).ok().filter(|rate| *rate <= chances) {
                Some(rate) => _ = rates.insert(*name, rate),
                None => fields.sink.add(rate.place, format!("`{name}` is a rate in {chances} chances")),
            }
        }
        Some(rates)
    });
    sink.finish(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<&'static str, u32>, Diagnostics> {
        parse(Path::new("f.yaml"), text, &["late", "crash", "twice"], 10_000)
    }

    #[test]
    fn rates_by_name() {
        assert_eq!(read("late: 7\ncrash: 0\n").expect("it is right"), [("crash", 0), ("late", 7)].into());
    }

    #[test]
    fn mistakes_are_named_with_their_places() {
        let found = read("late: 10001\ntwise: 1\ncrash: often\n").expect_err("three mistakes").to_string();
        assert!(found.contains("f.yaml:1:7: `late` is a rate in 10000 chances"), "{found}");
        assert!(found.contains("f.yaml:2:1: `twise` is not a key of a file of rates"), "{found}");
        assert!(found.contains("f.yaml:3:8"), "{found}");
    }
}
