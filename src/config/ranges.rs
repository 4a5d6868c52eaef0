//! Host ranges as operators write them, read strictly: `mw[2001-2003,2007].codfw.wmnet, mw1017.eqiad.wmnet`.
//!
//! Invariant: what a range names is counted before anything is made of it, and every name passes the host grammar.
//! Folding hosts back into ranges is `model::ranges`.

use crate::model::limits::RANGE_HOSTS_MAX;
use crate::model::names::HostName;
use crate::model::ranges::RANGE_DIGITS_MAX;
use std::collections::BTreeSet;

/// Why a text is not a list of hosts and ranges; a fragment that fits "`TEXT`: {...}".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RangeError(pub String);

type Result<T> = std::result::Result<T, RangeError>;

fn fail<T>(why: impl Into<String>) -> Result<T> {
    Err(RangeError(why.into()))
}

/// The hosts that `text` names, in the order written.
///
/// # Errors
///
/// Malformed or reversed ranges, more than [`RANGE_HOSTS_MAX`] hosts, a host named twice, or no host at all.
pub fn expand(text: &str) -> Result<Vec<HostName>> {
    let mut hosts = Vec::new();
    let mut seen = BTreeSet::new();
    for item in split(text) {
        for name in expand_item(item, RANGE_HOSTS_MAX - hosts.len())? {
            let host: HostName = name.parse().map_err(|why| match name == item {
                true => RangeError(format!("not a host name: {why}")),
                false => RangeError(format!("`{name}` is not a host name: {why}")),
            })?;
            if !seen.insert(host.clone()) {
                return fail(format!("`{host}` is named twice"));
            }
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// The parts between commas that stand outside of brackets, without spaces around.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |c| {
        inside = match c {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        c == ',' && !inside
    })
    .map(|part| part.trim_matches(' '))
}

/// Text that stands as it is, or the numbers that may stand in its place.
enum Part<'a> {
    Text(&'a str),
    Numbers(Vec<Run>),
}

/// Numbers from `first` to `last`, written at least `width` digits wide.
struct Run {
    first: u32,
    last: u32,
    width: usize,
}

impl Run {
    fn len(&self) -> usize {
        (self.last - self.first) as usize + 1
    }
}

fn expand_item(item: &str, room: usize) -> Result<Vec<String>> {
    let parts = parts(item)?;
    let sizes = parts.iter().map(|part| match part {
        Part::Text(_) => 1,
        Part::Numbers(runs) => runs.iter().map(Run::len).fold(0, usize::saturating_add),
    });
    if sizes.fold(1, usize::saturating_mul) > room {
        return fail(format!("it names more than {RANGE_HOSTS_MAX} hosts"));
    }
    let mut names = vec![String::new()];
    for part in &parts {
        names = names.iter().flat_map(|name| extend(name, part)).collect();
    }
    Ok(names)
}

fn extend(name: &str, part: &Part<'_>) -> Vec<String> {
    match part {
        Part::Text(text) => vec![format!("{name}{text}")],
        Part::Numbers(runs) => runs
            .iter()
            .flat_map(|run| (run.first..=run.last).map(|n| format!("{name}{n:0width$}", width = run.width)))
            .collect(),
    }
}

fn parts(item: &str) -> Result<Vec<Part<'_>>> {
    if item.is_empty() {
        return fail("a host name is missing");
    }
    let mut parts = Vec::new();
    let mut rest = item;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, after)) = after.split_once(']') else {
            return fail("a `[` is not closed");
        };
        parts.extend([Part::Text(before), Part::Numbers(numbers(inside)?)]);
        rest = after;
    }
    match rest.contains(']') || parts.iter().any(|p| matches!(p, Part::Text(text) if text.contains(']'))) {
        true => fail("a `]` has no `[` before it"),
        false => {
            parts.push(Part::Text(rest));
            Ok(parts)
        }
    }
}

fn numbers(inside: &str) -> Result<Vec<Run>> {
    inside.split(',').map(|run| run_of(run.trim_matches(' '))).collect()
}

