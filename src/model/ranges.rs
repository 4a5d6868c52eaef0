//! Host names folded into ranges as operators write them: `mw[2001-2019].codfw.wmnet, mw2021.codfw.wmnet`.
//!
//! Invariant: expanding what [`fold`] wrote gives the same hosts, sorted, each once; zero padding is kept. Reading
//! ranges that people wrote is `config::ranges`, which refuses what is malformed; nothing here can fail.

use super::names::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// The most digits that are taken as a number, so that it fits in 32 bits; a longer run is kept as text.
pub const RANGE_DIGITS_MAX: usize = 9;

/// A number in a name: its value and, when it is padded with zeros, its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    value: u32,
    width: usize,
}

impl Number {
    fn of(digits: &str) -> Option<Self> {
        let value = digits.parse().ok().filter(|_| digits.len() <= RANGE_DIGITS_MAX)?;
        Some(Self { value, width: digits.len() })
    }

    fn text(self) -> String {
        format!("{:0width$}", self.value, width = self.width)
    }

    fn is_padded(self) -> bool {
        self.width > 1 && self.text().starts_with('0')
    }

    /// The number after this one, written as a range that starts `padded` would write it.
    fn next(self, padded: bool) -> Self {
        let value = self.value + 1;
        let width = if padded { self.width } else { value.to_string().len() };
        Self { value, width }
    }
}

/// Folds hosts into ranges over the last number of each name's first label, sorted, joined by `, `; empty for none.
pub fn fold(hosts: &[HostName]) -> String {
    let mut families: BTreeMap<(&str, &str), Vec<Number>> = BTreeMap::new();
    let mut plain = Vec::new();
    for host in hosts {
        match split(host.as_str()) {
            Some((before, number, after)) => families.entry((before, after)).or_default().push(number),
            None => plain.push(host.to_string()),
        }
    }
    plain.sort();
    plain.dedup();
    let folded = families.into_iter().map(|((before, after), numbers)| family(before, numbers, after));
    folded.chain(plain).collect::<Vec<_>>().join(", ")
}

/// The name around the last number of its first label; `None` when it has none.
fn split(name: &str) -> Option<(&str, Number, &str)> {
    let label = name.split('.').next().unwrap_or(name);
    let end = label.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = label[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |i| i + 1);
    Some((&name[..start], Number::of(&name[start..end])?, &name[end..]))
}

/// One family of hosts, which differ in one number.
fn family(before: &str, mut numbers: Vec<Number>, after: &str) -> String {
    // Numbers as wide as a padded one count with it: 09, 10. The others count freely: 9, 10.
    let padded: BTreeSet<usize> = numbers.iter().filter(|n| n.is_padded()).map(|n| n.width).collect();
    numbers.sort_by_key(|n| (padded.get(&n.width).copied(), n.value));
    numbers.dedup();
    let mut runs: Vec<(Number, Number)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((first, last)) if last.next(first.is_padded()) == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    match runs.as_slice() {
        [(first, last)] if first == last => format!("{before}{}{after}", first.text()),
        runs => {
            let items: Vec<String> = runs.iter().map(|(first, last)| run(*first, *last)).collect();
            format!("{before}[{}]{after}", items.join(","))
        }
    }
}

fn run(first: Number, last: Number) -> String {
    match first == last {
        true => first.text(),
        false => format!("{}-{}", first.text(), last.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], want: &str) {
        let hosts: Vec<HostName> = names.iter().map(|n| n.parse().expect("a host name")).collect();
        assert_eq!(fold(&hosts), want);
    }

    #[test]
    fn neighbours_fold_and_strangers_stay() {
        check(&[], "");
        check(&["localhost"], "localhost");
        check(&["mw2020.codfw.wmnet"], "mw2020.codfw.wmnet");
        check(&["mw3.a", "mw1.a", "mw2.a", "mw2.a"], "mw[1-3].a");
        check(&["mw1.a", "mw2.a", "mw4.a", "mw2.b", "db"], "mw[1-2,4].a, mw2.b, db");
        check(&["mw9.a", "mw10.a", "mw11.a"], "mw[9-11].a");
        check(&["db1-7.a", "db1-8.a"], "db1-[7-8].a");
    }

    #[test]
    fn zero_padding_is_kept_and_never_mixed() {
        check(&["mw01", "mw02", "mw03"], "mw[01-03]");
        check(&["mw1", "mw01", "mw2"], "mw[1-2,01]");
        check(&["mw09", "mw10", "mw11"], "mw[09-11]");
        check(&["mw098", "mw099", "mw100", "mw1000"], "mw[1000,098-100]");
        check(&["mw0", "mw1"], "mw[0-1]");
        check(&["mw1234567890", "mw1234567891"], "mw1234567890, mw1234567891");
    }
}