fn run_of(text: &str) -> Result<Run> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (number(first, text)?, number(last, text)?);
    if high < low {
        return fail(format!("the range `{text}` runs backwards; write `{last}-{first}`"));
    }
    let padded = [first, last].iter().any(|t| t.len() > 1 && t.starts_with('0'));
    if padded && first.len() != last.len() {
        return fail(format!("both ends of `{text}` must have the same number of digits when one starts with 0"));
    }
    Ok(Run { first: low, last: high, width: if padded { first.len() } else { 1 } })
}

fn number(digits: &str, range: &str) -> Result<u32> {
    let plain = !digits.is_empty() && digits.len() <= RANGE_DIGITS_MAX && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain => Ok(number),
        _ => fail(format!("`{range}` is not a number or a range of numbers, as in `[2001-2003,2007]`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ranges::fold;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(text: &str, want: Expect) {
        want.assert_eq(&match expand(text) {
            Ok(hosts) => hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(" "),
            Err(error) => format!("error: {error}"),
        });
    }

    #[test]
    fn ranges_name_what_they_say() {
        check("mw1017.eqiad.wmnet", expect!["mw1017.eqiad.wmnet"]);
        check("mw[2001-2003,2007].a, db1", expect!["mw2001.a mw2002.a mw2003.a mw2007.a db1"]);
        check("mw[08-11]", expect!["mw08 mw09 mw10 mw11"]);
        check("mw[8-11]", expect!["mw8 mw9 mw10 mw11"]);
        check("r[1-2]n[1-2]", expect!["r1n1 r1n2 r2n1 r2n2"]);
    }

    #[test]
    fn malformed_ranges_say_why() {
        check("mw[2003-2001]", expect!["error: the range `2003-2001` runs backwards; write `2001-2003`"]);
        check("mw[1-999999999]", expect!["error: it names more than 10000 hosts"]);
        check("a[1-200]b[1-200]c[1-200]", expect!["error: it names more than 10000 hosts"]);
        check("mw[1-10001]", expect!["error: it names more than 10000 hosts"]);
        check("mw[1-3", expect!["error: a `[` is not closed"]);
        check("mw1]", expect!["error: a `]` has no `[` before it"]);
        check("mw]1[1-2]", expect!["error: a `]` has no `[` before it"]);
        check("mw[]", expect![[r#"error: `` is not a number or a range of numbers, as in `[2001-2003,2007]`"#]]);
        check("mw[a-c]", expect!["error: `a-c` is not a number or a range of numbers, as in `[2001-2003,2007]`"]);
        check("mw[+1-3]", expect!["error: `+1-3` is not a number or a range of numbers, as in `[2001-2003,2007]`"]);
        check(
            "mw[01-100]",
            expect!["error: both ends of `01-100` must have the same number of digits when one starts with 0"],
        );
        check("mw[1-3],mw2", expect!["error: `mw2` is named twice"]);
        check("mw1,,mw2", expect!["error: a host name is missing"]);
        check("", expect!["error: a host name is missing"]);
        check("-o[1-2]", expect!["error: `-o1` is not a host name: no part may start or end with `-`"]);
    }

    proptest! {
        #[test]
        fn what_is_folded_expands_to_the_same(
            names in prop::collection::btree_set("(mw|db1-|s)?(0{0,2}[0-9]{1,3}|1[0-9]{3})?(\\.[a-c]{1})?", 1..40)
        ) {
            let hosts: BTreeSet<HostName> = names.iter().filter_map(|n| n.parse().ok()).collect();
            prop_assume!(!hosts.is_empty());
            let listed: Vec<HostName> = hosts.iter().cloned().collect();
            let again = expand(&fold(&listed)).map_err(|e| TestCaseError::fail(format!("{}: {e}", fold(&listed))))?;
            prop_assert_eq!(again.len(), hosts.len());
            prop_assert_eq!(again.into_iter().collect::<BTreeSet<_>>(), hosts);
        }

        #[test]
        fn a_range_folds_back_to_itself(first in 0u32..5000, more in 1u32..50, width in 1usize..6) {
            let text = format!("mw[{first:0width$}-{:0width$}].codfw.wmnet", first + more);
            if let Ok(hosts) = expand(&text) {
                prop_assert_eq!(fold(&hosts), text);
            }
        }

        #[test]
        fn any_text_is_answered(text in ".{0,60}") {
            let _ = expand(&text);
        }
    }
}
